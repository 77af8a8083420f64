package work

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// leastPart is how big a file must be for a part of it to be kept when its transfer is cut, and lastParts how many
	// attempts back such a part is looked for.
	leastPart = 1 << 20
	lastParts = 3
)

// fetched is what came of the transfer of a download. Bytes are those that came over the line.
type fetched struct {
	ftpclient.Result
	verified string
}

// fetch downloads into the temporary file and has it verified and on disk, with the remote time, when it returns nil. It goes on
// where an attempt before was cut off if that is safe.
func (o *op) fetch(ctx context.Context, from origin) (got fetched, err error) {
	file, length, err := o.openPart(from.look)
	if err != nil {
		return got, err
	}
	defer func() {
		if err == nil {
			err = o.seal(file, from.look)
		} else {
			file.Close() // what is wrong with it is known
		}
	}()
	transfer, offset, err := o.retrieve(ctx, from, file, length)
	if err != nil {
		return got, err
	}
	o.env.Live.set(transfer, from.look.Size, offset)
	reread, err := o.rereads(file, offset)
	if err == nil && offset > 0 { // the mark of keepPart has to be gone before more is written
		err = errors.Join(o.root.Chtimes(o.localTemp(), time.Time{}, time.Now()), file.Sync())
	}
	if err == nil {
		err = o.place(file, offset)
	}
	if err != nil {
		transfer.Abort(ctx)
		return got, errors.Join(err, o.keepPart(file, from.look))
	}
	joined := 0
	if o.segments(from, reread, offset) {
		got.Result, joined, err = o.fetchSegments(ctx, from, transfer, file, offset)
	} else {
		got.Result, err = o.receiveAll(ctx, transfer, file, reread, from.look.Size, offset)
	}
	if errors.Is(err, ftpclient.ErrUnconfirmed) && offset+got.Bytes == from.look.Size {
		err = o.reconnect(ctx, err) // all has come; whether it is still what is there is asked next
	}
	if err == nil && !o.conn.Usable() { // a stream that was ended may have cost it
		err = o.reconnect(ctx, errors.New("a stream was ended"))
	}
	if err != nil {
		return got, errors.Join(err, o.keepPart(file, from.look))
	}
	size := offset + got.Bytes
	if err := o.hasAll(ctx, from.path, size, -1); err != nil {
		return got, err
	}
	if err := file.Sync(); err != nil {
		return got, err
	}
	if joined > 0 {
		got.verified, err = o.verifyJoined(ctx, from.path, file, size, joined+1)
	} else {
		got.verified, err = o.verifyReceived(ctx, from.path, reread, file, size)
	}
	if !got.Confirmed {
		got.verified += afterLoss
	}
	if offset > 0 {
		got.verified += fmt.Sprintf(", resumed at %d", offset)
	}
	return got, err
}

// hasAll compares how much was received with the size that the server tells now, or has told behind the transfer if that is not -1.
func (o *op) hasAll(ctx context.Context, p string, received, told int64) (err error) {
	if told < 0 {
		told, err = o.sizeOf(ctx, p)
	}
	if err == nil && told != received {
		err = fmt.Errorf("%w: received %d, the server has %d", errShort, received, told)
	}
	return err
}

// seal closes the temporary file of a download, which has the permissions and the time then that it is to have.
func (o *op) seal(file *os.File, remote entry.Entry) error {
	o.permit(file, 0)
	err := file.Close()
	if err == nil && !remote.ModTime.IsZero() {
		err = o.root.Chtimes(o.localTemp(), time.Time{}, remote.ModTime)
	}
	return err
}

// receiveAll takes the whole of a transfer to its end.
func (o *op) receiveAll(ctx context.Context, transfer *ftpclient.Transfer, file *os.File, reread *rereader, size, offset int64) (ftpclient.Result, error) {
	if err := o.pour(ctx, transfer, file, reread, size, offset); err != nil {
		transfer.Abort(ctx)
		return ftpclient.Result{}, err
	}
	return transfer.Finish(ctx)
}

// sizeOf asks for the size of a remote file. Not all servers know that question, or answer it: then its look has to tell.
func (o *op) sizeOf(ctx context.Context, p string) (int64, error) {
	size, err := o.conn.Size(ctx, p)
	if !o.refusesToTell(err) {
		return size, err
	}
	look, lookErr := o.statRemote(ctx, p)
	if lookErr == nil && look.Kind == entry.File && look.Size >= 0 {
		return look.Size, nil
	}
	return 0, errors.Join(err, lookErr)
}

