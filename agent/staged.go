package agent

import (
	"encoding/json"
	"fmt"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/state"
)

// What a scan has found and may not be done before the guard has seen all of it waits in the state, and becomes jobs when there is room.

// stagedOp is the form on disk, in which names survive that are not UTF-8.
type stagedOp struct {
	Path state.Text `json:"path"`
	Op   plan.Op    `json:"op"`
}

func (c *commit) stage(s *scanning, op plan.Op) error {
	if op.Action.Deletes() && op.DeletesFile() {
		s.progress.Found.Staged++
	}
	data, err := json.Marshal(stagedOp{state.Text(op.Path), op})
	if err != nil {
		return fmt.Errorf("encode operation on %q: %w", op.Path, err)
	}
	return state.Stage(c.tx, s.sync(), uint64(s.Job.ID), data)
}

// release turns staged operations of a scan that has passed the guard into jobs, as many as there
// is room for, and ends the scan when none are left.
func (c *commit) release(s *scanning) error {
	left, err := state.CountStaged(c.tx, s.sync(), uint64(s.Job.ID))
	if err != nil {
		return err
	}
	free, err := c.free(s.sync())
	if err != nil {
		return err
	}
	if batch := min(free, c.d.agent.bounds.release); left > 0 && batch > 0 {
		operations, _, err := state.TakeStaged(c.tx, s.sync(), uint64(s.Job.ID), batch)
		if err != nil {
			return err
		}
		for _, data := range operations {
			if err := c.releaseOne(s, data); err != nil {
				return err
			}
		}
		left -= len(operations)
	}
	if left <= 0 {
		return c.finish(s)
	}
	if err := c.saveProgress(s); err != nil {
		return err
	}
	return c.yield(s, c.d.agent.bounds.least)
}

func (c *commit) releaseOne(s *scanning, data []byte) error {
	var staged stagedOp
	if err := json.Unmarshal(data, &staged); err != nil {
		return c.enqueueScan(s.sync(), work.KindScan, "an operation could not be read", priorityScan, c.now)
	}
	op := staged.Op
	op.Path = string(staged.Path)
	if op.Action.Deletes() {
		waiting, _, err := c.pendingDelete(s.sync(), op)
		if err != nil {
			return err
		}
		op.Approved = s.progress.Approved || waiting.approved
		if op.DeletesFile() {
			s.progress.Found.Staged--
		}
	}
	return c.carryOut(s.report, op)
}
