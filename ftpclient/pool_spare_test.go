package ftpclient_test

import (
	"testing"
	"testing/synctest"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// spare asks for a connection that nobody else wants.
func spare(t *testing.T, p *ftpclient.Pool, want bool) *ftpclient.Conn {
	t.Helper()
	conn, err := p.Spare(t.Context())
	if err != nil || (conn != nil) != want {
		t.Errorf("got %v, %v; want one: %v", conn, err, want)
	}
	return conn
}

// TestSpareConnections: they are idle ones, or new ones as long as there may be more, and never the first.
func TestSpareConnections(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, plain, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		spare(t, p, false)
		h.expect(0)
		first, second := mustTake(t, p), mustTake(t, p)
		p.Put(second)
		if got := spare(t, p, true); got != second {
			t.Error("not the one that is idle")
		}
		h.expect(2)
		third := spare(t, p, true)
		h.expect(3)
		spare(t, p, false)
		waiting := take(t.Context(), p)
		mustWait(t, waiting)
		if !p.Awaited() {
			t.Error("nobody is waited for")
		}
		p.Put(third)
		if got := (<-waiting).must(t); got != third || p.Awaited() {
			t.Error("who waited has another one, or waits")
		}
		for _, conn := range []*ftpclient.Conn{first, second, third} {
			p.Put(conn)
		}
	})
}

// TestASpareConnectionTooMany: the server takes no more, which is no error and holds for the others too.
func TestASpareConnectionTooMany(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, full}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		first := mustTake(t, p)
		spare(t, p, false)
		spare(t, p, false)
		h.expect(2)
		if facts := p.Facts(); facts.ConnectionLimit != 1 {
			t.Errorf("learned that there may be %d", facts.ConnectionLimit)
		}
		p.Put(first)
	})
}

// TestASpareConnectionThatIsRefused is an error, and does not keep the pool from closing.
func TestASpareConnectionThatIsRefused(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, nil}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		first := mustTake(t, p)
		if conn, err := p.Spare(t.Context()); conn != nil || err == nil {
			t.Errorf("got %v, %v", conn, err)
		}
		synctest.Wait()
		p.Put(first)
	})
}
