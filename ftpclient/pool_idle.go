package ftpclient

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

const (
	// idleMargin is how long before the server would a connection is closed.
	idleMargin = 30 * time.Second
	// checkPatience bounds the wait for the sign of life of an idle connection: if a NAT on
	// the way has forgotten it, there will be none.
	checkPatience = 5 * time.Second
)

// alive finds out whether a connection that was idle can be used.
func (p *Pool) alive(ctx context.Context, c idleConn) bool {
	if !c.conn.Usable() {
		return false
	}
	if time.Since(c.since) < p.options.CheckAfter {
		return true
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkPatience, ErrTimeout)
	defer cancel()
	// A server without NOOP is alive, too.
	return Classify(c.conn.Noop(ctx)) != ClassConnection && c.conn.Usable()
}

// replace turns the place of a connection that is dead into one for a new connection, and
// learns from how it died.
func (p *Pool) replace(c idleConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lent, c.conn)
	p.opening++
	p.closedAt = time.Now()
	var last *control.ClosingError
	if !errors.As(c.conn.control.Err(), &last) || !saysAny(last.Reply.Text(), "timeout", "timed out", "time-out", "idle", "inactiv", "no activity") {
		return
	}
	idle := idleLimit(last.Reply.Text())
	if idle <= 0 {
		idle = time.Since(c.since)
	}
	p.facts.IdleLimit = shorter(p.facts.IdleLimit, max(1, Seconds(idle/time.Second)))
}

// idleTime is how long a connection is kept without use.
func (p *Pool) idleTime() time.Duration {
	limit := p.facts.IdleLimit.Duration()
	if limit <= 0 {
		return p.options.IdleTimeout
	}
	return min(p.options.IdleTimeout, max(limit-idleMargin, limit/2))
}

// shorter is the shorter one of two limits, 0 being none.
func shorter(a, b Seconds) Seconds {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// tick closes connections that were idle for long enough, and serves those who wait.
func (p *Pool) tick() {
	defer p.timers.Done()
	p.mu.Lock()
	now, expired := time.Now(), 0
	for expired < len(p.idle) && now.Sub(p.idle[expired].since) >= p.idleTime() {
		expired++
	}
	conns := p.takeIdle(expired)
	p.turn()
	p.mu.Unlock()
	if len(conns) > 0 {
		p.close(conns...)
	}
}

// takeIdle takes the n longest idle connections out, to be closed.
func (p *Pool) takeIdle(n int) []*Conn {
	conns := make([]*Conn, n)
	for i, c := range p.idle[:n] {
		conns[i] = c.conn
	}
	p.idle = slices.Delete(p.idle, 0, n)
	p.closing += n
	return conns
}

// retire closes the connections that are idle, and those that are lent when they come back, until somebody wants one again.
func (p *Pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.retired {
		return
	}
	p.retired = true
	if idle := p.takeIdle(len(p.idle)); len(idle) > 0 {
		p.timers.Go(func() { p.close(idle...) })
	}
	p.turn()
}
