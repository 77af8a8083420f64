package ftpclient_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestPoolLearnsNoCeilingFromTheDead has a server take one connection: what has ended and is not given back yet is none.
func TestPoolLearnsNoCeilingFromTheDead(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		t.Run(fmt.Sprintf("the last one is accepted: %t", accepted), func(t *testing.T) {
			inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, []steps{plain, nil, nil}, func(t *testing.T, h *host, p *ftpclient.Pool) {
				refuse, accept := make(chan struct{}), make(chan struct{})
				h.scripts[1] = steps{{Hold: refuse}}.then(full...)
				h.scripts[2] = steps{{Hold: accept}}.then(plain...)
				first := mustTake(t, p)
				refused, other := take(t.Context(), p), take(t.Context(), p)
				if accepted {
					close(refuse)
					mustWait(t, refused, other)
				}
				first.Close()
				close(accept)
				conn := (<-other).must(t)
				if !accepted {
					close(refuse)
					mustWait(t, refused)
				}
				if got := p.Facts().ConnectionLimit; got != 1 {
					t.Errorf("limit %d, and there never was more than one connection", got)
				}
				p.Put(conn)
				p.Put((<-refused).must(t))
				p.Put(first)
			})
		})
	}
}

// TestSegmentsGetAnotherChance a day after they did not fit together, on the connections that come then.
func TestSegmentsGetAnotherChance(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{IdleTimeout: time.Minute}, ftpclient.Facts{}, []steps{plain, plain, plain}, func(t *testing.T, _ *host, p *ftpclient.Pool) {
		conn := mustTake(t, p)
		if !conn.TakesSegments() {
			t.Error("nobody has learned anything")
		}
		conn.LearnNoSegments()
		p.Put(conn)
		for _, row := range []struct {
			after time.Duration
			takes bool
		}{{23 * time.Hour, false}, {2 * time.Hour, true}} {
			time.Sleep(row.after)
			conn := mustTake(t, p)
			if got := conn.TakesSegments(); got != row.takes {
				t.Errorf("%s later: %t", row.after, got)
			}
			p.Put(conn)
		}
	})
}
