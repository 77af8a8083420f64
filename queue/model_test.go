package queue

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
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

func (m *model) enqueue(wanted New) {
	if wanted.RunAt.IsZero() {
		wanted.RunAt = m.now
	}
	for _, job := range m.jobs {
		if job.Kind != wanted.Kind || job.Sync != wanted.Sync || job.Path != wanted.Path {
			continue
		}
		switch job.State {
		case Running:
			job.Next = &wanted
		case Dead:
			job.New, job.Attempts, job.Crashes, job.LastError = wanted, 0, 0, ""
			m.place(job)
		default:
			if job.RunAt.Before(wanted.RunAt) {
				wanted.RunAt = job.RunAt
			}
			wanted.Priority = min(wanted.Priority, job.Priority)
			job.New = wanted
			if job.State == Waiting {
				m.place(job)
			}
		}
		return
	}
	m.add(wanted)
}

func (m *model) claim(server string, limit int, hold string) []Job {
	for _, job := range m.jobs {
		if job.State == Waiting && !job.RunAt.After(m.now) {
			job.State = Due
		}
	}
	if limit == 0 {
		return nil
	}
	var ready []*Job
	for _, job := range m.sorted() {
		blocked := job.State != Due || job.Server != server || job.Sync == hold
		for _, other := range m.jobs {
			busy := other.State == Running || other.State == Due && !other.Serial
			blocked = blocked || job.Serial && other.Sync == job.Sync && busy
		}
		if !blocked {
			ready = append(ready, job)
		}
	}
	slices.SortStableFunc(ready, func(a, b *Job) int { return cmp.Compare(a.Priority, b.Priority) })
	var claimed []Job
	for _, job := range ready {
		fits := len(claimed) == 0 || job.Serial == claimed[0].Serial && (!job.Serial || job.Sync == claimed[0].Sync)
		if !fits || len(claimed) == limit {
			continue
		}
		job.State, job.Started, job.Temp = Running, m.now, "temp"
		job.Claims++
		claimed = append(claimed, *job)
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
	job.Crashes, job.LastError = 0, f.Reason
	if !f.Uncounted {
		job.Attempts++
	}
	retryAt := f.RetryAt
	if retryAt.IsZero() {
		retryAt = m.now
	}
	next := job.Next
	job.Next = nil
	switch {
	case next != nil && f.Dead:
		job.New, job.Attempts, job.LastError = *next, 0, ""
		m.place(job)
	case f.Dead:
		job.State, job.Died = Dead, m.now
	default:
		if next != nil {
			job.New = *next
			if job.RunAt.After(retryAt) {
				retryAt = job.RunAt
			}
		}
		job.RunAt = retryAt
		m.place(job)
	}
}

func (m *model) recover() {
	for _, job := range m.jobs {
		if job.State != Running {
			continue
		}
		job.Crashes++
		job.State = Due
		if job.Next != nil {
			job.New, job.Next = *job.Next, nil
			m.place(job)
		}
		if job.Crashes == 3 {
			job.State, job.Died, job.LastError = Dead, m.now, crashReason
		}
	}
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

// step does the same, chosen by two bytes, to the queue and to the model, and compares.
func (m *model) step(tx *state.Tx, op, arg byte) error {
	bit := func(n int) int { return int(arg>>n) & 1 }
	var err error
	switch op % 8 {
	case 0, 1:
		wanted := New{
			Kind: "up", Sync: []string{"web", "docs"}[bit(0)], Server: "acme", Path: []string{"a", "b", "c", "d"}[arg>>1&3],
			Priority: uint8(bit(3)), RunAt: []time.Time{{}, m.now.Add(-time.Second), m.now.Add(time.Second), m.now.Add(3 * time.Second)}[arg>>4&3],
			Why: fmt.Sprint(arg),
		}
		if bit(6) == 1 {
			wanted.Kind, wanted.Serial = "rm", true
		}
		if bit(7) == 1 {
			wanted.Server = "other"
		}
		_, err = Enqueue(tx, m.now, wanted)
		m.enqueue(wanted)
	case 2, 3:
		server := []string{"acme", "other"}[bit(7)]
		hold := []string{"", "", "web", "docs"}[arg>>5&3]
		limit := int(arg & 7)
		var got []Job
		got, err = Claim(tx, m.now, Request{
			Server: server, Limit: limit,
			Hold: func(sync string) Held { return heldAll(sync == hold) }, Prepare: func(job *Job) { job.Temp = "temp" },
		})
		if diff := gocmp.Diff(m.claim(server, limit, hold), got); diff != "" {
			return fmt.Errorf("claimed jobs differ (-want +got):\n%s", diff)
		}
	case 4, 5:
		err = m.end(tx, op, arg)
	case 6:
		m.now = m.now.Add(time.Duration(int8(arg)) * 50 * time.Millisecond) // also backwards
	case 7:
		err = m.rare(tx, arg)
	}
	return errors.Join(err, m.compare(tx))
}

// end reports an outcome for some job, of which only running ones may have one.
func (m *model) end(tx *state.Tx, op, arg byte) error {
	jobs := m.sorted()
	if len(jobs) == 0 {
		return nil
	}
	job := jobs[int(arg)%len(jobs)]
	running := job.State == Running
	var err error
	if op%2 == 0 {
		var rerun bool
		rerun, err = Complete(tx, m.now, job.ID)
		if running && rerun != (job.Next != nil) {
			return fmt.Errorf("rerun = %v", rerun)
		}
		if running {
			m.complete(job)
		}
	} else {
		f := Failure{Reason: "reason", Dead: arg>>4&3 == 3, Uncounted: arg>>6&1 == 1}
		if arg>>7 == 1 {
			f.RetryAt = m.now.Add(2 * time.Second)
		}
		var became State
		became, err = Fail(tx, m.now, job.ID, f)
		if running {
			m.fail(job, f)
			if became != job.State {
				return fmt.Errorf("fail made it %s, want %s", became, job.State)
			}
		}
	}
	if !running && errors.Is(err, ErrState) {
		return nil
	}
	return err
}

func (m *model) rare(tx *state.Tx, arg byte) error {
	jobs := m.sorted()
	if arg>>6 == 0 || len(jobs) == 0 {
		_, err := Recover(tx, m.now)
		m.recover()
		return err
	}
	job := jobs[int(arg&15)%len(jobs)]
	refused := job.State == Running
	var err error
	switch arg >> 6 {
	case 1:
		err = Drop(tx, job.ID)
		if !refused {
			delete(m.jobs, job.ID)
		}
	case 2:
		err = Retry(tx, m.now, job.ID)
		if job.State == Waiting || job.State == Dead {
			job.Attempts, job.Crashes, job.LastError, job.RunAt = 0, 0, "", m.now
			m.place(job)
		}
	case 3:
		refused = false
		_, err = DropSync(tx, job.Sync)
		for id, other := range m.jobs {
			if other.Sync == job.Sync {
				other.Next = nil
				if other.State != Running {
					delete(m.jobs, id)
				}
			}
		}
	}
	if refused && errors.Is(err, ErrState) {
		return nil
	}
	return err
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
	for _, sync := range []string{"web", "docs", ""} {
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

// FuzzOps takes two bytes per step. All steps are in one transaction that is given up in the
// end, which is much faster than commits.
func FuzzOps(f *testing.F) {
	f.Add([]byte{0, 0, 2, 1, 4, 0})                                     // enqueue, claim, complete
	f.Add([]byte{0, 0, 2, 1, 0, 0, 4, 0, 2, 1, 4, 0})                   // edited while running
	f.Add([]byte{0, 0x20, 6, 20, 2, 1, 5, 0x80, 6, 40, 2, 1})           // waits, fails, is tried again
	f.Add([]byte{0, 0, 2, 1, 7, 0, 2, 1, 7, 0, 2, 1, 7, 0, 0, 0})       // three crashes, then revived
	f.Add([]byte{0, 0x40, 0, 0x42, 0, 0x06, 2, 7, 2, 7, 4, 2, 2, 7})    // serial jobs behind another
	f.Add([]byte{0, 0x40, 0, 0x41, 0, 0x43, 2, 7, 2, 7, 2, 0x47})       // serial jobs of two syncs, one on hold
	f.Add([]byte{0, 0x80, 0, 0x00, 2, 7, 0, 0x01, 5, 0x30, 7, 0x80})    // moves to another server, dies, retry
	f.Add([]byte{0, 0, 0, 2, 0, 4, 2, 2, 0, 0, 7, 0xc0, 4, 0, 7, 0x40}) // a sync is dropped
	f.Add([]byte{0, 0x30, 6, 0x80, 0, 0x10, 2, 7, 6, 0x9c, 0, 0x20, 5, 0})
	db := openNew(f)
	f.Fuzz(func(t *testing.T, ops []byte) {
		done := errors.New("done")
		err := db.Update(func(tx *state.Tx) error {
			m := newModel()
			for i := 0; i+1 < min(len(ops), 200); i += 2 {
				if err := m.step(tx, ops[i], ops[i+1]); err != nil {
					return fmt.Errorf("step %d (%d, %d): %w", i/2, ops[i], ops[i+1], err)
				}
			}
			return done
		})
		if err != done {
			t.Fatal(err)
		}
	})
}

// TestOpsAcrossCommits does random steps with a commit after each, so that indexes are read from
// pages and not from the memory of a transaction.
func TestOpsAcrossCommits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	db := openNew(t)
	m := newModel()
	for i := range 1500 {
		op, arg := byte(random.Uint32()), byte(random.Uint32())
		if err := db.Update(func(tx *state.Tx) error { return m.step(tx, op, arg) }); err != nil {
			t.Fatalf("step %d (%d, %d): %v", i, op, arg, err)
		}
	}
}
