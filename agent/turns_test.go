package agent

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurns(t *testing.T) {
	for name, row := range map[string]struct {
		first time.Duration // until the first one asks
		want  []time.Duration
	}{
		"each behind the one before":  {30 * time.Millisecond, []time.Duration{30 * time.Millisecond, 30 * time.Millisecond, 30 * time.Millisecond}},
		"nobody waits for a hung one": {time.Second, []time.Duration{time.Second, courtesy, courtesy}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var last *turn
				var group sync.WaitGroup
				began := time.Now()
				asked := make([]time.Duration, 3)
				for i := range asked {
					last = last.behind()
					mine := last
					group.Go(func() {
						mine.wait(t.Context())
						if i == 0 {
							time.Sleep(row.first)
						}
						asked[i] = time.Since(began)
						mine.pass()
						mine.pass() // once more, at the end of the jobs
					})
				}
				group.Wait()
				if !slices.Equal(asked, row.want) {
					t.Errorf("asked after %v, not %v", asked, row.want)
				}
			})
		})
	}
	var none *turn
	none.wait(t.Context())
	none.pass()
}
