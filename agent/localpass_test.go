//go:build unix

package agent_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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

var keepTree = flag.String("local-tree", "", "")
var keepState = flag.String("local-state", "", "")

func BenchmarkLocalPass(b *testing.B) {
	local, dir := b.TempDir(), b.TempDir()
	if *keepTree != "" {
		local = *keepTree
	} else {
		unchanging(b, local)
	}
	if *keepState != "" {
		dir = *keepState
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
	path := filepath.Join(cfg.Agent.StateDir, "agent.db")
	_, statErr := os.Stat(path)
	db, err := state.Open(path, state.Options{AllowNetworkFilesystem: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if statErr != nil {
		adopt(b, db, local)
	}
	looked := make(chan agent.Activity, 100)
	a := agent.New(cfg, db, agent.Options{Logger: slog.New(slog.DiscardHandler), Observe: func(a agent.Activity) {
		if a.Kind == agent.ActivityScanned {
			looked <- a
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
	b.ReportAllocs()
	began := processorTime(b)
	passes := 0
	for b.Loop() {
		for !a.Emit(ctx, trigger.Event{Sync: "s", Local: true, Why: "x"}) {
			time.Sleep(time.Millisecond)
		}
		seen := <-looked
		if passes++; passes == 1 {
			b.Log(seen)
		}
	}
	files := float64(*unchangingFolders * unchangingFiles)
	b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/files/float64(passes), "cpu-ns/file")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/files/float64(passes), "ns/file")
	if most, ok := peakMemory(b); ok {
		b.ReportMetric(float64(most)/(1<<10), "VmHWM-MB")
	}
}

// adopt writes a baseline in which the local folder is in step.
func adopt(b *testing.B, db *state.DB, local string) {
	b.Helper()
	var rows []state.Baseline
	flush := func() {
		if err := db.Update(func(tx *state.Tx) error {
			for _, row := range rows {
				if err := state.PutBaseline(tx, "s", row); err != nil {
					return err
				}
			}
			return state.PutSync(tx, "s", state.SyncState{LastFullScan: time.Now()})
		}); err != nil {
			b.Fatal(err)
		}
		rows = rows[:0]
	}
	err := filepath.WalkDir(local, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == local || d.Name() == ".ferryignore" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(local, path)
		is := scan.LocalEntry(info)
		far := is
		far.ID = 0
		if far.Kind == entry.File {
			far.ModTime, far.Precision = far.ModTime.Truncate(time.Second), time.Second
		}
		rows = append(rows, state.Baseline{Path: rel, Local: is, Remote: far, When: time.Now(), Job: 1})
		if len(rows) == 10000 {
			flush()
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	flush()
}
