package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

const (
	// abortPatience bounds how long the ending of a transfer may take that was given up.
	abortPatience = 2 * time.Second
	// markerPatience is how long the reply to such a transfer is waited for before the next
	// command is sent.
	markerPatience = 500 * time.Millisecond
	// explainPatience bounds the wait for the reply that tells why the server cut a transfer.
	explainPatience = 10 * time.Second
)

// ErrInterrupted, as the cause of a context that ends, breaks a transfer off as [Transfer.Abort] does: the connection is to go on.
// A command that was sent has two seconds to be answered, and its answer counts; nothing more is sent.
// Any other end of a context costs the connection. It is a context.Canceled.
var ErrInterrupted = fmt.Errorf("interrupted: %w", context.Canceled)

// Abort gives the transfer up. An upload ends by a reset, so that it does not look complete.
// The connection stays usable (see Conn.Usable) if the server tells within two seconds that
// it is in step, else it is given up. It does nothing after Finish. A ctx that has ended
// costs the connection.
func (t *Transfer) Abort(ctx context.Context) {
	if !t.done {
		t.abandon(ctx)
	}
}

// Stop ends a download early, of which the caller has read enough: a part of a file.
// Result.Confirmed stays false. The connection is treated as by Abort. The error is the one
// that reading has ended with, and why the server cut the transfer.
func (t *Transfer) Stop(ctx context.Context) (Result, error) {
	if t.done || t.atEOF || t.failure != nil {
		return t.Finish(ctx)
	}
	if t.request.upload {
		t.failure, t.ours = errors.New("an upload cannot be stopped early, only aborted"), true
		return t.Finish(ctx)
	}
	result := t.result()
	t.abandon(ctx)
	return result, nil
}

// breakOff ends a transfer that failed on this side. Where the server has ended it, its
// reply holds the cause (552, 451, ...) that a write error only hides.
func (t *Transfer) breakOff(ctx context.Context) error {
	e := &Error{Op: t.request.op, Path: t.request.path, Err: t.failure}
	cause := t.release()
	if cause == nil {
		cause = control.Ended(ctx)
	}
	if t.ours {
		e.Err = localError{t.failure}
	}
	if cause != nil {
		e.Err = cause
	}
	if cause != nil || t.ours {
		t.abandon(ctx)
		return e
	}
	t.done = true
	t.blameCompression()
	t.guarded.Reset()
	t.conn.running.set(nil)
	patience := min(explainPatience, t.conn.options.FinalReplyTimeout)
	if errors.Is(t.failure, ErrStalled) {
		patience = abortPatience
	}
	waiting, stop := context.WithTimeoutCause(ctx, patience, ErrTimeout)
	defer stop()
	reply, err := t.call.Wait(waiting)
	var closing *control.ClosingError
	switch {
	case errors.As(err, &closing):
		refusal := t.conn.refusal(t.request.op, t.request.path, "", closing.Reply)
		refusal.Err = fmt.Errorf("%w: %w", ErrClosing, e.Err)
		e = refusal
		t.conn.kill()
	case err != nil:
		t.conn.kill()
	case reply.Code >= 400:
		refusal := t.conn.refusal(t.request.op, t.request.path, t.request.verb, reply)
		if refusal.Err != nil { // such as that the TLS session was not resumed, whichever of the two came to be known first
			e.Err = fmt.Errorf("%w: %w", refusal.Err, e.Err)
		}
		refusal.Err = e.Err
		e = refusal
		t.conn.dropSession(reply)
	}
	if err == nil {
		t.settle(ctx)
		t.catchUp(ctx) // its error is that of the connection, which shows
	}
	return e
}

// abandon ends the transfer and gets the control connection in step again, or gives it up.
func (t *Transfer) abandon(ctx context.Context) {
	t.done = true
	t.release()
	// Before ABOR: half of the servers in use read that only after the end of the data, and
	// an upload that ends by ABOR alone looks complete to some.
	if t.request.upload {
		t.guarded.Reset()
	} else {
		t.guarded.Close()
	}
	t.conn.running.set(nil)
	if errors.Is(context.Cause(ctx), ErrInterrupted) {
		ctx = context.WithoutCancel(ctx)
	}
	waiting, stop := context.WithTimeoutCause(ctx, abortPatience, ErrTimeout)
	defer stop()
	if t.owesBeat() || !t.inStep(waiting) {
		t.conn.kill()
	}
}

// inStep gets the control connection in step. With something behind the transfer in the same write it is enough to wait for
// that: an ABOR would be one more answer to tell apart.
func (t *Transfer) inStep(ctx context.Context) bool {
	if len(t.behind) == 0 {
		return t.resynchronise(ctx)
	}
	if _, err := t.call.Wait(ctx); err != nil {
		return false
	}
	return t.catchUp(ctx) == nil
}

// resynchronise sends ABOR and, behind it, a marker. The transfer and ABOR are answered by
// one reply or two, in an order and with codes that differ by server; when the marker is
// answered as only a marker is, and nothing is owed, everything before it was answered. No
// urgent data (RFC 959 section 4.1.3): TLS has none, and servers do without.
func (t *Transfer) resynchronise(ctx context.Context) bool {
	select {
	case <-t.call.Finished(): // ABOR would have nothing to end
		return t.conn.Usable()
	default:
	}
	if ctx.Err() != nil {
		return false
	}
	abort, err := t.send(ctx, "ABOR", control.Abort)
	if err != nil {
		return false
	}
	first, stop := context.WithTimeout(ctx, markerPatience)
	defer stop()
	cut, _ := t.call.Wait(first) // without it in time, the marker tells
	marker, err := t.send(ctx, "NOOP", control.Simple)
	if err != nil {
		return false
	}
	reply, err := marker.Wait(ctx)
	if err != nil || reply.Code != 200 {
		return false
	}
	if _, err := abort.Wait(ctx); errors.Is(err, control.ErrUnanswered) && cut.Code != 225 {
		// The 200 may be the reply to ABOR; that of the marker is one too many, then.
		select {
		case <-t.conn.control.Done():
		case <-time.After(markerPatience):
		}
	}
	return t.conn.Usable()
}

func (t *Transfer) send(ctx context.Context, verb string, role control.Role) (*control.Call, error) {
	command, err := control.NewCommand(verb, "")
	if err != nil {
		return nil, err
	}
	return t.conn.control.Send(ctx, command.As(role))
}
