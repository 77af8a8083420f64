package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/state/entry"
)

func TestADeletionWaitsForTheNewNameOfWhatWasRenamed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for sentence, row := range map[string]struct {
		watch, triggers, full bool
		settle                time.Duration
		action                plan.Action
		want                  time.Duration
	}{
		"with a watch, whatever the settle time":    {true, true, false, 0, plan.DeleteRemote, leastGone},
		"on this side too":                          {true, true, false, time.Second, plan.DeleteLocal, leastGone},
		"the settle time may be longer":             {true, true, false, time.Minute, plan.DeleteRemote, time.Minute},
		"a scan of all has seen the new name":       {true, true, true, time.Minute, plan.DeleteRemote, 0},
		"without a watch nobody would tell of it":   {false, true, false, time.Second, plan.DeleteRemote, time.Second},
		"nor in a single pass":                      {true, false, false, 0, plan.DeleteRemote, 0},
		"the rename itself waits for nothing else":  {true, true, false, 0, plan.MoveRemote, 0},
		"it is settled like any other change there": {true, true, false, time.Second, plan.MoveRemote, time.Second},
	} {
		t.Run(sentence, func(t *testing.T) {
			a := &Agent{
				cfg:   &config.Config{Syncs: map[string]*config.Sync{"s": {Watch: row.watch}}},
				syncs: map[string]work.Sync{"s": {Settle: row.settle}}, options: Options{Triggers: row.triggers},
			}
			c := &commit{d: &dispatcher{agent: a}, now: now}
			if got := c.readyAt("s", plan.Op{Action: row.action, Path: "a"}, row.full).Sub(now); got != row.want {
				t.Errorf("after %v, want %v", got, row.want)
			}
		})
	}
}

// TestAComparisonWaits until both sides were quiet, and for the unit of the server's times, in which a second version would not show.
func TestAComparisonWaits(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for sentence, row := range map[string]struct {
		here, there, precision, settle time.Duration
		ready                          bool
		want                           time.Duration
	}{
		"for the newer one, which is here":        {time.Second, time.Hour, time.Second, 10 * time.Second, false, 9 * time.Second},
		"for the newer one, which is there":       {time.Hour, time.Second, time.Second, 10 * time.Second, false, 9 * time.Second},
		"for nothing, if both are old":            {time.Hour, time.Hour, time.Second, 10 * time.Second, false, -time.Hour + 10*time.Second},
		"for the unit of the server's times":      {time.Hour, 0, time.Second, 0, false, time.Second},
		"for the unit, also if the file is ready": {time.Hour, 0, time.Second, 10 * time.Second, true, time.Second},
		"for no minute where times are coarse":    {time.Hour, 0, time.Minute, 0, false, time.Second},
	} {
		a := &Agent{cfg: &config.Config{Syncs: map[string]*config.Sync{"s": {}}}, syncs: map[string]work.Sync{"s": {Settle: row.settle}}}
		c := &commit{d: &dispatcher{agent: a}, now: now}
		side := func(ago, precision time.Duration) plan.Side {
			return plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 1, ModTime: now.Add(-ago), Precision: precision}}
		}
		op := plan.Op{Action: plan.Compare, Path: "a", Local: side(row.here, 1), Remote: side(row.there, row.precision), Ready: row.ready}
		if got := c.readyAt("s", op, true).Sub(now); got != row.want {
			t.Errorf("%s: after %v, want %v", sentence, got, row.want)
		}
	}
}

// TestJobsOnOnePath: all but those that make folders keep conflicts about their paths from being told.
func TestJobsOnOnePath(t *testing.T) {
	for _, kind := range work.FileKinds() {
		makes := kind == string(plan.MakeRemoteDir) || kind == string(plan.MakeLocalDir)
		if isOperation(kind) && slices.Contains(operationsOnOnePath, plan.Action(kind)) == makes {
			t.Errorf("%s: %v", kind, !makes)
		}
	}
}