// pour writes what comes to file, and not more than was announced: what has no end must not fill the disk.
func (o *op) pour(ctx context.Context, transfer *ftpclient.Transfer, file *os.File, reread *rereader, size, offset int64) (err error) {
	limit := int64(math.MaxInt64)
	if size >= 0 {
		limit = size - offset + 1
	}
	var received int64
	if reread == nil {
		if received, err = transfer.ReceiveFile(file, limit); context.Cause(ctx) != nil {
			err = context.Cause(ctx)
		}
	} else {
		received, err = copyAll(ctx, reread.through(file), io.LimitReader(transfer, limit))
	}
	if err == nil && size >= 0 && offset+received > size {
		return errGrew
	}
	return err
}

// copyAll is io.Copy that ends with ctx, for sources that do not know of it.
func copyAll(ctx context.Context, dst io.Writer, src io.Reader) (int64, error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
	if cause := context.Cause(ctx); cause != nil {
		return n, cause
	}
	return n, err
}

// place has the next byte written at offset, and nothing behind it.
func (o *op) place(file *os.File, offset int64) error {
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	return file.Truncate(offset)
}

// retrieve starts the transfer at the end of the part if that is proven to be the beginning of the remote file, else at 0.
func (o *op) retrieve(ctx context.Context, from origin, part *os.File, length int64) (transfer *ftpclient.Transfer, offset int64, err error) {
	if length > 0 {
		transfer, offset, err = o.resumeAt(ctx, from, part, length)
		if transfer != nil || err != nil {
			return transfer, offset, err
		}
	}
	transfer, err = o.conn.Retrieve(ctx, from.path, 0)
	return transfer, 0, err
}

// resumeAt goes on at the end of a part; nil if anything speaks against it.
func (o *op) resumeAt(ctx context.Context, from origin, part *os.File, length int64) (*ftpclient.Transfer, int64, error) {
	// All of it has to be proven where that can be, and must be where a loss of power may have made holes in it.
	same, err := o.conn.SameHashedPrefix(ctx, from.path, part, length)
	if o.refusesToTell(err) {
		same, err = surelyOnDisk(part, from.look), nil
	}
	if err == nil && same {
		var transfer *ftpclient.Transfer
		var offset int64
		if transfer, offset, err = o.conn.ResumeRetrieve(ctx, from.path, from.look.Size, from.look.ModTime, part, length); err == nil {
			return transfer, offset, nil
		}
	}
	if err != nil {
		var noData *ftpclient.DataError
		if !o.conn.Usable() || errors.As(err, &noData) {
			return nil, 0, err
		}
		o.env.Logger.Info("download begins anew", "path", o.Path, "error", err)
	}
	return nil, 0, nil
}

// permit gives a file the permissions of the one that it is about to replace, which may be a secret, and more.
func (o *op) permit(file *os.File, more fs.FileMode) {
	old, err := o.root.Lstat(filepath.FromSlash(o.Path))
	if err != nil || !old.Mode().IsRegular() || runtime.GOOS == "windows" {
		return
	}
	if err := file.Chmod(old.Mode().Perm() | more); err != nil {
		o.env.Logger.Debug("permissions not kept", "path", o.Path, "error", err)
	}
}

// keepPart has what was received on disk, and marks it as such by the time of the remote file. What bears another time was being
// written when the program ended.
func (o *op) keepPart(file *os.File, remote entry.Entry) error {
	if err := file.Sync(); err != nil || remote.ModTime.IsZero() {
		return err
	}
	return o.root.Chtimes(o.localTemp(), time.Time{}, remote.ModTime)
}

// surelyOnDisk reports whether all of a part has its place: it was marked by keepPart, or the system that it was written on is
// still running. Else the system may have lost what it had not written to disk yet, and its end alone would not show that.
func surelyOnDisk(part *os.File, remote entry.Entry) bool {
	info, err := part.Stat()
	if err != nil {
		return false
	}
	written, now := info.ModTime(), time.Now()
	if !remote.ModTime.IsZero() && written.Truncate(time.Second).Equal(remote.ModTime.Truncate(time.Second)) {
		return true
	}
	since, known := uptime()
	return known && !written.After(now) && written.After(now.Add(-since).Add(bootSlack))
}

