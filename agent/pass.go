package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// passTries is how many failures of a job or a server a pass waits out.
	passTries = 3
	// passDataTries is the same for want of a data connection: each time all ways were tried, for seconds.
	passDataTries = 2
	// passPatience is how long a pass waits for jobs that are not due yet, beyond the time
	// that files have to settle, while nothing else moves.
	passPatience = 30 * time.Second
	// passDataPatience is how long a pass goes on after its beginning, or after the last thing that got done, when there is
	// no data connection: who has tried all ways for longer than this does not try them again.
	passDataPatience = 10 * time.Second
	// passLook is how often a pass looks whether it is over.
	passLook = 500 * time.Millisecond
	// reported bounds the lists in a report.
	reported = 1000
)

// pass is one full look at some syncs, and the work that follows from it, to the end.
type pass struct {
	begun    time.Time
	full     bool // the server is looked at in any case
	syncs    map[string]*passSync
	finished chan control.Report // gets one
}

type passSync struct {
	report  control.SyncReport
	scanned bool
	// trusting: it looks at the local folder alone.
	trusting bool
	// blind: the last scan failed for a reason that does not go away by itself.
	blind bool
	over  bool
	moved time.Time // the last time something got done
	last  time.Time // when the last job came back that the run is about; zero if none did
	// run is that of a schedule; nil for what a person has asked for. would and said are what came of one that does nothing to files.
	run   *run
	would map[string]int
	// surveyed: its scan was one that does nothing about what it finds.
	surveyed bool
	said     map[string]string // by kind of job
}

func newPass(names []string, now time.Time) *pass {
	p := &pass{begun: now, syncs: map[string]*passSync{}, finished: make(chan control.Report, 1)}
	for _, name := range names {
		p.syncs[name] = &passSync{report: control.SyncReport{Sync: name}, moved: now}
	}
	return p
}

// observe counts what was reported and committed.
func (p *pass) observe(reports []report, t *transition, now time.Time) {
	for _, r := range reports {
		s := p.syncs[r.Job.Sync]
		if s == nil || s.over {
			continue
		}
		if s.run != nil && s.run.isAbout(r.Job) {
			s.last = now
		}
		if r.Job.Kind == work.KindScan || s.trusting && r.Job.Kind == work.KindRescan {
			s.blind = classify(r.Err) == ftpclient.ClassPermanent
		}
		if fate, ok := t.dropped[r.Job.ID]; ok && fate.gone && !r.partial {
			s.leave(r.Job)
			continue
		}
		if r.Result != work.Done {
			continue
		}
		if s.run != nil && (isPurge(r.Job.Kind) || r.Job.Kind == work.KindVerify) {
			if s.said == nil {
				s.said = map[string]string{}
			}
			s.said[r.Job.Kind] = r.Reason
		}
		s.count(r)
		if r.Scan == nil || r.Full {
			s.moved = now
		}
	}
	for _, found := range t.scans {
		s := p.syncs[found.sync]
		if s == nil || s.over {
			continue
		}
		for _, a := range found.result.Plan.Agree {
			if a.Was == nil || !sameLook(a.Was.Local, a.Base.Local) || !sameLook(a.Was.Remote, a.Base.Remote) && !a.Was.Remote.ModTime.IsZero() {
				s.report.Adopted++
			}
		}
		switch {
		case (found.full || s.trusting && found.all) && !found.began.Before(p.begun):
			if s.scanned = true; found.first {
				s.report.Conflicts, s.report.Skipped, s.report.Unknown, s.report.Held = nil, nil, nil, nil
			}
			s.take(found)
			if s.surveyed = found.survey; found.would != nil {
				s.would = found.would
			}
		case s.scanned:
			s.take(found)
		}
	}
}

// trust takes over of which syncs the server is left alone.
func (p *pass) trust(trusting map[string]bool) {
	for name, s := range p.syncs {
		s.trusting = trusting[name]
	}
}

