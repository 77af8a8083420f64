package agent

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/state"
)

// keptNotes is how many notes of a sync a summary has by itself, and as many that are held: as many as any page asks for.
const keptNotes = 100

// After a sync has changed its notes they are gone through again by whoever asks next. Where that takes long it is not done all the time: not
// for a rest for each of them beyond fewNotes.
const (
	fewNotes     = 1000
	restsForNote = 200 * time.Microsecond
)

// noteSummary is what was found among the notes of a sync. It does not change.
type noteSummary struct {
	kinds                               []noted
	skipped, unknown, differ, conflicts int
	held                                int
	notes                               []state.Note // those that are not held, the first by path
	heldNotes                           []state.Note // the first by path
	version                             int          // see state.NotesVersion
	until                               time.Time    // it is good enough at any version
}

// noteSummaries are kept as long as they are true. Anybody may ask at any time.
type noteSummaries struct {
	mu     sync.Mutex // guards, and is not held while the state is read
	bySync map[string]*noteSummary
}

// of returns a summary of the notes of a sync, with at least so many of them if there are; 0 is all.
func (s *noteSummaries) of(tx *state.Tx, sync string, most int, now time.Time) (*noteSummary, error) {
	if most <= 0 || most > keptNotes {
		return summarize(tx, sync, most)
	}
	version := state.NotesVersion(tx, sync)
	s.mu.Lock()
	known := s.bySync[sync]
	s.mu.Unlock()
	if known != nil && (version != 0 && known.version == version || waits(known.until, now, time.Hour)) {
		return known, nil
	}
	found, err := summarize(tx, sync, keptNotes)
	if err != nil {
		return nil, err
	}
	found.version = version
	all := found.skipped + found.unknown + found.differ + found.conflicts + found.held
	found.until = now.Add(min(time.Duration(max(all-fewNotes, 0))*restsForNote, time.Hour))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bySync[sync] = found
	return found, nil
}

// summarize goes through all notes of a sync.
func summarize(tx *state.Tx, sync string, most int) (*noteSummary, error) {
	s := &noteSummary{}
	keep := func(list *[]state.Note, n state.Note) {
		if most <= 0 || len(*list) < most {
			*list = append(*list, n)
		}
	}
	found := make([]noted, len(notedKinds))
	err := state.EachNote(tx, sync, func(n state.Note) (bool, error) {
		for i, k := range notedKinds {
			if slices.Contains(k.notes, n.Kind) {
				found[i].add(n)
			}
		}
		switch n.Kind {
		case state.NoteSkipped:
			s.skipped++
		case state.NoteUnknown, state.NoteUnread:
			s.unknown++
		case state.NoteDiffers:
			s.differ++
		case state.NoteHeld:
			s.held++
			keep(&s.heldNotes, n)
			return true, nil
		default:
			s.conflicts++
		}
		keep(&s.notes, n)
		return true, nil
	})
	for i, n := range found {
		if n.kind = notedKinds[i].kind; n.count > 0 {
			s.kinds = append(s.kinds, n)
		}
	}
	return s, err
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
