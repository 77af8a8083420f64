package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// historyPaths reads all that the filter wants, in transactions that look at limit rows each.
func historyPaths(t *testing.T, db *DB, f HistoryFilter, limit int) (paths []string) {
	t.Helper()
	var at HistoryPosition
	for {
		view(t, db, func(tx *Tx) error {
			rows, next, err := ReadHistory(tx, f, at, limit)
			for _, row := range rows {
				paths = append(paths, row.Path)
			}
			if limit > 0 && len(rows) > limit {
				t.Errorf("%d rows at once", len(rows))
			}
			at = next
			return err
		})
		if at == "" {
			return paths
		}
	}
}

func appendHistory(t *testing.T, db *DB, rows ...History) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		for _, row := range rows {
			check(t, AppendHistory(tx, row))
		}
		return nil
	})
}

func TestHistoryComesBack(t *testing.T) {
	db := openNew(t)
	full := History{
		When: noon, Sync: "s", Path: "p\xfc", Op: "upload", Direction: "up", Result: "done", Job: 7, Bytes: 8, Duration: time.Second,
		Method: "EPSV", Verified: "SIZE", Reply: "226 ok", Temp: ".p\xfc.ftpferry-7", Final: "/srv/p\xfc", Error: "none",
	}
	appendHistory(t, db, full)
	view(t, db, func(tx *Tx) error {
		got, next, err := ReadHistory(tx, HistoryFilter{}, "", 0)
		if diff := cmp.Diff([]History{full}, got); diff != "" || next != "" || err != nil {
			t.Errorf("%q, %v\n%s", next, err, diff)
		}
		return nil
	})
}

func TestReadHistory(t *testing.T) {
	db := openNew(t)
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	if paths := historyPaths(t, db, HistoryFilter{}, 1); paths != nil {
		t.Errorf("a new file has %v", paths)
	}
	// Of two at one instant the first comes first; one that comes late because the clock was set back has its place.
	for _, row := range []History{
		{When: hour(1), Path: "b", Sync: "s"}, {When: hour(2), Path: "c", Sync: "t"}, {When: hour(3), Path: "d", Sync: "s"},
		{When: hour(3), Path: "e", Sync: "s"}, {When: hour(0), Path: "a", Sync: "s"},
	} {
		appendHistory(t, db, row)
	}
	for _, test := range []struct {
		name string
		f    HistoryFilter
		want string
	}{
		{"everything", HistoryFilter{}, "a b c d e"},
		{"from a time on, itself included", HistoryFilter{Since: hour(2)}, "c d e"},
		{"up to a time, itself not included", HistoryFilter{Until: hour(3)}, "a b c"},
		{"between two times", HistoryFilter{Since: hour(1), Until: hour(2)}, "b"},
		{"of one sync", HistoryFilter{Syncs: []string{"s"}}, "a b d e"},
		{"of several syncs", HistoryFilter{Syncs: []string{"none", "s", "t"}}, "a b c d e"},
		{"of some paths", HistoryFilter{Path: func(path string) bool { return path > "c" }}, "d e"},
		{"nothing", HistoryFilter{Syncs: []string{"none"}}, ""},
		{"after all", HistoryFilter{Since: hour(4)}, ""},
		{"before all", HistoryFilter{Until: hour(0)}, ""},
		{"until before since", HistoryFilter{Since: hour(3), Until: hour(1)}, ""},
	} {
		for _, limit := range []int{0, 1, 2, 5, 6} {
			if got := strings.Join(historyPaths(t, db, test.f, limit), " "); got != test.want {
				t.Errorf("%s, %d at a time: %q, want %q", test.name, limit, got, test.want)
			}
			test.f.Newest = true
			back := historyPaths(t, db, test.f, limit)
			test.f.Newest = false
			slices.Reverse(back)
			if got := strings.Join(back, " "); got != test.want {
				t.Errorf("%s, backwards, %d at a time: %q reversed, want %q", test.name, limit, got, test.want)
			}
		}
	}
}

