package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Conn is one logged-in session. It does one thing at a time: its methods, and those of the
// Transfer it hands out, must not be called by two goroutines at once. Only Close may be
// called from anywhere; it ends whatever is going on.
type Conn struct {
	options  Options
	address  string
	control  *control.Conn
	endpoint data.Endpoints
	opened   time.Time
	tls      *tls.Config
	leaf     []byte
	session  *tlsSession
	features Features
	system   string // answer to SYST, "" where nobody asked
	utf8     bool   // the server lists UTF8 or has agreed to OPTS UTF8 ON
	facts    Facts
	wishes   wishes
	naming   naming
	// unreachable are ways whose connection did not come to be in this session although
	// the server agreed.
	unreachable  []data.Attempt
	last         control.Reply // to the last command that was not one of a group
	outlook      outlook
	proven       []proof // active ways that were seen to work on this control connection
	loginTook    time.Duration
	connectTook  time.Duration
	turn         time.Duration // the shortest from a command to its reply
	doubted      DataWay       // an active way that failed after its proof
	probing      bool          // ways are tried to know, not to use them: nothing is remembered
	listingLimit int64         // bytes in one listing

	buffer             []byte        // for copying, nil before the first use
	batchBuffer        []byte        // below TLS, the same
	uploads, downloads *rate.Limiter // of this connection alone, nil without a limit
	noSplice           bool          // a file could not be spliced to
	noEarlyEnd         bool          // a download of which this side had ended was not brought to its end
	deflating          bool          // the server is in MODE Z
	hashing            Algorithm     // of HASH, "" before it was chosen
	failedSetter       bool          // of times, in a Batch
	sizeIsVague        bool          // its refusal of a missing file does not prove that it is missing

	running running // what Close has to end
}

// running is what goes on and has to end with the Conn: the data connection in use, and the
// looking for one.
type running struct {
	mu      sync.Mutex // guards following, and the writing of Conn.control
	guarded *data.Guarded
	ready   *ready // for the next transfer
	cancel  context.CancelFunc
	closed  bool
}

// within returns a ctx that ends when the Conn is closed, too. done must be called.
func (r *running) within(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel = cancel; r.closed {
		cancel()
	}
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.cancel = nil
		cancel()
	}
}

// untilClosed carries out act with a ctx that ends when the Conn is closed, too.
func (c *Conn) untilClosed(ctx context.Context, op, p string, act func(context.Context) error) error {
	inner, done := c.running.within(ctx)
	defer done()
	err := act(inner)
	if err != nil && c.running.ended() && control.Ended(ctx) == nil {
		return &Error{Op: op, Path: p, Err: fmt.Errorf("%w: %w", ErrNotSent, net.ErrClosed)}
	}
	return err
}

// ended reports whether the Conn is closed.
func (r *running) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// set notes a new data connection (or nil), and resets it if the Conn is closed already.
func (r *running) set(guarded *data.Guarded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guarded = guarded
	if r.closed && guarded != nil {
		guarded.Reset()
	}
}

func (r *running) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.guarded != nil {
		r.guarded.Reset()
	}
	if r.cancel != nil {
		r.cancel()
	}
	if r.ready != nil {
		r.ready.cancel()
	}
}

// Features returns what the server listed in FEAT after the login.
func (c *Conn) Features() Features { return c.features }

// Opened is when the session began.
func (c *Conn) Opened() time.Time { return c.opened }

// Facts returns what is known about the server by now.
func (c *Conn) Facts() Facts { return c.facts }

// LearnNoDotNames notes that the server refuses names with a leading dot.
func (c *Conn) LearnNoDotNames() { c.facts.NoDotNames = true }

// LearnNoSegments notes that parts of one file that came over several connections did not fit together.
func (c *Conn) LearnNoSegments() {
	c.facts.NoSegments, c.facts.SegmentsLearned = true, time.Now().Unix()
}

// TakesSegments reports whether parts of one file may be asked for over several connections: unless LearnNoSegments was called in the
// last 24 hours.
func (c *Conn) TakesSegments() bool {
	return !c.facts.NoSegments || outdated(c.facts.SegmentsLearned)
}

// Turn is how soon the server has answered a command, at best: about the round trip time of the line. 0 before the first one that was
// sent alone.
func (c *Conn) Turn() time.Duration { return c.turn }

// LearnRenameOver notes what Rename was seen to do where a file had the new name:
// RenameReplaces or RenameRefuses. Rename itself does not know whether there was one.
func (c *Conn) LearnRenameOver(what string) { c.facts.RenameOver = what }

// Usable reports whether the connection lives and owes nobody a reply. While no transfer is
// going on, a connection that is not usable stays so.
func (c *Conn) Usable() bool { return c.control.Idle() }

// Close says QUIT when that is possible, closes the connection and waits until all of its
// goroutines are gone, a second at most. A transfer that is going on is reset.
func (c *Conn) Close() error {
	c.running.close()
	c.running.mu.Lock()
	connection := c.control // the last one: reconnect puts no other in its place from now on
	c.running.mu.Unlock()
	err := connection.Quit(quitPatience)
	c.running.takeReady().Close()
	return err
}

// ended reports whether the Conn is closed, or its connection is lost. Other than Usable it may be called by anybody at any time.
func (c *Conn) ended() bool {
	c.running.mu.Lock()
	defer c.running.mu.Unlock()
	return c.running.closed || c.control.Err() != nil
}

