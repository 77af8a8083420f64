package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// longest is the length in bytes up to which Shorten leaves a string alone.
const longest = 1024

// Key puts parts together so that keys sort by the first part, then by the second, and so on.
// A string that is not the last part ends in 0x00, so Key("a", "") is the prefix of all keys
// that have "a" before something else. A uint64, and a time.Time to the nanosecond, take eight
// bytes, most significant first; a uint8 takes one. Other types panic.
//
// Servers may send any byte in a name, so 0x00 and 0x01 inside a string are escaped: different
// parts never make the same key. Times before 1970 sort as 1970.
func Key(parts ...any) []byte { return AppendKey(make([]byte, 0, 64), parts...) }

// AppendKey is Key, behind what is in key: several keys in one piece of memory are cheaper.
func AppendKey(key []byte, parts ...any) []byte {
	for i, part := range parts {
		switch part := part.(type) {
		case string:
			key = appendEscaped(key, part)
			if i < len(parts)-1 {
				key = append(key, 0)
			}
		case uint64:
			key = binary.BigEndian.AppendUint64(key, part)
		case uint8:
			key = append(key, part)
		case time.Time:
			key = binary.BigEndian.AppendUint64(key, nanoseconds(part))
		default:
			panic("state: a key cannot hold a part of this type") // to say which would have all parts allocated, tens of times a job
		}
	}
	return key
}

func appendEscaped(key []byte, s string) []byte {
	if strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, 1) < 0 {
		return append(key, s...)
	}
	for i := range len(s) {
		switch s[i] {
		case 0:
			key = append(key, 1, 1)
		case 1:
			key = append(key, 1, 2)
		default:
			key = append(key, s[i])
		}
	}
	return key
}

// KeyStrings returns the parts of a key that Key made of strings alone.
func KeyStrings(key []byte) []string {
	var parts []string
	for part := range bytes.SplitSeq(key, []byte{0}) {
		text := make([]byte, 0, len(part))
		for i := 0; i < len(part); i++ {
			if part[i] == 1 && i+1 < len(part) {
				i++
				text = append(text, part[i]-1)
			} else {
				text = append(text, part[i])
			}
		}
		parts = append(parts, string(text))
	}
	return parts
}

func nanoseconds(t time.Time) uint64 {
	switch {
	case t.Before(time.Unix(0, 0)):
		return 0
	case t.After(time.Unix(0, math.MaxInt64)): // the year 2262
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}

// KeyTime returns the time that is at the start of key, in UTC.
func KeyTime(key []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(key))).UTC()
}

// Shorten returns s if it is at most a KiB long, else its first KiB and a hash of the whole, so
// that it fits into a key. Different strings stay different.
func Shorten(s string) string {
	if len(s) <= longest {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	// The result is longer than any string that is left alone, so the two never meet.
	return s[:longest] + hex.EncodeToString(sum[:])
}

// Successor returns the lowest key above all keys that start with prefix, or nil if there is
// none.
func Successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

// Text is a string that comes back from JSON byte for byte. Names of files need not be UTF-8,
// and encoding/json would replace what is not.
type Text string

type textBytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON writes a plain string where that is exact.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(textBytes{[]byte(t)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var raw textBytes
		err := json.Unmarshal(data, &raw)
		*t = Text(raw.Base64)
		return err
	}
	return json.Unmarshal(data, (*string)(t))
}
