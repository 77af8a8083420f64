package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// moveRig is a sync whose commands are counted.
type moveRig struct {
	*rig
	relay *relay
}

func newMoveRig(t *testing.T, server *ftptest.RealServer, direction string, more ...string) *moveRig {
	t.Helper()
	relay := newRelay(t, server.Addr)
	server.Addr = relay.address
	m := &moveRig{rig: newRig(t, server, direction, more...), relay: relay}
	m.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Moves = true }
	return m
}

// anyNumber of renames: a new folder may have the number of one that was removed, which nobody can tell from a renamed one in
// which everything was changed.
const anyNumber = -1

// step makes a pass, another one that must find nothing to do, and says how many transfers were begun and how many files and
// folders renamed.
func (m *moveRig) step(what string, transfers, renames int) {
	m.t.Helper()
	verb := "STOR"
	if strings.Contains(what, "on the server") {
		verb = "RETR"
	}
	before := m.relay.count(verb)
	report := m.mustBeInStep(what)
	if got := m.relay.count(verb) - before; got != transfers {
		m.t.Errorf("%s: %d x %s, want %d", what, got, verb, transfers)
	}
	if report.Renamed != renames && renames != anyNumber {
		m.t.Errorf("%s: %d renamed, want %d", what, report.Renamed, renames)
	}
}

func rename(t *testing.T, root, from, to string) {
	t.Helper()
	target := filepath.Join(root, to)
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Dir(target), 0o777)
	if err := os.Rename(filepath.Join(root, from), target); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, root, from, to string) {
	t.Helper()
	if err := os.Link(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
		t.Fatal(err)
	}
}

