package queue

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/state"
	gocmp "github.com/google/go-cmp/cmp"
)

// model is the queue written as simply as possible: a list of jobs and no index.
type model struct {
	now  time.Time
	next ID
	jobs map[ID]*Job
}

func heldAll(yes bool) Held {
	if yes {
		return HeldAll
	}
	return HeldNone
}

func newModel() *model { return &model{now: start, next: 1, jobs: make(map[ID]*Job)} }

func (m *model) sorted() []*Job {
	var jobs []*Job
	for _, job := range m.jobs {
		jobs = append(jobs, job)
	}
	slices.SortFunc(jobs, func(a, b *Job) int { return cmp.Compare(a.ID, b.ID) })
	return jobs
}

func (m *model) place(job *Job) {
	job.State, job.Died = Due, time.Time{}
	if job.RunAt.After(m.now) {
		job.State = Waiting
	}
}

func (m *model) add(wanted New) {
	job := &Job{ID: m.next, New: wanted, Enqueued: m.now}
	m.next++
	m.place(job)
	m.jobs[job.ID] = job
}

// merged is what comes of two wishes; old may be nil.
func merged(old *New, wanted New) New {
	if old != nil {
		if old.RunAt.Before(wanted.RunAt) {
			wanted.RunAt = old.RunAt
		}
		wanted.Priority = min(wanted.Priority, old.Priority)
		if wanted.By != old.By {
			wanted.By = ""
		}
	}
	return wanted
}

func (m *model) enqueue(wanted New) {
	if wanted.RunAt.IsZero() {
		wanted.RunAt = m.now
	}
	for _, job := range m.jobs {
		if job.Kind != wanted.Kind || job.Sync != wanted.Sync || job.Path != wanted.Path {
			continue
		}
		next := merged(job.Next, wanted)
		begun := job.Progress != nil && job.Server == wanted.Server
		switch {
		case job.State == Running:
			job.Next = &next
		case job.State == Dead:
			job.New, job.Progress = wanted, nil
			m.forget(job)
			m.place(job)
		case begun:
			job.Next = &next
			sooner := merged(&job.New, wanted)
			job.RunAt, job.Priority = sooner.RunAt, sooner.Priority
		default:
			job.New, job.Next, job.Progress = merged(&job.New, next), nil, nil
		}
		if job.State == Waiting {
			m.place(job)
		}
		return
	}
	m.add(wanted)
}

func (m *model) forget(job *Job) {
	job.Attempts, job.Refusals, job.Crashes, job.LastError, job.LastReply, job.Wanted = 0, 0, 0, "", "", time.Time{}
}

// goOn is what a job does next when a run has ended in the middle: what it has begun, or what was
// asked for meanwhile.
func (m *model) goOn(job *Job) (other bool) {
	switch {
	case job.Next == nil:
		return false
	case job.Progress != nil && job.Next.Server == job.Server:
		job.Priority = min(job.Priority, job.Next.Priority)
		return false
	}
	job.New, job.Next, job.Progress = *job.Next, nil, nil
	return true
}

func within(priority uint8, band Band) bool {
	return band == Band{} || band.First <= priority && priority <= band.Last
}

// band is what a hold holds.
func (r Request) band(held Held) Band {
	if held == HeldChanges {
		return r.Changes
	}
	return r.Transfers
}

