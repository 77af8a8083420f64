package scan

import (
	"context"
	"os"
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

// Identified goes by what the index of the state goes by.
func (l ledger) Identified(side state.Side, e entry.Entry, limit int) (paths []string, _ error) {
	for rel, row := range l {
		was := row.Local
		if side == state.RemoteSide {
			was = row.Remote
		}
		same := was.Kind == entry.Dir && was.ID == e.ID || was.Kind == entry.File && was.Size == e.Size && was.ModTime.Equal(e.ModTime)
		if was.Kind == e.Kind && same && len(paths) < limit {
			paths = append(paths, rel)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// knows makes files and folders, and the baseline that knows them and everything above them.
func (r *rig) knows(names ...string) {
	r.t.Helper()
	fill(r.t, r.local, names...)
	root := openRoot(r.t, r.local)
	for _, name := range names {
		rel := strings.TrimSuffix(name, "/")
		for at := range rel + "/" {
			if at < len(rel) && rel[at] != '/' {
				continue
			}
			e, err := StatLocal(root, rel[:at])
			if err != nil {
				r.t.Fatal(err)
			}
			far := e
			far.ID = 0
			r.base[rel[:at]] = state.Baseline{Path: rel[:at], Local: e, Remote: far, When: time.Now()}
		}
	}
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	target := filepath.Join(r.local, to)
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.local, from), target); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) remove(rel string) {
	r.t.Helper()
	if err := os.RemoveAll(filepath.Join(r.local, rel)); err != nil {
		r.t.Fatal(err)
	}
}

// moved is said with the old paths.
func moved(result *Result) (words []string) {
	words = said(result)
	for i, op := range result.Plan.Ops {
		if op.From != "" {
			words[i] = string(op.Action) + " " + op.From + " to " + op.Path
		}
		if op.Unproven {
			words[i] += ", perhaps"
		}
	}
	return words
}

// TestANewFileIsNoRenamedOne: it may have the number of one that was removed, its size, and its time where a program sets that.
func TestANewFileIsNoRenamedOne(t *testing.T) {
	for _, name := range []string{"b", "new/"} {
		r := newRig(t, plan.Up)
		r.knows("a", "old/a", "other")
		for rel, row := range r.base {
			row.When = time.Now().Add(-time.Hour)
			if rel == "old/a" {
				row.Local.ID = 0
			}
			r.base[rel] = row
		}
		r.change = func(request *Request) { request.Identified = r.base.Identified }
		r.remove("a")
		r.remove("old")
		fill(t, r.local, name)
		was, rel := "a", strings.TrimSuffix(name, "/")
		if rel != name {
			was = "old"
			fill(t, r.local, name+"a")
		}
		row := r.base[was]
		now, err := StatLocal(openRoot(t, r.local), rel)
		if err != nil {
			t.Fatal(err)
		}
		row.Local.ID = now.ID // as file systems do that look for the first free number
		r.base[was] = row
		for _, words := range moved(r.scan()) {
			if strings.HasPrefix(words, "move_") && strings.HasSuffix(words, " to "+rel) {
				t.Errorf("%s: %s", name, words)
			}
		}
	}
}

func writeRules(r *rig, rel, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.local, rel), []byte(text), 0o666); err != nil {
		r.t.Fatal(err)
	}
}

