package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// errNotRenamed: the server has said that it has renamed something, and shows that it has not.
var errNotRenamed = errors.New("the server has not renamed it")

// follow renames a file, or a folder with all that is in it, on one side because it was renamed on the other one. It takes its
// second look first: under the old name must be what both sides agreed on, and nothing under the new one. What cannot be renamed
// is transferred instead; the old path is looked at again then.
func follow(ctx context.Context, o *op) Outcome {
	m := &follower{op: o, far: o.Action == plan.MoveRemote}
	if end := m.lookAtSource(ctx); end != nil {
		return *end
	}
	row, err := o.env.State.At(o.From)
	if err != nil {
		return failed(err)
	}
	if row == nil {
		return stale("nothing is known of the old name any more")
	}
	if m.Rotated {
		if end := m.provesRotated(ctx, row); end != nil {
			return *end
		}
	}
	done, end := m.lookAtTarget(ctx, row)
	if end != nil {
		return *end
	}
	if !done {
		if end := m.rename(ctx); end != nil {
			return *end
		}
	}
	target, err := m.look(ctx, m.far, o.Path)
	if err != nil {
		return failed(err)
	}
	if !alike(target, m.was) {
		return failed(fmt.Errorf("%w: it is not there under its new name as it was under the old one", errNotRenamed))
	}
	if old, err := m.look(ctx, m.far, o.From); err != nil || old.Kind != entry.Absent && !m.otherSpelling(old, target) {
		return failed(errors.Join(err, fmt.Errorf("%w: it is still there under its old name", errNotRenamed)))
	}
	base := &plan.Base{Local: m.source, Remote: target}
	if !m.far {
		base = &plan.Base{Local: target, Remote: m.source}
	}
	outcome := Outcome{Result: Done, Base: base, Moved: o.From, Verified: "renamed"}
	if m.Rotated {
		// What was in step is what was sent: the next look finds out whether there is more.
		base.Local, outcome.Replan, outcome.Also = row.Local, true, []string{o.From}
	}
	if done {
		outcome.Reason = "was renamed already"
	}
	return outcome
}

// follower is an operation that renames.
type follower struct {
	*op
	far bool // it renames on the server
	// source is what is under the new name on the other side, and was what both agreed on of the one that changes.
	source, was entry.Entry
	// sent is what was sent of a file that was rotated, nil if nobody knows.
	sent *state.Appended
	// replaces: there is something under the new name that may go.
	replaces bool
}

// look looks at a path on one side. Of a file on the server it asks for what stands in the baseline: exact times.
func (m *follower) look(ctx context.Context, far bool, rel string) (entry.Entry, error) {
	if !far {
		return scan.StatLocal(m.root, rel)
	}
	if m.kind() == entry.File {
		found, ok, err := m.conn.StatFile(ctx, m.remote.Path(rel))
		if err != nil {
			return entry.Entry{}, err
		}
		if ok {
			return scan.RemoteEntry(found), nil
		}
	}
	return m.statRemote(ctx, m.remote.Path(rel))
}

func (m *follower) kind() entry.Kind { return m.planned().Kind }

// planned is what the plan saw under the new name.
func (m *follower) planned() entry.Entry {
	if m.far {
		return m.Local.Entry
	}
	return m.Remote.Entry
}

// otherSpelling reports that two names which differ in case alone lead to one file.
func (m *follower) otherSpelling(a, b entry.Entry) bool {
	return strings.EqualFold(m.From, m.Path) && entry.Same(a, b) && a.ID == b.ID
}

// twoNames reports whether the server shows both names, that differ in case alone: then they are two files, which look alike, and
// one must not replace the other.
func (m *follower) twoNames(ctx context.Context) (bool, error) {
	folder := path.Dir(m.target())
	if path.Dir(m.remote.Path(m.From)) != folder {
		return true, nil // nobody can tell
	}
	listing, err := m.conn.List(ctx, folder)
	if err != nil {
		return false, err
	}
	shown := 0
	for _, e := range listing.Entries {
		if e.Name == path.Base(m.From) || e.Name == path.Base(m.Path) {
			shown++
		}
	}
	return shown > 1, nil
}

// lookAtSource returns what came of the job if the other side is not what the plan saw.
func (m *follower) lookAtSource(ctx context.Context) *Outcome {
	var err error
	if m.source, err = m.look(ctx, !m.far, m.Path); err != nil {
		return ended(failed(err))
	}
	if planned := m.planned(); !m.Rotated && !alike(m.source, planned) || !sameID(m.source, planned) || m.source.Kind != planned.Kind {
		return ended(stale("it changed since it was found under its new name"))
	}
	old, err := m.look(ctx, !m.far, m.From)
	if err != nil {
		return ended(failed(err))
	}
	if old.Kind != entry.Absent && !m.otherSpelling(old, m.source) && (!m.Rotated || sameID(old, m.source)) {
		again := stale("there is something under its old name again")
		again.Also = []string{m.From}
		return &again
	}
	return nil
}

