package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAQueueOfTheKernelThatOverflows has more happen in a watched folder than the kernel keeps for a program, which is stopped
// meanwhile. Of what changed last there is no event; it is found all the same, and not by the look that is due every hour.
func TestAQueueOfTheKernelThatOverflows(t *testing.T) {
	t.Parallel()
	g := newPair(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), plot{direction: "up", rules: "watch = true\nrescan = \"1h\"\nwatch_poll = \"1h\"\nmax_delete = \"100%\"\n"})
	files := map[string]int{}
	for i := range 30 {
		files[fmt.Sprintf("%d/%d", i%3, i)] = 1
	}
	fill(t, g.local, files)
	p := g.start("run")
	defer p.kill()
	g.until(p, "the files are in step and watched", func() bool { return g.idle(len(files)) })

	tell(t, p, syscall.SIGSTOP)
	g.until(p, "it stands still", func() bool { return stopped(t, p.Process.Pid) })
	limit := queuedEvents(t)
	fill(t, g.local, map[string]int{"0/told": 1})
	busy := filepath.Join(g.local, "0", "busy")
	for range limit { // an event each for what is made and for what is removed: twice the limit
		write(t, busy, "")
		if err := os.Remove(busy); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, g.local, map[string]int{"1/1": 2, "2/untold": 1, "new/nested/untold": 1})
	if err := os.Remove(filepath.Join(g.local, "0", "0")); err != nil {
		t.Fatal(err)
	}
	tell(t, p, syscall.SIGCONT)
	g.until(p, "all is there", g.equal)
	if says := p.out.String(); !strings.Contains(says, "overflow") || !strings.Contains(says, "fs.inotify.max_queued_events") {
		t.Errorf("it does not tell of the overflow:\n%s", says)
	}

	// The folder that nobody told of is watched like the others.
	fill(t, g.local, map[string]int{"new/nested/told": 1})
	g.until(p, "what came later is there", g.equal)
	s := g.status()
	if s.Rescans > 0 || s.OnlyByRescan > 0 {
		t.Errorf("%d looks that were only due have found %d changes", s.Rescans, s.OnlyByRescan)
	}
}

// until waits for what has to come.
func (g *pair) until(p process, what string, is func() bool) {
	g.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("not so: %s\n%s", what, p.out)
		}
	}
}

func (g *pair) equal() bool { return cmp.Equal(hashes(g.t, g.local), hashes(g.t, g.remote)) }

// status is what the running program says about its sync.
func (g *pair) status() (s control.SyncStatus) {
	g.t.Helper()
	_, out := g.run("status", "--json")
	_, list, _ := strings.Cut(out, "[") // after warnings
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(list), "]")), &s); err != nil {
		g.t.Fatalf("%v:\n%s", err, out)
	}
	return s
}

func tell(t *testing.T, p process, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// stopped reports whether none of the threads of a process runs.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal("no threads ", err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(rest, "T") { // proc(5)
			return false
		}
	}
	return true
}

// queuedEvents is how many events the kernel keeps for a program that does not read them.
func queuedEvents(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return limit
}
