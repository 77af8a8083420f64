package ftpclient

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrUnconfirmed: everything went through, and the control connection died or stayed
	// silent before the server's verdict. The file may well be complete.
	ErrUnconfirmed = errors.New("transfer not confirmed by the server")
	// ErrMismatch: what the server holds is not what it has to be.
	ErrMismatch = errors.New("not what was expected")
)

// VerifySize asks whether the file p has size bytes, by SIZE. The error wraps ErrMismatch if
// it has not. After ErrUnconfirmed and a new Dial, this is what tells whether an upload has
// arrived; SamePrefix and Hash tell more.
func (c *Conn) VerifySize(ctx context.Context, p string, size int64) error {
	got, err := c.Size(ctx, p)
	if err != nil {
		return err
	}
	if got != size {
		return &Error{Op: "verify", Path: p, Err: fmt.Errorf("%w: %d bytes, not %d", ErrMismatch, got, size)}
	}
	return nil
}
