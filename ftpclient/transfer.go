package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// ErrTransferring: a transfer is going on, and nothing else can be asked for before its Finish,
// Stop or Abort. Nothing was sent.
var ErrTransferring = errors.New("a transfer is going on: end it first")

// Transfer is a file (or a listing) on its way. Read or write it, then call Finish, which is
// the only source of success; or give it up by Abort or Stop. One of them must be called.
// When the context given at its start ends, the data connection is reset.
type Transfer struct {
	conn    *Conn
	request request
	call    *control.Call
	guarded *data.Guarded
	stream  net.Conn    // guarded, or TLS on top of it
	batch   *batch      // below TLS, nil without
	zlib    *zlibStream // compression on top of stream, nil without
	way     DataWay
	begun   time.Time
	moved   meter // content
	atEOF   bool
	failure error // first error of reading, writing, or of the source of an upload
	ours    bool  // failure is no fault of the connection, so no reply can explain it
	resumed bool
	// unopened is why the data connection did not open, for the one who started the transfer.
	unopened error
	noop     *control.Call // the last NOOP behind the transfer; of the watch until release
	release  func() error  // ends the watch over the context; tells why that has ended, if it has
	done     bool
	ending   atomic.Bool                 // Finish is waiting for the verdict
	check    func(context.Context) error // what Finish has to see beside the verdict, nil for nothing

	// What goes around the command, see StoreAhead.
	around  around
	inFront []*control.Call   // not answered yet, or not looked at
	answers []control.Reply   // to those
	unsure  []*step           // of them, which have to be asked once more behind the transfer
	behind  []*control.Call   // in the same write
	later   []control.Command // behind, and in a write of their own
	size    int64             // what SIZE said, -1
}

// Result is what Finish reports of a transfer.
type Result struct {
	Bytes    int64 // of content, from the offset on
	Moved    int64 // bytes on the data connection: with TLS, and as compressed
	Duration time.Duration
	Code     int
	Text     string // the final reply
	Mode     Mode
	// Size is what SIZE says of the file after StoreAhead and RetrieveAhead, -1 if that was not asked or is not known.
	Size int64
	// Local and Peer are the ends of the data connection, zero where it is not TCP.
	Local, Peer netip.AddrPort
	// TLSResumed: the data connection took over the TLS session of the control connection.
	TLSResumed bool
	// CleanEnd: the peer ended a download in the way of TLS (close_notify). Without it the
	// end of the stream may be a cut. Always true without TLS.
	CleanEnd bool
	// Confirmed: the server calls the transfer complete. True whenever Finish returns no error.
	Confirmed bool
}

// Read reads from a download.
func (t *Transfer) Read(p []byte) (int, error) {
	n, err := t.source().Read(p)
	t.received(int64(n), err)
	return n, err
}

func (t *Transfer) received(n int64, err error) {
	t.moved.add(n)
	if errors.Is(err, io.EOF) {
		t.atEOF = true
	} else {
		t.fail(err)
	}
}

// HeldUp is for how long a download has waited for the rates and limiters of Options: without them it would have been so much
// faster, at most. It is for who reads, between two reads.
func (t *Transfer) HeldUp() time.Duration { return t.guarded.ReadsHeldUp() }

// WriteTo downloads everything into w, by splice if w is an *os.File, the connection is
// plain and the system can. An error of w makes Finish abort the download.
func (t *Transfer) WriteTo(w io.Writer) (int64, error) {
	file, isFile := w.(*os.File)
	if isFile && t.direct() && !t.conn.noSplice && takesSplice(file) {
		n, err := t.guarded.ReceiveFile(file, math.MaxInt64, t.moved.add)
		if errors.Is(err, syscall.EINVAL) {
			// The file system has no splice, and says so when the bytes are in a pipe already.
			t.conn.noSplice = true
		}
		if err == nil {
			t.atEOF = true
		} else if t.failure == nil {
			t.failure, t.ours = err, !ofNetwork(err)
		}
		return n, err
	}
	n, err := t.conn.copyAll(w, t)
	if err != nil && t.failure == nil { // not one of Read
		t.failure, t.ours = err, true
	}
	return n, err
}