// copyWithTimes is cp -p.
func copyWithTimes(t *testing.T, root, from, to string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, from))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(root, from))
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(root, to)
	if err := os.WriteFile(target, content, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(target, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestRenamesHere renames files and folders in the local folder. What is only renamed is not sent again.
func TestRenamesHere(t *testing.T) {
	for _, test := range []struct {
		server, direction string
		files             int
	}{{"vsftpd", "up", 90}, {"proftpd", "both", 30}} {
		t.Run(test.server+"/"+test.direction, func(t *testing.T) {
			t.Parallel()
			renamesHere(t, newMoveRig(t, ftptest.Real(t, test.server, ftptest.RealOptions{}), test.direction), test.files)
		})
	}
}

func renamesHere(t *testing.T, m *moveRig, files int) {
	content := map[string]string{"a": "a", "b": "bb", "c": "ccc", "d": "dddd", "e": "eeeee", "A.txt": "upper case", "old/x": "x", "old/deep/y": "y"}
	for i := range files {
		content[fmt.Sprintf("folder/%d/%03d", i%3, i)] = fmt.Sprint("content ", i)
	}
	fill(t, m.local, content)
	old := time.Now().Add(-time.Hour)
	for rel := range content {
		old = old.Add(time.Second)
		setTime(t, m.local, rel, old)
	}
	m.step("first pass", len(content), 0)

	rename(t, m.local, "a", "a renamed")
	m.step("a file", 0, 1)
	rename(t, m.local, "a renamed", "another folder/ä")
	m.step("a file, into a new folder", 0, 1)
	rename(t, m.local, "another folder/ä", "1")
	rename(t, m.local, "1", "0/2")
	rename(t, m.local, "0/2", "3")
	m.step("a chain of renames between two passes", 0, 1)
	rename(t, m.local, "A.txt", "a.txt")
	m.step("only the case", 0, 1)

	rename(t, m.local, "folder", "zz")
	m.step("a folder with many files", 0, 1)
	rename(t, m.local, "zz", "in/a/folder")
	fill(t, m.local, map[string]string{"in/a/folder/0/000": "edited at once", "in/a/folder/0/new": "new at once"})
	remove(t, m.local, "in/a/folder/1/001")
	m.step("a folder in which files are edited, new and deleted", 2, 1)
	rename(t, m.local, "in/a/folder/2", "two")
	rename(t, m.local, "in/a/folder", "three")
	m.step("a folder and one that was in it", 0, 2)

	rename(t, m.local, "b", "b renamed")
	fill(t, m.local, map[string]string{"b renamed": "renamed and edited"})
	m.step("a file that was edited at once", 1, 0)
	rename(t, m.local, "c", "tmp")
	rename(t, m.local, "d", "c")
	rename(t, m.local, "tmp", "d")
	m.step("two names swapped", 2, 0)
	rename(t, m.local, "c", "d")
	m.step("over a file that was in step", 1, 0)
	link(t, m.local, "e", "e linked")
	m.step("a second link is no rename", 1, 0)
	remove(t, m.local, "e")
	m.step("the first link gone", 0, 0)
	copyWithTimes(t, m.local, "e linked", "e copied")
	remove(t, m.local, "e linked")
	m.step("a copy with the same time, and the original gone", 1, 0)
	link(t, m.local, "d", "d 1")
	link(t, m.local, "d", "d 2")
	remove(t, m.local, "d")
	m.step("two links in place of one name", 1, 1)

	remove(t, m.local, "old")
	fill(t, m.local, map[string]string{"old 2/x": "another", "old 2/deep/y": "others"})
	m.step("a new folder in place of one that was removed", 2, anyNumber)
}

// TestRenamesOnTheServer renames files and folders there. What tells that it is the same is the fact "unique", or else a hash;
// where there is neither, it is transferred.
func TestRenamesOnTheServer(t *testing.T) {
	for _, test := range []struct {
		server, direction string
		options           ftptest.RealOptions
		told              bool // files are told apart
	}{
		{"proftpd", "down", ftptest.RealOptions{}, true},
		{"proftpd", "both", ftptest.RealOptions{}, true},
		{"pyftpdlib", "down", ftptest.RealOptions{}, true},
		{"vsftpd", "both", ftptest.RealOptions{}, false},
	} {
		t.Run(fmt.Sprintf("%s/%s/told=%v", test.server, test.direction, test.told), func(t *testing.T) {
			t.Parallel()
			m := newMoveRig(t, ftptest.Real(t, test.server, test.options), test.direction, "max_delete = 1000")
			content := map[string]string{"a": "a", "b": "bb"}
			for i := range 20 {
				content[fmt.Sprintf("folder/%d/%03d", i%3, i)] = fmt.Sprint("content ", i)
			}
			fill(t, m.remote, content)
			for rel := range content {
				setTime(t, m.remote, rel, time.Now().Add(-time.Hour))
			}
			m.step("first pass on the server", len(content), 0)
			sent := map[bool]int{true: 0, false: 1}[test.told]
			rename(t, m.remote, "a", "z/a renamed")
			m.step("a file on the server", sent, 1-sent)
			rename(t, m.remote, "folder", "0/new folder")
			if test.told {
				m.step("a folder on the server", 0, 1)
			} else {
				m.step("a folder on the server", 20, 0)
			}
			rename(t, m.remote, "b", "b edited")
			fill(t, m.remote, map[string]string{"b edited": "edited at once"})
			m.step("a file that was edited at once on the server", 1, 0)
			if test.direction == "both" {
				rename(t, m.local, "0/new folder", "renamed here")
				rename(t, m.remote, "z/a renamed", "renamed there")
				m.step("one here and one on the server", sent, 2-sent)
			}
		})
	}
}

// TestRenamesThatDoNotGoThrough: a lost reply is found out, what is refused is transferred, and what was renamed on both sides
// before anybody wrote that down is recognized, even on servers that cannot set times.
func TestRenamesThatDoNotGoThrough(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := ftptest.RealOptions{}
			if name == "proftpd" {
				options.Deny = []string{"MFMT"}
			}
			m := newMoveRig(t, ftptest.Real(t, name, options), "up")
			fill(t, m.local, map[string]string{"a": "a", "b": "bb", "f/1": "1", "f/2": "22", "f/3": "333"})
			m.step("first pass", 5, 0)

			once := func(prefix string) func(string) bool {
				done := false
				return func(line string) bool {
					now := !done && strings.HasPrefix(line, prefix)
					done = done || now
					return now
				}
			}
			m.relay.cut = once("250 Rename successful")
			rename(t, m.local, "a", "z")
			m.step("the reply is lost", 0, 1)
			m.relay.cut = once("250 Rename successful")
			rename(t, m.local, "f", "g")
			m.step("the reply about a folder is lost", 0, 1)
			m.relay.cut = nil

			first := once("RNFR")
			m.relay.refuse = func(verb string) string {
				if first(verb) {
					return "550 no"
				}
				return ""
			}
			rename(t, m.local, "b", "b 2")
			m.step("refused", 1, 0)
			first = once("RNFR")
			rename(t, m.local, "g", "h")
			m.step("a folder, refused: each file in it goes by itself", 0, 3)

			for _, root := range []string{m.local, m.remote} {
				rename(t, root, "b 2", "both/b")
				rename(t, root, "h", "both/h")
			}
			m.step("renamed on both sides", 0, 0)
		})
	}
}

// looks tells apart what a watch has led to.
type looks struct {
	mu        sync.Mutex
	moved     int  // renames on the server that are written down
	deletions int  // planned by the last look
	torn      bool // a look planned nothing but deletions
	planned   int  // by the last look, whatever it is
}

func (l *looks) add(a agent.Activity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case a.Kind == agent.ActivityScanned:
		l.end()
	case a.Kind == agent.ActivityQueued:
		l.planned++
		if a.Action == string(plan.DeleteRemote) {
			l.deletions++
		}
	case a.Kind == agent.ActivityDone && a.Action == string(plan.MoveRemote):
		l.moved++
	}
}

// end is where the last look ends and the next one begins.
func (l *looks) end() {
	l.torn = l.torn || l.planned > 0 && l.planned == l.deletions
	l.planned, l.deletions = 0, 0
}

