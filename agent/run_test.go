package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		code, err := beAgent()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 70
		}
		os.Exit(code)
	}
	ftptest.WaitTogether()
	goleak.VerifyTestMain(m)
}

// diary collects activities.
type diary struct {
	mu      sync.Mutex
	entries []agent.Activity
}

func (d *diary) add(a agent.Activity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, a)
}

func (d *diary) has(match func(agent.Activity) bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.entries {
		if match(a) {
			return true
		}
	}
	return false
}

// patience is for what has to come: as long as the machine may be busy with other things.
const patience = 6 * time.Minute

// eventually waits for something that real servers and file systems do in their own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		began := time.Now()
		if ok() {
			return
		}
		time.Sleep(max(10*time.Millisecond, 4*time.Since(began))) // a look at a large tree must not be all that goes on
	}
	t.Fatalf("waited in vain: %s", what)
}

func (r *rig) equal() bool {
	return cmp.Equal(tree(r.t, r.local), tree(r.t, r.remote))
}

// openState opens the state file while no agent runs.
func (r *rig) openState() *state.DB {
	r.t.Helper()
	db, err := state.Open(filepath.Join(r.load().Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	return db
}

func TestAScheduleMissedWhileDownIsMadeUpFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", `schedule = ["@daily"]`)
	db := r.openState()
	// Yesterday and a bit: the run of last midnight was missed.
	err := db.Update(func(tx *state.Tx) error {
		return state.PutSchedule(tx, "s", "@daily", state.Schedule{LastFired: time.Now().Add(-25 * time.Hour)})
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	fill(t, r.local, map[string]string{"a/b.txt": "from before"})
	seen := &diary{}
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(*agent.Agent) {
		eventually(t, "the file arrives", r.equal)
	})
	if !seen.has(func(a agent.Activity) bool {
		return a.Kind == agent.ActivityTriggered && a.Text == "schedule @daily"
	}) {
		t.Error("the schedule did not trigger")
	}
	// What fired is written down: the next start has nothing to make up for.
	again := &diary{}
	r.with(agent.Options{Triggers: true, Observe: again.add}, func(a *agent.Agent) {
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
	if again.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityTriggered }) {
		t.Error("the schedule triggered again")
	}
}

func TestAServerThatGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up", "watch = true")
	seen := &diary{}
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(*agent.Agent) {
		fill(t, r.local, map[string]string{"first.txt": "1"})
		eventually(t, "the first file arrives", r.equal)
		server.Stop()
		fill(t, r.local, map[string]string{"second.txt": "2", "third/file.txt": "3"})
		eventually(t, "the server is left alone", func() bool {
			return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityPaused })
		})
		server.Start()
		eventually(t, "the other files arrive", r.equal)
	})
	if seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityDead }) {
		t.Error("a job was parked because the server was away")
	}
}

func TestAFileThatChangesDuringItsUploadArrivesWhole(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	r := newRig(t, server, "up", "watch = true")
	path := filepath.Join(r.local, "growing.bin")
	piece := strings.Repeat("0123456789abcdef", 1<<14)
	r.with(agent.Options{Triggers: true}, func(*agent.Agent) {
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for range 40 {
			if _, err := file.WriteString(piece); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond) // a program that writes for a while
		}
		eventually(t, "the last state arrives", r.equal)
	})
}

func TestATargetWithALeftOverOfThisAgentIsCleaned(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}), "up")
	db := r.openState()
	instance := db.Instance()
	db.Close()
	fill(t, r.local, map[string]string{"a.txt": "a"})
	fill(t, r.remote, map[string]string{
		"." + "a.txt.ftpferry-" + instance + "-ff": "half a file of a job that is no more",
		".b.txt.ftpferry-00c0ffee-1":               "another agent's",
	})
	os.Chmod(filepath.Join(r.remote, ".a.txt.ftpferry-"+instance+"-ff"), 0o666)
	r.once()
	want := map[string]string{"a.txt": "a", ".b.txt.ftpferry-00c0ffee-1": "another agent's"}
	if diff := cmp.Diff(want, tree(t, r.remote)); diff != "" {
		t.Errorf("on the server (-want +got):\n%s", diff)
	}
}

