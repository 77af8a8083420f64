package ftpclient

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// leastSplice is how much has to come for splice to be worth the question whether the file takes it.
const leastSplice = 256 << 10

// ReceiveFile downloads into file, at its offset, until the end, but not more than limit bytes: what has no end must not fill
// the disk. Plain connections are spliced to it where the system and its file system do that. An error that is
// an *fs.PathError is one of the file. A transfer that has reached limit is to be ended by Stop or Abort.
func (t *Transfer) ReceiveFile(file *os.File, limit int64) (int64, error) {
	if !t.direct() || t.conn.noSplice || limit < leastSplice || !splices(file) {
		return t.copyTo(file, limit)
	}
	n, err := t.guarded.ReceiveFile(file, limit, t.moved.add)
	switch {
	case err == nil:
		t.atEOF = n < limit
	case ofNetwork(err):
		// To package os, what a splice fails at is the file, always.
		if ofFile, ok := errors.AsType[*fs.PathError](err); ok {
			err = ofFile.Err
		}
		t.fail(err)
	case t.failure == nil:
		t.failure, t.ours = err, true
	}
	return n, err
}

// copyTo is ReceiveFile by the buffer of the connection. It is filled before it is written: TLS gives a record of 16 KiB at a time.
func (t *Transfer) copyTo(file *os.File, limit int64) (written int64, err error) {
	buffer := t.conn.copyBuffer(limit)
	for err == nil && written < limit {
		block, filled := buffer[:min(int64(len(buffer)), limit-written)], 0
		for filled < len(block) && err == nil {
			var n int
			n, err = t.Read(block[filled:])
			filled += n
		}
		n, ofFile := file.Write(block[:filled])
		written += int64(n)
		if ofFile != nil {
			if t.failure == nil { // not one of Read
				t.failure, t.ours = ofFile, true
			}
			return written, ofFile
		}
	}
	if errors.Is(err, io.EOF) {
		return written, nil
	}
	return written, err
}