// since returns what has happened, and begins anew if that is asked for.
func (l *looks) since(anew bool) (moved int, torn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved, torn = l.moved, l.torn || l.planned > 0 && l.planned == l.deletions
	if anew {
		l.end()
		l.moved, l.torn = 0, false
	}
	return moved, torn
}

// TestRenamesAreNoticed renames while the agent watches. The system tells of the old name first: where a look comes between that and
// the new one, which takes a machine that is busy with other things, what is there under the new name is sent. Then it is renamed again.
func TestRenamesAreNoticed(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}), "up", "watch = true")
	fill(t, m.local, map[string]string{"a": "a", "f/1": "1", "f/g/2": "22"})
	m.step("first pass", 3, 0)
	var looks looks
	m.with(agent.Options{Triggers: true, Observe: looks.add}, func(a *agent.Agent) {
		pass := func() {
			if _, err := a.Pass(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		// follows renames here, and returns whether that was done on the server.
		follows := func(from, to string) bool {
			looks.since(true)
			before := m.relay.count("STOR")
			rename(t, m.local, from, to)
			// Only what is written down can be followed further.
			eventually(t, fmt.Sprintf("%q is %q on the server too", from, to), func() bool {
				moved, torn := looks.since(false)
				return (moved > 0 || torn) && m.equal()
			})
			moved, torn := looks.since(false)
			if torn {
				pass()
				moved, _ = looks.since(false) // the server may have renamed it before that was written down
			}
			sent := m.relay.count("STOR") - before
			if sent != 0 && !torn {
				t.Errorf("%q is %q: %d files were sent", from, to, sent)
			}
			return moved > 0 && sent == 0
		}
		pass()
		for _, names := range [][2]string{{"a", "0"}, {"0", "z"}, {"f", "0 f"}, {"0 f", "z f"}, {"z", "z f/g/in"}, {"z f/g", "out"}} {
			for tries := 1; !follows(names[0], names[1]); tries++ {
				if tries == 10 {
					t.Fatalf("%q is %q: the file is sent, each time", names[0], names[1])
				}
				follows(names[1], names[0])
			}
		}
	})
	m.step("afterwards", 0, 0)
}

// TestARenameDuringARename has a look at the new name after the server has renamed it and before that is written down. What the
// look does not know of is looked at again.
func TestARenameDuringARename(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}), "up", "watch = true")
	fill(t, m.local, map[string]string{"a": "a"})
	m.step("first pass", 1, 0)
	looked := make(chan struct{}, 100)
	observe := func(a agent.Activity) {
		if a.Kind == agent.ActivityScanned {
			looked <- struct{}{}
		}
	}
	done := false
	var again atomic.Bool // the second rename was made and noticed: before that both sides may be equal for a moment
	m.relay.cut = func(reply string) bool {
		if !done && strings.HasPrefix(reply, "250 Rename successful") {
			done = true
			for len(looked) > 0 {
				<-looked
			}
			rename(t, m.local, "0", "z")
			select {
			case <-looked:
			case <-time.After(patience):
				t.Error("nobody looked")
			}
			again.Store(true)
		}
		return false
	}
	m.with(agent.Options{Triggers: true, Observe: observe}, func(a *agent.Agent) {
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		rename(t, m.local, "a", "0")
		eventually(t, "both renames are done on the server", func() bool { return again.Load() && m.equal() })
	})
	m.step("afterwards", 0, 0)
}

// TestACopyIsComparedByHash: another file of the same size and time is the same only if the server says so.
func TestACopyIsComparedByHash(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}}), "up")
	fill(t, m.local, map[string]string{"a": "a", "b": "b"})
	m.step("first pass", 2, 0)
	copyWithTimes(t, m.local, "a", "a copied")
	remove(t, m.local, "a")
	m.step("the same content", 0, 1)
	copyWithTimes(t, m.local, "b", "b copied")
	info, err := os.Stat(filepath.Join(m.local, "b"))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, m.local, map[string]string{"b copied": "c"})
	setTime(t, m.local, "b copied", info.ModTime())
	remove(t, m.local, "b")
	m.step("another content of the same size and time", 1, 0)
}

// TestRenamesAreNotFollowedIfNotWanted: with moves = false the file is sent under its new name, and goes under its old one.
func TestRenamesAreNotFollowedIfNotWanted(t *testing.T) {
	t.Parallel()
	m := newMoveRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", "moves = false")
	m.adjust = nil
	fill(t, m.local, map[string]string{"a": "something to recognize it by", "b": "stays"})
	m.step("first pass", 2, 0)
	rename(t, m.local, "a", "c")
	before := m.relay.count("STOR")
	report := m.once()
	if got := m.relay.count("STOR") - before; got != 1 || report.Transferred != 1 || report.Deleted != 1 || report.Renamed != 0 {
		t.Errorf("%d x STOR, %+v", got, report)
	}
	m.mustBeInStep("later")
}
