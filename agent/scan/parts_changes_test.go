package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// modelRig is a rig whose far side is in memory, as fill makes it.
func modelRig(t *testing.T, direction plan.Direction, names ...string) (*rig, model) {
	r, far := newRig(t, direction), model{}
	far.fill(names...)
	r.remote = &Remote{Conn: far, Root: "/site"}
	return r, far
}

func (m model) fill(names ...string) {
	for _, name := range names {
		e := entry.Entry{Kind: entry.Dir}
		rel, isFolder := cutSlash(name)
		if !isFolder {
			e = entry.Entry{Kind: entry.File, Size: int64(len(rel)), ModTime: longAgo}
		}
		if m[rel] = e; parent(rel) != "" {
			m.fill(parent(rel) + "/")
		}
	}
}

func (m model) remove(folder string) {
	for rel := range m {
		if isIn(rel, folder) {
			delete(m, rel)
		}
	}
}

// TestWhatChangesBetweenTwoParts: the first part ends after room operations, or the same number of items.
func TestWhatChangesBetweenTwoParts(t *testing.T) {
	type ground struct {
		*rig
		far model
	}
	known := []string{"d/1", "d/2", "d/3", "e"}
	edit := func(g ground, names ...string) {
		for _, name := range names {
			if err := os.WriteFile(g.local+"/"+name, []byte("longer than it was"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name    string
		prepare func(g ground)
		room    int
		first   []string
		change  func(g ground)
		second  []string
	}{
		{"nothing: it goes on behind the last path", func(g ground) { edit(g, "d/1", "d/2") }, 1, []string{"upload d/1"}, func(ground) {}, []string{"upload d/2"}},
		{"what is before the place has to wait for the next scan", func(g ground) { edit(g, "d/2", "d/3") }, 1, []string{"upload d/2"},
			func(g ground) { edit(g, "d/1"); fill(t, g.local, "a", "d/0") }, []string{"upload d/3"}},
		{"the folder is gone at the source: it is decided anew", func(g ground) { edit(g, "d/1") }, 1, []string{"upload d/1"},
			func(g ground) { remove(t, g.local, "d") }, []string{"delete_remote d/1", "delete_remote d/2", "delete_remote d/3", "delete_remote d"}},
		{"the folder is a file at the source", func(g ground) { edit(g, "d/1") }, 1, []string{"upload d/1"},
			func(g ground) { remove(t, g.local, "d"); fill(t, g.local, "d") }, []string{"delete_remote d/1", "delete_remote d/2", "delete_remote d/3", "delete_remote d"}},
		{"the folder is gone at the target", func(g ground) { edit(g, "d/2") }, 1, []string{"upload d/2"},
			func(g ground) { g.far.remove("d") }, []string{"make_remote_dir d", "upload d/1", "upload d/2", "upload d/3"}},
		{"a file has taken the place of the folder at the target", func(g ground) { edit(g, "d/2") }, 1, []string{"upload d/2"},
			func(g ground) { g.far.remove("d"); g.far.fill("d") }, []string{"conflict d"}},
		{"the folder is gone on both sides and forgotten", func(g ground) { edit(g, "d/1"); fill(t, g.local, "f") }, 1, []string{"upload d/1"},
			func(g ground) {
				remove(t, g.local, "d")
				g.far.remove("d")
				for _, rel := range []string{"d", "d/1", "d/2", "d/3"} {
					delete(g.base, rel)
				}
			}, []string{"upload f"}},
		{"the folder that the scan wants was made", func(g ground) { fill(t, g.local, "n/1", "n/2") }, 2, []string{"make_remote_dir n", "upload n/1"},
			func(g ground) { g.far.fill("n/"); g.remember("n/") }, []string{"upload n/2"}},
		{"a file whose folder was in the way", func(g ground) { g.far.remove("d"); remove(t, g.local, "d"); fill(t, g.local, "d") }, -2, []string{"upload d", "forget d/1"},
			func(g ground) { g.far.fill("d"); delete(g.base, "d/1"); g.remember("d") }, []string{"forget d/2", "forget d/3"}},
		{"a folder that goes is back at the source", func(g ground) { remove(t, g.local, "d") }, 2, []string{"delete_remote d/1", "delete_remote d/2"},
			func(g ground) { fill(t, g.local, "d/2") }, []string{"delete_remote d/1", "delete_remote d/3"}},
		{"something new is in a folder that goes", func(g ground) { remove(t, g.local, "d") }, 2, []string{"delete_remote d/1", "delete_remote d/2"},
			func(g ground) { g.far.fill("d/0") }, []string{"delete_remote d/3", "skip d"}},
		{"something that was to go has changed", func(g ground) { remove(t, g.local, "d") }, 3, []string{"delete_remote d/1", "delete_remote d/2", "delete_remote d/3"},
			func(g ground) {
				e := g.far["d/2"]
				e.Size++
				g.far["d/2"] = e
			}, []string{"skip d"}},
		{"something that was seen to stay is gone now: the folder waits for the next scan", func(g ground) {
			remove(t, g.local, "d")
			e := g.far["d/1"]
			e.Size++
			g.far["d/1"] = e
		}, 1, []string{"delete_remote d/2", "conflict d/1"}, func(g ground) { g.far.remove("d/1") }, []string{"delete_remote d/3", "skip d"}},
		{"a folder that was forgotten takes part again", func(g ground) { g.filter = NewFilter(FilterOptions{Exclude: []string{"d/"}}) }, -2, []string{"forget d", "forget d/1"},
			func(g ground) { g.filter = Filter{}; g.base = ledger{}; g.remember("d/2", "d/3", "e") }, []string{"agree d/1"}},
		{"a folder that was under way is left out", func(g ground) { edit(g, "d/1") }, 1, []string{"upload d/1"},
			func(g ground) { g.filter = NewFilter(FilterOptions{Exclude: []string{"d/"}}) }, []string{"forget d", "forget d/1", "forget d/2", "forget d/3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, far := modelRig(t, plan.Up, known...)
			r.t = t
			r.inStep(known...)
			g := ground{r, far}
			test.prepare(g)
			var parts []*Result
			room := test.room
			r.change = func(request *Request) {
				request.Room, request.partItems = max(room, 1), 1000
				if room < 0 {
					request.Room, request.partItems = 1000, -room
				}
				request.Flush = func(_ context.Context, found *Result) (int, error) {
					parts = append(parts, found)
					return 0, nil
				}
			}
			rest := r.scan()
			if len(parts) != 1 || rest.Cursor == nil || len(said(rest)) > 0 {
				t.Fatalf("%d parts, and %q with the place %+v", len(parts), said(rest), rest.Cursor)
			}
			r.want(parts[0], test.first...)
			test.change(g)
			r.filter = g.filter
			r.change = func(request *Request) { request.Cursor = rest.Cursor }
			r.want(r.scan(), test.second...)
		})
	}
}

// TestRootsAreLookedAtInEachPart: a disk may be taken away in the middle, whether the same process goes on or another one.
func TestRootsAreLookedAtInEachPart(t *testing.T) {
	move := func(t *testing.T, r *rig) {
		if err := os.Rename(r.local, r.local+" elsewhere"); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name      string
		direction plan.Direction
		known     bool
		change    func(t *testing.T, r *rig, far model)
		local     plan.Root
		remote    plan.Root
		missing   string
		err       error
	}{
		{"nothing happens", plan.Up, true, func(*testing.T, *rig, model) {}, plan.RootFilled, plan.RootFilled, "", nil},
		{"the local folder is gone", plan.Up, true, func(t *testing.T, r *rig, _ model) { move(t, r) }, plan.RootMissing, plan.RootFilled, "", nil},
		{"the local folder is gone, and was the target", plan.Down, true, func(t *testing.T, r *rig, _ model) { move(t, r) }, plan.RootMissing, plan.RootFilled, "", nil},
		{"the local folder is gone at first contact", plan.Down, false, func(t *testing.T, r *rig, _ model) { move(t, r) }, 0, 0, "", errReplaced},
		{"the marker is gone", plan.Up, true, func(t *testing.T, r *rig, _ model) { remove(t, r.local, "marker") }, plan.RootFilled, plan.RootFilled, "marker", nil},
		{"the remote source is gone", plan.Down, true, func(_ *testing.T, _ *rig, far model) { far["gone"] = entry.Entry{} }, plan.RootFilled, plan.RootMissing, "", nil},
		{"the remote source is gone at first contact", plan.Down, false, func(_ *testing.T, _ *rig, far model) { far["gone"] = entry.Entry{} }, 0, 0, "", ErrSourceMissing},
	} {
		for _, anew := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, another run %v", test.name, anew), func(t *testing.T) {
				r, far := modelRig(t, test.direction)
				fill(t, r.local, "a", "b", "marker")
				far.fill("a", "b", "c", "marker")
				if test.known {
					r.remember("c")
				}
				var cursor *Cursor
				r.change = func(request *Request) {
					request.Marker, request.Room, request.partItems, request.Cursor = "marker", 10, 2, cursor
					request.Flush = func(context.Context, *Result) (int, error) {
						if !anew {
							test.change(t, r, far)
							return 1, nil
						}
						return 0, nil
					}
				}
				result, err := r.run()
				if anew && err == nil {
					cursor = result.Cursor
					test.change(t, r, far)
					change := r.change
					r.change = func(request *Request) { change(request); request.Flush = nil }
					result, err = r.run()
				}
				if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
					t.Fatalf("error %v, want %v", err, test.err)
				}
				totals := result.Totals
				if err == nil && (totals.Local != test.local || totals.Remote != test.remote || totals.MarkerMissing != test.missing || result.Cursor != nil) {
					t.Errorf("%+v, place %+v", totals, result.Cursor)
				}
			})
		}
	}
	t.Run("another folder is in the place of the local one", func(t *testing.T) {
		r, _ := modelRig(t, plan.Up)
		fill(t, r.local, "a", "b", "c")
		r.change = func(request *Request) {
			request.Room, request.partItems = 10, 2
			request.Flush = func(context.Context, *Result) (int, error) {
				move(t, r)
				return 1, os.Mkdir(r.local, 0o777)
			}
		}
		if _, err := r.run(); !errors.Is(err, errReplaced) {
			t.Errorf("error %v", err)
		}
	})
}

