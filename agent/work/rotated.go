package work

import (
	"context"
	"fmt"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// provesRotated finds out whether what is here under the new name is what was sent under the old one. The number of a file that
// is gone may have been given to another one. It returns what came of the job if it is not.
func (m *follower) provesRotated(ctx context.Context, row *state.Baseline) *Outcome {
	var err error
	if m.sent, err = m.env.State.Appended(m.From); err != nil {
		return ended(failed(fmt.Errorf("read what was sent: %w", err)))
	}
	if m.sent == nil {
		if !alike(m.source, row.Local) || row.Local.ID != m.source.ID {
			return m.instead("nothing proves that it is the same file")
		}
		return nil
	}
	if m.source.Size < m.sent.Size {
		return m.instead("it is shorter than what was sent")
	}
	file, err := scan.OpenLocal(m.root, m.Path)
	if err != nil {
		return ended(m.vanished(err))
	}
	defer file.Close()
	begins, err := beginsAs(ctx, file, *m.sent, false)
	if err != nil {
		return ended(failed(err))
	}
	if begins == nil {
		return m.instead("it does not begin with what was sent before")
	}
	return nil
}

// lookAtRotated accepts two things that other renames do not: what an attempt has added under the old name that was cut off, and
// a file under the new name that both sides had in step, and this one takes the place of here too. old and now are what is on
// the server under both names.
func (m *follower) lookAtRotated(ctx context.Context, old, now entry.Entry) *Outcome {
	if m.sent != nil && old.Kind == entry.File && !alike(old, m.was) && old.Size > m.sent.Size && old.Size <= m.source.Size {
		file, err := scan.OpenLocal(m.root, m.Path)
		if err != nil {
			return ended(m.vanished(err))
		}
		defer file.Close()
		same, err := m.conn.SamePrefix(ctx, m.remote.Path(m.From), file, old.Size)
		if err != nil && !m.refusesToTell(err) {
			return ended(failed(err))
		}
		if same {
			m.was = old
		}
	}
	if now.Kind == entry.Absent || old.Kind == entry.Absent {
		return nil
	}
	before, err := m.env.State.At(m.Path)
	if err != nil {
		return ended(failed(err))
	}
	if before == nil || before.Bad != "" || !alike(now, before.Remote) {
		again := stale("there is something under the new name that somebody else has put there")
		again.Also = []string{m.From}
		return &again
	}
	m.replaces = true
	return nil
}
