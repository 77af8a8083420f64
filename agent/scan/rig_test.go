package scan

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

var longAgo = time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)

// ledger is a baseline in memory.
type ledger map[string]state.Baseline

func (l ledger) Children(dir string) ([]state.Baseline, error) {
	var rows []state.Baseline
	for _, rel := range slices.Sorted(maps.Keys(l)) {
		if parent, _ := path.Split(rel); strings.TrimSuffix(parent, "/") == dir {
			rows = append(rows, l[rel])
		}
	}
	return rows, nil
}

func (l ledger) At(rel string) (*state.Baseline, error) {
	if row, known := l[rel]; known {
		return &row, nil
	}
	return nil, nil
}

// rig is a sync of a folder in a temporary directory.
type rig struct {
	t      *testing.T
	local  string
	base   ledger
	rules  plan.Rules
	filter Filter
	remote *Remote
	change func(*Request) // of what scan asks for
}

func newRig(t *testing.T, direction plan.Direction) *rig {
	t.Helper()
	return &rig{t: t, local: t.TempDir(), base: ledger{}, rules: plan.Rules{Direction: direction, Delete: true}}
}

// run scans the paths; none means everything.
func (r *rig) run(paths ...string) (*Result, error) {
	r.t.Helper()
	request := Request{
		Rules: r.rules, Filter: r.filter, Remote: r.remote, Children: r.base.Children, At: r.base.At, Known: len(r.base), Paths: paths,
	}
	if root, err := os.OpenRoot(r.local); err == nil {
		defer root.Close()
		request.Local = root
	} else if !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	if r.change != nil {
		r.change(&request)
	}
	return Run(r.t.Context(), request)
}

func (r *rig) scan(paths ...string) *Result {
	r.t.Helper()
	result, err := r.run(paths...)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// said puts a result into words, in its order, the unknown last.
func said(result *Result) []string {
	var words []string
	for _, op := range result.Plan.Ops {
		words = append(words, string(op.Action)+" "+op.Path)
	}
	for _, a := range result.Plan.Agree {
		words = append(words, "agree "+a.Path)
	}
	for _, rel := range result.Plan.Forget {
		words = append(words, "forget "+rel)
	}
	for _, n := range result.Plan.Notes {
		words = append(words, map[bool]string{false: "skip ", true: "conflict "}[n.Conflict]+n.Path)
	}
	for _, o := range result.Orphans {
		words = append(words, map[bool]string{false: "sweep local ", true: "sweep remote "}[o.Remote]+o.Path)
	}
	for _, path := range result.Again {
		words = append(words, "again "+path)
	}
	for _, u := range result.Unknown {
		words = append(words, "unknown "+u.Path)
	}
	return words
}

func (r *rig) want(result *Result, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, said(result)); diff != "" {
		r.t.Errorf("wanted -, got +:\n%s%+v", diff, result.Unknown)
	}
}

// fill makes files, and folders where a name ends with a slash. Files hold their own names and
// are as old as longAgo.
func fill(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		full := filepath.Join(root, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(full, 0o777); err != nil {
				t.Fatal(err)
			}
			os.Chmod(full, 0o777) // a server may run as another user
			continue
		}
		if dir := path.Dir(name); dir != "." {
			fill(t, root, dir+"/")
		}
		if err := os.WriteFile(full, []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(full, longAgo, longAgo); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
}

// inStep fills the local folder and remembers that the far side has the same.
func (r *rig) inStep(names ...string) {
	r.t.Helper()
	fill(r.t, r.local, names...)
	r.remember(names...)
}

// remember puts names and the folders above them into the baseline, as fill makes them.
func (r *rig) remember(names ...string) {
	for _, name := range names {
		rel := strings.TrimSuffix(name, "/")
		row := state.Baseline{Path: rel, When: time.Now()}
		if rel == name {
			row.Local = entry.Entry{Kind: entry.File, Size: int64(len(rel)), ModTime: longAgo, Precision: time.Nanosecond}
			row.Remote = row.Local
			row.Remote.Precision = time.Second
		} else {
			row.Local, row.Remote = entry.Entry{Kind: entry.Dir}, entry.Entry{Kind: entry.Dir}
		}
		r.base[rel] = row
		if dir := path.Dir(rel); dir != "." {
			r.remember(dir + "/")
		}
	}
}
