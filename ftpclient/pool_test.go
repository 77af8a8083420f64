package ftpclient_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// host answers each connection by the next script.
type host struct {
	t       *testing.T
	mutex   sync.Mutex
	scripts []steps
	dialled int
}

func (h *host) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.dialled == len(h.scripts) {
		h.t.Error("one connection more than expected")
		return nil, errors.New("no route")
	}
	script := h.scripts[h.dialled]
	h.dialled++
	if script == nil {
		return nil, errors.New("no route")
	}
	server := ftptest.NewPipeScript(h.t, script...)
	return server.Dial(ctx, network, server.Addr)
}

func (h *host) expect(dialled int) {
	h.t.Helper()
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.dialled != dialled {
		h.t.Errorf("%d connections were tried, want %d", h.dialled, dialled)
	}
}

// inPool runs test in a bubble, with a pool of connections to a host with these scripts.
func inPool(t *testing.T, o ftpclient.PoolOptions, facts ftpclient.Facts, scripts []steps, test func(t *testing.T, h *host, p *ftpclient.Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &host{t: t, scripts: scripts}
		options := testOptions()
		options.DialContext, options.Facts = h.dial, facts
		p := ftpclient.NewPool("ftp.example.com:21", options, o)
		test(t, h, p)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		h.expect(len(scripts))
	})
}

// taken is what a Get on another goroutine ends with.
type taken struct {
	conn *ftpclient.Conn
	err  error
}

// take calls Get on another goroutine, and returns when that waits or has its result.
func take(ctx context.Context, p *ftpclient.Pool) <-chan taken {
	result := make(chan taken, 1)
	go func() {
		conn, err := p.Get(ctx)
		result <- taken{conn, err}
	}()
	synctest.Wait()
	return result
}

func mustTake(t *testing.T, p *ftpclient.Pool) *ftpclient.Conn {
	t.Helper()
	conn, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (r taken) must(t *testing.T) *ftpclient.Conn {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.conn
}

func mustWait(t *testing.T, results ...<-chan taken) {
	t.Helper()
	synctest.Wait()
	for i, result := range results {
		select {
		case r := <-result:
			t.Errorf("the waiter %d has %v, %v", i, r.conn, r.err)
		default:
		}
	}
}

var (
	plain   = session("", nil)
	full    = steps{{Send: "421 There are too many connected users, please try later.", End: ftptest.Close}}
	crowded = steps{{Send: "220 ready"}}.then(talk("USER ferry", "331 password?",
		"PASS secret", "530 Sorry, the maximum number of clients (1) for this user are already connected.")...)
	locked = steps{{Send: "220 ready"}}.then(talk("USER ferry", "331 password?", "PASS secret", "530 Login incorrect.")...)
)

// noop is a session with a sign of life.
var noop = session("", talk("NOOP", "200 ok"))

func TestPoolServesInTheOrderOfArrival(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		conn := mustTake(t, p)
		var waiting []<-chan taken
		for range 4 {
			waiting = append(waiting, take(t.Context(), p))
		}
		for len(waiting) > 0 {
			mustWait(t, waiting...)
			p.Put(conn)
			if got := (<-waiting[0]).must(t); got != conn {
				t.Error("another connection")
			}
			waiting = waiting[1:]
		}
		p.Put(conn)
	})
}

func TestPoolLearnsTheCeiling(t *testing.T) {
	for name, refusal := range map[string]steps{"at the greeting": full, "after the password": crowded} {
		t.Run(name, func(t *testing.T) {
			scripts := []steps{plain, plain, refusal, refusal, plain}
			inPool(t, ftpclient.PoolOptions{Max: 4}, ftpclient.Facts{}, scripts, func(t *testing.T, h *host, p *ftpclient.Pool) {
				began := time.Now()
				first, second := mustTake(t, p), mustTake(t, p)
				third, fourth := take(t.Context(), p), take(t.Context(), p)
				mustWait(t, third, fourth)
				h.expect(3) // the fourth knows better
				facts := p.Facts()
				if facts.ConnectionLimit != 2 || facts.LimitLearned != began.Unix() {
					t.Errorf("learned %d at %d", facts.ConnectionLimit, facts.LimitLearned)
				}
				p.Put(first)
				if got := (<-third).must(t); got != first {
					t.Error("the one who was refused is not the first to be served")
				}
				time.Sleep(10*time.Minute - time.Second)
				mustWait(t, fourth)
				h.expect(3)
				time.Sleep(time.Second) // one more is tried, and refused
				mustWait(t, fourth)
				h.expect(4)
				time.Sleep(10 * time.Minute) // and not
				last := (<-fourth).must(t)
				if facts := p.Facts(); facts.ConnectionLimit != 3 || facts.LimitLearned != began.Add(20*time.Minute).Unix() {
					t.Errorf("learned %d at %d", facts.ConnectionLimit, facts.LimitLearned)
				}
				for _, conn := range []*ftpclient.Conn{first, second, last} {
					p.Put(conn)
				}
			})
		})
	}
}

