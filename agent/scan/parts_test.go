package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// model is the far side in memory, by path below its root, so that thousands of trees can be walked.
type model map[string]entry.Entry

func (m model) rel(p string) string { return strings.TrimPrefix(strings.TrimPrefix(p, "/site"), "/") }

func (m model) List(_ context.Context, p string) (ftpclient.Listing, error) {
	folder := m.rel(p)
	if folder != "" && m[folder].Kind != entry.Dir {
		return ftpclient.Listing{}, fmt.Errorf("550 %s: %w", p, fs.ErrNotExist)
	}
	l := ftpclient.Listing{Hidden: true}
	for rel, e := range m {
		if parent(rel) == folder {
			l.Entries = append(l.Entries, listed(path.Base(rel), e))
		}
	}
	return l, nil
}

func (m model) Stat(_ context.Context, p string) (list.Entry, error) {
	rel := m.rel(p)
	if _, gone := m["gone"]; rel == "" && !gone {
		return list.Entry{Type: list.Dir}, nil
	}
	e, ok := m[rel]
	if !ok {
		return list.Entry{}, fs.ErrNotExist
	}
	return listed(path.Base(rel), e), nil
}

func (m model) ModTimes(_ context.Context, paths []string) (times []ftpclient.FileTime, err error) {
	for _, p := range paths {
		times = append(times, ftpclient.FileTime{ModTime: m[m.rel(p)].ModTime})
	}
	return times, nil
}
func (m model) Size(_ context.Context, p string) (int64, error) {
	if e := m[m.rel(p)]; e.Kind == entry.File {
		return e.Size, nil
	}
	return 0, fs.ErrNotExist
}
func (model) Usable() bool              { return true }
func (model) Facts() ftpclient.Facts    { return ftpclient.Facts{} }
func (model) Listed(name string) string { return name }

func (model) ReadLinks(context.Context, string) (ftpclient.Listing, error) {
	return ftpclient.Listing{}, fs.ErrNotExist
}

func (model) ReadLink(context.Context, string) (list.Entry, error) {
	return list.Entry{}, fs.ErrNotExist
}

func listed(name string, e entry.Entry) list.Entry {
	switch e.Kind {
	case entry.Dir:
		return list.Entry{Name: name, Type: list.Dir}
	case entry.Link:
		return list.Entry{Name: name, Type: list.Link, Target: e.Target}
	}
	return list.Entry{Name: name, Type: list.File, Size: e.Size, ModTime: e.ModTime, Precision: time.Second}
}

func parent(rel string) string {
	if dir := path.Dir(rel); dir != "." {
		return dir
	}
	return ""
}

// world is a random sync: two trees, and a baseline that need not fit either.
type world struct {
	*testing.T
	random  *rand.Rand
	local   string
	far     model
	base    ledger
	rules   plan.Rules
	paths   []string // all that ever were
	asked   []string // nil for a scan of everything
	known   int
	touched []string // by changes between two parts
	commits bool     // what a part says of the baseline is written down
	check   func(all, part *Result)
}

func newWorld(t *testing.T, random *rand.Rand) *world {
	w := &world{T: t, random: random, local: t.TempDir(), far: model{}, base: ledger{}}
	w.rules = plan.Rules{Delete: random.IntN(4) > 0}
	w.rules.Direction = []plan.Direction{plan.Up, plan.Down, plan.Both}[random.IntN(3)]
	names := []string{"a", "a!", "b", ".h", "x.keep", ".x.ftpferry-0badcafe-1"}
	if runtime.GOOS == "linux" {
		names = append(names, "\xff")
	}
	var grow func(folder string, depth int)
	grow = func(folder string, depth int) {
		for _, name := range names {
			if random.IntN(3) == 0 {
				continue
			}
			rel := path.Join(folder, name)
			w.paths = append(w.paths, rel)
			w.put(rel)
			if depth < 3 && random.IntN(3) > 0 {
				grow(rel, depth+1)
			}
		}
	}
	grow("", 1)
	w.known = len(w.base)
	if random.IntN(2) == 0 {
		for range 1 + random.IntN(6) {
			w.asked = append(w.asked, w.paths[random.IntN(len(w.paths))])
		}
		slices.Sort(w.asked)
		w.asked = slices.Compact(w.asked)
	}
	return w
}

