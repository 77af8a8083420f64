package entry

import (
	"math"
	"time"

	"github.com/ftpferry/ftpferry/state/fields"
)

// The fields of an Entry as a record.
const (
	fieldKind = iota + 1
	fieldSize
	fieldModTime
	fieldPrecision
	fieldID
	fieldTarget
)

// Append appends the entry as a record of package fields.
func (e Entry) Append(to []byte) []byte {
	to = fields.Uint(to, fieldKind, uint64(e.Kind))
	to = fields.Int(to, fieldSize, e.Size)
	to = fields.Time(to, fieldModTime, e.ModTime)
	to = fields.Int(to, fieldPrecision, int64(e.Precision))
	to = fields.Uint(to, fieldID, e.ID)
	return fields.Text(to, fieldTarget, e.Target)
}

// Read returns the entry that Append made a record of.
func Read(record string) (e Entry, err error) {
	r := fields.Read(record)
	for r.Next() {
		switch r.Field {
		case fieldKind:
			e.Kind = Kind(r.Uint(uint64(Other)))
		case fieldSize:
			e.Size = r.Int()
		case fieldModTime:
			e.ModTime = r.Time()
		case fieldPrecision:
			e.Precision = time.Duration(r.Int())
		case fieldID:
			e.ID = r.Uint(math.MaxUint64)
		case fieldTarget:
			e.Target = r.Text()
		default:
			r.Bad()
		}
	}
	return e, r.Err()
}
