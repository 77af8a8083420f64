package work

import (
	"math"
	"time"
)

const (
	// leastSegmented is how much of a file has to be left, and shortLine how fast a server answers to which one stream is never too
	// slow: what limits that is the window of TCP, which holds up long lines alone.
	leastSegmented = 16 << 20
	shortLine      = 10 * time.Millisecond
	// segmentLook is the time over which a rate is taken.
	segmentLook = 250 * time.Millisecond
	// setUpTurns is about how many round trips a connection more costs until its data come: opening, TLS, login, port, command.
	setUpTurns = 12
)

// segmentStep is what to do after a look at the rate.
type segmentStep uint8

const (
	segmentWait segmentStep = iota
	segmentSplit
	segmentJoin // segments have not helped
)

// segmentPace decides from the rate of a download when it goes on in segments, and whether that helps.
type segmentPace struct {
	turn  time.Duration // of the line
	rates []float64     // in bytes a second, of the looks before
	alone float64       // the rate of the one stream; 0 before the split
	over  bool
}

// look takes the rate since the look before, of all streams, and how much is left.
func (p *segmentPace) look(rate float64, left int64) segmentStep {
	p.rates = append(p.rates, rate)
	n := len(p.rates)
	switch {
	case p.over:
	case p.alone == 0:
		if n < 3 {
			return segmentWait
		}
		now := max(p.rates[n-1], p.rates[n-2])
		// What a connection more costs has to come back.
		worth := max(time.Second, 3*setUpTurns/2*p.turn).Seconds() * now
		if now <= 0 || p.rates[n-1] > 1.1*p.rates[n-2] || float64(left) < worth {
			return segmentWait
		}
		p.alone, p.rates = now, nil
		return segmentSplit
	default:
		grace := int(math.Ceil(float64(time.Second+2*setUpTurns*p.turn) / float64(segmentLook)))
		if n < grace+4 {
			return segmentWait
		}
		p.over = true
		if (p.rates[n-1]+p.rates[n-2]+p.rates[n-3]+p.rates[n-4])/4 < 1.2*p.alone {
			return segmentJoin
		}
	}
	return segmentWait
}
