package ftpclient

import (
	"context"
	"net"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

const (
	// leavePatience is how long a server may take to answer the QUIT of a control connection
	// that is going to be replaced.
	leavePatience = 500 * time.Millisecond
	// busyPatience is for how long a server that counts too many connections is asked again: it
	// may count the one that was just given up.
	busyPatience = 10 * time.Second
)

// reconnect replaces the control connection by a new one, in place: whoever holds the Conn keeps
// it. A server may wait for a minute for a data connection that did not come to be, and hear
// nothing meanwhile. What was learned stays; what the old connection was told (current folder,
// MODE, OPTS HASH) has to be told anew.
func (c *Conn) reconnect(ctx context.Context) error {
	c.running.takeReady().Close()
	c.control.Quit(leavePatience)
	fresh, err := c.redialPatiently(ctx)
	if err != nil {
		if e, ok := err.(*Error); ok && e.Facts != nil {
			c.facts = *e.Facts
		}
		if ended := control.Ended(ctx); ended != nil {
			return &Error{Op: "connect", Path: c.address, Err: ended}
		}
		return err
	}
	if !c.running.adopt(c, fresh) {
		fresh.control.Close()
		return &Error{Op: "connect", Path: c.address, Err: net.ErrClosed}
	}
	moved := c.endpoint.Local.Addr() != fresh.endpoint.Local.Addr()
	c.endpoint, c.tls, c.leaf, c.session = fresh.endpoint, fresh.tls, fresh.leaf, fresh.session
	c.features, c.system, c.utf8, c.facts = fresh.features, fresh.system, fresh.utf8, fresh.facts
	c.wishes, c.naming = fresh.wishes, fresh.naming
	c.deflating, c.hashing, c.proven = false, "", nil
	if moved {
		c.outlook = outlook{}
	}
	return nil
}

// adopt puts the control connection of fresh in the place of that of c, unless c is closed.
func (r *running) adopt(c, fresh *Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	c.control = fresh.control
	return true
}

// redialPatiently is Redial, again and again for a while if the server counts too many connections.
func (c *Conn) redialPatiently(ctx context.Context) (*Conn, error) {
	begun := time.Now()
	for {
		fresh, err := c.Redial(ctx)
		if err == nil || Classify(err) != ClassBusy || time.Since(begun) > busyPatience {
			return fresh, err
		}
		select {
		case <-time.After(lingerDelay):
		case <-ctx.Done():
			return nil, err
		}
	}
}
