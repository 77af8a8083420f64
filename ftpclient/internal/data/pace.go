package data

import (
	"errors"
	"net"
	"time"

	"golang.org/x/time/rate"
)

// ErrRate is wrapped when a limiter never lets a byte through.
var ErrRate = errors.New("rate limit lets nothing through")

// Pace slows the connection down: each byte needs leave from all limiters of its direction.
// It must be called before the first byte moves. A limiter may be shared between
// connections.
func (g *Guarded) Pace(in, out []*rate.Limiter) {
	g.in.limiters, g.out.limiters = in, out
}

// NewLimiter limits to so many bytes a second. Its burst is a small part of a second's worth,
// so that bytes keep moving and no side takes the connection for dead.
func NewLimiter(bytesPerSecond int64) *rate.Limiter {
	const largest = 256 << 10
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/16, 1), largest)))
}

// pacer waits for leave to move bytes in one direction. What has moved is charged at once
// and waited for before more may move, so that no byte is held back and the end of a file
// costs what it weighs. It knows no context: what ends a transfer closes its connection, and
// that ends the wait.
type pacer struct {
	limiters []*rate.Limiter
	until    time.Time // before then, nothing may move
	waited   time.Duration
}

// piece is how many bytes may move at once, of so many wanted.
func (p *pacer) piece(wanted int) int {
	for _, l := range p.limiters {
		if l.Limit() != rate.Inf {
			wanted = min(wanted, max(l.Burst(), 1))
		}
	}
	return wanted
}

// charge notes that n bytes have moved.
func (p *pacer) charge(n int) error {
	now := time.Now()
	for n > 0 && len(p.limiters) > 0 {
		piece := p.piece(n)
		n -= piece
		for _, l := range p.limiters {
			reservation := l.ReserveN(now, piece)
			if !reservation.OK() {
				return ErrRate
			}
			if at := now.Add(reservation.DelayFrom(now)); at.After(p.until) {
				p.until = at
			}
		}
	}
	return nil
}

// wait returns when more bytes may move, or with net.ErrClosed.
func (p *pacer) wait(closed <-chan struct{}) error {
	if len(p.limiters) == 0 {
		return nil
	}
	delay := time.Until(p.until)
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	p.waited += delay
	select {
	case <-timer.C:
		return nil
	case <-closed:
		return net.ErrClosed
	}
}
