package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// What Facts.Ahead says, apart from "".
const (
	aheadWorks    = "yes"
	aheadPairs    = "pair"
	aheadDoubtful = "doubtful"
	aheadFails    = "no"
)

// retryLearned is after how long it is doubted what was learned against something that makes transfers faster: servers are replaced,
// networks change.
const retryLearned = 24 * time.Hour

// outdated reports whether that time is over since learned, in seconds of Unix time, or learned is yet to come: the clock was wrong.
func outdated(learned int64) bool {
	age := time.Since(time.Unix(learned, 0))
	return age < 0 || age > retryLearned
}

// StoreAhead is Do of before, then Store of the whole file p, for one of many small files: Result.Size tells what SIZE says of it
// afterwards. more says that another such transfer follows at once. On servers that are known to stand it all that takes two round
// trips: before and the questions behind the transfer go in the write of its command, and the next data connection opens while this file is
// confirmed.
//
// What is stored must be under a name that nobody misses: the command is given before the data connection is there. The answers of
// before count when StoreAhead returns, also with an error; those that are ErrUnanswered still, when Finish does.
func (c *Conn) StoreAhead(ctx context.Context, before *Batch, p string, more bool) (*Transfer, error) {
	return c.startAhead(ctx, before, request{op: "store", path: p, verb: "STOR", named: true, upload: true}, more)
}

// RetrieveAhead is the same for Retrieve.
func (c *Conn) RetrieveAhead(ctx context.Context, before *Batch, p string, more bool) (*Transfer, error) {
	return c.startAhead(ctx, before, request{op: "retrieve", path: p, verb: "RETR", named: true}, more)
}

