package ftpclient

import (
	"context"
	"time"
)

// spareListing is the same as maxListing for a connection that is lent as a spare one: there may be several of them, for what is only
// needed later.
const spareListing = 8 << 20

// Spare lends a connection that nobody else wants at the moment, which Put must get back: one that is idle, or a new one if there may be
// more. It does not wait for one and is nil without an error if there is none; nor is it the first to find out whether the server can be reached.
// Who has it should give it back as soon as it is Awaited. A listing of more than 8 MiB is ErrIncomplete.
func (p *Pool) Spare(ctx context.Context) (*Conn, error) {
	conn, err := p.getSpare(ctx)
	if conn != nil {
		conn.listingLimit = spareListing
	}
	return conn, err
}

func (p *Pool) getSpare(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &waiter{ready: make(chan grant, 1)}
	g, ok := p.spare(w, cancel)
	if !ok {
		return nil, nil
	}
	defer p.leave(w)
	if g.conn != nil {
		if p.alive(ctx, g) {
			return g.conn, nil
		}
		g.conn.Close()
		p.replace(g)
	}
	conn, err := p.open(ctx, w)
	if conn == nil && err == nil { // the server takes no more, and w would have to wait
		p.giveUp(w)
	}
	return conn, err
}

// spare takes an idle connection, or else the right to make one.
func (p *Pool) spare(w *waiter, cancel context.CancelCauseFunc) (g idleConn, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refusal != nil || len(p.waiting) > 0 || p.connected() == 0 {
		return idleConn{}, false
	}
	p.getting[w] = cancel
	p.waiting = append(p.waiting, w)
	p.turn()
	select {
	case granted := <-w.ready:
		return granted.idleConn, granted.err == nil
	default:
	}
	p.waiting = p.waiting[:0] // it was the only one
	delete(p.getting, w)
	p.turn()
	return idleConn{}, false
}

// Spares is how many connections Spare might lend now, one after the other: those that are idle, and those that may be made as far as the
// limits go which are known.
func (p *Pool) Spares() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refusal != nil || len(p.waiting) > 0 {
		return 0
	}
	spare := len(p.idle)
	if !time.Now().Before(p.quietUntil) {
		spare += max(0, p.limit-p.connected()-p.opening)
	}
	return spare
}

// Learned has the connections that are made from now on know what one that is lent has learned so far, before Put tells that. It is for
// the one who has it.
func (p *Pool) Learned(conn *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.lent[conn]; ok {
		p.lent[conn] = conn.Facts()
		p.learn(known, p.lent[conn])
	}
}

// Awaited reports whether somebody waits for a connection.
func (p *Pool) Awaited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0
}

// Spare is Pool.Spare for the address in use.
func (a *Addresses) Spare(ctx context.Context) (*Conn, error) {
	pool := a.current()
	conn, err := pool.Spare(ctx)
	if conn != nil && len(a.pools) > 1 {
		a.mu.Lock()
		a.lent[conn] = pool
		a.mu.Unlock()
	}
	return conn, err
}

// Learned is Pool.Learned for the address in use, which a connection by another one tells nothing about.
func (a *Addresses) Learned(conn *Conn) { a.current().Learned(conn) }

// Spares is Pool.Spares for the address in use.
func (a *Addresses) Spares() int { return a.current().Spares() }

// Awaited is Pool.Awaited for the address in use.
func (a *Addresses) Awaited() bool { return a.current().Awaited() }