func TestASecondVersionWithinTheMinuteOfAListing(t *testing.T) {
	t.Parallel()
	// vsftpd lists minutes only. Two versions of one size within a minute look the same.
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "down")
	at := time.Now().Add(-time.Hour).Truncate(time.Minute)
	for i, text := range []string{"one", "two"} {
		fill(t, r.remote, map[string]string{"a.txt": text})
		when := at.Add(time.Duration(i+1) * time.Second)
		if err := os.Chtimes(filepath.Join(r.remote, "a.txt"), when, when); err != nil {
			t.Fatal(err)
		}
		r.once()
		if diff := cmp.Diff(map[string]string{"a.txt": text}, tree(t, r.local)); diff != "" {
			t.Errorf("version %d (-want +got):\n%s", i+1, diff)
		}
	}
}

func TestASecondVersionWithinTheSecondOfAServersTime(t *testing.T) {
	t.Parallel()
	// Servers tell whole seconds: what is there looks like the new version, but is the old one.
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i, text := range []string{"one", "two"} {
		fill(t, r.local, map[string]string{"a.txt": text})
		when := at.Add(time.Duration(i+1) * 100 * time.Millisecond)
		if err := os.Chtimes(filepath.Join(r.local, "a.txt"), when, when); err != nil {
			t.Fatal(err)
		}
		r.mustBeInStep(text)
	}
}

func TestAFolderWithSomethingNewInItIsNotDeletedUnseen(t *testing.T) {
	t.Parallel()
	// The folder goes here while somebody puts an excluded file into it on the server: the
	// look that follows the event does not see it, the worker does.
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", "watch = true", `exclude = ["*.keep"]`)
	fill(t, r.local, map[string]string{"folder/a.txt": "a", "other.txt": "o"})
	r.mustBeInStep("first pass")
	fill(t, r.remote, map[string]string{"folder/mine.keep": "somebody's"})
	seen := &diary{}
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(a *agent.Agent) {
		eventually(t, "the watch stands", func() bool {
			return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityScanned })
		})
		remove(t, r.local, "folder")
		eventually(t, "the file in it is deleted", func() bool {
			_, err := os.Lstat(filepath.Join(r.remote, "folder/a.txt"))
			return os.IsNotExist(err)
		})
		report, err := a.Pass(t.Context(), nil)
		if err != nil || report.ExitCode() != 0 {
			t.Errorf("pass: %+v, %v", report, err)
		}
	})
	if diff := cmp.Diff(map[string]string{"folder/": "", "folder/mine.keep": "somebody's", "other.txt": "o"}, tree(t, r.remote)); diff != "" {
		t.Errorf("on the server (-want +got):\n%s", diff)
	}
}

func TestARemoteFolderThatDoesNotExistYetIsMade(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up")
			remove(t, r.remote, "")
			setOption(t, r, `//site"`, `/not/there yet/site"`)
			r.remote = filepath.Join(r.server.Root, "not/there yet/site")
			r.once() // nothing to send: the folder alone is made
			if _, err := os.Stat(r.remote); err != nil {
				t.Errorf("an empty sync: %v", err)
			}
			fill(t, r.local, map[string]string{"a.txt": "a", "b/c.txt": "c"})
			r.mustBeInStep("the first files")
		})
	}
}

func TestASourceThatDoesNotExist(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	remove(t, r.local, "")
	report := r.once()
	if len(report.Unknown) != 1 || !strings.Contains(report.Unknown[0].Reason, "source folder does not exist") {
		t.Errorf("report: %+v", report)
	}
	if err := os.Mkdir(r.local, 0o777); err != nil {
		t.Fatal(err)
	}
	fill(t, r.local, map[string]string{"a.txt": "a"})
	r.mustBeInStep("when it is there")
}
