package queue

import (
	"fmt"
	"testing"

	"github.com/ftpferry/ftpferry/state"
)

func TestManyJobsAtOnce(t *testing.T) {
	const jobs = `
		enqueue up web dead/a          => added 1
		enqueue up web run             => added 2
		claim acme 9                   => 1 2
		fail 1 dead                    => dead
		enqueue up web wait/a in=1h    => added 3
		enqueue up web due/a           => added 4
		enqueue up docs wait/b in=2h   => added 5
		enqueue rm docs wait/a in=2h server=other  => added 6
`
	for _, test := range []struct{ name, script string }{
		{"retry all makes what is dead or waiting due, and says what it could not", jobs + `
			retryall                       => 4 left 1
			list state=due                 => 5 1 3 4 6
			list state=running             => 2
			retryall                       => 0 left 1`},
		{"retry those of a pattern", jobs + `
			retryall path=wait             => 3 left 0
			list state=dead                => 1
			list state=waiting             =>`},
		{"retry those of a sync in a state", jobs + `
			retryall sync=docs state=dead  => 0 left 0
			retryall sync=web state=dead   => 1 left 0
			list state=waiting             => 3 5 6`},
		{"drop all but what is running", jobs + `
			dropall                        => 5 left 1
			list                           => 2
			complete 2                     =>
			dropall                        => 0 left 0`},
		{"drop those of a kind, a server, a name", jobs + `
			dropall kind=rm                => 1 left 0
			dropall server=other           => 0 left 0
			dropall path=b                 => 1 left 0
			dropall path=wait/ sync=docs   => 0 left 0
			list                           => 1 2 3 4`},
		{"in parts", jobs + `
			retryall limit=2               => 1 left 1
			dropall state=waiting limit=2  => 2 left 0
			list                           => 1 2 4 6`},
		{"lists in pages", jobs + `
			pages limit=2                  => 1 2 | 3 4 | 5 6
			pages limit=4                  => 1 2 3 4 | 5 6
			pages state=waiting limit=1    => 3 | 5 | 6
			pages sync=web limit=3         => 4 2 3 | 1
			pages path=wait limit=2        => 3 5 | 6
			pages                          => 1 2 3 4 5 6
			list limit=3                   => 1 2 3
			list path=*/a                  => 1 3 4 6`},
	} {
		t.Run(test.name, func(t *testing.T) { runScript(t, openNew(t), test.script) })
	}
}

// TestPagesAreBounded: a page ends after so many looks, whatever it has found.
func TestPagesAreBounded(t *testing.T) {
	const jobs = 2*mostLooks + 10
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		for i := range jobs {
			if _, err := Enqueue(tx, start, New{Kind: "up", Sync: "web", Server: "acme", Path: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	last := fmt.Sprint(jobs - 1)
	filter := Filter{Path: last, Limit: 5}
	for i, want := range []int{0, 0, 1} {
		_ = db.View(func(tx *state.Tx) error {
			page, next, err := Page(tx, filter)
			if err != nil || len(page) != want || (next == nil) != (i == 2) {
				t.Errorf("page %d has %d jobs, %v; next %x", i, len(page), err, next)
			}
			filter.From = next
			return nil
		})
	}
	update(t, db, func(tx *state.Tx) error {
		if found, err := List(tx, Filter{Path: last, Limit: 5}); len(found) != 1 || err != nil {
			t.Errorf("List found %d jobs, %v", len(found), err)
		}
		swept, err := DropAll(tx, Filter{Path: last, Limit: 5})
		if swept.Done != 0 || swept.Next == nil {
			t.Errorf("DropAll in one call: %+v", swept)
		}
		return err
	})
}
