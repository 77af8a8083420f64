package queue

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state"
)

func TestListsAndPages(t *testing.T) {
	runScript(t, openNew(t), `
		enqueue up web dead/a          => added 1
		enqueue up web run             => added 2
		claim acme 9                   => 1 2
		fail 1 dead                    => dead
		enqueue up web wait/a in=1h    => added 3
		enqueue up web due/a           => added 4
		enqueue up docs wait/b in=2h   => added 5
		enqueue rm docs wait/a in=2h server=other  => added 6
		pages limit=2                  => 1 2 | 3 4 | 5 6
		pages limit=4                  => 1 2 3 4 | 5 6
		pages state=waiting limit=1    => 3 | 5 | 6
		pages sync=web limit=3         => 4 2 3 | 1
		pages path=wait limit=2        => 3 5 | 6
		pages                          => 1 2 3 4 5 6
		list limit=3                   => 1 2 3
		list path=*/a                  => 1 3 4 6
		list kind=rm                   => 6
		list server=other              => 6
		list path=wait/ sync=docs      => 5 6`)
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
		return nil
	})
}

// TestEachOfKindLooksAtNoOthers: a scan that finds deletions asks for those that wait, among thousands of transfers.
func TestEachOfKindLooksAtNoOthers(t *testing.T) {
	db := openNew(t)
	runScript(t, db, `
		enqueue up web spoiled        => added 1
		enqueue rm web run            => added 2
		claim acme 9                  => 1 2
		enqueue rm web b in=1h        => added 3
		enqueue rm web a              => added 4
		enqueue rm web2 a             => added 5
		enqueue rm2 web a             => added 6
		enqueue up web a              => added 7`)
	spoil(t, db, "{")
	each := func(stop int) (ids []ID) {
		update(t, db, func(tx *state.Tx) error {
			return EachOfKind(tx, "rm", "web", func(job Job) (bool, error) {
				ids = append(ids, job.ID)
				return len(ids) < stop, nil
			})
		})
		return ids
	}
	if diff := cmp.Diff([]ID{4, 3, 2}, each(9)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]ID{4}, each(1)); diff != "" {
		t.Error(diff)
	}
	update(t, db, func(tx *state.Tx) error { return tx.Table(tableJobs).Put(idKey(4), []byte("{")) })
	if diff := cmp.Diff([]ID{3, 2}, each(9)); diff != "" {
		t.Error("with a row that cannot be read:", diff)
	}
	update(t, db, func(tx *state.Tx) error { return tx.Table(tableJobs).Delete(idKey(4)) })
	err := db.View(func(tx *state.Tx) error {
		return EachOfKind(tx, "rm", "web", func(Job) (bool, error) { return true, nil })
	})
	if !Damaged(err) {
		t.Error("an index that points nowhere:", err)
	}
}
