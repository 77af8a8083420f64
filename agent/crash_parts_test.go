package agent_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

var (
	partKills = flag.Int("kills", 3, "how often the agent is killed in each phase of a scan in parts")
	partSeed  = flag.Uint64("seed", 0, "what these kills begin with; 0 for the time")
	partBound = flag.Int("bound", 170, "how many jobs may be open meanwhile")
	partFiles = flag.Int("files", 600, "how many files there are meanwhile")
)

// asAgent makes the test binary be an agent of the configuration that it names, which makes a pass. With asAgentPerson
// a person says "approve" or "retry" first. The program itself has no way to make do with a smaller queue.
const (
	asAgent       = "FTPFERRY_TEST_AS_AGENT"
	asAgentBound  = "FTPFERRY_TEST_BOUND"
	asAgentPerson = "FTPFERRY_TEST_PERSON"
)

func beAgent() (exit int, err error) {
	cfg, err := config.Load(os.Getenv(asAgent), os.Getenv)
	if err != nil {
		return 0, err
	}
	db, err := state.Open(filepath.Join(cfg.Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var bound int
	if _, err := fmt.Sscan(os.Getenv(asAgentBound), &bound); err != nil {
		return 0, err
	}
	a := agent.New(cfg, db, agent.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	a.Bound(bound)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	switch os.Getenv(asAgentPerson) {
	case "approve":
		err = a.Approve(ctx, control.ApproveRequest{Syncs: []string{"s"}})
	case "retry":
		_, err = a.RetryJobs(ctx, control.JobFilter{State: string(queue.Dead)})
	}
	var report control.Report
	if err == nil {
		report, err = a.Pass(ctx, nil)
	}
	stop()
	if runErr := <-ended; runErr != nil {
		err = runErr
	}
	fmt.Printf("%+v\n", report)
	return report.ExitCode(), err
}

// cutShort is a rig whose agent is a process of its own, which is killed.
type cutShort struct {
	*rig
	random *rand.Rand
	kept   map[string]string // what the target must never be without
	last   queue.Job         // the scan, when it was killed last
	place  work.Progress     // how far that had come

	// How many kills met a scan that has written down a place, staged operations, their release.
	midScan, midStaged, midRelease int
	anew, parked                   int // scans and phases with something that was running in three crashes in a row
}

func (c *cutShort) source() string {
	if c.load().Syncs["s"].Direction == config.Up {
		return c.local
	}
	return c.remote
}

func (c *cutShort) target() string {
	if c.source() == c.local {
		return c.remote
	}
	return c.local
}

// start runs an agent.
func (c *cutShort) start(person string) *exec.Cmd {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), asAgent+"="+c.config, fmt.Sprintf("%s=%d", asAgentBound, *partBound), asAgentPerson+"="+person,
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	command.Stdout = &strings.Builder{}
	command.Stderr = &strings.Builder{}
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	return command
}

// killed runs an agent, kills it some times and then lets one go to its end, which must be that exit code. What was running
// in three kills in a row waits for a person then.
func (c *cutShort) killed(person string, most time.Duration, code int, allowed func(path string) bool) {
	c.t.Helper()
	for range *partKills {
		process := c.start(person)
		time.Sleep(time.Duration(c.random.Int64N(int64(most))))
		process.Process.Kill()
		process.Wait()
		if person != "" && c.approved() {
			person = ""
		}
		c.look()
		c.mustKeep(allowed)
	}
	got, out := c.toTheEnd(person)
	if got != code && strings.Contains(out, "was running in 3 crashes") {
		c.parked++
		got, out = c.toTheEnd("retry")
	}
	if got != code {
		c.t.Fatalf("exit code %d, want %d:\n%s", got, code, out)
	}
	c.mustKeep(allowed)
	c.last, c.place = queue.Job{}, work.Progress{}
}

func (c *cutShort) toTheEnd(person string) (code int, out string) {
	c.t.Helper()
	process := c.start(person)
	late := time.AfterFunc(2*time.Minute, func() { process.Process.Kill() })
	defer late.Stop()
	process.Wait()
	return process.ProcessState.ExitCode(), fmt.Sprint(process.Stdout, process.Stderr)
}

// approved reports whether the approval has been written down.
func (c *cutShort) approved() (yes bool) {
	c.stopped(func(_ *agent.Agent, db *state.DB) {
		err := db.View(func(tx *state.Tx) error {
			row, err := state.GetSync(tx, "s")
			yes = row.Halt == ""
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	})
	return yes
}

// look examines the state after a kill: a scan that was in the middle must be the same one as before, and have come as far.
func (c *cutShort) look() {
	c.t.Helper()
	c.stopped(func(_ *agent.Agent, db *state.DB) {
		if err := agent.CheckState(db, func(text string) { c.t.Errorf("after a kill: %s", text) }); err != nil {
			c.t.Fatal(err)
		}
		err := db.View(func(tx *state.Tx) error {
			counts, err := queue.Summary(tx, "s")
			if err != nil {
				return err
			}
			if open := counts.Due + counts.Waiting + counts.Running; open > *partBound {
				c.t.Errorf("%d jobs are open", open)
			}
			job, _, err := queue.Lookup(tx, work.KindScan, "s", "")
			if err != nil {
				return err
			}
			staged, err := state.CountStaged(tx, "s", uint64(job.ID))
			c.compare(job, staged)
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	})
}

func (c *cutShort) compare(job queue.Job, staged int) {
	c.t.Helper()
	var now work.Progress
	if len(job.Progress) > 0 {
		if err := json.Unmarshal(job.Progress, &now); err != nil {
			c.t.Fatal(err)
		}
	}
	gaveUp := c.last.State == queue.Running && c.last.Crashes+1 >= 3
	switch {
	case gaveUp && job.ID == c.last.ID:
		c.anew++
	case job.ID != c.last.ID || c.place.Began.IsZero():
	case !now.Began.Equal(c.place.Began):
		c.t.Errorf("scan %d began anew: %+v, before: %+v", job.ID, job, c.last)
	case now.Release != c.place.Release && !now.Release, !now.Release && now.Cursor.Looked < c.place.Cursor.Looked:
		c.t.Errorf("scan %d went back from %+v to %+v", job.ID, c.place, now)
	}
	switch {
	case now.Began.IsZero():
	case now.Release:
		c.midRelease++
	default:
		c.midScan++
	}
	if staged > 0 {
		c.midStaged++
	}
	c.last, c.place = job, now
}

// mustKeep compares the target with what it must keep. What it has beyond is whole, or else a temporary file.
func (c *cutShort) mustKeep(allowed func(path string) bool) {
	c.t.Helper()
	there, source := tree(c.t, c.target()), tree(c.t, c.source())
	for path, content := range c.kept {
		if now, ok := there[path]; now != content && (!ok || now != source[path]) {
			c.t.Errorf("%s: %q at the target (%v), was %q", path, now, ok, content)
		}
	}
	for path, content := range there {
		_, was := c.kept[path]
		if strings.Contains(path, ".ftpferry-") || strings.HasSuffix(path, "/") || was {
			continue
		}
		if content != source[path] && !allowed(path) {
			c.t.Errorf("%s: %q at the target", path, content)
		}
	}
}

// TestKilledInTheMiddleOfAScan kills the agent while scans are under way that come in parts, run out of room in the queue
// and stage what the guard has to see first: first contact, and the loss of most files, which a person approves. The
// next start goes on where the scan was; nothing is deleted that should not be, nothing is done twice, nothing is left.
func TestKilledInTheMiddleOfAScan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ server, direction string }{{"vsftpd", "up"}, {"proftpd", "down"}} {
		t.Run(c.server+" "+c.direction, func(t *testing.T) {
			t.Parallel()
			seed := *partSeed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			t.Logf("-seed %d", seed)
			r := &cutShort{rig: newRig(t, ftptest.Real(t, c.server, ftptest.RealOptions{}), c.direction), random: rand.New(rand.NewPCG(seed, 2))}
			r.firstContact()
			r.massDeletion()
			t.Logf("of %d kills %d met a scan in the middle, %d its release, %d staged operations; %d scans were given up, in %d phases jobs were parked",
				3**partKills, r.midScan, r.midRelease, r.midStaged, r.anew, r.parked)
			if r.midScan+r.midRelease == 0 || r.midStaged == 0 {
				t.Error("no kill met a scan in the middle: the test shows nothing")
			}
			r.mustBeDone()
		})
	}
}

const filesInFolder = 50

func partPath(i int) string { return fmt.Sprintf("d%04d/file %d", i/filesInFolder, i) }

// firstContact has the target hold every fourth file already.
func (c *cutShort) firstContact() {
	grown := map[string]string{}
	for i := range *partFiles {
		grown[partPath(i)] = partPath(i)
	}
	c.kept = maps.Clone(grown)
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	fill(c.t, c.source(), grown)
	for i := range *partFiles {
		if i%4 != 0 {
			delete(c.kept, partPath(i))
		}
	}
	fill(c.t, c.target(), c.kept)
	for _, root := range []string{c.source(), c.target()} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o777)
			} else if err == nil {
				err = os.Chtimes(path, old, old)
			}
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	c.killed("", 700*time.Millisecond, control.ExitDone, func(string) bool { return false })
	if !c.equal() {
		c.t.Fatalf("after first contact:\n%s", cmp.Diff(tree(c.t, c.source()), tree(c.t, c.target())))
	}
}

// massDeletion removes two of three folders, and adds and edits files besides.
func (c *cutShort) massDeletion() {
	c.kept = tree(c.t, c.target())
	lost := map[string]bool{}
	for i := range *partFiles / filesInFolder {
		if folder := fmt.Sprintf("d%04d", i); i%3 != 0 {
			if err := os.RemoveAll(filepath.Join(c.source(), folder)); err != nil {
				c.t.Fatal(err)
			}
			lost[folder] = true
		}
	}
	for i := 0; i < *partFiles; i += filesInFolder * 3 {
		fill(c.t, c.source(), map[string]string{partPath(i): "edited", fmt.Sprintf("new %d/file", i): "new", partPath(i) + " new": "new too"})
		if err := os.Chmod(filepath.Join(c.source(), fmt.Sprintf("new %d", i)), 0o777); err != nil {
			c.t.Fatal(err)
		}
	}
	none := func(string) bool { return false }
	c.killed("", 300*time.Millisecond, control.ExitNeedsPerson, none) // halted: everything is there still
	maps.DeleteFunc(c.kept, func(path, _ string) bool {
		folder, _, _ := strings.Cut(path, "/")
		return lost[folder]
	})
	c.killed("approve", 700*time.Millisecond, control.ExitDone, func(path string) bool {
		folder, _, _ := strings.Cut(path, "/")
		return lost[folder]
	})
}

// mustBeDone: both sides are equal, nothing is left to be done or lies about, nothing was done twice.
func (c *cutShort) mustBeDone() {
	c.t.Helper()
	if diff := cmp.Diff(tree(c.t, c.source()), tree(c.t, c.target())); diff != "" {
		c.t.Errorf("source (-) and target (+) differ:\n%s", diff)
	}
	c.mustBeInStep("in the end")
	c.stopped(func(_ *agent.Agent, db *state.DB) {
		expectStaged(c.t, db, false)
		err := db.View(func(tx *state.Tx) error {
			rows, _, err := state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
			done := map[string]uint64{}
			for _, h := range rows {
				what := fmt.Sprintf("%s of %s, %d bytes", h.Op, h.Path, h.Bytes)
				if before, twice := done[what]; twice && h.Result == "done" && h.Bytes > 0 {
					c.t.Errorf("%s: by job %d and by job %d", what, before, h.Job)
				}
				done[what] = h.Job
			}
			return err
		})
		if err != nil {
			c.t.Error(err)
		}
	})
}
