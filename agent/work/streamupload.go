package work

import (
	"errors"
	"os"
	"path"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
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
	timed, renamed *ftpclient.Answer
	now            *ftpclient.StatAnswer // nil: not asked, the other answers tell what is there now
	kept           *keptTimes
}

// keptTimes is a folder on the server in which files are proven to have the very times that the server said it has set. Servers repeat what they
// were told, but there may be a file system below that knows even seconds only, or a rename that sets the time anew: that shows in what
// is looked at, and is a matter of each folder, as another disk may begin there.
type keptTimes struct{ folder string }

// learn compares which time was told of a file with the one that it has then.
func (k *keptTimes) learn(folder string, told, has time.Time) {
	switch {
	case !told.Equal(has) && k.folder == folder:
		k.folder = ""
	case told.Equal(has) && told.Unix()%2 != 0:
		k.folder = folder
	}
}

// Between these times file systems have no limits.
var (
	firstOrdinary = time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)  // FAT
	lastOrdinary  = time.Date(2038, 1, 18, 0, 0, 0, 0, time.UTC) // seconds in 32 bits
)

// opensUpload opens the local file of an upload; nil if anything about it is odd, or has to be found out on the server first.
func (u streamed) opensUpload() *outgoing {
	if !u.conn.SetsTimesInBatches() || u.wantsTimeZone() && u.conn.Facts().TimeSetter != "" || u.hasOddName() { // a time that is tried tells the zone, too
		return nil
	}
	last, err := u.env.State.At(u.Path)
	if err != nil || last != nil && entry.Same(last.Local, u.Local.Entry) {
		return nil // it may have been sent since it was planned: that is asked first
	}
	if u.growsByName() || u.mayMeetItself(u.Local.Entry, u.Remote.Entry, last) {
		return nil
	}
	if last != nil { // else nothing is known of what was sent, either
		if growth, err := u.grows(); err != nil || growth != nil {
			return nil
		}
	}
	local, err := u.source().Stat(u.Path)
	if err != nil || local.Kind != entry.File || local.Size > smallFile || !entry.Same(local, u.Local.Entry) || u.unsettled(local) != "" {
		return nil
	}
	file, end := u.openSource(local)
	if end != nil {
		return nil
	}
	return &outgoing{u, file, local, u.lastTouched(file)}
}

// hasOddName reports whether it has to be found out first that the server keeps a name on the path.
func (o *op) hasOddName() bool {
	for name := range strings.SplitSeq(o.remoteRel, "/") {
		if ftpclient.OddName(name) != "" {
			return true
		}
	}
	return false
}

// upload sends a file, with the end of the one before in front of it. Nothing has changed at the final name of this one when it returns:
// what is to change there goes out when the transfer is confirmed, the size is right, and what is to be replaced is what the plan saw.
func (s *Stream) upload(u *outgoing, more bool) {
	ctx := u.ctx
	defer u.file.Close()
	before := s.before(u.streamed)
	ask := before.FindFile
	if u.replaces() {
		ask = before.StatFile
	}
	there := ask(u.target())
	sent := stored{name: u.temp()}
	transfer, err := u.conn.StoreAhead(ctx, before, sent.name, more)
	if err == nil {
		s.settleEarly()
		u.env.Live.set(transfer, u.local.Size, 0)
		// An error of the copy is in Finish's verdict, together with the server's reason for it.
		transfer.ReadFrom(u.file)
		sent.result, err = transfer.Finish(ctx)
	}
	s.settle()
	if there.Err != nil && errors.Is(err, ftpclient.ErrUnconfirmed) { // all was sent: what was not answered is asked for once more
		there = u.looksAgain(err)
	}
	// Also of a transfer that failed: perhaps there was nothing to send.
	unexpected := !u.mayReplace(there) && (err == nil || there.Err == nil || errors.Is(err, ftpclient.ErrUnconfirmed))
	if unexpected {
		u.discard(ctx, sent.name)
	}
	if unexpected || u.isRefused(err) {
		s.again(u.streamed)
		return
	}
	how, end := u.proves(ctx, &sent, err, u.file, u.local, u.touched)
	if end != nil {
		s.report(u.ends(*end))
		return
	}
	u.ctx = steady(ctx)
	d := &delivered{streamed: u.streamed, s: sent, local: u.local, how: how, kept: &s.kept}
	if there.Found {
		d.old = &there.Entry
	}
	if d.old != nil && (hasUnusualMode(d.old) || u.conn.Facts().RenameOver != ftpclient.RenameReplaces) {
		s.report(u.ends(u.complete(u.ctx, d.s, d.local, d.old, d.how)))
		return
	}
	s.last = d
}

