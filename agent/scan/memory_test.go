package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
)

// copies is a far side that has what the local one has.
type copies struct{ local string }

func (c copies) List(_ context.Context, p string) (ftpclient.Listing, error) {
	l := ftpclient.Listing{Hidden: true}
	found, err := os.ReadDir(filepath.Join(c.local, model{}.rel(p)))
	l.Entries = make([]list.Entry, 0, len(found))
	for _, f := range found {
		e := list.Entry{Name: f.Name(), Type: list.File, Size: 0, ModTime: longAgo, Precision: time.Second}
		if f.IsDir() {
			e.Type = list.Dir
		}
		l.Entries = append(l.Entries, e)
	}
	return l, err
}

func (copies) Stat(context.Context, string) (list.Entry, error) {
	return list.Entry{Type: list.Dir}, nil
}
func (copies) Size(context.Context, string) (int64, error) { return 0, fs.ErrNotExist }
func (copies) ModTimes(context.Context, []string) ([]ftpclient.FileTime, error) {
	return nil, errors.New("all times are known")
}
func (copies) Usable() bool              { return true }
func (copies) Facts() ftpclient.Facts    { return ftpclient.Facts{} }
func (copies) Listed(name string) string { return name }

func (copies) ReadLinks(context.Context, string) (ftpclient.Listing, error) {
	return ftpclient.Listing{}, errors.ErrUnsupported
}

func (copies) ReadLink(context.Context, string) (list.Entry, error) {
	return list.Entry{}, fs.ErrNotExist
}

// BenchmarkLargeTrees tells what a scan in parts needs at its peak beyond the tree itself, with the least garbage.
func BenchmarkLargeTrees(b *testing.B) {
	parent := b
	for _, tree := range []struct {
		name           string
		folders, files int
	}{{"100000 names in one folder", 1, 100_000}, {"200000 files in 2000 folders", 2000, 100}} {
		dir := ""
		for _, known := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/known=%v", tree.name, known), func(b *testing.B) {
				if dir == "" {
					dir = largeTree(parent, tree.folders, tree.files)
				}
				largeScan(b, dir, tree.folders*(tree.files+1), known)
			})
		}
	}
}

func largeTree(b *testing.B, folders, files int) string {
	b.Helper()
	dir := b.TempDir()
	for i := range folders {
		folder := filepath.Join(dir, fmt.Sprintf("folder%04d", i))
		if err := os.Mkdir(folder, 0o777); err != nil {
			b.Fatal(err)
		}
		for j := range files {
			name := filepath.Join(folder, fmt.Sprintf("a name of some length %06d.txt", j))
			if err := os.WriteFile(name, nil, 0o666); err != nil {
				b.Fatal(err)
			}
			if err := os.Chtimes(name, longAgo, longAgo); err != nil {
				b.Fatal(err)
			}
		}
	}
	return dir
}

func largeScan(b *testing.B, dir string, paths int, known bool) {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	root := openRoot(b, dir)
	var memory runtime.MemStats
	peak, parts := uint64(0), 0
	look := func() {
		runtime.ReadMemStats(&memory)
		peak = max(peak, memory.HeapInuse)
	}
	request := Request{
		Rules: plan.Rules{Direction: plan.Up}, Local: root, Remote: &Remote{Conn: copies{dir}, Root: "/site"}, Known: paths, Room: 10_000,
		Children: func(folder string) (rows []state.Baseline, err error) {
			if !known {
				return nil, nil
			}
			for _, found := range ReadLocal(root, folder).Names {
				row := state.Baseline{Path: filepath.ToSlash(filepath.Join(folder, found.Name)), Local: found.Entry, Remote: found.Entry, When: longAgo}
				rows = append(rows, row)
			}
			return rows, nil
		},
		Flush: func(context.Context, *Result) (int, error) {
			look()
			parts++
			return 10_000, nil
		},
		// Asked for each file that differs, and here for none.
		Intents: func(string) ([]state.Intent, error) { return nil, nil },
	}
	runtime.GC()
	runtime.ReadMemStats(&memory)
	before := memory.HeapInuse
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				look()
			}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		result, err := Run(b.Context(), request)
		if err != nil || result.Looked != paths {
			b.Fatalf("%d of %d looked at, %v", result.Looked, paths, err)
		}
	}
	close(stop)
	<-ended
	b.ReportMetric(float64(peak-min(before, peak))/(1<<20), "peak-MB")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(paths), "ns/path")
	b.ReportMetric(float64(parts)/float64(b.N), "parts")
}
