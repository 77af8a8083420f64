package agent

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// parseWindows are those from midnight of the bubble, which begins at midnight UTC.
func parseWindows(t *testing.T, texts ...string) (windows []config.Window) {
	t.Helper()
	for _, text := range texts {
		w, err := config.ParseWindow(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, w)
	}
	return windows
}

// TestChangesWaitForTheirWindow: outside of it a sync looks and scans, and changes nothing; what runs at its end goes on. New
// starts and a clock that is set change nothing about that.
func TestChangesWaitForTheirWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Path == "long" {
				time.Sleep(40 * time.Minute)
			}
			return done
		})
		b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Allowed = parseWindows(t, "01:00-01:20") }
		kinds := func(from, to time.Duration) (kinds []string) {
			for _, try := range b.between(began.Add(from), began.Add(to), "up") {
				kinds = append(kinds, try.job.Kind)
			}
			return slices.Compact(slices.Sorted(slices.Values(kinds)))
		}
		fill := func() {
			now := b.now()
			b.enqueue(string(plan.Upload), "up", now, append(paths("file ", 20), "long")...)
			b.enqueue(string(plan.MakeRemoteDir), "up", now, "folder")
			b.enqueue(string(plan.DeleteRemote), "up", now, "old")
			b.enqueue(work.KindScan, "up", now, "")
			b.enqueue(work.KindLook, "up", now, "")
			b.enqueue(string(plan.Upload), "up2", now, "free")
		}
		fill()
		looks := []string{work.KindLook, work.KindScan}
		b.run(func() { // until 0:20
			time.Sleep(20 * time.Minute)
			if got := kinds(0, time.Hour); !slices.Equal(got, looks) {
				t.Errorf("before the window: %v", got)
			}
			if len(b.between(began, began.Add(time.Minute), "up2")) != 1 {
				t.Error("a sync without a window waited")
			}
			jobs, err := b.agent.syncJobs()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(jobs, func(j control.SyncJobs) bool { return j.Sync == "up" })
			if i < 0 || jobs[i].Stop == nil || jobs[i].Stop.By != control.StopWindow || jobs[i].Stop.Until.Sub(began) != time.Hour ||
				jobs[i].Stop.Reason != "waits until 01:00: outside of the allowed times" {
				t.Errorf("the queue says: %+v", jobs)
			}
		})
		b.run(func() { // until 2:00
			time.Sleep(59 * time.Minute)
			at := began.Add(time.Hour)
			first := b.between(began.Add(20*time.Minute), at.Add(20*time.Minute), "up")
			if len(first) != 22 {
				t.Fatalf("%d jobs in the window", len(first))
			}
			if late := first[0].at.Sub(at).Abs(); late > time.Second {
				t.Errorf("the first one began %s after it", late)
			}
			time.Sleep(6 * time.Minute)
			fill()
			time.Sleep(35 * time.Minute)
		})
		// What ran at the end of the window has ended by itself, and deletions went last: they wait for the next day.
		if got := kinds(80*time.Minute, 20*time.Hour); !slices.Equal(got, looks) {
			t.Errorf("after the window: %v", got)
		}
		b.run(func() {
			time.Sleep(time.Minute)
			b.step.Store(int64(23*time.Hour + 8*time.Minute)) // the clock is put forward into the window of the next day
			now := time.Now()
			time.Sleep(maxSleep + time.Second)
			if len(b.between(now, time.Now(), "up")) < 10 {
				t.Error("the clock on the wall shows the time of the window, and nothing goes")
			}
		})
		if b.tells(ActivityWindow) < 4 {
			t.Errorf("told %d times", b.tells(ActivityWindow))
		}
	})
}

// TestAStreamEndsWithItsWindow: what a worker was given before the window closed, and has not begun, waits for the next one. Looks go on.
func TestAStreamEndsWithItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		window := time.Now().Add(time.Hour)
		var mu sync.Mutex
		var begun []time.Duration
		looks := 0
		var b *breaker
		b = newBreaker(t, func(job queue.Job) work.Outcome {
			if b.agent.isStopped(job) {
				return work.Outcome{Err: suspended{}}
			}
			mu.Lock()
			defer mu.Unlock()
			if isScanning(job.Kind) {
				looks++
				return done
			}
			begun = append(begun, time.Since(window))
			mu.Unlock()
			time.Sleep(time.Minute)
			mu.Lock()
			return done
		})
		b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Allowed = parseWindows(t, "01:00-01:20") }
		b.enqueue(string(plan.Upload), "up", b.now(), paths("file ", 200)...)
		b.run(func() {
			time.Sleep(90 * time.Minute)
			b.enqueue(work.KindScan, "up", b.now(), "")
			time.Sleep(22 * time.Hour)
		})
		if len(begun) < 60 || len(begun) > 84 { // by four workers
			t.Errorf("%d jobs were begun", len(begun))
		}
		if last := slices.Max(begun); last > 20*time.Minute {
			t.Errorf("a job was begun %s after the window opened", last)
		}
		if looks != 1 {
			t.Errorf("%d looks outside of the window", looks)
		}
		if counts := b.counts("up"); counts.Running != 0 || counts.Dead != 0 || counts.Due+counts.Waiting != 200-len(begun) {
			t.Errorf("left: %+v", counts)
		}
	})
}

