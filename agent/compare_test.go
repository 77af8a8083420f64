package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// hashes is how many hashes the server was asked for.
func (m *moveRig) hashes() (count int) {
	for _, verb := range []string{"HASH", "XSHA512", "XSHA256", "XSHA1", "XSHA", "XMD5", "MD5", "XCRC"} {
		count += m.relay.count(verb)
	}
	return count
}

// older sets the time of a file back.
func older(t *testing.T, full string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by).Truncate(time.Second)
	if err := os.Chtimes(full, at, at); err != nil {
		t.Fatal(err)
	}
}

// conflictsTold are the conflicts in the history of a path.
func (r *rig) conflictsTold(path string) (told int) {
	for _, row := range r.history(control.HistoryFilter{Sync: "s", Path: state.Text(path)}) {
		if row.Result == "conflict" {
			told++
		}
	}
	return told
}

func sorted(list []control.PathReason) []control.PathReason {
	return slices.SortedFunc(slices.Values(list), func(a, b control.PathReason) int { return strings.Compare(string(a.Path), string(b.Path)) })
}

var askingSyncs = []struct{ name, direction, option string }{
	{"both, ask", "both", `conflict = "ask"`},
	{"up, keep", "up", `on_foreign_change = "keep"`},
	{"up, conflict", "up", `on_foreign_change = "conflict"`},
	{"down, keep", "down", `on_foreign_change = "keep"`},
}

// meet puts files on both sides that were never in step: one of the same content, one of other content of the same size, and one of
// another size.
func (m *moveRig) meet() {
	fill(m.t, m.local, map[string]string{"d/same": "content", "d/other": "content", "longer": "content"})
	fill(m.t, m.remote, map[string]string{"d/same": "content", "d/other": "another", "longer": "more of it"})
	for i, name := range []string{"d/same", "d/other", "longer"} {
		older(m.t, filepath.Join(m.local, name), time.Duration(i+1)*time.Hour)
		older(m.t, filepath.Join(m.remote, name), time.Duration(i+30)*time.Hour)
	}
}

// TestEqualFilesAreNoConflict where the server tells what they hold, whatever their times are. What differs is compared once, told
// once, and compared again when it has changed.
func TestEqualFilesAreNoConflict(t *testing.T) {
	for _, sync := range askingSyncs {
		t.Run(sync.name, func(t *testing.T) {
			t.Parallel()
			m := newMoveRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}}), sync.direction, sync.option)
			m.meet()
			planned := m.planned()
			if planned.Totals.Actions["compare"] != 2 || len(planned.Ops) != 2 || len(planned.Note) != 1 || m.hashes() > 0 {
				t.Errorf("planned %+v, %+v", planned.Ops, planned.Note)
			}
			first := m.once() // adopts the folder too
			if got := pathsOf(first.Conflicts); first.Adopted != 2 || !slices.Equal(got, []string{"d/other", "longer"}) {
				t.Errorf("first pass: %+v", first)
			}
			asked := m.hashes()
			if asked != 2 {
				t.Errorf("%d hashes", asked)
			}
			for range 2 {
				next := m.once()
				if next.Adopted != 0 || !slices.Equal(sorted(next.Conflicts), sorted(first.Conflicts)) {
					t.Errorf("another pass: %+v, after %+v", next, first)
				}
			}
			if now := m.hashes(); now != asked || m.conflictsTold("d/other") != 1 || m.conflictsTold("d/same") != 0 {
				t.Errorf("%d hashes later, told %d times, %d of what is the same", now-asked, m.conflictsTold("d/other"), m.conflictsTold("d/same"))
			}
			m.tellsOf("after three passes", "conflict", "d/other", "longer")
			side, content := m.remote, "content"
			if sync.direction == "down" {
				side, content = m.local, "another"
			}
			fill(t, side, map[string]string{"d/other": content})
			older(t, filepath.Join(side, "d/other"), 50*time.Hour)
			if report := m.once(); report.Adopted != 1 || !slices.Equal(pathsOf(report.Conflicts), []string{"longer"}) {
				t.Errorf("after a person has made both the same: %+v", report)
			}
			if m.relay.count("STOR")+m.relay.count("RETR") > 0 {
				t.Error("something was transferred")
			}
			m.tellsOf("in the end", "conflict", "longer")
		})
	}
}

// TestConflictsWithoutHashes are left to a person at once, as nothing but a transfer tells what the server has.
func TestConflictsWithoutHashes(t *testing.T) {
	for _, sync := range askingSyncs {
		t.Run(sync.name, func(t *testing.T) {
			t.Parallel()
			m := newMoveRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}), sync.direction, sync.option)
			m.meet()
			planned := m.planned()
			report := m.once() // adopts the folder
			if got := pathsOf(report.Conflicts); report.Adopted != 1 || len(planned.Ops) != 0 || !slices.Equal(got, []string{"d/other", "d/same", "longer"}) {
				t.Errorf("planned %+v, %+v", planned.Ops, report)
			}
			for _, c := range report.Conflicts {
				if !strings.Contains(c.Reason, "until a person") {
					t.Errorf("%+v", c)
				}
			}
			if m.relay.count("STOR")+m.relay.count("RETR")+m.hashes() > 0 {
				t.Error("something was transferred, or a hash asked for")
			}
		})
	}
}