func TestFindsWhatWasRenamed(t *testing.T) {
	for _, test := range []struct {
		name    string
		known   []string
		change  func(r *rig)
		looks   [][]string // what is looked at, in turn with everything
		want    []string
		deletes int
	}{
		{"a file that comes later under its new name", []string{"a", "other"}, func(r *rig) { r.rename("a", "z") },
			[][]string{{"a", "z"}, {"z"}}, []string{"move_remote a to z"}, 0},
		{"a file that comes earlier under its new name", []string{"z", "other"}, func(r *rig) { r.rename("z", "a") },
			[][]string{{"a", "z"}, {"a"}}, []string{"move_remote z to a"}, 0},
		{"a file out of a folder that is gone", []string{"f/a", "f/b", "other"}, func(r *rig) { r.rename("f/a", "z"); r.remove("f") },
			[][]string{{"f", "z"}, {"f/a", "f/b", "f", "z"}}, []string{"delete_remote f/b", "delete_remote f", "move_remote f/a to z"}, 1},
		{"a folder that comes later", []string{"f/a", "f/g/b", "f/g/c"}, func(r *rig) { r.rename("f", "z") },
			[][]string{{"f", "z"}, {"z"}}, []string{"move_remote f to z"}, 0},
		{"a folder that comes earlier", []string{"f/a", "f/g/b", "f/g/c"}, func(r *rig) { r.rename("f", "a") },
			[][]string{{"f", "a"}, {"a"}, {"f/a", "f/g/b", "a/a", "a/g/b"}}, []string{"move_remote f to a"}, 0},
		{"a folder that changed besides is looked into under its new name", []string{"f/a", "f/b", "f/c"}, func(r *rig) {
			r.rename("f", "z")
			r.remove("z/c")
			fill(r.t, r.local, "z/new")
		}, nil, []string{"move_remote f to z"}, 0},
		{"a folder into a new folder", []string{"f/a"}, func(r *rig) { r.rename("f", "n/f") },
			[][]string{{"n/f", "f"}}, []string{"make_remote_dir n", "move_remote f to n/f"}, 0},
		{"a folder, and another one that was in it", []string{"f/a", "f/g/b"}, func(r *rig) { r.rename("f/g", "z"); r.rename("f", "y") },
			nil, []string{"move_remote f to y", "again z"}, 0},
		{"a folder, and another one that was in it and comes earlier", []string{"f/a", "f/g/b"}, func(r *rig) { r.rename("f/g", "x"); r.rename("f", "y") },
			nil, []string{"move_remote f/g to x", "again y"}, 0},
		{"another file of the size and time, which is somewhere else", []string{"a", "b"}, func(r *rig) { r.rename("a", "c"); r.rename("b", "d") },
			nil, []string{"move_remote a to c", "move_remote b to d"}, 0},
		{"a file that is still there under its old name too", []string{"a"}, func(r *rig) {
			if err := os.Link(filepath.Join(r.local, "a"), filepath.Join(r.local, "b")); err != nil {
				r.t.Fatal(err)
			}
		}, [][]string{{"a", "b"}}, []string{"upload b"}, 0},
		{"two links in place of one name", []string{"a"}, func(r *rig) {
			r.rename("a", "b")
			if err := os.Link(filepath.Join(r.local, "b"), filepath.Join(r.local, "c")); err != nil {
				r.t.Fatal(err)
			}
		}, [][]string{{"a", "b", "c"}}, []string{"move_remote a to b", "upload c"}, 0},
		{"a file that was edited too", []string{"a"}, func(r *rig) {
			r.rename("a", "b")
			if err := os.Chtimes(filepath.Join(r.local, "b"), longAgo, longAgo.Add(time.Second)); err != nil {
				r.t.Fatal(err)
			}
		}, [][]string{{"a", "b"}}, []string{"delete_remote a", "upload b"}, 1},
		{"a copy with the same time in place of the original", []string{"a"}, func(r *rig) {
			row := r.base["a"]
			row.Local.ID++
			r.base["a"] = row
			r.rename("a", "b")
		}, [][]string{{"a", "b"}, {"b"}}, []string{"move_remote a to b, perhaps"}, 0},
		{"a folder with the number of one that was removed", []string{"f/a", "f/b", "f/c"}, func(r *rig) {
			r.rename("f", "z")
			r.remove("z/a")
			r.remove("z/b")
			fill(r.t, r.local, "z/new 1", "z/new 2")
		}, nil, []string{"delete_remote f/a", "delete_remote f/b", "make_remote_dir z", "move_remote f/c to z/c", "upload z/new 1", "upload z/new 2", "delete_remote f"}, 2},
		{"without deletions the old name stays on the server", []string{"a"}, func(r *rig) { r.rules.Delete = false; r.rename("a", "b") },
			nil, []string{"upload b", "forget a"}, 0},
		{"out of what takes no part any more", []string{"out/a"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{Exclude: []string{"out/"}})
			r.rename("out/a", "b")
		}, nil, []string{"upload b", "forget out", "forget out/a"}, 0},
		{"out of what a file of rules leaves out by now", []string{"a", "other"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{IgnoreFile: ".ferryignore"})
			r.rename("a", "z")
			writeRules(r, ".ferryignore", "/a\n")
		}, nil, []string{"upload z", "forget a"}, 0},
		{"a folder in which something is left out by its path, which would take part then", []string{"f/a"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{Exclude: []string{"/f/theirs/"}})
			r.rename("f", "z")
		}, nil, []string{"make_remote_dir z", "move_remote f/a to z/a", "delete_remote f"}, 0},
		{"a folder in which a file of rules leaves out something by its path", []string{"f/a"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{IgnoreFile: ".ferryignore"})
			writeRules(r, ".ferryignore", "f/theirs\n")
			r.rename("f", "z")
		}, nil, []string{"make_remote_dir z", "move_remote f/a to z/a", "delete_remote f"}, 0},
		{"a folder in which something is left out by its name, as in any other", []string{"f/a"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{Exclude: []string{"theirs"}})
			r.rename("f", "z")
		}, nil, []string{"move_remote f to z"}, 0},
		{"into what takes no part", []string{"a"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{Exclude: []string{"out/"}})
			r.rename("a", "out/a")
		}, [][]string{{"a", "out/a"}}, []string{"delete_remote a"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, paths := range append([][]string{nil}, test.looks...) {
				for _, size := range []int{0, 1} { // in one part, and in many
					r := newRig(t, "up")
					r.knows(test.known...)
					test.change(r)
					var parts Result
					r.change = func(request *Request) {
						request.Identified = r.base.Identified
						if size > 0 {
							request.partItems, request.Room = size, 1000
							request.Flush = func(_ context.Context, part *Result) (int, error) {
								join(&parts, part)
								return 1000, nil
							}
						}
					}
					result := r.scan(paths...)
					join(&parts, result)
					if got := result.Totals.Deletes; got != test.deletes {
						t.Errorf("%q in parts of %d: %d deletions count, want %d", paths, size, got, test.deletes)
					}
					if size > 0 {
						continue // what was handed over cannot be taken back
					}
					want, got := slices.Sorted(slices.Values(test.want)), slices.Sorted(slices.Values(moved(&parts)))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%q, wanted -, got +:\n%s", paths, diff)
					}
				}
			}
		})
	}
}

