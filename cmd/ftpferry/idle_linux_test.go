package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// The full size is "-run TestAnIdleAgentCostsLittle -idle 100000 -idle-time 1m", without -race.
var (
	idleFiles = flag.Int("idle", 1000, "how many files the idle agent watches, 20 in each folder")
	idleTime  = flag.Duration("idle-time", 2*time.Second, "how long it is watched itself")
)

// TestAnIdleAgentCostsLittle lets the service watch files in which nothing happens: less than 60 MB, and next to no time of the
// processor.
func TestAnIdleAgentCostsLittle(t *testing.T) {
	most := 60_000 // kilobytes
	if *idleFiles < 100_000 {
		most *= 2 // with the race detector, that alone may be as much
	}
	const share = 0.05 // of one processor
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	g := newPair(t, server, plot{direction: "up", rules: "watch = true\n"})
	for i := range *idleFiles / 20 {
		folder := filepath.Join(fmt.Sprint(i%50), fmt.Sprint("folder with a usual name ", i))
		for _, root := range []string{g.local, g.remote} {
			if err := os.MkdirAll(filepath.Join(root, folder), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		for f := range 20 {
			rel := filepath.Join(folder, fmt.Sprintf("a file with a usual name %02d.html", f))
			if err := os.WriteFile(filepath.Join(g.local, rel), nil, 0o666); err != nil {
				t.Fatal(err)
			}
			// In step from the start: the same times.
			if err := os.Link(filepath.Join(g.local, rel), filepath.Join(g.remote, rel)); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := g.start("run")
	for end := time.Now().Add(patience + time.Duration(*idleFiles)*5*time.Millisecond); !g.idle(*idleFiles); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the files are not in step, or not watched")
		}
	}
	var used time.Duration
	for range 10 { // at first connections may be closed, which takes long on a machine that does other things too
		before := processorTime(t, p.Process.Pid)
		time.Sleep(*idleTime)
		if used = processorTime(t, p.Process.Pid) - before; float64(used) <= share*float64(*idleTime) {
			break
		}
	}
	now, peak := memory(t, p.Process.Pid, "VmRSS:"), peakMemory(t, p.Process.Pid)
	anonymous, files := memory(t, p.Process.Pid, "RssAnon:"), memory(t, p.Process.Pid, "RssFile:")
	t.Logf("%d files: %d kB now (%d its own, %d of files), %d kB at most; %v of the processor in %v", *idleFiles, now, anonymous, files, peak, used, *idleTime)
	if now > most {
		t.Errorf("%d kB, the most is %d", now, most)
	}
	if float64(used) > share*float64(*idleTime) {
		t.Errorf("%v of the processor in %v", used, *idleTime)
	}
	p.kill()
}

// idle asks the service whether that many files are in step and watched, and there is nothing to do.
func (g *pair) idle(files int) bool {
	g.t.Helper()
	_, out := g.run("status", "--json")
	_, out, _ = strings.Cut(out, "[") // after warnings
	var list []control.SyncStatus
	if json.Unmarshal([]byte("["+out), &list) != nil || len(list) != 1 || list[0].Watch == nil {
		return false
	}
	s := list[0]
	return s.State == control.StateInStep && s.Known >= files && s.Jobs.Running+s.Jobs.Due+s.Jobs.Waiting == 0 &&
		s.Watch.Folders > files/20 && s.Watch.State != control.WatchStarting
}

// processorTime returns what a process has used. The kernel counts in hundredths of a second (proc(5), USER_HZ).
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
