package plan

import "time"

const (
	// AgainAfter is how long a halt that is put off waits for the next look, at least.
	AgainAfter = 15 * time.Second
	// LongestPutOff is how long a halt is put off in all, unless somebody says otherwise.
	LongestPutOff = 45 * time.Second
)

// Told says what led to a look that a guard has stopped.
type Told struct {
	// Watched: nothing but a watch that has seen something happen. Where a person, a clock or a start has asked, nobody waits.
	Watched bool
	// Since is when the halt was put off first; zero if it was not.
	Since time.Time
	// Took is how long the look took.
	Took time.Duration
}

// PutOff reports whether a halt is put off, for longest in all, and until when: somebody may be at work who empties a folder and fills it again, or moves
// it away and back. Whoever puts it off does nothing meanwhile that the guard watches over. A folder that holds something else is
// only waited for when it was missed before, as it is on the way to be filled.
func PutOff(halt Halt, told Told, longest time.Duration, now time.Time) (until time.Time, ok bool) {
	begun := !told.Since.IsZero()
	switch halt.Code {
	case HaltRootMissing, HaltRootEmpty, HaltMaxDelete:
	case HaltOtherDevice:
		if !halt.Empty {
			return time.Time{}, false
		}
	case HaltOtherContent:
		if !begun {
			return time.Time{}, false
		}
	default:
		return time.Time{}, false
	}
	if !begun {
		told.Since = now
	}
	passed := now.Sub(told.Since)
	if !told.Watched || passed < 0 || passed >= longest { // a clock that was set back leaves no time
		return time.Time{}, false
	}
	return now.Add(min(max(AgainAfter, told.Took), longest-passed)), true
}
