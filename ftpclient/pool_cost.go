package ftpclient

import "time"

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

// LoginCost is what the newest connection to the address in use has cost.
func (a *Addresses) LoginCost() LoginCost { return a.current().LoginCost() }

// Open is how many connections to the address in use there are; see Pool.Open.
func (a *Addresses) Open() int { return a.current().Open() }
