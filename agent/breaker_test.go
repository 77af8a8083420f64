package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// breaker is an agent with the real dispatcher and the real state, in the time of a bubble. What becomes of a job, and
// how long it takes, says do.
type breaker struct {
	t     *testing.T
	agent *Agent
	d     *dispatcher
	db    *state.DB
	do    func(job queue.Job) work.Outcome
	step  atomic.Int64 // how wrong the clock is
	// walk, if not nil, says what scan jobs find, in order; they find it in parts. bound is that of the agent, 0 for its own.
	walk func(job queue.Job) []plan.Op
	// compare, if not nil, carries out comparisons of contents.
	compare func(job queue.Job, room int) work.Outcome
	bound   int
	// longestPutOff is that of the agent, 0 for its own.
	longestPutOff time.Duration
	// each, if not nil, sees every part of those before it is handed over, and may change it; with an error the scan fails there.
	each func(part *work.Outcome)
	// scan, if not nil, carries out scan jobs in place of walk.
	scan   func(job queue.Job, room int) work.Outcome
	adjust func(cfg *config.Config) // if not nil, of the next agent
	keep   time.Duration            // how old the history may be, 0 for ages
	rows   int                      // how long, 0 for any
	serves bool                     // the next agent is a service, though nothing happens that the test does not tell it
	before func(d *dispatcher)      // if not nil, changes the next dispatcher before it runs

	mu    sync.Mutex // guards following
	tries []try
	told  []Activity
}

type try struct {
	at  time.Time
	job queue.Job
	out work.Outcome
}

const jobTakes = 10 * time.Millisecond

// newBreaker has servers "acme" and "other", and the syncs "up", "up2" and "down" at the first and "far" at the second.
func newBreaker(t *testing.T, do func(job queue.Job) work.Outcome) *breaker {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &breaker{t: t, db: db, do: do}
}

func breakerConfig() *config.Config {
	cfg := &config.Config{Servers: map[string]*config.Server{}, Syncs: map[string]*config.Sync{}}
	for _, name := range []string{"acme", "other"} {
		cfg.Servers[name] = plainServer("127.0.0.1:1", 4)
		cfg.Servers[name].Name = name
	}
	for _, s := range []config.Sync{
		{Name: "up", Server: "acme", Direction: config.Up}, {Name: "up2", Server: "acme", Direction: config.Up},
		{Name: "down", Server: "acme", Direction: config.Down}, {Name: "far", Server: "other", Direction: config.Up},
	} {
		s.Enabled, s.Local, s.Remote, s.MaxDelete = true, "/nowhere/"+s.Name, "/"+s.Name, config.MaxDelete{Count: 1000}
		cfg.Syncs[s.Name] = &s
	}
	return cfg
}

func (b *breaker) now() time.Time { return time.Now().Add(time.Duration(b.step.Load())).Round(0) }

// run runs an agent while use does.
func (b *breaker) run(use func()) {
	b.t.Helper()
	cfg := breakerConfig()
	if cfg.Agent.History.Keep = b.keep; b.keep == 0 {
		cfg.Agent.History.Keep = 1000 * 24 * time.Hour
	}
	cfg.Agent.History.Rows = b.rows
	if b.adjust != nil {
		b.adjust(cfg)
	}
	b.agent = New(cfg, b.db, Options{Logger: slog.New(slog.DiscardHandler), Triggers: b.serves, Observe: func(a Activity) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, a)
	}})
	if b.bound > 0 {
		b.agent.Bound(b.bound)
	}
	if b.longestPutOff > 0 {
		b.agent.PutOffAtMost(b.longestPutOff)
	}
	d, err := newDispatcher(b.agent)
	if err != nil {
		b.t.Fatal(err)
	}
	b.d, d.now, d.stopWork, d.rounds = d, b.now, func() {}, fewRounds
	var workers sync.WaitGroup
	d.hire = func(s *server, _ map[string]work.Sync) {
		for _, seat := range s.seats {
			workers.Go(func() {
				for a := range seat.jobs {
					b.work(a)
				}
			})
		}
	}
	d.dismiss = func(s *server) {
		for _, seat := range s.seats {
			close(seat.jobs)
		}
		workers.Go(func() { s.pool.Close() })
	}
	for _, s := range d.servers {
		d.hire(s, nil)
	}
	if b.before != nil {
		b.before(d)
	}
	ctx, stop := context.WithCancel(b.t.Context())
	ended := make(chan error)
	go func() { ended <- d.run(ctx) }()
	use()
	stop()
	if err := <-ended; err != nil {
		b.t.Error(err)
	}
	b.agent.last.closeJobs()
	workers.Wait()
	b.agent.last.closePools()
}

