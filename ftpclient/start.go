package ftpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

type request struct {
	op, path, verb string
	named          bool   // path is the argument of the command
	argument       string // of the command, if that is not named
	offset         int64
	upload         bool
}

// Retrieve starts the download of the file p from offset on (REST, RETR).
func (c *Conn) Retrieve(ctx context.Context, p string, offset int64) (*Transfer, error) {
	return c.start(ctx, request{op: "retrieve", path: p, verb: "RETR", named: true, offset: offset})
}

// Store starts the upload of the file p (STOR), from offset on where the server does that
// (REST). An upload that ends early leaves a short file behind, and not every server says
// so: store under a temporary name, compare Size, then Rename.
//
// Servers empty the file before they have a data connection. In passive ways that is there before
// the command. In active ways it is not: what an upload makes that gets none is removed again, and
// where nobody can be sure of the way, a file that is there already is not replaced (ErrOverwrite).
func (c *Conn) Store(ctx context.Context, p string, offset int64) (*Transfer, error) {
	return c.start(ctx, request{op: "store", path: p, verb: "STOR", named: true, offset: offset, upload: true})
}

// Append starts an upload to the end of the file p (APPE), which is made if it is not there.
// Nothing tells the server where its end has to be: ResumeStore looks first.
func (c *Conn) Append(ctx context.Context, p string) (*Transfer, error) {
	return c.start(ctx, request{op: "append", path: p, verb: "APPE", named: true, upload: true})
}

