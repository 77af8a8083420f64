package plan

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

// fullOp has no field that is zero.
func fullOp() Op {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	look := func(size int64) entry.Entry {
		return entry.Entry{Kind: entry.Link, Size: size, ModTime: at, Precision: time.Second, ID: 5, Target: "t\xe9"}
	}
	return Op{
		Action: Upload, Path: "p", Local: Side{Assumed, look(1)}, Remote: Side{Seen, look(-1)},
		Base: &Base{Local: entry.Entry{Kind: entry.File, Size: 2, ModTime: at}, Remote: entry.Entry{Kind: entry.Link, Target: "t"}, When: at, Left: "left", Unreadable: true},
		From: "f\xe9", To: "t\xe9", Unproven: true, Rotated: true, Reason: "new", Extra: true, Approved: true, Replan: true, Touched: at.Add(1), Ready: true, Planned: at.Add(2),
	}
}

// TestOpsSurviveThePayload in both forms, but for the path, which the job has.
func TestOpsSurviveThePayload(t *testing.T) {
	all := fullOp()
	for i, value := 0, reflect.ValueOf(all); i < value.NumField(); i++ {
		if value.Field(i).IsZero() {
			t.Errorf("a field that this test does not know: %s", value.Type().Field(i).Name)
		}
	}
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
