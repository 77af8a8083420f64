package data

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrStalled is wrapped when no byte moved for the stall time-out.
var ErrStalled = errors.New("data connection stalled")

// Guarded is a data connection on which each byte that moves buys a new stall time-out:
// a transfer may take days but not hang. It also notes how the peer ended the stream,
// which crypto/tls does not tell: a TLS stream that was cut off looks to its reader like
// one that ended.
//
// It can be slowed down, too (see Pace): waiting for the right to move bytes is no stall.
type Guarded struct {
	net.Conn
	stall time.Duration
	eof   atomic.Bool
	moved atomic.Int64
	in    pacer
	out   pacer

	closing sync.Once
	closed  chan struct{} // closed by Close and Reset
}

// Guard wraps conn. A stall of 0 means no limit.
func Guard(conn net.Conn, stall time.Duration) *Guarded {
	return &Guarded{Conn: conn, stall: stall, closed: make(chan struct{})}
}

// SawEOF reports whether the peer has closed the TCP stream below TLS. After a clean end of
// TLS (close_notify) it is false: the reader stops before it looks further.
func (g *Guarded) SawEOF() bool { return g.eof.Load() }

// Moved is the number of bytes that went through in either direction.
func (g *Guarded) Moved() int64 { return g.moved.Load() }

// ReadsHeldUp is for how long reads have waited for the right to move bytes, see Pace. It is for who reads.
func (g *Guarded) ReadsHeldUp() time.Duration { return g.in.waited }

func (g *Guarded) deadline() time.Time {
	if g.stall <= 0 {
		return time.Time{}
	}
	return time.Now().Add(g.stall)
}

// Read reads like net.Conn with a fresh stall time-out.
func (g *Guarded) Read(p []byte) (int, error) {
	if err := g.in.wait(g.closed); err != nil {
		return 0, err
	}
	p = p[:g.in.piece(len(p))]
	if err := g.Conn.SetReadDeadline(g.deadline()); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	g.moved.Add(int64(n))
	if err := g.in.charge(n); err != nil {
		return n, err
	}
	if errors.Is(err, io.EOF) {
		g.eof.Store(true)
	}
	return n, g.explain(err)
}

// Write writes all of p; the time-out starts anew whenever a part of it went through.
func (g *Guarded) Write(p []byte) (int, error) {
	written := 0
	for {
		if err := g.out.wait(g.closed); err != nil {
			return written, err
		}
		n, err := g.writePiece(p[written:][:g.out.piece(len(p)-written)])
		written += n
		if err == nil {
			err = g.out.charge(n)
		}
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func (g *Guarded) writePiece(p []byte) (int, error) {
	written := 0
	for {
		before, _ := g.Unsent()
		if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
			return written, err
		}
		n, err := g.Conn.Write(p[written:])
		written += n
		g.moved.Add(int64(n))
		if err == nil || !g.lateButMoving(err, int64(n), before) {
			return written, g.explain(err)
		}
	}
}

// lateButMoving reports whether err is the end of a stall time-out in which bytes moved after
// all: n were written, or some of those that were unsent before have reached the peer. Systems
// let a writer go on only when a good part of their buffer is free again, and on a slow line
// that takes longer than a peer may be silent.
func (g *Guarded) lateButMoving(err error, n int64, before int) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	if n > 0 {
		return true
	}
	unsent, known := g.Unsent()
	return known && unsent < before
}

func (g *Guarded) explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: no byte moved for %s", ErrStalled, g.stall)
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() { // the system was first, see LimitSilence
		return fmt.Errorf("%w: %w", ErrStalled, err)
	}
	return err
}

// CloseWrite sends FIN: the peer sees the end of the stream and may still answer.
func (g *Guarded) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes the connection, and ends whoever waits for the right to move bytes.
func (g *Guarded) Close() error {
	g.closing.Do(func() { close(g.closed) })
	return g.Conn.Close()
}

// Reset closes the connection so that the peer sees an error, not the end of a file.
func (g *Guarded) Reset() {
	if tcp, ok := g.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	g.Close()
}
