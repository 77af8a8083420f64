package data

import (
	"errors"
	"io"
	"os"
)

// BufferSize is the size of copy buffers: large enough that system calls do not count.
const BufferSize = 256 << 10

// filePiece is how much of a file moves under one stall time-out.
const filePiece = 4 << 20

// SendFile copies the rest of file, by sendfile where the system has it. Only for plain
// connections. It returns the bytes sent. The buffer is for systems without.
func (g *Guarded) SendFile(file *os.File, buffer []byte) (int64, error) {
	readerFrom, ok := g.Conn.(io.ReaderFrom)
	start, err := file.Seek(0, io.SeekCurrent)
	if !ok || err != nil {
		return io.CopyBuffer(struct{ io.Writer }{g}, struct{ io.Reader }{file}, buffer)
	}
	var sent int64
	for {
		if err := g.out.wait(g.closed); err != nil {
			return sent, err
		}
		before, _ := g.Unsent()
		if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
			return sent, err
		}
		n, err := readerFrom.ReadFrom(&io.LimitedReader{R: file, N: int64(g.out.piece(filePiece))})
		sent += n
		g.moved.Add(n)
		if err := g.out.charge(int(n)); err != nil {
			return sent, err
		}
		switch {
		case err != nil && !g.lateButMoving(err, n, before):
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

// ReceiveFile copies everything until the end of the connection into file, by splice where
// the system has it. Only for plain connections. An error may be one of the file.
func (g *Guarded) ReceiveFile(file *os.File) (int64, error) {
	var received int64
	for {
		if err := g.in.wait(g.closed); err != nil {
			return received, err
		}
		if err := g.Conn.SetReadDeadline(g.deadline()); err != nil {
			return received, err
		}
		n, err := file.ReadFrom(&io.LimitedReader{R: g.Conn, N: int64(g.in.piece(filePiece))})
		received += n
		g.moved.Add(n)
		if err := g.in.charge(int(n)); err != nil {
			return received, err
		}
		switch {
		case err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)):
			return received, g.explain(err)
		case err == nil && n == 0:
			g.eof.Store(true)
			return received, nil
		}
	}
}
