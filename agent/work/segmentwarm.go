package work

import (
	"context"
	"sync"
	"time"
)

// leastWarmed is how much of a file has to be left for connections to be opened before it is known whether one stream is fast enough:
// they are what takes longest. Of less, one stream has brought most when they are there.
const leastWarmed = 32 << 20

// warmUp has connections that nobody else needs opened, so that they are idle when segments begin. None is kept from others.
func (s *segmentation) warmUp(ctx context.Context, left int64) {
	spares := s.o.env.Spares
	if left < leastWarmed || spares.decide != nil {
		close(s.warm)
		return
	}
	opened := make(chan struct{})
	var opening, held sync.WaitGroup
	for range min(spares.Most-1, spares.Idle()) {
		opening.Add(1)
		held.Add(1)
		s.streams.Go(func() {
			defer held.Done()
			_, giveBack, err := spares.Get(ctx)
			opening.Done()
			if err == nil {
				spares.hold(ctx, opened) // who comes next is to open another one
				giveBack()
			}
		})
	}
	s.streams.Go(func() {
		opening.Wait()
		close(opened)
		held.Wait()
		close(s.warm)
	})
}

// hold returns when all connections are opened, or somebody waits for one.
func (s Spares) hold(ctx context.Context, opened <-chan struct{}) {
	look := time.NewTicker(segmentLook)
	defer look.Stop()
	for {
		select {
		case <-opened:
			return
		case <-ctx.Done():
			return
		case <-look.C:
			if s.Wanted() {
				return
			}
		}
	}
}

// decide asks the pace; nothing begins before the connections for it are there.
func (s *segmentation) decide(since time.Duration, own, all float64, left int64) segmentStep {
	select {
	case <-s.warm:
		return s.pace.look(since, own, all, left, true)
	default:
		return s.pace.look(since, own, all, left, false)
	}
}