// put puts something at both sides of a path and into the baseline, more often than not the same.
func (w *world) put(rel string) {
	one := w.entry()
	here, far, was := one, one, one
	for _, side := range []*entry.Entry{&here, &far, &was} {
		if w.random.IntN(4) == 0 {
			*side = w.entry()
		}
	}
	w.putLocal(rel, here)
	w.putFar(rel, far)
	if was.Kind != entry.Absent {
		coarse := was
		if coarse.Kind == entry.File {
			coarse.Precision = time.Second
		}
		w.base[rel] = state.Baseline{Path: rel, Local: was, Remote: coarse, When: longAgo.Add(1000 * time.Hour)}
	}
}

func (w *world) entry() entry.Entry {
	switch w.random.IntN(5) {
	case 0:
		return entry.Entry{}
	case 1:
		return entry.Entry{Kind: entry.File, Size: int64(w.random.IntN(2)), ModTime: longAgo.Add(time.Duration(w.random.IntN(2)) * time.Hour), Precision: time.Nanosecond}
	}
	return entry.Entry{Kind: entry.Dir}
}

// putLocal and putFar put something where its folder is one, with nothing in it.
func (w *world) putLocal(rel string, e entry.Entry) {
	full := filepath.Join(w.local, filepath.FromSlash(rel))
	if info, err := os.Lstat(filepath.Dir(full)); err != nil || !info.IsDir() {
		return
	}
	remove(w, w.local, rel)
	switch e.Kind {
	case entry.Dir:
		os.Mkdir(full, 0o777)
	case entry.File:
		os.WriteFile(full, make([]byte, e.Size), 0o666)
		os.Chtimes(full, e.ModTime, e.ModTime)
	}
}

func (w *world) putFar(rel string, e entry.Entry) {
	if dir := parent(rel); dir != "" && w.far[dir].Kind != entry.Dir {
		return
	}
	maps.DeleteFunc(w.far, func(other string, _ entry.Entry) bool { return isIn(other, rel) })
	if e.Kind != entry.Absent {
		w.far[rel] = e
	}
}

func (w *world) request() Request {
	r := Request{
		Rules: w.rules, Filter: NewFilter(FilterOptions{Exclude: []string{"*.keep"}}), Local: openRoot(w, w.local), Remote: &Remote{Conn: w.far, Root: "/site"},
		Children: w.base.Children, At: w.base.At, Known: w.known, Paths: w.asked,
		Orphan: func(string, uint64, int) bool { return true },
	}
	return r
}

