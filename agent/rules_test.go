package agent

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhatLeadsToALookAtBothSides has each field of a sync's configuration: it is one of its rules or known not to be.
func TestWhatLeadsToALookAtBothSides(t *testing.T) {
	others := []string{
		"Name", "Family", "Enabled", "Server", "Local", "Remote", "Direction", "RemoteName", // which are those of its identity
		"Watch", "WatchPoll", "Schedules", "Rescan", "Poll", "Recheck", "RecheckAbove", "Settle", "Marker", "MaxDelete", "TrashKeep", // when, not what
		"Verify", "Moves", "Atomic", "TempPrefix", "TempSuffix", "Mode", "Claim", "Transfers", "Allowed", "Hooks", "Expects", // how
	}
	zone := time.FixedZone("X", 3600)
	plain := func() (*config.Config, *config.Sync) {
		s := &config.Sync{Name: "s", Server: "acme", Direction: config.Up, Include: []string{"**"}}
		return &config.Config{Servers: map[string]*config.Server{"acme": {Name: "acme"}}}, s
	}
	was := rulesOf(plain())
	if was != rulesOf(plain()) {
		t.Error("the same rules are others")
	}
	sync := reflect.TypeFor[config.Sync]()
	for i := range sync.NumField() {
		name := sync.Field(i).Name
		cfg, changed := plain()
		field := reflect.ValueOf(changed).Elem().Field(i)
		switch field.Interface().(type) {
		case []string:
			field.Set(reflect.ValueOf([]string{"other"}))
		case bool:
			field.SetBool(true)
		case int64, time.Duration:
			field.SetInt(77)
		case string:
			field.SetString("other")
		case config.After:
			field.Set(reflect.ValueOf(config.After{Move: template(t, "done")}))
			moved := rulesOf(cfg, changed)
			field.Set(reflect.ValueOf(config.After{Delete: true}))
			if rulesOf(cfg, changed) == moved || moved == was {
				t.Errorf("%s is no rule in full", name)
			}
		default:
			if !slices.Contains(others, name) {
				t.Fatalf("%s is neither a rule nor known not to be", name)
			}
			continue
		}
		if is := name != "Server" && rulesOf(cfg, changed) != was; name != "Server" && is == slices.Contains(others, name) {
			t.Errorf("a change of %s leads to a look at both sides: %v", name, is)
		}
	}
	for what, change := range map[string]func(*config.Server){
		"the encoding of names":     func(s *config.Server) { s.Encoding = "latin1" },
		"the time zone of listings": func(s *config.Server) { s.ListTimeZone = zone },
	} {
		cfg, s := plain()
		change(cfg.Servers["acme"])
		if rulesOf(cfg, s) == was {
			t.Errorf("with %s what is on the server looks different, and nobody would look", what)
		}
	}
}

// TestOtherRulesAreAppliedAtTheStart to what is on both sides, once.
func TestOtherRulesAreAppliedAtTheStart(t *testing.T) {
	same := rulesOf(breakerConfig(), breakerConfig().Syncs["up"])
	for sentence, row := range map[string]struct {
		rules  string
		full   bool // a full scan was finished
		middle bool // one is in the middle
		asked  bool // the agent only does what it is asked to
		scans  int
	}{
		"the rules of last time": {rules: same, full: true},
		"other rules":            {rules: "other", full: true, scans: 1},
		"those that an older version did not write down": {full: true, scans: 1},
		"other rules, while nobody asks for this sync":   {rules: "other", full: true, asked: true},
		"other rules before anything was in step":        {rules: "other"},
		"other rules in the middle of the first scan":    {rules: "other", middle: true, scans: 2},
		"the same ones in the middle of a scan":          {rules: same, middle: true, scans: 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(queue.Job) work.Outcome { return done })
				b.update(func(tx *state.Tx) error {
					known := state.SyncState{Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Rules: row.rules, Server: "acme"}
					if row.full {
						known.LastFullScan = b.now()
					}
					return state.PutSync(tx, "up", known)
				})
				if row.middle {
					b.enqueue(work.KindScan, "up", b.now(), "")
					b.update(func(tx *state.Tx) error {
						jobs, err := queue.Claim(tx, b.now(), queue.Request{Server: "acme", Limit: 1})
						if err != nil || len(jobs) != 1 {
							t.Fatalf("%d jobs, %v", len(jobs), err)
						}
						data, err := json.Marshal(work.Progress{Began: b.now()})
						if err != nil {
							return err
						}
						return queue.Save(tx, b.now(), jobs[0].ID, data)
					})
				}
				b.serves = !row.asked
				for range 2 { // the second start has the rules of the first one
					b.run(func() { time.Sleep(time.Minute) })
				}
				scans := 0
				for _, try := range b.between(time.Time{}, time.Now(), "up") {
					if try.job.Kind == work.KindScan {
						scans++
					}
				}
				if scans != row.scans {
					t.Errorf("%d looks at both sides, want %d", scans, row.scans)
				}
				if applied := b.syncRow("up").Rules == same; applied == row.asked {
					t.Errorf("the rules count as applied: %v", applied)
				}
			})
		})
	}
}
