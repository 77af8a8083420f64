package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

var ignoring = FilterOptions{IgnoreFile: ".ferryignore"}

// write puts lines into an ignore file of the local folder.
func (r *rig) write(rel string, lines ...string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.local, rel), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func TestIgnoreFiles(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *rig)
		paths  []string
		want   []string
	}{
		{"what they name does not take part, nor do they themselves", func(r *rig) {
			fill(t, r.local, "x.tmp", "d/x.tmp", "d/new")
			r.write(".ferryignore", "*.tmp")
		}, nil, []string{"upload d/new"}},
		{"one in a folder is about what is in it", func(r *rig) {
			fill(t, r.local, "d/e/x", "d/x", "x")
			r.write("d/.ferryignore", "/x")
		}, nil, []string{"make_remote_dir d/e", "upload d/e/x", "upload x"}},
		{"the nearest one has the last word", func(r *rig) {
			fill(t, r.local, "d/e/x.tmp", "d/x.tmp")
			r.write(".ferryignore", "*.tmp")
			r.write("d/e/.ferryignore", "!x.tmp")
		}, nil, []string{"make_remote_dir d/e", "upload d/e/x.tmp"}},
		{"what the configuration leaves out they do not bring back", func(r *rig) {
			fill(t, r.local, "x.off")
			r.write(".ferryignore", "!*.off")
		}, nil, nil},
		{"what is in step and left out now is forgotten and not deleted", func(r *rig) {
			r.write("d/.ferryignore", "1")
			remove(t, r.local, "d/1")
		}, nil, []string{"forget d/1"}},
		{"a whole folder", func(r *rig) {
			r.write(".ferryignore", "d/")
			remove(t, r.local, "d")
		}, nil, []string{"forget d", "forget d/1", "forget d/2"}},
		{"a single path", func(r *rig) {
			fill(t, r.local, "d/x.tmp", "d/new")
			r.write("d/.ferryignore", "*.tmp")
		}, []string{"d/x.tmp", "d/new"}, []string{"upload d/new"}},
		{"a path below a folder that is left out", func(r *rig) {
			fill(t, r.local, "d/e/f/x")
			r.write("d/.ferryignore", "e/")
		}, []string{"d/e/f/x"}, nil},
		{"a changed ignore file: its folder is looked at as a whole, and not others", func(r *rig) {
			fill(t, r.local, "d/new", "new")
			r.write("d/.ferryignore", "1")
		}, []string{"d/.ferryignore", "d/2"}, []string{"upload d/new", "forget d/1"}},
		{"a changed one in the root: everything", func(r *rig) {
			fill(t, r.local, "new")
			r.write(".ferryignore", "1")
		}, []string{".ferryignore"}, []string{"upload new", "forget d/1"}},
		{"one that is gone with its folder", func(r *rig) { remove(t, r.local, "d") }, []string{"d/.ferryignore"},
			[]string{"delete_remote d/1", "delete_remote d/2", "delete_remote d"}},
		{"a line that nobody understands: nothing in the folder is touched", func(r *rig) {
			fill(t, r.local, "d/new", "d/e/new", "new")
			remove(t, r.local, "d/1")
			r.write("d/.ferryignore", "ok", "", "[a-")
		}, nil, []string{"upload new", "unknown d"}},
		{"nor by a look at a single path", func(r *rig) {
			fill(t, r.local, "d/new", "new")
			r.write("d/.ferryignore", "[a-")
		}, []string{"d/new", "d/.ferryignore", "new"}, []string{"upload new", "unknown d"}},
		{"not even without a look at the folder", func(r *rig) {
			fill(t, r.local, "d/new")
			r.write("d/.ferryignore", "[a-")
		}, []string{"d/new"}, []string{"unknown d"}},
		{"in the root: nothing at all", func(r *rig) {
			fill(t, r.local, "new")
			remove(t, r.local, "d")
			r.write(".ferryignore", "[a-")
		}, nil, []string{"unknown "}},
		{"one that is too large", func(r *rig) { r.write("d/.ferryignore", strings.Repeat("#", 1<<20+1)) }, nil, []string{"unknown d"}},
		{"a folder of that name", func(r *rig) { fill(t, r.local, "d/.ferryignore/") }, nil, []string{"unknown d"}},
		{"a link that leads nowhere", func(r *rig) { os.Symlink("nowhere", filepath.Join(r.local, "d", ".ferryignore")) }, nil, []string{"unknown d"}},
		{"a link that leads out", func(r *rig) { os.Symlink("/etc/passwd", filepath.Join(r.local, "d", ".ferryignore")) }, nil, []string{"unknown d"}},
		{"one in UTF-16", func(r *rig) { r.write("d/.ferryignore", "\xff\xfe*\x00.\x00") }, nil, []string{"unknown d"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, plan.Up)
			options := ignoring
			options.Exclude = []string{"*.off"}
			r.filter = NewFilter(options)
			r.inStep("d/1", "d/2", "z")
			test.change(r)
			r.want(r.scan(test.paths...), test.want...)
		})
	}
}

