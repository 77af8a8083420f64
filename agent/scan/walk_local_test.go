package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestEventScans looks at single paths, on the local side only.
func TestEventScans(t *testing.T) {
	known := []string{"a/x", "a/sub/y", "b", "old/1", "old/deep/2"}
	for _, test := range []struct {
		name    string
		change  func(t *testing.T, root string)
		exclude []string
		paths   []string
		want    []string
	}{
		{"nothing changed", nil, nil, []string{"a/x", "b", "old"}, nil},
		{"an edited file", func(t *testing.T, root string) {
			os.WriteFile(filepath.Join(root, "a", "x"), []byte("longer than before"), 0o666)
		}, nil, []string{"a/x"}, []string{"upload a/x"}},
		{"changes elsewhere are not looked at", func(t *testing.T, root string) {
			fill(t, root, "c")
			remove(t, root, "old", "a/x")
		}, nil, []string{"b"}, nil},
		{"a new nested folder by its top", func(t *testing.T, root string) {
			fill(t, root, "a/new/p/q/1", "a/new/2", "a/new/empty/")
		}, nil, []string{"a/new"}, []string{
			"make_remote_dir a/new", "upload a/new/2", "make_remote_dir a/new/empty", "make_remote_dir a/new/p", "make_remote_dir a/new/p/q", "upload a/new/p/q/1",
		}},
		{"a new nested folder by a path deep in it takes all of it along", func(t *testing.T, root string) {
			fill(t, root, "a/new/p/q/1", "a/new/2")
		}, nil, []string{"a/new/p/q/1"}, []string{
			"make_remote_dir a/new", "upload a/new/2", "make_remote_dir a/new/p", "make_remote_dir a/new/p/q", "upload a/new/p/q/1",
		}},
		{"a new nested folder by several of its paths is planned once", func(t *testing.T, root string) {
			fill(t, root, "n/p/1", "n/2")
		}, nil, []string{"n/p/1", "n", "n/2", "n/p"}, []string{"make_remote_dir n", "upload n/2", "make_remote_dir n/p", "upload n/p/1"}},
		{"a deleted file", func(t *testing.T, root string) { remove(t, root, "a/x") }, nil,
			[]string{"a/x"}, []string{"delete_remote a/x"}},
		{"a deleted tree by its top: contents first", func(t *testing.T, root string) { remove(t, root, "old") }, nil,
			[]string{"old"}, []string{"delete_remote old/1", "delete_remote old/deep/2", "delete_remote old/deep", "delete_remote old"}},
		{"a deleted tree by a path deep in it", func(t *testing.T, root string) { remove(t, root, "old") }, nil,
			[]string{"old/deep/2"}, []string{"delete_remote old/1", "delete_remote old/deep/2", "delete_remote old/deep", "delete_remote old"}},
		{"a path that was never there", nil, nil, []string{"ghost", "a/ghost", "ghost/deep/er", "b/below a file"}, nil},
		{"a path under an excluded folder", func(t *testing.T, root string) { fill(t, root, "a/.git/objects/1") },
			[]string{".git/"}, []string{"a/.git/objects/1", "a/.git"}, nil},
		{"a known path that is excluded now stays where it is", func(t *testing.T, root string) { remove(t, root, "a/x") },
			[]string{"x"}, []string{"a/x"}, nil},
		{"a file that became a folder", func(t *testing.T, root string) {
			remove(t, root, "b")
			fill(t, root, "b/1")
		}, nil, []string{"b"}, []string{"delete_remote b"}},
		{"a file that became a folder, by a path in it", func(t *testing.T, root string) {
			remove(t, root, "b")
			fill(t, root, "b/1")
		}, nil, []string{"b/1"}, []string{"delete_remote b"}},
		{"a folder that became a file", func(t *testing.T, root string) {
			remove(t, root, "old")
			fill(t, root, "old")
		}, nil, []string{"old/1", "old"}, []string{"delete_remote old/1", "delete_remote old/deep/2", "delete_remote old/deep", "delete_remote old"}},
		{"one path above the others covers them", func(t *testing.T, root string) {
			fill(t, root, "a/1", "a/sub/2", "c")
			remove(t, root, "a/sub/y")
		}, nil, []string{"c", "a/sub/y", "a/1", "a", "a/sub/2"}, []string{"upload a/1", "upload a/sub/2", "delete_remote a/sub/y", "upload c"}},
		{"a sibling whose name sorts between a folder and its contents", func(t *testing.T, root string) {
			fill(t, root, "a/1", "a-b", "a!")
		}, nil, []string{"a", "a/1", "a-b", "a!"}, []string{"upload a/1", "upload a!", "upload a-b"}},
		{"the root among the paths means everything", func(t *testing.T, root string) {
			fill(t, root, "c", "a/1")
		}, nil, []string{"b", ""}, []string{"upload a/1", "upload c"}},
		{"a temporary name is no file", func(t *testing.T, root string) { fill(t, root, ".b.ftpferry-0badcafe-1") }, nil,
			[]string{".b.ftpferry-0badcafe-1"}, nil},
		{"a path out of the root", nil, nil, []string{"../x"}, []string{"unknown .."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, plan.Up)
			r.inStep(known...)
			r.filter = NewFilter(FilterOptions{Exclude: test.exclude})
			if test.change != nil {
				test.change(t, r.local)
			}
			r.want(r.scan(test.paths...), test.want...)
		})
	}
}

