package agent

import (
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
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