// TestWhatIsLeftOutKeepsItsFolder, which is deleted at the source.
func TestWhatIsLeftOutKeepsItsFolder(t *testing.T) {
	for name, o := range map[string]FilterOptions{
		"by a rule":         {Exclude: []string{"2"}},
		"by its size":       {MaxSize: 3},
		"by its age":        {MaxAge: time.Hour},
		"by an ignore file": ignoring,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, plan.Down)
			r.inStep("d/1", "d/2", "d/3")
			far := model{"d": {Kind: entry.Dir}}
			r.remote = &Remote{Conn: far, Root: "/site"}
			delete(far, "d")
			far["z"] = r.base["d/1"].Remote
			fill(t, r.local, "z")
			r.remember("z")
			far["z"] = r.base["z"].Remote
			want := []string{"delete_local d/1", "delete_local d/3", "forget d/2", "skip d"}
			switch {
			case o.IgnoreFile != "":
				r.write("d/.ferryignore", "2")
			case o.MaxSize > 0:
				row := r.base["d/2"]
				row.Local.Size, row.Remote.Size = 10, 10
				r.base["d/2"] = row
			case o.MaxAge > 0:
				for _, rel := range []string{"d/1", "d/3"} {
					now := time.Now().Truncate(time.Second)
					os.Chtimes(filepath.Join(r.local, rel), now, now)
					row := r.base[rel]
					row.Local.ModTime, row.Remote.ModTime = now, now
					r.base[rel] = row
				}
			}
			r.filter = NewFilter(o)
			r.want(r.scan(), want...)
		})
	}
}

func TestLimits(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	file := func(size int64, age time.Duration) entry.Entry {
		return entry.Entry{Kind: entry.File, Size: size, ModTime: now.Add(-age), Precision: time.Second}
	}
	absent, folder := entry.Entry{}, entry.Entry{Kind: entry.Dir}
	ageless := entry.Entry{Kind: entry.File, Size: 50}
	base := func(local, remote entry.Entry) *plan.Base { return &plan.Base{Local: local, Remote: remote, When: now} }
	o := FilterOptions{MinSize: 10, MaxSize: 100, MinAge: time.Minute, MaxAge: time.Hour}
	for _, test := range []struct {
		name          string
		direction     plan.Direction
		local, remote entry.Entry
		base          *plan.Base
		limited       bool
	}{
		{"within all limits", plan.Up, file(50, 10*time.Minute), absent, nil, false},
		{"as small as may be", plan.Up, file(10, 10*time.Minute), absent, nil, false},
		{"too small", plan.Up, file(9, 10*time.Minute), absent, nil, true},
		{"as large as may be", plan.Up, file(100, 10*time.Minute), absent, nil, false},
		{"too large", plan.Up, file(101, 10*time.Minute), absent, nil, true},
		{"too new", plan.Up, file(50, 59*time.Second), absent, nil, true},
		{"old enough", plan.Up, file(50, time.Minute), absent, nil, false},
		{"too old", plan.Up, file(50, time.Hour+time.Second), absent, nil, true},
		{"from the future, which tells nothing about its age", plan.Up, file(50, -time.Hour), absent, nil, false},
		{"folders have no size", plan.Up, folder, absent, nil, false},
		{"no time is known", plan.Down, absent, ageless, nil, false},
		{"no size is known", plan.Down, absent, file(-1, 10*time.Minute), nil, false},
		{"the source counts and not the target", plan.Up, file(50, 10*time.Minute), file(1, 0), nil, false},
		{"so it does when it is the server", plan.Down, file(50, 10*time.Minute), file(1, 10*time.Minute), nil, true},
		{"in both directions each side counts", plan.Both, file(50, 10*time.Minute), file(1, 10*time.Minute), nil, true},
		{"something at the target only", plan.Up, absent, file(1, 10*time.Minute), nil, true},
		{"a folder at the target only", plan.Up, absent, folder, nil, false},
		{"deleted at the source: as it was", plan.Up, absent, file(50, 0), base(file(50, 10*time.Minute), file(50, 0)), false},
		{"deleted at the source, and was too large", plan.Up, absent, file(200, 0), base(file(200, 10*time.Minute), file(200, 0)), true},
		{"in step, and the server has given its file the time of the transfer", plan.Both, file(50, 10*time.Minute), file(50, 0),
			base(file(50, 10*time.Minute), file(50, 0)), false},
		{"changed there since", plan.Both, file(50, 10*time.Minute), file(51, 0), base(file(50, 10*time.Minute), file(50, 5*time.Minute)), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			item := plan.Item{Path: "x", Base: test.base}
			item.Local, item.Remote = plan.Side{Knowledge: plan.Seen, Entry: test.local}, plan.Side{Knowledge: plan.Seen, Entry: test.remote}
			f := NewFilter(o).In(Local{}, now)
			if f.limited(test.direction, item) != test.limited {
				t.Errorf("limited: %v", !test.limited)
			}
			if (f.Overrules(test.direction, item) != "") != test.limited {
				t.Error("a planned operation is judged in another way")
			}
		})
	}
}