func (s *passSync) count(r report) {
	if r.leaves() {
		s.report.Skipped = appendBounded(s.report.Skipped, control.PathReason{Path: state.Text(r.Job.Path), Reason: r.Base.Left})
	}
	switch plan.Action(r.Job.Kind) {
	case plan.Upload, plan.Download:
		if !r.Already {
			s.report.Transferred++
			s.report.Bytes += r.Bytes
		}
	case plan.DeleteRemote, plan.DeleteLocal:
		s.report.Deleted++
	case plan.MakeRemoteDir, plan.MakeLocalDir:
		s.report.Folders++
	case plan.MoveRemote, plan.MoveLocal:
		s.report.Renamed++
	case plan.SetAsideRemote, plan.SetAsideLocal, plan.Compare:
		if n := r.Conflict; n != nil {
			s.report.Conflicts = appendBounded(s.report.Conflicts, control.PathReason{Path: state.Text(n.Path), Reason: n.Text})
		}
		if r.Already {
			s.report.Adopted++
		}
	}
}

// take adds what a scan found to the report.
func (s *passSync) take(found scanned) {
	for _, n := range found.result.Plan.Notes {
		reason := control.PathReason{Path: state.Text(n.Path), Reason: n.Text}
		switch {
		case n.Conflict:
			s.report.Conflicts = appendBounded(s.report.Conflicts, reason)
		case n.Held:
			s.report.Held = appendBounded(s.report.Held, reason)
		default:
			s.report.Skipped = appendBounded(s.report.Skipped, reason)
		}
	}
	for _, u := range found.result.Unknown {
		s.report.Unknown = appendBounded(s.report.Unknown, control.PathReason{Path: state.Text(u.Path), Reason: u.Reason})
	}
}

func appendBounded(list []control.PathReason, r control.PathReason) []control.PathReason {
	if len(list) >= reported || slices.Contains(list, r) {
		return list
	}
	return append(list, r)
}

