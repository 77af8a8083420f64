package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// Rows of the baseline are by far the most, so they have a form of their own:
//
//	format        1 byte, 1. Rows of older versions are JSON and begin with '{'
//	kinds         1 byte: of the local entry, and times 16 of the remote one
//	precisions    1 byte: likewise, indexes of commonPrecisions
//	flags         1 byte
//	local         size; time; precision if not a common one
//	remote        size less the local size; time, its seconds less the local ones; precision as above
//	when          seconds less those of the later of both times, nanoseconds
//	job           number
//	identities    of the local and the remote entry, where flags say so: a varint, and 8 bytes
//	targets       of links, likewise: length and text
//	left          likewise: length and text
//	path          only where the key holds a hash in place of a part of it: the rest of the row before the sum
//	sum           4 bytes: CRC-32C of the key and of all before
//
// Numbers are varints, signed ones but for nanoseconds and job. A time is seconds since 1970 and nanoseconds, nothing if a flag
// says that it is zero. The engine does not check its pages, and a wrong row could make a deletion look right: hence the sum.
const (
	formatBaseline = 1
	formatJSON     = '{'
)

const (
	flagLocalTime = 1 << iota
	flagRemoteTime
	flagWhen
	flagLocalID // from here on since schema 3; without them a row is what it was
	flagRemoteID
	flagLocalTarget
	flagRemoteTarget
	flagLeft
	flagsBaseline = 1<<iota - 1
)

// commonPrecisions take no room. Never change the place of one: it is what rows hold.
var commonPrecisions = [...]time.Duration{0, time.Nanosecond, time.Microsecond, time.Millisecond, time.Second, 2 * time.Second, time.Minute, time.Hour, 24 * time.Hour, 100 * time.Nanosecond}

// otherPrecision says that the precision follows.
const otherPrecision = 15

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func baselineSum(key, row []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, row)
}

func precisionIndex(precision time.Duration) byte {
	for i, common := range commonPrecisions {
		if common == precision {
			return byte(i)
		}
	}
	return otherPrecision
}

// encodeBaseline returns the row for key, which is that of b.Path.
func encodeBaseline(key []byte, b Baseline) ([]byte, error) {
	if b.Local.Kind > entry.Other || b.Remote.Kind > entry.Other {
		return nil, fmt.Errorf("%v and %v are no kinds of entries", b.Local.Kind, b.Remote.Kind)
	}
	local, remote := precisionIndex(b.Local.Precision), precisionIndex(b.Remote.Precision)
	var flags byte
	for i, there := range [...]bool{
		!b.Local.ModTime.IsZero(), !b.Remote.ModTime.IsZero(), !b.When.IsZero(),
		b.Local.ID != 0, b.Remote.ID != 0, b.Local.Target != "", b.Remote.Target != "", b.Left != "",
	} {
		if there {
			flags |= 1 << i
		}
	}
	row := append(make([]byte, 0, 64), formatBaseline, byte(b.Local.Kind)|byte(b.Remote.Kind)<<4, local|remote<<4, flags)
	row, origin := appendEntry(row, b.Local, local, 0, 0)
	row, later := appendEntry(row, b.Remote, remote, b.Local.Size, origin)
	row = appendTime(row, b.When, max(origin, later))
	row = binary.AppendUvarint(row, b.Job)
	row = appendIdentities(row, b.Local, b.Remote)
	row = appendText(row, b.Left)
	if !tellsPath(key) {
		row = append(row, b.Path...)
	}
	return binary.BigEndian.AppendUint32(row, baselineSum(key, row)), nil
}

// appendEntry writes what is not in the four bytes at the start, the size and the seconds as distances. seconds is what the
// next distance starts from.
func appendEntry(row []byte, e entry.Entry, precision byte, size, origin int64) (_ []byte, seconds int64) {
	row = binary.AppendVarint(row, e.Size-size) // wraps around and back
	row = appendTime(row, e.ModTime, origin)
	if precision == otherPrecision {
		row = binary.AppendVarint(row, int64(e.Precision))
	}
	if e.ModTime.IsZero() {
		return row, origin
	}
	return row, e.ModTime.Unix()
}

