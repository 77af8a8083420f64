package agent

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// place is where transfers go, and where there may be no room: a server, or else the local folder of a sync.
type place struct{ server, sync string }

// transfers are the priorities of the jobs that a hold keeps waiting. Looks, scans and deletions go on: they find out
// what is not needed any more, and make room.
var transfers = queue.Band{First: prioritySmall, Last: priorityScan - 1}

// targetsOf are the places where the transfers of a sync go.
func (c *commit) targetsOf(sync string) []place {
	switch s := c.d.agent.cfg.Syncs[sync]; s.Direction {
	case config.Up:
		return []place{{server: s.Server}}
	case config.Down:
		return []place{{sync: sync}}
	default:
		return []place{{server: s.Server}, {sync: sync}}
	}
}

// placesOf are all places where transfers over a server go.
func (c *commit) placesOf(server string) []place {
	places := []place{{server: server}}
	for name := range c.d.agent.syncs {
		if c.d.agent.cfg.Syncs[name].Server != server {
			continue
		}
		for _, at := range c.targetsOf(name) {
			if at.sync != "" {
				places = append(places, at)
			}
		}
	}
	return places
}

// target is the place that a job needs room at, and whether it needs any.
func target(job queue.Job) (place, bool) {
	switch plan.Action(job.Kind) {
	case plan.Upload, plan.MakeRemoteDir:
		return place{server: job.Server}, true
	case plan.Download, plan.MakeLocalDir:
		return place{sync: job.Sync}, true
	}
	return place{}, false
}

// hold returns the hold of a place as this transaction leaves it.
func (c *commit) hold(at place) state.Hold {
	if at.server != "" {
		return c.server(at.server).Hold
	}
	if hold, changed := c.holds[at.sync]; changed {
		return hold
	}
	return c.d.holds[at.sync]
}

func (c *commit) setHold(at place, hold state.Hold) {
	if at.server == "" {
		c.holds[at.sync] = hold
		return
	}
	row := c.server(at.server)
	row.Hold = hold
	c.servers[at.server] = row
}

// noRoom holds the transfers to the place where one found no room. It reports whether that was told as an alert, or
// another job of the same moment has told it.
func (c *commit) noRoom(r report) (told bool, err error) {
	at, _ := target(r.Job)
	hold, size := c.hold(at), sizeOf(r.Job)
	first := hold.Reason == ""
	told = first || waits(hold.Until, c.now, laterDelay)
	if first {
		hold.Since = c.now
	}
	if first || size < hold.Size {
		hold.Size, hold.Job = size, uint64(r.Job.ID)
	}
	if !waits(hold.Until, c.now, laterDelay) {
		hold.Until = c.now.Add(laterDelay)
	}
	hold.Reason, hold.Open = summaryOf(r.Err), false
	c.setHold(at, hold)
	if first {
		err = c.placeHistory(r, at, state.History{Result: resultFull, Error: brief(reasonOf(r.Err)), Reply: brief(replyOf(r.Err))})
		a := c.activityOf(r, ActivityAlert)
		a.Text = fmt.Sprintf("%s; transfers wait, next try in %s", hold.Reason, laterDelay)
		a.Cause = r.Err
		c.happened(a)
	}
	return told, err
}

// foundRoom lets the transfers go where one has got through that began after the wait. What found no room may be bigger,
// so the alert stands until as much went through.
func (c *commit) foundRoom(r report) error {
	at, _ := target(r.Job)
	isFile := plan.Action(r.Job.Kind) == plan.Upload || plan.Action(r.Job.Kind) == plan.Download
	if !isFile || r.Result != work.Done || r.Already {
		return nil
	}
	hold := c.hold(at)
	wrong := hold.Until.Sub(c.now) > laterDelay // by a clock
	if hold.Reason == "" || !hold.Open && !wrong && r.Job.Started.Before(hold.Until) {
		return nil
	}
	_, exists, err := queue.Get(c.tx, queue.ID(hold.Job))
	if err != nil {
		return err
	}
	if exists && r.Job.ID != queue.ID(hold.Job) && sizeOf(r.Job) < hold.Size {
		hold.Open, hold.Until = true, time.Time{}
		c.setHold(at, hold)
		return nil
	}
	c.setHold(at, state.Hold{})
	a := Activity{Kind: ActivityCleared, Sync: at.sync, Server: r.Job.Server}
	a.Text = fmt.Sprintf("there is room again, after %s: %s", c.now.Sub(hold.Since).Round(time.Second), hold.Reason)
	c.happened(a)
	return c.placeHistory(r, at, state.History{Result: resultWorks, Duration: max(c.now.Sub(hold.Since), 0)})
}

// sizeOf is how many bytes a transfer has to find room for.
func sizeOf(job queue.Job) int64 {
	op, err := plan.DecodeOp(job.Payload)
	if err != nil {
		return 0
	}
	if op.Action == plan.Download {
		return max(op.Remote.Entry.Size, 0)
	}
	return max(op.Local.Entry.Size, 0)
}

// onTrial reports whether the next transfer to a place is the one that finds out whether there is room again.
func (c *commit) onTrial(at place) bool {
	hold := c.hold(at)
	return hold.Reason != "" && !hold.Open && !waits(hold.Until, c.now, laterDelay)
}

// heldBack reports whether transfers to a place have to wait: for the time to pass, or for the one that is tried.
func (c *commit) heldBack(at place) bool {
	hold := c.hold(at)
	if hold.Reason == "" || hold.Open {
		return false
	}
	if waits(hold.Until, c.now, laterDelay) {
		return true
	}
	if _, tried := c.trials[at]; tried {
		return true
	}
	id, tried := c.d.trials[at]
	if _, under := c.d.outstanding[id]; !tried || !under {
		return false
	}
	for _, r := range c.b.reports {
		if r.Job.ID == id {
			return false
		}
	}
	return true
}

// tryOne notes the transfer among jobs by which a place is tried.
func (c *commit) tryOne(jobs []queue.Job) {
	for _, job := range jobs {
		if at, ok := target(job); ok && c.onTrial(at) {
			c.trials[at] = job.ID
		}
	}
}

// heldFor is what keeps the transfers of a sync waiting, in words, "" for nothing. It is for those who read the dispatcher between
// two commits. closed: all else that changes something waits too, for the window to open.
func (d *dispatcher) heldFor(sync string, now time.Time) (held string, closed bool) {
	c := &commit{transition: &transition{}, d: d, now: now}
	s := d.agent.cfg.Syncs[sync]
	if until, closed := closedUntil(s, now); closed {
		return closedReason(s.Allowed, now, until), true
	}
	for _, at := range c.targetsOf(sync) {
		if c.heldBack(at) {
			return "waits: " + c.hold(at).Reason, false
		}
	}
	return "", false
}