// Write writes to an upload. After an error, Finish tells the server's reason.
func (t *Transfer) Write(p []byte) (int, error) {
	n, err := t.write(p)
	t.moved.add(int64(n))
	t.fail(err)
	return n, err
}

// ReadFrom uploads all of r, by sendfile if r is an *os.File and the connection is plain, unless that proves to be slower.
// An error of r makes Finish abort the upload: a source that breaks off must not look like
// a complete file.
func (t *Transfer) ReadFrom(r io.Reader) (int64, error) {
	file, isFile := r.(*os.File)
	if isFile && t.direct() {
		n, err := t.guarded.SendFile(file, func() []byte { return t.conn.copyBuffer(data.BufferSize) }, t.moved.add)
		if err != nil && t.failure == nil {
			var ofFile *fs.PathError
			t.failure, t.ours = err, errors.As(err, &ofFile) || errors.Is(err, syscall.EIO)
		}
		return n, err
	}
	n, err := t.conn.copyAll(t, r)
	if err != nil && t.failure == nil { // not one of Write
		t.failure, t.ours = err, true
	}
	return n, err
}

// takesSplice tells the files that systems splice to, as far as that can be known before.
func takesSplice(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular() || file.Name() == os.DevNull
}

// direct reports whether content goes to the socket as it is.
func (t *Transfer) direct() bool { return t.zlib == nil && t.stream == net.Conn(t.guarded) }

func (t *Transfer) source() io.Reader {
	if t.zlib != nil {
		return t.zlib
	}
	return t.stream
}

func (t *Transfer) write(p []byte) (int, error) {
	switch {
	case t.zlib != nil:
		return t.zlib.Write(p)
	case t.batch != nil:
		return t.batch.hold(t.stream, p)
	}
	return t.stream.Write(p)
}

// ofNetwork tells the errors of a socket from those of a file where one system call has both.
func ofNetwork(err error) bool {
	var timeout net.Error
	var ofSocket *net.OpError
	return errors.As(err, &ofSocket) || errors.Is(err, data.ErrStalled) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.As(err, &timeout) && timeout.Timeout()
}

// smallBuffer is what small files are copied by.
const smallBuffer = 16 << 10

// copyBuffer is for the copying of one transfer of no more than so many bytes at a time.
func (c *Conn) copyBuffer(most int64) []byte {
	size := data.BufferSize
	if most <= smallBuffer {
		size = smallBuffer
	}
	if len(c.buffer) < size {
		c.buffer = make([]byte, size)
	}
	return c.buffer
}

// copyAll copies everything until the end of r, with a large buffer once that is worth it.
func (c *Conn) copyAll(w io.Writer, r io.Reader) (int64, error) {
	w, r = struct{ io.Writer }{w}, struct{ io.Reader }{r} // nothing else may choose how it is copied
	n, err := io.CopyBuffer(w, struct{ io.Reader }{io.LimitReader(r, smallBuffer)}, c.copyBuffer(smallBuffer))
	if err != nil || n < smallBuffer {
		return n, err
	}
	more, err := io.CopyBuffer(w, r, c.copyBuffer(data.BufferSize))
	return n + more, err
}

func (t *Transfer) fail(err error) {
	if err != nil && t.failure == nil {
		t.failure = err
	}
}

// Bytes is the number of bytes of content that went through so far. It may be called at any time, by any goroutine.
func (t *Transfer) Bytes() int64 { return t.moved.total.Load() }

// Flowed is how long after the beginning of the transfer bytes went through last, under the same conditions as Bytes. Of an upload these
// may be on the way: what the network takes without the other side is through in a moment.
func (t *Transfer) Flowed() time.Duration { return time.Duration(t.moved.last.Load()) }

// Rate is how many bytes of content a second went through in the last seconds before now, under the same conditions as Bytes.
func (t *Transfer) Rate(now time.Time) float64 { return t.moved.rate(now) }

// Mode is the command by which the data connection was made.
func (t *Transfer) Mode() Mode { return t.way.Command }

