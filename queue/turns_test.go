package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

func TestTurns(t *testing.T) {
	const three = `
		enqueue up b b1 priority=50  => added 1
		enqueue up a a1 priority=60  => added 2
		enqueue up c c1 priority=10  => added 3
		enqueue up b b2 priority=40  => added 4
`
	for _, test := range []struct{ name, script string }{
		{"one call hands out jobs of one sync, by priority and then by number", three + `
			claim acme 9 after=a     => 4 1`},
		{"the first turn is that of the first sync by name", three + `
			claim acme 9             => 2`},
		{"syncs take turns by name, whatever the priority of their jobs", three + `
			claim acme 1 after=a     => 4
			claim acme 1 after=b     => 3
			claim acme 1 after=c     => 2
			claim acme 1 after=a     => 1`},
		{"a sync with nothing to do loses its turn", three + `
			drop 3                   =>
			claim acme 1 after=b     => 2`},
		{"so does one on hold", three + `
			claim acme 1 after=b hold=c  => 2`},
		{"the sync that had the last turn is the last", three + `
			claim acme 9 hold=a      => 4 1
			claim acme 9 after=c hold=a  => 3
			enqueue up c c2          => added 5
			claim acme 9 after=c     => 5`},
		{"a sync that is gone leaves its turn to the next one", three + `
			claim acme 9 after=bb    => 3`},
		{"what a person asked for goes first, whatever the sync", three + `
			enqueue up c c2 priority=1  => added 5
			enqueue up b b3 priority=9  => added 6
			enqueue up c c1 priority=2  => merged 3
			claim acme 2 after=c        => 5 3
			claim acme 1 after=a        => 6
			claim acme 1 after=b        => 2`},
		{"but not what is on hold", three + `
			enqueue up c c2 priority=1  => added 5
			claim acme 9 hold=c         => 2`},
		{"serial jobs take their turn like others", three + `
			enqueue rm d d1 serial priority=200  => added 5
			enqueue rm a a2 serial priority=200  => added 6
			claim acme 9 after=c                 => 5
			claim acme 9 after=d                 => 2
			claim acme 9 after=d                 => 4 1
			complete 2                           =>
			claim acme 9 after=d                 => 6`},
		{"with its transfers on hold a sync has its serial jobs at once", three + `
			enqueue rm b b3 serial priority=200  => added 5
			enqueue rm b b4 serial priority=190  => added 6
			claim acme 9 after=a                 => 4 1
			claim acme 9 after=a transfers=b     => 3
			complete 4                           =>
			fail 1                               => due
			claim acme 9 after=a transfers=b     => 6 5
			claim acme 9 after=a transfers=b     => 2
			claim acme 9 after=a transfers=b     =>
			claim acme 9 after=a                 => 1`},
		{"but its serial jobs still run one after the other", `
			enqueue rm b b1 serial       => added 1
			enqueue rm b b2 serial       => added 2
			enqueue up b b3              => added 3
			claim acme 1 transfers=b     => 1
			claim acme 1 transfers=b     =>
			complete 1                   =>
			claim acme 1 transfers=b     => 2`},
		{"the turns of servers have nothing to do with each other", three + `
			enqueue up b b5 server=other  => added 5
			claim other 9 after=b         => 5`},
	} {
		t.Run(test.name, func(t *testing.T) { runScript(t, openNew(t), test.script) })
	}
}

// TestClaimLooksAtFewRows shows that the length of the queue is nothing to Claim: it reads the
// jobs that it hands out, and of each sync the first key in each lane.
func TestClaimLooksAtFewRows(t *testing.T) {
	const limit = 4
	for _, queued := range []int{30, 600} {
		db := openNew(t)
		update(t, db, func(tx *state.Tx) error {
			for i := range queued {
				sync := fmt.Sprint("sync-", i%3)
				jobs := []New{
					{Kind: "up", Sync: sync, Server: "acme", Path: fmt.Sprint(i), Priority: uint8(10 + i%200)},
					{Kind: "rm", Sync: sync, Server: "acme", Path: fmt.Sprint(i), Serial: true},
					{Kind: "up", Sync: sync, Server: "acme", Path: fmt.Sprint("later ", i), RunAt: start.Add(time.Hour)},
				}
				if _, err := Enqueue(tx, start, jobs...); err != nil {
					return err
				}
			}
			return nil
		})
		var jobs, lanes int
		update(t, db, func(tx *state.Tx) error {
			claimed, err := Claim(tx, start, Request{
				Server: "acme", Limit: limit,
				Hold:  func(string) Held { lanes++; return HeldNone },
				Alone: func(Job) bool { jobs++; return false },
			})
			if len(claimed) != limit {
				t.Errorf("claimed %d jobs", len(claimed))
			}
			return err
		})
		if jobs != limit || lanes != 6 {
			t.Errorf("with %d jobs of each kind Claim looked at %d jobs and %d lanes, want %d and 6", queued, jobs, lanes, limit)
		}
	}
}
