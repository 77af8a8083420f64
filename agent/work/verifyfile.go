package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// compared is one file in the middle of its comparison.
type compared struct {
	*op
	c   *comparing
	row state.Baseline
	// before is what is here, and touched when that was last touched in any way.
	before  entry.Entry
	touched time.Time
	file    *os.File
}

// compare compares one file. Errors are those after which the connection cannot be used, or that are not about this file.
func (c *comparing) compare(ctx context.Context, row state.Baseline) error {
	o := &op{
		Op:  plan.Op{Path: row.Path, Base: &plan.Base{Local: row.Local, Remote: row.Remote}},
		env: c.env, job: c.job, root: c.root, remoteRel: c.env.Sync.remoteName(row.Path, row.Local.ModTime),
	}
	f := &compared{op: o, c: c, row: row}
	if done := f.open(); done {
		return nil
	}
	defer f.file.Close()
	if err := f.connect(ctx); err != nil {
		return err
	}
	how, err := f.byHash(ctx)
	if how == "" && err == nil {
		how, err = "reading it back", f.byReading(ctx)
	}
	switch {
	case err == nil:
	case errors.Is(err, errMakeWay), errors.Is(err, errConnect):
		return err
	case !errors.Is(err, errContent) && !f.isOfFile(err):
		return err
	default:
		return f.settle(ctx, how, err)
	}
	f.count(how)
	return nil
}

func (f *compared) count(how string) {
	if f.c.progress.Bytes += f.row.Local.Size; strings.HasPrefix(how, "reading") {
		f.c.progress.Reread++
	} else {
		f.c.progress.Hashed++
	}
}

func (f *compared) found(kind FindingKind, text string) { f.c.found(f.Path, kind, text) }

// open opens the local file if it still is what both sides agreed on; done means that there is nothing to compare.
func (f *compared) open() (done bool) {
	var err error
	if f.before, err = f.source().Stat(f.Path); err != nil {
		f.found(FoundUnreadable, fmt.Sprintf("could not be compared, as the local file could not be looked at: %v", err))
		return true
	}
	if !f.isAgreed(f.before) {
		f.found(FoundChanged, "changed here since it was in step")
		return true
	}
	f.touched = f.source().LastTouched(f.Path)
	switch f.file, err = f.source().Open(f.Path); {
	case err == nil:
		return false
	case errors.Is(err, fs.ErrNotExist):
		f.found(FoundChanged, "gone here since it was in step")
	default:
		f.found(FoundUnreadable, fmt.Sprintf("could not be compared, as the local file could not be read: %v", err))
	}
	return true
}

// isAgreed reports whether the local file is what was agreed on, or begins with that.
func (f *compared) isAgreed(now entry.Entry) bool {
	if entry.Same(now, f.row.Local) {
		return true
	}
	appends := f.env.Sync.Appends
	return appends != nil && appends(f.Path) && now.Kind == entry.File && now.ID == f.row.Local.ID && now.Size > f.row.Local.Size
}

func (f *compared) connect(ctx context.Context) error {
	conn, err := f.c.connect(ctx)
	if err != nil {
		return err
	}
	sync := f.env.Sync
	f.conn = conn
	f.remote = scan.Remote{Conn: conn, Root: conn.Absolute(sync.Remote), Follow: sync.followsRemote(), Targets: sync.Rules.Links == plan.LinksPreserve}
	return nil
}

// byHash compares a hash of the server and says which; "" if it computes none of this file.
func (f *compared) byHash(ctx context.Context) (how string, err error) {
	if f.c.progress.Middle.Offset > 0 || len(f.conn.Hashes()) == 0 {
		return "", nil
	}
	how, err = f.verifyHash(ctx, f.target(), f.file, f.row.Local.Size)
	switch {
	case errors.Is(err, errContent):
		return "hash", err
	case strings.HasPrefix(how, string(VerifySize)), err != nil && !errors.Is(err, errLocalRead) && f.isOfFile(err):
		return "", nil // ProFTPD refuses more than 10,000 in 30 s (DigestCache), and others what is too large
	}
	return how, err
}

// byReading reads the file back from where the last run has stopped. What a server that was asked to begin in the middle has sent
// is not believed to differ before all of it was read.
func (f *compared) byReading(ctx context.Context) error {
	at := f.c.progress.Middle
	if at.Offset > 0 {
		err := f.readBack(ctx)
		refused := err != nil && f.conn.Usable() && f.isOfFile(err)
		if !refused && !errors.Is(err, errContent) {
			return err
		}
		at.Offset, at.Whole = 0, true
		if err := f.connect(ctx); err != nil {
			return err
		}
	}
	return f.readBack(ctx)
}

