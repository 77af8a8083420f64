package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// note writes down notes of the sync of a measured agent.
func note(t *testing.T, a *Agent, notes ...state.Note) {
	t.Helper()
	err := a.db.Update(func(tx *state.Tx) error {
		for _, n := range notes {
			if _, err := state.PutNote(tx, "web", n, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNotesAreGoneThroughWhenTheyHaveChanged, and not for each scrape and each status.
func TestNotesAreGoneThroughWhenTheyHaveChanged(t *testing.T) {
	t.Parallel()
	a := measured(t)
	expect := func(when string, conflicts, differ, held, notes int) {
		t.Helper()
		o, err := a.Status(t.Context(), control.StatusFilter{Notes: keptNotes})
		if err != nil {
			t.Fatal(err)
		}
		if s := o.Syncs[0]; s.Conflicts != conflicts || s.Differ != differ || s.HeldAll != held || len(s.Held) != held || len(s.Notes) != notes {
			t.Errorf("%s: the status is %+v", when, s)
		}
		samples := scrape(t, a)
		for kind, want := range map[string]int{"conflict": conflicts, "differs": differ} {
			if got := find(samples, "ftpferry_sync_problems", "kind", kind); got != fmt.Sprint(want) {
				t.Errorf("%s: %s is %s in the metrics, want %d", when, kind, got, want)
			}
		}
	}
	kept := func() *noteSummary {
		a.lookout.notes.mu.Lock()
		defer a.lookout.notes.mu.Unlock()
		return a.lookout.notes.bySync["web"]
	}
	expect("at the start", 0, 0, 0, 0)
	note(t, a, state.Note{Path: "a", Text: "both changed"}, state.Note{Path: "b", Kind: state.NoteDiffers}, state.Note{Path: "c", Kind: state.NoteHeld}, state.Note{Path: "d", Kind: state.NoteSkipped})
	expect("after notes of all kinds", 1, 1, 1, 3)
	was := kept()
	for range 2 {
		expect("again", 1, 1, 1, 3)
	}
	if o, err := a.Status(t.Context(), control.StatusFilter{Notes: 2}); err != nil || len(o.Syncs[0].Notes) != 2 || o.Syncs[0].Skipped != 1 {
		t.Errorf("two of them: %+v, %v", o, err)
	}
	err := a.db.Update(func(tx *state.Tx) error { return state.PutSync(tx, "web", state.SyncState{Rescans: 6}) })
	if err != nil {
		t.Fatal(err)
	}
	expect("after a commit about something else", 1, 1, 1, 3)
	if kept() != was {
		t.Error("the notes were gone through again, though they are the same")
	}
	note(t, a, state.Note{Path: "e", Text: "both changed"})
	expect("after another conflict", 2, 1, 1, 4)
	if err := a.db.Update(func(tx *state.Tx) error { return state.DropNote(tx, "web", "b") }); err != nil {
		t.Fatal(err)
	}
	expect("after one is gone", 2, 0, 1, 3)
}

// TestManyNotesAreNotGoneThroughAllTheTime, even if they change all the time; those who want all of them get them.
func TestManyNotesAreNotGoneThroughAllTheTime(t *testing.T) {
	t.Parallel()
	a := measured(t)
	var notes []state.Note
	for i := range fewNotes + 500 {
		notes = append(notes, state.Note{Path: fmt.Sprint(i), Kind: state.NoteSkipped})
	}
	note(t, a, notes...)
	now := time.Now()
	expect := func(sentence string, most int, after time.Duration, skipped, named int) {
		t.Helper()
		err := a.db.View(func(tx *state.Tx) error {
			s, err := a.lookout.notes.of(tx, "web", most, now.Add(after))
			if err == nil && (s.skipped != skipped || len(s.notes) != named) {
				t.Errorf("%s: %d, of which %d are named", sentence, s.skipped, len(s.notes))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", keptNotes, 0, fewNotes+500, keptNotes)
	note(t, a, state.Note{Path: "new", Kind: state.NoteSkipped})
	expect("right after a change", keptNotes, 99*time.Millisecond, fewNotes+500, keptNotes)
	expect("whoever wants all", 0, 99*time.Millisecond, fewNotes+501, fewNotes+501)
	expect("a while later", keptNotes, 100*time.Millisecond, fewNotes+501, keptNotes)
}
