package agent_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// behind puts a relay between the agent and its server.
func (r *rig) behind() *relay {
	r.t.Helper()
	relay := newRelay(r.t, r.server.Addr)
	setOption(r.t, r, r.server.Addr, relay.address)
	return relay
}

// firewall refuses what data connections are asked for with, while it is closed.
func firewall(closed *atomic.Bool, answer string) func(verb string) string {
	return func(verb string) string {
		switch verb {
		case "EPSV", "PASV", "EPRT", "PORT":
			if closed.Load() {
				return answer
			}
		}
		return ""
	}
}

// TestAnUploadWhoseFinalReplyIsLostIsNotSentAgain: the control connection goes down while the last bytes are on their way, as
// it does behind a NAT that has forgotten it.
func TestAnUploadWhoseFinalReplyIsLostIsNotSentAgain(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up")
			relay := r.behind()
			lost := false
			relay.cut = func(reply string) bool {
				if relay.verbs["STOR"] == 0 || lost || !strings.HasPrefix(reply, "226") {
					return false
				}
				lost = true
				return true
			}
			fill(t, r.local, map[string]string{"a.bin": strings.Repeat("0123456789abcdef", 1<<16)})
			seen := &diary{}
			r.with(agent.Options{Observe: seen.add}, func(a *agent.Agent) {
				report, err := a.Pass(t.Context(), nil)
				if err != nil || report.ExitCode() != 0 || report.Syncs[0].Transferred != 1 {
					t.Errorf("pass: %+v, %v", report, err)
				}
			})
			if n := relay.count("STOR"); n != 1 || !lost {
				t.Errorf("STOR was sent %d times; a reply was lost: %v", n, lost)
			}
			if !r.equal() {
				t.Error("the file on the server is another one")
			}
			if !seen.has(func(a agent.Activity) bool {
				return a.Kind == agent.ActivityDone && a.Path == "a.bin" && strings.Contains(a.Verified, "on a new connection")
			}) {
				t.Errorf("not confirmed on a new connection: %+v", seen.entries)
			}
			r.mustBeInStep("afterwards")
		})
	}
}

// TestAServerWithoutDataChannelsIsLeftAlone, as a whole: its jobs are not tried one by one, nor blamed, and it is never
// given up, since networks heal.
func TestAServerWithoutDataChannelsIsLeftAlone(t *testing.T) {
	for _, answer := range []string{"500 Not through this firewall.", "425 No port left."} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			leftAlone(t, answer)
		})
	}
}

// leftAlone has a server with a process per session. When the firewall opens, some sessions go on by PASV and others by PORT,
// and with pyftpdlib 1.5.7 those of PASV then wait 30 s for a 421 now and then (TestAServerThatForgetsADataConnection).
func leftAlone(t *testing.T, answer string) {
	server := ftptest.Real(t, "proftpd", ftptest.RealOptions{})
	r := newRig(t, server, "up", "watch = true")
	relay := r.behind()
	var closed atomic.Bool
	relay.refuse = firewall(&closed, answer)
	var log bytes.Buffer
	seen, tried := &diary{}, 0
	paused := func(a agent.Activity) bool { return a.Kind == agent.ActivityPaused }
	r.with(agent.Options{Triggers: true, Observe: seen.add, Logger: slog.New(slog.NewJSONHandler(&log, nil))}, func(a *agent.Agent) {
		fill(t, r.local, map[string]string{"first.txt": "1"})
		eventually(t, "the first file arrives", r.equal)
		closed.Store(true)
		fill(t, r.local, many(100))
		eventually(t, "the server is left alone", func() bool { return seen.has(paused) })
		tried = relay.count("PASV")
		closed.Store(false)
		eventually(t, "all files arrive, by themselves", r.equal)
	})
	pauses := 0
	seen.has(func(a agent.Activity) bool {
		if paused(a) {
			pauses++
			if strings.Contains(a.Text, "\n") || !strings.Contains(a.Text, "no data channel") || !strings.Contains(a.Text, "next try in ") {
				t.Errorf("reason: %q", a.Text)
			}
		}
		if a.Kind == agent.ActivityRetry || a.Kind == agent.ActivityDead {
			t.Errorf("a job was blamed: %+v", a)
		}
		return false
	})
	// Each worker may have tried before it was known.
	if events := strings.Count(log.String(), `"msg":"paused"`); pauses == 0 || pauses > 4 || events != pauses {
		t.Errorf("%d pauses, %d events:\n%s", pauses, events, &log)
	}
	if accounts := strings.Count(log.String(), `{"host":"127.0.0.1"`); accounts != pauses {
		t.Errorf("%d pauses, and an account of %d:\n%s", pauses, accounts, &log)
	}
	if tried > 8 {
		t.Errorf("PASV was tried %d times", tried)
	}
}

// TestTheReasonForWantOfADataChannel is there for whoever looks at the queue, and in the report of a pass.
func TestTheReasonForWantOfADataChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}), "up")
	var closed atomic.Bool
	closed.Store(true)
	r.behind().refuse = firewall(&closed, "500 Not through this firewall.")
	fill(t, r.local, map[string]string{"a.txt": "a"})
	report := r.once()
	if !strings.Contains(report.Unavailable, "no data channel") || !strings.Contains(report.Unavailable, "PASV") || report.Blocked != "" ||
		!strings.HasSuffix(report.Unavailable, "for a closer look: ftpferry doctor real") {
		t.Errorf("report: %+v", report)
	}
	db := r.openState()
	defer db.Close()
	err := db.View(func(tx *state.Tx) error {
		jobs, err := queue.List(tx, queue.Filter{})
		if len(jobs) == 0 {
			t.Error("no job waits")
		}
		for _, job := range jobs {
			if !strings.Contains(job.LastError, "500 Not through this firewall") || job.Attempts > 0 || job.State == queue.Dead {
				t.Errorf("job %+v", job)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
