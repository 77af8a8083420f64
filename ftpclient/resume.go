package ftpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

const (
	// seam is how much is read back to prove that bytes are where they belong.
	seam = 64 << 10
	// overlap is how much of a download is read a second time when it is resumed.
	overlap = 4 << 10
)

// What Facts.StoreRestart and Facts.Appending say.
const (
	resumeWorks   = "works"
	resumeRefused = "refused"
	resumeBroken  = "broken"
)

// ResumeStore starts to upload the rest of source, size bytes in all, to the file p, of which
// an earlier attempt has left a part. The caller uploads source from offset on and calls
// Finish, which also asks whether the file has its size in the end.
//
// offset is 0, and the upload starts anew, where the part is no true beginning of source
// (SamePrefix), where that cannot be proven, or where the server resumes no upload. It goes on
// by REST and STOR, else by APPE, never by both. The first resumed upload to a server is
// looked at where old and new bytes meet; if they are wrong, Finish says ErrMismatch, and the
// next upload does without (see Facts.StoreRestart). The file must be one that nobody else
// uses: a temporary name.
func (c *Conn) ResumeStore(ctx context.Context, p string, source io.ReaderAt, size int64) (t *Transfer, offset int64, err error) {
	offset, err = c.storedPrefix(ctx, p, source, size)
	if err != nil {
		return nil, 0, err
	}
	var refused []*string
	type way struct {
		fact *string
		r    request
	}
	ways := []way{
		{&c.facts.StoreRestart, request{op: "store", path: p, verb: "STOR", named: true, offset: offset, upload: true}},
		{&c.facts.Appending, request{op: "append", path: p, verb: "APPE", named: true, upload: true}},
	}
	for _, w := range ways {
		if offset == 0 || *w.fact != "" && *w.fact != resumeWorks {
			continue
		}
		t, err = c.start(ctx, w.r)
		var refusal *Error
		if errors.As(err, &refusal) && refusal.Code >= 400 && c.Usable() {
			refused = append(refused, w.fact)
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		learnAll(refused, resumeRefused)
		t.check = c.resumedCheck(p, source, offset, size, w.fact)
		return t, offset, nil
	}
	t, err = c.Store(ctx, p, 0)
	if errors.Is(err, ErrOverwrite) { // it is the caller's own, and of no use
		if err = c.Remove(ctx, p); err == nil {
			t, err = c.Store(ctx, p, 0)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	learnAll(refused, resumeRefused) // and not because the file itself was refused
	t.check = func(ctx context.Context) error { return c.VerifySize(ctx, p, size) }
	return t, 0, nil
}

func learnAll(facts []*string, what string) {
	for _, fact := range facts {
		*fact = what
	}
}

// storedPrefix is how many bytes of source the file p proves to hold already.
func (c *Conn) storedPrefix(ctx context.Context, p string, source io.ReaderAt, size int64) (int64, error) {
	stored, err := c.Size(ctx, p)
	if err != nil || stored == 0 || stored > size || c.cannotResume() {
		return 0, c.unlessRefused(err)
	}
	same, err := c.SamePrefix(ctx, p, source, stored)
	if err != nil || !same {
		return 0, c.unlessRefused(err)
	}
	// Right before it goes on: a server that is told a wrong offset leaves a hole or repeats.
	now, err := c.Size(ctx, p)
	if err != nil || now != stored {
		return 0, c.unlessRefused(err)
	}
	return stored, nil
}

func (c *Conn) cannotResume() bool {
	unfit := func(fact string) bool { return fact == resumeRefused || fact == resumeBroken }
	return unfit(c.facts.StoreRestart) && unfit(c.facts.Appending)
}

// unlessRefused lets errors go that a transfer from the start can do without: refusals, not
// the loss of the connection nor errors of the source.
func (c *Conn) unlessRefused(err error) error {
	var e *Error
	if errors.As(err, &e) && (e.Code != 0 || errors.Is(err, ErrUnsupported)) && c.Usable() {
		return nil
	}
	return err
}

// resumedCheck is what Finish looks at after a resumed upload, and what it learns from that.
func (c *Conn) resumedCheck(p string, source io.ReaderAt, offset, size int64, fact *string) func(context.Context) error {
	return func(ctx context.Context) error {
		err := c.VerifySize(ctx, p, size)
		if err == nil && *fact == "" {
			err = c.sameSeam(ctx, p, source, offset, size)
			if err != nil && c.unlessRefused(err) == nil {
				return nil // it cannot be read back: the size has to do, and nothing is learned
			}
		}
		switch {
		case errors.Is(err, ErrMismatch):
			*fact = resumeBroken
		case err == nil && offset < size: // else nothing was sent, which proves nothing
			*fact = resumeWorks
		}
		return err
	}
}

// sameSeam compares the bytes around offset with those of source.
func (c *Conn) sameSeam(ctx context.Context, p string, source io.ReaderAt, offset, size int64) error {
	from := max(0, offset-seam/2)
	same, err := c.sameBytes(ctx, p, source, from, min(size-from, seam), from+seam < size)
	if err != nil {
		return err
	}
	if !same {
		return &Error{Op: "verify", Path: p, Err: fmt.Errorf("%w: other bytes than those sent around offset %d", ErrMismatch, offset)}
	}
	return nil
}

// SamePrefix reports whether the first length bytes of the file p are those of source: by
// the server's best hash where it has one, else by reading the last 64 KiB of them back.
func (c *Conn) SamePrefix(ctx context.Context, p string, source io.ReaderAt, length int64) (bool, error) {
	if length == 0 {
		return true, nil
	}
	size, err := c.Size(ctx, p)
	if err != nil {
		return false, err
	}
	if size < length {
		return false, nil
	}
	same, err := c.sameHash(ctx, p, source, length, size > length)
	if _, here := errors.AsType[localError](err); err == nil || here || !c.Usable() {
		return same, err
	}
	from := max(0, length-seam)
	return c.sameBytes(ctx, p, source, from, length-from, size > length)
}

// SameHashedPrefix is SamePrefix by the server's hash alone, which is of all of the bytes. The
// error is a refusal or wraps ErrUnsupported where the server computes none of them.
func (c *Conn) SameHashedPrefix(ctx context.Context, p string, source io.ReaderAt, length int64) (bool, error) {
	if len(c.Hashes()) == 0 {
		return false, errNoHash(p)
	}
	size, err := c.Size(ctx, p)
	if err != nil || size < length {
		return false, err
	}
	return c.sameHash(ctx, p, source, length, size > length)
}

func errNoHash(p string) error {
	return &Error{Op: "hash", Path: p, Err: fmt.Errorf("%w: the server offers none", ErrUnsupported)}
}

func (c *Conn) sameHash(ctx context.Context, p string, source io.ReaderAt, length int64, part bool) (bool, error) {
	offered := c.Hashes()
	if len(offered) == 0 {
		return false, errNoHash(p)
	}
	theirs, err := c.hash(ctx, p, offered[0], length, part)
	if err != nil {
		return false, err
	}
	ours, err := c.hashOfPrefix(ctx, offered[0], source, length)
	if err != nil {
		return false, &Error{Op: "hash", Path: p, Err: localError{err}}
	}
	return bytes.Equal(ours, theirs), nil
}

// hashOfPrefix hashes the first length bytes of source.
func (c *Conn) hashOfPrefix(ctx context.Context, a Algorithm, source io.ReaderAt, length int64) ([]byte, error) {
	function, buffer := a.New(), c.copyBuffer(length)
	for at := int64(0); at < length; {
		if err := control.Ended(ctx); err != nil {
			return nil, err
		}
		n, err := source.ReadAt(buffer[:min(length-at, int64(len(buffer)))], at)
		function.Write(buffer[:n])
		if at += int64(n); err != nil && at < length {
			return nil, fmt.Errorf("read the source at %d: %w", at, err)
		}
	}
	return function.Sum(nil), nil
}

// sameBytes reads a part of the file p back, of which more follows or nothing.
func (c *Conn) sameBytes(ctx context.Context, p string, source io.ReaderAt, from, count int64, more bool) (bool, error) {
	want := make([]byte, count)
	if n, err := source.ReadAt(want, from); n < len(want) {
		return false, &Error{Op: "verify", Path: p, Err: fmt.Errorf("read the source at %d: %w", from, err)}
	}
	t, err := c.Retrieve(ctx, p, from)
	if err != nil {
		return false, err
	}
	got := make([]byte, count+1) // to see the end
	if more {
		got = got[:count]
	}
	n, readError := io.ReadFull(t, got)
	if more {
		_, err = t.Stop(ctx)
	} else if errors.Is(readError, io.ErrUnexpectedEOF) || errors.Is(readError, io.EOF) {
		_, err = t.Finish(ctx)
	} else {
		t.Abort(ctx) // the file has become longer, or the server has ignored the offset
	}
	return err == nil && bytes.Equal(got[:n], want), err
}

// ResumeRetrieve starts to download the rest of the file p, of which the caller has the first
// length bytes in part. The caller puts what comes at offset: at length, or at 0 if the part is
// not the beginning of the file or the server cannot go on where it ends. The last few bytes
// of the part are retrieved once more and compared, because servers ignore offsets.
//
// size and modified are what the file looked like when part was retrieved; the error wraps
// ErrMismatch if it does not look so any more. A zero modified is not compared. Finish
// returns such an error, too, if other than size bytes come together.
func (c *Conn) ResumeRetrieve(ctx context.Context, p string, size int64, modified time.Time, part io.ReaderAt, length int64) (t *Transfer, offset int64, err error) {
	if err := c.VerifySize(ctx, p, size); err != nil {
		return nil, 0, err
	}
	if !modified.IsZero() {
		now, err := c.ModTime(ctx, p)
		if err != nil {
			return nil, 0, err
		}
		if !now.Truncate(time.Second).Equal(modified.Truncate(time.Second)) {
			return nil, 0, &Error{Op: "retrieve", Path: p, Err: fmt.Errorf("%w: changed at %s", ErrMismatch, now)}
		}
	}
	if length > overlap && length <= size {
		t, err = c.retrieveOverlap(ctx, p, part, length)
		if err != nil {
			return nil, 0, err
		}
		offset = length
	}
	if t == nil {
		if t, err = c.Retrieve(ctx, p, 0); err != nil {
			return nil, 0, err
		}
		offset = 0
	}
	t.check = func(context.Context) error {
		if offset+t.Bytes() != size {
			return &Error{Op: "retrieve", Path: p, Err: fmt.Errorf("%w: %d bytes came, not %d", ErrMismatch, offset+t.Bytes(), size)}
		}
		return nil
	}
	return t, offset, nil
}

// retrieveOverlap starts a download a little before the end of part and returns it when it
// has come to the end of that; nil if it did not come there by the bytes of part.
func (c *Conn) retrieveOverlap(ctx context.Context, p string, part io.ReaderAt, length int64) (*Transfer, error) {
	want, got := make([]byte, overlap), make([]byte, overlap)
	if n, err := part.ReadAt(want, length-overlap); n < len(want) {
		return nil, &Error{Op: "retrieve", Path: p, Err: fmt.Errorf("read what is there at %d: %w", length-overlap, err)}
	}
	t, err := c.Retrieve(ctx, p, length-overlap)
	if err != nil {
		return nil, c.unlessRefused(err)
	}
	if _, err := io.ReadFull(t, got); err != nil {
		_, err := t.Finish(ctx)
		return nil, c.unlessRefused(err)
	}
	if bytes.Equal(got, want) {
		t.moved.begin(time.Now())
		return t, nil
	}
	t.Abort(ctx)
	if !c.Usable() {
		return nil, &Error{Op: "retrieve", Path: p, Err: fmt.Errorf("%w: the bytes before offset %d", ErrMismatch, length)}
	}
	return nil, nil
}