// kill gives the connection up: the reply to some command is not going to be read.
func (c *Conn) kill() { c.control.Close() }

// do sends a command and waits for its final reply, whatever its code. Errors are *Error,
// and mean that the connection is dead, unless they wrap ErrUnsendable.
func (c *Conn) do(ctx context.Context, op, p, verb, argument string) (control.Reply, error) {
	command, err := control.NewCommand(verb, argument)
	if err != nil {
		return control.Reply{}, &Error{Op: op, Path: p, Err: err}
	}
	return c.doCommand(ctx, op, p, command)
}

func (c *Conn) doSecret(ctx context.Context, op, verb, argument string) (control.Reply, error) {
	command, err := control.NewCommand(verb, argument)
	if err != nil {
		return control.Reply{}, &Error{Op: op, Err: fmt.Errorf("%w: the argument of %s holds a line end or is too long", ErrUnsendable, verb)}
	}
	return c.doCommand(ctx, op, "", command.Secret())
}

func (c *Conn) doCommand(ctx context.Context, op, p string, command control.Command) (control.Reply, error) {
	return c.doPatiently(ctx, op, p, command, c.options.ReplyTimeout)
}

// doPatiently is doCommand for a command that the server may work on for long.
func (c *Conn) doPatiently(ctx context.Context, op, p string, command control.Command, patience time.Duration) (control.Reply, error) {
	if command.Len() > c.options.CommandLimit {
		err := fmt.Errorf("%w: command of %d bytes, the limit is %d", ErrUnsendable, command.Len(), c.options.CommandLimit)
		return control.Reply{}, &Error{Op: op, Path: p, Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrTimeout)
	defer cancel()
	if err := c.free(ctx); err != nil {
		return control.Reply{}, &Error{Op: op, Path: p, Err: err}
	}
	var reply control.Reply
	began := time.Now()
	call, err := c.control.Send(ctx, command)
	if err == nil {
		reply, err = await(ctx, call, patience)
	}
	if err != nil {
		c.kill()
		return control.Reply{}, c.connectionError(op, p, err)
	}
	c.last = reply
	if took := time.Since(began); c.turn == 0 || took < c.turn {
		c.turn = took
	}
	return reply, nil
}

// await waits for the final reply to a command that was sent alone or in a group, for as long as patience. A ctx that is interrupted does not cost the
// connection if the reply comes soon: then that is what counts, and the next command is not sent.
func await(ctx context.Context, call *control.Call, patience time.Duration) (control.Reply, error) {
	reply, err := call.WaitFor(ctx, patience, ErrTimeout)
	if errors.Is(err, ErrInterrupted) {
		waiting, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), abortPatience, context.Cause(ctx))
		defer stop()
		reply, err = call.Wait(waiting)
	}
	return reply, err
}

// LastReply is what the server said last to a command that was sent alone, as code and text, "" if there was none: for accounts
// of what was done. What it means was told by the error of that method.
func (c *Conn) LastReply() string { return shown(c.last) }

func shown(reply control.Reply) string {
	if reply.Code == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", reply.Code, reply.Text())
}

// free tells why no command may be sent now. What is sent behind a transfer command is answered
// before the transfer, behind it, or never, and pyftpdlib loses the 226 over it.
func (c *Conn) free(ctx context.Context) error {
	if !c.control.Idle() && c.control.Err() == nil {
		return ErrTransferring
	}
	return control.Ended(ctx)
}

// connectionError turns the end of the connection into an *Error; a 421 keeps its code, so
// that its text can be read for its cause.
func (c *Conn) connectionError(op, p string, err error) *Error {
	var closing *control.ClosingError
	if errors.As(err, &closing) {
		e := c.refusal(op, p, "", closing.Reply)
		if e.Err != nil {
			e.Err = fmt.Errorf("%w: %w", ErrClosing, e.Err)
		} else {
			e.Err = ErrClosing
		}
		return e
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		// vsftpd tells its last words ("500 OOPS") in clear text.
		err = fmt.Errorf("%w: clear text %q in the protected connection: %w", ErrProtocol, record.RecordHeader[:], err)
	}
	return &Error{Op: op, Path: p, Err: c.session.explain(op, err)}
}

// refusal is the error of a reply that is not the one hoped for.
func (c *Conn) refusal(op, p, verb string, reply control.Reply) *Error {
	if op == "login" {
		reply = c.masked(reply)
	}
	e := replyError(op, p, verb, reply)
	e.Server = c.facts.Server
	if op == "login" && c.tls == nil && Classify(e) == ClassSetup {
		e.Err = fmt.Errorf(`%w: the server demands TLS; use tls = "explicit"`, ErrInsecure)
	}
	if notResumed(reply.Code, reply.Text(), c.session != nil, e.Server) {
		e.Err = c.session.refusal(time.Now())
	}
	return e
}

// require is do with a 2yz reply demanded.
func (c *Conn) require(ctx context.Context, op, p, verb, argument string) (control.Reply, error) {
	reply, err := c.do(ctx, op, p, verb, argument)
	if err != nil {
		return reply, err
	}
	if !reply.Completed() {
		return reply, c.refusal(op, p, verb, reply)
	}
	return reply, nil
}

// Noop asks the server whether it is still there.
func (c *Conn) Noop(ctx context.Context) error {
	_, err := c.require(ctx, "noop", "", "NOOP", "")
	return err
}

// quitPatience is how long Close waits for the answer to QUIT: a courtesy, no more.
const quitPatience = time.Second
