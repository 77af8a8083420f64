package trigger

import (
	"context"
	"time"
)

const (
	// pollPatience is how many looks in a row that found nothing double the time between them.
	pollPatience = 4
	// mostDoubled and longestPoll bound that.
	mostDoubled = 3
	longestPoll = time.Hour
)

// Poll asks for a look at both sides every now and then, because a server does not tell what changes there.
type Poll struct {
	Sync  string
	After time.Duration // how long the first one is put off: something else looks at the beginning
	// Every is the least time between two of them; it has to be positive.
	Every time.Duration
	// Next says, before each, when it is time, by what was found so far: see PollDelay.
	Next func(now time.Time) (time.Time, error)
}

// Run implements Trigger. It returns the errors of Next.
func (p Poll) Run(ctx context.Context, emit Emit) error {
	for wait := p.After + p.Every; pause(ctx, wait); {
		now := wallClock()
		next, err := p.Next(now)
		if err != nil {
			return err
		}
		if wait = min(next.Sub(now), lookAtClock); wait > 0 {
			continue
		}
		if err := emit(ctx, Event{Sync: p.Sync, Why: "poll", Regular: true, Poll: true}); err != nil {
			return emitted(ctx, err)
		}
		wait = p.Every
	}
	return nil
}

// PollDelay returns how long after a look that ended the next one is due, when the last unchanged of them have found nothing new on
// the server. It is every, doubled for each few of those up to 8 times that and an hour, give or take a tenth by a random share in
// [0, 1). One change resets it.
func PollDelay(every time.Duration, unchanged int, random float64) time.Duration {
	delay := every
	for doubled := 0; doubled < min(unchanged/pollPatience, mostDoubled) && delay < longestPoll; doubled++ {
		delay = min(2*delay, longestPoll)
	}
	return max(every, Jitter(delay, random))
}
