package agent

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
)

// TestAnAddressThatIsTakenIsTriedAgain, and each new reason is told once.
func TestAnAddressThatIsTakenIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		tries := 0
		open := func() (net.Listener, error) {
			switch tries++; {
			case tries <= 3:
				return nil, errors.New("taken")
			case tries == 4:
				return nil, errors.New("no such address")
			}
			return new(net.TCPListener), nil
		}
		began := time.Now()
		got := opened(t.Context(), open, func(err error) { told = append(told, err.Error()) })
		if got == nil || time.Since(began) != 4*listenAgain || !slices.Equal(told, []string{"taken", "no such address"}) {
			t.Errorf("%v after %v, told %q", got, time.Since(began), told)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		tries = -1000
		if got := opened(ctx, open, func(error) {}); got != nil || ctx.Err() == nil {
			t.Errorf("%v", got)
		}
	})
}

// TestAnAgentIsReadyWhenItNoticesChanges, or has said why it does not.
func TestAnAgentIsReadyWhenItNoticesChanges(t *testing.T) {
	t.Parallel()
	a := measured(t)
	a.options.Triggers = true
	for _, row := range []struct {
		is   trigger.HealthState
		want error
	}{{trigger.HealthStarting, errStarting}, {trigger.HealthWatching, nil}, {trigger.HealthMissing, nil}, {trigger.HealthPolling, nil}} {
		a.watching.set("web", trigger.Health{State: row.is})
		if err := a.ready(t.Context()); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.is, err, row.want)
		}
	}
	a.watching.health = nil
	if err := a.ready(t.Context()); !errors.Is(err, errStarting) {
		t.Errorf("before the watch has said anything: %v", err)
	}
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := New(a.cfg, db, a.options).ready(t.Context()); err == nil {
		t.Error("an agent that does not run is ready")
	}
}
