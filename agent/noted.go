package agent

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/state"
)

// noteCount is what was found among the notes of a sync.
type noteCount struct {
	kinds []noted
	until time.Time // as of when they are counted again
}

// noted are the notes of one kind that wait for a person.
type noted struct {
	kind    alert.Kind
	count   int
	since   time.Time // the oldest
	example state.Note
}

// notedKinds are the kinds of problems that kinds of notes make, in the order in which they are told.
var notedKinds = []struct {
	kind  alert.Kind
	notes []state.NoteKind
}{
	{alert.Conflict, []state.NoteKind{state.NoteConflict}},
	{alert.Differs, []state.NoteKind{state.NoteDiffers}},
	{alert.Unknown, []state.NoteKind{state.NoteUnknown, state.NoteUnread}},
}

// restAfterCounting is for how long notes are not counted again, as a multiple of the time that it took: there may be a million of them.
const restAfterCounting = 100

// noted counts the notes of a sync that wait for a person. The lock is held.
func (l *lookout) noted(tx *state.Tx, sync string, now time.Time) []noted {
	if c, known := l.notes[sync]; known && waits(c.until, now, time.Hour) {
		return c.kinds
	}
	began := time.Now()
	var found [3]noted
	_ = state.EachNote(tx, sync, func(n state.Note) (bool, error) { // this fn has no errors
		for i, k := range notedKinds {
			for _, kind := range k.notes {
				if n.Kind == kind {
					found[i].add(n)
				}
			}
		}
		return true, nil
	})
	c := noteCount{}
	for i, n := range found {
		if n.kind = notedKinds[i].kind; n.count > 0 {
			c.kinds = append(c.kinds, n)
		}
	}
	c.until = now.Add(restAfterCounting * time.Since(began))
	l.notes[sync] = c
	return c.kinds
}

func (n *noted) add(note state.Note) {
	if n.count++; n.count == 1 || note.First.Before(n.since) {
		n.since, n.example = note.First, note
	}
}

// text says what they are, with the oldest one as the example.
func (n noted) text() string {
	example := fmt.Sprintf("%q: %s", n.example.Path, n.example.Text)
	one, many := "", ""
	switch n.kind {
	case alert.Conflict:
		one, many = "a conflict waits for a person, ", "%d conflicts wait for a person, such as "
	case alert.Differs:
		one, many = "a file differs under the same size and time, ", "%d files differ under the same size and time, such as "
	default:
		one, many = "a path cannot be looked at, nothing is done about it and what is in it, ", "%d paths cannot be looked at, nothing is done about them and what is in them, such as "
	}
	if n.count > 1 {
		one = fmt.Sprintf(many, n.count)
	}
	return one + example
}

// cure says what a person can do.
func (n noted) cure(sync string) string {
	text := fmt.Sprintf(`"ftpferry explain %s PATH" says what comes next`, sync)
	if n.kind == alert.Conflict {
		text += fmt.Sprintf(`; "ftpferry once %s" looks again when that is decided`, sync)
	}
	if n.count > 1 {
		text = fmt.Sprintf(`"ftpferry status %s" lists them, `, sync) + text
	}
	return text
}
