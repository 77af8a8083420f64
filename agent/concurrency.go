package agent

import (
	"fmt"
	"math"
	"time"
)

const (
	// A window is measured for so long at least, until so many files are done, and given up when that takes too long.
	windowTime  = 5 * time.Second
	windowFiles = 100
	windowMost  = 3 * time.Minute
	// settling is how long another number of transfers has to last before it counts: a login may belong to it.
	settling = time.Second
	// For so long, and for so many times a window, transfers are measured before fewer of them are tried. So what takes less time than
	// that meets no trial, and what one in vain costs stays below 2 %. The time doubles with each of those in a row.
	trialPatience = 30 * time.Second
	trialSparsity = 10
	trialDoubles  = 6
	// A trial is a window with the step and one without it, again and again: so many times at least and at most.
	leastPairs = 4
	mostPairs  = 12
	// raiseAfter is how long fewer do before one more is tried, and proofLasts for how long what was found out holds while nothing is measured.
	raiseAfter = 10 * time.Minute
	proofLasts = 10 * time.Minute
	// Fewer transfers do as well as more if they move so much of what those do, give or take some, and one more pays if it moves so much. A
	// trial of fewer is over as soon as they move plainly less.
	asWell  = 0.98
	doubt   = 0.03
	pays    = 1.05
	plainly = 0.85
	// leanTurns is how many round trips a small file takes at most where nothing else takes time. As long as files do,
	// each connection adds as much as the others, and nothing has to be tried. What is shorter than farTurn may as well be the load of a
	// machine near by.
	leanTurns = 5
	farTurn   = 20 * time.Millisecond
)

// concurrency finds out how many transfers at a time are worth it at a server: all that may be, until fewer were proven to move as many
// files and as many bytes. The zero value knows nothing.
//
// On a line whose round trips are the limit, n connections move n times as much. Where the server or the bandwidth is the limit, fewer move
// as much, and are kinder to the server. Which of them it is shows only if the number changes. So now and then one transfer less is tried, or one
// more: windows with and without it alternate, so that a load that comes and goes misleads nobody.
type concurrency struct {
	fewer  int // so many do as well as all; 0: all are worth it
	of     int // how many all were, when fewer were tried first
	trial  trial
	window yield         // what is being measured
	steady time.Duration // how much was measured since the last trial
	vain   int           // trials of fewer in a row that proved nothing
	raised time.Time     // when one more was tried last, or fewer became enough
	proven time.Time     // when a window was complete last

	at   time.Time // of the last moment
	busy int       // from then on
}

// moment is what was done since the one before, and how it goes on.
type moment struct {
	now   time.Time
	files int
	bytes int64
	busy  int           // transfers under way from now on
	most  int           // how many there may be
	turn  time.Duration // a round trip; 0: unknown
}

// trial compares a number of transfers with one more or one less.
type trial struct {
	step         int   // 1 or -1; 0: there is none
	from         int   // the number without the step
	before, with yield // the last window without it, and the one with it that has followed
	pairs        int
	sum, squares float64 // of how much is moved with the step, of what is without it
}

// number is how many transfers there are to be now.
func (t trial) number() int {
	if t.with.took == 0 {
		return t.from + t.step
	}
	return t.from
}

// result is the mean, and how far from it the truth may be.
func (t trial) result() (mean, error float64) {
	n := float64(max(t.pairs, 1))
	mean = t.sum / n
	return mean, 2 * math.Sqrt(max(t.squares/n-mean*mean, 0)/max(n-1, 1))
}

// worth is how many transfers, of most, are worth it at a time; at least one.
func (c concurrency) worth(now time.Time, most int) int {
	worth := most
	switch {
	case c.isFree(now) || most > c.of:
	case c.trial.step != 0:
		worth = c.trial.number()
	default:
		worth = c.fewer
	}
	return max(min(worth, most), 1)
}

// isFree reports whether all transfers are worth it that there may be.
func (c concurrency) isFree(now time.Time) bool {
	return c.fewer == 0 && c.trial.step == 0 || now.Sub(c.proven).Abs() >= proofLasts
}