func TestPoolIsToldOfTransfersTooMany(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, plain, plain, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		first, second, third := mustTake(t, p), mustTake(t, p), mustTake(t, p)
		p.Lower()
		if facts := p.Facts(); facts.ConnectionLimit != 2 || facts.LimitLearned != time.Now().Unix() {
			t.Errorf("learned %d at %d", facts.ConnectionLimit, facts.LimitLearned)
		}
		p.Put(first)
		if first.Usable() {
			t.Error("the one too many is kept")
		}
		waits := take(t.Context(), p)
		mustWait(t, waits)
		p.Put(second)
		if got := (<-waits).must(t); got != second {
			t.Error("the next one is not kept")
		}
		time.Sleep(10 * time.Minute)
		fourth := mustTake(t, p)
		for _, conn := range []*ftpclient.Conn{second, third, fourth} {
			p.Put(conn)
		}
	})
}

func TestPoolRemembersTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{t: t, scripts: []steps{plain, plain}}
		o := testOptions()
		o.DialContext = h.dial
		o.Facts = ftpclient.Facts{ConnectionLimit: 1, LimitLearned: time.Now().Add(-7 * time.Minute).Unix()}
		p := ftpclient.NewPool("ftp.example.com:21", o, ftpclient.PoolOptions{Max: 2})
		conn := mustTake(t, p)
		second := take(t.Context(), p)
		time.Sleep(3*time.Minute - time.Second)
		mustWait(t, second)
		h.expect(1)
		time.Sleep(time.Second)
		p.Put((<-second).must(t))
		p.Put(conn)
		if facts := p.Facts(); facts.ConnectionLimit != 0 || facts.LimitLearned != 0 {
			t.Errorf("a limit that is none is remembered: %+v", facts)
		}
		p.Close()
	})
}

func TestPoolOfAFullServer(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, []steps{full}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		var waiting []<-chan taken
		hold := make(chan struct{})
		h.scripts[0] = steps{{Hold: hold}}.then(full...)
		for range 5 {
			waiting = append(waiting, take(t.Context(), p))
		}
		mustWait(t, waiting...)
		close(hold)
		for _, w := range waiting {
			if r := <-w; ftpclient.Classify(r.err) != ftpclient.ClassBusy {
				t.Errorf("%v, %v", r.conn, r.err)
			}
		}
	})
}

func TestPoolTriesAWrongPasswordOnce(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, []steps{locked, plain, plain, locked}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		hold := make(chan struct{})
		h.scripts[0] = steps{{Hold: hold}}.then(locked...)
		a, b := take(t.Context(), p), take(t.Context(), p)
		close(hold)
		for _, w := range []<-chan taken{a, b} {
			if r := <-w; ftpclient.Classify(r.err) != ftpclient.ClassAuthentication {
				t.Errorf("%v, %v", r.conn, r.err)
			}
		}
		// The next try is that of somebody who asks again, perhaps with reason.
		first, second := mustTake(t, p), mustTake(t, p)
		if _, err := p.Get(t.Context()); ftpclient.Classify(err) != ftpclient.ClassAuthentication {
			t.Error(err)
		}
		p.Put(first)
		p.Put(second)
	})
}

func TestPoolWithSeveralOnTheirWay(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, nil, nil}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		refuse, accept := make(chan struct{}), make(chan struct{})
		h.scripts[1] = steps{{Hold: refuse}}.then(full...)
		h.scripts[2] = steps{{Hold: accept}}.then(plain...)
		first := mustTake(t, p)
		refused, accepted, waits := take(t.Context(), p), take(t.Context(), p), take(t.Context(), p)
		close(refuse)
		mustWait(t, refused, accepted, waits)
		if got := p.Facts().ConnectionLimit; got != 1 {
			t.Errorf("limit %d, with one connection there", got)
		}
		close(accept)
		second := (<-accepted).must(t)
		if got := p.Facts().ConnectionLimit; got != 2 {
			t.Errorf("limit %d, with two connections there", got)
		}
		p.Put(second)
		p.Put((<-refused).must(t)) // it came before the one who waits
		p.Put((<-waits).must(t))
		p.Put(first)
	})
}

