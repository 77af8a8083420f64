package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sendPatience bounds the writing of one command. A server that takes no more bytes than
// fit into the buffers on the way does not read.
const sendPatience = 30 * time.Second

// ErrNotSent is wrapped by the errors of commands that the server cannot have got whole, so
// that it has not carried them out. Errors without it leave that open.
var ErrNotSent = errors.New("the command was not sent")

// ErrUnanswered is the error of an ABOR that has no reply of its own: the server answered it
// together with the transfer that it ended. The connection is in step.
var ErrUnanswered = errors.New("answered together with the transfer")

// Conn is a control connection after its greeting. One goroutine, owned by the Conn, reads
// replies. Its methods are safe for concurrent use.
type Conn struct {
	nc     net.Conn
	br     *bufio.Reader
	logger *slog.Logger
	logs   atomic.Bool   // whether the logger takes what commands and replies say, as of the last command
	done   chan struct{} // closed when the reader has ended

	sending sync.Mutex // held over noting and writing a command, so that both have one order
	lines   []byte     // those that are written; guarded by sending

	mu sync.Mutex // guards following
	// matcher and calls know the same commands: a call leaves when its final reply is in.
	matcher Matcher
	calls   map[uint64]*Call
	last    uint64
	replies uint64 // final ones, so far
	err     error  // why the connection is dead
}

// New takes over nc, whose greeting (and TLS negotiation) is done and from which br has
// been reading, and starts the reader. Close ends it and waits for it.
func New(nc net.Conn, br *bufio.Reader, logger *slog.Logger) *Conn {
	c := &Conn{nc: nc, br: br, logger: logger, done: make(chan struct{}), calls: make(map[uint64]*Call)}
	c.logs.Store(true)
	go c.read()
	return c
}

func (c *Conn) read() {
	defer close(c.done)
	for {
		reply, err := ReadReply(c.br)
		if err != nil {
			if len(c.secrets()) > 0 && errors.Is(err, ErrProtocol) {
				// It quotes the line, and what stands there may be an echo of the password.
				err = fmt.Errorf("%w: no reply to a command that is secret", ErrProtocol)
			}
			c.fail(fmt.Errorf("control connection: %w", err))
			return
		}
		if c.logs.Load() {
			c.logger.Debug("reply", "code", reply.Code, "text", maskAll(reply.Text(), c.secrets()))
		}
		if err := c.deliver(reply); err != nil {
			c.fail(err)
			return
		}
	}
}

func (c *Conn) deliver(reply Reply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	d, err := c.matcher.Deliver(reply)
	if err != nil {
		return err
	}
	if d.Unanswered {
		c.calls[d.Without].fail(ErrUnanswered)
		delete(c.calls, d.Without)
	}
	call := c.calls[d.Command]
	if d.Final {
		delete(c.calls, d.Command)
		c.replies++
		call.order = c.replies
	}
	call.deliver(d.Reply, d.Final)
	return nil
}

// secrets are the arguments of commands on their way that must not be logged.
func (c *Conn) secrets() (secrets []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		if call.secret != "" {
			secrets = append(secrets, call.secret)
		}
	}
	return secrets
}

// maskAll is Mask for many secrets, of which one may be a part of another one.
func maskAll(text string, secrets []string) string {
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		text = Mask(text, secret)
	}
	return text
}

// Mask hides a secret in a text: servers repeat what they do not understand. Secrets of a
// few characters stay, since hiding those would tell them ("***word").
func Mask(text, secret string) string {
	if len(secret) < 4 {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}

// fail closes the connection for good and tells everybody who waits. The first reason wins.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.nc.Close()
	for id, call := range c.calls {
		delete(c.calls, id)
		call.fail(c.err)
	}
}

// Err returns why the connection is dead, nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done is closed when no more replies will come.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Idle reports whether every command has been answered and the connection lives.
func (c *Conn) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil && c.matcher.Owed() == 0
}

// Close ends the connection and waits for the reader.
func (c *Conn) Close() error {
	c.fail(net.ErrClosed)
	<-c.done
	return nil
}

// Quit says QUIT if every command has been answered, waits for the answer for as long as
// patience, and closes the connection.
func (c *Conn) Quit(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	if c.Idle() && c.sending.TryLock() {
		calls, err := c.send([]Command{{verb: "QUIT"}}, deadline, c.nc.Write)
		c.sending.Unlock()
		if err == nil {
			select {
			case <-calls[0].Finished():
			case <-time.After(time.Until(deadline)):
			}
		}
	}
	return c.Close()
}

// Send writes a command in one piece and does not wait for a reply.
func (c *Conn) Send(ctx context.Context, command Command) (*Call, error) {
	calls, err := c.SendGroup(ctx, []Command{command})
	if err != nil {
		return nil, err
	}
	return calls[0], nil
}

// SendGroup writes commands in one piece, and does not wait for replies. Each has a call of
// its own. With an error there are no calls and the connection is dead; unless the error
// wraps ErrNotSent, the server may have got the first ones. The end of ctx ends the writing.
//
// Only commands whose replies do not decide about the next one belong into a group. Behind a transfer command that is so
// only with servers which read nothing before the transfer has ended.
func (c *Conn) SendGroup(ctx context.Context, commands []Command) ([]*Call, error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.logs.Store(c.logger.Enabled(ctx, slog.LevelDebug))
	return c.send(commands, time.Now().Add(sendPatience), func(lines []byte) (int, error) { return c.writeUntil(ctx, lines) })
}