// lookAtTarget looks at what is to be renamed. done: that has happened, before the reply or the commit was lost.
func (m *follower) lookAtTarget(ctx context.Context, row *state.Baseline) (done bool, end *Outcome) {
	if m.was = row.Local; m.far {
		m.was = row.Remote
	}
	old, err := m.look(ctx, m.far, m.From)
	if err != nil {
		return false, ended(failed(err))
	}
	now, err := m.look(ctx, m.far, m.Path)
	if err != nil {
		return false, ended(failed(err))
	}
	other := m.otherSpelling(old, now)
	if other && m.far && old.ID == 0 {
		two, err := m.twoNames(ctx)
		if err != nil {
			return false, ended(failed(err))
		}
		other = !two
	}
	if m.Rotated {
		if end := m.lookAtRotated(ctx, old, now); end != nil {
			return false, end
		}
		other = other || m.replaces
	}
	switch {
	case row.Bad != "":
		return false, m.instead("what both sides agreed on cannot be read")
	case old.Kind == entry.Absent && alike(now, m.was):
		return true, nil
	case old.Kind == entry.Absent:
		return false, m.instead("it is gone under its old name")
	case !alike(old, m.was):
		return false, m.instead("it was changed under its old name")
	case now.Kind != entry.Absent && !other:
		return false, ended(stale("there is something under the new name"))
	}
	if !m.Unproven {
		return false, nil
	}
	same, err := m.sameContent(ctx)
	if err != nil && !m.refusesToTell(err) && !errors.Is(err, ftpclient.ErrUnsupported) {
		return false, ended(failed(err))
	}
	if !same {
		return false, m.instead("nothing proves that it is the same file")
	}
	return false, nil
}

// sameContent compares hashes of the file on both sides, each under the name that it has there.
func (m *follower) sameContent(ctx context.Context) (bool, error) {
	here, there := m.From, m.Path
	if m.far {
		here, there = there, here
	}
	hashes := m.conn.Hashes()
	if len(hashes) == 0 {
		return false, nil
	}
	theirs, err := m.conn.Hash(ctx, m.remote.Path(there), hashes[0])
	if err != nil {
		return false, err
	}
	file, err := scan.OpenLocal(m.root, here)
	if err != nil {
		return false, err
	}
	defer file.Close()
	function := hashes[0].New()
	if _, err := copyAll(ctx, function, file); err != nil {
		return false, err
	}
	return bytes.Equal(function.Sum(nil), theirs), nil
}

// rename does so, and returns what came of the job if that did not work.
func (m *follower) rename(ctx context.Context) *Outcome {
	if !m.far {
		return m.renameHere()
	}
	if err := m.keepsNames(ctx); err != nil {
		return ended(failed(err))
	}
	if path.Dir(m.From) != path.Dir(m.Path) {
		if err := m.conn.MakeDirs(ctx, path.Dir(m.target())); err != nil {
			return ended(failed(err))
		}
	}
	var err error
	if m.replaces {
		_, err = m.op.rename(ctx, m.remote.Path(m.From), true)
	} else {
		err = m.renameRemote(ctx, m.remote.Path(m.From), m.target())
	}
	if m.refusesToTell(err) {
		return m.instead(err.Error())
	}
	if err != nil {
		return ended(failed(err))
	}
	return nil
}

func (m *follower) renameHere() *Outcome {
	if err := errors.Join(throughLink(m.root, m.From), localFolder(m.root, m.Path)); err != nil {
		return ended(m.withoutFolder(path.Dir(m.Path), err))
	}
	from, to := filepath.FromSlash(m.From), filepath.FromSlash(m.Path)
	rename := renameNew
	if strings.EqualFold(from, to) {
		if old, err := scan.StatLocal(m.root, m.From); err == nil {
			if now, err := scan.StatLocal(m.root, m.Path); err == nil && now.Kind != entry.Absent && m.otherSpelling(old, now) {
				rename = (*os.Root).Rename
			}
		}
	}
	err := rename(m.root, from, to)
	if errors.Is(err, fs.ErrExist) {
		return ended(stale("there is something under the new name"))
	}
	if err == nil {
		err = errors.Join(syncDir(m.root, filepath.Dir(to)), syncDir(m.root, filepath.Dir(from)))
	}
	if err != nil {
		return ended(failed(err))
	}
	return nil
}

// instead ends the job with another one that needs no old name. Of a folder it makes the new one, and then each file in it is
// looked for by itself.
func (m *follower) instead(reason string) *Outcome {
	file, folder := plan.Upload, plan.MakeRemoteDir
	other := plan.Op{Path: m.Path, Local: m.Local, Remote: m.Remote, From: m.From, Reason: m.Reason + ", which could not be followed: " + reason}
	if !m.far {
		file, folder = plan.Download, plan.MakeLocalDir
	}
	if other.Action = file; m.Rotated {
		other.Base = m.Base
	}
	if m.kind() == entry.Dir {
		other.Action, other.Replan = folder, true
	}
	return &Outcome{Result: Stale, Reason: other.Reason, Instead: &other}
}

func ended(o Outcome) *Outcome { return &o }