func TestSizesOfParts(t *testing.T) {
	var files []string
	for i := range 2500 {
		files = append(files, fmt.Sprintf("%04d", i))
	}
	for _, test := range []struct {
		name  string
		files int
		rooms []int // at first, and then the answers
		want  []int // how many operations there are in each part, and at the end
		ends  bool
	}{
		{"a small plan stays in one piece", 999, []int{10_000}, []int{999}, true},
		{"a large one comes by the thousand", 2500, []int{10_000, 9000, 8000}, []int{1000, 1000, 500}, true},
		{"there is less room than that", 2500, []int{300, 1000, 0}, []int{300, 1000, 0}, false},
		{"there is none at all", 3, []int{0}, []int{0}, false},
		{"there is just enough", 3, []int{3, 0}, []int{3, 0}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, plan.Up)
			fill(t, r.local, files[:test.files]...)
			var got []int
			rooms := test.rooms
			r.change = func(request *Request) {
				request.Room, rooms = rooms[0], rooms[1:]
				request.Flush = func(_ context.Context, found *Result) (room int, err error) {
					got = append(got, len(found.Plan.Ops))
					room, rooms = rooms[0], rooms[1:]
					return room, nil
				}
			}
			last := r.scan()
			if diff := cmp.Diff(test.want, append(got, len(last.Plan.Ops))); diff != "" || (last.Cursor == nil) != test.ends {
				t.Errorf("place %+v, parts:\n%s", last.Cursor, diff)
			}
		})
	}
}