func TestHistoryPositionsHoldWhileRowsComeAndGo(t *testing.T) {
	db := openNew(t)
	for i := range 6 {
		appendHistory(t, db, History{When: noon.Add(time.Duration(i) * time.Hour), Path: fmt.Sprint(i)})
	}
	read := func(f HistoryFilter, from HistoryPosition, limit int) (paths string, next HistoryPosition) {
		t.Helper()
		view(t, db, func(tx *Tx) error {
			rows, at, err := ReadHistory(tx, f, from, limit)
			for _, row := range rows {
				paths += row.Path
			}
			next = at
			return err
		})
		return paths, next
	}
	oldest, forward := read(HistoryFilter{}, "", 2)
	newest, back := read(HistoryFilter{Newest: true}, "", 2)
	if oldest != "01" || newest != "54" {
		t.Fatalf("oldest %s, newest %s", oldest, newest)
	}
	update(t, db, func(tx *Tx) error { _, err := TrimHistory(tx, 3, time.Time{}, 0); return err })
	appendHistory(t, db, History{When: noon.Add(24 * time.Hour), Path: "6"})
	if rest, next := read(HistoryFilter{}, forward, 10); rest != "3456" || next != "" {
		t.Errorf("forwards: %s, %q", rest, next)
	}
	if rest, next := read(HistoryFilter{Newest: true}, back, 10); rest != "3" || next != "" {
		t.Errorf("backwards: %s, %q", rest, next)
	}
}

func TestBadHistoryRowsAreSkippedAndTrimmed(t *testing.T) {
	db := openNew(t)
	for i := range 3 {
		appendHistory(t, db, History{When: noon.Add(time.Duration(i) * time.Hour), Path: fmt.Sprint(i)})
	}
	update(t, db, func(tx *Tx) error {
		return tx.Table(tableHistory).Put(Key(noon.Add(time.Hour), uint64(2)), []byte(garbage))
	})
	for _, newest := range []bool{false, true} {
		if got := historyPaths(t, db, HistoryFilter{Newest: newest}, 1); len(got) != 2 {
			t.Errorf("newest first: %v: %v", newest, got)
		}
	}
	update(t, db, func(tx *Tx) error {
		removed, err := TrimHistory(tx, 1, time.Time{}, 0)
		if removed != 2 {
			t.Errorf("%d removed", removed)
		}
		return err
	})
	if got := historyPaths(t, db, HistoryFilter{}, 0); len(got) != 1 || got[0] != "2" {
		t.Errorf("left: %v", got)
	}
}

func TestTrimHistory(t *testing.T) {
	for _, test := range []struct {
		name      string
		maxRows   int
		olderThan time.Time
		limit     int
		want      string
	}{
		{"no bounds keep everything", 0, time.Time{}, 0, "0 1 2 3 4 5"},
		{"by number", 4, time.Time{}, 0, "2 3 4 5"},
		{"by age, the instant itself is kept", 0, noon.Add(3 * time.Hour), 0, "3 4 5"},
		{"the stricter bound wins", 5, noon.Add(3 * time.Hour), 0, "3 4 5"},
		{"the other way round", 2, noon.Add(3 * time.Hour), 0, "4 5"},
		{"no more than the limit at once", 1, time.Time{}, 2, "2 3 4 5"},
		{"everything is too old", 0, noon.Add(time.Hour * 24), 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := openNew(t)
			update(t, db, func(tx *Tx) error {
				for i := range 6 {
					check(t, AppendHistory(tx, History{When: noon.Add(time.Duration(i) * time.Hour), Path: fmt.Sprint(i)}))
				}
				return nil
			})
			removed := 0
			update(t, db, func(tx *Tx) (err error) {
				removed, err = TrimHistory(tx, test.maxRows, test.olderThan, test.limit)
				return err
			})
			left := historyPaths(t, db, HistoryFilter{}, 0)
			if strings.Join(left, " ") != test.want || removed != 6-len(left) {
				t.Errorf("left %v, removed %d, want %q", left, removed, test.want)
			}
			view(t, db, func(tx *Tx) error {
				if count, err := readCount(tx, historyCount); count != len(left) || err != nil {
					t.Errorf("count = %d, %v, want %d", count, err, len(left))
				}
				return nil
			})
		})
	}
}
