package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

const (
	// onceLooks is how often an agent is asked how far its transfers have come.
	onceLooks = 500 * time.Millisecond
	// lateEvents is how long is waited for the last events of a pass that is over.
	lateEvents = 10 * time.Second
)

// onceProgress tells how a pass goes on: a line for each file that is there, and on a terminal bars below for those under way.
type onceProgress struct {
	*program
	cfg   *config.Config
	names []string
	lines io.Writer
	began time.Time
	seen  atomic.Int64 // transfers that were told or missed
	more  chan struct{}
}

// passing calls pass and tells how it goes on, of the syncs of these names; all for none.
func (p *program) passing(ctx context.Context, cfg *config.Config, s control.Service, names []string,
	pass func() (control.Report, error)) (control.Report, error) {
	watched, stop := context.WithCancel(ctx)
	o := &onceProgress{program: p, cfg: cfg, names: names, lines: p.stdout, began: time.Now(), more: make(chan struct{}, 1)}
	stopBars := func() {}
	if _, _, ok := windowOf(p.stderr); ok {
		shown := newBars(p.stderr)
		if _, _, same := windowOf(p.stdout); same {
			o.lines = shown
		}
		stopBars = shown.drawing(o.rows(watched, s))
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// That it breaks off is told by the pass, too.
		_ = s.Events(watched, control.EventsLast(eventsAsked), o.tell)
	}()
	report, err := pass()
	if err == nil {
		o.await(ctx, report, ended)
	}
	stop()
	<-ended
	stopBars()
	return report, err
}

// eventsAsked is more than happens before the first one is asked for.
const eventsAsked = 1000

// about reports whether the pass is about a sync.
func (o *onceProgress) about(sync string) bool {
	s := o.cfg.Syncs[sync]
	return len(o.names) == 0 || slices.Contains(o.names, sync) || s != nil && slices.Contains(o.names, s.Family)
}

func (o *onceProgress) tell(e control.Event) error {
	transfer := (e.Action == "upload" || e.Action == "download") && !e.Already // which the report does not count either
	switch {
	case e.When.Before(o.began):
		return nil
	case e.Kind == control.EventLost:
		o.seen.Add(int64(e.Missed))
	case e.Kind != "done" || !transfer || !o.about(e.Sync):
		return nil
	default:
		o.seen.Add(1)
		took := time.Duration(e.TookMS) * time.Millisecond
		var line bytes.Buffer
		fmt.Fprintf(&line, "%s: %s %s: %s in %s\n", oneLine(e.Sync), e.Action, pathText(string(e.Path)), bytesText(e.Bytes), took)
		if _, err := o.lines.Write(line.Bytes()); err != nil {
			return err
		}
	}
	select {
	case o.more <- struct{}{}:
	default:
	}
	return nil
}

// await waits for the events of what the report tells.
func (o *onceProgress) await(ctx context.Context, report control.Report, ended <-chan struct{}) {
	transferred := int64(0)
	for _, s := range report.Syncs {
		transferred += int64(s.Transferred)
	}
	enough := time.NewTimer(lateEvents)
	defer enough.Stop()
	for o.seen.Load() < transferred {
		select {
		case <-o.more:
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-enough.C:
			return
		}
	}
}

// rows returns what asks the agent how far its transfers have come, now and then.
func (o *onceProgress) rows(ctx context.Context, s control.Service) func() []barRow {
	var last []barRow
	var next time.Time
	return func() []barRow {
		now := time.Now()
		if now.Before(next) || ctx.Err() != nil {
			return last
		}
		overview, err := s.Status(ctx, control.StatusFilter{Notes: 1})
		if err != nil {
			return last
		}
		last, next = nil, time.Now().Add(onceLooks)
		for _, t := range overview.Transfers {
			if o.about(t.Sync) {
				last = append(last, barRow{key: strconv.FormatUint(t.Job, 10), name: string(t.Path), size: t.Size, done: t.Done, rate: t.Rate})
			}
		}
		return last
	}
}