// TestEventScanAssumesTheFarSide: what nobody looked at is planned as the baseline says, and
// the worker knows that it has to look.
func TestEventScanAssumesTheFarSide(t *testing.T) {
	r := newRig(t, plan.Up)
	r.inStep("gone")
	remove(t, r.local, "gone")
	fill(t, r.local, "new")
	result := r.scan("gone", "new")
	for i, want := range []plan.Side{{Knowledge: plan.Assumed, Entry: r.base["gone"].Remote}, {Knowledge: plan.Assumed}} {
		if got := result.Plan.Ops[i].Remote; got != want {
			t.Errorf("%s: the far side is %+v, want %+v", result.Plan.Ops[i].Path, got, want)
		}
	}
	if result.Totals.Remote != plan.RootUnseen || result.Totals.Local != plan.RootFilled || result.Totals.Direction != plan.Up {
		t.Errorf("totals: %+v", result.Totals)
	}
}

func TestEventScanDownDeletesNothingThatNobodyLookedFor(t *testing.T) {
	r := newRig(t, plan.Down)
	r.inStep("known")
	fill(t, r.local, "new", "folder/new")
	r.want(r.scan("new", "folder/new"))
	remove(t, r.local, "known")
	r.want(r.scan("known"), "download known")
}

// TestUnreadableBaselineIsNotForgottenUnseen: without its row, the next full scan would take the file on the far side for one
// that never belonged to the sync.
func TestUnreadableBaselineIsNotForgottenUnseen(t *testing.T) {
	r := newRig(t, plan.Up)
	r.base["gone"] = state.Baseline{Path: "gone", Bad: "its check sum is wrong"}
	r.base["there"] = state.Baseline{Path: "there", Bad: "its check sum is wrong"}
	fill(t, r.local, "there")
	r.want(r.scan("gone", "there"), "upload there")
}

// TestFolderAndFileBackAndForth follows a path through its changes as the jobs and the looks
// after them would.
func TestFolderAndFileBackAndForth(t *testing.T) {
	r := newRig(t, plan.Up)
	r.inStep("p/1", "p/2")
	remove(t, r.local, "p")
	fill(t, r.local, "p")
	r.want(r.scan("p"), "delete_remote p/1", "delete_remote p/2", "delete_remote p")
	if op := r.scan("p").Plan.Ops[2]; !op.Replan {
		t.Error("nobody looks again after the folder is gone")
	}
	r.base = ledger{}
	r.want(r.scan("p"), "upload p")
	r.remember("p")
	remove(t, r.local, "p")
	fill(t, r.local, "p/1")
	r.want(r.scan("p/1"), "delete_remote p")
	r.base = ledger{}
	r.want(r.scan("p"), "make_remote_dir p", "upload p/1")
}

func TestLinksAndSocketsAreSkipped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("making links needs a privilege here")
		return
	}
	r := newRig(t, plan.Up)
	r.inStep("folder/1", "file")
	special(t, r.local)
	want := []string{"skip out", "skip to a file", "skip to a folder", "skip to nothing"}
	r.want(r.scan(), want...)
	r.want(r.scan("to a folder/1"), "skip to a folder")

	// A known folder that is a link now: nobody follows it, and nothing is deleted.
	remove(t, r.local, "folder")
	if err := os.Symlink(t.TempDir(), filepath.Join(r.local, "folder")); err != nil {
		t.Fatal(err)
	}
	r.want(r.scan("folder/1"), "skip folder")
	socket(t, r.local, "socket")
	r.want(r.scan("socket"), "skip socket")
}