// claim is Claim, with the jobs of one sync held in some way.
func (m *model) claim(request Request) []Job {
	for _, job := range m.jobs {
		if job.State == Waiting && !job.RunAt.After(m.now) {
			job.State = Due
		}
	}
	if request.Limit == 0 {
		return nil
	}
	var ready []*Job
	for _, job := range m.sorted() {
		held := request.Hold(job.Sync)
		stays := held == HeldAll || (held == HeldChanges || held == HeldSerial) && job.Serial ||
			held != HeldNone && held != HeldSerial && !job.Serial && within(job.Priority, request.band(held))
		blocked := job.State != Due || job.Server != request.Server || stays
		for _, other := range m.jobs {
			busy := other.State == Running || other.State == Due && !other.Serial && held == HeldNone
			blocked = blocked || job.Serial && other.Sync == job.Sync && busy
		}
		if !blocked {
			ready = append(ready, job)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	slices.SortStableFunc(ready, func(a, b *Job) int { return cmp.Compare(a.Priority, b.Priority) })
	turn, serial := ready[0].Sync, ready[0].Serial
	if ready[0].Priority >= Urgent {
		var syncs []string
		for _, job := range ready {
			syncs = append(syncs, job.Sync)
		}
		slices.Sort(syncs)
		turn = syncs[0]
		if i := slices.IndexFunc(syncs, func(sync string) bool { return sync > request.After }); i >= 0 {
			turn = syncs[i]
		}
		serial = !slices.ContainsFunc(ready, func(job *Job) bool { return job.Sync == turn && !job.Serial })
	}
	if request.Behind != "" && request.Behind != turn {
		return nil
	}
	how := request.Hold(turn)
	held := (how == HeldTransfers || how == HeldChanges) && slices.ContainsFunc(m.sorted(), func(job *Job) bool {
		return job.State == Due && job.Server == request.Server && job.Sync == turn && !job.Serial && within(job.Priority, request.band(how))
	})
	var claimed []Job
	var weight int64
	for _, job := range ready {
		if job.Sync != turn || job.Serial != serial || len(claimed) == request.Limit {
			continue
		}
		if held && !serial && len(claimed) > 0 && (job.Priority < request.band(how).First) != (claimed[0].Priority < request.band(how).First) {
			break // one call does not reach over jobs that are held
		}
		if weight += request.Weight(*job); weight > request.Most && len(claimed) > 0 {
			break
		}
		alone := request.Alone(*job) || job.Crashes > 0
		if alone && (len(claimed) > 0 || request.Behind != "") {
			break
		}
		job.State, job.Started, job.Temp = Running, m.now, "temp"
		job.Claims++
		claimed = append(claimed, *job)
		if alone {
			break
		}
	}
	return claimed
}

func (m *model) complete(job *Job) {
	delete(m.jobs, job.ID)
	if job.Next != nil {
		m.add(*job.Next)
	}
}

func (m *model) fail(job *Job, f Failure) {
	job.Crashes, job.LastError, job.LastReply = 0, f.Reason, f.Reply
	if !f.Uncounted {
		job.Attempts++
	}
	if f.Refused {
		job.Refusals++
	}
	if f.Unbegun {
		job.Claims--
	}
	retryAt := f.RetryAt
	if retryAt.IsZero() {
		retryAt = m.now
	}
	switch {
	case f.Dead && job.Next != nil:
		job.New, job.Next, job.Progress = *job.Next, nil, nil
		m.forget(job)
		m.place(job)
	case f.Dead:
		job.State, job.Died = Dead, m.now
	default:
		if other := m.goOn(job); !other || job.RunAt.Before(retryAt) {
			job.RunAt = retryAt
		}
		m.place(job)
	}
	for f.Behind != nil && job.State != Dead && job.Priority < math.MaxUint8 && before(job, f.Behind) {
		job.Priority++
	}
}

// before reports whether a goes before b, if both may.
func before(a, b *Job) bool {
	return a.Priority < b.Priority || a.Priority == b.Priority && a.ID < b.ID
}

func (m *model) recover() {
	for _, job := range m.jobs {
		if job.State != Running {
			continue
		}
		job.Crashes++
		if job.Crashes == 3 {
			if job.Next != nil {
				job.New, job.Next, job.Progress = *job.Next, nil, nil
			}
			job.State, job.Died, job.LastError, job.LastReply = Dead, m.now, fmt.Sprintf("was running in %d crashes of the agent", job.Crashes), ""
			continue
		}
		job.State = Due
		if m.goOn(job) {
			m.place(job)
		}
	}
}

func (m *model) retry(job *Job) {
	if job.State == Dead {
		job.Progress = nil
	}
	m.forget(job)
	job.RunAt = m.now
	m.place(job)
}

func (m *model) summary(sync string) Counts {
	var c Counts
	for _, job := range m.jobs {
		if sync != "" && job.Sync != sync {
			continue
		}
		switch job.State {
		case Due:
			c.Due++
		case Running:
			c.Running++
		case Dead:
			c.Dead++
		case Waiting:
			c.Waiting++
			if job.LastError != "" {
				c.Retrying++
			}
			if c.NextDue.IsZero() || job.RunAt.Before(c.NextDue) {
				c.NextDue = job.RunAt
			}
		}
	}
	return c
}

func (m *model) compare(tx *state.Tx) error {
	got, err := List(tx, Filter{})
	if err != nil {
		return err
	}
	var want []Job
	for _, job := range m.sorted() {
		want = append(want, *job)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("jobs differ (-want +got):\n%s", diff)
	}
	for _, sync := range []string{"web", "docs", "docs2", ""} {
		got, err := Summary(tx, sync)
		if diff := gocmp.Diff(m.summary(sync), got); diff != "" || err != nil {
			return fmt.Errorf("summary of %q: %v\n%s", sync, err, diff)
		}
	}
	if next, ok := NextDue(tx); ok != (m.summary("").Waiting > 0) || !next.Equal(m.summary("").NextDue) {
		return fmt.Errorf("NextDue = %v, %v, want %v", next, ok, m.summary("").NextDue)
	}
	return Check(tx)
}
