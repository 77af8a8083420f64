//go:build amd64 || arm64

package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestAFolderIsReadAsTheSystemHasIt: all names, in order, each with what Lstat says.
func TestAFolderIsReadAsTheSystemHasIt(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "empty/", "all/folder/", "all/line\nend", "all/\xff", "all/..more", "all/.hidden")
	if err := errors.Join(os.Symlink("folder", filepath.Join(dir, "all/link")), syscall.Mkfifo(filepath.Join(dir, "all/pipe"), 0o666)); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "all/socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for i := range 2500 { // more than is read at a time
		fill(t, dir, fmt.Sprintf("all/%04d %s", i*7919%2500, strings.Repeat("long ", 30)))
	}
	for name, at := range map[string]int64{"before 1970": -3, "the year 2242": 1 << 33} {
		fill(t, dir, "all/"+name)
		if err := os.Chtimes(filepath.Join(dir, "all", name), time.Unix(at, 5), time.Unix(at, 5)); err != nil {
			t.Fatal(err)
		}
	}
	root := openRoot(t, dir)
	for _, folder := range []string{"", "empty", "all"} {
		want := []Named{}
		found, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, Named{Name: f.Name(), Entry: LocalEntry(info)})
		}
		got := ReadLocal(root, folder)
		if diff := cmp.Diff(Entries{Names: want}, got); diff != "" {
			t.Errorf("%q: wanted -, got +:\n%s", folder, diff)
		}
	}
	if got := ReadLocal(root, "all/line\nend"); got.Unknown == "" || len(got.Names) > 0 {
		t.Errorf("a file was read as a folder: %+v", got)
	}
}

// TestWhatCannotBeLookedAt: what is gone when its turn comes is left out, of anything else that goes wrong it is said, and in either case
// the others are there, however many looks are made at a time.
func TestWhatCannotBeLookedAt(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("file", i))
	}
	fill(t, dir, names...)
	for _, atOnce := range []int{0, 1, 3, 16, 100} {
		for bad, want := range map[string]error{"gone": nil, strings.Repeat("x", 300): unix.ENAMETOOLONG} {
			for _, at := range []int{0, 50, 100} {
				folder, err := os.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				d, found := direntsOf(slices.Insert(slices.Clone(names), at, bad))
				unseen := d.lookBeside(int(folder.Fd()), found, 0, atOnce)
				folder.Close()
				if !errors.Is(unseen, want) {
					t.Errorf("%d at once: %v, want %v", atOnce, unseen, want)
				}
				var named *fs.PathError
				if want != nil && (!errors.As(unseen, &named) || named.Path != bad) {
					t.Errorf("%d at once: %v does not name it", atOnce, unseen)
				}
				for i, n := range found {
					if (n.Kind == entry.File) != (i != at) {
						t.Errorf("%d at once: %q is %v", atOnce, n.Name, n.Kind)
					}
				}
			}
		}
	}
}

// direntsOf makes what getdents might have told.
func direntsOf(names []string) (*dirents, []Named) {
	d, found := &dirents{}, []Named{}
	for _, name := range names {
		d.at = append(d.at, len(d.raw))
		d.raw = append(append(d.raw, name...), 0)
		found = append(found, Named{Name: name})
	}
	return d, found
}

func TestNonsenseInPlaceOfNames(t *testing.T) {
	good := []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 24, 0, 8, 'n', 'a', 'm', 'e', 0}
	change := func(at int, to byte) []byte {
		raw := slices.Clone(good)
		raw[at] = to
		return raw
	}
	for sentence, row := range map[string]struct {
		raw  []byte
		ok   bool
		want []string
	}{
		"a name":                      {good, true, []string{"name"}},
		"two names":                   {append(slices.Clone(good), good...), true, []string{"name", "name"}},
		"a name that was removed":     {change(0, 0), true, nil},
		"none":                        {nil, true, nil},
		"cut short":                   {good[:23], false, nil},
		"cut in the header":           {good[:18], false, nil},
		"a length of nothing":         {change(16, 0), false, nil},
		"a length without a name":     {change(16, 19), false, nil},
		"a length beyond what is":     {change(16, 25), false, nil},
		"a name that does not end":    {change(23, 'x'), false, nil},
		"the folder itself":           {append(change(19, '.')[:20], 0, 0, 0, 0), true, nil},
		"the folder above":            {append(change(19, '.')[:20], '.', 0, 0, 0), true, nil},
		"a name that begins with two": {append(change(19, '.')[:20], '.', 'x', 0, 0), true, []string{"..x"}},
	} {
		d := &dirents{raw: row.raw}
		ok := d.split(len(row.raw))
		var got []string
		for _, at := range d.at {
			got = append(got, string(d.name(at)))
		}
		if ok != row.ok || ok && !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, %v", sentence, got, ok)
		}
	}
}

func TestLooksAtOnce(t *testing.T) {
	for sentence, row := range map[string]struct {
		took                    time.Duration
		first, left, processors int
		want                    int
	}{
		"a small folder":                     {20 * time.Microsecond, 16, 30, 8, 1},
		"nothing left":                       {time.Second, 16, 0, 8, 0},
		"a folder of some size":              {20 * time.Microsecond, 16, 84, 8, 2},
		"a large folder":                     {20 * time.Microsecond, 16, 10_000, 8, fastLooks},
		"a large folder and one processor":   {20 * time.Microsecond, 16, 10_000, 1, 1},
		"a slow disk":                        {time.Millisecond, 16, 10_000, 1, slowLooks},
		"a slow disk and a few files more":   {time.Millisecond, 16, 3, 8, 3},
		"a slow disk that has only few here": {time.Millisecond, 3, 0, 8, 0},
	} {
		if got := looksAtOnce(row.took, row.first, row.left, row.processors); got != row.want {
			t.Errorf("%s: %d, want %d", sentence, got, row.want)
		}
	}
}