func (c *Conn) startAhead(ctx context.Context, before *Batch, r request, more bool) (*Transfer, error) {
	stands, err := c.standsAhead(ctx, r)
	if err != nil {
		return nil, err
	}
	ready := c.running.takeReady()
	if ready == nil && stands != aheadFails {
		if ready, err = c.askReady(ctx, r, before); err != nil {
			return nil, err
		}
	}
	var commands []control.Command
	if stands != aheadFails && (ready != nil || !r.named) { // a listing may wait for the way to be found
		commands = before.group()
	}
	if commands == nil || bytesOf(commands) > mostAhead/2 {
		commands = nil
		if err := before.Do(ctx); err != nil {
			ready.Close()
			return nil, err
		}
	}
	if stands == aheadFails {
		ready.Close()
		return c.start(ctx, r)
	}
	a, err := c.around(r, stands, more)
	if err != nil {
		ready.Close()
		return nil, err
	}
	a.before = commands
	t, err := c.startAround(ctx, r, a, ready)
	if t != nil && commands != nil {
		t.unsure = before.takeAhead(t.answers)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// askReady asks for a data connection together with all of before, if that can go in one write and the way is one that has worked; nil
// if not.
func (c *Conn) askReady(ctx context.Context, r request, before *Batch) (*ready, error) {
	way, _ := data.Next(c.remembering(c.environment(), time.Now()), c.unreachable)
	commands := before.group()
	if commands == nil || !c.isKnown(way) {
		return nil, nil
	}
	passive, err := control.NewCommand(way.Command.String(), "")
	if err != nil {
		return nil, &Error{Op: r.op, Path: r.path, Err: err}
	}
	replies, err := c.doGroup(ctx, r.op, append(commands, passive))
	if err != nil {
		return nil, err
	}
	last := len(replies) - 1
	if err := before.take(ctx, replies[:last]); err != nil {
		return nil, err
	}
	if !replies[last].Completed() {
		return nil, nil
	}
	c.prepareReady(ctx, replies[last], way)
	return c.running.takeReady(), nil
}

// isKnown reports whether way is the one by which data came through last in this network.
func (c *Conn) isKnown(way DataWay) bool {
	return c.facts.Channels.of(c.outlook.key).Way == way.String()
}

// around is what goes with a transfer command.
type around struct {
	before []control.Command // in front of it, in the same write
	heard  []control.Reply   // to those, if they went before
	behind []control.Command // in the same write where that stands, in one of its own behind the transfer elsewhere
	stands string            // aheadWorks, aheadPairs; "" for a transfer on its own
	next   DataWay           // that of the data connection that is asked for behind, if one is
}

// around is what is asked when a transfer has ended.
func (c *Conn) around(r request, stands string, more bool) (around, error) {
	a := around{stands: stands}
	if r.named {
		size, fits, err := c.direct(line{verb: "SIZE"}, c.Absolute(r.path))
		if err != nil {
			return a, &Error{Op: r.op, Path: r.path, Err: err}
		}
		if fits {
			a.behind = append(a.behind, size)
		}
	}
	if more {
		a.next, _ = data.Next(c.remembering(c.environment(), time.Now()), c.unreachable)
		next, err := control.NewCommand(a.next.Command.String(), "")
		if err != nil {
			return a, &Error{Op: r.op, Path: r.path, Err: err}
		}
		a.behind = append(a.behind, next)
	}
	return a, nil
}

// startAround starts a transfer over the data connection that is ready, or over another one if that is nil.
func (c *Conn) startAround(ctx context.Context, r request, a around, ready *ready) (*Transfer, error) {
	s := &search{conn: c, request: r}
	var pending data.Pending = ready
	way := DataWay{}
	var err error
	if ready == nil {
		err = c.untilClosed(ctx, r.op, r.path, func(ctx context.Context) (err error) {
			pending, way, err = s.find(ctx)
			return err
		})
		if err == nil && way.Method != data.Passive { // nothing goes around PORT: who reads along takes single commands
			if a, err = c.goesBefore(ctx, r, a); err != nil {
				pending.Close()
			}
		}
	} else {
		way = ready.way
		s.command, err = c.transferCommand(ctx, r)
	}
	if err != nil {
		ready.Close()
		return nil, err
	}
	t, err := c.begin(ctx, r, s.command, pending, way, a)
	if err != nil {
		if ready == nil || a.stands == "" && control.Ended(ctx) == nil { // nothing is asked behind it
			c.doubt(way, t, err)
		} else if t.hadNoData(err) && control.Ended(ctx) == nil {
			c.learnAhead(aheadDoubtful)
		}
		return t, err
	}
	if r.upload {
		c.learnTaken(r.path)
	}
	return t, nil
}

// goesBefore has what goes in front of a transfer command carried out alone.
func (c *Conn) goesBefore(ctx context.Context, r request, a around) (alone around, err error) {
	for _, command := range a.before {
		replies, err := c.doGroup(ctx, r.op, []control.Command{command})
		if err != nil {
			return around{}, err
		}
		alone.heard = append(alone.heard, replies...)
	}
	return alone, nil
}

// standsAhead tells how much may go around the command of a transfer.
func (c *Conn) standsAhead(ctx context.Context, r request) (string, error) {
	if c.facts.NeedsPRET || c.options.Compress || c.deflating || c.naming.opaque != "" || c.stands() == aheadFails {
		return aheadFails, nil
	}
	c.locate()
	way, ok := data.Next(c.remembering(c.environment(), time.Now()), c.unreachable)
	if !ok || way.Method != data.Passive {
		return aheadFails, nil
	}
	if r.named {
		if _, fits, err := c.direct(line{verb: r.verb}, c.Absolute(r.path)); err != nil || !fits {
			return aheadFails, nil
		}
	}
	if grouped, err := c.pipelines(ctx); err != nil || !grouped {
		return aheadFails, err
	}
	return c.stands(), nil
}

// stands is what the server is known to stand. Those that handle one command after the other stand all; an asynchronous one takes the
// EPSV behind a transfer for the end of that. Where nobody knows, nothing is outstanding behind a transfer.
func (c *Conn) stands() string {
	learned := c.facts.Ahead
	if learned == aheadDoubtful || learned != "" && learned != aheadWorks && outdated(c.facts.AheadLearned) {
		learned = ""
	}
	switch {
	case c.facts.Ahead == aheadDoubtful:
		return aheadFails
	case learned != "":
		return learned
	}
	switch c.facts.Server {
	case "proftpd", "vsftpd", "pure-ftpd":
		return aheadWorks
	}
	return aheadPairs
}

// mostAhead is how many bytes may go in one write around a transfer command. All of it has to be in the server's buffer before the transfer
// begins, which one segment sees to, also on lines with short ones: behind that, Pure-FTPd loses it and ProFTPD has no port to give.
const mostAhead = 1100

func (c *Conn) learnAhead(what string) {
	c.facts.Ahead, c.facts.AheadLearned = what, time.Now().Unix()
}

// give sends the command of a transfer, with what goes around it.
func (t *Transfer) give(ctx context.Context, command control.Command, a around) error {
	group := append(append([]control.Command{}, a.before...), command.As(control.Transfer))
	t.around = a
	if a.stands == aheadWorks && bytesOf(group)+bytesOf(a.behind) <= mostAhead {
		group = append(group, a.behind...)
	} else {
		t.later = a.behind
	}
	calls, err := t.conn.control.SendGroup(ctx, group)
	if err != nil {
		return t.conn.connectionError(t.request.op, t.request.path, err)
	}
	t.inFront, t.call, t.behind = calls[:len(a.before)], calls[len(a.before)], calls[len(a.before)+1:]
	return nil
}

// endsEarly reports whether this side of a download is to end as soon as it is open. Before they say 226, ProFTPD waits for that end, and vsftpd
// for that of TLS, which takes another round trip. Other servers may take it for an abort; so does one that did not bring a file so.
func (t *Transfer) endsEarly() bool {
	if t.around.stands == "" || t.request.upload || t.conn.noEarlyEnd {
		return false
	}
	return t.conn.facts.Server == "proftpd" || t.conn.facts.Server == "vsftpd" && t.conn.tls != nil
}

// endEarly ends this side of a download that begins, TLS before TCP. If it cannot be, the server waits for the end.
func (t *Transfer) endEarly(o opened) {
	if secured, ok := o.stream.(*tls.Conn); ok {
		secured.CloseWrite()
	}
	if t.conn.facts.Server == "proftpd" {
		o.guarded.CloseWrite()
	}
}

// hear waits for the replies to what went in front of the command.
func (t *Transfer) hear(ctx context.Context) error {
	for i, call := range t.inFront {
		reply, err := t.conn.awaitCall(ctx, call)
		if verb := t.around.before[i].Verb(); err == nil && !answers(verb, reply) {
			t.conn.facts.Pipelining = "no"
			err = fmt.Errorf("%w: %s was answered with %s", ErrDesync, verb, reply)
		}
		if err != nil {
			t.conn.kill()
			return t.conn.connectionError(t.request.op, t.request.path, err)
		}
		t.answers = append(t.answers, reply)
	}
	return nil
}

// catchUp gets the replies to what was asked behind the transfer, which has ended. An error is that of the connection.
func (t *Transfer) catchUp(ctx context.Context) error {
	c := t.conn
	replies := make([]control.Reply, 0, len(t.behind))
	for i, call := range t.behind {
		reply, err := c.awaitCall(ctx, call)
		if verb := t.around.behind[i].Verb(); err == nil && !answers(verb, reply) {
			err = fmt.Errorf("%w: %s behind a transfer was answered with %s", ErrDesync, verb, reply)
		} else if err == nil && call.Preceded(t.call) {
			err = fmt.Errorf("%w: %s behind a transfer was answered before that", ErrDesync, verb)
		}
		if err != nil {
			if control.Ended(ctx) == nil && !errors.Is(err, ErrClosing) {
				c.learnAhead(aheadPairs)
			}
			c.kill()
			return c.connectionError(t.request.op, t.request.path, err)
		}
		replies = append(replies, reply)
	}
	t.note(ctx, t.around.behind[:len(t.behind)], replies)
	t.behind = nil
	return nil
}

// ask asks after a transfer what could not be asked behind it.
func (t *Transfer) ask(ctx context.Context) error {
	if t.later == nil {
		return nil
	}
	replies, err := t.conn.doGroup(ctx, t.request.op, t.later)
	if err == nil {
		t.note(ctx, t.later, replies)
	}
	return err
}

// note takes the replies to SIZE and to EPSV or PASV.
func (t *Transfer) note(ctx context.Context, questions []control.Command, replies []control.Reply) {
	for i, reply := range replies {
		if !reply.Completed() {
			continue
		}
		if questions[i].Verb() != "SIZE" {
			t.conn.prepareReady(ctx, reply, t.around.next)
		} else if size, err := parseSize(reply); err == nil {
			t.size = size
		}
	}
}

// settleUnsure asks for what the replies in front of the transfer did not tell.
func (t *Transfer) settleUnsure(ctx context.Context) error {
	unsure := t.unsure
	t.unsure = nil
	return (&Batch{conn: t.conn}).askAgain(ctx, unsure)
}

// ready is a data connection that opens while something else goes on.
type ready struct {
	way     DataWay
	cancel  context.CancelFunc
	expire  *time.Timer
	opened  chan struct{} // closed when the following are set
	pending data.Pending
	err     error
}

// readyPatience bounds the dialling of a connection ahead, and readyLifetime is for how long it is kept: servers give up those on which
// nothing happens, and count them.
const (
	readyPatience = 5 * time.Second
	readyLifetime = 10 * time.Second
)

// prepareReady dials the port that the server has named.
func (c *Conn) prepareReady(ctx context.Context, reply control.Reply, way DataWay) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(readyPatience, c.options.ConnectTimeout)) // it is for the next one
	r := &ready{way: way, cancel: cancel, opened: make(chan struct{})}
	r.expire = time.AfterFunc(readyLifetime, r.giveUp)
	ends, options := c.endpoint, c.dataOptions(0)
	go func() {
		defer close(r.opened)
		defer cancel()
		ask := func(context.Context, string, string) (control.Reply, error) { return reply, nil }
		r.pending, r.err = data.Prepare(ctx, way, ends, ask, options)
	}()
	c.running.keepReady(r)
}