func TestPoolTellsAllOfARefusedLogin(t *testing.T) {
	inPool(t, ftpclient.PoolOptions{Max: 2}, ftpclient.Facts{}, []steps{plain, nil}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		hold := make(chan struct{})
		h.scripts[1] = steps{{Hold: hold}}.then(locked...)
		conn := mustTake(t, p)
		a, b := take(t.Context(), p), take(t.Context(), p)
		close(hold)
		for _, w := range []<-chan taken{a, b} {
			if r := <-w; ftpclient.Classify(r.err) != ftpclient.ClassAuthentication {
				t.Errorf("%v, %v", r.conn, r.err)
			}
		}
		p.Put(conn)
	})
}

func TestPoolHandsOnWhatALeaverLeaves(t *testing.T) {
	silent := steps{{Send: "220 ready"}, {Expect: "USER ferry"}}
	t.Run("one who waits leaves the line", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			ctx, cancel := context.WithCancel(t.Context())
			leaver, next := take(ctx, p), take(t.Context(), p)
			cancel()
			if r := <-leaver; ftpclient.Classify(r.err) != ftpclient.ClassCancelled {
				t.Errorf("%v, %v", r.conn, r.err)
			}
			p.Put(conn)
			p.Put((<-next).must(t))
		})
	})
	t.Run("a deadline is no cancelling", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := p.Get(ctx); !errors.Is(err, context.DeadlineExceeded) || ftpclient.Classify(err) == ftpclient.ClassCancelled {
				t.Error(err)
			}
			p.Put(conn)
		})
	})
	t.Run("one who dials leaves the place to the next", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{silent, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			ctx, cancel := context.WithCancel(t.Context())
			leaver, next := take(ctx, p), take(t.Context(), p)
			mustWait(t, leaver, next)
			cancel()
			if r := <-leaver; ftpclient.Classify(r.err) != ftpclient.ClassCancelled {
				t.Errorf("%v, %v", r.conn, r.err)
			}
			p.Put((<-next).must(t))
		})
	})
	t.Run("one who checks leaves the place to the next", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{open("", steps{{Expect: "NOOP"}}), plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			p.Put(mustTake(t, p))
			time.Sleep(20 * time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			leaver, next := take(ctx, p), take(t.Context(), p)
			mustWait(t, leaver, next)
			cancel()
			if r := <-leaver; ftpclient.Classify(r.err) != ftpclient.ClassCancelled {
				t.Errorf("%v, %v", r.conn, r.err)
			}
			p.Put((<-next).must(t))
		})
	})
	t.Run("one who is served while leaving takes it or leaves it, and nothing is lost", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			for range 100 {
				ctx, cancel := context.WithCancel(t.Context())
				leaver := take(ctx, p)
				p.Put(conn)
				cancel()
				if r := <-leaver; r.err == nil {
					p.Put(r.conn)
				}
				conn = mustTake(t, p)
			}
			p.Put(conn)
		})
	})
}

func TestPoolWithFailingConnections(t *testing.T) {
	t.Run("who waits for a first connection shares the error", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, []steps{{{Send: "220 ready", End: ftptest.Close}}}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			hold := make(chan struct{})
			h.scripts[0] = steps{{Hold: hold, Send: "421 Service not available", End: ftptest.Close}}
			a, b := take(t.Context(), p), take(t.Context(), p)
			close(hold)
			for _, w := range []<-chan taken{a, b} {
				if r := <-w; ftpclient.Classify(r.err) != ftpclient.ClassUnavailable {
					t.Errorf("%v, %v", r.conn, r.err)
				}
			}
		})
	})
	t.Run("a failure is no ceiling", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 2}, ftpclient.Facts{}, []steps{plain, nil, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			if _, err := p.Get(t.Context()); ftpclient.Classify(err) != ftpclient.ClassUnavailable {
				t.Error(err)
			}
			p.Put(mustTake(t, p))
			if p.Facts().ConnectionLimit != 0 {
				t.Error("learned a limit")
			}
			p.Put(conn)
		})
	})
	t.Run("one that is not usable is closed and replaced", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 1}, ftpclient.Facts{}, []steps{plain, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			waiting := take(t.Context(), p)
			conn.Close()
			p.Put(conn)
			p.Put(conn) // once more says nothing
			p.Put((<-waiting).must(t))
		})
	})
	t.Run("a server that still counts a closed connection is given time", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 2}, ftpclient.Facts{}, []steps{plain, full, full, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			conn.Close()
			p.Put(conn)
			began := time.Now()
			conn = mustTake(t, p)
			if took := time.Since(began); took != time.Second || p.Facts().ConnectionLimit != 0 {
				t.Errorf("after %s, with %+v", took, p.Facts())
			}
			p.Put(conn)
		})
	})
	t.Run("but not for ever", func(t *testing.T) {
		inPool(t, ftpclient.PoolOptions{Max: 2}, ftpclient.Facts{}, append([]steps{plain}, slices.Repeat([]steps{full}, 7)...), func(t *testing.T, h *host, p *ftpclient.Pool) {
			conn := mustTake(t, p)
			conn.Close()
			p.Put(conn)
			if _, err := p.Get(t.Context()); ftpclient.Classify(err) != ftpclient.ClassBusy {
				t.Error(err)
			}
		})
	})
}