func (c *Conn) start(ctx context.Context, r request) (*Transfer, error) {
	c.running.takeReady().Close()
	s := &search{conn: c, request: r}
	var pending data.Pending
	var way DataWay
	err := c.untilClosed(ctx, r.op, r.path, func(ctx context.Context) (err error) {
		pending, way, err = s.find(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.offset > 0 {
		reply, err := c.do(ctx, r.op, r.path, "REST", strconv.FormatInt(r.offset, 10))
		if err == nil && !reply.Intermediate() {
			err = c.refusal(r.op, r.path, "REST", reply)
		}
		if err != nil {
			pending.Close()
			return nil, err
		}
	}
	t, err := c.begin(ctx, r, s.command, pending, way, around{})
	if err != nil {
		c.doubt(way, t, err)
		if s.target == targetAbsent && t.leftEmpty(err) {
			c.takeBack(ctx, r)
		}
		return nil, err
	}
	if r.upload {
		c.learnTaken(r.path)
	}
	return t, nil
}

// begin starts a transfer by its command, and what goes around it, over a data connection that is ready. With an error the
// transfer tells no more than why the data connection did not open, if it did not, and what the answers in front of it were.
func (c *Conn) begin(ctx context.Context, r request, command control.Command, pending data.Pending, way DataWay, a around) (*Transfer, error) {
	t := &Transfer{conn: c, request: r, way: way, begun: time.Now(), size: -1, answers: a.heard}
	t.moved.begin(t.begun)
	if err := t.give(ctx, command, a); err != nil {
		pending.Close()
		return t, err
	}
	err := t.open(ctx, pending)
	if heard := t.hear(ctx); err == nil && heard != nil {
		t.abandon(ctx)
		err = heard
	}
	if err != nil && c.control.Err() == nil {
		t.catchUp(ctx) // its error is that of the connection, which shows
	}
	return t, err
}

// doubt notes that a way which was believed to work did not: the next transfer proves it anew if
// that is possible, and if it has not been so before in this session, or finds another.
func (c *Conn) doubt(way DataWay, t *Transfer, err error) {
	unopened := t.unopened != nil
	if !t.hadNoData(err) {
		return
	}
	if way.Method != data.Passive && c.doubted != way {
		c.doubted = way
		c.unprove(way)
		return
	}
	if unopened {
		c.unreachable = append(c.unreachable, data.Attempt{
			Way: way, Stage: data.StageOf(t.unopened), Took: time.Since(t.begun), Err: t.unopened,
		})
	}
	c.forgetWay(way)
}

// hadNoData reports whether a transfer whose begin ended with err had no data connection, through no fault of TLS.
func (t *Transfer) hadNoData(err error) bool {
	var e *Error
	return !isOfTLS(err) && (t.unopened != nil || errors.As(err, &e) && noConnection(e.Code))
}

func (c *Conn) transferCommand(ctx context.Context, r request) (control.Command, error) {
	if r.named {
		return c.pathCommand(ctx, r.op, r.path, r.verb, "")
	}
	command, err := control.NewCommand(r.verb, r.argument)
	if err != nil {
		return command, &Error{Op: r.op, Path: r.path, Err: err}
	}
	return command, nil
}

// firstReplyPatience is how long a handshake waits for the first reply, where it does.
const firstReplyPatience = 5 * time.Second

type opened struct {
	guarded *data.Guarded
	batch   *batch // nil without TLS
	stream  net.Conn
	err     error
}

// open gets the data connection going while the server's first reply is awaited: some
// servers say 150 only after the TLS handshake, others start the handshake only after 150,
// and a refusal instead of the 150 must end the handshake.
func (t *Transfer) open(ctx context.Context, pending data.Pending) error {
	c := t.conn
	if ready, ok := pending.(*ready); ok && c.tls == nil && t.sendsAtOnce() && ready.opens(ctx, t.call.Finished()) { // there is nothing to wait for
		return t.uses(ctx, c.openStream(ctx, pending, true))
	}
	// From the command on: a server may take long to get at the file before it goes on.
	opening, cancel := context.WithTimeoutCause(ctx, c.options.ReplyTimeout+2*c.options.ConnectTimeout, ErrTimeout)
	defer cancel()
	waiting, stop := context.WithTimeoutCause(ctx, c.options.ReplyTimeout+c.options.ConnectTimeout, ErrTimeout)
	defer stop()
	waiting, giveUp := context.WithCancel(waiting)
	defer giveUp()
	result := make(chan opened, 1)
	go func() {
		if c.facts.Server == "pyftpdlib" {
			// It closes a data connection on which the handshake begins before the command is
			// there; on two connections, nothing but a reply shows the order. One that says 150
			// only after the handshake is another server, whatever its greeting.
			early, stop := context.WithTimeout(opening, firstReplyPatience)
			t.call.Started(early) // its error is seen below, too
			stop()
		}
		o := c.openStream(opening, pending, t.request.upload)
		if o.err == nil && t.endsEarly() {
			t.endEarly(o)
		}
		if o.err != nil {
			patience := explainPatience // the server's reply may tell the reason
			if errors.Is(o.err, data.ErrNotCalled) {
				patience = markerPatience // it is still trying
			}
			time.AfterFunc(patience, giveUp)
		}
		result <- o
	}()
	abandon := func() error {
		cancel()
		pending.Close()
		o := <-result
		if o.guarded != nil {
			o.guarded.Reset()
		}
		return o.err
	}
	var first control.Reply
	var err error
	if !t.sendsAtOnce() {
		first, err = t.call.Started(waiting)
	}
	if err != nil {
		lost, expired := c.control.Err(), errors.Is(err, ErrTimeout)
		cause := abandon()
		if lost == nil && t.takesBack(ctx) {
			return &Error{Op: t.request.op, Path: t.request.path, Err: err}
		}
		c.kill()
		if lost == nil && !expired && control.Ended(ctx) == nil {
			t.unopened = cause // there was time enough for a reply
			return &Error{Op: t.request.op, Path: t.request.path, Err: cause}
		}
		return c.connectionError(t.request.op, t.request.path, err)
	}
	if first.Code >= 400 || first.Intermediate() {
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
		if !last.Completed() && !t.opensLate(first, last, result, &o) {
			refusal := c.refusal(t.request.op, t.request.path, t.request.verb, last)
			if t.request.op == "list" && first.Preliminary() {
				refusal.Err = errUnseen
			}
			if cause := abandon(); errors.Is(cause, ErrInsecure) || errors.Is(cause, ErrCertificate) {
				refusal.Err = cause // the server only tells that this side hung up
			} else if cause == nil {
				t.blameEarlyEnd()
			}
			c.dropSession(last)
			if t.request.offset > 0 {
				c.takeBackREST(ctx, t.request) // whether it still stands is not known
			}
			return refusal
		}
		if last.Completed() {
			o = <-result
		}
	}
	return t.uses(ctx, o)
}

// sendsAtOnce: what is there is sent before the first reply is, as that would take a round trip. Only where the server handles one command
// after the other: an asynchronous one may read the data and their end before the command, and then waits for a connection that was there.
func (t *Transfer) sendsAtOnce() bool { return t.around.stands == aheadWorks && t.request.upload }

// uses goes on with the data connection, or explains why there is none.
func (t *Transfer) uses(ctx context.Context, o opened) error {
	if o.err != nil {
		return t.explainOpen(ctx, o.err)
	}
	c := t.conn
	t.guarded, t.batch, t.stream = o.guarded, o.batch, o.stream
	if c.deflating {
		t.zlib = newZlibStream(o.stream, t.request.upload)
	}
	c.running.set(o.guarded)
	if secured, ok := o.stream.(*tls.Conn); ok {
		t.resumed = secured.ConnectionState().DidResume
	}
	t.watch(ctx)
	return nil
}

// errUnseen: a listing was refused after its beginning, and what came beside was not read.
var errUnseen = errors.New("the data connection did not open in time")

// opensLate waits a little for the data connection of a listing that was refused after its
// beginning: some servers refuse to list nothing, and only the data tell that it was nothing.
func (t *Transfer) opensLate(first, last control.Reply, result chan opened, o *opened) bool {
	if t.request.op != "list" || !first.Preliminary() || noConnection(last.Code) {
		return false
	}
	patience := time.NewTimer(drainPatience)
	defer patience.Stop()
	select {
	case late := <-result:
		if *o = late; late.err == nil {
			return true
		}
		result <- *o
	case <-patience.C:
	}
	return false
}

// watch resets the data connection when ctx ends, and when the server refuses the rest of
// the transfer: it may have stopped to read without closing. A control connection that is
// merely lost ends nothing: the data may well come through.
func (t *Transfer) watch(ctx context.Context) {
	stop, ended := make(chan struct{}), make(chan struct{})
	beat, stopBeats := t.conn.options.beats()
	if len(t.behind) > 0 {
		stopBeats()
		beat = nil // their answers are enough to wait for
	}
	beating, stopBeating := ctx, func() {}
	if beat != nil {
		beating, stopBeating = context.WithCancel(ctx)
	}
	go func() {
		defer close(ended)
		defer stopBeats()
		finished := t.call.Finished()
		var patience <-chan time.Time
		for {
			select {
			case <-patience:
				t.guarded.Reset()
				return
			case <-stop:
				return
			case <-ctx.Done():
				t.guarded.Reset()
				return
			case <-beat:
				t.beat(beating)
			case <-finished:
				beat = nil
				reply, err := t.call.Wait(ctx)
				if err == nil && !reply.Completed() && t.request.op == "list" {
					finished, patience = nil, time.After(drainPatience) // what came before counts
					continue
				}
				if err == nil && !reply.Completed() || t.request.upload && errors.Is(err, ErrClosing) && !t.ending.Load() {
					t.guarded.Reset()
					return
				}
				finished = nil
			}
		}
	}()
	var once sync.Once
	t.release = func() error {
		once.Do(func() {
			stopBeating()
			close(stop)
		})
		<-ended
		return control.Ended(ctx)
	}
}

func (c *Conn) openStream(ctx context.Context, pending data.Pending, upload bool) opened {
	conn, err := pending.Open(ctx)
	if err != nil {
		pending.Close()
		return opened{err: err}
	}
	data.LimitSilence(conn, c.options.StallTimeout+c.options.FinalReplyTimeout)
	guarded := data.Guard(conn, c.options.StallTimeout)
	if c.tls == nil {
		c.pace(guarded)
		return opened{guarded: guarded, stream: guarded}
	}
	batch := c.batch(guarded, upload)
	secured := tls.Client(batch, c.tls)
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
	// Not before: a handshake has its time, and a limiter that many connections share may be
	// in debt for longer.
	c.pace(guarded)
	return opened{guarded: guarded, batch: batch, stream: secured}
}

// refused turns the refusal of a transfer command into an error, and takes back a REST that
// some servers would apply to the next transfer.
func (c *Conn) refused(ctx context.Context, r request, reply control.Reply) error {
	refusal := c.refusal(r.op, r.path, r.verb, reply)
	c.dropSession(reply)
	if r.offset > 0 {
		c.takeBackREST(ctx, r)
	}
	return refusal
}

// takeBackREST ends a REST that was not used up and would stand for the next transfer. A
// connection whose server does not take it back is given up.
func (c *Conn) takeBackREST(ctx context.Context, r request) {
	if !c.Usable() {
		return
	}
	reply, err := c.do(ctx, r.op, r.path, "REST", "0")
	if err != nil || !reply.Intermediate() { // an error may also be that of a ctx that ended before
		c.kill()
	}
}

// takesBack ends a transfer that was interrupted before its data connection was there, and reports whether the control connection is in
// step. A REST that may still stand is not worth it.
func (t *Transfer) takesBack(ctx context.Context) bool {
	if t.request.offset > 0 || !errors.Is(context.Cause(ctx), ErrInterrupted) {
		return false
	}
	waiting, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), abortPatience, ErrTimeout)
	defer stop()
	return t.resynchronise(waiting)
}

// explainOpen reads the server's verdict on a data connection that did not come to be; it
// tells the reason more often than the network error does.
func (t *Transfer) explainOpen(ctx context.Context, cause error) error {
	c := t.conn
	e := &Error{Op: t.request.op, Path: t.request.path, Err: cause}
	if ctx.Err() != nil {
		if !t.takesBack(ctx) {
			c.kill()
		}
		e.Err = control.Ended(ctx)
		return e
	}
	t.unopened = cause
	waiting, stop := context.WithTimeoutCause(ctx, abortPatience, ErrTimeout)
	defer stop()
	reply, err := t.call.Wait(waiting)
	if err != nil {
		c.kill()
		return e
	}
	if first, err := t.call.Started(waiting); err == nil && refusesFile(first) && !isOfTLS(cause) {
		t.unopened = nil // the server had no use for a data connection
		return c.refused(ctx, t.request, first)
	}
	if reply.Code >= 400 {
		e.Code, e.Text = reply.Code, shorten(reply.Text())
		if refusal := c.refusal("", "", "", reply); refusal.Err != nil {
			e.Err = fmt.Errorf("%w: %w", refusal.Err, cause)
		}
	}
	c.dropSession(reply)
	if t.request.offset > 0 {
		c.takeBackREST(ctx, t.request) // whether it still stands is not known
	}
	return e
}

// refusesFile reports whether a first reply is about the file (RFC 959 section 4.2: x5z), and not about the data connection.
func refusesFile(reply control.Reply) bool { return reply.Code >= 400 && reply.Code/10%10 == 5 }

// dropSession gives up a connection whose TLS session the server does not let data
// connections resume (any more): an expired ticket or a restarted server. Only a new control
// connection gets a new session. FileZilla Server, ProFTPD: 425; vsftpd: 522.
func (c *Conn) dropSession(reply control.Reply) {
	if c.tls != nil && (reply.Code == 425 || reply.Code == 522 || notResumed(reply.Code, reply.Text(), true, c.facts.Server)) {
		c.kill()
	}
}
