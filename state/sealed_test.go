package state

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/ftpferry/ftpferry/state/fields/fieldstest"
)

// fullHistory has no field that is zero.
var fullHistory = History{
	When: noon, Sync: "web", Server: "acme", Path: "d/lat\xfcn", Op: "upload", Direction: "up", Result: "done", Job: 1 << 63, Tries: 2, Bytes: 1 << 40,
	Duration: time.Millisecond, Method: "EPSV", Verified: "size", Reply: "226 \xff", Temp: "/d/.lat\xfcn", Final: "/d/lat\xfcn", Error: "no",
}

// TestSealedRows: every field comes back, and a row at the key of another, with a byte changed, or cut, is no row.
func TestSealedRows(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		link := entry.Entry{Kind: entry.Link, Size: -1, ModTime: noon.Add(1), Precision: time.Second, ID: 1 << 63, Target: "a\xe9"}
		intent := Intent{Source: link, Down: true}
		fieldstest.MustBeFull(t, "History", reflect.ValueOf(fullHistory))
		fieldstest.MustBeFull(t, "Intent", reflect.ValueOf(intent))
		check(t, AppendHistory(tx, fullHistory))
		check(t, AddIntent(tx, "web", "d/f", intent))
		check(t, AddIntent(tx, "web", "d/f", Intent{Source: entry.Entry{}}))
		for _, test := range []struct {
			table  string
			decode func(key, value []byte) (any, error)
			want   any
		}{
			{tableHistory, func(key, value []byte) (any, error) { return decodeHistory(key, value) }, fullHistory},
			{tableIntents, func(key, value []byte) (any, error) { return decodeIntents(key, value) }, []Intent{intent, {}}},
		} {
			key, value := tx.Table(test.table).Last(nil)
			got, err := test.decode(key, value)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%s: %v\n%s", test.table, err, diff)
			}
			if _, err := test.decode(append([]byte("x"), key...), value); err == nil {
				t.Errorf("%s: read at another key", test.table)
			}
			for i := range value {
				spoilt := append([]byte(nil), value...)
				spoilt[i]++
				for _, value := range [][]byte{spoilt, value[:i]} {
					if got, err := test.decode(key, value); err == nil {
						t.Errorf("%s, byte %d: %+v", test.table, i, got)
					}
				}
			}
		}
		return nil
	})
}

// FuzzSealedRows: what can be read is the same when it is written and read again.
func FuzzSealedRows(f *testing.F) {
	f.Add(string(fullHistory.append(nil)))
	f.Add("\x05\x04\x02\x01\x04\x10")
	f.Fuzz(func(t *testing.T, record string) {
		key := Key("k")
		seal := func(row []byte) []byte {
			row = append([]byte{formatSealed}, row...)
			sum := baselineSum(key, row)
			return append(row, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
		}
		if h, err := decodeHistory(key, seal([]byte(record))); err == nil {
			if again, err := decodeHistory(key, seal(h.append(nil))); again != h || err != nil {
				t.Errorf("%+v became %+v, %v", h, again, err)
			}
		}
		_, _ = decodeIntents(key, seal([]byte(record)))
		if e, err := entry.Read(record); err == nil {
			if again, err := entry.Read(string(e.Append(nil))); again != e || err != nil {
				t.Errorf("%+v became %+v, %v", e, again, err)
			}
		}
	})
}
