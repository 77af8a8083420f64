package data

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// ErrStalled is wrapped when no byte moved for the stall time-out.
var ErrStalled = errors.New("data connection stalled")

// Guarded is a data connection on which each byte that moves buys a new stall time-out:
// a transfer may take days but not hang. It also notes how the peer ended the stream,
// which crypto/tls does not tell: a TLS stream that was cut off looks to its reader like
// one that ended.
type Guarded struct {
	net.Conn
	stall time.Duration
	eof   atomic.Bool
	moved atomic.Int64
}

// Guard wraps conn. A stall of 0 means no limit.
func Guard(conn net.Conn, stall time.Duration) *Guarded {
	return &Guarded{Conn: conn, stall: stall}
}

// SawEOF reports whether the peer has closed the TCP stream below TLS. After a clean end of
// TLS (close_notify) it is false: the reader stops before it looks further.
func (g *Guarded) SawEOF() bool { return g.eof.Load() }

// Moved is the number of bytes that went through in either direction.
func (g *Guarded) Moved() int64 { return g.moved.Load() }

func (g *Guarded) deadline() time.Time {
	if g.stall <= 0 {
		return time.Time{}
	}
	return time.Now().Add(g.stall)
}

// Read reads like net.Conn with a fresh stall time-out.
func (g *Guarded) Read(p []byte) (int, error) {
	if err := g.Conn.SetReadDeadline(g.deadline()); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	g.moved.Add(int64(n))
	if errors.Is(err, io.EOF) {
		g.eof.Store(true)
	}
	return n, g.explain(err)
}

// Write writes all of p; the time-out starts anew whenever a part of it went through.
func (g *Guarded) Write(p []byte) (int, error) {
	written := 0
	for {
		if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
			return written, err
		}
		n, err := g.Conn.Write(p[written:])
		written += n
		g.moved.Add(int64(n))
		if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, g.explain(err)
		}
	}
}

// SendFile copies the rest of file, by sendfile where the system has it. Only for plain
// connections. It returns the bytes sent.
func (g *Guarded) SendFile(file *os.File) (int64, error) {
	readerFrom, ok := g.Conn.(io.ReaderFrom)
	start, err := file.Seek(0, io.SeekCurrent)
	if !ok || err != nil {
		return io.CopyBuffer(struct{ io.Writer }{g}, struct{ io.Reader }{file}, make([]byte, BufferSize))
	}
	const piece = 4 << 20
	var sent int64
	for {
		if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
			return sent, err
		}
		n, err := readerFrom.ReadFrom(&io.LimitedReader{R: file, N: piece})
		sent += n
		g.moved.Add(n)
		switch {
		case err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)):
			return sent, g.explain(err)
		case err == nil && n == 0:
			return sent, nil
		case err != nil:
			// More may have been read than was written.
			if _, err := file.Seek(start+sent, io.SeekStart); err != nil {
				return sent, err
			}
		}
	}
}

func (g *Guarded) explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: no byte moved for %s", ErrStalled, g.stall)
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

// Reset closes the connection so that the peer sees an error, not the end of a file.
func (g *Guarded) Reset() {
	if tcp, ok := g.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	g.Conn.Close()
}

// BufferSize is the size of copy buffers: large enough that system calls do not count.
const BufferSize = 256 << 10
