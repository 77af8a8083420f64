package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestFilesThatSayThatOthersAreComplete on all servers, in both directions: what has none beside it stays where it is and is named,
// what has one goes, and takes it along where sources go.
func TestFilesThatSayThatOthersAreComplete(t *testing.T) {
	source := map[string]string{"a.csv": "1", "b.csv": "2", "sub/c.csv": "3", "sub/c.txt": "4", "sub/d.csv": "5"}
	says := map[string]string{"a.done": "", "sub/c.done": "", "alone.done": ""}
	arrived := map[string]string{"a.csv": "1", "sub/": "", "sub/c.csv": "3", "sub/c.txt": "4"}
	for i, test := range []struct {
		direction string
		options   []string
		left      map[string]string // at the source
	}{
		{"up", nil, nil},
		{"up", []string{`after_upload = "delete"`}, map[string]string{"alone.done": "", "b.csv": "2", "sub/": "", "sub/d.csv": "5"}},
		{"down", []string{`after_download = { move = "gone/{stem}/" }`}, map[string]string{
			"alone.done": "", "b.csv": "2", "sub/": "", "sub/d.csv": "5",
			"gone/": "", "gone/a/": "", "gone/a/a.csv": "1", "gone/a/a.done": "",
			"gone/c/": "", "gone/c/sub/": "", "gone/c/sub/c.csv": "3", "gone/c/sub/c.txt": "4", "gone/c/sub/c.done": "",
		}},
		{"down", []string{`after_download = "delete"`, "claim = true"}, map[string]string{"alone.done": "", "b.csv": "2", "sub/": "", "sub/d.csv": "5"}},
	} {
		name := ftptest.RealServers[i]
		t.Run(name+": "+test.direction+" "+strings.Join(test.options, " "), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), test.direction, append(test.options, `ready = "{stem}.done"`)...)
			r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Settle = time.Hour } // which nobody waits for
			setOption(t, r, "delete = true", "delete = false")
			from, to := r.local, r.remote
			if test.direction == "down" {
				from, to = to, from
			}
			fill(t, from, source)
			fill(t, from, says)
			report := r.once()
			if code := exit(report); code != control.ExitDone {
				t.Errorf("exit code %d: %+v", code, report)
			}
			held := map[string]string{}
			for _, h := range report.Held {
				held[string(h.Path)] = h.Reason
			}
			if diff := cmp.Diff(map[string]string{"b.csv": "waiting for b.done", "sub/d.csv": "waiting for d.done"}, held); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(arrived, tree(t, to)); diff != "" {
				t.Errorf("at the target (-want +got):\n%s", diff)
			}
			if test.left != nil {
				if diff := cmp.Diff(test.left, tree(t, from)); diff != "" {
					t.Errorf("at the source (-want +got):\n%s", diff)
				}
			}
			fill(t, from, map[string]string{"b.done": ""})
			if report := r.once(); report.Transferred != 1 || len(report.Held) != 1 {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestTheNextVersionWaitsForTheNextOne: what was said of a file holds for the version that was there, and a watch that sees the file
// that says so looks at what it is about.
func TestTheNextVersionWaitsForTheNextOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "watch = true", `ready = "{name}.ok"`, `include = ["*.csv"]`)
	r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Settle = time.Hour }
	put := func(name, text string, at time.Time) {
		path := filepath.Join(r.local, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	first := time.Now().Add(-time.Hour)
	has := func() string {
		content, _ := os.ReadFile(filepath.Join(r.remote, "a.csv"))
		return string(content)
	}
	r.with(agent.Options{Triggers: true}, func(a *agent.Agent) {
		put("a.csv", "1", first)
		eventually(t, "it is held", func() bool { return heldOf(t, a)["a.csv"] == "waiting for a.csv.ok" })
		e, err := a.Explain(t.Context(), "s", "a.csv")
		if err != nil || !strings.Contains(e.Next, "waiting for a.csv.ok") {
			t.Errorf("next: %q, %v", e.Next, err)
		}
		put("a.csv.ok", "", first)
		eventually(t, "it is sent", func() bool { return has() == "1" })
		eventually(t, "it is not held any more", func() bool { return len(heldOf(t, a)) == 0 })
		put("a.csv", "22", first.Add(time.Minute))
		eventually(t, "the next one is held", func() bool { return strings.HasPrefix(heldOf(t, a)["a.csv"], "waiting for a new a.csv.ok") })
		overview, err := a.Status(t.Context(), control.StatusFilter{})
		list := overview.Syncs
		if err != nil || list[0].State != control.StateWaiting || len(list[0].Notes) > 0 || control.StatusExitCode(list) != control.ExitDone {
			t.Errorf("%+v, %v", list, err)
		}
		if has() != "1" {
			t.Errorf("the server has %q", has())
		}
		put("a.csv.ok", "", first.Add(time.Minute))
		eventually(t, "the next one is sent", func() bool { return has() == "22" })
		put("b.csv", "3", first)
		eventually(t, "another one is held", func() bool { return len(heldOf(t, a)) == 1 })
		if err := os.Remove(filepath.Join(r.local, "b.csv")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what is gone is not held", func() bool { return len(heldOf(t, a)) == 0 })
	})
}

// heldOf are the files that status names as incomplete.
func heldOf(t *testing.T, a *agent.Agent) map[string]string {
	t.Helper()
	overview, err := a.Status(t.Context(), control.StatusFilter{})
	list := overview.Syncs
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	held := map[string]string{}
	for _, h := range list[0].Held {
		held[string(h.Path)] = h.Reason
	}
	if list[0].HeldAll != len(list[0].Held) {
		t.Errorf("%d files are held, and %d named", list[0].HeldAll, len(list[0].Held))
	}
	return held
}
