package scan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatIsQuickIsWhatWouldBeDecided: whatever a folder and its rows hold, a scan finds the same, counts the same and stops at the same
// places whether it decides about each file or passes those that are in step.
func TestWhatIsQuickIsWhatWouldBeDecided(t *testing.T) {
	passed := 0
	for seed := range uint64(300) {
		draw := rand.New(rand.NewPCG(seed, 1))
		r := newRig(t, []plan.Direction{plan.Up, plan.Down, plan.Both}[draw.IntN(3)])
		r.rules.Delete = draw.IntN(4) > 0
		r.rules.Consume = draw.IntN(10) == 0
		if draw.IntN(2) == 0 {
			r.rules.Links = plan.LinksPreserve
		}
		r.rules.Foreign = []plan.Foreign{"", plan.ForeignKeep, plan.ForeignConflict}[draw.IntN(3)]
		options := FilterOptions{Defaults: true, IgnoreFile: ".ferryignore", Exclude: []string{"left-*"}}
		if draw.IntN(8) == 0 {
			options.MaxSize = 3
		}
		if draw.IntN(8) == 0 {
			options.Include = []string{"*1*", "*2*"}
		}
		r.filter = NewFilter(options)
		far := drawTree(r, draw)
		var results [2][]Result
		partItems := 1 + draw.IntN(8)
		both, moves := draw.IntN(2) == 0, draw.IntN(2) == 0
		for i, thorough := range []bool{false, true} {
			r.change = func(request *Request) {
				request.thorough, request.partItems, request.Room = thorough, partItems, 1000
				request.Intents = func(string) ([]state.Intent, error) { return nil, nil }
				if moves {
					request.Identified = func(state.Side, entry.Entry, int) ([]string, error) { return nil, nil }
				}
				if both {
					request.Remote = &Remote{Conn: far, Root: "/site"}
				}
				request.Flush = func(_ context.Context, found *Result) (int, error) {
					results[i] = append(results[i], *found)
					return 1000, nil
				}
			}
			result, err := r.run()
			if err != nil {
				t.Fatal(err)
			}
			results[i] = append(results[i], *result)
		}
		if diff := cmp.Diff(results[1], results[0]); diff != "" {
			t.Fatalf("seed %d: wanted -, got +:\n%s", seed, diff)
		}
		passed += results[0][len(results[0])-1].Totals.Here.Held
	}
	if passed < 1000 {
		t.Errorf("only %d files were in step", passed)
	}
}

// drawTree fills the local folder, the baseline and a server with what is the same nearly everywhere.
func drawTree(r *rig, draw *rand.Rand) listedTree {
	far, made := listedTree{}, map[string]bool{}
	names := []string{"capital", "Capital", "CAPITAL", "left-out", "é", "e\u0301", "tab\t", "x.ftpferry-0123abcd-1.1", ".hidden", "~$office", "a\x01b", "line\nend"}
	for folder := range 4 {
		dir := fmt.Sprintf("d%d", folder)
		if folder == 0 {
			dir = ""
		} else {
			r.inStep(dir + "/")
			far[""] = append(far[""], list.Entry{Name: dir, Type: list.Dir})
		}
		for n := range 3 + draw.IntN(12) {
			name := fmt.Sprintf("f%d", n)
			if draw.IntN(6) == 0 {
				name = names[draw.IntN(len(names))] + fmt.Sprint(draw.IntN(3))
			}
			rel := filepath.ToSlash(filepath.Join(dir, name))
			if made[rel] {
				continue
			}
			made[rel] = true
			r.inStep(rel)
			there := list.Entry{Name: name, Type: list.File, Size: int64(len(rel)), ModTime: longAgo, Precision: time.Second, Unique: "u" + name}
			row := r.base[rel]
			row.Local.ID, row.Remote.ID = 0, remoteID(there.Unique)
			if e, err := os.Lstat(filepath.Join(r.local, rel)); err == nil && draw.IntN(10) > 0 {
				row.Local.ID = localID(e)
			}
			switch draw.IntN(24) {
			case 0:
				row.Local.Size++
			case 1:
				row.Remote.Size++
			case 2:
				row.Left = "a reason"
			case 3:
				row = state.Baseline{Path: rel, Bad: "broken"}
			case 4:
				row.Remote.ModTime = time.Time{}
			case 5:
				row.Remote.ID = 0
			case 6:
				row.Local.Kind = entry.Dir
			case 7:
				row.Remote = entry.Entry{}
			case 8: // the listed time does not tell enough yet
				at := time.Now().Add(-25 * time.Hour).UTC()
				if err := os.Chtimes(filepath.Join(r.local, rel), at, at); err != nil {
					r.t.Fatal(err)
				}
				there.ModTime, there.Precision = at.Truncate(time.Minute), time.Minute
				row.Local.ModTime, row.Remote.ModTime, row.Remote.Precision = at, there.ModTime, there.Precision
				row.When = time.Now().Add(-10 * time.Hour)
			case 9:
				there.ModTime = time.Time{}
			case 10:
				there.Type = list.Dir
			case 11:
				there.Size = -1
			case 12:
				remove(r.t, r.local, rel)
			case 13:
				row.Local.ModTime = row.Local.ModTime.Add(time.Hour)
			case 14:
				delete(r.base, rel)
				if draw.IntN(2) == 0 {
					far[dir] = append(far[dir], there)
				}
				continue
			case 15:
				r.base[rel] = row
				continue
			}
			r.base[rel] = row
			far[dir] = append(far[dir], there)
		}
		if row := r.base[dir]; dir != "" && draw.IntN(8) == 0 {
			row.Remote = entry.Entry{Kind: entry.File, Size: 3, ModTime: longAgo}
			r.base[dir] = row
		}
	}
	return far
}

