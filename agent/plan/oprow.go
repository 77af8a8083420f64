package plan

import (
	"encoding/json"
	"fmt"

	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/ftpferry/ftpferry/state/fields"
)

// formatOp is the first byte of an encoded Op, which is a record of package fields from there on. Older versions wrote JSON.
const formatOp = 1

// The fields of an Op. A number never gets another meaning.
const (
	opAction = iota + 1
	opLocalKnowledge
	opLocal
	opRemoteKnowledge
	opRemote
	opBase
	opFrom
	opTo
	opUnproven
	opRotated
	opReason
	opExtra
	opApproved
	opReplan
	opTouched
	opReady
	opPlanned
	opOurs
)

// The fields of its Base.
const (
	baseLocal = iota + 1
	baseRemote
	baseWhen
	baseLeft
	baseUnreadable
)

// Encode returns the form in which an operation is the payload of a job. Path is for whoever stores it.
func (o *Op) Encode() []byte {
	to := append(make([]byte, 0, 128), formatOp)
	to = fields.Text(to, opAction, o.Action)
	to = fields.Uint(to, opLocalKnowledge, uint64(o.Local.Knowledge))
	to = fields.Record(to, opLocal, o.Local.Entry.Append)
	to = fields.Uint(to, opRemoteKnowledge, uint64(o.Remote.Knowledge))
	to = fields.Record(to, opRemote, o.Remote.Entry.Append)
	if o.Base != nil {
		to = fields.Record(to, opBase, o.Base.append)
	}
	to = fields.Text(to, opFrom, o.From)
	to = fields.Text(to, opTo, o.To)
	to = fields.Bool(to, opUnproven, o.Unproven)
	to = fields.Bool(to, opRotated, o.Rotated)
	to = fields.Text(to, opReason, o.Reason)
	to = fields.Bool(to, opExtra, o.Extra)
	to = fields.Bool(to, opApproved, o.Approved)
	to = fields.Bool(to, opReplan, o.Replan)
	to = fields.Time(to, opTouched, o.Touched)
	to = fields.Bool(to, opReady, o.Ready)
	to = fields.Time(to, opPlanned, o.Planned)
	return fields.Bool(to, opOurs, o.Ours)
}

func (b *Base) append(to []byte) []byte {
	to = fields.Record(to, baseLocal, b.Local.Append)
	to = fields.Record(to, baseRemote, b.Remote.Append)
	to = fields.Time(to, baseWhen, b.When)
	to = fields.Text(to, baseLeft, b.Left)
	return fields.Bool(to, baseUnreadable, b.Unreadable)
}

// DecodeOp reads what Encode wrote, or an older version. There may be no Path in it.
func DecodeOp(payload []byte) (Op, error) {
	if len(payload) == 0 || payload[0] != formatOp {
		var o Op
		if err := json.Unmarshal(payload, &o); err != nil {
			return Op{}, fmt.Errorf("operation: %w", err)
		}
		return o, nil
	}
	o, err := readOp(string(payload[1:]))
	if err != nil {
		return Op{}, fmt.Errorf("operation: %w", err)
	}
	return o, nil
}

func readOp(record string) (o Op, err error) {
	r := fields.Read(record)
	for r.Next() {
		switch r.Field {
		case opAction:
			o.Action = Action(r.Text())
		case opLocalKnowledge:
			o.Local.Knowledge = Knowledge(r.Uint(uint64(Seen)))
		case opLocal:
			o.Local.Entry = readEntry(&r)
		case opRemoteKnowledge:
			o.Remote.Knowledge = Knowledge(r.Uint(uint64(Seen)))
		case opRemote:
			o.Remote.Entry = readEntry(&r)
		case opBase:
			o.Base = readBase(&r)
		case opFrom:
			o.From = r.Text()
		case opTo:
			o.To = r.Text()
		case opUnproven:
			o.Unproven = r.Bool()
		case opRotated:
			o.Rotated = r.Bool()
		case opReason:
			o.Reason = r.Text()
		case opExtra:
			o.Extra = r.Bool()
		case opApproved:
			o.Approved = r.Bool()
		case opReplan:
			o.Replan = r.Bool()
		case opTouched:
			o.Touched = r.Time()
		case opReady:
			o.Ready = r.Bool()
		case opPlanned:
			o.Planned = r.Time()
		case opOurs:
			o.Ours = r.Bool()
		default:
			r.Bad()
		}
	}
	return o, r.Err()
}

func readEntry(r *fields.Reader) entry.Entry {
	e, err := entry.Read(r.Text())
	if err != nil {
		r.Bad()
	}
	return e
}

func readBase(r *fields.Reader) *Base {
	b := new(Base)
	inner := fields.Read(r.Text())
	for inner.Next() {
		switch inner.Field {
		case baseLocal:
			b.Local = readEntry(&inner)
		case baseRemote:
			b.Remote = readEntry(&inner)
		case baseWhen:
			b.When = inner.Time()
		case baseLeft:
			b.Left = inner.Text()
		case baseUnreadable:
			b.Unreadable = inner.Bool()
		default:
			inner.Bad()
		}
	}
	if inner.Err() != nil {
		r.Bad()
	}
	return b
}
