package ftpclient

import "time"

// PoolUse is how a Pool stands at one moment.
type PoolUse struct {
	// Open connections, those among them that are Lent, and the Limit of what is open at a time, as far as it is known.
	Open, Lent, Limit int
	// LastUsed is when one was last lent or given back; zero if none was.
	LastUsed time.Time
}

// Use returns how the pool stands.
func (p *Pool) Use() PoolUse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolUse{Open: len(p.lent) + len(p.idle), Lent: len(p.lent), Limit: min(p.limit, p.options.Max), LastUsed: p.usedAt}
}

// Use is Pool.Use of all addresses together; the limit is that of the one in use.
func (a *Addresses) Use() PoolUse {
	all := PoolUse{Limit: a.current().Use().Limit}
	for _, pool := range a.pools {
		use := pool.Use()
		all.Open, all.Lent = all.Open+use.Open, all.Lent+use.Lent
		if use.LastUsed.After(all.LastUsed) {
			all.LastUsed = use.LastUsed
		}
	}
	return all
}

// present is how many connections there are for sure, which tells what the server takes: it may have let another one in for one that
// has ended and is not back yet.
func (p *Pool) present() int {
	n := 0
	for conn := range p.lent {
		if !conn.ended() {
			n++
		}
	}
	for _, c := range p.idle {
		if !c.conn.ended() {
			n++
		}
	}
	return n
}

// adopt takes over from all what a connection that was idle has to know of the others, and returns with it what the pool knows of this one.
func (c *Conn) adopt(known, all Facts) Facts {
	c.adoptEncoding(all.Encoding)
	known.Encoding = c.facts.Encoding
	c.facts.NoSegments, c.facts.SegmentsLearned = all.NoSegments, all.SegmentsLearned
	known.NoSegments, known.SegmentsLearned = all.NoSegments, all.SegmentsLearned
	return known
}

// brokenOff notes that a connection was given up while it was being made. The server may have begun to count it; and a limit that was
// learned meanwhile does not tell whether the server would have taken this one.
func (p *Pool) brokenOff() {
	p.closedAt = time.Now()
	if p.present()+p.opening >= p.limit {
		p.raiseAt = p.closedAt
	}
}
