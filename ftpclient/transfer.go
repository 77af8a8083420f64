package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Transfer is a file (or a listing) on its way. Read or write it, then call Finish, which is
// the only source of success; or call Abort. One of the two must be called. When the context
// given at its start ends, the data connection is reset.
type Transfer struct {
	conn    *Conn
	request request
	call    *control.Call
	guarded *data.Guarded
	stream  net.Conn // guarded, or TLS on top of it
	mode    Mode
	begun   time.Time
	bytes   int64
	atEOF   bool
	failure error // first error of reading, writing, or of the source of an upload
	ours    bool  // failure is no fault of the connection, so no reply can explain it
	resumed bool
	release func() error // ends the watch over the context; tells why that has ended, if it has
	done    bool
}

// Result is what Finish reports of a transfer that the server calls complete.
type Result struct {
	Bytes    int64
	Duration time.Duration
	Code     int
	Text     string // the final reply
	Mode     Mode
	// TLSResumed: the data connection took over the TLS session of the control connection.
	TLSResumed bool
	// CleanEnd: the peer ended a download in the way of TLS (close_notify). Without it the
	// end of the stream may be a cut. Always true without TLS.
	CleanEnd bool
}

// Read reads from a download.
func (t *Transfer) Read(p []byte) (int, error) {
	n, err := t.stream.Read(p)
	t.bytes += int64(n)
	if errors.Is(err, io.EOF) {
		t.atEOF = true
	} else if err != nil {
		t.fail(err)
	}
	return n, err
}

// Write writes to an upload. After an error, Finish tells the server's reason.
func (t *Transfer) Write(p []byte) (int, error) {
	n, err := t.stream.Write(p)
	t.bytes += int64(n)
	t.fail(err)
	return n, err
}

// ReadFrom uploads all of r, by sendfile if r is an *os.File and the connection is plain.
// An error of r makes Finish abort the upload: a source that breaks off must not look like
// a complete file.
func (t *Transfer) ReadFrom(r io.Reader) (int64, error) {
	file, isFile := r.(*os.File)
	if isFile && t.stream == net.Conn(t.guarded) {
		n, err := t.guarded.SendFile(file)
		t.bytes += n
		t.fail(err)
		return n, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{t}, struct{ io.Reader }{r}, make([]byte, data.BufferSize))
	if err != nil && t.failure == nil { // not one of Write
		t.failure, t.ours = err, true
	}
	return n, err
}

func (t *Transfer) fail(err error) {
	if err != nil && t.failure == nil {
		t.failure = err
	}
}

// Bytes is the number of bytes of content that went through so far.
func (t *Transfer) Bytes() int64 { return t.bytes }

const (
	// drainPatience bounds the wait for the server to end its side of an upload after it has
	// said that all is well.
	drainPatience = 5 * time.Second
	// abortPatience bounds the wait for the reply to a transfer that was broken off.
	abortPatience = 2 * time.Second
)