// after is what is known after a moment. why, if not "", says what was found out.
func (c concurrency) after(s moment) (_ concurrency, why string) {
	took, busy := s.now.Sub(c.at), c.busy
	if s.now.Sub(c.proven).Abs() >= proofLasts {
		if c.fewer > 0 {
			why = "nothing was measured for long"
		}
		c = concurrency{proven: s.now}
	}
	if !c.isFree(s.now) && s.most > c.of {
		c, why = concurrency{proven: s.now}, "there may be more than were compared"
	}
	c.at, c.busy = s.now, s.busy
	number := c.worth(s.now, s.most)
	switch late := s.now.Sub(c.window.began).Abs() > windowMost; {
	case late && c.trial.step != 0:
		return c.end(s, false), "a trial has taken too long"
	case late, c.trial.step == 0 && c.window.busy < number:
		c.window = newYield(number, s.now)
	}
	if busy != c.window.busy || took <= 0 || took > maxSleep {
		return c, why // too little to do, or what has begun with another number is still under way
	}
	if c.window.skip > 0 {
		c.window.skip -= took
		return c, why
	}
	c.steady += took
	c.window = c.window.and(yield{took: took, files: s.files, bytes: s.bytes})
	if c.window.took < windowTime || c.window.files < windowFiles {
		return c, why
	}
	c.proven = s.now // not before: what takes so long that nothing can be measured must not keep what was found out with other files
	if c.trial.step != 0 {
		return c.compared(s)
	}
	window := c.window
	c.window = newYield(number, s.now)
	if step := c.next(s, window); step != 0 {
		if window.busy != c.fewer {
			c.of = window.busy
		}
		c.trial = trial{step: step, from: window.busy, before: window}
		c.window = newYield(c.trial.number(), s.now)
	}
	return c, why
}

// next is the step that is to be tried after a window, 0 if none is.
func (c concurrency) next(s moment, window yield) int {
	each := window.took * time.Duration(window.busy) / time.Duration(window.files)
	switch {
	case c.fewer > 0 && window.busy < s.most && s.now.Sub(c.raised).Abs() >= raiseAfter:
		return 1
	case s.turn >= farTurn && each <= leanTurns*s.turn:
		return 0
	case window.busy > 1 && c.steady >= max(trialPatience, trialSparsity*window.took)<<min(c.vain, trialDoubles):
		return -1
	}
	return 0
}

// compared goes on with a trial after a window.
func (c concurrency) compared(s moment) (_ concurrency, why string) {
	t := &c.trial
	if t.with.took == 0 {
		t.with = c.window
		c.window = newYield(t.number(), s.now)
		return c, ""
	}
	part := t.with.of(t.before.and(c.window))
	t.before, t.with = c.window, yield{}
	t.pairs, t.sum, t.squares = t.pairs+1, t.sum+part, t.squares+part*part
	worked, over := t.verdict(part)
	if !over {
		c.window = newYield(t.number(), s.now)
		return c, ""
	}
	mean, error := t.result()
	why = fmt.Sprintf("%d at a time move %.0f%% ± %.0f%% of what %d do", t.from+t.step, 100*mean, 100*error, t.from)
	return c.end(s, worked), why
}

// verdict is what a trial has led to, once it is over; last is what came of the last pair.
func (t trial) verdict(last float64) (worked, over bool) {
	mean, error := t.result()
	need, least := pays, 1.0
	if t.step < 0 {
		need, least = asWell, asWell-doubt
	}
	switch {
	case t.step < 0 && last < plainly:
		return false, true
	case t.pairs < leastPairs:
		return false, false
	case mean >= need && mean-error >= least:
		return true, true
	}
	return false, t.pairs == mostPairs || mean+error < need
}

// end is the end of a trial.
func (c concurrency) end(s moment, worked bool) concurrency {
	t := c.trial
	c.trial, c.window, c.steady = trial{}, yield{}, 0
	if t.step > 0 {
		c.raised = s.now
	}
	switch {
	case worked:
		c.fewer, c.vain, c.raised = t.from+t.step, 0, s.now
		if t.step > 0 {
			c.raised = time.Time{} // another one may pay too
		}
		if c.fewer >= s.most {
			c.fewer = 0
		}
	case t.step < 0:
		c.vain++
	}
	return c
}

// yield is what so many transfers at a time have moved.
type yield struct {
	busy  int
	began time.Time
	skip  time.Duration // what does not count yet
	took  time.Duration
	files int
	bytes int64
}

func newYield(busy int, now time.Time) yield { return yield{busy: busy, began: now, skip: settling} }

// and adds what others have moved, in their time.
func (y yield) and(other yield) yield {
	y.busy = max(y.busy, other.busy)
	y.took, y.files, y.bytes = y.took+other.took, y.files+other.files, y.bytes+other.bytes
	return y
}

// of is how much it is of another one, as the mean of files and bytes.
func (y yield) of(other yield) float64 {
	scale := float64(other.took) / float64(max(y.took, 1))
	files := scale * float64(y.files) / float64(max(other.files, 1))
	if other.bytes == 0 { // empty files
		return files
	}
	return (files + scale*float64(y.bytes)/float64(other.bytes)) / 2
}
