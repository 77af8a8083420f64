package scan

import (
	"crypto/sha256"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
)

// follows has the scans of a rig follow *.log, all of which were sent.
func (r *rig) follows() {
	sent := map[string]*state.Appended{}
	for rel := range r.base {
		content, err := os.ReadFile(filepath.Join(r.local, rel))
		if err != nil || !strings.Contains(rel, ".log") {
			continue
		}
		sum := sha256.Sum256(content)
		sent[rel] = &state.Appended{Size: int64(len(content)), First: sum[:]}
	}
	r.rules.Delete = false
	r.change = func(request *Request) {
		request.Appends = func(rel string) bool { return path.Ext(rel) == ".log" }
		request.Appended = func(rel string) (*state.Appended, error) { return sent[rel], nil }
	}
}

func (r *rig) grow(rel, text string) {
	r.t.Helper()
	file, err := os.OpenFile(filepath.Join(r.local, rel), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

// TestRotation finds what a full scan and looks at single paths make of logs that were given other names.
func TestRotation(t *testing.T) {
	for _, test := range []struct {
		name   string
		known  []string
		change func(r *rig)
		looks  [][]string // what is looked at, in turn with everything
		want   []string
	}{
		{"rotated, with something new under the old name", []string{"f/a.log"}, func(r *rig) {
			r.rename("f/a.log", "f/a.log.1")
			r.grow("f/a.log.1", "more")
			fill(r.t, r.local, "f/a.log")
		}, [][]string{{"f/a.log"}, {"f/a.log.1"}, {"f/a.log", "f/a.log.1"}}, []string{"move_remote f/a.log to f/a.log.1"}},
		{"under a name that comes before", []string{"a.log"}, func(r *rig) { r.rename("a.log", "a-1.log"); fill(r.t, r.local, "a.log") },
			[][]string{{"a.log"}, {"a-1.log", "a.log"}}, []string{"move_remote a.log to a-1.log"}},
		{"rotated, with nothing new yet", []string{"a.log"}, func(r *rig) { r.rename("a.log", "a.log.1") },
			[][]string{{"a.log"}, {"a.log.1"}}, []string{"move_remote a.log to a.log.1"}},
		{"a chain goes from its end", []string{"a.log", "a.log.1"}, func(r *rig) {
			r.rename("a.log.1", "a.log.2")
			r.rename("a.log", "a.log.1")
			fill(r.t, r.local, "a.log")
		}, [][]string{{"a.log"}, {"a.log.1"}, {"a.log.2"}, {"a.log", "a.log.1", "a.log.2"}}, []string{"move_remote a.log.1 to a.log.2"}},
		{"the last one of a chain takes the place of one that is gone", []string{"a.log", "a.log.1"}, func(r *rig) {
			r.rename("a.log", "a.log.1")
			fill(r.t, r.local, "a.log")
		}, [][]string{{"a.log"}, {"a.log.1"}}, []string{"move_remote a.log to a.log.1"}},
		{"exchanged in a circle", []string{"a.log", "b.log"}, func(r *rig) {
			r.rename("a.log", "x")
			r.rename("b.log", "a.log")
			r.rename("x", "b.log")
			r.grow("a.log", "1")
			r.grow("b.log", "1")
		}, [][]string{{"a.log", "b.log"}}, []string{"upload a.log", "upload b.log"}},
		{"another file that has its number", []string{"a.log"}, func(r *rig) {
			r.rename("a.log", "a.txt")
			if err := os.WriteFile(filepath.Join(r.local, "a.txt"), []byte("something else"), 0o666); err != nil {
				r.t.Fatal(err)
			}
			fill(r.t, r.local, "a.log")
			r.grow("a.log", "1")
		}, [][]string{{"a.log", "a.txt"}}, []string{"upload a.log", "upload a.txt"}},
		{"a name that takes no part", []string{"a.log"}, func(r *rig) {
			r.filter = NewFilter(FilterOptions{Exclude: []string{"*.1"}})
			r.rename("a.log", "a.log.1")
			fill(r.t, r.local, "a.log")
			r.grow("a.log", "1")
		}, [][]string{{"a.log"}}, []string{"upload a.log"}},
		{"no log", []string{"a.txt"}, func(r *rig) { r.rename("a.txt", "b.txt"); fill(r.t, r.local, "a.txt"); r.grow("a.txt", "1") },
			[][]string{{"a.txt", "b.txt"}}, []string{"upload a.txt", "upload b.txt"}},
		{"two names", []string{"a.log"}, func(r *rig) {
			r.rename("a.log", "b.log")
			if err := os.Link(filepath.Join(r.local, "b.log"), filepath.Join(r.local, "c.log")); err != nil {
				r.t.Fatal(err)
			}
			fill(r.t, r.local, "a.log")
			r.grow("a.log", "1")
		}, [][]string{{"a.log", "b.log", "c.log"}}, []string{"upload a.log", "upload b.log", "upload c.log"}},
	} {
		for _, look := range append([][]string{nil}, test.looks...) {
			t.Run(test.name+"/"+strings.Join(look, " "), func(t *testing.T) {
				r := newRig(t, "up")
				r.knows(append(test.known, "other")...)
				r.follows()
				test.change(r)
				result := r.scan(look...)
				if diff := cmp.Diff(test.want, moved(result)); diff != "" {
					t.Errorf("wanted -, got +:\n%s", diff)
				}
				if i := slices.IndexFunc(result.Plan.Ops, func(op plan.Op) bool { return op.From != "" }); i >= 0 && !result.Plan.Ops[i].Rotated {
					t.Error("the move does not say that it is a rotation")
				}
			})
		}
	}
}