// appendIdentities writes what tells entries apart. Those of files on disk are small numbers, those of a server are hashes.
func appendIdentities(row []byte, local, remote entry.Entry) []byte {
	if local.ID != 0 {
		row = binary.AppendUvarint(row, local.ID)
	}
	if remote.ID != 0 {
		row = binary.BigEndian.AppendUint64(row, remote.ID)
	}
	for _, target := range [...]string{local.Target, remote.Target} {
		row = appendText(row, target)
	}
	return row
}

// appendText writes nothing for no text.
func appendText(row []byte, text string) []byte {
	if text == "" {
		return row
	}
	return append(binary.AppendUvarint(row, uint64(len(text))), text...)
}

func appendTime(row []byte, t time.Time, origin int64) []byte {
	if t.IsZero() {
		return row
	}
	return binary.AppendUvarint(binary.AppendVarint(row, t.Unix()-origin), uint64(t.Nanosecond()))
}

// baselineReader takes a row apart; after the first thing that is wrong, bad stays set.
type baselineReader struct {
	rest []byte
	bad  bool
}

func (r *baselineReader) signed() int64 {
	n, length := binary.Varint(r.rest)
	return int64(r.took(uint64(n), length))
}

func (r *baselineReader) unsigned() uint64 { return r.took(binary.Uvarint(r.rest)) }

func (r *baselineReader) took(n uint64, length int) uint64 {
	if length <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[length:]
	return n
}

// bytes takes so many of them.
func (r *baselineReader) bytes(length uint64) []byte {
	if length > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	taken := r.rest[:length]
	r.rest = r.rest[length:]
	return taken
}

// identities reads what appendIdentities wrote; what would have been left out is wrong.
func (r *baselineReader) identities(flags byte, local, remote *entry.Entry) {
	if flags&flagLocalID != 0 {
		local.ID = r.unsigned()
		r.bad = r.bad || local.ID == 0
	}
	if flags&flagRemoteID != 0 {
		if id := r.bytes(8); id != nil {
			remote.ID = binary.BigEndian.Uint64(id)
		}
		r.bad = r.bad || remote.ID == 0
	}
	if flags&flagLocalTarget != 0 {
		local.Target = string(r.bytes(r.unsigned()))
		r.bad = r.bad || local.Target == ""
	}
	if flags&flagRemoteTarget != 0 {
		remote.Target = string(r.bytes(r.unsigned()))
		r.bad = r.bad || remote.Target == ""
	}
}

func (r *baselineReader) time(there bool, origin int64) time.Time {
	if !there {
		return time.Time{}
	}
	seconds, nanoseconds := r.signed()+origin, r.unsigned()
	if nanoseconds >= uint64(time.Second) {
		r.bad = true
		return time.Time{}
	}
	t := time.Unix(seconds, int64(nanoseconds)).UTC()
	r.bad = r.bad || t.IsZero() // which would have been left out
	return t
}

// entry fills e and returns what the next time is told by its distance from.
func (r *baselineReader) entry(e *entry.Entry, kind, precision byte, timed bool, size, origin int64) (seconds int64) {
	e.Kind, e.Size = entry.Kind(kind), r.signed()+size
	e.ModTime = r.time(timed, origin)
	switch {
	case int(precision) < len(commonPrecisions):
		e.Precision = commonPrecisions[precision]
	case precision == otherPrecision:
		e.Precision = time.Duration(r.signed())
	default:
		r.bad = true
	}
	r.bad = r.bad || e.Kind > entry.Other
	if timed {
		return e.ModTime.Unix()
	}
	return origin
}

// decodeBaseline reads the row at key. path is what the caller takes for the path, of which the row may know more. Every error
// is ErrBadRow.
func decodeBaseline(key, value []byte, path string) (b Baseline, err error) {
	if err := decodeBaselineInto(&b, key, value, path); err != nil {
		return Baseline{}, err
	}
	return b, nil
}

