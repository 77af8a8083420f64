package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
)

func TestNamesThatSayOfOthersThatTheyAreComplete(t *testing.T) {
	for _, row := range []struct {
		template, of, is string
		shared           bool
		not              []string // names that are none
	}{
		{"{name}.done", "x/a.csv", "x/a.csv.done", false, []string{"x/a.csv", ".done", "x/.done", "a.done.x", "a.done/b"}},
		{"{stem}.done", "x/a.csv", "x/a.done", true, []string{"a.csv", ".done"}},
		{"{stem}.ok{ext}", "a.csv", "a.ok.csv", false, []string{"a.csv", "a.ok.b.c", "ok.csv"}},
		{"{stem}.ok{ext}", "x/a", "x/a.ok", false, nil},
		{"done.{name}", ".hidden", "done..hidden", false, []string{"done", "done."}},
		{"{stem}.done", "x/.hidden", "x/.hidden.done", true, nil},
		{"COMPLETE", "x/a.csv", "x/COMPLETE", true, []string{"COMPLETED", "complete", "COMPLETE/a"}},
		{"[{name}]", "a\n\xff", "[a\n\xff]", false, []string{"[]", "a"}},
	} {
		ready := NewReady(row.template)
		if got := ready.Of(row.of); got != row.is {
			t.Errorf("%s: %q waits for %q, want %q", row.template, row.of, got, row.is)
		}
		if !ready.Is(row.is) || ready.Is(row.of) {
			t.Errorf("%s: %q is one: %v, and so is %q: %v", row.template, row.is, ready.Is(row.is), row.of, ready.Is(row.of))
		}
		for _, name := range row.not {
			if ready.Is(name) {
				t.Errorf("%s: %q is one", row.template, name)
			}
		}
		if ready.Shared() != row.shared {
			t.Errorf("%s: shared is %v", row.template, ready.Shared())
		}
	}
	if none := NewReady(""); !none.IsZero() || none.Is("a") {
		t.Error("no template stands for something")
	}
}

func FuzzReady(f *testing.F) {
	f.Add("{name}.done", "a.csv")
	f.Add("{stem}.ok{ext}", ".a\xff.")
	f.Fuzz(func(t *testing.T, template, name string) {
		if ready := NewReady(template); template != "" && !strings.Contains(template, "/") && mayBeName(name) && !ready.Is(ready.Of(name)) {
			t.Errorf("%q of %q is %q, and is none", template, name, ready.Of(name))
		}
	})
}

// mayBeName reports what may be the name of a file.
func mayBeName(name string) bool {
	return name != "" && name != "." && name != ".." && !slices.Contains([]byte(name), '/')
}

// TestFilesThatWaitForOthers has the folder of an upload, and what a scan of all, and looks at single paths, make of it.
func TestFilesThatWaitForOthers(t *testing.T) {
	old, now := longAgo, longAgo.Add(time.Hour)
	for sentence, row := range map[string]struct {
		template string
		files    map[string]time.Time
		paths    []string // nil: all
		sent     []string
		held     map[string]string
	}{
		"a file without one waits": {"{name}.done", map[string]time.Time{"a": old}, nil, nil, map[string]string{"a": "waiting for a.done"}},
		"one that is newer is enough": {"{name}.done", map[string]time.Time{"a": old, "a.done": now}, nil,
			[]string{"a"}, nil},
		"one of the same time is enough": {"{name}.done", map[string]time.Time{"a": old, "a.done": old}, nil, []string{"a"}, nil},
		"an older one is about the version before": {"{name}.done", map[string]time.Time{"a": now, "a.done": old}, nil,
			nil, map[string]string{"a": "waiting for a new a.done: the one that is there is older than the file"}},
		"one alone is nothing": {"{name}.done", map[string]time.Time{"a.done": old}, nil, nil, nil},
		"a change of one leads to what it is about": {"{name}.done", map[string]time.Time{"a": old, "a.done": now, "b": old, "b.done": now}, []string{"a.done"},
			[]string{"a"}, nil},
		"a change of one leads to all that it is about": {"{stem}.done", map[string]time.Time{"a.x": old, "a.y": now, "a.done": old, "b.x": old, "b.done": now}, []string{"a.done", "a.y"},
			[]string{"a.x"}, map[string]string{"a.y": "waiting for a new a.done: the one that is there is older than the file"}},
		"one for a folder": {"OK", map[string]time.Time{"a": old, "b": old, "OK": now, "sub/a": old}, nil,
			[]string{"a", "b"}, map[string]string{"sub/a": "waiting for OK"}},
		"a change of one for a folder":  {"OK", map[string]time.Time{"a": old, "b": old, "OK": now}, []string{"OK"}, []string{"a", "b"}, nil},
		"a change of one about nothing": {"{name}.done", map[string]time.Time{"a": old, "b.done": now}, []string{"b.done"}, nil, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, plan.Up)
			r.filter = NewFilter(FilterOptions{Ready: NewReady(row.template)})
			for name, at := range row.files {
				full := filepath.Join(r.local, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, []byte(name), 0o666); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(full, at, at); err != nil {
					t.Fatal(err)
				}
			}
			result := r.scan(row.paths...)
			var sent []string
			for _, op := range result.Plan.Ops {
				if op.Action == plan.Upload {
					sent = append(sent, op.Path)
					if !op.Ready {
						t.Errorf("%s would have to be quiet all the same", op.Path)
					}
				}
			}
			if slices.Sort(sent); !slices.Equal(sent, row.sent) {
				t.Errorf("sent: %q, want %q", sent, row.sent)
			}
			for _, n := range result.Plan.Notes {
				if want := row.held[n.Path]; !n.Held || n.Text != want || n.Again {
					t.Errorf("%+v, want %q", n, want)
				}
				delete(row.held, n.Path)
			}
			if len(row.held) > 0 {
				t.Errorf("not held: %q", row.held)
			}
			if row.paths != nil && !slices.Equal(slices.Sorted(slices.Values(result.Finished)), slices.Sorted(slices.Values(row.paths))) {
				t.Errorf("finished: %q, want %q", result.Finished, row.paths)
			}
		})
	}
}

// TestWhatWasInStepWaitsForNothing: the file that said that it was complete may be gone since.
func TestWhatWasInStepWaitsForNothing(t *testing.T) {
	r := newRig(t, plan.Up)
	r.filter = NewFilter(FilterOptions{Ready: NewReady("{name}.done")})
	local, full := newLocalIn(t, r.local)
	if err := os.WriteFile(full, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	here, err := local.Stat("a")
	if err != nil {
		t.Fatal(err)
	}
	item := plan.Item{Path: "a", Local: plan.Side{Knowledge: plan.Seen, Entry: here}, Base: &plan.Base{Local: here}}
	w := &walker{request: Request{Filter: r.filter}, local: local}
	if why, err := w.waitsFor(t.Context(), item, here, false); why != "" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	item.Base.Local.Size++
	if why, err := w.waitsFor(t.Context(), item, here, false); why == "" || err != nil {
		t.Errorf("%q, %v of one that has changed since", why, err)
	}
}

func newLocalIn(t *testing.T, dir string) (Local, string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return NewLocal(root, plan.Rules{Direction: plan.Up}), filepath.Join(dir, "a")
}
