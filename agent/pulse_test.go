package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestTheDispatcherHasAPulse as long as it works, with nothing to do too, and none while it is stuck.
func TestTheDispatcherHasAPulse(t *testing.T) {
	t.Parallel()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	synctest.Test(t, func(t *testing.T) {
		const interval = 7 * time.Second // less than the dispatcher sleeps by itself
		var pulses, ready atomic.Int64
		var a *Agent
		a = New(breakerConfig(), db, Options{
			Logger: slog.New(slog.DiscardHandler), PulseInterval: interval,
			Ready: func() {
				if err := a.Health(t.Context()); err != nil {
					t.Errorf("ready, and not healthy: %v", err)
				}
				if ready.Add(1); pulses.Load() != 0 {
					t.Error("the dispatcher worked before it was ready")
				}
			},
			Pulse: func(Pulse) { pulses.Add(1) },
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		expect := func(when string, want int64) {
			t.Helper()
			synctest.Wait()
			if got := pulses.Load(); got != want {
				t.Fatalf("%s: %d pulses, want %d", when, got, want)
			}
		}
		expect("at the start", 1)
		time.Sleep(10 * interval)
		expect("with nothing to do", 11)

		stuck, answered := make(chan struct{}), make(chan error, 1)
		go func() {
			answered <- a.ask(ctx, request{change: func(*state.Tx, time.Time) ([]string, error) {
				<-stuck
				return nil, nil
			}})
		}()
		synctest.Wait()
		if err := a.Health(ctx); err != nil {
			t.Errorf("just stuck, which may be a slow disk: %v", err)
		}
		time.Sleep(time.Hour)
		expect("stuck", 11)
		if err := a.Health(ctx); err == nil || !strings.Contains(err.Error(), "stuck: it gave its last sign of life 1h0m0s ago") {
			t.Errorf("stuck for an hour: %v", err)
		}
		close(stuck)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		expect("going on", 12)
		if err := a.Health(ctx); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := ready.Load(); n != 1 {
			t.Errorf("ready %d times", n)
		}
	})
}

func TestAPulseTellsOfHaltsAndJobs(t *testing.T) {
	t.Parallel()
	var told []Pulse
	d := &dispatcher{
		agent:  &Agent{lasting: &lasting{}, options: Options{Pulse: func(p Pulse) { told = append(told, p) }, PulseInterval: time.Hour}},
		halted: map[string]bool{"a": true, "b": false, "c": true}, outstanding: map[queue.ID]*assigned{3: nil},
	}
	d.beat()
	d.beat()
	if len(told) != 1 || told[0] != (Pulse{Running: 1, Halted: 2}) {
		t.Errorf("told %+v", told)
	}
}
