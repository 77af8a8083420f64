package agent

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
)

// TestTheTriggersOfASyncThatComesBackWait for the end of those that it had before it was taken away: two watches of one folder would be in
// each other's way, and the end of one would be taken for that of the other.
func TestTheTriggersOfASyncThatComesBackWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, nil)
		without, with := breakerConfig(), breakerConfig()
		delete(without.Syncs, "far")
		with.Syncs["far"].Poll = time.Hour
		of := func(cfg *config.Config) *Agent { return New(cfg, b.db, Options{Logger: slog.New(slog.DiscardHandler)}) }
		ctx, stop := context.WithCancel(t.Context())
		group, ctx := errgroup.WithContext(ctx)
		before := &triggered{stop: func() {}, ended: make(chan struct{})}
		triggers, events := triggering{"far": before}, 0
		emit := func(context.Context, trigger.Event) error {
			events++
			return nil
		}
		for _, cfg := range []*config.Config{without, with} {
			if err := triggers.start(ctx, group, of(cfg), []string{"far"}, emit); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if events > 0 {
			t.Error("those of before have not ended, and the next ones work")
		}
		close(before.ended)
		time.Sleep(time.Minute)
		synctest.Wait()
		if events == 0 {
			t.Error("those of before have ended, and nothing happens")
		}
		stop()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
}