// whole is the scan in one part.
func (w *world) whole() *Result {
	result, err := Run(w.Context(), w.request())
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// inParts scans in parts of random sizes, or the smallest; between is called where one process may end and another go on.
func (w *world) inParts(smallest bool, between func()) *Result {
	all := &Result{}
	open := slices.Clone(w.asked)
	take := func(found *Result) {
		p := found.Plan
		all.Plan.Ops, all.Plan.Agree = append(all.Plan.Ops, p.Ops...), append(all.Plan.Agree, p.Agree...)
		all.Plan.Forget, all.Plan.Notes = append(all.Plan.Forget, p.Forget...), append(all.Plan.Notes, p.Notes...)
		all.Unknown, all.Again, all.Orphans = append(all.Unknown, found.Unknown...), append(all.Again, found.Again...), append(all.Orphans, found.Orphans...)
		all.Finished = append(all.Finished, found.Finished...)
		all.Totals, all.Looked, all.Unseen, all.Device = found.Totals, found.Looked, found.Unseen, found.Device
		if w.commits {
			w.commit(found)
		}
		if w.check != nil {
			w.check(all, found)
		}
		open = slices.DeleteFunc(open, func(rel string) bool { return slices.Contains(found.Finished, rel) })
	}
	var cursor *Cursor
	for run := 0; ; run++ {
		if run > 10*len(w.paths)+100 {
			w.Fatalf("no end, at %+v", cursor)
		}
		r := w.request()
		if r.Cursor = cursor; w.asked != nil {
			r.Paths = append([]string{}, open...) // not nil
		}
		r.Room, r.partItems = 1, 1
		if !smallest {
			r.Room, r.partItems = w.random.IntN(5), 1+w.random.IntN(5)
		}
		r.Flush = func(_ context.Context, found *Result) (int, error) {
			if found.Cursor == nil {
				w.Error("flushed without a place to go on from")
			}
			take(found)
			if smallest {
				return 0, nil
			}
			return w.random.IntN(5), nil
		}
		result, err := Run(w.Context(), r)
		if err != nil {
			w.Fatal(err)
		}
		take(result)
		if result.Cursor == nil {
			return all
		}
		between()
		text, err := json.Marshal(result.Cursor)
		if err != nil {
			w.Fatal(err)
		}
		if cursor = new(Cursor); json.Unmarshal(text, cursor) != nil {
			w.Fatalf("%s is no cursor", text)
		}
	}
}

// commit writes down what a part says of the baseline.
func (w *world) commit(part *Result) {
	for _, a := range part.Plan.Agree {
		w.base[a.Path] = state.Baseline{Path: a.Path, Local: a.Base.Local, Remote: a.Base.Remote, When: longAgo.Add(1000 * time.Hour)}
	}
	for _, rel := range part.Plan.Forget {
		delete(w.base, rel)
	}
}

// FuzzParts: in whatever parts a tree is scanned, the same is found in the same order.
func FuzzParts(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 1)))
		want := w.whole()
		base := maps.Clone(w.base)
		for _, smallest := range []bool{true, false} {
			for _, w.commits = range []bool{false, true} {
				w.base = maps.Clone(base)
				if diff := cmp.Diff(want, w.inParts(smallest, func() {})); diff != "" {
					t.Fatalf("in one part -, in several (smallest %v, written down %v) +:\n%s", smallest, w.commits, diff)
				}
			}
		}
	})
}

// FuzzPartsOfAChangingTree: what changes between two parts never leads to the deletion of a folder that holds something which
// stays, and all that did not change is decided once.
func FuzzPartsOfAChangingTree(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 2)))
		w.commits = w.random.IntN(2) == 0
		want := w.whole()
		w.check = w.deletesNoFolderThatHoldsSomething
		got := w.inParts(w.random.IntN(2) == 0, w.change)
		unchanged := func(words []string) []string {
			return slices.DeleteFunc(words, func(word string) bool {
				return slices.ContainsFunc(w.touched, func(rel string) bool {
					_, about, _ := strings.Cut(strings.ReplaceAll(word, "sweep ", "sweep-"), " ")
					return isIn(rel, about) || isIn(about, rel)
				})
			})
		}
		if diff := cmp.Diff(unchanged(said(want)), unchanged(said(got))); diff != "" {
			t.Fatalf("%q changed; in one part before that -, in several +:\n%s", w.touched, diff)
		}
	})
}

// change puts something else at a path or two.
func (w *world) change() {
	for range w.random.IntN(3) {
		rel := w.paths[w.random.IntN(len(w.paths))]
		if w.random.IntN(3) == 0 {
			rel = path.Join(parent(rel), "new")
		}
		w.touched = append(w.touched, rel)
		if w.random.IntN(2) == 0 {
			w.putLocal(rel, w.entry())
		} else {
			w.putFar(rel, w.entry())
		}
	}
}

// deletesNoFolderThatHoldsSomething holds the deletions of a part against the target as it was during the part: what is in the
// folder was to be deleted too. What changed deeper than that below a folder that was done, who deletes the folder finds out.
func (w *world) deletesNoFolderThatHoldsSomething(all, part *Result) {
	goes := map[string]bool{}
	for _, op := range all.Plan.Ops {
		goes[op.Path] = op.Action.Deletes()
	}
	for _, o := range all.Orphans {
		goes[o.Path] = true
	}
	for _, op := range part.Plan.Ops {
		if !op.Action.Deletes() {
			continue
		}
		for _, rel := range slices.Concat(w.paths, w.touched) {
			_, there := w.far[rel]
			if op.Action == plan.DeleteLocal {
				_, err := os.Lstat(filepath.Join(w.local, filepath.FromSlash(rel)))
				there = err == nil
			}
			if parent(rel) == op.Path && there && !goes[rel] {
				w.Errorf("%s %s, but %s in it stays", op.Action, op.Path, rel)
			}
		}
	}
}
