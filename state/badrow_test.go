package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/google/go-cmp/cmp"
)

// garbage is no row of any table.
const garbage = "\x00{nonsense"

func TestBadBaselineRows(t *testing.T) {
	for name, bytes := range map[string]string{"garbage": garbage, "nothing": "", "null": "null", "a number": "7", "old and cut short": `{"path":"d/f","loc`} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			update(t, db, func(tx *Tx) error {
				for _, path := range []string{"d/a", "d/f", "d/z"} {
					check(t, PutBaseline(tx, "s", Baseline{Path: path, When: noon}))
				}
				return tx.Table(tableBaseline).Put(baselineKey("s", "d/f"), []byte(bytes))
			})
			view(t, db, func(tx *Tx) error {
				row, ok, err := GetBaseline(tx, "s", "d/f")
				if bad := row.Bad; !ok || err != nil || bad == "" || row != (Baseline{Path: "d/f", Bad: bad}) {
					t.Errorf("%+v, %v, %v; want a row of which only the path is known", row, ok, err)
				}
				children, err := BaselineChildren(tx, "s", "d")
				if diff := cmp.Diff([]Baseline{{Path: "d/a", When: noon}, row, {Path: "d/z", When: noon}}, children); diff != "" || err != nil {
					t.Errorf("children: %v\n%s", err, diff)
				}
				if n, err := CountBaseline(tx, "s"); n != 3 || err != nil {
					t.Errorf("count = %d, %v: a bad row counts", n, err)
				}
				if got := string(tx.Table(tableBaseline).Get(baselineKey("s", "d/f"))); got != bytes {
					t.Errorf("the bytes are %q now", got)
				}
				return nil
			})
			update(t, db, func(tx *Tx) error { return PutBaseline(tx, "s", Baseline{Path: "d/f", Job: 4}) })
			view(t, db, func(tx *Tx) error {
				row, ok, err := GetBaseline(tx, "s", "d/f")
				if n, _ := CountBaseline(tx, "s"); !ok || err != nil || row != (Baseline{Path: "d/f", Job: 4}) || n != 3 {
					t.Errorf("replaced: %+v, %v, %v, count %d", row, ok, err, n)
				}
				return nil
			})
		})
	}
}

func TestBadIntentsAreNone(t *testing.T) {
	db := openNew(t)
	source := Intent{Source: entry.Entry{Kind: entry.File, Size: 7, ModTime: noon}}
	update(t, db, func(tx *Tx) error {
		check(t, tx.Table(tableIntents).Put(baselineKey("s", "f"), []byte(garbage)))
		if sources := Intents(tx, "s", "f"); len(sources) > 0 {
			t.Errorf("%v", sources)
		}
		check(t, AddIntent(tx, "s", "f", source))
		if sources := Intents(tx, "s", "f"); !slices.Equal(sources, []Intent{source}) {
			t.Errorf("replaced: %v", sources)
		}
		return nil
	})
}

func TestBadSyncsAreHalted(t *testing.T) {
	for _, bytes := range []string{garbage, "", "null", `{"halt":`, `{"halt":7}`} {
		db := openNew(t)
		update(t, db, func(tx *Tx) error {
			check(t, tx.Table(tableSyncs).Put(Key("s"), []byte(bytes)))
			row, err := GetSync(tx, "s")
			if err != nil || row.HaltCode != HaltUnreadable || !strings.Contains(row.Halt, "cannot be read") {
				t.Errorf("%q: %+v, %v", bytes, row, err)
			}
			check(t, PutSync(tx, "s", SyncState{Identity: "i"}))
			if row, err := GetSync(tx, "s"); row != (SyncState{Identity: "i"}) || err != nil {
				t.Errorf("replaced: %+v, %v", row, err)
			}
			return nil
		})
	}
}

