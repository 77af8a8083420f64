package agent

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatBothSidesWereWhenLastSeen is the newest of what was written down, for each side on its own.
func TestWhatBothSidesWereWhenLastSeen(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	file := func(size int64) entry.Entry { return entry.Entry{Kind: entry.File, Size: size} }
	saw := func(size int64) plan.Side { return plan.Side{Knowledge: plan.Seen, Entry: file(size)} }
	assumed := plan.Side{Knowledge: plan.Assumed, Entry: file(1)}
	agreed := &control.Agreed{Local: file(1), Remote: file(1), When: noon}
	job := func(local, remote plan.Side, after time.Duration) []plan.Op {
		return []plan.Op{{Action: plan.Upload, Local: local, Remote: remote, Planned: noon.Add(after)}}
	}
	for sentence, row := range map[string]struct {
		agreed      *control.Agreed
		note        state.Note
		ops         []plan.Op
		here, there string
	}{
		"nothing is written down":                   {nil, state.Note{}, nil, "", ""},
		"a path in step":                            {agreed, state.Note{}, nil, "1 agreed 12:00", "1 agreed 12:00"},
		"an agreement that nobody can read":         {&control.Agreed{Unreadable: true}, state.Note{}, nil, "", ""},
		"a conflict":                                {agreed, seeing(state.Note{}, saw(2), saw(3), noon.Add(time.Minute)), nil, "2 noted 12:01", "3 noted 12:01"},
		"a note of before there were looks in them": {agreed, state.Note{Text: "old"}, nil, "1 agreed 12:00", "1 agreed 12:00"},
		"a job that saw one side":                   {agreed, state.Note{}, job(saw(2), assumed, time.Minute), "2 planned 12:01", "1 agreed 12:00"},
		"a job, and a note of after it":             {agreed, seeing(state.Note{}, saw(4), plan.Side{}, noon.Add(2*time.Minute)), job(saw(2), saw(3), time.Minute), "4 noted 12:02", "3 planned 12:01"},
		"a job of before there was a time in them":  {agreed, state.Note{}, []plan.Op{{Local: saw(2), Remote: saw(3)}}, "1 agreed 12:00", "1 agreed 12:00"},
		"both agreed after the note":                {agreed, seeing(state.Note{}, saw(2), saw(3), noon.Add(-time.Minute)), nil, "1 agreed 12:00", "1 agreed 12:00"},
	} {
		t.Run(sentence, func(t *testing.T) {
			text := func(s *control.Seen) string {
				if s == nil {
					return ""
				}
				return fmt.Sprintf("%d %s %s", s.Entry.Size, s.By, s.When.Format("15:04"))
			}
			got := lastSeen(row.agreed, row.note, row.ops)
			if text(got.Local) != row.here || text(got.Remote) != row.there {
				t.Errorf("here %q, want %q; on the server %q, want %q", text(got.Local), row.here, text(got.Remote), row.there)
			}
		})
	}
}

// TestAJobIsExplainedByWhatItGoesBy, and one without such is not.
func TestAJobIsExplainedByWhatItGoesBy(t *testing.T) {
	d := memoryDispatcher(t)
	a := New(breakerConfig(), d.agent.db, d.agent.options)
	now := time.Now()
	err := d.agent.db.Update(func(tx *state.Tx) error {
		op := plan.Op{
			Action: plan.Upload, Path: "f", Reason: "new",
			Local: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 7}}, Remote: plan.Side{Knowledge: plan.Unknown},
		}
		c := &commit{d: &dispatcher{agent: a}, tx: tx, now: now, transition: newTransition()}
		if err := c.enqueueOp(queue.Job{New: queue.New{Sync: "up"}}, op, true); err != nil {
			return err
		}
		if _, err := queue.Enqueue(tx, now, queue.New{Kind: "sweep_remote", Sync: "up", Server: "acme", Path: "f", Payload: json.RawMessage(`{}`)}); err != nil {
			return err
		}
		e := control.Explanation{Sync: "up"}
		if err := a.explainState(tx, &e, "f"); err != nil {
			return err
		}
		if len(e.Jobs) != 2 || e.Jobs[0].Planned != nil || e.Jobs[1].Planned == nil {
			t.Fatalf("jobs %+v", e.Jobs)
		}
		p := e.Jobs[1].Planned
		if p.Local.Knowledge != control.PlannedSeen || p.Local.Entry.Size != 7 || p.Remote.Knowledge != control.PlannedUnknown || !p.When.Equal(now) {
			t.Errorf("planned by %+v", p)
		}
		if seen := e.LastSeen; seen.Local == nil || seen.Local.By != control.SeenPlanned || seen.Local.Entry.Size != 7 || seen.Remote != nil {
			t.Errorf("last seen %+v", seen)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
