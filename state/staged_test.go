package state

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func stage(t *testing.T, db *DB, sync string, job uint64, operations ...string) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		for _, operation := range operations {
			check(t, Stage(tx, sync, job, []byte(operation)))
		}
		return nil
	})
}

func wantStaged(t *testing.T, db *DB, sync string, job uint64, want int) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		if got, err := CountStaged(tx, sync, job); got != want || err != nil {
			t.Errorf("%s, job %d: %d staged, %v, want %d", sync, job, got, err, want)
		}
		return nil
	})
}

func TestStagedComeBackInOrder(t *testing.T) {
	db := openNew(t)
	take := func(job uint64, limit int, want string, wantMore bool) {
		t.Helper()
		var got [][]byte
		var more bool
		update(t, db, func(tx *Tx) (err error) { got, more, err = TakeStaged(tx, "s", job, limit); return err })
		if text := string(bytes.Join(got, []byte(" "))); text != want || more != wantMore {
			t.Errorf("took %q, more: %v, want %q, %v", text, more, want, wantMore)
		}
	}
	take(1, 10, "", false)
	stage(t, db, "s", 2, "z", "y")
	stage(t, db, "s", 1, "c", "a")
	stage(t, db, "s2", 2, "other sync")
	stage(t, db, "s", 2, "x", "", "w")
	stage(t, db, "s", 256, "other job")
	wantStaged(t, db, "s", 2, 5)
	take(2, 2, "z y", true)
	wantStaged(t, db, "s", 2, 3)
	stage(t, db, "s", 2, "v")
	take(2, 4, "x  w v", false)
	wantStaged(t, db, "s", 2, 0)
	take(2, 4, "", false)
	take(1, 0, "c a", false)
	wantStaged(t, db, "s", 256, 1)
	wantStaged(t, db, "s2", 2, 1)
}

func TestDropStaged(t *testing.T) {
	for _, test := range []struct {
		name string
		drop func(*Tx) error
		want string
	}{
		{"one job", func(tx *Tx) error { return DropStaged(tx, "a", 1) }, "a2 b1 b3"},
		{"a job that staged nothing", func(tx *Tx) error { return DropStaged(tx, "a", 3) }, "a1 a2 b1 b3"},
		{"all jobs of a sync but one", func(tx *Tx) error {
			return DropStagedExcept(tx, "a", func(job uint64) bool { return job == 2 })
		}, "a2 b1 b3"},
		{"all jobs of a sync", func(tx *Tx) error { return DropStagedExcept(tx, "b", func(uint64) bool { return false }) }, "a1 a2"},
		{"of all syncs but some jobs", func(tx *Tx) error {
			return DropStagedExcept(tx, "", func(job uint64) bool { return job != 1 })
		}, "a2 b3"},
		{"everything", func(tx *Tx) error { return DropStagedExcept(tx, "", func(uint64) bool { return false }) }, ""},
		{"nothing", func(tx *Tx) error { return DropStagedExcept(tx, "", func(uint64) bool { return true }) }, "a1 a2 b1 b3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := openNew(t)
			for _, sync := range []string{"a", "b"} {
				for _, job := range []uint64{1, map[string]uint64{"a": 2, "b": 3}[sync]} {
					stage(t, db, sync, job, "x", "y", "z")
				}
			}
			update(t, db, test.drop)
			var left []string
			for _, sync := range []string{"a", "b"} {
				for job := range uint64(4) {
					view(t, db, func(tx *Tx) error {
						n, err := CountStaged(tx, sync, job)
						if rows := stagedCount(sync, job).recount(tx); rows != n || err != nil {
							t.Errorf("%s%d: %d rows, counted beside %d, %v", sync, job, rows, n, err)
						}
						if n > 0 {
							left = append(left, fmt.Sprintf("%s%d", sync, job))
						}
						return nil
					})
				}
			}
			if got := strings.Join(left, " "); got != test.want {
				t.Errorf("left %s, want %s", got, test.want)
			}
		})
	}
}

func TestForeignKeysAmongTheStaged(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error { return tx.Table(tableStaged).Put([]byte("a key of nobody"), []byte("?")) })
	stage(t, db, "s", 1, "x")
	update(t, db, func(tx *Tx) error { return DropStagedExcept(tx, "", func(uint64) bool { return false }) })
	wantStaged(t, db, "s", 1, 0)
	view(t, db, func(tx *Tx) error {
		if tx.Table(tableStaged).Get([]byte("a key of nobody")) == nil {
			t.Error("a key that nobody understands was thrown away")
		}
		return nil
	})
}

func TestBadCountsAreCountedAnew(t *testing.T) {
	for name, garbage := range map[string]string{
		"too short": "\x01", "too long": "123456789", "negative": "\xff\xff\xff\xff\xff\xff\xff\xff", "nothing": "\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			stage(t, db, "s", 1, "a", "b", "c")
			spoil := func() {
				update(t, db, func(tx *Tx) error {
					return tx.Table(tableCounts).Put(stagedCount("s", 1).key, []byte(garbage))
				})
			}
			spoil()
			wantStaged(t, db, "s", 1, 3)
			stage(t, db, "s", 1, "d")
			wantStaged(t, db, "s", 1, 4)
			spoil()
			update(t, db, func(tx *Tx) error { _, _, err := TakeStaged(tx, "s", 1, 3); return err })
			wantStaged(t, db, "s", 1, 1)
		})
	}
}