func TestPoolPassesOnWhatItLearns(t *testing.T) {
	// Who knows the server does not ask SYST, which is how the second one shows what it was told.
	rest := talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "500 what?", "PWD", `257 "/"`, "TYPE I", "200 binary", "QUIT", "221 bye")
	told := steps{{Send: "220-Welcome to Pure-FTPd\n220 You will be disconnected after 15 minutes of inactivity."}}.then(rest...)
	plain := steps{{Send: "220 ready"}}.then(rest...)
	channels := remembered("passive PASV")
	inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{Channels: channels}, []steps{told, plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		first := mustTake(t, p)
		second := mustTake(t, p)
		if got := second.Facts(); got.Server != "pure-ftpd" || got.IdleLimit != 900 || got.Channels != channels {
			t.Errorf("%+v", got)
		}
		first.LearnNoDotNames()
		if p.Facts().NoDotNames {
			t.Error("learned from a connection that is in use")
		}
		if p.Learned(first); !p.Facts().NoDotNames {
			t.Error("not learned from a connection that is in use")
		}
		p.Put(first)
		p.Put(second) // knows less, and takes nothing back
		if got := p.Facts(); !got.NoDotNames || got.Server != "pure-ftpd" {
			t.Errorf("%+v", got)
		}
	})
}

func TestPoolClose(t *testing.T) {
	silent := steps{{Send: "220 ready"}, {Expect: "USER ferry"}}
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, []steps{plain, plain, silent}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		lent, idle := mustTake(t, p), mustTake(t, p)
		dials := take(t.Context(), p)
		waits := take(t.Context(), p)
		p.Put(idle)
		served := (<-waits).must(t)
		waits = take(t.Context(), p)
		p.Put(served)
		idle = (<-waits).must(t)
		waits = take(t.Context(), p)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			p.Close()
		}()
		for name, w := range map[string]<-chan taken{"dials": dials, "waits": waits} {
			if r := <-w; !errors.Is(r.err, ftpclient.ErrPoolClosed) || ftpclient.Classify(r.err) != ftpclient.ClassCancelled {
				t.Errorf("who %s has %v, %v", name, r.conn, r.err)
			}
		}
		if _, err := p.Get(t.Context()); !errors.Is(err, ftpclient.ErrPoolClosed) {
			t.Error(err)
		}
		p.Put(idle)
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while a connection is lent")
		default:
		}
		if !lent.Usable() || idle.Usable() {
			t.Error("closed is what is lent, not what came back")
		}
		p.Put(lent)
		<-closed
		if lent.Usable() {
			t.Error("not closed")
		}
	})
}

func TestPoolLearnsFromLoginsThatFail(t *testing.T) {
	in := steps{{Send: "220 ready"}}.then(talk("USER ferry", "230 in")...)
	dies := in.then(ftptest.Step{Expect: "FEAT", End: ftptest.Close})
	works := in.then(talk("SYST", "215 UNIX", "PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")...)
	inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, []steps{dies, dies, works}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		for range 2 {
			_, err := p.Get(t.Context())
			outcome{class: ftpclient.ClassUnavailable}.check(t, err)
		}
		conn, err := p.Get(t.Context())
		if err != nil || p.Facts().LeftOut != "FEAT" {
			t.Fatalf("%v, %+v", err, p.Facts())
		}
		p.Put(conn)
	})
}