// TestAPassOutsideOfTheWindow ends when it has looked, and says until when the rest waits.
func TestAPassOutsideOfTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Allowed = parseWindows(t, "22:00-06:00", "12:00-13:00") }
		time.Sleep(7 * time.Hour)
		b.enqueue(string(plan.Upload), "up", time.Now(), "file")
		b.enqueue(string(plan.DeleteRemote), "up", time.Now(), "old")
		b.run(func() {
			r, err := b.agent.Pass(t.Context(), []string{"up"})
			if err != nil {
				t.Fatal(err)
			}
			if code := r.ExitCode(); code != 75 {
				t.Errorf("exit code %d", code)
			}
			s := r.Syncs[0]
			if s.Took > 2*passLook || s.Unfinished != 2 || s.Transferred+s.Deleted > 0 || len(s.Waiting) != 2 {
				t.Errorf("%+v", s)
			}
			for _, w := range s.Waiting {
				if !strings.HasSuffix(w.Reason, "; waits until 12:00: outside of the allowed times") {
					t.Errorf("%s: %s", w.Path, w.Reason)
				}
			}
		})
	})
}

// TestTransfersOfASyncAtATime: no more than configured, in streams too, and the connections that are left serve others.
func TestTransfersOfASyncAtATime(t *testing.T) {
	t.Parallel()
	for _, most := range []int{0, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var mutex sync.Mutex
			running, highest := map[string]int{}, map[string]int{}
			began := time.Now()
			var deleted []time.Time
			b := newBreaker(t, func(job queue.Job) work.Outcome {
				key := job.Sync
				if !isFileTransfer(job.Kind) {
					key += " " + job.Kind
				}
				mutex.Lock()
				running[key]++
				highest[key] = max(highest[key], running[key])
				mutex.Unlock()
				time.Sleep(time.Second)
				mutex.Lock()
				running[key]--
				if job.Kind == string(plan.DeleteRemote) {
					if deleted = append(deleted, time.Now()); running["up"] > 0 {
						t.Error("deleted while transfers go on")
					}
				}
				mutex.Unlock()
				return done
			})
			b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Transfers = most }
			b.enqueue(string(plan.Upload), "up", began, paths("file ", 40)...)
			b.enqueue(string(plan.DeleteRemote), "up", began, "old")
			b.enqueue(string(plan.Upload), "up2", began, paths("file ", 40)...)
			b.enqueue(work.KindScan, "up", began, "")
			b.run(func() { time.Sleep(5 * time.Minute) })
			if got := b.counts(""); got.Due+got.Running > 0 {
				t.Errorf("%d at a time: left: %+v", most, got)
			}
			if want := map[int]int{0: 4, 1: 1, 2: 2}[most]; highest["up"] != want && most > 0 || highest["up"] > 4 {
				t.Errorf("%d at a time, want %d", highest["up"], most)
			}
			if most > 0 && highest["up2"] < 4-most {
				t.Errorf("%d at a time: the other sync had %d connections", most, highest["up2"])
			}
			if len(deleted) != 1 {
				t.Errorf("%d at a time: %d deletions", most, len(deleted))
			}
			// With 4 connections the other sync's 40 seconds are over after 20 at the latest, whatever the limit of the first one.
			others := b.between(began, time.Now(), "up2")
			if last := others[len(others)-1].at.Sub(began); last > 22*time.Second {
				t.Errorf("%d at a time: the other sync had to wait until %s", most, last)
			}
		})
	}
}