func (b *breaker) work(a assignment) {
	for _, job := range a.jobs {
		b.mu.Lock()
		at := len(b.tries)
		b.tries = append(b.tries, try{at: time.Now(), job: job})
		b.mu.Unlock()
		time.Sleep(jobTakes)
		o := b.do(job)
		if job.Kind == work.KindVerify && b.compare != nil {
			o = b.compare(job, a.room)
		}
		o.Job = job
		if isScanning(job.Kind) && o.Result == work.Done && b.scan != nil {
			o = b.scan(job, a.room)
		} else if isScanning(job.Kind) && o.Result == work.Done && b.walk != nil {
			o = b.parts(job, a.room)
		} else if isScanning(job.Kind) && o.Result == work.Done {
			if o.Scan == nil {
				o.Scan = &scan.Result{}
			}
			o.Scan.Totals.Local, o.Scan.Totals.Remote = plan.RootFilled, plan.RootFilled
			o.Progress, o.Full = &work.Progress{Began: b.now()}, job.Kind == work.KindScan
		}
		b.mu.Lock()
		b.tries[at].out = o
		b.mu.Unlock()
		b.d.reports <- report{Outcome: o, reached: o.Err == nil}
	}
}

// config is what the next agent gets.
func (b *breaker) config() *config.Config {
	cfg := breakerConfig()
	if b.adjust != nil {
		b.adjust(cfg)
	}
	return cfg
}

