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
	var opening sync.WaitGroup
	for range min(spares.Most-1, spares.Idle()) {
		opening.Add(1)
		s.streams.Go(func() {
			_, giveBack, err := spares.Get(ctx)
			opening.Done()
			if err == nil {
				s.untilWarm(ctx) // who comes next is to open another one
				giveBack()
			}
		})
	}
	s.streams.Go(func() {
		opening.Wait()
		close(s.warm)
	})
}

// untilWarm returns when all connections are there, or somebody waits for one.
func (s *segmentation) untilWarm(ctx context.Context) {
	look := time.NewTicker(segmentLook)
	defer look.Stop()
	for {
		select {
		case <-s.warm:
			return
		case <-ctx.Done():
			return
		case <-look.C:
			if s.o.env.Spares.Wanted() {
				return
			}
		}
	}
}

// decide asks the pace; nothing begins before the connections for it are there.
func (s *segmentation) decide(rate float64, left int64) segmentStep {
	select {
	case <-s.warm:
		return s.pace.look(rate, left, true)
	default:
		return s.pace.look(rate, left, false)
	}
}