// decodeBaselineInto is decodeBaseline for rows that have their place. An error leaves nothing of use in b.
func decodeBaselineInto(b *Baseline, key, value []byte, path string) error {
	var err error
	switch {
	case len(value) == 0:
		err = errors.New("it is empty")
	case value[0] == formatJSON:
		err = decodeBaselineJSON(b, key, value)
	case value[0] != formatBaseline:
		err = fmt.Errorf("format %d is unknown", value[0])
	default:
		err = decodeBaselineBinary(b, key, value, path)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRow, err)
	}
	return nil
}

// baselineJSON is the form of older versions: its Path takes the place of the one inside.
type baselineJSON struct {
	Path Text `json:"path"`
	Baseline
}

func decodeBaselineJSON(b *Baseline, key, value []byte) error {
	var row baselineJSON
	if err := json.Unmarshal(value, &row); err != nil {
		return err
	}
	*b = row.Baseline
	b.Path = string(row.Path)
	return b.belongsTo(key)
}

func decodeBaselineBinary(b *Baseline, key, value []byte, path string) error {
	const header, sum = 4, 4
	if len(value) < header+sum {
		return errors.New("it is too short")
	}
	body := value[:len(value)-sum]
	if binary.BigEndian.Uint32(value[len(body):]) != baselineSum(key, body) {
		return errors.New("its check sum is wrong")
	}
	return decodeBaselineBody(b, key, body, path)
}

func decodeBaselineBody(b *Baseline, key, body []byte, path string) error {
	kinds, precisions, flags := body[1], body[2], body[3]
	r := baselineReader{rest: body[4:], bad: flags&^flagsBaseline != 0}
	*b = Baseline{Path: path}
	origin := r.entry(&b.Local, kinds&15, precisions&15, flags&flagLocalTime != 0, 0, 0)
	later := r.entry(&b.Remote, kinds>>4, precisions>>4, flags&flagRemoteTime != 0, b.Local.Size, origin)
	b.When = r.time(flags&flagWhen != 0, max(origin, later))
	b.Job = r.unsigned()
	r.identities(flags, &b.Local, &b.Remote)
	if flags&flagLeft != 0 {
		b.Left = string(r.bytes(r.unsigned()))
		r.bad = r.bad || b.Left == ""
	}
	if r.bad {
		return errors.New("a number in it is wrong")
	}
	if !tellsPath(key) {
		b.Path = string(r.rest)
		return b.belongsTo(key)
	}
	if len(r.rest) > 0 {
		return errors.New("it is too long")
	}
	return nil
}

// belongsTo checks a path that a row brings along.
func (b Baseline) belongsTo(key []byte) error {
	folder, name := splitPath(b.Path)
	end := Key(Shorten(folder), Shorten(name))
	if start := len(key) - len(end); b.Path == "" || start < 1 || key[start-1] != 0 || !bytes.Equal(key[start:], end) {
		return fmt.Errorf("it is about another path, %.100q", b.Path)
	}
	return nil
}

// tellsPath reports whether no part of the path is shortened in its key.
func tellsPath(key []byte) bool {
	first, last := bytes.IndexByte(key, 0), bytes.LastIndexByte(key, 0)
	return first < last && (len(key) <= longest || unescapedLength(key[first+1:last]) <= longest && unescapedLength(key[last+1:]) <= longest)
}

func unescapedLength(part []byte) int {
	length := len(part)
	for i := bytes.IndexByte(part, 1); i >= 0 && i < len(part); i++ {
		if part[i] == 1 {
			length--
			i++
		}
	}
	return length
}

// childPath returns the path of the row at key, which lies in folder. Of a name that is shortened in the key, only the row
// knows more.
func childPath(folder string, key []byte) string {
	var path strings.Builder
	writeChildPath(&path, folder, key)
	return path.String()
}

func writeChildPath(to *strings.Builder, folder string, key []byte) {
	if folder != "" {
		to.WriteString(folder)
		to.WriteByte('/')
	}
	name := key[bytes.LastIndexByte(key, 0)+1:]
	if bytes.IndexByte(name, 1) >= 0 {
		to.WriteString(KeyStrings(name)[0])
		return
	}
	to.Write(name)
}
