package state

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// useful makes a file with rows in several tables, a tree of three levels and free pages, and returns its bytes.
func useful(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.db")
	db, err := Open(path, Options{AllowNetworkFilesystem: true})
	if err != nil {
		t.Fatal(err)
	}
	look := entry.Entry{Kind: entry.File, Size: 7, ModTime: time.Unix(1e9, 0).UTC(), Precision: time.Second}
	for round := range 3 {
		if err := db.Update(func(tx *Tx) error {
			for i := range 400 {
				path := fmt.Sprintf("%s/%03d", strings.Repeat("long folder name ", 20), i)
				err := errors.Join(
					PutBaseline(tx, "s", Baseline{Path: path, Local: look, Remote: look, Job: uint64(round)}),
					AppendHistory(tx, History{When: time.Unix(int64(i), 0), Path: path, Result: "done"}))
				if err != nil {
					return err
				}
			}
			return errors.Join(MarkDirty(tx, "s", "d", "watch", false, time.Unix(9, 0)),
				PutServer(tx, "acme", Server{Failures: 3}), PutSync(tx, "s", SyncState{Halt: "because"}),
				PutSchedule(tx, "s", "@daily", Schedule{Result: "done"}), AddIntent(tx, "s", "d", Intent{Source: look}))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// use opens a file and does what an agent does with it. It returns the first error, and whether all was there, or the log
// says why not.
func use(path string) (whole bool, err error) {
	var log bytes.Buffer
	db, err := Open(path, Options{AllowNetworkFilesystem: true, LockTimeout: 60 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }()
	whole = true
	err = db.View(func(tx *Tx) error {
		rows := 0
		for _, table := range []string{tableBaseline, tableHistory, tableDirty, tableServers, tableSyncs, tableSchedules, tableIntents} {
			check := rowChecks[table]
			err := tx.Table(table).Scan(nil, nil, func(key, value []byte) (bool, error) {
				rows++
				return true, check.row(key, value)
			})
			if err != nil {
				return err
			}
		}
		whole = rows == 400+1200+5 || strings.Contains(log.String(), "the last commit to the state file is not readable")
		return nil
	})
	if err != nil {
		return false, err
	}
	err = db.Update(func(tx *Tx) error {
		for i := range 300 {
			if err := tx.Table(tableSyncs).Put(Key(fmt.Sprint(i)), bytes.Repeat([]byte{'x'}, 100)); err != nil {
				return err
			}
		}
		_, err := tx.Table(tableHistory).DeletePrefix(nil)
		return err
	})
	return whole, err
}

func TestFileCutShortAnywhere(t *testing.T) {
	content := useful(t)
	path := filepath.Join(t.TempDir(), "agent.db")
	meta, err := readMetaPage(bytes.NewReader(content))
	check(t, err)
	used := int(meta.end) * meta.pageSize
	lengths := []int{0, 1, 15, 80, 4095, 4096, 4097, used - 1, used - 4096}
	for length := 0; length < used; length += 2048 + length/9 {
		lengths = append(lengths, length)
	}
	for _, length := range lengths {
		check(t, os.WriteFile(path, content[:length], 0o600))
		_, err := use(path)
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v, want ErrCorrupt", length, used, err)
		}
		wantText(t, err, path, "move it away", "deletes nothing")
		if after := sizeOf(t, path); after != int64(length) {
			t.Fatalf("%d bytes became %d", length, after)
		}
	}
	check(t, os.WriteFile(path, content[:used], 0o600)) // what a backup looks like
	if whole, err := use(path); !whole || err != nil {
		t.Errorf("all used pages are there: %v, %v", whole, err)
	}
}

// A flipped bit may hit what nobody looks at. What must not be is that the process ends, which no test can survive, or
// that an error is none of those a person can act on, or that rows go missing without a word.
func TestFlippedBits(t *testing.T) {
	content := useful(t)
	path := filepath.Join(t.TempDir(), "agent.db")
	meta, err := readMetaPage(bytes.NewReader(content))
	check(t, err)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	outcomes := map[string]int{}
	for i := range 40 {
		page := random.IntN(int(meta.end))
		offset := random.IntN(meta.pageSize)
		if i%3 > 0 {
			offset = random.IntN(96) // where the structure is
		}
		damaged := bytes.Clone(content)
		damaged[page*meta.pageSize+offset] ^= 1 << random.IntN(8)
		if i%5 == 0 { // or a page in the place of another
			other := random.IntN(int(meta.end))
			copy(damaged[page*meta.pageSize:], content[other*meta.pageSize:(other+1)*meta.pageSize])
		}
		check(t, os.WriteFile(path, damaged, 0o600))
		told := ""
		if db, err := Open(path, Options{AllowNetworkFilesystem: true, ReadOnly: true}); err == nil {
			if err := db.Check(func(text string) { told = text }); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("page %d, byte %d: Check = %v", page, offset, err)
			} else if err != nil {
				told = err.Error()
			}
			check(t, db.Close())
		} else {
			told = err.Error()
		}
		whole, err := use(path)
		switch {
		case err == nil && whole && told == "":
			outcomes["harmless"]++
		case err == nil && told != "":
			outcomes["told by Check"]++
		case errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), "cut short"):
			t.Fatalf("page %d, byte %d: %v", page, offset, err)
		case errors.Is(err, ErrCorrupt):
			outcomes["damaged"]++
		case errors.Is(err, ErrBadRow):
			outcomes["bad row"]++
		case errors.Is(err, ErrTooNew):
			outcomes["schema"]++
		default:
			t.Fatalf("page %d, byte %d: whole %v, %v, Check says %q", page, offset, whole, err, told)
		}
	}
	t.Log(outcomes)
}
