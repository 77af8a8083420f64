package agent

import (
	"context"
	"hash/fnv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
)

// watching keeps, by sync, how changes are noticed.
type watching struct {
	mu     sync.Mutex // guards health
	health map[string]trigger.Health
}

func (w *watching) set(sync string, h trigger.Health) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.health == nil {
		w.health = map[string]trigger.Health{}
	}
	w.health[sync] = h
}

func (w *watching) forget(sync string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.health, sync)
}

// status returns nil for a sync that does not watch.
func (w *watching) status(sync string) *control.Watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, ok := w.health[sync]
	if !ok {
		return nil
	}
	return &control.Watch{State: string(h.State), Reason: h.Reason, Cure: h.Cure, Every: h.Every, Folders: h.Folders, Since: h.Since}
}

// watched watches, and asks for the first look once the watch stands: what happened while the agent was not there left no event.
type watched struct {
	watch trigger.Watch
	start trigger.Start
}

// Run implements trigger.Trigger.
func (w watched) Run(ctx context.Context, emit trigger.Emit) error {
	group, ctx := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	w.watch.Ready = func() { close(ready) }
	group.Go(func() error { return w.watch.Run(ctx, emit) })
	group.Go(func() error {
		select {
		case <-ready:
			return w.start.Run(ctx, emit)
		case <-ctx.Done():
			return nil
		}
	})
	return group.Wait()
}

func (a *Agent) watch(s work.Sync) trigger.Watch {
	return trigger.Watch{
		Sync: s.Name, Root: s.Local, Logger: a.logger, Poll: a.cfg.Syncs[s.Name].WatchPoll, Canary: canaryName(a.db.Instance(), s.Name),
		Follow: s.Rules.Links == plan.LinksFollow,
		Health: func(h trigger.Health) { a.watching.set(s.Name, h) },
		Skip: func(rel string, isDir bool) bool {
			return scan.IsTemp(rel) || s.TempFolder != "" && (rel == s.TempFolder || strings.HasPrefix(rel, s.TempFolder+"/")) || s.Filter.ExcludedAnywhere(rel, isDir)
		},
	}
}

// canaryName is a temporary name like any other, so that no scan of any agent takes it for a file. Syncs may share a folder, and
// each of them has its own.
func canaryName(instance, sync string) string {
	sum := fnv.New64a()
	sum.Write([]byte(sync)) // never fails
	return scan.TempName("watch", instance, sum.Sum64(), 0)
}