// Finish ends the data connection and waits for the server's verdict. nil means that the
// server calls the transfer complete and that nothing went wrong on this side. A download
// must have been read to its end. Errors are *Error.
func (t *Transfer) Finish(ctx context.Context) (Result, error) {
	if t.done {
		return Result{}, &Error{Op: t.request.op, Path: t.request.path, Err: errors.New("the transfer has ended before")}
	}
	if !t.request.upload && !t.atEOF && t.failure == nil {
		t.failure, t.ours = errors.New("download was not read to its end"), true
	}
	if t.failure != nil {
		return Result{}, t.breakOff(ctx)
	}
	t.done = true
	clean := t.request.upload || t.stream == net.Conn(t.guarded) || !t.guarded.SawEOF()
	t.guarded.Conn.SetReadDeadline(time.Time{}) // the stall time-out of the last read
	ended := make(chan error, 1)
	go func() { ended <- t.endStream() }()
	waiting, stop := context.WithTimeoutCause(ctx, t.conn.options.FinalReplyTimeout, ErrTimeout)
	defer stop()
	reply, err := t.call.Wait(waiting)
	if err != nil || !reply.Completed() {
		t.guarded.Reset()
	} else {
		t.guarded.Conn.SetReadDeadline(time.Now().Add(drainPatience))
	}
	endError := <-ended
	cause := t.release()
	t.conn.running.set(nil)
	fail := &Error{Op: t.request.op, Path: t.request.path}
	switch {
	case err != nil:
		t.conn.kill()
		return Result{}, t.conn.connectionError(t.request.op, t.request.path, err)
	case !reply.Completed():
		t.conn.dropSession(reply)
		return Result{}, t.conn.refusal(t.request.op, t.request.path, t.request.verb, reply)
	case t.request.upload && cause != nil:
		// The reset that comes with the end of the context may have cut the upload, and some
		// servers call that complete.
		fail.Err = cause
		return Result{}, fail
	case t.request.upload && endError != nil:
		fail.Err = fmt.Errorf("end of the data connection: %w", endError)
		return Result{}, fail
	}
	t.conn.facts.DataMode = t.mode.String()
	return Result{
		Bytes: t.bytes, Duration: time.Since(t.begun), Code: reply.Code, Text: shorten(reply.Text()),
		Mode: t.mode, TLSResumed: t.resumed, CleanEnd: clean,
	}, nil
}

// endStream ends the data connection so that every byte of an upload arrives: first the end
// of TLS (close_notify), then of TCP, then everything the server still sends is read. Servers
// send TLS 1.3 session tickets that an upload never reads; closing a socket with unread bytes
// makes the kernel send a reset, and the server loses the end of the file. The error is one of
// telling the server the end of an upload. Reading goes on until somebody sets a deadline.
func (t *Transfer) endStream() error {
	defer t.guarded.Close()
	secured, isTLS := t.stream.(*tls.Conn)
	if !t.request.upload {
		if isTLS {
			secured.Close()
		}
		return nil
	}
	if isTLS {
		if err := secured.CloseWrite(); err != nil {
			return err
		}
	}
	// The end of TLS may have made the server close already, which TCP calls an error.
	if err := t.guarded.CloseWrite(); err != nil && !isTLS {
		return err
	}
	io.Copy(io.Discard, t.guarded.Conn)
	return nil
}

// breakOff ends a transfer that failed on this side. The server's reply, if it comes soon,
// holds the cause (552, 451, ...) that a write error only hides.
func (t *Transfer) breakOff(ctx context.Context) error {
	e := &Error{Op: t.request.op, Path: t.request.path, Err: t.failure}
	reply, err := t.awaitBroken(ctx)
	cause := t.release()
	if cause == nil {
		cause = control.Ended(ctx)
	}
	switch {
	case cause != nil:
		e.Err = cause
	case err == nil && reply.Code >= 400 && !t.ours:
		e.Code, e.Text = reply.Code, shorten(reply.Text())
		t.conn.dropSession(reply)
	}
	return e
}

// Abort gives the transfer up. The connection stays usable if the server answers soon.
// It does nothing after Finish. A ctx that has ended costs the connection.
func (t *Transfer) Abort(ctx context.Context) {
	if !t.done {
		t.awaitBroken(ctx)
	}
}

// awaitBroken resets the data connection, so that an upload does not look complete, and
// waits a little for the transfer's reply. No ABOR: half of the servers in use read it only
// after the end of the data connection, which alone makes all of them answer. A connection
// without an answer is not used again.
func (t *Transfer) awaitBroken(ctx context.Context) (control.Reply, error) {
	t.done = true
	t.release()
	t.guarded.Reset()
	t.conn.running.set(nil)
	waiting, stop := context.WithTimeoutCause(ctx, abortPatience, ErrTimeout)
	defer stop()
	reply, err := t.call.Wait(waiting)
	if err != nil {
		t.conn.kill()
	}
	return reply, err
}
