package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/state"
)

// approval is a person's word on syncs, given to the dispatcher.
type approval struct {
	syncs []string
	seen  string // see control.ApproveRequest
	// refused is why nothing came of it, once the dispatcher has answered.
	refused error
}

// approve carries out an approval, if it is still about what the person has seen: a reason may change until the very transaction.
func (c *commit) approve(word *approval) error {
	word.refused = nil // the transaction may be tried twice
	for _, sync := range word.syncs {
		if word.seen == "" {
			break
		}
		row, err := state.GetSync(c.tx, sync)
		switch {
		case err != nil:
			return err
		case row.Halt == "":
			word.refused = fmt.Errorf("%w: %s is not halted", control.ErrOtherReason, sync)
			return nil
		case row.Halt != word.seen:
			word.refused = fmt.Errorf("%w, but because of this: %s", control.ErrOtherReason, row.Halt)
			return nil
		}
	}
	for _, sync := range slices.Compact(slices.Sorted(slices.Values(word.syncs))) {
		if err := c.approved(sync); err != nil {
			return err
		}
	}
	return nil
}

// approved carries out the word of a person that a sync may go on.
func (c *commit) approved(sync string) error {
	if !c.d.agent.has(sync) { // the configuration has changed since somebody asked
		return nil
	}
	server := c.d.agent.cfg.Syncs[sync].Server
	row, err := state.GetSync(c.tx, sync)
	if err == nil {
		err = approve(c.tx, sync, server, c.now)
	}
	if err != nil {
		return err
	}
	text := "a person lets it go on"
	if row.Halt != "" {
		text += fmt.Sprintf(", after %s: %s", max(c.now.Sub(row.HaltedAt), 0).Round(time.Second), row.Halt)
	}
	c.happened(Activity{Kind: ActivityApproved, Sync: sync, Server: server, Text: text})
	c.halted[sync] = false
	if err := c.tryAtOnce(server); err != nil {
		return err
	}
	return c.enqueueScan(sync, work.KindScan, "approved", priorityRequest, c.now)
}

// approve ends a halt. The approval holds until a scan finds nothing that it would be needed
// for: a pass that is cut short goes on with it.
func approve(tx *state.Tx, sync, server string, now time.Time) error {
	row, err := state.GetSync(tx, sync)
	if err != nil {
		return err
	}
	if row.HaltCode != state.HaltUnreadable { // nobody has seen what its next scan would do
		row.Approved = now
		if !slices.Contains(strings.Fields(row.ApprovedHalts), row.HaltCode) {
			row.ApprovedHalts = strings.TrimSpace(row.ApprovedHalts + " " + row.HaltCode)
		}
		row.ApprovedDeletes = max(row.ApprovedDeletes, row.HaltDeletes)
	}
	if row.Halt != "" {
		err := state.AppendHistory(tx, state.History{
			When: now, Sync: sync, Server: server, Op: opGuard, Result: resultApproved, Error: brief(row.Halt), Duration: max(now.Sub(row.HaltedAt), 0),
		})
		if err != nil {
			return err
		}
	}
	row.Halt, row.HaltCode, row.HaltDeletes, row.HaltedAt = "", "", 0, time.Time{}
	return state.PutSync(tx, sync, row)
}
