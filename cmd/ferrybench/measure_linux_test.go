package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestPeakIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"Name:\tlftp\nVmPeak:\t  90 kB\nVmHWM:\t    2132 kB\nVmRSS:\t 1 kB\n": 2132 << 10,
		"Name:\tgone\nState:\tZ\n": 0,
		"VmHWM:\tmany kB\n":        0,
	} {
		if got := peakIn([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestMeasure: what a process uses, how it fails, and that nothing of it is left.
func TestMeasure(t *testing.T) {
	ftptest.Leaks(t)
	onLine(t, 0, func(s *scope, l *line) {
		measured := func(ctx context.Context, limit time.Duration, script string) (usage, error) {
			t.Helper()
			return measure(ctx, l.client, exec.Command("/bin/sh", "-c", script), s.TempDir(), limit)
		}
		const long = 5 * time.Minute
		used, err := measured(t.Context(), long, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; (exit 0); sleep 0.1")
		if err != nil || used.Wall < 100*time.Millisecond || used.CPU <= 0 || used.CPU > used.Wall*2 || used.Peak < 100<<10 || used.Peak > 100<<20 {
			t.Errorf("%+v %v", used, err)
		}
		if _, err := measured(t.Context(), long, "echo it is full; exit 3"); err == nil || err.Error() != "exit status 3; it said: it is full" {
			t.Errorf("a failure: %v", err)
		}
		// It hangs, and so does what it has started, which may take its time.
		pidFile := filepath.Join(s.TempDir(), "pid")
		var text []byte
		for limit := time.Second; len(text) == 0; limit *= 10 {
			_, err = measured(t.Context(), limit, "sleep 1000 & echo $! >"+pidFile+"; wait")
			if err == nil || err.Error() != "not done after "+limit.String()+", ended; it said nothing" {
				t.Fatalf("one that hangs: %v", err)
			}
			text, _ = os.ReadFile(pidFile) // it may not be there yet
		}
		child, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); syscall.Kill(child, 0) == nil && !zombie(child); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("its child lives")
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := measured(ctx, long, "sleep 1000"); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// zombie reports whether a process has ended, and nobody has asked how.
func zombie(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(status), ") Z ")
}
