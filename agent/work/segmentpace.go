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
	// segmentLook is the time over which a rate is taken at most, and shortLook at least: a round trip, in which a stream that still
	// gets faster doubles its rate.
	segmentLook = 250 * time.Millisecond
	shortLook   = 50 * time.Millisecond
	// startTurns is about how many round trips a stream is behind one that is at full speed: port and command, or a login too, and
	// what it takes TCP to get there.
	startTurns = 12
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
	every time.Duration // how long it is between looks, at least
	rates []float64     // in bytes a second, of the looks before
	alone float64       // the rate of the one stream; 0 before the split
	over  bool
}

// newSegmentPace is for a line on which servers answer after turn.
func newSegmentPace(turn time.Duration) segmentPace {
	return segmentPace{turn: turn, every: max(shortLook, min(turn, segmentLook))}
}

// look takes the rate since the look before, of all streams, and how much is left. It never says to split unless others are ready.
func (p *segmentPace) look(rate float64, left int64, ready bool) segmentStep {
	p.rates = append(p.rates, rate)
	switch {
	case p.over:
	case p.alone == 0:
		return p.split(left, ready)
	default:
		settled, window := p.looks(time.Second+2*startTurns*p.turn), p.looks(time.Second)
		if len(p.rates) < settled+window {
			return segmentWait
		}
		p.over = true
		if average(p.rates[len(p.rates)-window:]) < 1.2*p.alone {
			return segmentJoin
		}
	}
	return segmentWait
}

// split is the look at a stream that is alone: it has to have come to its full speed, and to have enough left for others to catch up.
func (p *segmentPace) split(left int64, ready bool) segmentStep {
	n := len(p.rates)
	if n < 3 || !ready {
		return segmentWait
	}
	now, before := p.rates[n-1], p.rates[n-2]
	full := max(now, before)
	worth := max(time.Second, startTurns*p.turn).Seconds() * full
	if full <= 0 || now > 1.3*before || float64(left) < worth {
		return segmentWait
	}
	p.alone, p.rates = full, nil
	return segmentSplit
}

// looks is how many of them take that long.
func (p *segmentPace) looks(d time.Duration) int {
	return int(math.Ceil(float64(d) / float64(p.every)))
}

func average(rates []float64) (average float64) {
	for _, rate := range rates {
		average += rate / float64(len(rates))
	}
	return average
}
