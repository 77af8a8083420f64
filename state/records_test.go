package state

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123, time.UTC)

func TestBaselineComesBack(t *testing.T) {
	db := openNew(t)
	long := strings.Repeat("folder/", 400) + strings.Repeat("n", 3000)
	for _, path := range []string{
		"a", "a/b", "a/b/c.txt", "with space/ü", "latin/\xfc", "hostile/\x00\x01name", long, long + "2", Shorten(long),
	} {
		want := Baseline{
			Path:   path,
			Local:  entry.Entry{Kind: entry.File, Size: 7, ModTime: noon, Precision: time.Nanosecond},
			Remote: entry.Entry{Kind: entry.File, Size: -1, Precision: time.Minute},
			When:   noon, Job: uint64(len(path)),
		}
		update(t, db, func(tx *Tx) error { return PutBaseline(tx, "s", want) })
		view(t, db, func(tx *Tx) error {
			got, ok, err := GetBaseline(tx, "s", path)
			if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
				t.Errorf("%.40q: %v, %v\n%s", path, ok, err, diff)
			}
			if _, ok, _ := GetBaseline(tx, "t", path); ok {
				t.Errorf("%.40q is also in another sync", path)
			}
			return nil
		})
	}
	view(t, db, func(tx *Tx) error { // none of them overwrote another
		if n, err := CountBaseline(tx, "s"); n != 9 || err != nil {
			t.Errorf("count = %d, %v", n, err)
		}
		folder, _ := splitPath(long)
		children, err := BaselineChildren(tx, "s", folder)
		if len(children) != 2 || err != nil || children[0].Path != long || children[1].Path != long+"2" {
			t.Errorf("children of the long folder: %d rows, %v", len(children), err)
		}
		return nil
	})
}

func TestBaselineChildren(t *testing.T) {
	db := openNew(t)
	hugeName := strings.Repeat("z", 2000)
	update(t, db, func(tx *Tx) error {
		for _, path := range []string{"b", "a.txt", "a", "a/z", "a/b", "a/b/c", "ab/x", "a b", "d/\x01", "d/\x00", "d/\x02", "d/" + hugeName + "b", "d/" + hugeName + "a", "d/" + hugeName} {
			check(t, PutBaseline(tx, "s", Baseline{Path: path}))
		}
		return PutBaseline(tx, "s2", Baseline{Path: "other"})
	})
	view(t, db, func(tx *Tx) error {
		for folder, want := range map[string][]string{
			"":     {"a", "a b", "a.txt", "b"},
			"a":    {"a/b", "a/z"},
			"a/b":  {"a/b/c"},
			"ab":   {"ab/x"},
			"d":    {"d/\x00", "d/\x01", "d/\x02", "d/" + hugeName, "d/" + hugeName + "a", "d/" + hugeName + "b"},
			"none": nil,
		} {
			rows, err := BaselineChildren(tx, "s", folder)
			check(t, err)
			var got []string
			for _, row := range rows {
				got = append(got, row.Path)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("children of %q:\n%s", folder, diff)
			}
		}
		return nil
	})
}

func TestBaselineRefusesOddPaths(t *testing.T) {
	db := openNew(t)
	for _, path := range []string{"", ".", "/a", "a/", "a//b", "./a", "a/../b"} {
		err := db.Update(func(tx *Tx) error { return PutBaseline(tx, "s", Baseline{Path: path}) })
		wantText(t, err, fmt.Sprintf("%q", path), "relative path")
	}
}

func TestBaselineCount(t *testing.T) {
	db := openNew(t)
	count := func(sync string, want int) {
		t.Helper()
		view(t, db, func(tx *Tx) error {
			if got, err := CountBaseline(tx, sync); got != want || err != nil {
				t.Errorf("count of %s = %d, %v, want %d", sync, got, err, want)
			}
			return nil
		})
	}
	count("s", 0)
	update(t, db, func(tx *Tx) error {
		for range 2 { // the second round replaces
			for _, path := range []string{"a", "a/b", "c"} {
				check(t, PutBaseline(tx, "s", Baseline{Path: path}))
			}
		}
		return PutBaseline(tx, "s2", Baseline{Path: "a"})
	})
	count("s", 3)
	update(t, db, func(tx *Tx) error {
		check(t, DeleteBaseline(tx, "s", "a"))
		return DeleteBaseline(tx, "s", "a")
	})
	count("s", 2)
	update(t, db, func(tx *Tx) error { return DropBaseline(tx, "s") })
	count("s", 0)
	count("s2", 1)
	view(t, db, func(tx *Tx) error {
		if _, ok, err := GetBaseline(tx, "s", "c"); ok || err != nil {
			t.Errorf("after the drop: %v, %v", ok, err)
		}
		return nil
	})
}

func TestRecordsComeBack(t *testing.T) {
	db := openNew(t)
	server := Server{Facts: json.RawMessage(`{"mlsd":true}`), NotBefore: noon, Failures: 3, LastError: "530", NoData: true, BlockedBy: "password"}
	sync := SyncState{Halt: "root is gone", HaltedAt: noon, HaltCode: "root-gone", Approved: noon, LastFullScan: noon, LastSuccess: noon}
	daily := Schedule{LastFired: noon, LastFinished: noon, Result: "done"}
	update(t, db, func(tx *Tx) error {
		check(t, PutServer(tx, "acme", server))
		check(t, PutSync(tx, "web", sync))
		check(t, PutSchedule(tx, "web", "0 3 * * *", daily))
		check(t, PutSchedule(tx, "web", "@hourly", Schedule{}))
		check(t, PutSchedule(tx, "web2", "@hourly", daily))
		wantText(t, PutServer(tx, "", server), "key is empty")
		missingMemory, err := GetLocatorMemory(tx)
		if len(missingMemory) > 0 || err != nil {
			t.Errorf("locator of a new file: %s, %v", missingMemory, err)
		}
		check(t, PutLocatorMemory(tx, json.RawMessage(`{"a":1}`)))
		check(t, PutLocatorMemory(tx, json.RawMessage(`{"a":2}`)))
		return nil
	})
	view(t, db, func(tx *Tx) error {
		gotServer, err := GetServer(tx, "acme")
		check(t, err)
		gotSync, err := GetSync(tx, "web")
		check(t, err)
		gotDaily, err := GetSchedule(tx, "web", "0 3 * * *")
		check(t, err)
		all, err := Schedules(tx, "web")
		check(t, err)
		memory, err := GetLocatorMemory(tx)
		check(t, err)
		if string(memory) != `{"a":2}` {
			t.Errorf("locator: %s", memory)
		}
		if diff := cmp.Diff([]any{server, sync, daily, map[string]Schedule{"0 3 * * *": daily, "@hourly": {}}},
			[]any{gotServer, gotSync, gotDaily, all}); diff != "" {
			t.Error(diff)
		}
		missingServer, err := GetServer(tx, "none")
		check(t, err)
		missingSync, err := GetSync(tx, "none")
		check(t, err)
		missingSchedule, err := GetSchedule(tx, "web", "none")
		check(t, err)
		if diff := cmp.Diff([]any{Server{}, SyncState{}, Schedule{}}, []any{missingServer, missingSync, missingSchedule}); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		check(t, DeleteSchedule(tx, "web", "@hourly"))
		if all, err := Schedules(tx, "web"); len(all) != 1 || err != nil {
			t.Errorf("after DeleteSchedule: %v, %v", all, err)
		}
		return nil
	})
}
