package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// marked is a state in which nothing is in step and some paths are marked.
type marked struct {
	noState
	last  uint64
	marks []state.Dirty
}

func (marked) Count() (int, error)     { return 0, nil }
func (m marked) Mark() (uint64, error) { return m.last, nil }
func (m marked) Dirty(limit int) ([]state.Dirty, error) {
	return m.marks[:min(limit, len(m.marks))], nil
}

var errNoServer = errors.New("there is no server here")

// scanEnv is a sync of the files named, with a server that cannot be reached.
func scanEnv(t *testing.T, s State, files ...string) (Env, *[]Outcome) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var flushed []Outcome
	return Env{
		Sync: Sync{Name: "s", Local: dir, Remote: "/site", Rules: plan.Rules{Direction: plan.Up, Delete: true}}, State: s,
		Connect: func(context.Context) (*ftpclient.Conn, error) { return nil, errNoServer },
		Logger:  slog.New(slog.DiscardHandler), Room: 1000,
		Flush: func(_ context.Context, part Outcome) (int, error) {
			flushed = append(flushed, part)
			return 0, nil
		},
	}, &flushed
}

func lookJob(t *testing.T, progress any) queue.Job {
	t.Helper()
	job := queue.Job{ID: 7, New: queue.New{Kind: KindLook, Sync: "s"}}
	if progress != nil {
		text, err := json.Marshal(progress)
		if err != nil {
			t.Fatal(err)
		}
		job.Progress = text
	}
	return job
}

func marksOf(number uint64, paths ...string) (marks []state.Dirty) {
	for _, path := range paths {
		marks = append(marks, state.Dirty{Path: path, Mark: number})
	}
	return marks
}

func pathsOf(o Outcome) (ops, cleared []string) {
	for _, op := range o.Scan.Plan.Ops {
		ops = append(ops, op.Path)
	}
	for _, mark := range o.Dirty {
		cleared = append(cleared, mark.Path)
	}
	return ops, cleared
}

// TestHowFarAScanHasCome: what a look does with what was written down about it.
func TestHowFarAScanHasCome(t *testing.T) {
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	under := func(path, top, last string) *scan.Cursor {
		c := &scan.Cursor{Path: state.Text(path), Levels: []scan.Level{{Name: state.Text(top), Local: 2}, {Name: state.Text(last)}}}
		c.Totals.Deletes = 4
		return c
	}
	for _, test := range []struct {
		name     string
		progress any
		marks    []state.Dirty
		ops      []string
		cleared  []string
		anew     bool
		deletes  int
		more     bool
	}{
		{"nothing is written down: it begins", nil, marksOf(3, "n", "z"), []string{"n", "n/1", "n/2", "n/3", "z"}, []string{"n", "z"}, true, 0, false},
		{"nobody can read it: it begins anew", "what?", marksOf(3, "z"), []string{"z"}, []string{"z"}, true, 0, false},
		{"it says nothing: it begins anew", Progress{}, marksOf(3, "z"), []string{"z"}, []string{"z"}, true, 0, false},
		{"it goes on behind the last path", Progress{Began: began, Mark: 3, Known: 9, Cursor: under("n", "n", "n/1"[2:])}, marksOf(3, "n", "z"),
			[]string{"n/2", "n/3", "z"}, []string{"n", "z"}, false, 4, false},
		{"the folder was begun for the sake of a path in it", Progress{Began: began, Mark: 3, Known: 9, Cursor: under("n/1", "n", "1")}, marksOf(3, "n/1", "z"),
			[]string{"n/2", "n/3", "z"}, []string{"n/1", "z"}, false, 4, false},
		{"it was between two paths", Progress{Began: began, Mark: 3, Known: 9, Cursor: &scan.Cursor{Totals: plan.Totals{Deletes: 4}}}, marksOf(3, "z"),
			[]string{"z"}, []string{"z"}, false, 4, false},
		{"another scan has done the path meanwhile", Progress{Began: began, Mark: 3, Known: 9, Cursor: under("n", "n", "1")}, marksOf(3, "z"),
			[]string{"z"}, []string{"z"}, false, 4, false},
		{"all was done meanwhile: the guard still sees the totals", Progress{Began: began, Mark: 3, Known: 9, Cursor: under("n", "n", "1")}, nil, nil, nil, false, 4, false},
		{"the path was marked again: it is finished, and its mark stays", Progress{Began: began, Mark: 3, Known: 9, Cursor: under("n", "n", "1")}, marksOf(4, "n"),
			[]string{"n/2", "n/3"}, nil, false, 4, true},
		{"marks that are newer than the look are left to the next", Progress{Began: began, Mark: 3, Known: 9, Cursor: under("n", "n", "1")},
			append(marksOf(3, "n"), marksOf(4, "n/1", "z")...), []string{"n/2", "n/3"}, []string{"n"}, false, 4, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, flushed := scanEnv(t, marked{last: 3, marks: test.marks}, "n/1", "n/2", "n/3", "z")
			start := time.Now()
			o := Do(t.Context(), e, lookJob(t, test.progress))
			if o.Result != Done || o.Progress == nil || o.Progress.Cursor != nil || len(*flushed) > 0 || o.Full {
				t.Fatalf("outcome %+v, progress %+v", o, o.Progress)
			}
			ops, cleared := pathsOf(o)
			if diff := cmp.Diff([][]string{test.ops, test.cleared}, [][]string{ops, cleared}); diff != "" {
				t.Error(diff)
			}
			p := *o.Progress
			switch {
			case test.anew && (p.Began.Before(start) || p.Mark != 3 || p.Known != 0), !test.anew && (!p.Began.Equal(began) || p.Mark != 3 || p.Known != 9):
				t.Errorf("progress %+v", p)
			case o.Scan.Totals.Deletes != test.deletes || o.More != test.more:
				t.Errorf("totals %+v, more %v", o.Scan.Totals, o.More)
			}
		})
	}
}

