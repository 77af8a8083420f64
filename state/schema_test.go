package state

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

// unpack returns the path of a file that a program with an older schema has written.
func unpack(t *testing.T, name string) string {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", name))
	check(t, err)
	defer func() { _ = packed.Close() }()
	reader, err := gzip.NewReader(packed)
	check(t, err)
	content, err := io.ReadAll(reader)
	check(t, err)
	path := filepath.Join(t.TempDir(), "agent.db")
	check(t, os.WriteFile(path, content, 0o600))
	return path
}

// The file was left by a service that was killed in the middle of uploads to a real server, with a server that was down, one
// that refused uploads, and a sync that was halted.
func TestFileOfSchema1(t *testing.T) {
	path := unpack(t, "schema-1.db.gz")
	if _, err := Open(path, Options{AllowNetworkFilesystem: true, ReadOnly: true}); err == nil {
		t.Error("a file of schema 1 was opened without being migrated")
	}
	for range 2 {
		db := openFile(t, path)
		if db.Instance() != "395e29d1" || db.Epoch() < 6 {
			t.Errorf("instance %s, epoch %d", db.Instance(), db.Epoch())
		}
		check(t, db.Check(func(text string) { t.Error(text) }))
		view(t, db, func(tx *Tx) error {
			for sync, want := range map[string]int{"down": 5, "site": 6, "two": 1, "refused": 0} {
				if got, err := CountBaseline(tx, sync); got != want || err != nil {
					t.Errorf("%s: %d rows, %v, want %d", sync, got, err, want)
				}
			}
			row, ok, err := GetBaseline(tx, "down", "sub folder/s.txt")
			check(t, err)
			if !ok || row.Path != "sub folder/s.txt" || row.Local.Size != 2 || row.Remote.Precision != time.Second ||
				!row.Local.ModTime.Equal(time.Date(2026, 11, 22, 22, 45, 46, 0, time.UTC)) || row.Job == 0 || row.When.IsZero() {
				t.Errorf("baseline: %v, %+v", ok, row)
			}
			marks, err := DirtyPaths(tx, "away", 0)
			check(t, err)
			if len(marks) != 1 || marks[0].Path != "new lat\xfcn.txt" || marks[0].Why != "watch" || marks[0].Mark != 0 {
				t.Errorf("marks: %+v", marks)
			}
			sync, err := GetSync(tx, "down")
			check(t, err)
			if sync.HaltCode != "root-empty" || sync.LastFullScan.IsZero() || sync.Identity == "" {
				t.Errorf("sync: %+v", sync)
			}
			server, err := GetServer(tx, "away")
			check(t, err)
			if server.Failures != 5 || server.NotBefore.IsZero() || server.LastError == "" {
				t.Errorf("server: %+v", server)
			}
			schedule, err := GetSchedule(tx, "site", "0 3 * * *")
			check(t, err)
			if schedule.LastFired.IsZero() {
				t.Errorf("schedule: %+v", schedule)
			}
			if len(Intents(tx, "site", "big.bin")) == 0 {
				t.Error("no intent of the upload that was cut off")
			}
			results := map[string]int{}
			history, _, err := ReadHistory(tx, HistoryFilter{}, "", 0)
			check(t, err)
			for _, h := range history {
				results[h.Op+" "+h.Result]++
			}
			if diff := cmp.Diff(map[string]int{"download done": 4, "upload done": 6, "upload dead": 5, "make_remote_dir done": 1, "make_local_dir done": 1}, results); diff != "" {
				t.Errorf("history:\n%s", diff)
			}
			return nil
		})
		// What is written from now on lies beside the old rows.
		update(t, db, func(tx *Tx) error {
			check(t, MarkDirty(tx, "away", "again", "watch", false, time.Now()))
			row, _, err := GetBaseline(tx, "two", "a.txt")
			check(t, err)
			return PutBaseline(tx, "two", row)
		})
		update(t, db, func(tx *Tx) error { return ClearDirty(tx, "away", []Dirty{{Path: "again", Mark: LastMark(tx)}}) })
		check(t, db.Close())
	}
}