// listedTree is a server by its folders.
type listedTree map[string][]list.Entry

func (f listedTree) List(_ context.Context, p string) (ftpclient.Listing, error) {
	var l ftpclient.Listing
	l.Entries = append(l.Entries, f[model{}.rel(p)]...)
	return l, nil
}

func (f listedTree) Stat(_ context.Context, p string) (list.Entry, error) {
	rel := model{}.rel(p)
	if rel == "" {
		return list.Entry{Type: list.Dir}, nil
	}
	for _, e := range f[folderOf(rel)] {
		if e.Name == filepath.Base(rel) {
			return e, nil
		}
	}
	return list.Entry{}, os.ErrNotExist
}

func (f listedTree) ModTimes(_ context.Context, paths []string) ([]ftpclient.FileTime, error) {
	times := make([]ftpclient.FileTime, len(paths))
	for i, p := range paths {
		found, err := f.Stat(context.Background(), p)
		times[i] = ftpclient.FileTime{ModTime: found.ModTime.Add(time.Second), Err: err}
	}
	return times, nil
}
func (listedTree) Size(context.Context, string) (int64, error) { return 0, os.ErrNotExist }
func (listedTree) Usable() bool                                { return true }
func (listedTree) Facts() ftpclient.Facts                      { return ftpclient.Facts{} }
func (listedTree) Listed(name string) string                   { return name }
func (listedTree) ReadLinks(context.Context, string) (ftpclient.Listing, error) {
	return ftpclient.Listing{}, nil
}

func (listedTree) ReadLink(context.Context, string) (list.Entry, error) {
	return list.Entry{}, os.ErrNotExist
}

func TestUnchangedFilesAreCountedAsOthersAre(t *testing.T) {
	file := entry.Entry{Kind: entry.File, Size: 3, ModTime: longAgo}
	for _, knowledge := range []plan.Knowledge{plan.Assumed, plan.Seen} {
		var counted, quick plan.Totals
		counted.Count(plan.Item{
			Local: plan.Side{Knowledge: plan.Seen, Entry: file}, Remote: plan.Side{Knowledge: knowledge, Entry: file}, Base: &plan.Base{Local: file, Remote: file},
		}, plan.Decision{})
		quick.CountUnchanged(knowledge == plan.Seen)
		if counted != quick {
			t.Errorf("%v: %+v, want %+v", knowledge, quick, counted)
		}
	}
}

// TestARotatedFileIsNotPassed: what took its place may have its size and time.
func TestARotatedFileIsNotPassed(t *testing.T) {
	var results [2]*Result
	for i, thorough := range []bool{false, true} {
		r := newRig(t, plan.Up)
		r.inStep("a.log", "b.log")
		for rel, row := range r.base {
			info, err := os.Lstat(filepath.Join(r.local, rel))
			if err != nil {
				t.Fatal(err)
			}
			row.Local.ID = localID(info)
			r.base[rel] = row
		}
		r.follows()
		follow := r.change
		r.change = func(request *Request) { follow(request); request.thorough = thorough }
		if err := os.Rename(filepath.Join(r.local, "a.log"), filepath.Join(r.local, "a.log.1")); err != nil {
			t.Fatal(err)
		}
		fill(t, r.local, "a.log")
		results[i] = r.scan()
		if len(results[i].Plan.Ops) != 1 || results[i].Plan.Ops[0].Action != plan.MoveRemote {
			t.Fatalf("%+v", results[i].Plan.Ops)
		}
	}
	if got, want := results[0], results[1]; got.Looked != want.Looked || got.Totals != want.Totals {
		t.Errorf("%d looked at, %+v, want %d, %+v", got.Looked, got.Totals, want.Looked, want.Totals)
	}
}
