package fields

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// TestRoundTrip: what is appended comes back, and what is zero takes no room.
func TestRoundTrip(t *testing.T) {
	if empty := Time(Text(Bool(Int(Uint(nil, 1, 0), 2, 0), 3, false), 4, ""), 5, time.Time{}); len(empty) != 0 {
		t.Errorf("zeros are %x", empty)
	}
	for _, n := range []uint64{1, 127, 128, math.MaxInt64, math.MaxUint64} {
		if r := Read(string(Uint(nil, Most, n))); !r.Next() || r.Field != Most || r.Uint(math.MaxUint64) != n || r.Next() || r.Err() != nil {
			t.Errorf("%d: %+v", n, r)
		}
	}
	for _, n := range []int64{1, -1, 63, -64, math.MaxInt64, math.MinInt64} {
		if r := Read(string(Int(nil, 2, n))); !r.Next() || r.Int() != n || r.Err() != nil {
			t.Errorf("%d: %+v", n, r)
		}
	}
	for _, at := range []time.Time{
		time.Unix(0, 0), time.Unix(-1, 999_999_999), time.Date(9999, 12, 31, 23, 59, 59, 1, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600)),
	} {
		if r := Read(string(Time(nil, 3, at))); !r.Next() || r.Time() != at.UTC() || r.Err() != nil {
			t.Errorf("%v: %+v", at, r)
		}
	}
	for _, length := range []int{0, 1, 126, 127, 128, 20_000} {
		text := strings.Repeat("\xff", length)
		record := Record([]byte("before"), 9, func(to []byte) []byte { return append(to, text...) })
		r := Read(string(bytes.TrimPrefix(Bool(record, 4, true), []byte("before"))))
		if !r.Next() || r.Field != 9 || r.Text() != text || !r.Next() || r.Field != 4 || !r.Bool() || r.Next() || r.Err() != nil {
			t.Errorf("a record of %d bytes: %+v", length, r)
		}
	}
}

func TestWhatIsWrong(t *testing.T) {
	number := func(r *Reader) { r.Uint(5) }
	text := func(r *Reader) { r.Text() }
	at := func(r *Reader) { r.Time() }
	for _, test := range []struct {
		name, record string
		read         func(r *Reader)
	}{
		{"the end is missing", "\x02", number},
		{"a number without an end", "\x02" + strings.Repeat("\x80", 12), number},
		{"a number that is too large", "\x02\x06", number},
		{"a number of more than 64 bits", "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", func(r *Reader) { r.Uint(math.MaxUint64) }},
		{"a text that is cut", "\x03\x02x", text},
		{"a text longer than there is memory", "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", text},
		{"a number where there should be a text", "\x02\x01", text},
		{"a text where there should be a number", "\x03\x01x", number},
		{"a text where there should be a number with a sign", "\x03\x01x", func(r *Reader) { r.Int() }},
		{"a fact that is neither", "\x02\x02", func(r *Reader) { r.Bool() }},
		{"a time without nanoseconds", "\x03\x01\x02", at},
		{"a time with too many nanoseconds", "\x03\x06\x02\x80\x94\xeb\xdc\x03", at},
		{"a time with more behind it", "\x03\x03\x02\x02\x02", at},
		{"a field that nobody knows", "\x02\x01", (*Reader).Bad},
	} {
		r := Read(test.record)
		for r.Next() {
			test.read(&r)
		}
		if !errors.Is(r.Err(), ErrBad) || r.Next() {
			t.Errorf("%s: %v", test.name, r.Err())
		}
	}
}

// FuzzRead: any bytes are read to their end, without more than they hold.
func FuzzRead(f *testing.F) {
	f.Add(string(Time(Text(Int(nil, 1, -5), 2, "text"), 3, time.Unix(1, 2))))
	f.Add("\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, record string) {
		taken := 0
		for r := Read(record); r.Next(); {
			taken += 2 + len(r.text)
			for _, read := range []func(*Reader){
				func(r *Reader) { r.Uint(math.MaxUint64) }, func(r *Reader) { r.Int() }, func(r *Reader) { r.Bool() }, func(r *Reader) { r.Text() }, func(r *Reader) { r.Time() },
			} {
				again := r
				read(&again)
			}
		}
		if taken > len(record) {
			t.Errorf("%d bytes taken of %d", taken, len(record))
		}
	})
}
