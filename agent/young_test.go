package agent

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatIsTooYoungIsLookedAtWhenItIsNot: each file once at that time and not before, also after a restart, with no full scan that
// would find it.
func TestWhatIsTooYoungIsLookedAtWhenItIsNot(t *testing.T) {
	const least = time.Hour
	for _, row := range []struct {
		sentence string
		restart  time.Duration // after the event; 0: none
		away     time.Duration // how long nothing runs then
		back     bool          // the clock was wrong when the file was looked at
		want     time.Duration // from the event on
	}{
		{"while the agent runs", 0, 0, false, least},
		{"after a restart", 20 * time.Minute, time.Minute, false, least},
		{"at the start, when it is old enough by then", 20 * time.Minute, 2 * time.Hour, false, 20*time.Minute + 2*time.Hour},
		{"at once, when the clock is set back", 10 * time.Minute, 0, true, 10 * time.Minute},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex // guards changed and looks
				changed := map[string]time.Time{}
				looks := map[string][]time.Duration{}
				var began time.Time
				var b *breaker
				b = newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Kind != work.KindLook {
						return done
					}
					mu.Lock()
					defer mu.Unlock()
					o := work.Outcome{Result: work.Done, Scan: &scan.Result{}, Dirty: b.marks()}
					for _, mark := range o.Dirty {
						looks[mark.Path] = append(looks[mark.Path], time.Since(began).Round(time.Second))
						if until := changed[mark.Path].Add(least); until.After(b.now()) {
							o.Scan.Plan.Notes = append(o.Scan.Plan.Notes, plan.Note{Path: mark.Path, Held: true, Text: scan.TooYoung + "then", Until: until})
							continue
						}
						source := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 1, ModTime: changed[mark.Path]}}
						o.Scan.Plan.Ops = append(o.Scan.Plan.Ops, plan.Op{Action: plan.Upload, Path: mark.Path, Local: source})
					}
					return o
				})
				b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].MinAge, cfg.Syncs["up"].Settle = least, 5*time.Second }
				if row.back {
					b.step.Store(int64(24 * time.Hour))
				}
				use := func() { time.Sleep(10 * time.Hour) }
				b.run(func() {
					time.Sleep(time.Minute)
					began = time.Now()
					for i, path := range []string{"a", "b"} {
						mu.Lock()
						changed[path] = b.now()
						mu.Unlock()
						if err := b.d.emit(t.Context(), trigger.Event{Sync: "up", Paths: []string{path}, Why: "event"}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Duration(1-i) * 10 * time.Second)
					}
					time.Sleep(time.Minute)
					if held := b.held("up"); len(held) != 2 || held[0] != (control.PathReason{Path: "a", Reason: scan.TooYoung + "then"}) {
						t.Errorf("held: %+v", held)
					}
					if row.restart == 0 {
						use()
					}
					time.Sleep(time.Until(began.Add(row.restart)))
				})
				if row.restart > 0 {
					time.Sleep(row.away)
					if row.back {
						b.step.Store(0)
						for path, at := range changed {
							changed[path] = at.Add(-24 * time.Hour)
						}
					}
					b.run(use)
				}
				if held := b.held("up"); len(held) > 0 {
					t.Errorf("held in the end: %+v", held)
				}
				for i, path := range []string{"a", "b"} {
					want := []time.Duration{time.Duration(i) * 10 * time.Second, row.want}
					if row.want == least {
						want[1] += want[0]
					}
					if row.back {
						want = append(want, least+want[0]) // it was still too young
					}
					if !slices.Equal(looks[path], want) {
						t.Errorf("%s was looked at after %s, want %s", path, looks[path], want)
					}
					var sent []time.Duration
					for _, try := range b.between(began, time.Now(), "up") {
						if try.job.Path == path {
							sent = append(sent, try.at.Sub(began).Round(time.Second))
						}
					}
					if !slices.Equal(sent, want[len(want)-1:]) {
						t.Errorf("%s was sent after %s", path, sent)
					}
				}
			})
		})
	}
}

// TestExplainSaysUntilWhenAFileIsTooYoung.
func TestExplainSaysUntilWhenAFileIsTooYoung(t *testing.T) {
	e := control.Explanation{Excluded: "the file is beyond the limits of size or age", Note: &control.Note{Kind: string(state.NoteHeld), Reason: scan.TooYoung + "15:04"}}
	if got := nextStep(e, true, false, false, time.Now()); !strings.Contains(got, "too young until 15:04") {
		t.Errorf("%q", got)
	}
}
