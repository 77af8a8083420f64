// Package fields is the form of small records in the state file: fields that say their number, in any order, without those that are
// zero. It is made and read in a fraction of the time that JSON takes, which counts for what is written several times per file.
//
//	field   1 byte: its number times 2, plus 1 if it is bytes
//	value   a varint: the number, or how many bytes follow
//
// The number of a field must never get another meaning. Whoever meets one that it does not know has a record of a newer version, or
// a damaged one.
package fields

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// Most is the highest number of a field.
const Most = 127

// Uint appends a number.
func Uint(to []byte, field byte, n uint64) []byte {
	if n == 0 {
		return to
	}
	return binary.AppendUvarint(append(to, field<<1), n)
}

// Int appends a number that may be negative.
func Int(to []byte, field byte, n int64) []byte { return Uint(to, field, uint64(n)<<1^uint64(n>>63)) }

// Bool appends a fact.
func Bool(to []byte, field byte, is bool) []byte {
	if !is {
		return to
	}
	return Uint(to, field, 1)
}

// Text appends a text, or any other bytes.
func Text[T ~string | ~[]byte](to []byte, field byte, text T) []byte {
	if len(text) == 0 {
		return to
	}
	return append(binary.AppendUvarint(append(to, field<<1|1), uint64(len(text))), text...)
}

// Time appends a time to the nanosecond. It comes back in UTC.
func Time(to []byte, field byte, t time.Time) []byte {
	if t.IsZero() {
		return to
	}
	var both [2 * binary.MaxVarintLen64]byte
	return Text(to, field, binary.AppendUvarint(binary.AppendVarint(both[:0], t.Unix()), uint64(t.Nanosecond())))
}

// Record appends what record appends as one field, which is there even if that is nothing.
func Record(to []byte, field byte, record func([]byte) []byte) []byte {
	to = append(to, field<<1|1, 0)
	start := len(to)
	to = record(to)
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(to)-start))
	to[start-1] = length[0]
	return slices.Insert(to, start, length[1:n]...)
}

// ErrBad says that a record is not one that its reader knows.
var ErrBad = errors.New("a field in it is wrong")

// Reader takes a record apart. What it returns of the text of the record is a part of that, without a copy.
type Reader struct {
	// Field is the number of the field at hand.
	Field byte

	rest, text string
	number     uint64
	isText     bool
	bad        bool
}

// Read returns a reader in front of the first field.
func Read(record string) Reader { return Reader{rest: record} }

// Next goes to the next field, and reports whether there is one.
func (r *Reader) Next() bool {
	if len(r.rest) == 0 || r.bad {
		return false
	}
	r.Field, r.isText, r.text = r.rest[0]>>1, r.rest[0]&1 != 0, ""
	r.rest = r.rest[1:]
	r.number = r.uvarint()
	if r.isText && !r.bad {
		if r.number > uint64(len(r.rest)) {
			r.Bad()
			return false
		}
		r.text, r.rest = r.rest[:r.number], r.rest[r.number:]
	}
	return !r.bad
}

func (r *Reader) uvarint() (n uint64) {
	for i := range min(len(r.rest), binary.MaxVarintLen64) {
		b := r.rest[i]
		if i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		if n |= uint64(b&0x7f) << (7 * i); b < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.Bad()
	return 0
}

// Bad ends the reading of a record with an error.
func (r *Reader) Bad() { r.bad, r.rest = true, "" }

// Err is ErrBad or nil.
func (r *Reader) Err() error {
	if r.bad {
		return ErrBad
	}
	return nil
}

func (r *Reader) is(text bool) bool {
	if r.isText != text {
		r.Bad()
	}
	return !r.bad
}

// Uint returns a number up to most.
func (r *Reader) Uint(most uint64) uint64 {
	if !r.is(false) || r.number > most {
		r.Bad()
		return 0
	}
	return r.number
}

// Int returns a number that may be negative.
func (r *Reader) Int() int64 {
	if !r.is(false) {
		return 0
	}
	return int64(r.number>>1) ^ -int64(r.number&1)
}

// Bool returns a fact.
func (r *Reader) Bool() bool { return r.Uint(1) == 1 }

// Text returns a text, or the bytes of anything else.
func (r *Reader) Text() string {
	if !r.is(true) {
		return ""
	}
	return r.text
}

// Time returns a time in UTC.
func (r *Reader) Time() time.Time {
	inner := Reader{rest: r.Text()}
	zigzag, nanoseconds := inner.uvarint(), inner.uvarint()
	if inner.bad || inner.rest != "" || nanoseconds >= uint64(time.Second) {
		r.Bad()
		return time.Time{}
	}
	return time.Unix(int64(zigzag>>1)^-int64(zigzag&1), int64(nanoseconds)).UTC()
}