// Finish ends the data connection and waits for the server's verdict. nil means that the
// server calls the transfer complete and that nothing went wrong on this side. A download
// must have been read to its end. Errors are *Error.
//
// An error that wraps ErrUnconfirmed says that everything went through and only the verdict
// did not come: connect again and ask (VerifySize, SamePrefix) before sending all anew.
func (t *Transfer) Finish(ctx context.Context) (Result, error) {
	result, err := t.finish(ctx)
	if err != nil && control.Ended(ctx) == nil {
		t.blameEarlyEnd()
	}
	return result, err
}

// blameEarlyEnd has the next downloads end in the usual way, if this one has failed and was another.
func (t *Transfer) blameEarlyEnd() { t.conn.noEarlyEnd = t.conn.noEarlyEnd || t.endsEarly() }

func (t *Transfer) finish(ctx context.Context) (Result, error) {
	if t.done {
		return Result{}, &Error{Op: t.request.op, Path: t.request.path, Err: errors.New("the transfer has ended before")}
	}
	if !t.request.upload && !t.atEOF && t.failure == nil {
		t.failure, t.ours = errors.New("download was not read to its end"), true
	}
	result := t.result()
	if t.failure != nil {
		return result, t.breakOff(ctx)
	}
	t.done = true
	result.CleanEnd = t.request.upload || t.stream == net.Conn(t.guarded) || !t.guarded.SawEOF()
	v := t.awaitVerdict(ctx)
	reply, err := v.reply, v.err
	cause := t.release()
	t.conn.running.set(nil)
	var behind error
	if err == nil {
		t.settle(ctx)
		behind = t.catchUp(ctx)
	}
	result.Bytes, result.Moved, result.Duration = t.Bytes(), t.guarded.Moved(), time.Since(t.begun)
	fail := &Error{Op: t.request.op, Path: t.request.path}
	switch {
	case errors.Is(err, ErrInterrupted):
		t.abandon(ctx)
		fail.Err = err
		return result, fail
	case err != nil:
		t.conn.kill()
		if cause == nil && control.Ended(ctx) == nil {
			t.blameCompression()
		}
		e := t.conn.connectionError(t.request.op, t.request.path, err)
		if cause == nil && v.through && control.Ended(ctx) == nil {
			e.Err = fmt.Errorf("%w: %w", ErrUnconfirmed, e.Err)
		}
		return result, e
	case !reply.Completed() && cause != nil:
		fail.Err = cause // the server only tells that this side hung up
		return result, fail
	case !reply.Completed():
		t.blameCompression()
		t.conn.dropSession(reply)
		return result, t.conn.refusal(t.request.op, t.request.path, t.request.verb, reply)
	case t.request.upload && cause != nil:
		// The reset that comes with the end of the context may have cut the upload, and some
		// servers call that complete.
		fail.Err = cause
		return result, fail
	case t.request.upload && v.endError != nil:
		fail.Err = fmt.Errorf("end of the data connection: %w", v.endError)
		return result, fail
	case behind != nil:
		fail.Err = fmt.Errorf("%w: %w", ErrUnconfirmed, behind)
		return result, fail
	}
	t.conn.learnWay(t.way)
	if err := errors.Join(t.ask(ctx), t.settleUnsure(ctx)); err != nil {
		fail.Err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		return result, fail
	}
	result.Size = t.size
	result.Code, result.Text = reply.Code, shorten(reply.Text())
	if v.cut != nil || !result.CleanEnd {
		if err := t.lookAtSize(ctx, v.cut); err != nil {
			return result, err
		}
	}
	if t.check != nil {
		if err := t.check(ctx); err != nil {
			return result, err
		}
	}
	result.Confirmed = true
	return result, nil
}

func (t *Transfer) result() Result {
	address := func(a net.Addr) netip.AddrPort {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.AddrPort()
		}
		return netip.AddrPort{}
	}
	return Result{
		Bytes: t.Bytes(), Moved: t.guarded.Moved(), Duration: time.Since(t.begun), Mode: t.way.Command, TLSResumed: t.resumed, Size: -1,
		Local: address(t.guarded.LocalAddr()), Peer: address(t.guarded.RemoteAddr()),
	}
}
