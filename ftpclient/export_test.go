package ftpclient

import (
	"cmp"
	"context"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// LimitListing sets the size at which a listing counts as hostile.
func (c *Conn) LimitListing(bytes int64) { c.listingLimit = bytes }

// SetPatience has the limits of other options count from now on, except those that are 0.
func (c *Conn) SetPatience(o Options) {
	c.options.ReplyTimeout = cmp.Or(o.ReplyTimeout, c.options.ReplyTimeout)
	c.options.ConnectTimeout = cmp.Or(o.ConnectTimeout, c.options.ConnectTimeout)
	c.options.StallTimeout = cmp.Or(o.StallTimeout, c.options.StallTimeout)
	c.options.FinalReplyTimeout = cmp.Or(o.FinalReplyTimeout, c.options.FinalReplyTimeout)
}

// SetServer sets what kind of server this is taken for.
func (c *Conn) SetServer(kind string) { c.facts.Server = kind }

// TakeBackREST ends a REST that was not used up.
func (c *Conn) TakeBackREST(ctx context.Context) {
	c.takeBackREST(ctx, request{op: "retrieve", path: "/f"})
}

// System is the answer to SYST.
func (c *Conn) System() string { return c.system }

// ParseDigest finds a hash in the last line of a reply about the file p.
func ParseDigest(line, p string, size int) []byte {
	return parseDigest(control.Reply{Code: 250, Lines: []string{line}}, p, size)
}

// ParseHASH reads the last line of a reply to HASH.
func ParseHASH(line string, a Algorithm, length int64) []byte {
	return parseHASH(control.Reply{Code: 213, Lines: []string{line}}, a, length)
}

// Age makes all that is remembered of ways older, for tests of sessions that last for days.
func (c *Conn) Age(by time.Duration) {
	for i := range c.facts.Channels {
		c.facts.Channels[i].Since -= int64(by / time.Second)
	}
}

// AgeProofs makes all that was seen to work that much older.
func (c *Conn) AgeProofs(by time.Duration) {
	for i := range c.proven {
		c.proven[i].last = c.proven[i].last.Add(-by)
	}
}

// EndsEarly reports whether this side of a download has ended as soon as it was open.
func (t *Transfer) EndsEarly() bool { return t.endsEarly() }

// BufferSizes are those of what transfers are copied by, and of what lies below TLS.
func (c *Conn) BufferSizes() (copying, below int) { return len(c.buffer), len(c.batchBuffer) }
