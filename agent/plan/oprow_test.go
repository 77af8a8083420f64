package plan

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/ftpferry/ftpferry/state/fields/fieldstest"
)

// fullOp has no field that is zero.
func fullOp() Op {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	look := func(size int64) entry.Entry {
		return entry.Entry{Kind: entry.Link, Size: size, ModTime: at, Precision: time.Second, ID: 5, Target: "t\xe9"}
	}
	agreed := look(2)
	agreed.Target = "t"
	return Op{
		Action: Upload, Path: "p", Local: Side{Assumed, look(1)}, Remote: Side{Seen, look(-1)},
		Base: &Base{Local: agreed, Remote: agreed, When: at, Left: "left", Unreadable: true},
		From: "f\xe9", To: "t\xe9", Unproven: true, Rotated: true, Reason: "new", Extra: true, Approved: true, Replan: true, Touched: at.Add(1), Ready: true, Planned: at.Add(2), Ours: true,
	}
}

// TestOpsSurviveThePayload in both forms, but for the path, which the job has.
func TestOpsSurviveThePayload(t *testing.T) {
	all := fullOp()
	fieldstest.MustBeFull(t, "Op", reflect.ValueOf(all))
	for what, op := range map[string]Op{"full": all, "empty": {}, "base": {Base: &Base{}}} {
		older, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeOp(older)
		if diff := cmp.Diff(op, got); diff != "" || err != nil {
			t.Errorf("%s, as JSON: %v\n%s", what, err, diff)
		}
		op.Path = ""
		got, err = DecodeOp(op.Encode())
		if diff := cmp.Diff(op, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
	}
	for _, payload := range []string{"", "x", "\x01\xff", `"nonsense"`, "\x02", "\x01\x03\x02x", string(append(all.Encode(), 100<<1, 1))} {
		if op, err := DecodeOp([]byte(payload)); err == nil {
			t.Errorf("%q is %+v", payload, op)
		}
	}
}

// FuzzOp: what can be read is the same when it is written and read again.
func FuzzOp(f *testing.F) {
	op := fullOp()
	f.Add(op.Encode())
	f.Add([]byte(`{"action":"upload"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		op, err := DecodeOp(payload)
		if err != nil || payload[0] != formatOp {
			return
		}
		again, err := DecodeOp(op.Encode())
		if diff := cmp.Diff(op, again); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