// TestWhenAFileIsOldEnough: only one that nothing but its youth keeps out is to be looked at again.
func TestWhenAFileIsOldEnough(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	side := func(size int64, age time.Duration) plan.Side {
		return plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: now.Add(-age)}}
	}
	for _, test := range []struct {
		name          string
		direction     plan.Direction
		local, remote plan.Side
		in            time.Duration // 0: never
	}{
		{"too new", plan.Up, side(50, 20*time.Second), plan.Side{}, 40 * time.Second},
		{"too new on the server", plan.Down, plan.Side{}, side(50, 20*time.Second), 40 * time.Second},
		{"both are, and the newer one counts", plan.Both, side(50, 20*time.Second), side(50, 10*time.Second), 50 * time.Second},
		{"too new and too large", plan.Up, side(101, 20*time.Second), plan.Side{}, 0},
		{"too small", plan.Up, side(1, time.Minute), plan.Side{}, 0},
		{"too old", plan.Up, side(50, 2*time.Hour), plan.Side{}, 0},
		{"within all limits", plan.Up, side(50, 2*time.Minute), plan.Side{}, 0},
		{"from the future, which tells nothing", plan.Up, side(50, -time.Second), plan.Side{}, 0},
		{"at the target only", plan.Up, plan.Side{}, side(50, 20*time.Second), 0},
		{"one is too new, the other one too old for ever", plan.Both, side(50, 20*time.Second), side(50, 2*time.Hour), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &walker{began: now, request: Request{Rules: plan.Rules{Direction: test.direction}}}
			w.filter = *NewFilter(FilterOptions{MinSize: 10, MaxSize: 100, MinAge: time.Minute, MaxAge: time.Hour}).In(Local{}, now)
			note := w.young(plan.Item{Path: "x", Local: test.local, Remote: test.remote})
			if got := note != nil; got != (test.in > 0) || got && (!note.Until.Equal(now.Add(test.in)) || !note.Held || !strings.HasPrefix(note.Text, TooYoung)) {
				t.Errorf("%+v", note)
			}
		})
	}
}

// TestBeyondTheLimits: such a file is neither sent nor forgotten, and goes when it is within them.
func TestBeyondTheLimits(t *testing.T) {
	r := newRig(t, plan.Up)
	r.filter = NewFilter(FilterOptions{MinAge: time.Hour})
	r.inStep("a", "b")
	now := time.Now()
	for _, rel := range []string{"a", "new"} {
		fill(t, r.local, rel)
		os.Chtimes(filepath.Join(r.local, rel), now, now)
	}
	found := r.scan()
	r.want(found, "skip a", "skip new")
	for _, n := range found.Plan.Notes {
		if !n.Held || !n.Until.Equal(now.Truncate(time.Nanosecond).Add(time.Hour)) {
			t.Errorf("%+v", n)
		}
	}
	now = now.Add(-2 * time.Hour)
	for _, rel := range []string{"a", "new"} {
		os.Chtimes(filepath.Join(r.local, rel), now, now)
	}
	r.want(r.scan(), "upload a", "upload new")
}

