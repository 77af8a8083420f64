package agent

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// TestWhatAnotherConfigurationConcerns and what goes on.
func TestWhatAnotherConfigurationConcerns(t *testing.T) {
	t.Parallel()
	for sentence, row := range map[string]struct {
		change  func(*config.Config)
		servers []string
		syncs   []string
	}{
		"nothing has changed":               {change: func(*config.Config) {}},
		"a setting of one sync":             {change: func(c *config.Config) { c.Syncs["up"].Settle++ }, syncs: []string{"up"}},
		"a pattern of one sync":             {change: func(c *config.Config) { c.Syncs["up"].Exclude = []string{"x"} }, syncs: []string{"up"}},
		"a sync is switched off":            {change: func(c *config.Config) { c.Syncs["up"].Enabled = false }, syncs: []string{"up"}},
		"a sync is gone":                    {change: func(c *config.Config) { delete(c.Syncs, "far") }, syncs: []string{"far"}},
		"a password concerns all its syncs": {change: func(c *config.Config) { c.Servers["other"].Password = config.NewSecret("new") }, servers: []string{"other"}, syncs: []string{"far"}},
		"a server is gone with its syncs": {change: func(c *config.Config) { delete(c.Servers, "other"); delete(c.Syncs, "far") },
			servers: []string{"other"}, syncs: []string{"far"}},
		"another server for a sync": {change: func(c *config.Config) { c.Syncs["far"].Server = "acme" }, syncs: []string{"far"}},
		"another authority":         {change: func(c *config.Config) { c.Servers["other"].RootCAs = x509.NewCertPool() }, servers: []string{"other"}, syncs: []string{"far"}},
	} {
		was, is := breakerConfig(), breakerConfig()
		row.change(is)
		want := difference{set(row.servers), set(row.syncs)}
		if got := differences(was, is); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", sentence, got, want)
		}
	}
	// The first one who may be asked who we are concerns the servers that may connect to here. Others are only asked, too.
	one, two, none := breakerConfig(), breakerConfig(), breakerConfig()
	for _, c := range []*config.Config{one, two, none} {
		c.Servers["other"].Data.Mode = config.DataAuto
	}
	one.Agent.AddressSources.Gateway = true
	two.Agent.AddressSources.STUN = []string{"192.0.2.1:3478"}
	if got, want := differences(none, one), (difference{set([]string{"other"}), set([]string{"far"})}); !reflect.DeepEqual(got, want) {
		t.Errorf("somebody to ask: %v, want %v", got, want)
	}
	if got := differences(one, two); len(got.servers)+len(got.syncs) > 0 {
		t.Errorf("somebody else to ask: %v", got)
	}
}

func set(names []string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	return all
}

// reconfigure has the agent take the usual configuration with a change.
func (b *breaker) reconfigure(change func(*config.Config)) (changes int) {
	b.t.Helper()
	cfg := breakerConfig()
	if b.adjust != nil {
		b.adjust(cfg)
	}
	change(cfg)
	changes, err := b.agent.Reconfigure(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	return changes
}

// TestAnotherConfigurationWaitsForWhatItConcerns alone: what is the same goes on meanwhile and afterwards.
func TestAnotherConfigurationWaitsForWhatItConcerns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Path == "long" {
				time.Sleep(20 * time.Minute)
			}
			return done
		})
		b.adjust = func(cfg *config.Config) { cfg.Agent.ShutdownGrace = time.Hour }
		tries := func(sync string) int { return len(b.between(time.Time{}, time.Now(), sync)) }
		b.served(func() {
			b.enqueue(string(plan.Upload), "up", b.now(), "long")
			b.enqueue(string(plan.Upload), "far", b.now(), "long")
			time.Sleep(10 * time.Minute)
			b.enqueue(string(plan.Upload), "up", b.now(), "next")
			began := time.Now()
			if n := b.reconfigure(func(*config.Config) {}); n != 0 || time.Since(began) > 0 {
				t.Errorf("%d changes, taken after %s", n, time.Since(began))
			}
			if n := b.reconfigure(func(c *config.Config) { c.Syncs["down"].Settle++ }); n != 1 || time.Since(began) > 0 {
				t.Errorf("%d changes, taken after %s: waited for others", n, time.Since(began))
			}
			synctest.Wait() // what was due has begun
			b.enqueue(string(plan.Upload), "up", b.now(), "behind")
			changes := b.reconfigure(func(c *config.Config) { c.Syncs["up"].Settle++; c.Syncs["down"].Settle++ })
			if took := time.Since(began); changes != 1 || took < 9*time.Minute || took > 11*time.Minute {
				t.Errorf("%d changes, taken after %s", changes, took)
			}
			for _, try := range b.between(time.Time{}, time.Now(), "up") {
				if try.at.After(began) && try.at.Before(time.Now()) {
					t.Errorf("%q was begun %s before the change that concerns it", try.job.Path, time.Since(try.at))
				}
			}
			time.Sleep(time.Hour)
		})
		for _, sync := range []string{"up", "far"} {
			if left := b.counts(sync); left.Due+left.Waiting+left.Running > 0 {
				t.Errorf("%s: left %+v", sync, left)
			}
		}
		if n := tries("far"); n != 1 {
			t.Errorf("what is the same was begun %d times", n)
		}
	})
}

