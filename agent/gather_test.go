package agent

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// TestReportsShareACommit: a report waits for others as long as nobody waits for its commit.
func TestReportsShareACommit(t *testing.T) {
	const soon = 10 * time.Millisecond
	done := func(id queue.ID, kind string) report {
		return report{Outcome: work.Outcome{Job: queue.Job{ID: id, New: queue.New{Kind: kind}}, Result: work.Done}}
	}
	upload := string(plan.Upload)
	replan, also, failed, partial := done(1, upload), done(1, upload), done(1, upload), done(1, upload)
	replan.Replan, also.Also, partial.partial = true, []string{"other"}, true
	failed.Result, failed.Err = work.Failed, errors.New("refused")
	for _, test := range []struct {
		name  string
		first []report
		later func(d *dispatcher, stop chan struct{}) // after soon
		wake  time.Duration                           // 0: in a minute
		takes time.Duration
		size  int
	}{
		{name: "one job of several waits, but not for long", first: []report{done(1, upload)}, takes: gatherTime, size: 1},
		{name: "what comes meanwhile shares its commit", first: []report{done(1, upload)},
			later: func(d *dispatcher, _ chan struct{}) { d.reports <- done(2, upload) }, takes: gatherTime, size: 2},
		{name: "the last job of an assignment ends the wait, as its worker has nothing to do", first: []report{done(1, upload)},
			later: func(d *dispatcher, _ chan struct{}) { d.reports <- done(2, upload); d.reports <- done(3, upload) }, takes: soon, size: 3},
		{name: "all jobs of an assignment at once", first: []report{done(1, upload), done(2, upload), done(3, upload)}, size: 3},
		{name: "the only job of another one", first: []report{done(1, upload), done(4, upload)}, size: 2},
		{name: "a failure may concern others", first: []report{failed}, size: 1},
		{name: "what has to be looked at again", first: []report{replan}, size: 1},
		{name: "what leads to a look elsewhere", first: []report{also}, size: 1},
		{name: "a part of a scan, whose worker waits", first: []report{partial}, size: 1},
		{name: "what is no operation", first: []report{done(1, work.KindVerify)}, size: 1},
		{name: "the last but two of a worker for whom there is more", first: []report{done(5, upload)}, size: 1},
		{name: "an event", first: []report{done(1, upload)},
			later: func(d *dispatcher, _ chan struct{}) { d.events <- trigger.Event{} }, takes: soon, size: 2},
		{name: "a person", first: []report{done(1, upload)},
			later: func(d *dispatcher, _ chan struct{}) { d.agent.requests <- request{} }, takes: soon, size: 2},
		{name: "the end of the agent", first: []report{done(1, upload)},
			later: func(_ *dispatcher, stop chan struct{}) { close(stop) }, takes: soon, size: 1},
		{name: "a waiting job that becomes due", first: []report{done(1, upload)}, wake: soon, takes: soon, size: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, other := &assigned{seat: &seat{left: 3}}, &assigned{seat: &seat{left: 1}}
				ending := &assigned{seat: &seat{left: 3, more: true}}
				d := &dispatcher{
					agent: &Agent{lasting: &lasting{requests: make(chan request)}}, events: make(chan trigger.Event), reports: make(chan report),
					outstanding: map[queue.ID]*assigned{1: one, 2: one, 3: one, 4: other, 5: ending}, now: time.Now, wake: time.Now().Add(time.Minute),
				}
				if test.wake > 0 {
					d.wake = time.Now().Add(test.wake)
				}
				stop := make(chan struct{})
				if test.later != nil {
					go func() {
						time.Sleep(soon)
						test.later(d, stop)
					}()
				}
				began, b := time.Now(), batch{reports: test.first}
				d.gather(&b, stop)
				if took := time.Since(began); took != test.takes || b.size() != test.size {
					t.Errorf("waited for %s and has %d, want %s and %d", took, b.size(), test.takes, test.size)
				}
			})
		})
	}
}
