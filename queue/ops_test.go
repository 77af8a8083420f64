package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
	gocmp "github.com/google/go-cmp/cmp"
)

// step does the same, chosen by two bytes, to the queue and to the model, and compares.
func (m *model) step(tx *state.Tx, op, arg byte) error {
	var err error
	switch op % 13 {
	case 0, 1, 11:
		wanted := m.wish(op, arg)
		_, err = Enqueue(tx, m.now, wanted)
		m.enqueue(wanted)
	case 2, 3:
		request := m.request(op, arg)
		if _, err := Claim(tx, m.now, Request{}); err != nil { // makes waiting jobs due
			return err
		}
		urgent, err := HasUrgent(tx, m.now, request)
		if err != nil {
			return err
		}
		got, err := Claim(tx, m.now, request)
		if err != nil {
			return err
		}
		if handed := len(got) > 0 && got[0].Priority < Urgent; request.Limit > 0 && request.Behind == "" && urgent != handed {
			return fmt.Errorf("urgent: %t, but claimed were %v", urgent, got)
		}
		if diff := gocmp.Diff(m.claim(request), got); diff != "" {
			return fmt.Errorf("claimed jobs differ (-want +got):\n%s", diff)
		}
	case 4, 5, 8, 9:
		err = m.report(tx, op, arg)
	case 6:
		m.now = m.now.Add(time.Duration(int8(arg)) * 50 * time.Millisecond) // also backwards
	case 7:
		err = m.rare(tx, arg)
	case 10:
		err = m.sweep(tx, arg)
	case 12:
		err = m.rest(tx, arg)
	}
	return errors.Join(err, m.compare(tx))
}

func (m *model) wish(op, arg byte) New {
	bit := func(n int) int { return int(arg>>n) & 1 }
	wanted := New{
		Kind: "up", Sync: []string{"web", "docs"}[bit(0)], Server: "acme", Path: []string{"a", "a/b.html", "c", "c/d"}[arg>>1&3],
		Priority: uint8(Urgent - bit(3)), RunAt: []time.Time{{}, m.now.Add(-time.Second), m.now.Add(time.Second), m.now.Add(3 * time.Second)}[arg>>4&3],
		Why: fmt.Sprint(arg),
	}
	if op%13 == 11 {
		wanted.Sync, wanted.Priority = "docs2", uint8(20+bit(0))
	}
	if bit(6) == 1 {
		wanted.Kind, wanted.Serial = "rm", true
	}
	if bit(7) == 1 {
		wanted.Server = "other"
	}
	return wanted
}

func (m *model) request(op, arg byte) Request {
	held := []string{"", "", "web", "docs"}[arg>>5&3]
	return Request{
		Server: []string{"acme", "other"}[arg>>7], Transfers: []Band{{}, {First: Urgent, Last: 20}}[arg>>3&1], Changes: []Band{{First: Urgent, Last: 20}, {}}[arg>>3&1], Limit: int(arg & 7), After: []string{"", "docs", "docs2", "web"}[arg>>3&3],
		Hold: func(sync string) Held {
			switch {
			case sync != held:
				return HeldNone
			case op%13 == 2 && op < 128:
				return HeldAll
			case op%13 == 2 && op < 192:
				return HeldChanges
			case op%13 == 2:
				return HeldSerial
			}
			return HeldTransfers
		},
		Alone:   func(job Job) bool { return job.Path == "c" },
		Behind:  []string{"", "", "web", "docs"}[op>>4&3],
		Weight:  func(job Job) int64 { return int64(len(job.Path)) },
		Most:    int64(arg & 3),
		Prepare: func(job *Job) { job.Temp = "temp" },
	}
}