// TestServersAndSyncsComeAndGo while the agent runs.
func TestServersAndSyncsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { time.Sleep(time.Minute); return done })
		b.adjust = func(cfg *config.Config) { cfg.Agent.ShutdownGrace = time.Hour }
		more := func(c *config.Config) {
			c.Servers["third"] = plainServer("127.0.0.1:1", 2)
			c.Servers["third"].Name = "third"
			added := *c.Syncs["far"]
			added.Name, added.Server, added.Local = "new", "third", "/nowhere/new"
			c.Syncs["new"] = &added
		}
		b.served(func() {
			if n := b.reconfigure(more); n != 2 {
				t.Errorf("%d changes", n)
			}
			report, err := b.agent.Current().Pass(t.Context(), []string{"new"})
			if err != nil || report.ExitCode() != 0 {
				t.Errorf("a pass of a sync that is new: %+v, %v", report, err)
			}
			ended := make(chan control.Report)
			go func() {
				report, err := b.agent.Current().Pass(t.Context(), []string{"far", "up"})
				if err != nil {
					t.Error(err)
				}
				ended <- report
			}()
			synctest.Wait()
			b.enqueue(string(plan.Upload), "far", b.now(), "never")
			if n := b.reconfigure(func(c *config.Config) { delete(c.Syncs, "far") }); n != 3 {
				t.Errorf("%d changes", n)
			}
			if report := <-ended; len(report.Syncs) != 2 || report.Syncs[0].Unfinished == 0 || report.Syncs[1].Unfinished != 0 {
				t.Errorf("a pass of a sync that goes meanwhile: %+v", report)
			}
			if _, err := b.agent.Current().Pass(t.Context(), []string{"new"}); err == nil {
				t.Error("a sync that is gone was looked at")
			}
			// Who has begun to ask before finds the agent of before.
			if report, err := b.agent.Pass(t.Context(), []string{"far"}); err != nil || report.ExitCode() != control.ExitUnfinished {
				t.Errorf("a pass of a sync that has gone just now: %+v, %v", report, err)
			}
			if err := b.agent.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"far"}}); err != nil {
				t.Error(err)
			}
			if _, err := b.agent.Pause(t.Context(), control.PauseRequest{}); err != nil {
				t.Error(err)
			}
			if _, err := b.agent.Status(t.Context(), control.StatusFilter{}); err != nil {
				t.Error(err)
			}
			if _, err := b.agent.RetryJobs(t.Context(), control.JobFilter{}); err != nil {
				t.Error(err)
			}
		})
	})
}

// TestTheSameFileReadTwice makes no difference, whatever is in it.
func TestTheSameFileReadTwice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.toml")
	text := `
[agent]
state_dir = "state"
[server.a]
address = ["one.example.com", "two.example.com"]
user = "u"
password = "x"
list_time_zone = "Europe/Lisbon"
bandwidth = "08:00,512KiB 19:00,off"
[sync.s]
server = "a"
local = "local"
remote = "/r"
direction = "up"
watch = true
schedule = [{ cron = "0 3 * * *", jitter = "5m" }, { cron = "@every 1h", do = "verify" }]
time_zone = "Europe/Lisbon"
exclude = ["*.tmp"]
remote_name = "{stem}-{mtime:20060102}{ext}"
allowed = ["22:00-06:00"]
hooks = { after = ["true"] }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var read [2]*config.Config
	for i := range read {
		var err error
		if read[i], err = config.Load(path, os.Getenv); err != nil {
			t.Fatal(err)
		}
	}
	if d := differences(read[0], read[1]); len(d.servers)+len(d.syncs) > 0 || refusalOf(read[0], read[1]) != nil {
		t.Errorf("these differ: %v", d)
	}
}

// TestWhatIsShownOfPutOffsIsNeverChanged: somebody may read it while the dispatcher goes on after another configuration.
func TestWhatIsShownOfPutOffsIsNeverChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.served(func() {
			b.reconfigure(func(c *config.Config) { c.Syncs["up"].Settle++ })
			shown := b.agent.putOffs.Load()
			was := reflect.ValueOf(*shown).Pointer()
			b.pause(control.PauseRequest{}) // which is a commit
			if b.agent.putOffs.Load() == shown || reflect.ValueOf(*shown).Pointer() != was {
				t.Error("what somebody may be reading was replaced in place")
			}
		})
	})
}