// slow is a far side that takes its time for each folder.
type slow struct{ model }

func (s slow) List(ctx context.Context, p string) (ftpclient.Listing, error) {
	time.Sleep(6 * time.Second)
	return s.model.List(ctx, p)
}

// TestWhatWasFoundIsHandedOverInTime though it is not much.
func TestWhatWasFoundIsHandedOverInTime(t *testing.T) {
	names := []string{"a/1", "b/2", "c/3", "d/4", "e/5", "f/6"}
	r := newRig(t, plan.Down)
	far := model{}
	far.fill(names...)
	r.remote = &Remote{Conn: slow{far}, Root: "/site"}
	dir := openRoot(t, r.local)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var flushed []time.Duration
		result, err := Run(t.Context(), Request{
			Rules: r.rules, Local: dir, Remote: r.remote, Children: r.base.Children, At: r.base.At, Room: 1000,
			Flush: func(_ context.Context, found *Result) (int, error) {
				flushed = append(flushed, time.Since(began))
				return 1000, nil
			},
		})
		want := []time.Duration{18 * time.Second, 36 * time.Second}
		if err != nil || result.Cursor != nil || !slices.Equal(flushed, want) {
			t.Errorf("handed over after %v, want %v; %v", flushed, want, err)
		}
	})
}

