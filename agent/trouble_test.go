package agent

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// troubles are the rows of the history that are about no path of a server.
func (b *breaker) troubles(server string) []state.History {
	b.t.Helper()
	return slices.DeleteFunc(b.history(), func(h state.History) bool { return h.Server != server || h.Job != 0 })
}

func results(rows []state.History) (results []string) {
	for _, h := range rows {
		results = append(results, h.Result)
	}
	return results
}

// TestDaysWithoutAServerAreTwoRows of the history, whatever is tried and however often the agent starts meanwhile.
func TestDaysWithoutAServerAreTwoRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		up := begin.Add(3 * 24 * time.Hour)
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Server == "acme" && time.Now().Before(up) {
				return work.Outcome{Err: errDown}
			}
			return done
		})
		b.enqueue(work.KindSweepRemote, "up", begin, paths("a", 10)...)
		b.enqueue(work.KindSweepRemote, "far", begin, "b")
		for range 3 {
			b.run(func() {
				time.Sleep(12 * time.Hour)
				if err := b.agent.ask(t.Context(), request{pass: newPass([]string{"up"}, b.now())}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(12 * time.Hour)
			})
		}
		want := []state.History{{When: begin.UTC(), Server: "acme", Op: "connect", Result: "paused", Error: reasonOf(errDown)}}
		if got := b.troubles("acme"); len(got) != 1 || got[0].When.Sub(begin) > time.Second || got[0].Error != want[0].Error {
			t.Errorf("while it is down (-want +got):\n%s", cmp.Diff(want, got))
		}
		b.run(func() { time.Sleep(time.Hour) })
		b.run(func() { time.Sleep(time.Hour) })
		rows := b.troubles("acme")
		if diff := cmp.Diff([]string{"paused", "working again"}, results(rows)); diff != "" {
			t.Fatal(diff)
		}
		if back := rows[1]; back.Sync != "" || back.Path != "" || back.Error != "" || back.Duration < 3*24*time.Hour-time.Second || back.Duration > 3*24*time.Hour+queue.MostDelay+time.Minute {
			t.Errorf("%+v", back)
		}
		if rows := b.troubles("other"); len(rows) > 0 {
			t.Errorf("of the server that is up: %+v", rows)
		}
	})
}

// TestAServerThatComesAndGoes does not fill the history, but when it stays away at last that is told.
func TestAServerThatComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		gone := begin.Add(2 * time.Hour)
		b := newBreaker(t, func(queue.Job) work.Outcome {
			if time.Now().After(gone) || time.Since(begin)/time.Minute%2 == 1 {
				return work.Outcome{Err: errDown}
			}
			return done
		})
		b.run(func() {
			for range 2 * 12 {
				b.enqueue(work.KindSweepRemote, "up", time.Now(), paths("a", 30)...)
				time.Sleep(5 * time.Minute)
			}
			if n := len(b.troubles("acme")); n < 2 || n > 2*2*2 { // it goes away some sixty times
				t.Errorf("%d rows of two hours", n)
			}
			b.enqueue(work.KindSweepRemote, "up", time.Now(), paths("a", 10)...)
			time.Sleep(time.Hour)
			if rows := b.troubles("acme"); rows[len(rows)-1].Result != "paused" {
				t.Errorf("in the end: %+v", rows[len(rows)-1])
			}
		})
	})
}

// TestAFullPlaceIsTwoRows: of the server for uploads, of the sync for downloads.
func TestAFullPlaceIsTwoRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(queue.Job) work.Outcome {
			if time.Since(begin) < 24*time.Hour {
				return work.Outcome{Err: errQuota}
			}
			return done
		})
		b.enqueue(string(plan.Upload), "up", begin, paths("a", 20)...)
		b.enqueue(string(plan.Download), "down", begin, paths("b", 20)...)
		b.run(func() { time.Sleep(20 * time.Hour) })
		b.run(func() { time.Sleep(5 * time.Hour) })
		for sync, direction := range map[string]string{"": "up", "down": "down"} {
			rows := slices.DeleteFunc(b.troubles("acme"), func(h state.History) bool { return h.Sync != sync })
			if diff := cmp.Diff([]string{"full", "working again"}, results(rows)); diff != "" {
				t.Errorf("%q: %s", sync, diff)
				continue
			}
			if !strings.Contains(rows[0].Error, "Quota exceeded") || rows[0].Direction != direction || rows[0].Op != "transfer" || rows[1].Duration < 23*time.Hour {
				t.Errorf("%+v", rows)
			}
		}
	})
}

// TestATransferThatBeganBeforeTheDiskWasFullProvesNoRoom: what has its room already may well come to its end.
func TestATransferThatBeganBeforeTheDiskWasFullProvesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Path == "a0" {
				return work.Outcome{Err: errQuota}
			}
			time.Sleep(10 * time.Second)
			return done
		})
		b.enqueue(string(plan.Upload), "up", begin, paths("a", 2)...)
		b.run(func() { time.Sleep(time.Minute) })
		if got := results(b.troubles("acme")); !slices.Equal(got, []string{"full"}) {
			t.Errorf("told: %q, while the upload that was under way ended well", got)
		}
	})
}
