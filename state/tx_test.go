package state

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestScan(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		for _, key := range []string{"a", "b1", "b2", "b3", "c", "\xff\xff"} {
			if err := tx.Table("t").Put([]byte(key), []byte("="+key)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, test := range []struct {
		name, prefix, from string
		limit              int
		want, back         string
	}{
		{"everything", "", "", 9, "a b1 b2 b3 c \xff\xff", "\xff\xff c b3 b2 b1 a"},
		{"one prefix", "b", "", 9, "b1 b2 b3", "b3 b2 b1"},
		{"from the middle of a prefix", "b", "b2", 9, "b2 b3", ""},
		{"from between two keys", "b", "b11", 9, "b2 b3", ""},
		{"from before the prefix", "b", "a", 9, "b1 b2 b3", ""},
		{"from behind the prefix", "b", "c", 9, "", ""},
		{"from without prefix", "", "b3", 9, "b3 c \xff\xff", ""},
		{"stopped by fn", "b", "", 2, "b1 b2", "b3 b2"},
		{"a prefix nobody has", "bb", "", 9, "", ""},
		{"a prefix without successor", "\xff", "", 9, "\xff\xff", "\xff\xff"},
		{"a prefix behind the last key but one", "c", "", 9, "c", "c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			view(t, db, func(tx *Tx) error {
				var got []string
				collect := func(key, value []byte) (bool, error) {
					if string(value) != "="+string(key) {
						t.Errorf("key %q has value %q", key, value)
					}
					got = append(got, string(key))
					return len(got) < test.limit, nil
				}
				if err := tx.Table("t").Scan([]byte(test.prefix), []byte(test.from), collect); err != nil {
					return err
				}
				if strings.Join(got, " ") != test.want {
					t.Errorf("Scan = %q, want %q", got, test.want)
				}
				if test.from != "" {
					return nil
				}
				got = nil
				if err := tx.Table("t").ScanBack([]byte(test.prefix), collect); err != nil {
					return err
				}
				if strings.Join(got, " ") != test.back {
					t.Errorf("ScanBack = %q, want %q", got, test.back)
				}
				last, _, _ := strings.Cut(test.back, " ")
				if key, value := tx.Table("t").Last([]byte(test.prefix)); string(key) != last || last != "" && string(value) != "="+last {
					t.Errorf("Last = %q, %q, want %q", key, value, last)
				}
				return nil
			})
		})
	}
}

func TestScanReturnsTheErrorOfItsFunction(t *testing.T) {
	db := openNew(t)
	stop := errors.New("stop")
	update(t, db, func(tx *Tx) error {
		table := tx.Table("t")
		check(t, table.Put([]byte("k"), nil))
		if err := table.Scan(nil, nil, func(_, _ []byte) (bool, error) { return true, stop }); err != stop {
			t.Errorf("Scan = %v, want the error as it is", err)
		}
		return nil
	})
}

func TestWriteInsideScan(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		check(t, tx.Table("t").Put([]byte("k"), nil))
		return tx.Table("t").Scan(nil, nil, func(key, _ []byte) (bool, error) {
			wantText(t, tx.Table("t").Put([]byte("x"), nil), `table "t"`, "collect first")
			wantText(t, tx.Table("t").Delete(key), `table "t"`, "collect first")
			return true, tx.Table("other").Put([]byte("x"), nil)
		})
	})
	update(t, db, func(tx *Tx) error { return tx.Table("t").Put([]byte("x"), nil) })
}

func TestTable(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		table := tx.Table("t")
		if got := table.Get([]byte("k")); got != nil {
			t.Errorf("a missing table has %q", got)
		}
		check(t, table.Delete([]byte("k")))
		wantText(t, table.Put(nil, nil), "key is empty", `table "t"`, db.path)
		wantText(t, table.Put(make([]byte, 1<<15+1), nil), "32769 bytes", "32768")
		check(t, table.Put(bytes.Repeat([]byte{1}, 1<<15), []byte("long")))
		check(t, table.Put([]byte("empty"), nil))
		if got := table.Get([]byte("empty")); got == nil || len(got) != 0 {
			t.Errorf("an empty value comes back as %#v", got)
		}
		for want := range uint64(3) {
			if id, err := table.NextID(); id != want+1 || err != nil {
				t.Errorf("NextID = %d, %v, want %d", id, err, want+1)
			}
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		table := tx.Table("t")
		if got := table.Get([]byte("empty")); got == nil || len(got) != 0 {
			t.Errorf("an empty value comes back from the file as %#v", got)
		}
		check(t, table.Delete([]byte("empty")))
		if got := table.Get([]byte("empty")); got != nil {
			t.Errorf("a deleted key has %q", got)
		}
		return nil
	})
}

