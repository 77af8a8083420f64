package agent_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

func hashing(t *testing.T) *ftptest.RealServer {
	return ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}})
}

// pair puts a file of seven bytes on both sides, hours old, and never of one time.
func (m *moveRig) pair(here, there, content, remote string) {
	m.t.Helper()
	fill(m.t, m.local, map[string]string{here: content})
	fill(m.t, m.remote, map[string]string{there: remote})
	older(m.t, filepath.Join(m.local, here), 2*time.Hour)
	older(m.t, filepath.Join(m.remote, there), 30*time.Hour)
}

// TestAComparisonIsTold: by the plan, by explain while it waits, and by the history once both sides are in step.
func TestAComparisonIsTold(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, hashing(t), "both", `conflict = "ask"`)
	m.pair("same", "same", "content", "content")
	const reason = "differs on both sides; in step if both hold the same"
	planned := m.planned()
	if len(planned.Ops) != 1 || planned.Ops[0].Action != "compare" || planned.Ops[0].Reason != reason {
		t.Errorf("planned %+v", planned)
	}
	m.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Settle = 26 * time.Hour } // from the newer one on
	m.with(agent.Options{}, func(a *agent.Agent) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := a.FullPass(ctx, nil)
			ended <- err
		}()
		defer func() { <-ended }()
		defer stop()
		var e control.Explanation
		eventually(t, "it waits", func() bool {
			var err error
			e, err = a.Explain(ctx, "s", "same")
			return err == nil && len(e.Jobs) > 0
		})
		if len(e.Jobs) != 1 || e.Jobs[0].Kind != "compare" || e.Jobs[0].Why != reason {
			t.Errorf("explain: %+v", e)
		}
		overview, err := a.Status(ctx, control.StatusFilter{})
		if err != nil || len(overview.Syncs) != 1 || overview.Syncs[0].Jobs.Waiting != 1 {
			t.Errorf("status: %+v, %v", overview.Syncs, err)
		}
	})
	if m.hashes() > 0 {
		t.Error("compared before it was quiet")
	}
}

// TestWhatWasAdoptedIsInTheHistory once, with how it was found out.
func TestWhatWasAdoptedIsInTheHistory(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, hashing(t), "both", `conflict = "ask"`)
	m.pair("same", "same", "content", "content")
	for range 2 {
		m.once()
	}
	rows := m.history(control.HistoryFilter{Sync: "s", Path: "same"})
	if len(rows) != 1 || rows[0].Op != "compare" || rows[0].Result != "done" || rows[0].Verified != "content" || rows[0].Bytes != 0 {
		t.Errorf("%+v", rows)
	}
}

// TestAHashThatIsRefused leaves all as it is without hashes, and is asked for once.
func TestAHashThatIsRefused(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, hashing(t), "both", `conflict = "ask"`)
	m.pair("same", "same", "content", "content")
	m.relay.refuse = func(verb string) string {
		if strings.HasPrefix(verb, "XSHA") || strings.HasSuffix(verb, "MD5") || verb == "HASH" || verb == "XCRC" {
			return "550 not today"
		}
		return ""
	}
	asked := 0
	for pass := range 3 {
		report := m.once()
		if !slices.Equal(pathsOf(report.Conflicts), []string{"same"}) || report.Adopted > 0 {
			t.Errorf("pass %d: %+v", pass, report)
		}
		if pass == 0 {
			asked = m.hashes()
		}
	}
	if asked == 0 || m.hashes() != asked || m.conflictsTold("same") != 1 {
		t.Errorf("asked %d times, and then %d, told %d times", asked, m.hashes(), m.conflictsTold("same"))
	}
}

// TestWhoeverWinsIsNotSentWhereBothHoldTheSame: changed on both sides to the same, by two people.
func TestWhoeverWinsIsNotSentWhereBothHoldTheSame(t *testing.T) {
	for _, conflict := range []string{"copy", "newer", "local", "remote"} {
		t.Run(conflict, func(t *testing.T) {
			t.Parallel()
			m := newMoveRig(t, hashing(t), "both", fmt.Sprintf("conflict = %q", conflict))
			fill(t, m.local, map[string]string{"same": "1", "other": "1"})
			m.mustBeInStep("first pass")
			sent := m.relay.count("STOR") + m.relay.count("RETR")
			m.pair("same", "same", "content", "content")
			first := m.once()
			if now := m.relay.count("STOR") + m.relay.count("RETR"); now != sent || first.Transferred != 0 {
				t.Errorf("transferred: %+v", first)
			}
			if next := m.mustBeInStep("another pass"); next.Transferred > 0 {
				t.Errorf("another pass: %+v", next)
			}
			if got := fmt.Sprint(tree(t, m.local), tree(t, m.remote)); strings.Count(got, "same:content") != 2 || strings.Contains(got, "conflict") {
				t.Error(got)
			}
		})
	}
}

