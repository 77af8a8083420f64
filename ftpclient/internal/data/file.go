package data

import (
	"errors"
	"io"
	"os"
	"time"
)

// BufferSize is the size of copy buffers: large enough that system calls do not count.
const BufferSize = 256 << 10

const (
	// firstPiece, leastPiece and mostPiece are how much of a file moves under one stall time-out, and before anybody is told of it:
	// little on slow lines, so that they are seen to work, and much on fast ones, where each piece costs.
	firstPiece = 256 << 10
	leastPiece = 64 << 10
	mostPiece  = 4 << 20
	// pieceTime is about how long a piece takes.
	pieceTime = 250 * time.Millisecond
)

// nextPiece is how much is to move after a piece that took so long.
func nextPiece(piece int, took time.Duration) int {
	switch {
	case took < pieceTime/2:
		return min(2*piece, mostPiece)
	case took > 2*pieceTime:
		return max(piece/2, leastPiece)
	}
	return piece
}

// SendFile copies the rest of file, by sendfile where the system has it and where that is not slower (see contest). Only
// for plain connections. It returns the bytes sent, and tells count of them piece by piece. The buffer is for the other
// way: who does not need it does not have it made.
func (g *Guarded) SendFile(file *os.File, buffer func() []byte, count func(int64)) (int64, error) {
	readerFrom, ok := g.Conn.(io.ReaderFrom)
	start, err := file.Seek(0, io.SeekCurrent)
	if !ok || err != nil {
		return io.CopyBuffer(counted{g, count}, struct{ io.Reader }{file}, buffer())
	}
	var sent int64
	var ways contest
	piece, began := firstPiece, time.Now()
	for {
		if ways.throughBuffer() {
			n, err := io.CopyBuffer(counted{g, count}, &io.LimitedReader{R: file, N: mostPiece}, buffer())
			sent += n
			if err != nil || n == 0 {
				return sent, err
			}
			ways.piece(n, time.Now())
			continue
		}
		if err := g.out.wait(g.closed); err != nil {
			return sent, err
		}
		before, _ := g.Unsent()
		if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
			return sent, err
		}
		wanted := int64(g.out.piece(piece))
		n, err := readerFrom.ReadFrom(&io.LimitedReader{R: file, N: wanted})
		sent += n
		g.moved.Add(n)
		count(n)
		if err := g.out.charge(int(n)); err != nil {
			return sent, err
		}
		switch {
		case err != nil && !g.lateButMoving(err, n, before):
			return sent, g.explain(err)
		case err == nil && n < wanted: // that was the end
			return sent, nil
		case err != nil:
			// More may have been read than was written.
			if _, err := file.Seek(start+sent, io.SeekStart); err != nil {
				return sent, err
			}
		}
		now := time.Now()
		piece, began = nextPiece(piece, now.Sub(began)), now
		ways.piece(n, now)
	}
}

// counted tells count of what is written.
type counted struct {
	io.Writer
	count func(int64)
}

// Write implements io.Writer.
func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.count(int64(n))
	return n, err
}

// ReceiveFile copies everything until the end of the connection into file, but not more than limit bytes, by splice where
// the system has it, and tells count of it piece by piece. Only for plain connections. An error may be one of the file.
func (g *Guarded) ReceiveFile(file *os.File, limit int64, count func(int64)) (int64, error) {
	var received int64
	piece, began := firstPiece, time.Now()
	for received < limit {
		if err := g.in.wait(g.closed); err != nil {
			return received, err
		}
		if err := g.Conn.SetReadDeadline(g.deadline()); err != nil {
			return received, err
		}
		n, err := file.ReadFrom(&io.LimitedReader{R: g.Conn, N: min(int64(g.in.piece(piece)), limit-received)})
		received += n
		g.moved.Add(n)
		count(n)
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
		now := time.Now()
		piece, began = nextPiece(piece, now.Sub(began)), now
	}
	return received, nil
}