// readBack is reread from the place that was come to, which moves on. It makes way in the middle of a file.
func (f *compared) readBack(ctx context.Context) error {
	at, size := f.c.progress.Middle, f.row.Local.Size
	transfer, err := f.conn.Retrieve(ctx, f.target(), at.Offset)
	if err != nil {
		return err
	}
	compare := &comparer{local: f.file, size: size, at: at.Offset}
	pace := pacer{comparer: compare, wrote: func() error {
		if at.Whole || !f.c.isTime() || compare.at >= size {
			return nil
		}
		at.Offset, at.Cuts = compare.at, 0
		if goOn, err := f.c.handOver(ctx); err != nil || goOn {
			return err
		}
		return errMakeWay
	}}
	if _, err = copyAll(ctx, pace, transfer); err != nil {
		transfer.Abort(ctx)
	} else if _, err = transfer.Finish(ctx); err == nil && compare.at != size {
		return fmt.Errorf("%w: %d bytes came back, not %d", errContent, compare.at, size)
	}
	if err != nil && !errors.Is(err, errContent) && !at.Whole {
		at.Offset = max(at.Offset, min(compare.at, size-1)) // a byte is left, as not all servers begin at the end
	}
	return err
}

// pacer says after each piece whether to go on.
type pacer struct {
	*comparer
	wrote func() error
}

func (p pacer) Write(data []byte) (int, error) {
	n, err := p.comparer.Write(data)
	if err == nil {
		err = p.wrote()
	}
	return n, err
}

// isOfFile reports an error that is about this file alone: the server refuses it on a connection that goes on to work, or the local
// one cannot be read.
func (f *compared) isOfFile(err error) bool {
	var local *fs.PathError
	if errors.As(err, &local) || errors.Is(err, errLocalRead) {
		return true
	}
	if !f.conn.Usable() {
		return false
	}
	switch ftpclient.Classify(err) {
	case ftpclient.ClassPermanent, ftpclient.ClassParents, ftpclient.ClassOffset, ftpclient.ClassRetry, ftpclient.ClassLater:
		return true
	}
	return false
}

// settle finds out whether a file that is not the same, or could not be read, is still what both sides agreed on: a change of either
// side while it was compared, or before, is no difference.
func (f *compared) settle(ctx context.Context, how string, cause error) error {
	if f.hasChangedHere() {
		f.found(FoundChanged, "changed here while it was compared")
		return nil
	}
	if err := f.connect(ctx); err != nil { // who has read enough may have cost the connection
		return err
	}
	now, err := f.statRemote(ctx, f.target())
	if f.refusesToTell(err) {
		if listed, ok, listErr := f.listed(ctx, f.target()); listErr == nil && ok {
			now, err = scan.RemoteEntry(listed), nil
		} else if listErr != nil && !f.conn.Usable() {
			return listErr
		}
	}
	row, rowErr := f.env.State.At(f.Path)
	switch {
	case rowErr != nil:
		return fmt.Errorf("%w: %w", errConnect, rowErr)
	case row == nil || !row.When.Equal(f.row.When) || row.Job != f.row.Job || f.hasChangedHere():
		f.found(FoundChanged, "transferred while it was compared")
	case err != nil && !f.isOfFile(err):
		return err
	case err == nil && !entry.Same(now, f.row.Remote):
		f.found(FoundChanged, "changed on the server since it was in step")
	case !errors.Is(cause, errContent):
		f.found(FoundUnreadable, fmt.Sprintf("could not be compared: %v", cause))
	case err != nil:
		f.found(FoundUnreadable, fmt.Sprintf("%v (compared by %s), and the server does not tell whether it has changed: %v", cause, how, err))
	default:
		f.count(how)
		f.found(FoundDifferent, fmt.Sprintf("%v (compared by %s), and its size and time are on both sides what they were when both agreed", cause, how))
	}
	return nil
}

func (f *compared) hasChangedHere() bool {
	now, err := f.source().Stat(f.Path)
	if err != nil {
		return false // the error is told
	}
	if !f.isAgreed(now) {
		return true
	}
	if appends := f.env.Sync.Appends; appends != nil && appends(f.Path) {
		return false // it grows all the time
	}
	return !entry.Same(now, f.before) || !f.source().LastTouched(f.Path).Equal(f.touched) || f.source().IsWritten(f.Path)
}