// TestPartsDoNotGrowBitByBit: what one part has recorded is the room that the next one has from the beginning.
func TestPartsDoNotGrowBitByBit(t *testing.T) {
	const items, parts = 600, 3
	var files []string
	for i := range items * parts {
		files = append(files, fmt.Sprintf("%04d", i))
	}
	r, _ := modelRig(t, plan.Up)
	fill(t, r.local, files...)
	var rooms []int
	r.change = func(request *Request) {
		request.Room, request.partItems = 10_000, items
		request.Flush = func(_ context.Context, part *Result) (int, error) {
			rooms = append(rooms, cap(part.Plan.Ops))
			return 10_000, nil
		}
	}
	r.scan()
	if len(rooms) < parts-1 {
		t.Fatalf("%d parts", len(rooms))
	}
	for i, room := range rooms[1:] {
		if room > items*5/4 {
			t.Errorf("part %d has room for %d operations instead of %d", i+1, room, items)
		}
	}
}

func TestAFailingFlushEndsTheScan(t *testing.T) {
	r := newRig(t, plan.Up)
	fill(t, r.local, "a", "b")
	broken := errors.New("broken")
	r.change = func(request *Request) {
		request.Room = 1
		request.Flush = func(context.Context, *Result) (int, error) { return 5, broken }
	}
	if _, err := r.run(); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// TestWhatAJobHasPutThereMeanwhileIsNoStranger: the rows of its folder were read before, and the source is gone again by now.
func TestWhatAJobHasPutThereMeanwhileIsNoStranger(t *testing.T) {
	for direction, want := range map[plan.Direction][]string{
		plan.Up: {"delete_remote d/new", "delete_remote d", "upload kept"}, plan.Both: {"delete_remote d/new", "delete_remote d", "upload kept"},
	} {
		r, _ := modelRig(t, direction, "d/new")
		fill(t, r.local, "kept")
		at := ledger{}
		for name, e := range map[string]entry.Entry{"d": {Kind: entry.Dir}, "d/new": {Kind: entry.File, Size: int64(len("d/new")), ModTime: longAgo}} {
			at[name] = state.Baseline{Path: name, Local: e, Remote: e}
		}
		r.change = func(request *Request) { request.At = at.At }
		result := r.scan()
		r.want(result, want...)
		if result.Totals.Extra != 0 || result.Totals.Deletes != 1 {
			t.Errorf("%s: %+v", direction, result.Totals)
		}
	}
}
