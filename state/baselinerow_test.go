package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/google/go-cmp/cmp"
)

// jsonBaseline is a row as older versions wrote it.
func jsonBaseline(t testing.TB, b Baseline) []byte {
	t.Helper()
	row, err := json.Marshal(baselineJSON{Path: Text(b.Path), Baseline: b})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func usualBaseline() Baseline {
	return Baseline{
		Path:   "photos/2025-07-14/IMG_20250714_0031.jpg",
		Local:  entry.Entry{Kind: entry.File, Size: 3_481_220, ModTime: noon, Precision: time.Nanosecond},
		Remote: entry.Entry{Kind: entry.File, Size: 3_481_220, ModTime: noon.Truncate(time.Second), Precision: time.Second},
		When:   noon.Add(93 * time.Hour), Job: 1_234_567,
	}
}

func TestBaselineRowIsSmall(t *testing.T) {
	b := usualBaseline()
	row, err := encodeBaseline(baselineKey("s", b.Path), b)
	if err != nil || len(row) > 40 {
		t.Errorf("%d bytes, %v", len(row), err)
	}
	if old := jsonBaseline(t, b); len(old) < 5*len(row) {
		t.Errorf("%d bytes instead of %d", len(row), len(old))
	}
	b.Local.ID, b.Remote.ID = 7_340_123, math.MaxUint64
	if told, err := encodeBaseline(baselineKey("s", b.Path), b); err != nil || len(told) > len(row)+12 {
		t.Errorf("%d bytes instead of %d, %v", len(told), len(row), err)
	}
}

func TestBaselineRowKeepsEveryValue(t *testing.T) {
	at := func(kind entry.Kind, size int64, modTime time.Time, precision time.Duration) entry.Entry {
		return entry.Entry{Kind: kind, Size: size, ModTime: modTime, Precision: precision}
	}
	first, last := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	for name, want := range map[string]Baseline{
		"zero":                        {},
		"usual":                       usualBaseline(),
		"folders":                     {Local: at(entry.Dir, 0, noon, 1), Remote: at(entry.Dir, 0, time.Time{}, 0)},
		"the far side says nothing":   {Local: at(entry.File, 5, noon, 1), Remote: at(entry.File, -1, time.Time{}, 0), When: noon},
		"only the far side says when": {Local: at(entry.Link, 0, time.Time{}, 0), Remote: at(entry.Other, 0, noon, time.Minute)},
		"the greatest numbers":        {Local: at(entry.File, math.MaxInt64, last, math.MaxInt64), Remote: at(entry.File, math.MinInt64, first, math.MinInt64), When: last, Job: math.MaxUint64},
		"the other way round":         {Local: at(entry.File, math.MinInt64, first, -1), Remote: at(entry.File, math.MaxInt64, last, 7), When: first, Job: 1},
		"before 1970":                 {Local: at(entry.File, 1, time.Unix(-1, 5).UTC(), time.Hour), When: time.Unix(0, 0).UTC()},
		"files that are told apart":   {Local: entry.Entry{Kind: entry.File, Size: 1, ModTime: noon, ID: 7_340_123}, Remote: entry.Entry{Kind: entry.File, Size: 1, ID: math.MaxUint64}, When: noon, Job: 1},
		"folders told apart here":     {Local: entry.Entry{Kind: entry.Dir, ID: math.MaxUint64}, Remote: entry.Entry{Kind: entry.Dir}},
		"folders told apart there":    {Local: entry.Entry{Kind: entry.Dir}, Remote: entry.Entry{Kind: entry.Dir, ID: 1}},
		"links":                       {Local: entry.Entry{Kind: entry.Link, Target: "../there"}, Remote: entry.Entry{Kind: entry.Link, Target: strings.Repeat("t", 4096), ID: 1}},
		"a link that is left":         {Local: entry.Entry{Kind: entry.Link, Target: "/there"}, Left: "it leads elsewhere", Job: 1},
		"a link with two names there": {Remote: entry.Entry{Kind: entry.Link, Target: "there"}, Job: math.MaxUint64},
		"other time zones":            {Local: at(entry.File, 1, noon.In(time.FixedZone("", 3600)), 1), When: noon.Local()},
	} {
		t.Run(name, func(t *testing.T) {
			long := strings.Repeat("f/", longest)
			for _, path := range []string{"a", "a/b", "a/\x00\x01", long + "a", long + strings.Repeat("\x01", longest), strings.Repeat("\x00", longest), strings.Repeat("n", longest+1)} {
				want.Path = path
				key := baselineKey("s", path)
				row, err := encodeBaseline(key, want)
				if err != nil {
					t.Fatal(err)
				}
				for form, row := range map[string][]byte{"binary": row, "JSON": jsonBaseline(t, want)} {
					got, err := decodeBaseline(key, row, path)
					if diff := cmp.Diff(want, got); diff != "" || err != nil {
						t.Errorf("%s row of %.20q: %v\n%s", form, path, err, diff)
					}
				}
			}
		})
	}
}

func TestBaselineRefusesUnknownKinds(t *testing.T) {
	db := openNew(t)
	for _, b := range []Baseline{{Path: "a", Local: entry.Entry{Kind: 5}}, {Path: "a", Remote: entry.Entry{Kind: 255}}} {
		wantText(t, db.Update(func(tx *Tx) error { return PutBaseline(tx, "s", b) }), "no kinds of entries", `table "baseline"`)
	}
}

func TestBadBaselineBytes(t *testing.T) {
	b := usualBaseline()
	key := baselineKey("s", b.Path)
	good, err := encodeBaseline(key, b)
	if err != nil {
		t.Fatal(err)
	}
	wantBad := func(name string, key, row []byte) {
		t.Helper()
		if got, err := decodeBaseline(key, row, b.Path); !errors.Is(err, ErrBadRow) || got != (Baseline{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for i := range good {
		wantBad("cut short", key, good[:i])
		for bit := range 8 {
			flipped := append([]byte{}, good...)
			flipped[i] ^= 1 << bit
			wantBad("one bit flipped", key, flipped)
		}
	}
	wantBad("nothing", key, nil)
	wantBad("too long", key, append(append([]byte{}, good...), 0))
	wantBad("of another path", baselineKey("s", "photos/other"), good)
	wantBad("of another sync", baselineKey("s2", b.Path), good)
	wantBad("a newer format", key, append([]byte{2}, good[1:]...))
	wantBad("JSON of another path", baselineKey("s", "photos/other"), jsonBaseline(t, b))
	wantBad("JSON null in braces", key, []byte("{}"))
	wantBad("a key of another table", []byte("s"), good)
	for name, body := range map[string][]byte{ // with a right sum
		"an unknown kind":            {1, 5, 0, 0, 0, 0, 0},
		"an unknown remote kind":     {1, 0x61, 0, 0, 0, 0, 0},
		"an unknown flag":            {1, 0, 0, 128, 0, 0, 0},
		"an identity of 0":           {1, 0, 0, 8, 0, 0, 0, 0},
		"a remote identity of 0":     {1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"a short remote identity":    {1, 0, 0, 16, 0, 0, 0, 1, 1, 1},
		"a target of no length":      {1, 0, 0, 32, 0, 0, 0, 0},
		"a remote target of no end":  {1, 0, 0, 64, 0, 0, 0, 3, 'a', 'b'},
		"an unknown precision":       {1, 0, 14, 0, 0, 0, 0},
		"a number without end":       {1, 0, 0, 0, 0, 0, 0x80},
		"a number that is too large": {1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2},
		"a second of 2^30 ns":        {1, 0, 0, 4, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 4, 0},
		"something after the end":    {1, 0, 0, 0, 0, 0, 0, 0},
		"no numbers":                 {1, 0, 0, 0},
	} {
		wantBad(name, key, binary.BigEndian.AppendUint32(body, baselineSum(key, body)))
	}
}

// FuzzBaselineRow feeds bytes to the reader of rows, as they are and with a right sum.
func FuzzBaselineRow(f *testing.F) {
	b := usualBaseline()
	row, err := encodeBaseline(baselineKey("s", b.Path), b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Path, row)
	f.Add(b.Path, jsonBaseline(f, b))
	f.Add(strings.Repeat("n", longest+1), []byte{1, 0, 0, 0, 0, 0, 0})
	f.Add("a", []byte{1, 0x33, 0, 0x78, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 't', 1, 'u'})
	f.Add("a", []byte{1, 0xff, 0xff, 0xff, 0x80})
	f.Add("", []byte("{"))
	f.Fuzz(func(t *testing.T, path string, row []byte) {
		key := baselineKey("s", path)
		summed := binary.BigEndian.AppendUint32(append([]byte{}, row...), baselineSum(key, row))
		for _, row := range [][]byte{row, summed} {
			got, err := decodeBaseline(key, row, path)
			if err != nil {
				if !errors.Is(err, ErrBadRow) || got != (Baseline{}) {
					t.Fatalf("%+v, %v", got, err)
				}
				continue
			}
			if got.Path != path {
				t.Fatalf("the row of %q is said to be that of %q", path, got.Path)
			}
			again, err := encodeBaseline(key, got)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := decodeBaseline(key, again, path); !sameBaseline(back, got) || err != nil {
				t.Fatalf("%+v became %+v, %v", got, back, err)
			}
		}
	})
}

func sameBaseline(a, b Baseline) bool {
	same := func(a, b entry.Entry) bool {
		return a.Kind == b.Kind && a.Size == b.Size && a.Precision == b.Precision && a.ModTime.Equal(b.ModTime) && a.ID == b.ID && a.Target == b.Target
	}
	return a.Path == b.Path && same(a.Local, b.Local) && same(a.Remote, b.Remote) && a.When.Equal(b.When) && a.Job == b.Job && a.Bad == b.Bad
}

// FuzzBaselineRoundTrip writes a row and reads it back, and reads it with one byte changed.
func FuzzBaselineRoundTrip(f *testing.F) {
	f.Add("s", "a/b", uint8(1), uint8(1), int64(7), int64(-1), int64(1_700_000_000), int64(1_700_000_000), int64(123), int64(0), int64(1), int64(time.Second), int64(1_800_000_000), uint64(9), uint16(5), uint8(1), uint64(77), uint64(0), "")
	f.Add("", "\x00\x01", uint8(2), uint8(0), int64(0), int64(0), int64(math.MinInt64), int64(math.MaxInt64), int64(999_999_999), int64(1), int64(0), int64(-5), int64(0), uint64(math.MaxUint64), uint16(0), uint8(0x72), uint64(0), uint64(math.MaxUint64), "../t")
	f.Fuzz(func(t *testing.T, sync, path string, localKind, remoteKind uint8, localSize, remoteSize, localTime, remoteTime, localNano, remoteNano, localPrecision, remotePrecision, when int64, job uint64, place uint16, change uint8, localID, remoteID uint64, target string) {
		want := Baseline{
			Path:   path,
			Local:  entry.Entry{Kind: entry.Kind(localKind % 5), Size: localSize, ModTime: time.Unix(localTime, localNano).UTC(), Precision: time.Duration(localPrecision)},
			Remote: entry.Entry{Kind: entry.Kind(remoteKind % 5), Size: remoteSize, ModTime: time.Unix(remoteTime, remoteNano).UTC(), Precision: time.Duration(remotePrecision)},
			Job:    job,
		}
		want.Local.ID, want.Remote.ID, want.Local.Target = localID, remoteID, target
		if when != 0 {
			want.When = time.Unix(when, localNano).UTC()
		}
		key := baselineKey(sync, path)
		row, err := encodeBaseline(key, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeBaseline(key, row, path)
		if path == "" && err != nil {
			return // never written
		}
		if !sameBaseline(got, want) || err != nil {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
		if change != 0 {
			row[int(place)%len(row)] ^= change
			if got, err := decodeBaseline(key, row, path); !errors.Is(err, ErrBadRow) {
				t.Fatalf("with a byte changed, %+v became %+v, %v", want, got, err)
			}
		}
	})
}
