package control

import (
	"math"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestTotalsOfAnySizes: a server may tell the largest number there is, more than once.
func TestTotalsOfAnySizes(t *testing.T) {
	of := func(size int64) plan.Side { return plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Size: size}} }
	_, totals := Planned([]plan.Op{
		{Action: plan.Download, Remote: of(math.MaxInt64)}, {Action: plan.Download, Remote: of(5)}, {Action: plan.Download, Remote: of(-1)},
		{Action: plan.Upload, Local: of(2)}, {Action: plan.Upload, Local: of(3)},
	})
	if totals.BytesDown != math.MaxInt64 || totals.BytesUp != 5 {
		t.Errorf("down %d, up %d", totals.BytesDown, totals.BytesUp)
	}
}