// TestASourceGoesThatWasComparedFirst: what is at the target already is not sent again before the source goes.
func TestASourceGoesThatWasComparedFirst(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, hashing(t), "up", `on_foreign_change = "keep"`, `after_upload = "delete"`)
	m.set("delete = true", "delete = false")
	m.adjust = nil // nothing is moved where sources go
	m.pair("same", "same", "content", "content")
	m.pair("other", "other", "content", "another")
	if report := m.once(); !slices.Equal(pathsOf(report.Conflicts), []string{"other"}) {
		t.Errorf("%+v", report)
	}
	if here, there := fmt.Sprint(tree(t, m.local)), fmt.Sprint(tree(t, m.remote)); here != "map[other:content]" || there != "map[other:another same:content]" || m.relay.count("STOR") > 0 {
		t.Errorf("here %s, there %s, %d sent", here, there, m.relay.count("STOR"))
	}
}

// TestANameOfItsOwnOnTheServer is the one that is compared.
func TestANameOfItsOwnOnTheServer(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, hashing(t), "up", `on_foreign_change = "keep"`, `remote_name = "{stem}-sent{ext}"`)
	m.set("delete = true", "delete = false")
	m.adjust = nil
	m.pair("same.txt", "same-sent.txt", "content", "content")
	if report := m.once(); report.Adopted != 1 || len(report.Conflicts) > 0 || m.relay.count("STOR") > 0 {
		t.Errorf("%+v", report)
	}
}

// TestSourcesThatAreNotReadyAreNotCompared: on the side that they come from.
func TestSourcesThatAreNotReadyAreNotCompared(t *testing.T) {
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			m := newMoveRig(t, hashing(t), direction, `on_foreign_change = "keep"`, `ready = "{name}.ok"`)
			m.set("delete = true", "delete = false")
			source := m.local
			if direction == "down" {
				source = m.remote
			}
			m.pair("same", "same", "content", "content")
			if report := m.once(); len(report.Held) != 1 || m.hashes() > 0 {
				t.Errorf("not ready: %+v", report)
			}
			fill(t, source, map[string]string{"same.ok": ""})
			if report := m.once(); len(report.Held) > 0 || report.Adopted != 1 || m.relay.count("STOR")+m.relay.count("RETR") > 0 {
				t.Errorf("ready: %+v", report)
			}
		})
	}
}

// TestSeveralServersCompareEachForItself: one tells what it has, the other does not.
func TestSeveralServersCompareEachForItself(t *testing.T) {
	t.Parallel()
	second := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	m := newMoveRig(t, hashing(t), "up", `on_foreign_change = "keep"`)
	m.adjust = nil
	m.set(`server = "real"`, `server = ["real", "second"]`)
	m.set(m.server.RemoteRoot+"/site", "site")
	text, err := os.ReadFile(m.config)
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Appendf(text, "[server.second]\naddress = %q\nuser = %q\npassword = %q\ntls = \"none\"\n", second.Addr, second.User, second.Password)
	if err := os.WriteFile(m.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	m.pair("same", "same", "content", "content")
	there := filepath.Join(second.Root, "site")
	fill(t, there, map[string]string{"same": "content"})
	older(t, filepath.Join(there, "same"), 30*time.Hour)
	m.with(agent.Options{}, func(a *agent.Agent) {
		report, err := a.FullPass(t.Context(), []string{"s"})
		if err != nil || len(report.Syncs) != 2 {
			t.Fatalf("%+v, %v", report, err)
		}
		if of := report.Syncs[0]; of.Adopted != 1 || len(of.Conflicts) > 0 {
			t.Errorf("with hashes: %+v", of)
		}
		if of := report.Syncs[1]; of.Adopted != 0 || !slices.Equal(of.Conflicts, []control.PathReason{{Path: state.Text("same"), Reason: of.Conflicts[0].Reason}}) {
			t.Errorf("without: %+v", of)
		}
	})
}
