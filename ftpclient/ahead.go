package ftpclient

import "context"

// StoreAhead is Do of before, then Store of the whole file p, for one of many small files: Result.Size tells what SIZE says of it
// afterwards. more says that another such transfer follows soon. On servers that are known to stand it all that takes two round
// trips: before and the questions behind the transfer go in the write of its command, and the next data connection opens while this file is
// confirmed.
//
// What is stored must be under a name that nobody misses: the command is given before the data connection is there. The answers of
// before count when StoreAhead returns, also with an error; those that are ErrUnanswered still, when Finish does.
func (c *Conn) StoreAhead(ctx context.Context, before *Batch, p string, more bool) (*Transfer, error) {
	return c.startAhead(ctx, before, request{op: "store", path: p, verb: "STOR", named: true, upload: true}, more)
}

// RetrieveAhead is the same for Retrieve.
func (c *Conn) RetrieveAhead(ctx context.Context, before *Batch, p string, more bool) (*Transfer, error) {
	return c.startAhead(ctx, before, request{op: "retrieve", path: p, verb: "RETR", named: true}, more)
}

func (c *Conn) startAhead(ctx context.Context, before *Batch, r request, more bool) (*Transfer, error) {
	if err := before.Do(ctx); err != nil {
		return nil, err
	}
	return c.start(ctx, r)
}