// TestNobodyWaitsForEver: of what has happened and what is only due, whichever was marked first is looked at first.
func TestNobodyWaitsForEver(t *testing.T) {
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	due := func(number uint64, path string) state.Dirty { return state.Dirty{Path: path, Mark: number, Due: true} }
	middle := Progress{Began: began, Mark: 3, Known: 9, Cursor: &scan.Cursor{Path: "n", Levels: []scan.Level{{Name: "n", Local: 2}, {Name: "1"}}}}
	for sentence, c := range map[string]struct {
		marks    []state.Dirty
		progress any
		cleared  []string
		more     bool
	}{
		"something has happened first": {[]state.Dirty{due(2, "n"), {Path: "z", Mark: 1}}, nil, []string{"z"}, true},
		"something was due first":      {[]state.Dirty{due(1, "n"), {Path: "z", Mark: 2}}, nil, []string{"n"}, true},
		"nothing has happened":         {[]state.Dirty{due(1, "n"), due(2, "z")}, nil, []string{"n", "z"}, false},
		"in the middle of what is due": {[]state.Dirty{due(2, "n"), {Path: "z", Mark: 1}}, middle, []string{"n"}, true},
		"in the middle of what is not": {[]state.Dirty{{Path: "n", Mark: 2}, due(1, "z")}, middle, []string{"n"}, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			e, _ := scanEnv(t, marked{last: 3, marks: c.marks}, "n/1", "n/2", "z")
			o := Do(t.Context(), e, lookJob(t, c.progress))
			if o.Result != Done {
				t.Fatalf("outcome %+v", o)
			}
			if _, cleared := pathsOf(o); !cmp.Equal(cleared, c.cleared) || o.More != c.more {
				t.Errorf("looked at %q, more: %v; want %q, %v", cleared, o.More, c.cleared, c.more)
			}
		})
	}
}

func TestScanJobsThatNeedNoConnection(t *testing.T) {
	for _, test := range []struct {
		name     string
		kind     string
		progress any
		room     int
		goesOn   bool
	}{
		{"nothing is marked", KindLook, nil, 1000, false},
		{"all was looked at, and what is left is to be enqueued", KindScan, Progress{Began: stamped, Release: true}, 1000, false},
		{"the same without room", KindScan, Progress{Began: stamped, Release: true}, 0, false},
		{"there is no room", KindScan, nil, 0, true},
		{"there is no room to go on", KindScan, Progress{Began: stamped, Cursor: &scan.Cursor{Looked: 8}}, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := scanEnv(t, marked{last: 3}, "a")
			e.Room = test.room
			job := lookJob(t, test.progress)
			job.Kind = test.kind
			o := Do(t.Context(), e, job)
			if o.Result != Done || o.Scan == nil || o.Progress == nil || (o.Progress.Cursor != nil) != test.goesOn || o.Full != (test.kind == KindScan) {
				t.Errorf("outcome %+v, progress %+v", o, o.Progress)
			}
		})
	}
	e, _ := scanEnv(t, marked{}, "a")
	if o := Do(t.Context(), e, queue.Job{New: queue.New{Kind: KindScan, Sync: "s"}}); !errors.Is(o.Err, errNoServer) {
		t.Errorf("a scan with room: %+v", o)
	}
}

