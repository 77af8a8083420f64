package work

import "time"

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
	own   []float64     // rates of the stream of the file itself at the last looks, in bytes a second
	best  float64       // rate of that one stream over some looks, alone or beside others that have not come to their speed yet
	begun bool          // it was split
	over  bool

	beside   time.Duration // since the split
	measured time.Duration // of that, when all streams had come to their speed
	came     float64       // bytes, meanwhile
}

// newSegmentPace is for a line on which servers answer after turn.
func newSegmentPace(turn time.Duration) segmentPace {
	return segmentPace{turn: turn, every: max(shortLook, min(turn, segmentLook))}
}

// look takes the rates in the time since the look before, of the stream of the file itself and of all of them, and how much is left of
// the first one. It never says to split unless others are ready.
func (p *segmentPace) look(since time.Duration, own, all float64, left int64, ready bool) segmentStep {
	const steady = 4 // looks: in a single one, all that was held up somewhere may come at once
	if p.over {
		return segmentWait
	}
	if p.own = append(p.own, own); len(p.own) >= steady {
		p.own = p.own[len(p.own)-steady:]
		p.best = max(p.best, average(p.own))
	}
	if !p.begun {
		return p.split(left, ready)
	}
	if p.beside += since; p.beside < time.Second+2*startTurns*p.turn {
		return segmentWait
	}
	p.measured += since
	p.came += all * since.Seconds()
	if p.measured < time.Second {
		return segmentWait
	}
	p.over = true
	if p.came/p.measured.Seconds() < 1.2*p.best {
		return segmentJoin
	}
	return segmentWait
}

// split is the look at a stream that is alone. Others have to have time to catch up; and of a file that is not so large it has to
// have come to its full speed.
func (p *segmentPace) split(left int64, ready bool) segmentStep {
	n := len(p.own)
	if n < 3 || !ready {
		return segmentWait
	}
	now, before := p.own[n-1], p.own[n-2]
	full := max(now, before)
	worth := max(time.Second, startTurns*p.turn).Seconds() * full
	if full <= 0 || now > 1.3*before && left < leastWarmed || float64(left) < worth {
		return segmentWait
	}
	p.begun = true
	return segmentSplit
}

func average(rates []float64) (average float64) {
	for _, rate := range rates {
		average += rate / float64(len(rates))
	}
	return average
}