// send is SendGroup, with sending locked. It writes by write and gives up at the deadline.
func (c *Conn) send(commands []Command, deadline time.Time, write func([]byte) (int, error)) ([]*Call, error) {
	calls, first, err := c.note(commands)
	if err != nil {
		return nil, err
	}
	logs := c.logs.Load()
	c.lines = c.lines[:0]
	for _, command := range commands {
		if logs {
			c.logger.Debug("command", "line", command.String())
		}
		c.lines = command.appendTo(c.lines)
	}
	written := 0
	err = c.nc.SetWriteDeadline(deadline)
	if err == nil {
		written, err = write(c.lines)
	}
	if err != nil {
		whole := c.unsent(commands, first, written)
		// The reply that explains the failure (421, most often) may already be on its way
		// to the reader, so the reader's reason comes first if it has one.
		c.fail(fmt.Errorf("control connection: %w", err))
		err = c.Err()
		if whole == 0 {
			err = fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		return nil, err
	}
	return calls, nil
}

// writeUntil writes lines until ctx ends. A write that is cut short leaves the connection
// unusable.
func (c *Conn) writeUntil(ctx context.Context, lines []byte) (int, error) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		c.nc.SetWriteDeadline(time.Unix(1, 0)) // its error shows in the write
	})
	n, err := c.nc.Write(lines)
	if !stop() {
		<-interrupted // else it could end the write of the next command
		if err != nil {
			err = fmt.Errorf("%w: %w", Ended(ctx), err)
		}
	}
	return n, err
}

// note enters commands before they are written, because replies may come during that.
func (c *Conn) note(commands []Command) (calls []*Call, first uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrNotSent, c.err)
	}
	first = c.last + 1
	made := make([]Call, len(commands))
	calls = make([]*Call, len(commands))
	for i, command := range commands {
		c.last++
		call := &made[i]
		call.finished = make(chan struct{})
		if command.role == Transfer {
			call.started = make(chan struct{})
		}
		if command.secret {
			call.secret = command.argument
		}
		c.matcher.Push(c.last, command)
		c.calls[c.last] = call
		calls[i] = call
	}
	return calls, first, nil
}

// unsent marks the commands whose lines were not written to the end, and returns how many
// were.
func (c *Conn) unsent(commands []Command, first uint64, written int) (whole int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, command := range commands {
		if written -= command.Len(); written >= 0 {
			whole++
		} else if call := c.calls[first+uint64(i)]; call != nil {
			call.unsent = true
		}
	}
	return whole
}

// Call is a command on its way. Waiting twice is allowed and gives the same answer.
type Call struct {
	started  chan struct{} // closed at the first reply of any kind; nil where the role is another one than Transfer
	finished chan struct{} // closed at the final reply, or when there will be none
	first    Reply
	final    Reply
	err      error
	secret   string // what logs must not show of its reply
	unsent   bool   // its line was not written to the end
	order    uint64 // of the final reply among all
}

// deliver and fail are called by one goroutine at a time, under Conn.mu.
func (call *Call) deliver(r Reply, final bool) {
	if call.first.Code == 0 {
		call.first = r
		if call.started != nil {
			close(call.started)
		}
	}
	if final {
		call.final = r
		close(call.finished)
	}
}

func (call *Call) fail(err error) {
	if call.unsent {
		err = fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	call.err = err
	close(call.finished)
}

// Started waits for the first reply, preliminary or final, to a Transfer; to others for the final one. When ctx ends first the
// command stays owed its reply: the caller has to give up the connection.
func (call *Call) Started(ctx context.Context) (Reply, error) {
	select {
	case <-call.started:
		return call.first, nil
	default:
	}
	select {
	case <-call.started:
		return call.first, nil
	case <-call.finished:
		if call.first.Code != 0 {
			return call.first, nil
		}
		return Reply{}, call.err
	case <-ctx.Done():
		return Reply{}, Ended(ctx)
	}
}

// Ended returns why ctx has ended, nil if it has not. Unlike context.Cause alone, the error
// tells an end by cancelling, too, where the canceller gave a reason of its own.
func Ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(ctx.Err(), context.Canceled) && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("%w: %w", context.Canceled, cause)
	}
	return cause
}

// Wait waits for the final reply. As with Started, a ctx that ends first makes the
// connection unusable.
func (call *Call) Wait(ctx context.Context) (Reply, error) { return call.wait(ctx, nil, nil) }

// WaitFor is Wait that ends with the error late when patience is over. To Wait with a context for that costs much more.
func (call *Call) WaitFor(ctx context.Context, patience time.Duration, late error) (Reply, error) {
	select {
	case <-call.finished:
		return call.final, call.err
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	return call.wait(ctx, timer.C, late)
}

func (call *Call) wait(ctx context.Context, expired <-chan time.Time, late error) (Reply, error) {
	select {
	case <-call.finished:
		return call.final, call.err
	default:
	}
	select {
	case <-call.finished:
		return call.final, call.err
	case <-ctx.Done():
		return Reply{}, Ended(ctx)
	case <-expired:
		return Reply{}, late
	}
}

// Preceded reports whether the final reply to this command came before that to other. Both must have had it.
func (call *Call) Preceded(other *Call) bool { return call.order < other.order }

// Finished is closed when the final reply is in or will never come.
func (call *Call) Finished() <-chan struct{} { return call.finished }