// isOpen reports whether the connection is there.
func (r *ready) isOpen() bool {
	select {
	case <-r.opened:
		return r.err == nil
	default:
		return false
	}
}

// opens waits until the connection is there, and reports whether it is; or until ctx has ended, or over is closed. To dial takes no longer than
// readyPatience.
func (r *ready) opens(ctx context.Context, over <-chan struct{}) bool {
	select {
	case <-r.opened:
		return r.err == nil
	case <-over:
	case <-ctx.Done():
	}
	return false
}

// Open waits until the connection is there.
func (r *ready) Open(ctx context.Context) (conn net.Conn, err error) {
	select {
	case <-r.opened:
	case <-ctx.Done():
		return nil, control.Ended(ctx)
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.pending.Open(ctx)
}

// Close gives the connection up and waits for the dialling. It does nothing on nil.
func (r *ready) Close() error {
	if r == nil {
		return nil
	}
	r.expire.Stop()
	r.giveUp()
	return nil
}

func (r *ready) giveUp() {
	r.cancel()
	<-r.opened
	if r.pending != nil {
		r.pending.Close() // nothing went over it
	}
}

// Target is the address of the server's port, once that is connected.
func (r *ready) Target() string {
	if r.isOpen() {
		return r.pending.Target()
	}
	return ""
}

// Listened is "": the connection is a passive one.
func (r *ready) Listened() string { return "" }

// keepReady keeps a data connection for the next transfer, in place of another one.
func (r *running) keepReady(next *ready) {
	r.mu.Lock()
	before := r.ready
	r.ready = next
	if r.closed {
		next.cancel()
	}
	r.mu.Unlock()
	before.Close()
}

// takeReady is the data connection for the transfer that begins now, nil if there is none, or none of use.
func (r *running) takeReady() *ready {
	r.mu.Lock()
	taken := r.ready
	r.ready = nil
	r.mu.Unlock()
	if taken != nil && !taken.expire.Stop() {
		taken.Close()
		return nil
	}
	return taken
}

func bytesOf(commands []control.Command) (bytes int) {
	for _, command := range commands {
		bytes += command.Len()
	}
	return bytes
}
