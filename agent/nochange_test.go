//go:build unix

package agent_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// BenchmarkNoChangePass is a pass over 100,000 files that are in step, in 1,000 folders, with the usual rules and an ignore file; "state"
// leaves the server alone.
// The servers are real and processes of their own, so cpu-ns/file is what the agent alone needs. The first contact, which adopts
// all of the files, is told as firstcpu-ns/file. peak-MB is what the passes need of the runtime; VmHWM-MB, where the system tells,
// all that the process ever had in memory since the agent has begun, pages of the state file among it.
func BenchmarkNoChangePass(b *testing.B) {
	for _, name := range []string{"vsftpd", "proftpd"} {
		for _, row := range []struct{ what, direction string }{{"up", "up"}, {"both", "both"}, {"state", "up"}} {
			b.Run(name+"/"+row.what, func(b *testing.B) {
				server, local := ftptest.Real(b, name, ftptest.RealOptions{}), b.TempDir()
				for _, root := range []string{local, filepath.Join(server.Root, "site")} {
					unchanging(b, root)
				}
				pass := (*agent.Agent).FullPass
				if row.what == "state" {
					pass = (*agent.Agent).Pass
				}
				passNothing(b, server, local, row.direction, pass)
			})
		}
	}
}

// unchangingFolders: "-run - -bench NoChangePass/vsftpd/up -benchtime 3x -unchanging-folders 10000 -timeout 1h" is a million files.
var unchangingFolders = flag.Int("unchanging-folders", 1000, "how many folders BenchmarkNoChangePass has, of 100 files each")

const unchangingFiles = 100

// unchanging makes the tree.
func unchanging(b *testing.B, root string) {
	b.Helper()
	at := time.Date(2024, 2, 29, 12, 34, 0, 0, time.UTC)
	for i := range *unchangingFolders {
		folder := filepath.Join(root, fmt.Sprintf("Part %02d/folder-%04d", i/100, i))
		if err := os.MkdirAll(folder, 0o777); err != nil {
			b.Fatal(err)
		}
		for j := range unchangingFiles {
			name := filepath.Join(folder, fmt.Sprintf("Document of some length %03d.txt", j))
			when := at.Add(time.Duration(i*unchangingFiles+j) * time.Minute)
			if err := os.WriteFile(name, make([]byte, j), 0o666); err != nil {
				b.Fatal(err)
			}
			if err := os.Chtimes(name, when, when); err != nil {
				b.Fatal(err)
			}
		}
	}
	rules := "*.log\nbuild/\n!keep.log\n/Part 0?/cache/**\n"
	if err := os.WriteFile(filepath.Join(root, ".ferryignore"), []byte(rules), 0o666); err != nil {
		b.Fatal(err)
	}
}

// passNothing measures passes of one agent.
func passNothing(b *testing.B, server *ftptest.RealServer, local, direction string, makes func(*agent.Agent, context.Context, []string) (control.Report, error)) {
	dir := b.TempDir()
	forgetPeakMemory()
	text := fmt.Sprintf("[agent]\nstate_dir = %q\n[server.real]\naddress = %q\nuser = %q\npassword = %q\ntls = \"none\"\n"+
		"[sync.s]\nserver = \"real\"\nlocal = %q\nremote = %q\ndirection = %q\ndelete = true\nsettle = \"0s\"\n",
		filepath.Join(dir, "state"), server.Addr, server.User, server.Password, local, server.RemoteRoot+"/site", direction)
	file := filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cfg, err := config.Load(file, os.Getenv)
	if err != nil {
		b.Fatal(err)
	}
	statePath := filepath.Join(cfg.Agent.StateDir, "agent.db")
	db, err := state.Open(statePath, state.Options{AllowNetworkFilesystem: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	a := agent.New(cfg, db, agent.Options{Logger: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(b.Context())
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	pass := func(done func(control.SyncReport) int) {
		report, err := makes(a, b.Context(), nil)
		if err != nil || report.ExitCode() != 0 || done(report.Syncs[0]) != 0 {
			b.Fatalf("%+v, %v", report, err)
		}
	}
	files := float64(*unchangingFolders * unchangingFiles)
	began := processorTime(b)
	pass(func(r control.SyncReport) int { return r.Transferred + r.Deleted })
	first := processorTime(b) - began
	commits := commitsOf(b, statePath)
	runtime.GC()
	peak := watchMemory(b)
	b.ReportAllocs()
	began, passes := processorTime(b), 0
	for b.Loop() {
		pass(func(r control.SyncReport) int { return r.Transferred + r.Deleted + r.Folders + r.Adopted })
		passes++
	}
	per := func(total float64) float64 { return total / float64(passes) }
	b.ReportMetric(float64(first.Nanoseconds())/files, "firstcpu-ns/file")
	b.ReportMetric(per(float64((processorTime(b)-began).Nanoseconds()))/files, "cpu-ns/file")
	b.ReportMetric(per(float64(b.Elapsed().Nanoseconds()))/files, "ns/file")
	b.ReportMetric(float64(peak())/(1<<20), "peak-MB")
	if most, ok := peakMemory(b); ok {
		b.ReportMetric(float64(most)/(1<<10), "VmHWM-MB")
	}
	b.ReportMetric(per(float64(commitsOf(b, statePath)-commits)), "commits")
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// forgetPeakMemory has the kernel count anew what peakMemory returns, if it can; see proc_pid_clear_refs(5).
func forgetPeakMemory() {
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakMemory is the most that this process has had in memory, in kilobytes; only Linux tells.
func peakMemory(b *testing.B) (kilobytes int, ok bool) {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			if _, err := fmt.Sscan(value, &kilobytes); err != nil {
				b.Fatal(err)
			}
			return kilobytes, true
		}
	}
	return 0, false
}

// commitsOf is the number of the last transaction of a state file, as its pages tell (see the package state).
func commitsOf(b *testing.B, path string) (last uint64) {
	b.Helper()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for _, page := range []int64{0, int64(os.Getpagesize())} {
		number := make([]byte, 8)
		if _, err := file.ReadAt(number, page+16+48); err != nil {
			b.Fatal(err)
		}
		last = max(last, binary.NativeEndian.Uint64(number))
	}
	return last
}

// watchMemory looks at the memory that the runtime has from the system until the function it returns is called, which tells the most.
func watchMemory(b *testing.B) (peak func() uint64) {
	b.Helper()
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		seen := uint64(0)
		for {
			metrics.Read(held)
			seen = max(seen, held[0].Value.Uint64()-held[1].Value.Uint64())
			select {
			case <-stop:
				most <- seen
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most
	}
}
