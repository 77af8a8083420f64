package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

var (
	kills = flag.Int("kills", 4, "how often the program is killed, for each server and direction")
	seed  = flag.Uint64("seed", 0, "what the kills and the churn begin with; 0 for the time")
)

// TestKilledAtAnyTime kills the program with SIGKILL, as the service or in a pass, at random times while a tree changes,
// over lines so slow that many of the kills are in the middle of a file. Then all is quiet: both sides must be equal, no
// torn file may ever have been visible, no temporary file be left, nothing have been sent twice.
func TestKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+"/"+direction, func(t *testing.T) {
				t.Parallel()
				start := *seed
				if start == 0 {
					start = uint64(time.Now().UnixNano())
				}
				t.Logf("-seed %d", start)
				killLoop(t, name, direction, start)
			})
		}
	}
}

func killLoop(t *testing.T, name, direction string, seed uint64) {
	throttle := 4 << 20
	if name == "pyftpdlib" {
		throttle = 1 << 20 // it lets what two seconds are worth pass at once, which must be less than the biggest files
	}
	server := ftptest.Real(t, name, ftptest.RealOptions{Throttle: throttle})
	rules := "max_delete = \"100%\"\n"
	if direction == "up" {
		rules += "watch = true\n"
	}
	g := newPair(t, server, plot{direction: direction, settings: "connections = 3", rules: rules})
	random := rand.New(rand.NewPCG(seed, 0))
	c := newChurn(t, g.source(), rand.New(rand.NewPCG(seed, 1)))
	quiet := c.begin()
	endObserver := c.observe(g.target())
	midData := 0
	for i := range *kills {
		mode := []string{"once", "run"}[random.IntN(2)]
		before := temporary(g.target())
		running := []process{g.start(mode)}
		// Passes take from some tens of milliseconds to some seconds: spread the kills over all of it.
		wait := time.Duration(random.Int64N(int64(300*time.Millisecond) << (i % 4)))
		time.Sleep(wait / 2)
		if random.IntN(2) == 0 || mode == "run" && direction == "down" {
			running = append(running, g.start("once")) // through the one that runs; it goes on alone when that is gone
		}
		if time.Sleep(wait / 2); i%3 != 0 {
			awaitData(g.target(), before)
			time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		}
		for _, program := range running {
			program.kill()
		}
		if g.cutOff() {
			midData++
		}
	}
	quiet()
	finish(t, g)
	read := endObserver()
	t.Logf("%d kills, %d of them in the middle of a file; %d changes at the source, %d contents seen at the target", *kills, midData, c.steps, read)
	if read == 0 {
		t.Error("nothing was ever seen at the target")
	}
	if *kills >= 20 && midData < *kills/3 {
		t.Error("too few kills were in the middle of a file")
	}
	g.mustBeEqual("after the last pass")
	if left := temporary(g.target()); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	g.mustRun(0, []string{"nothing to do"}, "plan")
	g.mustBeSound()
	g.look(nothingTwice(t))
}

// awaitData waits, not for long, until a big temporary file grows that was not there before.
func awaitData(target string, before map[string]int64) {
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for path, size := range temporary(target) {
			if _, old := before[path]; !old && size > 200_000 {
				return
			}
		}
	}
}

// cutOff reports whether a transfer was in the middle of its data when the program was killed: its job counts as running,
// and under the temporary name that it has written down is a part of what it was to transfer.
func (g *pair) cutOff() (cut bool) {
	if db, err := state.Open(g.stateFile(), state.Options{ReadOnly: true}); errors.Is(err, fs.ErrNotExist) {
		return false // killed before there was any
	} else if err == nil {
		db.Close()
	}
	g.look(func(tx *state.Tx) error {
		jobs, err := queue.List(tx, queue.Filter{State: queue.Running})
		for _, job := range jobs {
			op, err := plan.DecodeOp(job.Payload)
			if job.Temp == "" || err != nil {
				continue
			}
			info, err := os.Stat(filepath.Join(g.target(), filepath.FromSlash(job.Temp)))
			cut = cut || err == nil && info.Size() > 0 && info.Size() < max(op.Local.Entry.Size, op.Remote.Entry.Size)
		}
		return err
	})
	return cut
}

// finish makes passes until all is in step. What was running in three kills in a row waits for a person, who has it tried
// again.
func finish(t *testing.T, g *pair) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		code, out := g.run("once")
		if code == 0 {
			return
		}
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "ftpferry: warning") {
				t.Logf("pass %d after the last kill: %s", attempt, line)
			}
			// Killed before the first commit, and the source went away. No other halt is right here: what the agent itself deletes
			// last is one path at a time, so no kill leaves a folder empty of which more is known.
			if strings.Contains(line, "HALTED: first contact") {
				g.mustRun(0, nil, "approve", "s")
			}
			if strings.Contains(line, "  parked:") && !strings.Contains(line, "was running in 3 crashes") {
				t.Errorf("parked without a reason")
			}
		}
		if attempt == 4 {
			t.Fatalf("pass %d after the last kill: exit code %d\n%s", attempt, code, out)
		}
		if code == 1 {
			g.mustRun(0, nil, "queue", "retry", "--state", "dead")
		}
	}
}

// nothingTwice looks for transfers of a version of a file that was in the baseline already.
func nothingTwice(t *testing.T) func(tx *state.Tx) error {
	return func(tx *state.Tx) error {
		sent, transfers := map[string]state.History{}, 0
		rows, _, err := state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
		for _, h := range rows {
			transfer := (h.Op == "upload" || h.Op == "download") && h.Result == "done" && h.Bytes > 0
			if !transfer || !strings.HasSuffix(h.Path, ".bin") {
				continue
			}
			transfers++
			version := fmt.Sprintf("%s of %d bytes", h.Path, h.Bytes)
			if before, twice := sent[version]; twice {
				t.Errorf("%s was transferred twice: by job %d at %s, and by job %d at %s", version, before.Job, before.When, h.Job, h.When)
			}
			sent[version] = h
		}
		t.Logf("%d transfers", transfers)
		return err
	}
}
