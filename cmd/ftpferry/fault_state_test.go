package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// someFiles are enough for a state of many pages.
func someFiles() map[string]int {
	files := map[string]int{"empty": 0, "big": 100_000}
	for i := range 60 {
		files[fmt.Sprintf("folder %d/file %d", i%4, i)] = i + 1
	}
	return files
}

// eachDirection runs a test up and down, each in folders of its own on one server.
func eachDirection(t *testing.T, name string, test func(t *testing.T, server *ftptest.RealServer, direction string)) {
	t.Parallel()
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			test(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction)
		})
	}
}

// inStep is a pair with some files that are in step.
func inStep(t *testing.T, server *ftptest.RealServer, p plot) *pair {
	t.Helper()
	g := newPair(t, server, p)
	fill(t, g.source(), someFiles())
	g.mustRun(0, []string{"62 transferred"}, "once")
	return g
}

// mustBeUntouched sees to it that use changes nothing on either side.
func (g *pair) mustBeUntouched(use func()) {
	g.t.Helper()
	local, remote := hashes(g.t, g.local), hashes(g.t, g.remote)
	use()
	if diff := cmp.Diff(local, hashes(g.t, g.local)) + cmp.Diff(remote, hashes(g.t, g.remote)); diff != "" {
		g.t.Errorf("this changed something:\n%s", diff)
	}
}