// enqueue puts jobs of some paths into the queue, as of now.
func (b *breaker) enqueue(kind, sync string, now time.Time, paths ...string) {
	b.t.Helper()
	payload, err := json.Marshal(plan.Op{Action: plan.Action(kind), Local: plan.Side{Entry: entry.Entry{Size: 10}}})
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.db.Update(func(tx *state.Tx) error {
		for _, path := range paths {
			_, err := queue.Enqueue(tx, now, queue.New{
				Kind: kind, Sync: sync, Server: b.config().Syncs[sync].Server, Path: path, Payload: payload,
				Priority: map[string]uint8{work.KindLook: priorityLook, work.KindScan: priorityScan, string(plan.DeleteRemote): priorityDelete}[kind] + map[bool]uint8{true: prioritySmall}[isTransfer(kind)],
				Serial:   plan.Action(kind).Deletes(),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func paths(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

func (b *breaker) counts(sync string) (counts queue.Counts) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) (err error) {
		counts, err = queue.Summary(tx, sync)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return counts
}

// between are the tries of the jobs of some syncs in a stretch of time.
func (b *breaker) between(from, to time.Time, syncs string) []try {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []try
	for _, t := range b.tries {
		if !t.at.Before(from) && t.at.Before(to) && strings.Contains(" "+syncs+" ", " "+t.job.Sync+" ") {
			found = append(found, t)
		}
	}
	return found
}

func (b *breaker) tells(kind ActivityKind) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.told {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

var (
	errDown  = &ftpclient.Error{Op: "connect", Err: syscall.ECONNREFUSED}
	errQuota = &ftpclient.Error{Op: "store", Command: "STOR", Code: 552, Text: "Quota exceeded"}
	done     = work.Outcome{Result: work.Done}
)

// TestAServerThatIsDownIsOneFact: after the first moment one job at a time asks whether it is back, less and less often,
// and no job is blamed; when it is, all go on. Meanwhile another server's jobs do not notice.
func TestAServerThatIsDownIsOneFact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		up := begin.Add(3 * time.Hour)
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Server == "acme" && time.Now().Before(up) {
				return work.Outcome{Err: errDown}
			}
			return done
		})
		b.enqueue(work.KindSweepRemote, "up", begin, paths("a", 1000)...)
		b.enqueue(work.KindSweepRemote, "far", begin, paths("b", 1000)...)
		b.run(func() {
			time.Sleep(time.Minute)
			if got := b.counts("far"); got.Due+got.Waiting+got.Running > 0 {
				t.Errorf("of the server that is up are left: %+v", got)
			}
			for _, try := range b.between(begin, up, "far") {
				if try.at.Sub(begin) > 1000*jobTakes {
					t.Fatalf("job %d of the server that is up waited until %s", try.job.ID, try.at.Sub(begin))
				}
			}
			time.Sleep(time.Until(up))
			tries := b.between(begin.Add(time.Second), up, "up")
			if len(tries) < 3*4 || len(tries) > 200 {
				t.Errorf("%d tries in three hours", len(tries))
			}
			for i, try := range tries {
				if i > 0 && try.at.Sub(tries[i-1].at) > queue.MostDelay+2*jobTakes {
					t.Errorf("nobody looked for %s", try.at.Sub(tries[i-1].at))
				}
				if i > 0 && try.at.Sub(tries[i-1].at) <= jobTakes {
					t.Errorf("two tries at a time, at %s", try.at.Sub(begin))
				}
				if try.job.Attempts > 0 {
					t.Errorf("job %d is blamed", try.job.ID)
				}
			}
			time.Sleep(queue.MostDelay + time.Minute)
			first := b.between(up, time.Now(), "up")
			if len(first) != 1000 || first[1].at.Sub(first[0].at) < jobTakes || first[4].at.Sub(first[1].at) > 0 {
				t.Errorf("after the outage %d jobs; the first ones at %v, %v, %v", len(first), first[0].at, first[1].at, first[4].at)
			}
			if got := b.counts(""); got != (queue.Counts{}) {
				t.Errorf("left: %+v", got)
			}
		})
		if b.tells(ActivityDead) > 0 || b.tells(ActivityRetry) > 0 {
			t.Error("jobs were told of that failed with the server")
		}
	})
}

// TestATransientFailureNeverGivesUp: a job that fails for hours is tried every fifteen minutes at least.
func TestATransientFailureNeverGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(queue.Job) work.Outcome {
			return work.Outcome{Err: &ftpclient.Error{Op: "delete", Command: "DELE", Code: 450, Text: "File busy"}}
		})
		b.enqueue(work.KindSweepRemote, "up", begin, "a")
		b.run(func() { time.Sleep(12 * time.Hour) })
		tries := b.between(begin, time.Now(), "up")
		if len(tries) < 12*4 || len(tries) > 1000 {
			t.Errorf("%d tries", len(tries))
		}
		for i := range tries[1:] {
			if wait := tries[i+1].at.Sub(tries[i].at); wait > queue.MostDelay+2*jobTakes {
				t.Errorf("waited %s", wait)
			}
		}
	})
}

// TestADeadFileIsNotHammered by scans that find it unchanged again and again, and is tried again twice a day. All the
// time it is there to be seen.
func TestADeadFileIsNotHammered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		op := plan.Op{Action: plan.Upload, Path: "a", Local: plan.Side{Entry: entry.Entry{Kind: entry.File, Size: 7, ModTime: begin}}}
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == work.KindScan {
				return work.Outcome{Result: work.Done, Scan: &scan.Result{Plan: plan.Plan{Ops: []plan.Op{op}}}}
			}
			return work.Outcome{Err: &ftpclient.Error{Op: "store", Command: "STOR", Code: 553, Text: "Could not create file."}}
		})
		b.run(func() {
			uploads := func(from time.Time) (n int) {
				for _, try := range b.between(from, time.Now(), "up") {
					if try.job.Kind != work.KindScan {
						n++
					}
				}
				return n
			}
			for time.Since(begin) < 25*time.Hour {
				b.enqueue(work.KindScan, "up", time.Now(), "")
				time.Sleep(25 * time.Minute)
				if got := b.counts("up"); got.Dead != 1 {
					t.Fatalf("after %s: %+v", time.Since(begin), got)
				}
			}
			if n := uploads(begin); n != 3*permanentTries {
				t.Errorf("%d tries in 25 hours", n)
			}
			asked := time.Now()
			if err := b.agent.ask(t.Context(), request{pass: newPass([]string{"up"}, b.now())}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := uploads(asked); n != permanentTries {
				t.Errorf("%d tries when a person asked", n)
			}
		})
	})
}