// BenchmarkUnchangedFiles looks at 100,000 files that are in step with their rows in a state file, and walks through the same tree with
// nothing but getdents and lstat in turns with that. x-bare is the ratio of the processor time, x-bare-wall that of the time.
func BenchmarkUnchangedFiles(b *testing.B) {
	for _, tree := range []struct{ folders, files int }{{1000, 100}, {10_000, 10}, {1, 100_000}} {
		b.Run(fmt.Sprintf("%d in each of %d folders", tree.files, tree.folders), func(b *testing.B) { passUnchanged(b, tree.folders, tree.files) })
	}
}

func passUnchanged(b *testing.B, folders, files int) {
	dir := largeTree(b, folders, files)
	db := inStepWith(b, dir)
	root := openRoot(b, dir)
	request := Request{
		Rules: plan.Rules{Direction: plan.Up, Delete: true}, Local: root, Known: folders * (files + 1), Room: 1000,
		Filter: NewFilter(FilterOptions{Defaults: true, IgnoreFile: ".ferryignore", Exclude: []string{"*.tmp", "build/", "/folder0*/cache/**"}}),
		Children: func(folder string) (rows []state.Baseline, err error) {
			err = db.View(func(tx *state.Tx) error {
				rows, err = state.BaselineChildren(tx, "s", folder)
				return err
			})
			return rows, err
		},
		Identified: func(state.Side, entry.Entry, int) ([]string, error) { return nil, nil },
		Intents:    func(string) ([]state.Intent, error) { return nil, nil },
		Flush:      func(context.Context, *Result) (int, error) { return 1000, nil },
	}
	bareWalk(b, dir)
	var ours, bare used
	b.ReportAllocs()
	for b.Loop() {
		ours.add(b, func() {
			result, err := Run(b.Context(), request)
			if err != nil || result.Looked != folders*(files+1) || len(result.Plan.Agree)+len(result.Plan.Ops)+len(result.Plan.Notes) > 0 {
				b.Fatalf("%+v, %v", result, err)
			}
		})
		b.StopTimer()
		bare.add(b, func() { bareWalk(b, dir) })
		b.StartTimer()
	}
	per := float64(b.N * folders * files)
	b.ReportMetric(float64(ours.wall)/per, "ns/file")
	b.ReportMetric(float64(ours.processor)/per, "cpu-ns/file")
	b.ReportMetric(float64(bare.processor)/per, "bare-cpu-ns/file")
	b.ReportMetric(float64(ours.processor)/float64(bare.processor), "x-bare")
	b.ReportMetric(float64(ours.wall)/float64(bare.wall), "x-bare-wall")
}

// used is what something took.
type used struct{ wall, processor time.Duration }

func (u *used) add(b *testing.B, do func()) {
	processor := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	before, began := processor(), time.Now()
	do()
	u.wall, u.processor = u.wall+time.Since(began), u.processor+processor()-before
}

// bareWalk is the least that looking at every file takes.
func bareWalk(b *testing.B, dir string) {
	d := &dirents{raw: make([]byte, direntsAtOnce)}
	folders, files := []string{dir}, 0
	for len(folders) > 0 {
		folder, err := os.Open(folders[0])
		if err != nil {
			b.Fatal(err)
		}
		for {
			n, err := readDirents(int(folder.Fd()), d.raw)
			if err != nil || !d.split(n) {
				b.Fatal(err)
			}
			if n == 0 {
				break
			}
			var stat unix.Stat_t
			for _, at := range d.at {
				if err := lstatAt(int(folder.Fd()), &d.raw[at], &stat); err != 0 {
					b.Fatal(err)
				}
				if files++; stat.Mode&unix.S_IFMT == unix.S_IFDIR {
					folders = append(folders, filepath.Join(folders[0], string(d.name(at))))
				}
			}
		}
		folder.Close()
		folders = folders[1:]
	}
}

// inStepWith makes a state file in which all of a folder is in step.
func inStepWith(b *testing.B, dir string) *state.DB {
	b.Helper()
	db, err := state.Open(filepath.Join(b.TempDir(), "agent.db"), state.Options{AllowNetworkFilesystem: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	root := openRoot(b, dir)
	rows := map[string]entry.Entry{}
	put := func() error {
		return db.Update(func(tx *state.Tx) error {
			for _, rel := range slices.Sorted(maps.Keys(rows)) {
				here, far := rows[rel], rows[rel]
				if far.ID = 0; far.Kind == entry.File {
					far.Precision = time.Second
				}
				if err := state.PutBaseline(tx, "s", state.Baseline{Path: rel, Local: here, Remote: far, When: time.Now(), Job: 1}); err != nil {
					return err
				}
			}
			clear(rows)
			return nil
		})
	}
	for folders := []string{""}; len(folders) > 0; folders = folders[1:] {
		for _, found := range ReadLocal(root, folders[0]).Names {
			rel := within(folders[0], found.Name)
			if rows[rel] = found.Entry; found.Kind == entry.Dir {
				folders = append(folders, rel)
			}
		}
		if len(rows) > 5000 {
			if err := put(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := put(); err != nil {
		b.Fatal(err)
	}
	return db
}
