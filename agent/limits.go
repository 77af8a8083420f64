package agent

import (
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

// bandwidth is what all connections to a server share, in both directions together; nil is no limit.
type bandwidth struct {
	timetable config.Timetable
	shared    *rate.Limiter
	holds     int64 // the rate that is set, in bytes a second; 0: no limit
}

func newBandwidth(timetable config.Timetable, now time.Time) *bandwidth {
	if len(timetable) == 0 {
		return nil
	}
	perSecond, _ := timetable.At(now)
	return &bandwidth{timetable: timetable, shared: ftpclient.NewLimiter(perSecond), holds: perSecond}
}

func (b *bandwidth) limiter() *rate.Limiter {
	if b == nil {
		return nil
	}
	return b.shared
}

// follow sets the rate of the hour, for what is under way too, and reports whether it is another one than before.
func (b *bandwidth) follow(now time.Time) (changed bool) {
	if b == nil {
		return false
	}
	perSecond, _ := b.timetable.At(now)
	if perSecond == b.holds {
		return false
	}
	ftpclient.SetRate(b.shared, perSecond)
	b.holds = perSecond
	return true
}

// followTimetables sets the rates of the hour, and has workers begin nothing in windows that have closed. The dispatcher calls it at least every maxSleep, so that it follows the clock on
// the wall wherever that jumps.
func (d *dispatcher) followTimetables(now time.Time) {
	for _, s := range d.servers {
		if s.line.follow(now) {
			s.concurrency = concurrency{} // how many transfers fill the line has to be found out anew
			s.enough.Store(0)
		}
	}
	for name := range d.agent.syncs {
		if len(d.agent.cfg.Syncs[name].Allowed) > 0 {
			d.tellWorkers(now)
			return
		}
	}
}

// noteAddress tells when connections to a server go to another of its addresses than before.
func (c *commit) noteAddress(name string, s *server) {
	was, told := c.addresses[name]
	if !told {
		was = s.address
	}
	is := s.pool.InUse()
	if is == was {
		return
	}
	c.addresses[name] = is
	c.happened(Activity{Kind: ActivityAddress, Server: name, Text: fmt.Sprintf("%s is in use now in place of %s", is, was)})
}

// changes are the priorities of the jobs that change something, but for those that are serial, all of which do.
var changes = queue.Band{First: priorityFolder, Last: priorityScan - 1}

// closedUntil reports whether the windows of a sync keep its changes waiting, and until when; zero: for ever.
func closedUntil(s *config.Sync, now time.Time) (until time.Time, closed bool) {
	if len(s.Allowed) == 0 {
		return time.Time{}, false
	}
	open, until := config.Allowed(s.Allowed, now)
	return until, !open
}

// tellWindows tells when the windows of a sync open and close.
func (c *commit) tellWindows() {
	for sync := range c.d.agent.syncs {
		s := c.d.agent.cfg.Syncs[sync]
		until, closed := closedUntil(s, c.now)
		if was, told := c.d.closed[sync]; told && was == closed || !told && !closed {
			continue
		}
		text := "changes may be made now"
		if closed {
			text = closedReason(s.Allowed, c.now, until)
		}
		c.closed[sync] = closed
		c.happened(Activity{Kind: ActivityWindow, Sync: sync, Server: s.Server, Text: text})
	}
}

// closedReason says until when changes wait, in the time zone of the windows.
func closedReason(windows []config.Window, now, until time.Time) string {
	if until.IsZero() {
		return "waits: outside of the allowed times"
	}
	layout := "15:04"
	if until.Sub(now) >= 24*time.Hour {
		layout = "Mon 15:04"
	}
	if zone := windows[0].Zone; zone != nil {
		until = until.In(zone)
	}
	return "waits until " + until.Format(layout) + ": outside of the allowed times"
}

// isFileTransfer reports whether jobs of a kind count for the transfers of a sync that may go on at the same time.
func isFileTransfer(kind string) bool {
	return plan.Action(kind) == plan.Upload || plan.Action(kind) == plan.Download
}

func countTransfers(jobs []queue.Job) (n int) {
	for _, job := range jobs {
		if isFileTransfer(job.Kind) {
			n++
		}
	}
	return n
}

// atLimit reports whether as many transfers of a sync go on as may. The jobs of an assignment are done one after the other, so
// each with a transfer that was not reported counts for one.
func (c *commit) atLimit(sync string) bool {
	most := c.d.agent.cfg.Syncs[sync].Transfers
	if most <= 0 {
		return false
	}
	left := map[*assigned]int{}
	for _, a := range c.d.outstanding {
		if a.sync == sync && a.transfers > 0 {
			left[a] = a.transfers
		}
	}
	for _, r := range c.b.reports {
		if a := c.d.outstanding[r.Job.ID]; left[a] > 0 && !r.partial && isFileTransfer(r.Job.Kind) {
			left[a]--
		}
	}
	busy := 0
	for _, n := range left {
		if n > 0 {
			busy++
		}
	}
	for _, a := range c.assignments {
		if a.jobs[0].Sync == sync && countTransfers(a.jobs) > 0 {
			busy++
		}
	}
	return busy >= most
}

// nextChange is when the next window opens or closes or a rate changes, at the latest what is given.
func (c *commit) nextChange(next time.Time) time.Time {
	consider := func(at time.Time) {
		if at.After(c.now) {
			next = earlier(next, at)
		}
	}
	for _, s := range c.d.servers {
		if s.line != nil {
			_, until := s.line.timetable.At(c.now)
			consider(until)
		}
	}
	for sync := range c.d.agent.syncs {
		consider(c.pauseOf(sync).Until)
		if windows := c.d.agent.cfg.Syncs[sync].Allowed; len(windows) > 0 {
			_, until := config.Allowed(windows, c.now)
			consider(until)
		}
	}
	return next
}