// TestAChangeOfAddressIsTold once.
func TestAChangeOfAddressIsTold(t *testing.T) {
	refused := ftptest.RefusedAddress(t)
	works := verbServer(t, map[string]string{"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "QUIT": "221 bye"})
	configured := plainServer(refused, 1)
	configured.Name, configured.Addresses = "acme", []string{refused, works}
	acme := &server{config: configured, address: refused}
	acme.pool = newPool(configured, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer acme.pool.Close()
	conn, err := acme.pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	acme.pool.Put(conn)
	c := &commit{d: &dispatcher{servers: map[string]*server{"acme": acme}}, now: time.Now(), transition: newTransition()}
	c.learn("acme")
	c.learn("acme")
	if len(c.activities) != 1 || c.activities[0].Kind != ActivityAddress || c.addresses["acme"] != works || !strings.HasPrefix(c.activities[0].Text, works+" is in use") {
		t.Errorf("told: %+v", c.activities)
	}
	if known := c.facts["acme"]; len(known) > 0 && known[refused] != (ftpclient.Facts{}) {
		t.Errorf("known of an address where nobody is: %+v", known)
	}
}

// TestAnAddressMoreIsAnotherLogin: a server that is blocked is tried again where there is another address to try.
func TestAnAddressMoreIsAnotherLogin(t *testing.T) {
	s := plainServer("h:21", 1)
	mark, err := newFingerprint(s, fewRounds)
	if err != nil {
		t.Fatal(err)
	}
	s.Addresses = []string{"h:21"}
	if !sameConfig(mark, s) {
		t.Error("one address is one address")
	}
	s.Addresses = []string{"h:21", "i:21"}
	if sameConfig(mark, s) {
		t.Error("another address is not taken for a change")
	}
}

// TestBandwidthFollowsTheTimeOfDay, for what is under way too, in both directions and on all connections together.
func TestBandwidthFollowsTheTimeOfDay(t *testing.T) {
	t.Parallel()
	const rate = 100_000
	synctest.Test(t, func(t *testing.T) {
		table, err := config.ParseTimetable("01:00,100KB 02:00,200KB 03:00,off")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.adjust = func(cfg *config.Config) { cfg.Servers["acme"].Bandwidth = table }
		time.Sleep(time.Until(began.Add(59 * time.Minute).UTC()))
		b.before = func(d *dispatcher) {
			d.servers["acme"].concurrency = concurrency{fewer: 1, of: 4, proven: began.Add(time.Hour)}
			d.servers["acme"].enough.Store(1)
		}
		b.run(func() {
			line := b.d.servers["acme"].line.limiter()
			var mutex sync.Mutex
			moved := 0
			var connections sync.WaitGroup
			for range 4 { // each with 10,000 bytes a time, until four o'clock
				connections.Go(func() {
					for time.Since(began) < 4*time.Hour {
						reserved := line.ReserveN(time.Now(), 5000)
						time.Sleep(max(reserved.Delay(), 10*time.Millisecond))
						mutex.Lock()
						moved += 5000
						mutex.Unlock()
					}
				})
			}
			within := func(at, length time.Duration) float64 {
				time.Sleep(time.Until(began.Add(at)))
				mutex.Lock()
				before := moved
				mutex.Unlock()
				time.Sleep(length)
				mutex.Lock()
				defer mutex.Unlock()
				return float64(moved-before) / length.Seconds()
			}
			const free = 4 * 5000 * 100 // as fast as these connections are
			for _, row := range []struct {
				at   time.Duration
				want float64
			}{
				{59*time.Minute + 30*time.Second, free}, {time.Hour + time.Second, rate}, {2*time.Hour - 11*time.Second, rate},
				{2*time.Hour + time.Second, 2 * rate}, {3*time.Hour + time.Second, free},
			} {
				if got := within(row.at, 10*time.Second); got < row.want*0.95 || got > row.want*1.05 {
					t.Errorf("at %s: %.0f bytes a second, want %.0f", row.at, got, row.want)
				}
			}
			b.step.Store(int64(-2 * time.Hour)) // the clock is put back to one o'clock
			time.Sleep(maxSleep)
			if got := within(time.Since(began)+time.Second, 10*time.Second); got > rate*1.05 {
				t.Errorf("the clock on the wall shows one o'clock, and %.0f bytes a second move", got)
			}
			connections.Wait()
		})
		if s := b.d.servers["acme"]; s.concurrency != (concurrency{}) || s.enough.Load() != 0 {
			t.Errorf("how many transfers filled the line at another rate: %+v", s.concurrency)
		}
	})
}

// TestAHookThatFailsBlamesNobodyElse: the file is tried again, whatever this machine had against the hook, and the history
// tells of one behind a transfer.
func TestAHookThatFailsBlamesNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Path == "told" {
				return work.Outcome{Result: work.Done, Hook: "the hook after failed: exit status 1"}
			}
			if job.Attempts < 5 {
				return work.Outcome{Err: &work.HookError{Hook: "before", Err: &net.OpError{Err: queue.ErrState}}}
			}
			return done
		})
		b.enqueue(string(plan.Upload), "up", time.Now(), "file", "told")
		b.run(func() { time.Sleep(time.Hour) })
		if got := b.counts(""); got != (queue.Counts{}) || b.tells(ActivityPaused) > 0 || b.tells(ActivityDead) > 0 {
			t.Errorf("left: %+v", got)
		}
		err := b.db.View(func(tx *state.Tx) error {
			rows, _, err := state.ReadHistory(tx, state.HistoryFilter{Path: func(path string) bool { return path == "told" }}, "", 0)
			if len(rows) != 1 || rows[0].Result != resultDone || rows[0].Error != "the hook after failed: exit status 1" {
				t.Errorf("history: %+v", rows)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