// TestALookInParts tells with each part what was worked off, and goes on with what is written down of it.
func TestALookInParts(t *testing.T) {
	e, flushed := scanEnv(t, marked{last: 3, marks: marksOf(2, "a", "n", "n/2", "z")}, "a", "n/1", "n/2", "n/3", "z")
	var told [][]string
	job := lookJob(t, nil)
	for range 10 {
		e.Room = 2
		o := Do(t.Context(), e, job)
		for _, part := range append(*flushed, o) {
			ops, cleared := pathsOf(part)
			told = append(told, ops, cleared)
		}
		*flushed = nil
		if o.Progress.Cursor == nil {
			break
		}
		job = lookJob(t, o.Progress)
		e.State = marked{last: 9, marks: without(e.State.(marked).marks, told)}
	}
	want := [][]string{
		{"a", "n", "n/1"}, {"a"}, nil, nil,
		{"n/2", "n/3"}, nil, nil, nil,
		{"z"}, {"n", "n/2", "z"},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// without leaves out the marks that were told to be worked off.
func without(marks []state.Dirty, told [][]string) (left []state.Dirty) {
	worked := map[string]bool{}
	for i := 1; i < len(told); i += 2 {
		for _, path := range told[i] {
			worked[path] = true
		}
	}
	for _, mark := range marks {
		if !worked[mark.Path] {
			left = append(left, mark)
		}
	}
	return left
}

func TestALookReadsABoundedNumberOfMarks(t *testing.T) {
	var marks []state.Dirty
	for i := range lookMarks + 5 {
		marks = append(marks, state.Dirty{Path: fmt.Sprintf("gone/%05d", i), Mark: 1})
	}
	e, _ := scanEnv(t, marked{last: 3, marks: marks})
	o := Do(t.Context(), e, lookJob(t, nil))
	if o.Result != Done || len(o.Dirty) != lookMarks || !o.More {
		t.Errorf("%d marks worked off, more %v, %v", len(o.Dirty), o.More, o.Err)
	}
	e.State = marked{last: 3, marks: marks[:lookMarks]}
	if o := Do(t.Context(), e, lookJob(t, nil)); len(o.Dirty) != lookMarks || o.More {
		t.Errorf("%d marks worked off, more %v, %v", len(o.Dirty), o.More, o.Err)
	}
}

// TestAnExpiredTicketDoesNotRepeatWhatIsWrittenDown: the second try goes on from the last part.
func TestAnExpiredTicketDoesNotRepeatWhatIsWrittenDown(t *testing.T) {
	e, _ := scanEnv(t, marked{last: 3, marks: marksOf(1, "n")}, "n/1", "n/2", "n/3", "n/4")
	var found [][]string
	e.Room = 2
	e.Flush = func(_ context.Context, part Outcome) (int, error) {
		ops, _ := pathsOf(part)
		if found = append(found, ops); len(found) == 2 {
			return 0, fmt.Errorf("list: %w", ftpclient.ErrTicketExpired)
		}
		return 2, nil
	}
	o := Do(t.Context(), e, lookJob(t, nil))
	ops, cleared := pathsOf(o)
	want := [][]string{{"n", "n/1"}, {"n/2", "n/3"}, {"n/2", "n/3"}, {"n/4"}, {"n"}}
	if diff := cmp.Diff(want, append(found, ops, cleared)); diff != "" || o.Result != Done {
		t.Errorf("%v\n%s", o.Err, diff)
	}
}

// TestAScanThatSparesFoldersIsNotFull: whoever waits for a full one waits on.
func TestAScanThatSparesFoldersIsNotFull(t *testing.T) {
	p := parts{full: true, progress: Progress{Spares: true}}
	if p.outcome(&scan.Result{}).Full {
		t.Error("it counts as full")
	}
	if p.progress.Spares = false; !p.outcome(&scan.Result{}).Full {
		t.Error("a scan that spares none is not full")
	}
}
