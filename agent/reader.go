package agent

import (
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// reader is what workers may know: each method is one short transaction, so that nobody
// holds one open over a conversation with a server.
type reader struct {
	db   *state.DB
	sync string
}

func (r reader) Children(dir string) (rows []state.Baseline, err error) {
	err = r.view(func(tx *state.Tx) error {
		rows, err = state.BaselineChildren(tx, r.sync, dir)
		return err
	})
	return rows, err
}

func (r reader) After(place []byte, limit int) (rows []state.BaselineRow, err error) {
	err = r.view(func(tx *state.Tx) error {
		rows, err = state.BaselineAfter(tx, r.sync, place, limit)
		return err
	})
	return rows, err
}

func (r reader) At(rel string) (row *state.Baseline, err error) {
	err = r.view(func(tx *state.Tx) error {
		found, ok, err := state.GetBaseline(tx, r.sync, rel)
		if ok {
			row = &found
		}
		return err
	})
	return row, err
}

func (r reader) Count() (n int, err error) {
	err = r.view(func(tx *state.Tx) error {
		n, err = state.CountBaseline(tx, r.sync)
		return err
	})
	return n, err
}

func (r reader) Different(rel string, local, remote entry.Entry) (different bool, err error) {
	err = r.view(func(tx *state.Tx) error {
		n, ok := state.GetNote(tx, r.sync, rel)
		different = ok && n.Compared && n.Local != nil && n.Remote != nil && entry.Same(n.Local.Entry, local) && entry.Same(n.Remote.Entry, remote)
		return nil
	})
	return different, err
}

func (r reader) Intents(rel string) (intents []state.Intent, err error) {
	err = r.view(func(tx *state.Tx) error {
		intents = state.Intents(tx, r.sync, rel)
		return nil
	})
	return intents, err
}

func (r reader) Identified(side state.Side, e entry.Entry, limit int) (paths []string, err error) {
	if r.db == nil {
		return nil, nil
	}
	return r.db.Identified(r.sync, side, e, limit)
}

func (r reader) Appended(rel string) (row *state.Appended, err error) {
	err = r.view(func(tx *state.Tx) error {
		found, ok, err := state.GetAppended(tx, r.sync, rel)
		if ok {
			row = &found
		}
		return err
	})
	return row, err
}

func (r reader) Dirty(limit int) (paths []state.Dirty, err error) {
	err = r.view(func(tx *state.Tx) error {
		paths, err = state.DirtyPaths(tx, r.sync, limit)
		return err
	})
	return paths, err
}

// Live says yes when it cannot know: a file of a job that lives must not be swept away. What
// an attempt before the last one left behind is nobody's, and so is all of a job that is parked.
func (r reader) Live(id uint64, attempt int) bool {
	live := true
	err := r.view(func(tx *state.Tx) error {
		job, found, err := queue.Get(tx, queue.ID(id))
		live = found && job.State != queue.Dead && attempt >= job.Claims
		return err
	})
	return live || err != nil
}

// view runs fn without a database too: then nothing is known.
func (r reader) view(fn func(tx *state.Tx) error) error {
	if r.db == nil {
		return nil
	}
	return r.db.View(fn)
}

func (r reader) Mark() (last uint64, err error) {
	err = r.view(func(tx *state.Tx) error {
		last = state.LastMark(tx)
		return nil
	})
	return last, err
}

func (r reader) Folders() (learned state.FolderTimes, err error) {
	err = r.view(func(tx *state.Tx) error {
		row, err := state.GetSync(tx, r.sync)
		learned = row.Folders
		return err
	})
	return learned, err
}

func (r reader) Folder(rel string) (row state.Folder, known bool, err error) {
	err = r.view(func(tx *state.Tx) error {
		row, known = state.GetFolder(tx, r.sync, rel)
		return nil
	})
	return row, known, err
}
