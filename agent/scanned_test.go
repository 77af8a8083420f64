package agent

import (
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatGoesFirst: kinds of work in the order in which a server gets them.
func TestWhatGoesFirst(t *testing.T) {
	op := func(action plan.Action, local, remote int64) uint8 {
		return priorityOf(plan.Op{Action: action, Local: plan.Side{Entry: entry.Entry{Size: local}}, Remote: plan.Side{Entry: entry.Entry{Size: remote}}})
	}
	order := [][]uint8{
		{priorityRequest},
		{queue.Urgent}, // and nothing else is
		{priorityLook},
		{priorityLateScan},
		{op(plan.MakeLocalDir, 0, 4096), op(plan.MakeRemoteDir, 4096, 0), op(plan.MakeRemoteDir, smallFile+1, 0)},
		{op(plan.Upload, 0, 0), op(plan.Upload, smallFile, 0), op(plan.Download, 0, smallFile)},
		{op(plan.Upload, smallFile+1, 0), op(plan.Upload, 0, smallFile+1), op(plan.Download, 1, smallFile+1)},
		{priorityScan},
		{prioritySweep},
		{op(plan.DeleteLocal, 0, 0), op(plan.DeleteRemote, smallFile+1, smallFile+1), op(plan.DeleteRemote, 1, 1)},
	}
	for i, same := range order {
		for _, priority := range same {
			if priority != same[0] {
				t.Errorf("line %d: priorities %v are not the same", i, same)
			}
		}
		if i > 0 && order[i-1][0] >= same[0] {
			t.Errorf("line %d: priority %d, and %d before it", i, same[0], order[i-1][0])
		}
	}
}
