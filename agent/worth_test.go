package agent

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// crowd counts those who do something at the same time.
type crowd struct {
	mu        sync.Mutex // guards following
	now, most int
}

func (c *crowd) do(what func()) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.mu.Unlock()
	what()
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
}

// reset returns how many there were at the same time since the last one.
func (c *crowd) reset() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.most
	c.most = c.now
	return most
}

// fill keeps uploads waiting for so long.
func fill(b *breaker, last time.Duration) {
	for began := time.Now(); time.Since(began) < last; time.Sleep(time.Second) {
		if b.counts("up").Due < 100 {
			b.enqueue(string(plan.Upload), "up", time.Now(), paths(fmt.Sprint(time.Now().Unix(), " "), 100)...)
		}
	}
}

// TestFewerTransfersWhereTheyDo: where one waits for the other, fewer connections are used after some minutes; where each has a server of its own,
// as it were, all are.
func TestFewerTransfersWhereTheyDo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		shared bool
		takes  time.Duration // at most
		enough int64
		most   int
	}{
		{"a server that does one thing at a time", true, 10 * time.Minute, 3, 3},
		{"a server that lets everybody wait", false, 3 * time.Minute, 0, 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				turn := make(chan struct{}, 1)
				var busy crowd
				b := newBreaker(t, func(queue.Job) work.Outcome {
					busy.do(func() {
						if !row.shared {
							time.Sleep(400 * time.Millisecond)
							return
						}
						turn <- struct{}{}
						time.Sleep(100 * time.Millisecond)
						<-turn
					})
					return done
				})
				b.enqueue(string(plan.Upload), "up", time.Now(), paths("first", 100)...)
				b.run(func() {
					fill(b, time.Minute)
					if most := busy.reset(); most != 4 {
						t.Errorf("%d connections at first", most)
					}
					for began := time.Now(); time.Since(began) < row.takes && b.d.servers["acme"].enough.Load() == 0; {
						fill(b, 5*time.Second)
					}
					if enough := b.d.servers["acme"].enough.Load(); enough != row.enough {
						t.Fatalf("%d are enough, want %d", enough, row.enough)
					}
					if s, err := b.agent.serverStatus(b.d, "acme", nil, time.Now()); err != nil || s.Enough != int(row.enough) {
						t.Errorf("the status says %+v, %v", s, err)
					}
					fill(b, 20*time.Second) // what is under way ends
					busy.reset()
					fill(b, 10*time.Second)
					if most := busy.reset(); most != row.most {
						t.Errorf("%d connections then, want %d", most, row.most)
					}
				})
			})
		})
	}
}

// TestFewerTransfersHoldUpNobody: while one transfer at a time is enough, nobody waits for a slow file for long, for a look at all, and a person for nothing.
func TestFewerTransfersHoldUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var small crowd
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			switch {
			case job.Path == "slow":
				time.Sleep(10 * time.Minute)
			case job.Path == "before":
				time.Sleep(4 * time.Second)
			case job.Kind == string(plan.Upload):
				small.do(func() { time.Sleep(time.Second) })
			}
			return done
		})
		b.before = func(d *dispatcher) {
			d.servers["acme"].concurrency = concurrency{fewer: 1, of: 4, proven: time.Now(), raised: time.Now()}
		}
		began := time.Now()
		b.enqueue(work.KindLook, "down", began, "before")
		b.enqueue(string(plan.Upload), "up", began, "slow")
		b.enqueue(string(plan.Upload), "up2", began, paths("small ", 100)...)
		b.run(func() {
			time.Sleep(3 * time.Second)
			if most := small.reset(); most != 0 {
				t.Errorf("%d beside the first one", most)
			}
			if slow := b.between(began, began.Add(time.Second), "up"); len(slow) != 1 {
				t.Error("a file has waited for a look")
			}
			time.Sleep(3 * longTransfer)
			first := b.between(began, time.Now(), "up2")
			if len(first) == 0 || first[0].at.Sub(began) > longTransfer+time.Second/2 {
				t.Fatalf("a slow file has held up others: %v", first)
			}
			asked := time.Now()
			err := b.db.Update(func(tx *state.Tx) error {
				_, err := queue.Enqueue(tx, asked, queue.New{Kind: work.KindLook, Sync: "down", Server: "acme", Priority: priorityRequest})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			if looks := b.between(asked, time.Now(), "down"); len(looks) != 1 || looks[0].at.Sub(asked) > 2*time.Second {
				t.Errorf("a person has waited: %v", looks)
			}
			time.Sleep(time.Minute)
			small.reset()
			time.Sleep(10 * time.Second)
			if most := small.reset(); most != 1 {
				t.Errorf("%d small files at a time", most)
			}
		})
	})
}

// TestFewerTransfersAreOfSmallFiles: what was found out with those that follow each other says nothing of large ones.
func TestFewerTransfersAreOfSmallFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var large crowd
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			large.do(func() { time.Sleep(time.Duration(1+job.ID%4) * time.Second) })
			return done
		})
		b.before = func(d *dispatcher) {
			d.servers["acme"].concurrency = concurrency{fewer: 1, of: 4, proven: time.Now(), raised: time.Now()}
		}
		err := b.db.Update(func(tx *state.Tx) error {
			for _, path := range paths("large ", 20) {
				if _, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: string(plan.Upload), Sync: "up", Server: "acme", Path: path, Priority: priorityBulk}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.run(func() {
			time.Sleep(time.Second / 2)
			if most := large.reset(); most != 4 {
				t.Errorf("%d large files at a time", most)
			}
			time.Sleep(longTransfer)
			large.reset()
			if most := large.reset(); most != 4 {
				t.Errorf("%d large files at a time later", most)
			}
		})
	})
}

// TestAPassWaitsForItsTurn: connections that nobody is to use do not mean that all that may begin has begun.
func TestAPassWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Allowed = parseWindows(t, "22:00-23:00") }
		now := time.Now()
		b.enqueue(string(plan.DeleteRemote), "up", now, "old")
		b.update(func(tx *state.Tx) error {
			_, err := queue.Claim(tx, now, queue.Request{}) // makes it due
			return err
		})
		b.before = func(d *dispatcher) {
			s := d.servers["acme"]
			idle, first := s.idle, *s.seats[0]
			s.idle, s.seats[0].transfers, s.seats[0].moved = idle[1:], 1, now // a file of another sync
			for fewer, want := range []bool{false, true} {
				s.concurrency = concurrency{fewer: fewer, of: 4, proven: now}
				err := d.agent.db.View(func(tx *state.Tx) error {
					busy, err := d.busy(tx, &passSync{report: control.SyncReport{Sync: "up"}, moved: now}, s.row, now)
					if busy != want {
						t.Errorf("with %d transfers at a time: %t", fewer, busy)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
			s.idle, s.concurrency = idle, concurrency{}
			s.seats[0].transfers, s.seats[0].moved = first.transfers, first.moved
		}
		b.run(func() {})
	})
}