func TestStateOfAnotherAgent(t *testing.T) {
	t.Parallel()
	g := inStep(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), plot{direction: "up"})
	db, err := state.Open(g.stateFile(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.mustBeUntouched(func() {
		for _, command := range []string{"once", "run", "plan"} {
			g.mustRun(75, []string{g.stateFile(), "another agent is running"}, command)
		}
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	g.mustBeInStep("when the other one is gone")
}

// TestDamagedState has the state file damaged in ways that show: the program says so and how to go on, touches nothing, and
// goes on when the file is moved away, without a transfer.
func TestDamagedState(t *testing.T) {
	noise := func(n int) []byte { return bytes.Repeat([]byte("no state "), n/9+1)[:n] }
	damages := []struct {
		name   string
		damage func(content []byte) []byte
	}{
		{"cut to three pages", func(c []byte) []byte { return c[:3*os.Getpagesize()] }},
		{"cut to a few bytes", func(c []byte) []byte { return c[:100] }},
		{"something else", func(c []byte) []byte { return noise(len(c)) }},
		{"both meta pages lost", func(c []byte) []byte { return slices.Concat(noise(2*os.Getpagesize()), c[2*os.Getpagesize():]) }},
		{"only the meta pages left", func(c []byte) []byte {
			return slices.Concat(c[:2*os.Getpagesize()], noise(len(c)-2*os.Getpagesize()))
		}},
	}
	eachDirection(t, "pyftpdlib", func(t *testing.T, server *ftptest.RealServer, direction string) {
		g := inStep(t, server, plot{direction: direction})
		sound, err := os.ReadFile(g.stateFile())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range damages {
			write(t, g.stateFile(), string(d.damage(sound)))
			g.mustBeUntouched(func() {
				for _, command := range []string{"once", "plan"} {
					code, out := g.run(command)
					if code != 1 || !strings.Contains(out, g.stateFile()) || !strings.Contains(out, "move it away and start again") || strings.Contains(out, "goroutine ") {
						t.Errorf("%s, %s: exit code %d, want 1 and a way out:\n%s", d.name, command, code, out)
					}
				}
			})
			if err := os.Rename(g.stateFile(), g.stateFile()+".bad"); err != nil {
				t.Fatal(err)
			}
			g.mustBeUntouched(func() { g.mustRun(0, []string{"s: in step; 66 found in step"}, "once") })
		}
	})
}

// TestDamageThatMayNotShow writes noise over some of the pages: whatever the program makes of it, it ends by itself and
// nothing is lost on either side.
func TestDamageThatMayNotShow(t *testing.T) {
	eachDirection(t, "pyftpdlib", func(t *testing.T, server *ftptest.RealServer, direction string) {
		g := inStep(t, server, plot{direction: direction})
		sound, err := os.ReadFile(g.stateFile())
		if err != nil {
			t.Fatal(err)
		}
		page := os.Getpagesize()
		codes := map[int]int{}
		const turns = 8 // in all of them together every page is met, also those few that are in use
		for n := range turns {
			random := rand.New(rand.NewPCG(uint64(n), 0))
			damaged := slices.Clone(sound)
			for i := 2 * page; i < len(damaged); i++ {
				if i/page%turns == n && (n%2 == 0 || random.IntN(64) == 0) {
					damaged[i] = byte(random.Uint32())
				}
			}
			write(t, g.stateFile(), string(damaged))
			g.mustBeUntouched(func() {
				code, out := g.run("once")
				codes[code]++
				if code < 0 || code == 2 || strings.Contains(out, "goroutine ") {
					t.Errorf("every eighth page from %d on damaged: exit code %d:\n%s", n, code, out)
				}
			})
		}
		t.Logf("exit codes: %v", codes)
		if codes[1] == 0 {
			t.Error("no damage was noticed: the test shows nothing")
		}
	})
}

// TestLostState has no state at all any more, with delete = true: what is equal is taken as it is, what is missing is
// transferred, and nothing is deleted, not even what is at the target alone: that has to wait for a person.
func TestLostState(t *testing.T) {
	eachDirection(t, "vsftpd", func(t *testing.T, server *ftptest.RealServer, direction string) {
		g := inStep(t, server, plot{direction: direction})
		lose := func() {
			if err := os.RemoveAll(g.states); err != nil {
				t.Fatal(err)
			}
		}
		lose()
		for _, missing := range []string{"big", "folder 1/file 5"} {
			if err := os.Remove(filepath.Join(g.target(), missing)); err != nil {
				t.Fatal(err)
			}
		}
		g.mustRun(0, []string{"s: in step; 2 transferred", "64 found in step"}, "once")
		g.mustBeEqual("after the state was lost")

		lose()
		fill(t, g.target(), map[string]int{"extra/of somebody": 7})
		g.mustBeUntouched(func() { g.mustRun(1, []string{"s: HALTED", "approve s"}, "once") })
	})
}

// TestPoisonedJobs puts jobs into the state that nobody can carry out: the others go on, and a person is told, by every
// pass, until that person drops them. Their bytes are kept until then.
func TestPoisonedJobs(t *testing.T) {
	const garbage = `{"id": what`
	eachDirection(t, "pyftpdlib", func(t *testing.T, server *ftptest.RealServer, direction string) {
		g := inStep(t, server, plot{direction: direction})
		ids := map[string]queue.ID{}
		g.change(func(tx *state.Tx) error {
			for _, kind := range []string{"dance", "upload", "download", "delete_local"} {
				added, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: kind, Sync: "s", Server: "real", Path: kind + " row", Payload: []byte("[]")})
				if err != nil {
					return err
				}
				ids[kind] = added.Added[0]
			}
			jobs := tx.Table("queue/jobs")
			if err := jobs.Put(binary.BigEndian.AppendUint64(nil, 1<<40), []byte("of nobody")); err != nil {
				return err
			}
			return jobs.Put(binary.BigEndian.AppendUint64(nil, uint64(ids["upload"])), []byte(garbage))
		})
		fill(t, g.source(), map[string]int{"new": 3})
		g.mustRun(1, []string{"s: needs a person; 1 transferred"}, "once")
		reasons := []string{
			"parked: dance row", `unknown kind of job: "dance"`, "parked: upload row", "the row cannot be read",
			"parked: download row", "parked: delete_local row", "unknown kind of job: payload",
			fmt.Sprintf("parked: job-%d: unreadable", 1<<40),
		}
		for range 2 {
			g.mustRun(1, append(reasons, "s: needs a person; nothing done"), "once")
			g.mustBeEqual("beside the poisoned jobs")
			g.mustBeSound()
		}
		g.look(func(tx *state.Tx) error {
			if row, _ := queue.Poison(tx, ids["upload"]); string(row) != garbage {
				t.Errorf("of the unreadable row %q is kept", row)
			}
			for _, kind := range []string{"dance", "download", "delete_local"} {
				if job, _, err := queue.Get(tx, ids[kind]); err != nil || job.State != queue.Dead || string(job.Payload) != "[]" {
					t.Errorf("%s: %+v, %v", kind, job, err)
				}
			}
			return nil
		})
		g.mustRun(0, []string{"5 jobs dropped"}, "queue", "drop", "--all")
		g.mustBeInStep("when a person has dropped them")
	})
}

// change writes to the state while no program runs.
func (g *pair) change(write func(tx *state.Tx) error) {
	g.t.Helper()
	db, err := state.Open(g.stateFile(), state.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	if err := errors.Join(db.Update(write), db.Close()); err != nil {
		g.t.Fatal(err)
	}
}

// TestThreeCrashes takes the agent down three times while it is at the same file: that one is left alone then, until it
// changes, and everything else goes on.
func TestThreeCrashes(t *testing.T) {
	eachDirection(t, "proftpd", func(t *testing.T, server *ftptest.RealServer, direction string) {
		tap := newTap(t, server.Addr)
		g := newPair(t, server, plot{direction: direction, address: tap.address, settings: "connections = 1"})
		fill(t, g.source(), map[string]int{"fatal": 100_000, "other": 1})
		transfer := map[string]string{"up": "STOR", "down": "RETR"}[direction]
		for range 3 {
			stopped := tap.stopAt(func(seen []line) bool {
				last := seen[len(seen)-1]
				return last.reply != "" && last.verb() == transfer && strings.Contains(last.command, "fatal")
			})
			program := g.start("once", "-v")
			wait(t, "the end of the transfer", stopped)
			program.kill()
			tap.goOn()
		}
		fill(t, g.source(), map[string]int{"more": 1})
		for range 2 {
			g.mustRun(1, []string{"s: needs a person", "parked: fatal", "was running in 3 crashes"}, "once")
			if _, err := os.Stat(filepath.Join(g.target(), "more")); err != nil {
				t.Error(err)
			}
		}
		fill(t, g.source(), map[string]int{"fatal": 90_000})
		g.mustBeInStep("after an edit")
	})
}