// finishPasses ends the passes that are over.
func (d *dispatcher) finishPasses(now time.Time) error {
	if err := d.lookAtRuns(now); err != nil {
		return err
	}
	left := d.passes[:0]
	for _, p := range d.passes {
		open := 0
		for _, s := range p.syncs {
			if !s.over {
				if err := d.look(p, s, now); err != nil {
					return err
				}
			}
			if !s.over {
				open++
			}
		}
		if open > 0 {
			left = append(left, p)
			d.wake = earlier(d.wake, now.Add(passLook))
			continue
		}
		p.finished <- p.result()
	}
	d.passes = left
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (p *pass) result() control.Report {
	var r control.Report
	for _, name := range slices.Sorted(maps.Keys(p.syncs)) {
		r.Syncs = append(r.Syncs, p.syncs[name].report)
	}
	return r
}

// look decides whether the pass is over for one sync.
func (d *dispatcher) look(p *pass, s *passSync, now time.Time) error {
	sync := s.report.Sync
	from := d.servers[d.agent.cfg.Syncs[sync].Server]
	srv := from.row
	read := func(tx *state.Tx) error {
		paused, halt, err := d.agent.pauseIn(tx, sync, now)
		if err != nil {
			return err
		}
		s.report.Halt = halt.Halt
		s.report.Blocked, s.report.Unavailable = srv.BlockedBy, ""
		tries := passTries
		if srv.NoData {
			tries = passDataTries
		}
		if srv.Failures >= tries && srv.BlockedBy == "" {
			s.report.Unavailable = srv.LastError
		}
		if from.full() {
			s.report.Unavailable = from.refusal
		}
		if s.report.Paused = ""; paused.Holds(now) {
			s.report.Paused = paused.text()
		}
		stopped := halt.Halt != "" || s.report.Paused != "" || s.report.Blocked != "" || s.report.Unavailable != ""
		if !stopped {
			busy := d.busy
			if s.run != nil {
				busy = d.runBusy
			}
			if busy, err := busy(tx, s, srv, now); err != nil || busy {
				return err
			}
		}
		s.over = true
		s.report.Took = now.Sub(p.begun)
		held, closed := d.heldFor(sync, now)
		if err := s.collect(tx, held, closed); err != nil {
			return err
		}
		if srv.Failures > 0 && s.report.Unfinished > 0 && !stopped {
			s.report.Unavailable = srv.LastError // whichever job it was that met it
		}
		return nil
	}
	return d.mended(now, func() error { return d.agent.db.View(read) })
}

// busy reports whether a sync has work that a pass waits for; of a server that fails, not for long, and not for jobs that
// are looking for a data connection once more.
func (d *dispatcher) busy(tx *state.Tx, s *passSync, server state.Server, now time.Time) (bool, error) {
	sync := s.report.Sync
	counts, err := queue.Summary(tx, sync)
	if err != nil {
		return false, err
	}
	if server.NoData && !now.Before(s.moved.Add(passDataPatience)) {
		return false, nil
	}
	if job, ok, err := isVerifying(tx, sync); err != nil {
		return false, err
	} else if ok && job.State == queue.Running { // nothing comes of it that a pass would wait for
		counts.Running--
	} else if ok && job.State == queue.Due {
		counts.Due--
	}
	held, _ := d.heldFor(sync, now)
	if from := d.servers[d.agent.cfg.Syncs[sync].Server]; counts.Running == 0 && from.busy() < from.worth(now, from.limit(now), nil) && server.Failures == 0 &&
		!waits(from.crowded, now, maxCrowded) && held != "" {
		return false, nil // what could be begun beside the transfers has been begun
	}
	late := server.Failures > 0 && !now.Before(s.moved.Add(passPatience))
	if counts.Running > 0 || counts.Due > 0 && !late {
		return true, nil
	}
	settle := d.agent.syncs[sync].Settle
	if counts.Waiting > 0 && now.Before(s.moved.Add(6*settle+passPatience)) {
		waiting, err := queue.List(tx, queue.Filter{Sync: sync, State: queue.Waiting, Limit: reported})
		if err != nil {
			return false, err
		}
		for _, job := range waiting {
			if job.Kind != work.KindVerify && job.Attempts < passTries && job.RunAt.Before(now.Add(settle+passPatience)) {
				return true, nil
			}
		}
	}
	// Nothing to wait for. A scan that did not come about has failed for good.
	return false, nil
}

// collect lists what is left; held is why transfers wait that nobody has tried, and with closed everything that changes something.
func (s *passSync) collect(tx *state.Tx, held string, closed bool) error {
	s.report.Held = slices.DeleteFunc(s.report.Held, func(h control.PathReason) bool { // it may have come to an end since
		n, ok := state.GetNote(tx, s.report.Sync, string(h.Path))
		return !ok || n.Kind != state.NoteHeld || n.Text != h.Reason
	})
	err := queue.Each(tx, queue.Filter{Sync: s.report.Sync}, func(job queue.Job) (bool, error) {
		reason := control.PathReason{Path: state.Text(job.Path), Reason: job.Kind + ": " + job.LastError}
		if job.LastError == "" {
			reason.Reason = job.Kind + ": " + job.Why
			if held != "" && (isTransfer(job.Kind) || closed && isOperation(job.Kind)) {
				reason.Reason += "; " + held
			}
		}
		if s.run != nil && !s.run.until.IsZero() && job.Enqueued.After(s.run.until) {
			return true, nil
		}
		if job.Kind == work.KindVerify && job.State != queue.Dead {
			return true, nil
		}
		if isScanning(job.Kind) {
			staged, err := state.CountStaged(tx, job.Sync, uint64(job.ID))
			if err != nil {
				return false, err
			}
			s.report.Unfinished += staged
		}
		if job.Kind == work.KindScan && job.State == queue.Waiting && job.LastError == "" && len(job.Progress) == 0 {
			return true, nil // a scan for later is nothing left undone
		}
		if looksAtAll(job) && s.blind {
			s.report.Unknown = appendBounded(s.report.Unknown, reason)
			return true, nil
		}
		if job.State == queue.Dead {
			s.report.Dead = appendBounded(s.report.Dead, reason)
			return true, nil
		}
		s.report.Unfinished++
		s.report.Waiting = appendBounded(s.report.Waiting, reason)
		return true, nil
	})
	if err != nil {
		return err
	}
	// What nobody can tell the sync of may be of any, so each pass tells of it.
	return queue.Each(tx, queue.Filter{Kind: queue.KindUnreadable, State: queue.Dead}, func(job queue.Job) (bool, error) {
		if job.Sync == "" {
			s.report.Dead = appendBounded(s.report.Dead, control.PathReason{Path: state.Text(job.Path), Reason: job.Kind + ": " + job.LastError})
		}
		return true, nil
	})
}
