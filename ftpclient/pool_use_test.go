package ftpclient_test

import (
	"fmt"
	"testing"

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