func TestNamesWithLineEndsAreSkipped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("there are no such names here")
		return
	}
	r := newRig(t, plan.Up)
	fill(t, r.local, "a\nDELE b", "folder\r/x", "fine")
	r.want(r.scan(), "upload fine", "skip a\nDELE b", "skip folder\r")
	r.want(r.scan("folder\r/x"), "skip folder\r")
}

// TestUnreadableFolder: what is in a folder that cannot be read is unknown and not gone.
func TestUnreadableFolder(t *testing.T) {
	r := newRig(t, plan.Up)
	r.inStep("a/x", "a/sub/y", "b")
	want := "unknown a"
	if !unreadable(t, filepath.Join(r.local, "a")) {
		want = "again a"
		// For root the folder is replaced while the scan runs: it was seen as a folder in its
		// parent, and is none when it is opened.
		r.change = func(request *Request) {
			children := request.Children
			request.Children = func(dir string) ([]state.Baseline, error) {
				if dir == "a" {
					os.Chmod(filepath.Join(r.local, "a"), 0o777)
					remove(t, r.local, "a")
					fill(t, r.local, "a")
				}
				return children(dir)
			}
		}
	}
	r.want(r.scan(), want)
}

// TestUnreadableTargetFolderStays though nothing is known to be in it.
func TestUnreadableTargetFolderStays(t *testing.T) {
	r := newRig(t, plan.Down)
	r.inStep("d/")
	children := r.base.Children
	root := openRoot(t, r.local)
	w := &walker{result: &Result{}, local: NewLocal(root, r.rules), request: Request{Rules: r.rules, Local: root, Children: func(dir string) ([]state.Baseline, error) {
		if dir == "d" { // after the folder was seen and before it is read
			remove(t, r.local, "d")
		}
		return children(dir)
	}}}
	if _, err := w.folder(t.Context(), "", there, absent, nil); err != nil {
		t.Fatal(err)
	}
	r.want(w.result, "skip d", "again d")
}

func TestFullScanOfTheLocalSide(t *testing.T) {
	r := newRig(t, plan.Up)
	r.inStep("a/x", "a/sub/y", "b", ".hidden/.z")
	r.want(r.scan())
	if got := r.scan().Looked; got != 7 {
		t.Errorf("looked at %d paths, want 7", got)
	}
	fill(t, r.local, "a/new", "z/", "[glob] *")
	remove(t, r.local, "a/sub", "b")
	r.want(r.scan(), "upload [glob] *", "upload a/new", "delete_remote a/sub/y", "delete_remote a/sub", "delete_remote b", "make_remote_dir z")
	if totals := r.scan().Totals; totals.Deletes != 2 || totals.Known != 7 {
		t.Errorf("totals: %+v", totals)
	}
	r.rules.Delete = false
	r.want(r.scan(), "upload [glob] *", "upload a/new", "make_remote_dir z", "forget a/sub", "forget a/sub/y", "forget b")
}

// TestContentsOfALostFolderAreForgotten: a row of the baseline below a file would hide a
// change later on.
func TestContentsOfALostFolderAreForgotten(t *testing.T) {
	r := newRig(t, plan.Up)
	r.remember("p/1", "p/deep/2")
	fill(t, r.local, "p")
	r.want(r.walkWithoutFarSide(nil), "upload p", "forget p/1", "forget p/deep", "forget p/deep/2")
	remove(t, r.local, "p")
	r.want(r.walkWithoutFarSide(nil), "forget p", "forget p/1", "forget p/deep", "forget p/deep/2")
}

// walkWithoutFarSide scans as if a look at the server had shown that nothing is there.
func (r *rig) walkWithoutFarSide(orphan func(string, uint64, int) bool) *Result {
	r.t.Helper()
	root := openRoot(r.t, r.local)
	w := &walker{result: &Result{}, local: NewLocal(root, r.rules), request: Request{
		Rules: r.rules, Local: root, Children: r.base.Children, At: r.base.At, Orphan: orphan,
	}}
	if _, err := w.folder(r.t.Context(), "", there, absent, nil); err != nil {
		r.t.Fatal(err)
	}
	return w.result
}