func TestIgnoreErrorsNameFileAndLine(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "d/e/")
	os.WriteFile(filepath.Join(dir, "d", ".ferryignore"), []byte("# rules\n\n*.tmp\na//b\n"), 0o600)
	f := NewFilter(ignoring).In(NewLocal(openRoot(t, dir), plan.Rules{}), time.Time{})
	_, err := f.WhyAnywhere("d/e/x", false)
	broken, ok := errors.AsType[*IgnoreError](err)
	if !ok || broken.Path != "d/.ferryignore" || broken.Line != 4 || !strings.Contains(err.Error(), `d/.ferryignore, line 4: the pattern "a//b"`) {
		t.Errorf("%v", err)
	}
	if why := f.Overrules(plan.Up, plan.Item{Path: "d/e/x"}); !strings.Contains(why, "line 4") {
		t.Errorf("a planned operation: %q", why)
	}
	if why, err := f.WhyAnywhere("x.tmp", false); why != "" || err != nil {
		t.Errorf("beside it: %q, %v", why, err)
	}
	os.WriteFile(filepath.Join(dir, ".ferryignore"), []byte("*.tmp"), 0o600)
	f = NewFilter(ignoring).In(NewLocal(openRoot(t, dir), plan.Rules{}), time.Time{})
	if why, _ := f.WhyAnywhere("x.tmp", false); !strings.Contains(why, `"*.tmp" (.ferryignore, line 1)`) {
		t.Errorf("the reason is %q", why)
	}
	bad := NewFilter(FilterOptions{Exclude: []string{"[a"}}).In(Local{}, time.Time{})
	if _, err := bad.WhyAnywhere("x", false); err == nil || !strings.Contains(err.Error(), "exclude: ") {
		t.Errorf("a bad rule of the configuration: %v", err)
	}
}

// TestIgnoreFilesAreReadOnce for all that is in their folders.
func TestIgnoreFilesAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "d/e/", "f/")
	file := filepath.Join(dir, "d", ".ferryignore")
	os.WriteFile(file, []byte("*.tmp"), 0o600)
	f := NewFilter(ignoring).In(NewLocal(openRoot(t, dir), plan.Rules{}), time.Time{})
	is := func(rel string, want bool) {
		t.Helper()
		if f.Excluded(rel, false) != want {
			t.Errorf("%s: %v", rel, !want)
		}
	}
	is("d/x.tmp", true)
	os.Remove(file)
	is("d/e/x.tmp", true)
	is("d/y.tmp", true)
	is("f/x.tmp", false)
	is("d/x.tmp", false)
}

// TestIgnoreFilesInParts: a folder with one goes on where it was left.
func TestIgnoreFilesInParts(t *testing.T) {
	r := newRig(t, plan.Up)
	r.filter = NewFilter(ignoring)
	r.inStep("z")
	for i := range 6 {
		fill(t, r.local, fmt.Sprintf("d/%d", i), fmt.Sprintf("d/%d.tmp", i))
	}
	r.write("d/.ferryignore", "*.tmp")
	var words []string
	var cursor *Cursor
	for runs := 0; ; runs++ {
		r.change = func(q *Request) {
			q.Room, q.partItems, q.Cursor = 2, 2, cursor
			q.Paths = []string{"d/.ferryignore"}
			left := 2
			q.Flush = func(_ context.Context, found *Result) (int, error) {
				words = append(words, said(found)...)
				left -= len(found.Plan.Ops)
				return left, nil
			}
		}
		result := r.scan()
		words = append(words, said(result)...)
		if cursor = result.Cursor; cursor == nil || runs > 20 {
			break
		}
	}
	if got := strings.Join(words, ", "); got != "make_remote_dir d, upload d/0, upload d/1, upload d/2, upload d/3, upload d/4, upload d/5" {
		t.Error(got)
	}
}
