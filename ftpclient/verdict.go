package ftpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// drainPatience bounds the wait for the server to end its side of an upload after it has
// said that all is well.
const drainPatience = 5 * time.Second

// verdict is how a transfer came to its end.
type verdict struct {
	reply    control.Reply
	err      error // instead of a reply
	endError error // of telling the server the end of an upload
	cut      error // the data connection was reset behind the end of an upload
	through  bool  // as far as this side can know, all bytes have reached the server's system
}

// awaitVerdict ends the data connection and waits for the final reply.
func (t *Transfer) awaitVerdict(ctx context.Context) verdict {
	var v verdict
	t.ending.Store(true)
	t.guarded.Conn.SetReadDeadline(time.Time{}) // the stall time-out of the last read
	told, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if v.endError = t.tellEnd(); v.endError == nil {
			close(told)
			v.cut = t.drain()
		}
		t.guarded.Close()
	}()
	reply, through, err := t.awaitReply(ctx, told, ended)
	switch {
	case err == nil && reply.Completed():
		t.guarded.Conn.SetReadDeadline(time.Now().Add(drainPatience))
	case err != nil && through:
		// No reset, which would take from the server what it has not read yet.
		t.guarded.Conn.SetReadDeadline(time.Now())
	default:
		t.guarded.Reset()
	}
	<-ended
	v.reply, v.err, v.through = reply, err, through && v.endError == nil && v.cut == nil
	return v
}

// awaitReply waits for the final reply to a transfer that this side has ended, and tells
// whether all its bytes are through. FinalReplyTimeout begins when nothing is on its way any
// more: on a slow line, what the system holds for an upload takes longer than that. While it
// moves, a stall is what it was before. When the control connection is lost, what is still
// on its way gets its time.
//
// told is closed when the server was told the end, and ended when the connection is closed.
func (t *Transfer) awaitReply(ctx context.Context, told, ended <-chan struct{}) (reply control.Reply, through bool, err error) {
	o, finished := t.conn.options, t.call.Finished()
	var unsent int
	var known bool
	var moved time.Time // when something did so last
	var lag time.Duration
	for {
		var wake <-chan time.Time
		if told == nil { // until then, writing has its own stall time-out
			patience, late := o.FinalReplyTimeout+lag, ErrTimeout
			switch {
			case unsent > 0:
				patience = o.StallTimeout
				late = fmt.Errorf("%w: %d bytes did not reach the server in %s", ErrStalled, unsent, patience)
			case err != nil && known:
				return reply, true, err
			case err != nil:
				patience = min(drainPatience, o.FinalReplyTimeout)
			}
			rest := patience - time.Since(moved)
			if rest <= 0 && err != nil && unsent > 0 {
				return reply, false, fmt.Errorf("%w: %w", err, late)
			}
			if rest <= 0 {
				return reply, unsent == 0, cmp.Or(err, late)
			}
			wake = time.After(min(rest, o.StallTimeout/8, time.Second))
		}
		select {
		case <-finished:
			if reply, err = t.call.Wait(ctx); err == nil {
				return reply, true, nil
			}
			finished = nil
		case <-ctx.Done():
			return reply, false, control.Ended(ctx)
		case <-told:
			told = nil
			unsent, known = t.onItsWay()
			moved, lag = time.Now(), t.lag(known)
		case <-ended:
			told, ended, unsent, known, moved = nil, nil, 0, true, time.Now()
		case <-wake:
			if now, ok := t.onItsWay(); ok && now != unsent {
				unsent, moved, lag = now, time.Now(), t.lag(known)
			}
		}
	}
}

// onItsWay is how many bytes of an upload have not reached the server's system, and whether
// that is known.
func (t *Transfer) onItsWay() (int, bool) {
	if !t.request.upload {
		return 0, true
	}
	return t.guarded.Unsent()
}

// lag is how much longer than others the server of an upload may take to its reply: the end
// may lie unread in buffers, and is read as slowly as all that came before. Where known is
// false, the buffers of this side belong to that, and may have taken everything at once.
func (t *Transfer) lag(known bool) time.Duration {
	const buffers, slowest = 8 << 20, 32 << 10 // bytes, and bytes a second
	moved := t.guarded.Moved()
	if !t.request.upload || moved == 0 {
		return 0
	}
	held := float64(min(moved, buffers))
	seconds := held / float64(moved) * time.Since(t.begun).Seconds()
	if !known {
		seconds = max(seconds, held/slowest)
	}
	return min(time.Duration(seconds*float64(time.Second)), 4*t.conn.options.FinalReplyTimeout)
}

// tellEnd tells the server that the data connection has ended: first the end of compression,
// then of TLS (close_notify), then of TCP.
func (t *Transfer) tellEnd() error {
	secured, isTLS := t.stream.(*tls.Conn)
	if !t.request.upload {
		if isTLS {
			secured.Close()
		}
		return nil
	}
	if t.zlib != nil {
		if err := t.zlib.Close(); err != nil {
			return err
		}
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
	return nil
}

// drain reads everything that the server still sends in an upload, so that every byte of that
// arrives. Servers send TLS 1.3 session tickets that an upload never reads; closing a socket
// with unread bytes makes the kernel send a reset, and the server loses the end of the file.
// It goes on until somebody sets a deadline. An error is the server's reset: it may have
// dropped what it had not read.
func (t *Transfer) drain() error {
	if !t.request.upload {
		return nil
	}
	_, err := io.Copy(io.Discard, t.guarded.Conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // it only keeps its side open
	}
	return err
}

// lookAtSize asks for the size of a file that the server calls complete although the data
// connection has not ended as it should: cut is the reset of an upload, or nil for a download
// without the end of TLS. Servers that end all their connections so are a nuisance and no
// more; those that lie have lost the end.
func (t *Transfer) lookAtSize(ctx context.Context, cut error) error {
	r := t.request
	if !r.named || t.check != nil {
		return nil // a listing tells by Listing.Incomplete; what was resumed is looked at anyway
	}
	c := t.conn
	if r.upload && (r.verb != "STOR" || r.offset > 0) {
		return &Error{Op: r.op, Path: r.path, Err: fmt.Errorf("end of the data connection: %w", cut)}
	}
	err := c.VerifySize(ctx, r.path, r.offset+t.Bytes())
	if err == nil || errors.Is(err, ErrMismatch) || !c.Usable() {
		return err
	}
	if cut != nil {
		return &Error{Op: r.op, Path: r.path, Err: fmt.Errorf("end of the data connection, and the size is not to be had: %w", cut)}
	}
	return nil // Result.CleanEnd has to do
}