func join(all, part *Result) {
	all.Plan.Ops = append(all.Plan.Ops, part.Plan.Ops...)
	all.Plan.Forget = append(all.Plan.Forget, part.Plan.Forget...)
	all.Plan.Notes = append(all.Plan.Notes, part.Plan.Notes...)
	all.Plan.Agree = append(all.Plan.Agree, part.Plan.Agree...)
	all.Again = append(all.Again, part.Again...)
}

func TestNoMoreThanSoManyRenamesAtATime(t *testing.T) {
	r := newRig(t, "up")
	var names []string
	for i := range mostMoves + 5 {
		names = append(names, "a/"+strings.Repeat("x", i/100)+string(rune('A'+i%100)))
	}
	r.knows(names...)
	for i, name := range names {
		row, at := r.base[name], longAgo.Add(time.Duration(i)*time.Second)
		if err := os.Chtimes(filepath.Join(r.local, name), at, at); err != nil {
			t.Fatal(err)
		}
		row.Local.ModTime, row.Remote.ModTime = at, at
		r.base[name] = row
		r.rename(name, "b/"+strings.TrimPrefix(name, "a/"))
	}
	fill(t, r.local, "a/") // else the folder itself was renamed
	r.change = func(request *Request) { request.Identified = r.base.Identified }
	counts := map[string]int{}
	for _, op := range r.scan().Plan.Ops {
		counts[string(op.Action)]++
	}
	if diff := cmp.Diff(map[string]int{"make_remote_dir": 1, "move_remote": mostMoves, "upload": 5, "delete_remote": 5}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestRowsOfOlderVersionsGetIdentities(t *testing.T) {
	r := newRig(t, "up")
	r.knows("f/a")
	for rel, row := range r.base {
		row.Local.ID = 0
		r.base[rel] = row
	}
	r.want(r.scan())
	r.change = func(request *Request) { request.Identified = r.base.Identified }
	result := r.scan()
	r.want(result, "agree f", "agree f/a")
	for _, a := range result.Plan.Agree {
		if a.Base.Local.ID == 0 || a.Was.Local.ID != 0 {
			t.Errorf("%+v", a)
		}
	}
}
