package work

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/list"
)

var (
	// errSize: the server has another number of bytes than were sent. 226 alone proves nothing.
	errSize = errors.New("size on the server differs from the bytes sent")
	// errContent: as many bytes, and not the same.
	errContent = errors.New("content on the server differs from the local file")
	// errLocalRead: what the server has is compared with a local file that cannot be read.
	errLocalRead = errors.New("read the local file again")
	// errUnseen: the server takes files and shows nobody what it has, not even that they are there.
	errUnseen = errors.New("the server does not show what it has")
)

// verifyStored makes sure that all of an upload is there. Of what a mere drop box takes at its final name, nothing can be asked
// for: then the server's final reply has to do, if it came.
func (o *op) verifyStored(ctx context.Context, s *stored, local io.ReaderAt) (how string, err error) {
	if o.verifiesSize() && s.result.Size == s.total() && s.result.Confirmed { // it was asked for in the same write as the transfer
		return string(VerifySize), nil
	}
	how, err = verifyRemote(ctx, o, s.name, local, s.total())
	if errors.Is(err, errUnseen) && o.env.Sync.Direct && s.result.Confirmed {
		s.unseen = true
		return fmt.Sprintf("final reply, after %d bytes", s.result.Bytes), nil
	}
	if err == nil && !s.result.Confirmed {
		how += afterLoss
	}
	return how, err
}

// verifiesSize: nothing but sizes is compared.
func (o *op) verifiesSize() bool { return o.env.Sync.Verify == VerifySize || o.env.Sync.Verify == "" }

// afterLoss is how it was verified, too, where the final reply was lost.
const afterLoss = ", on a new connection as the final reply was lost"

// verifyRemote makes sure that the file p on the server is the first size bytes of local, in the way that the sync asks for, and
// says how it did: "size", "sha-256", "reread". The error is errSize or errContent if it is not.
func verifyRemote(ctx context.Context, o *op, p string, local io.ReaderAt, size int64) (how string, err error) {
	if err := o.verifySize(ctx, p, size); err != nil {
		return "", err
	}
	switch o.env.Sync.Verify {
	case VerifyHash:
		return o.verifyHash(ctx, p, local, size)
	case VerifyReread:
		return "reread", o.reread(ctx, p, local, 0, size)
	}
	return "size", nil
}

func (o *op) verifySize(ctx context.Context, p string, want int64) error {
	size, err := o.conn.Size(ctx, p)
	if o.refusesToTell(err) {
		// No SIZE on this server, or no such file: any other way of asking tells which.
		now, found, statErr := o.conn.StatFile(ctx, p)
		switch {
		case statErr == nil && found:
			size, err = now.Size, nil
		case (o.env.Sync.Direct || !IsAbsent(err)) && (statErr == nil || o.refusesToTell(statErr)):
			if now, found, statErr = o.listed(ctx, p); found || o.env.Sync.Direct && statErr != nil {
				size, err = now.Size, statErr
			}
		}
	}
	if errors.Is(err, errUnseen) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSize, err)
	}
	if size != want {
		return fmt.Errorf("%w: sent %d, the server has %d", errSize, want, size)
	}
	return nil
}

// listed looks for a file that the server tells nothing about in its folder. One that it would not list either is a drop box.
func (o *op) listed(ctx context.Context, p string) (found list.Entry, ok bool, err error) {
	l, err := o.conn.List(ctx, path.Dir(p))
	if err != nil {
		if o.refusesToTell(err) {
			err = fmt.Errorf("%w: %w", errUnseen, err)
		}
		return list.Entry{}, false, err
	}
	for _, e := range l.Entries {
		if e.Name == path.Base(p) && e.Type == list.File && e.Size >= 0 {
			return e, true, nil
		}
	}
	return list.Entry{}, false, nil
}

// verifyHash compares the best hash that the server computes. One that computes none, or refuses to, leaves the size.
func (o *op) verifyHash(ctx context.Context, p string, local io.ReaderAt, size int64) (how string, err error) {
	reason := "no hash offered"
	for _, algorithm := range o.conn.Hashes() {
		theirs, err := o.conn.Hash(ctx, p, algorithm)
		if o.refusesToTell(err) {
			reason = "hash refused"
			continue
		}
		if err != nil {
			return "", err
		}
		function := algorithm.New()
		if n, err := copyAll(ctx, function, io.NewSectionReader(local, 0, size)); err != nil || n != size {
			return "", fmt.Errorf("%w: %w", errLocalRead, errors.Join(err, shortRead(n, size)))
		}
		if ours := function.Sum(nil); !bytes.Equal(ours, theirs) {
			return "", fmt.Errorf("%w: its %s is %x, not %x", errContent, algorithm, theirs, ours)
		}
		return strings.ToLower(string(algorithm)), nil
	}
	return "size (" + reason + ")", nil
}

func shortRead(n, size int64) error {
	if n < size {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// reread downloads the file p from a byte on and compares it with local.
func (o *op) reread(ctx context.Context, p string, local io.ReaderAt, from, size int64) error {
	transfer, err := o.conn.Retrieve(ctx, p, from)
	if err != nil {
		return err
	}
	compare := &comparer{local: local, size: size, at: from}
	if _, err := copyAll(ctx, compare, transfer); err != nil {
		transfer.Abort(ctx)
		return err
	}
	if _, err := transfer.Finish(ctx); err != nil {
		return err
	}
	if compare.at != size {
		return fmt.Errorf("%w: %d bytes came back, not %d", errContent, compare.at-from, size-from)
	}
	return nil
}

// comparer is an io.Writer that takes the first size bytes of local and nothing else.
type comparer struct {
	local    io.ReaderAt
	size, at int64
	buffer   []byte
}

func (c *comparer) Write(p []byte) (int, error) {
	if c.at+int64(len(p)) > c.size {
		return 0, fmt.Errorf("%w: more than %d bytes came back", errContent, c.size)
	}
	if len(c.buffer) < len(p) {
		c.buffer = make([]byte, len(p))
	}
	ours := c.buffer[:len(p)]
	if n, err := c.local.ReadAt(ours, c.at); n < len(ours) {
		return 0, fmt.Errorf("%w: %w", errLocalRead, err)
	}
	for i := range p {
		if p[i] != ours[i] {
			return i, fmt.Errorf("%w: at byte %d", errContent, c.at+int64(i))
		}
	}
	c.at += int64(len(p))
	return len(p), nil
}
