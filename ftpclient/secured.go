package ftpclient

import (
	"net"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// batch lies between TLS and a data connection. crypto/tls makes one system call, and sets one
// deadline, for each record of 16 KiB; with it there is one for each of the large blocks that
// a transfer reads or writes.
type batch struct {
	*data.Guarded
	buffer  *[]byte // of the connection, for one direction, that of the transfer; it grows with what goes through
	upload  bool
	read    []byte // what TLS has not taken yet, in buffer
	written []byte // what is held back, in buffer
	holding bool
}

const (
	// recordSize is that of the largest record of TLS, with its frame: small files need no more.
	recordSize = 16<<10 + 256
	// batchSize is that of the largest blocks.
	batchSize = 8 * recordSize
)

func (c *Conn) batch(guarded *data.Guarded, upload bool) *batch {
	if c.batchBuffer == nil {
		c.batchBuffer = make([]byte, recordSize)
	}
	return &batch{Guarded: guarded, upload: upload, buffer: &c.batchBuffer, written: c.batchBuffer[:0]}
}

// Read hands on what was read ahead. It never reads on behind that, so that the end of the
// connection is seen by nobody who stops before it.
func (b *batch) Read(p []byte) (int, error) {
	if len(b.read) == 0 {
		if b.upload {
			return b.Guarded.Read(p)
		}
		n, err := b.Guarded.Read(*b.buffer)
		b.read = (*b.buffer)[:n]
		if n == 0 {
			return 0, err
		}
		if n == len(*b.buffer) && n < batchSize { // most likely there is more
			*b.buffer = make([]byte, batchSize) // what was read stays where it is
		}
	}
	n := copy(p, b.read)
	b.read = b.read[n:]
	return n, nil
}

// Write holds records back during a write of the transfer.
func (b *batch) Write(p []byte) (int, error) {
	if !b.holding {
		return b.Guarded.Write(p)
	}
	if len(b.written)+len(p) > cap(b.written) && len(b.written) > 0 {
		if cap(b.written) < batchSize {
			*b.buffer = make([]byte, batchSize)
			b.written = append((*b.buffer)[:0], b.written...)
		} else if err := b.flush(); err != nil {
			return 0, err
		}
	}
	b.written = append(b.written, p...)
	return len(p), nil
}

// hold writes p to conn, which is TLS over b, in large blocks.
func (b *batch) hold(conn net.Conn, p []byte) (int, error) {
	b.holding = true
	n, err := conn.Write(p)
	b.holding = false
	if failed := b.flush(); err == nil && failed != nil {
		return 0, failed
	}
	return n, err
}

// flush sends what was held back.
func (b *batch) flush() error {
	held := b.written
	b.written = held[:0]
	if len(held) == 0 {
		return nil
	}
	_, err := b.Guarded.Write(held)
	return err
}
