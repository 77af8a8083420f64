package agent

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
)

// triggersOf returns what an agent starts.
func triggersOf(t *testing.T, b *breaker, adjust func(syncs map[string]*config.Sync)) (all []trigger.Trigger) {
	t.Helper()
	cfg := breakerConfig()
	adjust(cfg.Syncs)
	a := New(cfg, b.db, Options{Logger: slog.New(slog.DiscardHandler)})
	names := slices.Sorted(maps.Keys(a.syncs))
	after := trigger.Spread(len(names))
	for k, name := range names {
		more, err := a.triggersOf(name, after[k])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
	}
	return all
}

func nightly(t *testing.T) config.Schedule {
	t.Helper()
	s, err := config.ParseSchedule("0 3 * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTriggersOfAConfiguration: each option of it is in what is started.
func TestTriggersOfAConfiguration(t *testing.T) {
	b := newBreaker(t, nil)
	all := triggersOf(t, b, func(syncs map[string]*config.Sync) {
		up, up2, down := syncs["up"], syncs["up2"], syncs["down"]
		up.Watch, up.WatchPoll, up.Rescan, up.Links = true, 7*time.Second, 11*time.Minute, config.LinksFollow
		up2.Watch, up2.WatchPoll, up2.Poll = true, 8*time.Second, 13*time.Minute
		down.Poll, down.Rescan = 14*time.Minute, time.Hour
		down.Schedules = []config.Schedule{nightly(t)}
	})
	var got, canaries []string
	for _, one := range all {
		switch one := one.(type) {
		case watched:
			w := one.watch
			got = append(got, fmt.Sprintf("%s: watch %s, poll %s, follow %t, then %s, local %t", w.Sync, w.Root, w.Poll, w.Follow, one.start.Sync, one.start.Local))
			if !scan.IsTemp(w.Canary) || !w.Skip(w.Canary, false) || slices.Contains(canaries, w.Canary) || w.Health == nil || w.Logger == nil {
				t.Errorf("%+v", w)
			}
			canaries = append(canaries, w.Canary)
		case trigger.Rescan:
			got = append(got, fmt.Sprintf("%s: rescan %s, random %t", one.Sync, one.Every, one.Random() != one.Random()))
		case trigger.Start:
			got = append(got, fmt.Sprintf("%s: start, local %t", one.Sync, one.Local))
		case trigger.Poll:
			got = append(got, fmt.Sprintf("%s: poll %s", one.Sync, one.Every))
		case trigger.Schedule:
			got = append(got, fmt.Sprintf("%s: schedule %s", one.Sync, one.Entries[0].Spec))
		default:
			t.Errorf("%T", one)
		}
	}
	want := []string{
		"down: start, local false", "down: poll 14m0s", "down: schedule 0 3 * * *",
		"up: watch /nowhere/up, poll 7s, follow true, then up, local true", "up: rescan 11m0s, random true",
		"up2: watch /nowhere/up2, poll 8s, follow false, then up2, local true", "up2: poll 13m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wanted -, got +:\n%s", diff)
	}
}

// TestTheStartIsSpread: what syncs do at the start does not come all at once, runs that were missed too.
func TestTheStartIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, nil)
		daily := nightly(t)
		b.update(func(tx *state.Tx) error {
			for name := range breakerConfig().Syncs {
				if err := state.PutSchedule(tx, name, daily.Name, state.Schedule{Upto: time.Now().Add(-72 * time.Hour)}); err != nil {
					return err
				}
			}
			return nil
		})
		all := triggersOf(t, b, func(syncs map[string]*config.Sync) {
			for name, s := range syncs {
				s.Schedules = []config.Schedule{daily}
				s.Watch = name != "down"
				if !s.Watch {
					s.Poll = time.Minute
				}
			}
		})
		began := time.Now()
		var mu sync.Mutex
		var got []string
		emit := func(_ context.Context, e trigger.Event) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%s %s: %s", time.Since(began), e.Sync, e.Why))
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		var running sync.WaitGroup
		for _, one := range all {
			if w, ok := one.(watched); ok {
				one = w.start // the watch stands at once
			}
			running.Go(func() {
				if err := one.Run(ctx, emit); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		slices.Sort(got)
		want := []string{
			"0s down: schedule 0 3 * * *", "0s down: start", "1s far: schedule 0 3 * * *", "1s far: start",
			"2s up: schedule 0 3 * * *", "2s up: start", "3s up2: schedule 0 3 * * *", "3s up2: start",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("wanted -, got +:\n%s", diff)
		}
	})
}
