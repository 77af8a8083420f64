package ftpclient

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// RetrievePart is Retrieve of the end of the file p from offset on, if the server says that all of it has size bytes; the error wraps
// ErrMismatch if not. Where several commands may go in one write it takes three round trips until data come: SIZE with the question for a
// port, the data connection, REST with RETR.
func (c *Conn) RetrievePart(ctx context.Context, p string, offset, size int64) (*Transfer, error) {
	r := request{op: "retrieve", path: p, verb: "RETR", named: true, offset: offset}
	ready, err := c.readyFor(ctx, r, size)
	if err != nil {
		return nil, err
	}
	if ready == nil {
		if err := c.VerifySize(ctx, p, size); err != nil {
			return nil, err
		}
		return c.start(ctx, r)
	}
	rest, err := control.NewCommand("REST", strconv.FormatInt(offset, 10))
	if err != nil {
		ready.Close()
		return nil, &Error{Op: r.op, Path: p, Err: err}
	}
	t, err := c.startAround(ctx, r, around{before: []control.Command{rest}}, ready)
	if err != nil {
		return nil, err
	}
	if !t.answers[0].Intermediate() { // what comes is the file from its beginning
		refusal := c.refusal(r.op, p, "REST", t.answers[0])
		t.Abort(ctx)
		return nil, refusal
	}
	return t, nil
}

// readyFor asks for the size of a file together with a port, over which a data connection is opened. It is nil without an error where that
// cannot be done, or was not answered.
func (c *Conn) readyFor(ctx context.Context, r request, size int64) (*ready, error) {
	c.running.takeReady().Close()
	if stands, err := c.standsAhead(ctx, r); err != nil || stands == aheadFails || r.offset <= 0 {
		return nil, err
	}
	way, _ := data.Next(c.remembering(c.environment(), time.Now()), c.unreachable)
	if c.facts.Channels.of(c.outlook.key).Way != way.String() { // it has to have worked
		return nil, nil
	}
	sized, fits, err := c.direct(line{verb: "SIZE"}, c.Absolute(r.path))
	if err != nil || !fits {
		return nil, err
	}
	passive, err := control.NewCommand(way.Command.String(), "")
	if err != nil {
		return nil, &Error{Op: r.op, Path: r.path, Err: err}
	}
	replies, err := c.doGroup(ctx, r.op, []control.Command{sized, passive})
	if err != nil || !replies[0].Completed() || !replies[1].Completed() {
		return nil, err
	}
	if got, err := parseSize(replies[0]); err != nil || got != size {
		return nil, &Error{Op: "verify", Path: r.path, Err: fmt.Errorf("%w: %q, not %d bytes", ErrMismatch, replies[0].Last(), size)}
	}
	c.prepareReady(ctx, replies[1], way)
	return c.running.takeReady(), nil
}
