//go:build unix

package agent_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// unchangingTree: with "-run - -bench LocalPass -benchtime 5x -unchanging-folders 10000" there are a million files to be made, once.
var unchangingTree = flag.String("unchanging-tree", "", "the folder of BenchmarkLocalPass, made if it is not there and kept; none: a temporary one")

// BenchmarkLocalPass is a look of an agent at 100,000 local files that are in step, in 1,000 folders, with the usual rules and an ignore
// file, without a word to the server: from the event that asks for it to the commit that ends it. In turns with that, find prints the
// path, size and time of each file; x-find is the ratio of the times, x-find-cpu that of the processor times. VmHWM-MB is all that the
// process ever had in memory, with pages of the state file.
func BenchmarkLocalPass(b *testing.B) {
	local, dir := *unchangingTree, b.TempDir()
	if local == "" {
		local = b.TempDir()
	}
	if _, err := os.Stat(filepath.Join(local, ".ferryignore")); err != nil {
		unchanging(b, local)
	}
	text := fmt.Sprintf("[agent]\nstate_dir = %q\n[server.none]\naddress = \"127.0.0.1:1\"\nuser = \"u\"\npassword = \"p\"\ntls = \"none\"\n"+
		"[sync.s]\nserver = \"none\"\nlocal = %q\nremote = \"/site\"\ndirection = \"up\"\ndelete = true\nwatch = false\nsettle = \"0s\"\n",
		filepath.Join(dir, "state"), local)
	file := filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cfg, err := config.Load(file, os.Getenv)
	if err != nil {
		b.Fatal(err)
	}
	db, err := state.Open(filepath.Join(cfg.Agent.StateDir, "agent.db"), state.Options{AllowNetworkFilesystem: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	known := adopt(b, db, local)
	looks := make(chan agent.Activity, 1)
	a := agent.New(cfg, db, agent.Options{Logger: slog.New(slog.DiscardHandler), Observe: func(a agent.Activity) {
		if a.Kind == agent.ActivityScanned {
			looks <- a
		}
	}})
	forgetPeakMemory()
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(b.Context())
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	find, findErr := exec.LookPath("find")
	var ours, theirs, oursWall, theirsWall time.Duration
	b.ReportAllocs()
	for b.Loop() {
		before, began := processorTime(b), time.Now()
		for !a.Emit(ctx, trigger.Event{Sync: "s", Local: true, Watched: true, Why: "benchmark"}) {
			time.Sleep(time.Millisecond)
		}
		look := <-looks
		ours, oursWall = ours+processorTime(b)-before, oursWall+time.Since(began)
		if want := fmt.Sprintf("%d paths looked at, 0 operations planned, 0 found in step, 0 not to be seen", known); look.Action != "rescan" || look.Text != want {
			b.Fatalf("%+v, want %s", look, want)
		}
		if findErr != nil {
			continue
		}
		b.StopTimer()
		began = time.Now()
		process := exec.Command(find, local, "-printf", "%p %s %T@\n")
		if err := process.Run(); err != nil { // elsewhere it may have no -printf
			findErr = err
			continue
		}
		theirs, theirsWall = theirs+process.ProcessState.UserTime()+process.ProcessState.SystemTime(), theirsWall+time.Since(began)
		b.StartTimer()
	}
	files := float64(b.N * known)
	b.ReportMetric(float64(ours.Nanoseconds())/files, "cpu-ns/file")
	b.ReportMetric(float64(oursWall.Nanoseconds())/files, "ns/file")
	if findErr == nil {
		b.ReportMetric(float64(oursWall)/float64(theirsWall), "x-find")
		b.ReportMetric(float64(ours)/float64(theirs), "x-find-cpu")
	}
	if most, ok := peakMemory(b); ok {
		b.ReportMetric(float64(most)/(1<<10), "VmHWM-MB")
	}
}

// adopt writes down that all of a local folder is in step, and returns how much there is in it, with its file of rules.
func adopt(b *testing.B, db *state.DB, local string) (known int) {
	b.Helper()
	var rows []state.Baseline
	put := func() error {
		known += len(rows)
		return db.Update(func(tx *state.Tx) error {
			for _, row := range rows {
				if err := state.PutBaseline(tx, "s", row); err != nil {
					return err
				}
			}
			rows = rows[:0]
			return state.PutSync(tx, "s", state.SyncState{LastFullScan: time.Now()})
		})
	}
	err := filepath.WalkDir(local, func(path string, found fs.DirEntry, err error) error {
		if err != nil || path == local || found.Name() == ".ferryignore" {
			return err
		}
		info, err := found.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(local, path)
		if err != nil {
			return err
		}
		here := scan.LocalEntry(info)
		far := here
		if far.ID = 0; far.Kind == entry.File {
			far.ModTime, far.Precision = far.ModTime.Truncate(time.Second), time.Second
		}
		rows = append(rows, state.Baseline{Path: filepath.ToSlash(rel), Local: here, Remote: far, When: time.Now(), Job: 1})
		if len(rows) < 10_000 {
			return nil
		}
		return put()
	})
	if err == nil {
		err = put()
	}
	if err != nil {
		b.Fatal(err)
	}
	return known
}
