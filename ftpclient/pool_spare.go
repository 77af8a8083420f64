package ftpclient

import "time"

// Spare is how many connections may be lent now without anybody waiting for one: those that are idle, and those that may be made
// as far as the limits go which are known.
func (p *Pool) Spare() int {
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

// Wanted reports whether somebody waits for a connection.
func (p *Pool) Wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0
}

// LoginCost is what the newest connection has cost: the login alone, and a round trip. Zero before the first one.
type LoginCost struct{ Login, Turn time.Duration }

// LoginCost returns what the newest connection has cost.
func (p *Pool) LoginCost() LoginCost {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cost
}

// Open is how many connections there are, those included that are being made.
func (p *Pool) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lent) + len(p.idle) + p.opening
}
