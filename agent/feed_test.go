package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
)

// told is what after gives, as numbers counted from the first event ever, which is 1.
func told(e *events, n uint64, most int) (numbers []int, last int, missed uint64) {
	found, at, missed := e.after(n, most)
	for _, event := range found {
		numbers = append(numbers, int(event.ID-e.first)+1)
	}
	return numbers, int(at-e.first) + 1, missed
}

func TestEventsThatAreRemembered(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := uint64(now.UnixMicro())
	if before := newEvents(4, now.Add(-time.Millisecond)); before.first >= first || first >= 1<<53 {
		t.Errorf("numbers begin with %d, and earlier with %d", first, before.first)
	}
	for sentence, row := range map[string]struct {
		added        int
		after        uint64
		most         int
		first, count int
		missed       uint64
	}{
		"there is nothing":                          {0, 0, 9, 0, 0, 0},
		"there is nothing new":                      {3, first + 2, 9, 0, 0, 0},
		"all that are remembered":                   {3, 0, 9, 1, 3, 0},
		"those behind one":                          {3, first, 9, 2, 2, 0},
		"only some at a time":                       {4, first, 2, 2, 2, 0},
		"older ones are forgotten":                  {10, 0, 9, 7, 4, 0},
		"a reader who was too slow":                 {10, first + 1, 9, 7, 4, 4},
		"one who just makes it":                     {10, first + 5, 9, 7, 4, 0},
		"new ones alone":                            {10, control.EventsNew, 9, 0, 0, 0},
		"the last two":                              {10, control.EventsLast(2), 9, 9, 2, 0},
		"more than there were":                      {3, control.EventsLast(9), 9, 1, 3, 0},
		"a reader of the agent before":              {3, first - 1000, 9, 1, 3, 0},
		"one who comes too late for some":           {6, first - 1000, 9, 3, 4, 2},
		"a number of an agent whose clock is ahead": {6, first + 5000, 9, 3, 4, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			e := newEvents(4, now)
			for range row.added {
				e.add(control.Event{})
			}
			got, last, missed := told(&e, row.after, row.most)
			if len(got) != row.count || row.count > 0 && (got[0] != row.first || last != got[len(got)-1]) || missed != row.missed {
				t.Errorf("%v, last %d, %d missed", got, last, missed)
			}
			if row.count == 0 && last != row.added {
				t.Errorf("goes on behind %d", last)
			}
		})
	}
}

// TestAReaderThatIsTooSlow is told how many events it has missed, and whoever adds them never waits for it.
func TestAReaderThatIsTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(time.Now())
		first := f.events.first
		ctx, stop := context.WithCancel(t.Context())
		over, ended := make(chan struct{}), make(chan error, 1)
		var got, missed uint64
		var last control.Event
		read := make(chan struct{})
		go func() {
			ended <- f.follow(ctx, over, control.EventsNew, func(e control.Event) error {
				<-read
				if e.ID <= last.ID {
					t.Errorf("event %d behind %d", e.ID, last.ID)
				}
				if last = e; e.Kind == control.EventLost {
					missed += e.Missed
				} else {
					got++
				}
				return nil
			})
		}()
		synctest.Wait()
		const all = 3*eventsKept + 7
		for i := range all {
			f.add(control.Event{})
			if i == 0 {
				synctest.Wait() // it has this one at hand, and nobody waits for it
			}
		}
		close(read)
		synctest.Wait()
		if got+missed != all || missed != all-1-eventsKept || last.ID != first+all-1 {
			t.Errorf("%d read, %d missed, the last one %d", got, missed, last.ID-first+1)
		}
		f.add(control.Event{})
		synctest.Wait()
		if got+missed != all+1 {
			t.Error("it goes on reading")
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		close(over)
		if err := f.follow(t.Context(), over, control.EventsNew, nil); !errors.Is(err, control.ErrGone) {
			t.Errorf("%v, want ErrGone", err)
		}
	})
}

func TestSecondsLeft(t *testing.T) {
	for sentence, row := range map[string]struct {
		left int64
		rate float64
		want int64
	}{
		"some":                   {1001, 100, 11},
		"less than one":          {1, 100, 1},
		"nothing":                {0, 100, 0},
		"nobody knows the size":  {-5, 100, 0},
		"it stands still":        {100, 0, 0},
		"it nearly does":         {1 << 60, 1, 0},
		"a day is nothing to it": {86400 * 1000, 1000, 86400},
	} {
		if got := secondsLeft(row.left, row.rate); got != row.want {
			t.Errorf("%s: %d, want %d", sentence, got, row.want)
		}
	}
}
