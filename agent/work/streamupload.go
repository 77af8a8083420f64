package work

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// outgoing is an upload in a stream, with its source open.
type outgoing struct {
	streamed
	file    *os.File
	local   entry.Entry
	touched time.Time
}

// delivered is an upload of which all is proven to be on the server, under its temporary name, and that may get its final one.
type delivered struct {
	streamed
	s     stored
	local entry.Entry
	old   *list.Entry // what it replaces; nil for nothing
	how   string
	// The answers to what gives it its final name.
	renamed *ftpclient.Answer
	now     *ftpclient.StatAnswer
}

// beginUpload looks at the local file of a job; nil if anything about it is odd, or has to be found out on the server first.
func beginUpload(ctx context.Context, e Env, job queue.Job) *outgoing {
	began := time.Now()
	o, err := newOp(ctx, e, job)
	if err != nil {
		return nil
	}
	u := &outgoing{streamed: streamed{o, ctx, began}}
	if !u.open() {
		o.root.Close()
		return nil
	}
	return u
}

func (u *outgoing) open() bool {
	facts := u.conn.Facts()
	if facts.TimeSetter == "" || u.wantsTimeZone() || u.overruled() != "" {
		return false
	}
	if growth, err := u.grows(); err != nil || growth != nil {
		return false
	}
	if last, err := u.env.State.At(u.Path); err != nil || last != nil && entry.Same(last.Local, u.Local.Entry) {
		return false // it may have been sent since it was planned: that is asked first
	}
	for name := range strings.SplitSeq(u.remoteRel, "/") {
		if ftpclient.OddName(name) != "" {
			return false
		}
	}
	local, err := u.source().Stat(u.Path)
	if err != nil || local.Kind != entry.File || local.Size > smallFile || !entry.Same(local, u.Local.Entry) || u.unsettled(local) != "" {
		return false
	}
	file, end := u.openSource(local)
	if end != nil {
		return false
	}
	u.file, u.local, u.touched = file, local, u.source().LastTouched(u.Path)
	return true
}

// upload sends a file, with the end of the one before in front of it. Nothing has changed at the final name of this one when it returns:
// what is to change there goes out when the transfer is confirmed, the size is right, and what is to be replaced is what the plan saw.
func (s *Stream) upload(ctx context.Context, u *outgoing, more bool) {
	defer u.file.Close()
	before := u.conn.NewBatch()
	if s.last != nil {
		s.last.conn, s.last.remote.Conn = u.conn, u.conn // it may be another one than it came by
		s.last.confirmIn(before)
	}
	there := before.StatFile(u.target())
	sent := stored{name: u.temp()}
	transfer, err := u.conn.StoreAhead(ctx, before, sent.name, more)
	if err == nil {
		if s.last != nil && s.last.isConfirmed() {
			s.settle() // by no command: those have to wait for the transfer
		}
		u.env.Live.set(transfer, u.local.Size, 0)
		// An error of the copy is in Finish's verdict, together with the server's reason for it.
		transfer.ReadFrom(u.file)
		sent.result, err = transfer.Finish(ctx)
	}
	s.settle()
	// Also of a transfer that failed: perhaps there was nothing to send.
	unexpected := !u.mayReplace(there) && (err == nil || there.Err == nil)
	if unexpected {
		u.discard(ctx, sent.name)
	}
	if unexpected || refusedName(err) || errors.Is(err, ftpclient.ErrTicketExpired) {
		u.root.Close()
		s.ordinarily(ctx, u.env, u.job) // which says what is to be said, and knows the cures
		return
	}
	how, end := u.proves(ctx, &sent, err, u.file, u.local, u.touched)
	if end != nil {
		s.report(u.ends(*end))
		return
	}
	u.ctx = steady(ctx)
	d := &delivered{streamed: u.streamed, s: sent, local: u.local, how: how}
	if there.Found {
		d.old = &there.Entry
	}
	if d.old != nil && (hasUnusualMode(d.old) || u.conn.Facts().RenameOver != ftpclient.RenameReplaces) {
		s.report(u.ends(u.complete(u.ctx, d.s, d.local, d.old, d.how)))
		return
	}
	s.last = d
}

// mayReplace reports whether the answer about the target stands against nothing and asks for nothing: look knows all other cases.
func (u *outgoing) mayReplace(there *ftpclient.StatAnswer) bool {
	if there.Err != nil || !there.Found {
		return there.Err == nil
	}
	now := scan.RemoteEntry(there.Entry)
	arrived, err := u.arrived(u.Local.Entry, now)
	return err == nil && !arrived && u.Base != nil && (u.Remote.Knowledge == plan.Unknown || u.expected(now))
}

// confirmIn has the file get its time and its final name, and asks what is there then.
func (d *delivered) confirmIn(batch *ftpclient.Batch) {
	if d.conn.Facts().TimeSetter != "none" {
		batch.SetModTime(d.s.name, d.local.ModTime) // a server that does not is none that fails
	}
	d.renamed = batch.Rename(d.s.name, d.target())
	d.now = batch.StatFile(d.target())
}

// isConfirmed reports whether all answers are as they should be.
func (d *delivered) isConfirmed() bool {
	return d.renamed.Err == nil && d.now.Err == nil && d.now.Found && (d.now.Entry.Size < 0 || d.now.Entry.Size == d.s.total()) && !d.wantsMode(d.now.Entry, d.old)
}

// settle says what has become of it. What was refused, or not answered, is done or asked for once more.
func (d *delivered) settle() Outcome { return d.ends(d.settled()) }

func (d *delivered) settled() Outcome {
	renamed, err := d.wasRenamed()
	if err != nil {
		return d.s.wrote(failed(err))
	}
	if !renamed {
		return d.complete(d.ctx, d.s, d.local, d.old, d.how)
	}
	if !d.isConfirmed() && !d.conn.Usable() {
		if err := d.reconnect(d.ctx, d.now.Err); err != nil {
			return d.s.wrote(failed(err))
		}
	}
	var remote entry.Entry
	if d.now.Err != nil {
		remote, err = d.final(d.ctx, d.s, d.old)
	} else {
		remote, err = d.finally(d.ctx, d.s, d.old, d.now.Entry, d.now.Found, nil)
	}
	if err != nil {
		return d.s.wrote(failed(err))
	}
	return d.uploaded(d.s, d.local, remote, d.how, "")
}

// wasRenamed reports whether the file has its final name. If the reply was lost, it has when the temporary one is gone, as for move.
func (d *delivered) wasRenamed() (bool, error) {
	err := d.renamed.Err
	if err == nil || d.conn.Usable() && !errors.Is(err, ftpclient.ErrUnanswered) {
		return err == nil, nil
	}
	if !d.conn.Usable() {
		if err := d.reconnect(d.ctx, err); err != nil {
			return false, err
		}
	}
	_, err = d.conn.Stat(d.ctx, d.s.name)
	if IsAbsent(err) {
		return true, nil
	}
	return false, err
}