// TestAFullServerHoldsItsUploads: those of all syncs, after one alert, and one is tried every fifteen minutes. What looks
// and what deletes goes on, and so do downloads. A person's word tries at once.
func TestAFullServerHoldsItsUploads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var room atomic.Bool
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == string(plan.Upload) && !room.Load() {
				return work.Outcome{Err: errQuota}
			}
			return done
		})
		b.enqueue(string(plan.Upload), "up", begin, paths("a", 200)...)
		b.enqueue(string(plan.Upload), "up2", begin, paths("b", 200)...)
		b.run(func() {
			time.Sleep(time.Minute)
			early := len(b.between(begin, time.Now(), "up up2"))
			if early > 4*streamJobs {
				t.Errorf("%d jobs were tried before they were held", early)
			}
			b.enqueue(string(plan.DeleteRemote), "up", time.Now(), paths("gone", 20)...)
			b.enqueue(string(plan.Download), "down", time.Now(), paths("c", 20)...)
			b.enqueue(work.KindSweepRemote, "up2", time.Now(), "d")
			time.Sleep(time.Minute)
			if n := len(b.between(begin.Add(time.Minute), time.Now(), "up up2 down")); n != 41 {
				t.Errorf("%d jobs were done beside the uploads, want 41", n)
			}
			from := time.Now()
			time.Sleep(5 * time.Hour)
			tries := b.between(from, time.Now(), "up up2")
			if len(tries) < 5*4-1 || len(tries) > 5*4+1 {
				t.Errorf("%d tries in five hours", len(tries))
			}
			if n := b.tells(ActivityAlert); n != 1 {
				t.Errorf("%d alerts", n)
			}

			room.Store(true)
			asked := time.Now()
			if err := b.agent.ask(t.Context(), request{pass: newPass([]string{"up"}, b.now())}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := len(b.between(asked, time.Now(), "up up2")); n < 350 { // those that were tried before wait a little longer
				t.Errorf("%d jobs once there was room", n)
			}
			time.Sleep(queue.MostDelay)
			if got := b.counts(""); got.Due+got.Waiting+got.Running > 0 {
				t.Errorf("left: %+v", got)
			}
			if b.tells(ActivityCleared) != 1 || b.tells(ActivityAlert) != 1 {
				t.Errorf("%d alerts, %d times cleared", b.tells(ActivityAlert), b.tells(ActivityCleared))
			}
		})
	})
}

// TestAFileThatIsTooBigForTheRestOfAQuota: the others get through, at the price of a pause, and the alert stands until it
// does, without being told again and again.
func TestAFileThatIsTooBigForTheRestOfAQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var room atomic.Bool
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Path == "big" && !room.Load() {
				return work.Outcome{Err: errQuota}
			}
			return done
		})
		big, err := json.Marshal(plan.Op{Action: plan.Upload, Local: plan.Side{Entry: entry.Entry{Size: 1 << 40}}})
		if err != nil {
			t.Fatal(err)
		}
		err = b.db.Update(func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, begin, queue.New{Kind: string(plan.Upload), Sync: "up", Server: "acme", Path: "big", Priority: priorityBulk, Payload: big})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.enqueue(string(plan.Upload), "up", begin, paths("a", 100)...)
		b.run(func() {
			time.Sleep(30 * time.Minute)
			if got := b.counts("up"); got.Due+got.Waiting+got.Running != 1 {
				t.Errorf("after a pause are left: %+v", got)
			}
			b.enqueue(string(plan.Upload), "up", time.Now(), paths("b", 100)...)
			time.Sleep(10 * time.Hour)
			if b.tells(ActivityAlert) != 1 || b.tells(ActivityCleared) != 0 {
				t.Errorf("%d alerts, %d times cleared", b.tells(ActivityAlert), b.tells(ActivityCleared))
			}
			room.Store(true)
			time.Sleep(queue.MostDelay + time.Minute)
			if got := b.counts("up"); got != (queue.Counts{}) || b.tells(ActivityCleared) != 1 {
				t.Errorf("in the end: %+v, %d times cleared", got, b.tells(ActivityCleared))
			}
		})
	})
}
