package ftpclient_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestALoginThatIsBrokenOffMayBeCounted by the server for a while: who is refused then tries again, and no limit is learned.
func TestALoginThatIsBrokenOffMayBeCounted(t *testing.T) {
	silent := steps{{Send: "220 ready"}, {Expect: "USER ferry"}}
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, silent, full, plain}, func(t *testing.T, _ *host, p *ftpclient.Pool) {
		first := mustTake(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		broken := take(ctx, p)
		cancel()
		if r := <-broken; ftpclient.Classify(r.err) != ftpclient.ClassCancelled {
			t.Errorf("%v, %v", r.conn, r.err)
		}
		p.Put(mustTake(t, p))
		if got := p.Facts().ConnectionLimit; got != 0 {
			t.Errorf("limit %d, learned from a login that was broken off", got)
		}
		p.Put(first)
	})
}

// TestARefusalAmongLoginsThatAreBrokenOff says nothing against those: one of them is tried again at once.
func TestARefusalAmongLoginsThatAreBrokenOff(t *testing.T) {
	silent := steps{{Send: "220 ready"}, {Expect: "USER ferry"}}
	inPool(t, ftpclient.PoolOptions{Max: 4}, ftpclient.Facts{}, []steps{plain, silent, silent, full, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		first := mustTake(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		broken := []<-chan taken{take(ctx, p), take(ctx, p)}
		refused := take(ctx, p)
		mustWait(t, refused)
		cancel()
		for _, result := range append(broken, refused) {
			if r := <-result; ftpclient.Classify(r.err) != ftpclient.ClassCancelled {
				t.Errorf("%v, %v", r.conn, r.err)
			}
		}
		time.Sleep(5 * time.Second) // the server has seen them go
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second, err := p.Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Facts().ConnectionLimit; got != 2 {
			t.Errorf("limit %d, with two connections there", got)
		}
		p.Put(second)
		p.Put(first)
	})
}

// TestPoolCountsTheLivingWhenItIsTold that a transfer was one too many.
func TestPoolCountsTheLivingWhenItIsTold(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, plain, plain}, func(t *testing.T, _ *host, p *ftpclient.Pool) {
		first, second, dead := mustTake(t, p), mustTake(t, p), mustTake(t, p)
		dead.Close()
		p.Lower()
		if got := p.Facts().ConnectionLimit; got != 1 {
			t.Errorf("limit %d, with two connections of which one is too many", got)
		}
		for _, conn := range []*ftpclient.Conn{first, second, dead} {
			p.Put(conn)
		}
	})
}

// TestIdleConnectionsAreToldOfSegments that did not fit together on another one.
func TestIdleConnectionsAreToldOfSegments(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, []steps{plain, plain}, func(t *testing.T, _ *host, p *ftpclient.Pool) {
		first, second := mustTake(t, p), mustTake(t, p)
		p.Put(first)
		second.LearnNoSegments()
		learned := second.Facts().SegmentsLearned
		p.Put(second)
		for range 2 {
			conn := mustTake(t, p)
			defer p.Put(conn)
			if conn.TakesSegments() {
				t.Error("not told")
			}
		}
		time.Sleep(time.Second)
		if facts := p.Facts(); !facts.NoSegments || facts.SegmentsLearned != learned {
			t.Errorf("forgotten: %+v", facts)
		}
	})
}

// TestWhatWasLearnedInTheFuture was learned by a clock that was wrong.
func TestWhatWasLearnedInTheFuture(t *testing.T) {
	facts := ftpclient.Facts{NoSegments: true, SegmentsLearned: time.Now().Add(24 * 365 * time.Hour * 50).Unix()}
	inPool(t, ftpclient.PoolOptions{}, facts, []steps{plain}, func(t *testing.T, _ *host, p *ftpclient.Pool) {
		conn := mustTake(t, p)
		defer p.Put(conn)
		if !conn.TakesSegments() {
			t.Error("it holds for half a century")
		}
	})
}

// TestAPartWithoutADataConnection says something about the way, and nothing about what goes behind transfers.
func TestAPartWithoutADataConnection(t *testing.T) {
	t.Parallel()
	script := steps{passive}.then(ftptest.Step{Expect: "RETR /b", Send: "150 go", Data: &ftptest.Data{Send: "x", End: ftptest.Close}}, ftptest.Step{Send: "226 done"}).
		then(inOneWrite(ftptest.Step{Send: "213 10"}, "SIZE /a", "EPSV")...).then(nextPort).
		then(inOneWrite(ftptest.Step{Send: "350 go on\n425 no data connection"}, "REST 5", "RETR /a")...).then(talk("REST 0", "350 go on")...)
	conn, _ := connect(t, session("", script), knownServer)
	defer conn.Close()
	if got, err := retrieveAll(t, conn, "/b"); err != nil || got != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := conn.RetrievePart(t.Context(), "/a", 5, 10); err == nil {
		t.Fatal("retrieved")
	}
	if got := conn.Facts().Ahead; got != "yes" {
		t.Errorf("learned %q", got)
	}
}

func retrieveAll(t *testing.T, conn *ftpclient.Conn, p string) (string, error) {
	t.Helper()
	transfer, err := conn.Retrieve(t.Context(), p, 0)
	if err != nil {
		return "", err
	}
	got, _ := io.ReadAll(transfer) // its error is Finish's, too
	_, err = transfer.Finish(t.Context())
	return string(got), err
}
