package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrNoAppend: the server takes nothing to the end of a file that is there, or not in a way that leaves alone what is in it.
// Nothing was sent.
var ErrNoAppend = errors.New("the server adds nothing to files")

// Extend starts to upload what source has behind offset, up to size, to the end of the file p, which has to have offset bytes
// (ErrMismatch otherwise, and nothing is sent). Unlike ResumeStore it never begins anew, so p may be a file that others read:
// that its bytes are those of source the caller knows, or asks SamePrefix. Finish tells ErrMismatch if the file has
// another size in the end or, the first time on a server, other bytes where old and new ones meet.
//
// It goes by APPE, which harms nothing whatever a server makes of it, and by REST and STOR only where that was seen to work: a
// server that ignores REST would replace the file. ErrNoAppend says that neither is to be had.
func (c *Conn) Extend(ctx context.Context, p string, source io.ReaderAt, offset, size int64) (*Transfer, error) {
	if err := c.VerifySize(ctx, p, offset); err != nil {
		return nil, err
	}
	if c.facts.Appending == "" || c.facts.Appending == resumeWorks {
		t, err := c.start(ctx, request{op: "append", path: p, verb: "APPE", named: true, upload: true})
		if err == nil {
			t.check = c.resumedCheck(p, source, offset, size, &c.facts.Appending)
			return t, nil
		}
		if class := Classify(err); class != ClassOffset && class != ClassPermanent || !c.Usable() {
			return nil, err
		} else if class == ClassOffset {
			c.facts.Appending = resumeRefused
		}
	}
	if c.facts.StoreRestart == resumeWorks {
		t, err := c.start(ctx, request{op: "store", path: p, verb: "STOR", named: true, offset: offset, upload: true})
		if err == nil {
			t.check = c.resumedCheck(p, source, offset, size, &c.facts.StoreRestart)
			return t, nil
		}
		if c.unlessRefused(err) != nil {
			return nil, err
		}
	}
	return nil, &Error{Op: "append", Path: p, Err: fmt.Errorf("%w: %w", ErrUnsupported, ErrNoAppend)}
}