// bootSlack is how exactly it is known when the system was started.
const bootSlack = 10 * time.Second

// openPart opens the temporary file, with what an attempt before has left in it if that may be gone on with.
func (o *op) openPart(remote entry.Entry) (file *os.File, length int64, err error) {
	usable := o.resumable(remote)
	o.removeLocal(o.localTemp())
	var seen fs.FileInfo
	for attempt := o.job.Claims - 1; attempt > 0 && attempt >= o.job.Claims-lastParts; attempt-- {
		part := o.localTempOf(attempt)
		info, err := o.root.Lstat(part)
		if err != nil {
			continue
		}
		if usable && length == 0 && info.Mode().IsRegular() && info.Size() <= remote.Size && renameNew(o.root, part, o.localTemp()) == nil {
			seen, length = info, info.Size()
			continue
		}
		o.removeLocal(part)
	}
	flags := os.O_RDWR
	if length == 0 {
		o.removeLocal(o.localTemp())
		flags |= os.O_CREATE | os.O_EXCL
	}
	file, err = o.root.OpenFile(o.localTemp(), flags, 0o666)
	if err != nil {
		return nil, 0, err
	}
	if length == 0 {
		o.permit(file, 0o200)
		return file, 0, nil
	}
	if opened, err := file.Stat(); err != nil || !os.SameFile(seen, opened) { // nothing is written through a link
		return nil, 0, errors.Join(err, file.Close(), fmt.Errorf("%w: the temporary file was replaced", ErrUnsafe))
	}
	return file, length, nil
}

// resumable reports whether what attempts before have left can only be of the file that is there now: all that were begun since
// both sides last agreed were about a file of this size and time, and a change would show.
func (o *op) resumable(remote entry.Entry) bool {
	if o.job.Claims < 2 || remote.Size < leastPart || remote.ModTime.IsZero() || remote.Precision > time.Second {
		return false
	}
	intents, err := o.env.State.Intents(o.Path)
	if err != nil {
		return false
	}
	begun := false
	for _, intent := range intents {
		if !intent.Down && o.env.Sync.Rules.Direction == plan.Both {
			continue // an upload
		}
		if begun = true; !entry.Equal(intent.Source, remote) {
			return false
		}
	}
	return begun
}

// keeps reports whether what was received before an error is left for the next attempt.
func (o *op) keeps(remote entry.Entry, err error) bool {
	var here *fs.PathError
	return remote.Size >= leastPart && !errors.As(err, &here) && !errors.Is(err, errShort) && !errors.Is(err, errGrew) && !errors.Is(err, errContent) &&
		!errors.Is(err, ftpclient.ErrMismatch) && !errors.Is(err, fs.ErrNotExist)
}

// rereader makes sure that the bytes on disk are those that came; nil if nobody asks for that.
type rereader struct{ came hash.Hash }

// rereads begins with what is in the file up to offset.
func (o *op) rereads(file *os.File, offset int64) (*rereader, error) {
	if o.env.Sync.Verify != VerifyReread {
		return nil, nil
	}
	r := &rereader{sha256.New()}
	_, err := io.Copy(r.came, io.NewSectionReader(file, 0, offset))
	return r, err
}

func (r *rereader) through(file io.Writer) io.Writer {
	return io.MultiWriter(file, r.came)
}

// verifyReceived makes sure in the way that the sync asks for that all of the remote file p is on disk, and says how.
func (o *op) verifyReceived(ctx context.Context, p string, r *rereader, file *os.File, size int64) (how string, err error) {
	switch {
	case r != nil:
		dropCache(file)
		now := sha256.New()
		if _, err := copyAll(ctx, now, io.NewSectionReader(file, 0, size)); err != nil {
			return "", fmt.Errorf("read the local file again: %w", err)
		}
		if !bytes.Equal(now.Sum(nil), r.came.Sum(nil)) {
			return "", fmt.Errorf("%w: the disk gives other bytes than were written", errContent)
		}
		return "reread", nil
	case o.env.Sync.Verify == VerifyHash:
		return o.verifyHash(ctx, p, file, size)
	}
	return "size", nil
}