// report is the word of a worker on some job, of which only running ones have a worker.
func (m *model) report(tx *state.Tx, op, arg byte) error {
	jobs := m.sorted()
	if len(jobs) == 0 {
		return nil
	}
	job := jobs[int(arg)%len(jobs)]
	running := job.State == Running
	var err error
	switch op % 13 {
	case 4:
		var rerun bool
		rerun, err = Complete(tx, m.now, job.ID)
		if running && rerun != (job.Next != nil) {
			return fmt.Errorf("rerun = %v", rerun)
		}
		if running {
			m.complete(job)
		}
	case 5:
		f := Failure{Reason: "reason", Reply: "550 no", Dead: arg>>4&3 == 3, Uncounted: arg>>6&1 == 1, Refused: arg>>3&1 == 1, Unbegun: arg>>2&1 == 1}
		if op > 127 {
			other := *jobs[int(arg>>2)%len(jobs)]
			f.Behind = &other
		}
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
	case 8:
		progress := []json.RawMessage{nil, json.RawMessage("1"), json.RawMessage("2"), json.RawMessage("[3]")}[arg>>6]
		err = Save(tx, m.now, job.ID, progress)
		if running && string(progress) != string(job.Progress) {
			job.Progress, job.Crashes = progress, 0
		}
	case 9:
		at := m.now.Add(time.Duration(arg>>6) * time.Second)
		err = Yield(tx, m.now, job.ID, at)
		if running {
			m.forget(job)
			m.goOn(job)
			job.RunAt = at
			m.place(job)
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
			m.retry(job)
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

// rest notes that a dead job is wanted, or shortens the wait of all.
func (m *model) rest(tx *state.Tx, arg byte) error {
	if arg < 128 {
		most := time.Duration(arg&3) * time.Second
		hastened, err := Hasten(tx, m.now, func(Job) time.Duration { return most })
		for _, job := range m.jobs {
			if job.State == Waiting && job.RunAt.After(m.now.Add(most)) {
				job.RunAt = m.now.Add(most)
				m.place(job)
				hastened--
			}
		}
		if hastened != 0 {
			return fmt.Errorf("%d jobs too many hastened", hastened)
		}
		return err
	}
	jobs := m.sorted()
	if len(jobs) == 0 {
		return nil
	}
	job := jobs[int(arg)%len(jobs)]
	err := Want(tx, m.now, job.ID)
	if job.State == Dead {
		job.Wanted = m.now
	} else if errors.Is(err, ErrState) {
		err = nil
	}
	return err
}

// sweep lists some jobs page by page, then retries or drops them.
func (m *model) sweep(tx *state.Tx, arg byte) error {
	filter := Filter{
		Sync:  []string{"", "web"}[arg&1],
		State: []State{"", Dead, Waiting, Running}[arg>>1&3],
		Path:  []string{"", "a", "*.html", "c/**"}[arg>>3&3],
		Limit: int(arg >> 5 & 3),
	}
	below := []string{"", "a", "a/b.html", "c/d"}[arg>>3&3]
	var chosen []*Job
	for _, job := range m.sorted() {
		if (filter.Sync == "" || job.Sync == filter.Sync) && (filter.State == "" || job.State == filter.State) &&
			(below == "" || job.Path == below || below == "a" && job.Path == "a/b.html") {
			chosen = append(chosen, job)
		}
	}
	if err := m.comparePages(tx, filter, chosen); err != nil {
		return err
	}
	for _, job := range chosen {
		var err error
		switch {
		case arg>>7 == 1:
			if err = Drop(tx, job.ID); job.State != Running {
				delete(m.jobs, job.ID)
			}
		default:
			if err = Retry(tx, m.now, job.ID); job.State == Waiting || job.State == Dead {
				m.retry(job)
			}
		}
		if refused := errors.Is(err, ErrState); refused != (job.State == Running) || err != nil && !refused {
			return fmt.Errorf("job %d: %w", job.ID, err)
		}
	}
	return nil
}

// comparePages looks at all pages of a filter, whose order is for people and not compared.
func (m *model) comparePages(tx *state.Tx, filter Filter, want []*Job) error {
	listed := make(map[ID]int)
	for {
		page, next, err := Page(tx, filter)
		if err != nil || filter.Limit > 0 && len(page) > filter.Limit {
			return fmt.Errorf("a page of %d jobs of %+v: %w", len(page), filter, err)
		}
		for _, job := range page {
			listed[job.ID]++
		}
		if filter.From = next; next == nil {
			break
		}
	}
	for _, job := range want {
		if listed[job.ID] != 1 {
			return fmt.Errorf("job %d is listed %d times by %+v", job.ID, listed[job.ID], filter)
		}
	}
	if len(listed) != len(want) {
		return fmt.Errorf("%d jobs are listed by %+v, want %d", len(listed), filter, len(want))
	}
	return nil
}

// FuzzOps takes two bytes per step. All steps are in one transaction that is given up in the
// end, which is much faster than commits.
func FuzzOps(f *testing.F) {
	f.Add([]byte{0, 0, 2, 1, 4, 0})                                                      // enqueue, claim, complete
	f.Add([]byte{0, 0, 2, 1, 0, 0, 4, 0, 2, 1, 4, 0})                                    // edited while running
	f.Add([]byte{0, 0x20, 6, 20, 2, 1, 5, 0x80, 6, 40, 2, 1})                            // waits, fails, is tried again
	f.Add([]byte{0, 0, 2, 1, 7, 0, 2, 1, 7, 0, 2, 1, 7, 0, 0, 0})                        // three crashes, then revived
	f.Add([]byte{0, 0x40, 0, 0x42, 0, 0x06, 2, 7, 2, 7, 4, 2, 2, 7})                     // serial jobs behind another
	f.Add([]byte{0, 0x40, 0, 0x41, 0, 0x43, 2, 7, 2, 7, 2, 0x47})                        // serial jobs of two syncs, one on hold
	f.Add([]byte{0, 0x80, 0, 0x00, 2, 7, 0, 0x01, 5, 0x30, 7, 0x80})                     // moves to another server, dies, retry
	f.Add([]byte{0, 0, 0, 2, 0, 4, 2, 2, 0, 0, 7, 0xc0, 4, 0, 7, 0x40})                  // a sync is dropped
	f.Add([]byte{0, 0, 2, 1, 8, 0x40, 9, 0x40, 0, 0, 6, 40, 2, 1, 4, 0})                 // progress, yields, asked for again, done
	f.Add([]byte{0, 0, 2, 1, 8, 0x40, 0, 0x80, 5, 0, 2, 0x81})                           // progress at another server
	f.Add([]byte{0, 0, 11, 2, 11, 4, 1, 3, 2, 0x11, 2, 0x09, 2, 0x19})                   // turns
	f.Add([]byte{0, 0, 0, 0x42, 0, 0x44, 3, 0x47, 3, 0x41, 3, 0x47})                     // transfers on hold
	f.Add([]byte{0, 0, 11, 0, 11, 1, 0, 1, 0, 0x09, 0, 0x41, 3, 0x4f, 3, 0x4f, 3, 0x4f}) // only some of them
	f.Add([]byte{0, 0x20, 12, 1, 12, 0, 2, 1, 5, 0x38, 12, 0x80, 7, 0x80})               // hastened, wanted
	f.Add([]byte{0, 0, 0, 2, 0, 4, 0, 6, 2, 1, 5, 0x30, 10, 0x2a, 10, 0x88, 10, 0xf8})
	f.Add([]byte{0, 0x30, 6, 0x80, 0, 0x10, 2, 7, 6, 0x9c, 0, 0x20, 5, 0})
	f.Add([]byte{0, 0, 0, 2, 2, 1, 0, 0, 135, 4, 2, 1, 135, 5, 2, 1, 4, 0})         // goes behind others
	f.Add([]byte{0, 0, 0, 2, 0, 4, 2, 7, 5, 0x04, 2, 7, 7, 0, 2, 1, 5, 0x44, 2, 7}) // handed back unbegun
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
	for i := range 700 {
		op, arg := byte(random.Uint32()), byte(random.Uint32())
		if err := db.Update(func(tx *state.Tx) error { return m.step(tx, op, arg) }); err != nil {
			t.Fatalf("step %d (%d, %d): %v", i, op, arg, err)
		}
	}
}