// Every version of the program since has to open the files of all versions before it, and leaves them sound.
func TestFilesOfEveryEarlierSchema(t *testing.T) {
	for schema := 1; schema <= len(migrations); schema++ {
		path := unpack(t, fmt.Sprintf("schema-%d.db.gz", schema))
		_, err := Open(path, Options{AllowNetworkFilesystem: true, ReadOnly: true})
		if !errors.Is(err, ErrTooOld) {
			t.Errorf("schema %d, without being migrated: %v", schema, err)
		}
		db := openFile(t, path)
		check(t, db.Check(func(text string) { t.Errorf("schema %d: %s", schema, text) }))
		check(t, db.Close())
	}
}

// The file was left by a service that was killed in the middle of an upload to a real server, with a server that was down, one
// that refused uploads, a sync that was halted, and one with a conflict.
func TestFileOfSchema2(t *testing.T) {
	db := openFile(t, unpack(t, "schema-2.db.gz"))
	view(t, db, func(tx *Tx) error {
		for sync, want := range map[string]int{"down": 8, "site": 8, "halted": 2, "refused": 0} {
			if got, err := CountBaseline(tx, sync); got != want || err != nil {
				t.Errorf("%s: %d rows, %v, want %d", sync, got, err, want)
			}
		}
		row, ok, err := GetBaseline(tx, "site", "lat\xfcn.txt")
		check(t, err)
		want := entry.Entry{Kind: entry.File, Size: 17, ModTime: time.Date(2026, 11, 22, 21, 0, 0, 123456789, time.UTC), Precision: time.Nanosecond}
		if diff := cmp.Diff(want, row.Local); diff != "" || !ok || row.Remote.Precision != time.Second || row.Remote.ID != 0 {
			t.Errorf("%v, %+v\n%s", ok, row.Remote, diff)
		}
		if sources := Intents(tx, "site", "big.bin"); len(sources) != 1 {
			t.Errorf("intents of the upload that was cut off: %v", sources)
		}
		if sync, err := GetSync(tx, "halted"); sync.HaltCode != "root-empty" || err != nil {
			t.Errorf("sync: %+v, %v", sync, err)
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		row, _, err := GetBaseline(tx, "site", "a.txt")
		check(t, err)
		row.Local.ID, row.Remote.ID = 5, 6
		check(t, PutBaseline(tx, "site", row))
		if got, _, err := GetBaseline(tx, "site", "a.txt"); got != row || err != nil {
			t.Errorf("%+v became %+v, %v", row, got, err)
		}
		return nil
	})
	check(t, db.Check(func(text string) { t.Error(text) }))
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrong func(tx *Tx) error
		want  []string
	}{
		{"a row that is no row", func(tx *Tx) error { return tx.Table(tableServers).Put(Key("acme"), []byte("{")) }, []string{`row "acme" of table "servers"`}},
		{"a row at the key of another", func(tx *Tx) error {
			t := tx.Table(tableDirty)
			return t.Put(dirtyKey("s", "other"), t.Get(dirtyKey("s", "d")))
		}, []string{`table "dirty"`, "about another path"}},
		{"a number that is too high", func(tx *Tx) error { return addCount(tx, baselineCount("s"), 2) }, []string{`"baseline\x00s" says 402, there are 400 rows`}},
		{"a number that is missing", func(tx *Tx) error { return tx.Table(tableCounts).Delete(historyCount.key) }, []string{`"history" is missing, there are 1200 rows`}},
		{"a number of nothing", func(tx *Tx) error { return addCount(tx, baselineCount("gone"), 2) }, []string{"says 2, there are 0 rows"}},
		{"a table nobody knows", func(tx *Tx) error { return tx.Table("strange").Put([]byte("k"), nil) }, []string{`table "strange"`, "not known"}},
		{"nothing", func(*Tx) error { return nil }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.db")
			check(t, os.WriteFile(path, useful(t), 0o600))
			db := openFile(t, path)
			update(t, db, test.wrong)
			var texts []string
			check(t, db.Check(func(text string) { texts = append(texts, text) }))
			if (len(texts) == 0) != (test.want == nil) || len(texts) > 1 {
				t.Fatalf("%d texts: %q", len(texts), texts)
			}
			for _, part := range test.want {
				if !strings.Contains(texts[0], part) {
					t.Errorf("%q, want %q in it", texts[0], part)
				}
			}
			update(t, db, func(tx *Tx) error { return tx.Table(tableServers).Put(Key("x"), []byte("{}")) }) // nothing is left locked
		})
	}
}