func TestBadSchedulesNeverFired(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		check(t, PutSchedule(tx, "s", "@hourly", Schedule{LastFired: noon}))
		check(t, tx.Table(tableSchedules).Put(Key("s", "@daily"), []byte(garbage)))
		if row, err := GetSchedule(tx, "s", "@daily"); !row.Passed().IsZero() || err != nil {
			t.Errorf("%+v, %v", row, err)
		}
		all, err := Schedules(tx, "s")
		if diff := cmp.Diff(map[string]Schedule{"@hourly": {LastFired: noon}}, all); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		check(t, PutSchedule(tx, "s", "@daily", Schedule{LastFired: noon}))
		if row, err := GetSchedule(tx, "s", "@daily"); row.LastFired != noon || err != nil {
			t.Errorf("replaced: %+v, %v", row, err)
		}
		return nil
	})
}

func TestBadServersAndLocatorSaySo(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		check(t, tx.Table(tableServers).Put(Key("acme"), []byte(garbage)))
		check(t, tx.Table(tableLocator).Put(Key("memory"), []byte(garbage)))
		row, err := GetServer(tx, "acme")
		if !errors.Is(err, ErrBadRow) || row.Facts != nil {
			t.Errorf("server: %+v, %v", row, err)
		}
		memory, err := GetLocatorMemory(tx)
		if !errors.Is(err, ErrBadRow) || memory != nil {
			t.Errorf("locator: %s, %v", memory, err)
		}
		return nil
	})
}

// everyTable fills all tables of the package with good rows.
func everyTable(t *testing.T, db *DB) {
	t.Helper()
	long := strings.Repeat("n", longest+1)
	update(t, db, func(tx *Tx) error {
		for _, path := range []string{"a", "d/\x00\x01", long} {
			check(t, PutBaseline(tx, "s", Baseline{Path: path, When: noon}))
			check(t, AddIntent(tx, "s", path, Intent{}))
			check(t, PutAppended(tx, "s", path, wasSent(t, 0)))
			check(t, MarkDirty(tx, "s\x01", path, "", true, noon))
			if _, err := PutFolder(tx, "s", path, Folder{Told: 1}); err != nil {
				t.Error(err)
			}
			check(t, Stage(tx, "s\x00", 7, []byte(path)))
		}
		if _, err := PutNote(tx, "s", Note{Path: "a", Text: "both changed"}, noon); err != nil {
			t.Error(err)
		}
		check(t, PutBaseline(tx, "s\x01", Baseline{Path: "old"}))
		check(t, tx.Table(tableBaseline).Put(baselineKey("s\x01", "old"), jsonBaseline(t, Baseline{Path: "old"})))
		check(t, MarkDirty(tx, "s", "", "", false, noon))
		check(t, PutServer(tx, "acme", Server{}))
		check(t, PutSync(tx, "s", SyncState{}))
		check(t, PutSchedule(tx, "s", "@daily", Schedule{}))
		check(t, PutSchedule(tx, "s", long, Schedule{}))
		check(t, AppendHistory(tx, History{When: noon}))
		return PutLocatorMemory(tx, []byte("{}"))
	})
}

func problems(t *testing.T, db *DB) (found []string) {
	t.Helper()
	check(t, db.Check(func(text string) { found = append(found, text) }))
	return found
}

