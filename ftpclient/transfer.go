package ftpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
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

type request struct {
	op, path       string
	verb, argument string
	offset         int64
	upload         bool
}

// Retrieve starts the download of the file p from offset on (REST, RETR).
func (c *Conn) Retrieve(ctx context.Context, p string, offset int64) (*Transfer, error) {
	return c.start(ctx, request{op: "retrieve", path: p, verb: "RETR", argument: p, offset: offset})
}

// Store starts the upload of the file p (STOR), from offset on where the server does that
// (REST). An upload that ends early leaves a short file behind, and not every server says
// so: store under a temporary name, compare Size, then Rename.
func (c *Conn) Store(ctx context.Context, p string, offset int64) (*Transfer, error) {
	return c.start(ctx, request{op: "store", path: p, verb: "STOR", argument: p, offset: offset, upload: true})
}

func (c *Conn) start(ctx context.Context, r request) (*Transfer, error) {
	command, err := control.NewCommand(r.verb, r.argument)
	if err != nil {
		return nil, &Error{Op: r.op, Path: r.path, Err: err}
	}
	pending, mode, err := c.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.offset > 0 {
		reply, err := c.do(ctx, r.op, r.path, "REST", strconv.FormatInt(r.offset, 10))
		if err == nil && !reply.Intermediate() {
			err = replyError(r.op, r.path, reply)
		}
		if err != nil {
			pending.Close()
			return nil, err
		}
	}
	call, err := c.control.Send(command.As(control.Transfer))
	if err != nil {
		pending.Close()
		return nil, c.connectionError(r.op, r.path, err)
	}
	t := &Transfer{conn: c, request: r, call: call, mode: mode, begun: time.Now()}
	if err := t.open(ctx, pending); err != nil {
		return nil, err
	}
	return t, nil
}

// prepare gets a data connection ready, by the first mode that works.
func (c *Conn) prepare(ctx context.Context, r request) (data.Pending, Mode, error) {
	tried := append([]data.Attempt(nil), c.unreachable...)
	env := data.Env{
		Policy:          c.options.Data.Policy,
		Server:          c.endpoint.Server,
		ActiveReachable: c.options.Data.ActivePorts.First > 0,
		EPSVRefused:     c.facts.EPSVRefused,
	}
	for _, mode := range []Mode{EPSV, PASV, EPRT, PORT} {
		if mode.String() == c.facts.DataMode {
			env.Remembered = mode
		}
	}
	ask := func(ctx context.Context, verb, argument string) (control.Reply, error) {
		return c.do(ctx, r.op, r.path, verb, argument)
	}
	for {
		mode, ok := data.Next(env, tried)
		if !ok {
			c.unreachable = nil // it may have been a bad moment: the next transfer starts over
			return nil, 0, &Error{Op: r.op, Path: r.path, Err: &DataError{Attempts: tried}}
		}
		began := time.Now()
		pending, err := data.Prepare(ctx, mode, c.endpoint, ask, c.options.dataOptions())
		if err == nil {
			return pending, mode, nil
		}
		var e *Error
		if data.Fatal(err) && errors.As(err, &e) {
			return nil, 0, e
		}
		if cause := control.Ended(ctx); cause != nil {
			return nil, 0, &Error{Op: r.op, Path: r.path, Err: cause}
		}
		attempt := data.Attempt{Mode: mode, Stage: data.Unreachable, Took: time.Since(began), Err: err}
		var refusal *data.ReplyError
		if errors.As(err, &refusal) {
			if refusal.Reply.Code == 530 { // the login is lost, which is no matter of modes
				return nil, 0, replyError(r.op, r.path, refusal.Reply)
			}
			attempt.Stage = data.Refused
			c.facts.EPSVRefused = c.facts.EPSVRefused || mode == EPSV && refusal.Reply.Code >= 500
		} else {
			c.unreachable = append(c.unreachable, attempt)
		}
		tried = append(tried, attempt)
	}
}

type opened struct {
	guarded *data.Guarded
	stream  net.Conn
	err     error
}