func TestLocalRoots(t *testing.T) {
	none := func(*testing.T, *rig) {}
	for _, test := range []struct {
		name      string
		direction plan.Direction
		prepare   func(t *testing.T, r *rig)
		marker    string
		exclude   []string
		err       error
		local     plan.Root
		missing   string
		want      []string
	}{
		{"a source that is gone and never held anything", plan.Up, func(t *testing.T, r *rig) { remove(t, r.local, "") }, "", nil, ErrSourceMissing, plan.RootUnseen, "", nil},
		{"a source that is gone and held something: a guard's matter", plan.Up, func(t *testing.T, r *rig) {
			r.remember("a")
			remove(t, r.local, "")
		}, "", nil, nil, plan.RootMissing, "", nil},
		{"a target that is gone and held something: a guard's matter", plan.Down, func(t *testing.T, r *rig) {
			r.remember("a")
			remove(t, r.local, "")
		}, "", nil, nil, plan.RootMissing, "", nil},
		{"a target that is not there yet", plan.Down, func(t *testing.T, r *rig) { remove(t, r.local, "") }, "", nil, nil, plan.RootUnseen, "", nil},
		{"an empty source that never held anything", plan.Up, none, "", nil, nil, plan.RootEmpty, "", nil},
		{"an empty source that held something: the plan is there, for a person to approve", plan.Up, func(t *testing.T, r *rig) { r.remember("a") }, "", nil, nil,
			plan.RootEmpty, "", []string{"delete_remote a"}},
		{"a source that holds left-over temporary files only is empty", plan.Up,
			func(t *testing.T, r *rig) { fill(t, r.local, ".x.ftpferry-0badcafe-1") }, "", nil, nil, plan.RootEmpty, "", nil},
		{"a source that holds nothing but what is excluded is empty", plan.Up, func(t *testing.T, r *rig) { fill(t, r.local, "lost+found/") }, "",
			[]string{"lost+found/"}, nil, plan.RootEmpty, "", nil},
		{"a marker that is there", plan.Up, func(t *testing.T, r *rig) { r.inStep("in/.mounted") }, "in/.mounted", nil, nil, plan.RootFilled, "", nil},
		{"a marker that is excluded still counts", plan.Up, func(t *testing.T, r *rig) { fill(t, r.local, ".mounted") }, ".mounted", []string{".mounted"}, nil, plan.RootEmpty, "", nil},
		{"a marker that is missing: nothing is planned", plan.Up, func(t *testing.T, r *rig) {
			r.remember("a")
			fill(t, r.local, "b")
		}, ".mounted", nil, nil, plan.RootFilled, ".mounted", nil},
		{"a marker that is missing with its folder", plan.Down, func(t *testing.T, r *rig) { remove(t, r.local, "") }, ".mounted", nil, nil, plan.RootUnseen, ".mounted", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.direction)
			test.prepare(t, r)
			r.filter = NewFilter(FilterOptions{Exclude: test.exclude})
			r.change = func(request *Request) { request.Marker = test.marker }
			result, err := r.run()
			if !errors.Is(err, test.err) || err != nil && test.err == nil {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			r.want(result, test.want...)
			if result.Totals.Local != test.local || result.Totals.MarkerMissing != test.missing {
				t.Errorf("totals: %+v", result.Totals)
			}
		})
	}
}

func TestOrphansAreThoseOfJobsThatAreNoMore(t *testing.T) {
	r := newRig(t, plan.Up)
	const dead, alive, foreign = ".dead.ftpferry-0badcafe-1", "sub/.alive.ftpferry-0badcafe-2", ".foreign.ftpferry-12345678-1"
	fill(t, r.local, dead, alive, foreign, ".folder.ftpferry-0badcafe-1/file")
	const link = ".link.ftpferry-0badcafe-1"
	if err := os.Symlink("nowhere", filepath.Join(r.local, link)); err != nil {
		t.Fatal(err)
	}
	r.remember("sub/")
	r.want(r.scan())
	r.change = func(request *Request) {
		request.Orphan = func(instance string, job uint64, _ int) bool { return instance == "0badcafe" && job == 1 }
	}
	r.want(r.scan(), "sweep local "+dead, "sweep local "+link)
	r.want(r.scan(dead, alive, link), "sweep local "+dead, "sweep local "+link)
}