// looksAgain asks for what is at the target on a new connection, where cause has ended the last one.
func (u *outgoing) looksAgain(cause error) *ftpclient.StatAnswer {
	there := new(ftpclient.StatAnswer)
	if there.Err = u.reconnect(u.ctx, cause); there.Err == nil {
		there.Entry, there.Found, there.Err = u.conn.StatFile(u.ctx, u.target())
	}
	return there
}

// replaces reports whether there should be a file at the target.
func (u *outgoing) replaces() bool {
	return u.Base != nil && (u.Remote.Knowledge == plan.Unknown || u.Remote.Entry.Kind == entry.File)
}

// mayReplace reports whether the answer about the target stands against nothing and asks for nothing: look knows all other cases.
func (u *outgoing) mayReplace(there *ftpclient.StatAnswer) bool {
	if there.Err != nil || !there.Found {
		return there.Err == nil && !u.replaces() // of a file that should be there, no is no proof
	}
	now := scan.RemoteEntry(there.Entry)
	arrived, err := u.arrived(u.Local.Entry, now)
	return err == nil && !arrived && u.Base != nil && (u.Remote.Knowledge == plan.Unknown || u.expected(now))
}

func (d *delivered) whose() *streamed { return &d.streamed }

// confirmIn has the file get its time and its final name, and asks what is there then.
func (d *delivered) confirmIn(batch *ftpclient.Batch) {
	if d.conn.Facts().TimeSetter != "none" {
		d.timed = batch.SetModTime(d.s.name, d.local.ModTime) // a server that does not is none that fails
	}
	d.renamed = batch.Rename(d.s.name, d.target())
	if !d.hasKnownTime() {
		d.now = batch.StatFile(d.target())
	}
}

// hasKnownTime: which time the server has set is the one that the file will have, so that with its size all is known about a new file. Where
// others change the server's side as well, its identity is wanted, too.
func (d *delivered) hasKnownTime() bool {
	at := d.local.ModTime
	return d.timed != nil && d.old == nil && !d.s.unseen && d.env.Sync.Rules.Direction == plan.Up && d.env.Sync.TempFolder == "" &&
		at.After(firstOrdinary) && at.Before(lastOrdinary) && d.kept.folder == path.Dir(d.target())
}

// wantsTime: the command by which most servers set times was tried and has failed, and there may be another one.
func (d *delivered) wantsTime() bool {
	return d.timed != nil && d.timed.Err != nil && d.conn.Usable() && d.conn.Facts().TimeSetter == ""
}

// told is what is at the final name, by the answers to what was done; false if they do not say, or something was asked.
func (d *delivered) told() (entry.Entry, bool) {
	if d.now != nil || d.renamed.Err != nil || d.timed.Err != nil || !d.timed.ModTime.Equal(d.local.ModTime.Truncate(time.Second)) {
		return entry.Entry{}, false
	}
	return entry.Entry{Kind: entry.File, Size: d.s.total(), ModTime: d.timed.ModTime, Precision: time.Second}, true
}

func (d *delivered) isConfirmed() bool {
	if _, ok := d.told(); ok {
		return true
	}
	return d.now != nil && d.renamed.Err == nil && !d.wantsTime() && d.now.Err == nil && d.now.Found && (d.now.Entry.Size < 0 || d.now.Entry.Size == d.s.total()) && !d.wantsMode(d.now.Entry, d.old)
}

func (d *delivered) settle() Outcome {
	renamed, err := d.wasRenamed()
	if err != nil {
		return d.s.wrote(failed(err))
	}
	if !renamed {
		return d.complete(d.ctx, d.s, d.local, d.old, d.how)
	}
	if d.now != nil && d.now.Found && d.timed != nil && d.timed.Err == nil && !d.timed.ModTime.IsZero() {
		d.kept.learn(path.Dir(d.target()), d.timed.ModTime, d.now.Entry.ModTime)
	}
	if remote, ok := d.told(); ok {
		return d.uploaded(d.s, d.local, remote, d.how, "")
	}
	if !d.isConfirmed() && !d.conn.Usable() {
		cause := ftpclient.ErrUnanswered
		if d.now != nil {
			cause = d.now.Err
		}
		if err := d.reconnect(d.ctx, cause); err != nil {
			return d.s.wrote(failed(err))
		}
	}
	wantsTime := d.wantsTime()
	if wantsTime {
		if err := d.conn.SetModTime(d.ctx, d.target(), d.local.ModTime); err != nil && !d.conn.Usable() {
			return d.s.wrote(failed(err))
		}
	}
	var remote entry.Entry
	if d.now == nil || d.now.Err != nil || wantsTime {
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