func TestCheckRows(t *testing.T) {
	number := func(n byte) string { return "\x00\x00\x00\x00\x00\x00\x00" + string(n) }
	good := openNew(t)
	everyTable(t, good)
	if found := problems(t, good); len(found) > 0 {
		t.Fatalf("a sound file: %q", found)
	}
	for _, test := range []struct {
		name, table string
		key         []byte
		value       string
		want        []string
	}{
		{"time of creation", tableMeta, keyCreated, "yesterday", []string{`row "created" of table "meta"`}},
		{"instance", tableMeta, keyInstance, "1", []string{`row "instance" of table "meta"`}},
		{"stranger", tableMeta, Key("x"), "", []string{`row "x" of table "meta"`}},
		{"table of nobody", "stranger", Key("x"), "", []string{`table "stranger"`, "not known"}},
		{"baseline", tableBaseline, baselineKey("s", "a"), garbage, []string{`row "s\x00\x00a" of table "baseline"`, "format 0"}},
		{"mark", tableDirty, dirtyKey("s", ""), garbage, []string{`table "dirty"`}},
		{"mark of another path", tableDirty, dirtyKey("s", ""), `{"path":"x"}`, []string{`table "dirty"`, `another path, "x"`}},
		{"conflict", tableConflicts, noteKey("s", "a"), garbage, []string{`table "conflicts"`}},
		{"conflict on another path", tableConflicts, noteKey("s", "a"), `{"path":"x"}`, []string{`another path, "x"`}},
		{"staged key", tableStaged, []byte("short"), garbage, []string{`table "staged"`}},
		{"intent", tableIntents, baselineKey("s", "a"), garbage, []string{`table "intents"`}},
		{"what was sent", tableAppended, baselineKey("s", "a"), garbage, []string{`table "appended"`}},
		{"what was sent, without hashes", tableAppended, baselineKey("s", "a"), `{"size":1}`, []string{`table "appended"`, "another length"}},
		{"what was sent, of another path", tableAppended, Key("s"), `{"size":1}`, []string{`table "appended"`, "1 parts instead of 3"}},
		{"folder", tableFolders, baselineKey("s", "a"), garbage, []string{`table "folders"`, "written down of a folder"}},
		{"server", tableServers, Key("acme"), garbage, []string{`table "servers"`}},
		{"server key", tableServers, Key("a", "b"), "{}", []string{`table "servers"`, "2 parts instead of 1"}},
		{"sync", tableSyncs, Key("s"), "null", []string{`table "syncs"`, "null"}},
		{"schedule", tableSchedules, Key("s", "@daily"), garbage, []string{`table "schedules"`}},
		{"schedule of another spec", tableSchedules, Key("s", "@daily"), `{"spec":"@hourly"}`, []string{`another schedule, "@hourly"`}},
		{"history", tableHistory, Key(noon, uint64(1)), garbage, []string{`table "history"`}},
		{"history of another time", tableHistory, Key(noon, uint64(1)), `{"when":"2026-03-01T12:00:00Z"}`, []string{`another time`}},
		{"locator", tableLocator, Key("memory"), garbage, []string{`table "locator"`}},
		{"number that is none", tableCounts, baselineCount("s").key, "3", []string{`row "baseline\x00s" of table "counts"`, "not a number of rows"}},
		{"wrong number", tableCounts, baselineCount("s").key, number(4), []string{`table "counts"`, "says 4, there are 3"}},
		{"wrong number of staged", tableCounts, stagedCount("s\x00", 7).key, number(9), []string{"says 9, there are 3"}},
		{"wrong number of history", tableCounts, historyCount.key, number(2), []string{"says 2, there are 1"}},
		{"number of nothing", tableCounts, baselineCount("none").key, number(1), []string{"says 1, there are 0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := openNew(t)
			everyTable(t, db)
			update(t, db, func(tx *Tx) error { return tx.Table(test.table).Put(test.key, []byte(test.value)) })
			found := problems(t, db)
			if len(found) != 1 {
				t.Fatalf("found %q", found)
			}
			wantText(t, errors.New(found[0]), test.want...)
		})
	}
	t.Run("missing number", func(t *testing.T) {
		db := openNew(t)
		everyTable(t, db)
		update(t, db, func(tx *Tx) error { return tx.Table(tableCounts).Delete(baselineCount("s").key) })
		wantText(t, errors.New(fmt.Sprint(problems(t, db))), `row "baseline\x00s"`, "is missing, there are 3")
	})
}

// TestEveryTableIsChecked: a table that somebody adds to this package needs its rows above.
func TestEveryTableIsChecked(t *testing.T) {
	db := openNew(t)
	everyTable(t, db)
	view(t, db, func(tx *Tx) error {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(rowChecks)), tx.tableNames()); diff != "" {
			t.Error(diff)
		}
		return nil
	})
}