// TestTemporaryFilesOfOthersKeepTheirFolder: a folder can go when all that is left in it is
// to be swept, and not while somebody writes in it.
func TestTemporaryFilesOfOthersKeepTheirFolder(t *testing.T) {
	r := newRig(t, plan.Down)
	fill(t, r.local, "folder/.x.ftpferry-0badcafe-1")
	r.remember("folder/")
	r.want(r.walkWithoutFarSide(func(string, uint64, int) bool { return true }), "delete_local folder", "sweep local folder/.x.ftpferry-0badcafe-1")
	r.want(r.walkWithoutFarSide(nil), "skip folder")
}

func TestDepthIsLimited(t *testing.T) {
	r := newRig(t, plan.Up)
	deepest := strings.Repeat("d/", maxDepth+1)
	fill(t, r.local, deepest+"file", deepest+"e/too deep", "d/beside")
	result := r.scan()
	words := said(result)
	if len(words) != maxDepth+1+3+1 || words[len(words)-1] != "unknown "+deepest+"e" {
		t.Errorf("%d words, the last is %q", len(words), words[len(words)-1])
	}
	if diff := cmp.Diff([]string{"make_remote_dir " + deepest + "e", "upload " + deepest + "file"}, words[maxDepth+2:len(words)-1]); diff != "" {
		t.Error(diff)
	}
}

func TestScanEndsWithItsContextAndItsBaseline(t *testing.T) {
	r := newRig(t, plan.Up)
	fill(t, r.local, "a/b")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	request := Request{Rules: r.rules, Local: openRoot(t, r.local), Children: r.base.Children, At: r.base.At}
	if _, err := Run(ctx, request); !errors.Is(err, stop) {
		t.Errorf("error %v, want the reason of the end", err)
	}
	broken := errors.New("broken")
	request.Children = func(string) ([]state.Baseline, error) { return nil, broken }
	request.At = func(string) (*state.Baseline, error) { return nil, broken }
	if _, err := Run(t.Context(), request); !errors.Is(err, broken) {
		t.Errorf("full: error %v", err)
	}
	request.Paths = []string{"a"}
	if _, err := Run(t.Context(), request); !errors.Is(err, broken) {
		t.Errorf("one path: error %v", err)
	}
}

// TestPathsInOneFolderAskForItOnce: a thousand files written into one folder are a thousand
// dirty paths.
func TestPathsInOneFolderAskForItOnce(t *testing.T) {
	r := newRig(t, plan.Up)
	var paths []string
	for i := range 50 {
		paths = append(paths, fmt.Sprintf("a/b/c/%d", i))
	}
	r.inStep(paths...)
	asked := 0
	r.change = func(request *Request) {
		request.At = func(rel string) (*state.Baseline, error) {
			asked++
			return r.base.At(rel)
		}
	}
	r.want(r.scan(paths...))
	if want := len(paths) + 3; asked != want {
		t.Errorf("asked for %d rows of the baseline, want %d", asked, want)
	}
}

func BenchmarkLocalFullWalk(b *testing.B) {
	const folders, files = 100, 20
	dir := b.TempDir()
	for i := range folders {
		for j := range files {
			fill(b, dir, fmt.Sprintf("folder%03d/file%02d", i, j))
		}
	}
	root := openRoot(b, dir)
	rows := map[string][]state.Baseline{}
	known := 0
	for i := range folders {
		name := fmt.Sprintf("folder%03d", i)
		rows[""] = append(rows[""], state.Baseline{Path: name, Local: entry.Entry{Kind: entry.Dir}, Remote: entry.Entry{Kind: entry.Dir}})
		for _, found := range ReadLocal(root, name).Names {
			rows[name] = append(rows[name], state.Baseline{Path: name + "/" + found.Name, Local: found.Entry, Remote: found.Entry})
		}
		known += 1 + len(rows[name])
	}
	request := Request{
		Rules: plan.Rules{Direction: plan.Up, Delete: true}, Filter: NewFilter(FilterOptions{Include: []string{"**"}, Exclude: []string{"*.tmp", ".git/"}}),
		Local: root, Known: known, Children: func(dir string) ([]state.Baseline, error) { return rows[dir], nil },
	}
	b.ReportAllocs()
	for b.Loop() {
		result, err := Run(b.Context(), request)
		if err != nil || result.Looked != known || len(result.Plan.Ops) > 0 {
			b.Fatalf("%d of %d looked at, %d operations, %v", result.Looked, known, len(result.Plan.Ops), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(known), "ns/path")
}