// open gets the data connection going while the server's first reply is awaited: some
// servers say 150 only after the TLS handshake, others start the handshake only after 150,
// and a refusal instead of the 150 must end the handshake.
func (t *Transfer) open(ctx context.Context, pending data.Pending) error {
	c := t.conn
	opening, cancel := context.WithTimeoutCause(ctx, 2*c.options.ConnectTimeout, ErrTimeout)
	defer cancel()
	result := make(chan opened, 1)
	go func() { result <- c.openStream(opening, pending) }()
	abandon := func() {
		cancel()
		pending.Close()
		if o := <-result; o.guarded != nil {
			o.guarded.Reset()
		}
	}
	waiting, stop := context.WithTimeoutCause(ctx, c.options.ReplyTimeout+c.options.ConnectTimeout, ErrTimeout)
	defer stop()
	first, err := t.call.Started(waiting)
	if err != nil {
		abandon()
		c.kill()
		return c.connectionError(t.request.op, t.request.path, err)
	}
	if !first.Preliminary() && !first.Completed() {
		abandon()
		return c.refused(ctx, t.request, first)
	}
	var o opened
	select {
	case o = <-result:
	case <-t.call.Finished():
		// The final reply before the data connection is there.
		last, err := t.call.Wait(ctx)
		if err != nil {
			abandon()
			c.kill()
			return c.connectionError(t.request.op, t.request.path, err)
		}
		if !last.Completed() {
			abandon()
			c.dropSession(last)
			return replyError(t.request.op, t.request.path, last)
		}
		o = <-result
	}
	if o.err != nil {
		return t.explainOpen(ctx, o.err)
	}
	t.guarded, t.stream = o.guarded, o.stream
	c.running.set(o.guarded)
	if secured, ok := o.stream.(*tls.Conn); ok {
		t.resumed = secured.ConnectionState().DidResume
	}
	stopWatch := context.AfterFunc(ctx, t.guarded.Reset)
	t.release = func() error {
		stopWatch()
		return control.Ended(ctx)
	}
	return nil
}

func (c *Conn) openStream(ctx context.Context, pending data.Pending) opened {
	conn, err := pending.Open(ctx)
	if err != nil {
		pending.Close()
		return opened{err: err}
	}
	guarded := data.Guard(conn, c.options.StallTimeout)
	if c.tls == nil {
		return opened{guarded: guarded, stream: guarded}
	}
	secured := tls.Client(guarded, c.tls)
	// Explicitly, because a file without bytes would never start it.
	if err := secured.HandshakeContext(ctx); err != nil {
		guarded.Reset()
		if cause := control.Ended(ctx); cause != nil {
			err = cause
		}
		return opened{err: fmt.Errorf("TLS on the data connection: %w", explainTLS(err))}
	}
	certificates := secured.ConnectionState().PeerCertificates
	if len(certificates) > 0 && !bytes.Equal(certificates[0].Raw, c.leaf) {
		guarded.Reset()
		return opened{err: fmt.Errorf("%w: data and control connection show different certificates", ErrInsecure)}
	}
	return opened{guarded: guarded, stream: secured}
}

// refused turns the refusal of a transfer command into an error, and takes back a REST that
// some servers would apply to the next transfer.
func (c *Conn) refused(ctx context.Context, r request, reply control.Reply) error {
	refusal := replyError(r.op, r.path, reply)
	c.dropSession(reply)
	if r.offset > 0 && c.Usable() {
		if _, err := c.do(ctx, r.op, r.path, "REST", "0"); err != nil {
			return errors.Join(refusal, err)
		}
	}
	return refusal
}

// explainOpen reads the server's verdict on a data connection that did not come to be; it
// tells the reason more often than the network error does.
func (t *Transfer) explainOpen(ctx context.Context, cause error) error {
	c := t.conn
	e := &Error{Op: t.request.op, Path: t.request.path, Err: cause}
	if ctx.Err() != nil {
		c.kill()
		e.Err = control.Ended(ctx)
		return e
	}
	c.unreachable = append(c.unreachable, data.Attempt{Mode: t.mode, Stage: data.Unreachable, Took: time.Since(t.begun), Err: cause})
	waiting, stop := context.WithTimeoutCause(ctx, abortPatience, ErrTimeout)
	defer stop()
	reply, err := t.call.Wait(waiting)
	if err != nil {
		c.kill()
		return e
	}
	if reply.Code >= 400 {
		e.Code, e.Text = reply.Code, shorten(reply.Text())
	}
	c.dropSession(reply)
	if t.request.offset > 0 {
		c.kill() // whether the REST still stands is not known
	}
	return e
}

// dropSession gives up a connection whose TLS session the server does not let data
// connections resume (any more): an expired ticket or a restarted server. Only a new control
// connection gets a new session. FileZilla Server, ProFTPD: 425; vsftpd: 522.
func (c *Conn) dropSession(reply control.Reply) {
	if c.tls != nil && (reply.Code == 425 || reply.Code == 522) {
		c.kill()
	}
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
		return Result{}, replyError(t.request.op, t.request.path, reply)
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
