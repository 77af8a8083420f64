package work

import (
	"errors"
	"os"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// incoming is a download in a stream. The remote file has to be what the plan saw, until the first look says so more exactly.
type incoming struct {
	streamed
	local entry.Entry
	from  origin
}

// received is a download of which all is here, under its temporary name, and gets its final one if the remote file is still the same.
type received struct {
	incoming
	got    fetched
	onDisk chan error            // gets one value, when the temporary file is closed
	after  *ftpclient.StatAnswer // the second look
}

// opensDownload looks at what is here; nil if anything about it is odd, or more than one question to the server decides.
func (u streamed) opensDownload() *incoming {
	planned := u.Remote.Entry
	if planned.Kind != entry.File || planned.Size < 0 || planned.Size > smallFile || u.remote.Follow || u.remote.Targets {
		return nil
	}
	local, err := scan.StatLocal(u.root, u.Path)
	if err != nil || local.Kind != entry.Absent && (local.Kind != entry.File || u.Base == nil) {
		return nil
	}
	if local.Kind == entry.File {
		if last, err := u.env.State.At(u.Path); err != nil || u.mayMeetItself(local, planned, last) {
			return nil
		}
	}
	from := origin{path: u.target(), look: planned}
	if arrived, err := u.hasArrived(u.ctx, local, from); err != nil || arrived {
		return nil
	}
	if u.overtaken(local, from) != "" || u.unsettled(planned) != "" || errors.Join(throughLink(u.root, u.Path), localFolder(u.root, u.Path)) != nil {
		return nil
	}
	return &incoming{u, local, from}
}

// download fetches a file, with the second look at the one before and the first look at this one in front of it.
func (s *Stream) download(u *incoming, more bool) {
	file, _, err := u.openPart(u.from.look)
	if err != nil {
		s.again(u.streamed)
		return
	}
	before := s.before(u.streamed)
	first := before.StatFile(u.target())
	transfer, err := u.conn.RetrieveAhead(u.ctx, before, u.from.path, more)
	var got fetched
	if err == nil {
		s.settleEarly()
		u.env.Live.set(transfer, u.from.look.Size, 0)
		got, err = u.receive(transfer, file)
	}
	s.settle()
	if !u.isStill(first, err) || u.isRefused(err) || err != nil && !u.conn.Usable() && u.ctx.Err() == nil {
		file.Close() // nothing of it is used
		u.discardLocal()
		s.again(u.streamed)
		return
	}
	if err != nil {
		file.Close()
		s.report(u.ends(u.notReceived(u.ctx, u.from, err)))
		return
	}
	u.ctx = steady(u.ctx)
	r := &received{incoming: *u, got: got, onDisk: make(chan error, 1)}
	go func() { r.onDisk <- errors.Join(file.Sync(), u.seal(file, u.from.look)) }() // while the next one is on its way; settle waits
	s.last = r
}

// receive takes the content, and makes sure that it is all.
func (u *incoming) receive(transfer *ftpclient.Transfer, file *os.File) (got fetched, err error) {
	if got.Result, err = u.receiveAll(u.ctx, transfer, file, nil, u.from.look.Size, 0); errors.Is(err, ftpclient.ErrUnconfirmed) && got.Bytes == u.from.look.Size {
		err = u.reconnect(u.ctx, err) // all has come; whether it is still what is there is asked next
	}
	if err == nil {
		told := int64(-1)
		if got.Confirmed {
			told = got.Size
		}
		err = u.hasAll(u.ctx, u.from.path, got.Bytes, told)
	}
	if got.verified = string(VerifySize); !got.Confirmed {
		got.verified += afterLoss
	}
	return got, err
}

// isStill reports whether the first look, which came with a transfer that ended so, shows what the plan saw. It may tell the time more
// exactly than the listing that the plan goes by.
func (u *incoming) isStill(first *ftpclient.StatAnswer, err error) bool {
	if first.Err != nil {
		return err != nil && errors.Is(first.Err, ftpclient.ErrUnanswered)
	}
	look := u.timed(scan.RemoteEntry(first.Entry))
	if !first.Found || !entry.Same(look, u.Remote.Entry) || u.unsettled(look) != "" {
		return false
	}
	u.from.look = look
	arrived, failure := u.hasArrived(u.ctx, u.local, u.from)
	return failure == nil && !arrived
}

func (r *received) whose() *streamed { return &r.streamed }

func (r *received) confirmIn(batch *ftpclient.Batch) { r.after = batch.StatFile(r.from.path) }

func (r *received) isConfirmed() bool { return r.after.Err == nil && r.after.Found }

func (r *received) settle() Outcome {
	if err := <-r.onDisk; err != nil {
		return r.notReceived(r.ctx, r.from, err)
	}
	after, err := scan.RemoteEntry(r.after.Entry), error(nil)
	if !r.isConfirmed() {
		if !r.conn.Usable() {
			err = r.reconnect(r.ctx, r.after.Err)
		}
		if err == nil {
			after, err = r.statRemote(r.ctx, r.from.path)
		}
	}
	if err != nil {
		return wrote(r.tempFile(), failed(err))
	}
	return r.land(r.ctx, r.local, r.from, after, r.got)
}