// A cursor of the engine that deletes as it goes would stop early here, because the transaction
// has written to the same pages before.
func TestDeletePrefix(t *testing.T) {
	db := openNew(t)
	const rows = deleteChunk + 1000
	put := func(tx *Tx) {
		for i := range rows {
			check(t, tx.Table("t").Put(Key("a", uint64(i)), []byte("value")))
		}
	}
	update(t, db, func(tx *Tx) error {
		put(tx)
		return tx.Table("t").Put(Key("b", uint64(1)), nil)
	})
	update(t, db, func(tx *Tx) error {
		put(tx)
		removed, err := tx.Table("t").DeletePrefix(Key("a", ""))
		if removed != rows || err != nil {
			t.Errorf("DeletePrefix = %d, %v, want %d", removed, err, rows)
		}
		if key, _ := tx.Table("t").Last(nil); !bytes.Equal(key, Key("b", uint64(1))) {
			t.Errorf("the last key is %q", key)
		}
		if key, _ := tx.Table("t").Last(Key("a", "")); key != nil {
			t.Errorf("%q is still there", key)
		}
		return nil
	})
}

func TestKeysSortByTheirParts(t *testing.T) {
	at := func(s string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, s)
		check(t, err)
		return parsed
	}
	ordered := [][]byte{
		Key("", ""),
		Key("a", ""),
		Key("a", "\x00"),
		Key("a", "\x01"),
		Key("a", "\x02"),
		Key("a", "a"),
		Key("a", "a", ""),
		Key("a", "a", "a"),
		Key("a", "aa"),
		Key("a\x00a", ""),
		Key("a\x01", ""),
		Key("aa", ""),
		Key("b", time.Time{}, uint64(7)),
		Key("b", at("1970-01-01T00:00:00.000000001Z")),
		Key("b", at("2026-01-02T03:04:05Z"), uint8(1)),
		Key("b", at("2026-01-02T03:04:05Z"), uint8(2)),
		Key("b", at("2026-01-02T03:04:05.000000001Z")),
		Key("b", at("2300-01-01T00:00:00Z")),
		Key("c", uint64(1)),
		Key("c", uint64(256)),
	}
	for i := 1; i < len(ordered); i++ {
		if bytes.Compare(ordered[i-1], ordered[i]) >= 0 {
			t.Errorf("key %d %q is not below key %d %q", i-1, ordered[i-1], i, ordered[i])
		}
	}
	when := at("2026-01-02T03:04:05.000000006Z")
	if got := KeyTime(Key(when, uint64(1))); !got.Equal(when) {
		t.Errorf("KeyTime = %v, want %v", got, when)
	}
}

func TestKeyStrings(t *testing.T) {
	for _, parts := range [][]string{{""}, {"a"}, {"a", ""}, {"", "", ""}, {"a\x00b", "\x01", "\x00\x01\x02"}, {"kind", "sync", "a/ü"}} {
		key := Key(parts[0])
		if len(parts) == 2 {
			key = Key(parts[0], parts[1])
		} else if len(parts) == 3 {
			key = Key(parts[0], parts[1], parts[2])
		}
		if diff := cmp.Diff(parts, KeyStrings(key)); diff != "" {
			t.Errorf("%q:\n%s", key, diff)
		}
	}
}

func TestShorten(t *testing.T) {
	long := strings.Repeat("x", longest)
	if Shorten(long) != long {
		t.Error("a string of a KiB was changed")
	}
	seen := make(map[string]string)
	for _, s := range []string{long, long + "a", long + "b", Shorten(long + "a"), Shorten(Shorten(long + "a"))} {
		if before, ok := seen[Shorten(s)]; ok && before != s {
			t.Errorf("two strings of %d and %d bytes look the same", len(before), len(s))
		}
		seen[Shorten(s)] = s
	}
}

func TestRowErrorsNameTableAndKey(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		check(t, tx.Table("some").Put(Key("s"), []byte("\x00{nonsense")))
		_, _, err := ReadRow[Text](tx.Table("some"), Key("s"))
		if !errors.Is(err, ErrBadRow) {
			t.Fatalf("error = %v, want ErrBadRow", err)
		}
		wantText(t, err, `table "some"`, `row "s"`, db.path)
		return nil
	})
}

func TestTextComesBackByteForByte(t *testing.T) {
	db := openNew(t)
	type row struct{ Text Text }
	for _, want := range []Text{"", "plain", "<&> ü \u2028 \ufffd", "latin \xfc", "\x00\xff\xfe", `{"base64":"eA=="}`} {
		update(t, db, func(tx *Tx) error {
			check(t, WriteRow(tx.Table("t"), []byte("k"), row{want}))
			got, _, err := ReadRow[row](tx.Table("t"), []byte("k"))
			if diff := cmp.Diff(row{want}, got); diff != "" || err != nil {
				t.Errorf("%q: %v\n%s", want, err, diff)
			}
			return nil
		})
	}
}

func TestAppendOnlyTablesFillTheirPages(t *testing.T) {
	db := openNew(t)
	pages := make(map[string]int)
	for _, name := range []string{tableHistory, "usual"} {
		for from := uint64(0); from < 5000; from += 500 {
			update(t, db, func(tx *Tx) error {
				for id := from; id < from+500; id++ {
					check(t, tx.Table(name).Put(Key(id), make([]byte, 200)))
				}
				return nil
			})
		}
		view(t, db, func(tx *Tx) error {
			pages[name] = tx.engine.Bucket([]byte(name)).Stats().LeafPageN
			return nil
		})
	}
	if pages[tableHistory]*10 > pages["usual"]*7 {
		t.Errorf("history takes %d pages where another table takes %d", pages[tableHistory], pages["usual"])
	}
}
