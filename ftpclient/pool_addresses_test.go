package ftpclient_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// hosts answer connections to several addresses, each by its script; one without a script refuses them.
type hosts struct {
	t       *testing.T
	mutex   sync.Mutex
	scripts map[string]steps
	dialled []dialled
}

type dialled struct {
	address string
	at      time.Time
}

// blackHole is the script of an address from which nothing comes back.
var blackHole = steps{}

func (h *hosts) dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.dialled = append(h.dialled, dialled{address, time.Now()})
	script, up := h.scripts[address]
	switch {
	case !up:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case len(script) == 0:
		h.mutex.Unlock()
		<-ctx.Done()
		h.mutex.Lock()
		return nil, ctx.Err()
	}
	server := ftptest.NewPipeScript(h.t, script...)
	return server.Dial(ctx, network, server.Addr)
}

func (h *hosts) set(address string, script steps) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.scripts[address] = script; script == nil {
		delete(h.scripts, address)
	}
}

// tries are the times at which an address was dialled since the last call.
func (h *hosts) tries(address string) (at []time.Time) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for _, d := range h.dialled {
		if d.address == address {
			at = append(at, d.at)
		}
	}
	h.dialled = nil
	return at
}

const better, worse = "h1:21", "h2:21"

// atAddresses runs test in a bubble, with connections to the better and the worse address.
func atAddresses(t *testing.T, scripts map[string]steps, facts map[string]ftpclient.Facts, test func(t *testing.T, h *hosts, a *ftpclient.Addresses)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hosts{t: t, scripts: scripts}
		o := testOptions()
		o.DialContext, o.ConnectTimeout, o.ReplyTimeout = h.dial, 10*time.Second, 10*time.Second
		a := ftpclient.NewAddresses([]string{better, worse}, o, facts, ftpclient.PoolOptions{RefusedOnce: true, IdleTimeout: time.Hour, CheckAfter: time.Hour})
		test(t, h, a)
		a.Close()
	})
}

func TestTheNextAddressStandsIn(t *testing.T) {
	for _, row := range []struct {
		sentence string
		script   steps
		in       bool // the worse one stands in
		took     time.Duration
	}{
		{"for one that refuses connections", nil, true, 0},
		{"for one from which nothing comes back", blackHole, true, 10 * time.Second},
		{"for one that greets with 421", steps{{Send: "421 closed for maintenance", End: ftptest.Close}}, true, 0},
		{"for one that has too many guests", steps{{Send: "421 Too many connections", End: ftptest.Close}}, true, 0},
		{"for one that closes the line", steps{{End: ftptest.Close}}, true, 0},
		{"for one that is not FTP", steps{{Send: "220 mail.example.com ESMTP"}}, true, 0},
		{"not for one that refuses the login", steps{{Send: "220 ready"}}.then(talk("USER ferry", "331 password?", "PASS secret", "530 no")...), false, 0},
		{"not for one that works", plain, false, 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			scripts := map[string]steps{worse: plain}
			if row.script != nil {
				scripts[better] = row.script
			}
			atAddresses(t, scripts, nil, func(t *testing.T, h *hosts, a *ftpclient.Addresses) {
				began := time.Now()
				conn, err := a.Get(t.Context())
				if took := time.Since(began); took != row.took {
					t.Errorf("it took %s, want %s", took, row.took)
				}
				if (a.InUse() == worse) != row.in || row.in && err != nil || len(h.tries(worse)) > 0 != row.in {
					t.Errorf("in use: %s, %v", a.InUse(), err)
				}
				if err == nil {
					a.Put(conn)
				}
			})
		})
	}
}

// TestAnAddressIsTriedAgain after times that double, by one at a time while the others have the next address; once it works
// it is used, and connections to the other one end when nobody needs them.
func TestAnAddressIsTriedAgain(t *testing.T) {
	atAddresses(t, map[string]steps{worse: plain}, nil, func(t *testing.T, h *hosts, a *ftpclient.Addresses) {
		get := func() *ftpclient.Conn {
			conn, err := a.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(250 * time.Millisecond) {
			a.Put(get())
		}
		tries := h.tries(better)
		for i := 1; i < len(tries); i++ {
			most := min(time.Second<<(i-1), 15*time.Minute)
			if gap := tries[i].Sub(tries[i-1]); gap < most/2 || gap > most+250*time.Millisecond {
				t.Errorf("the wait %d is %s, want up to %s", i, gap, most)
			}
		}
		if len(tries) < 12 || len(tries) > 22 {
			t.Errorf("%d tries in an hour", len(tries))
		}

		h.set(better, blackHole)
		var others sync.WaitGroup
		time.Sleep(15 * time.Minute)
		h.tries(better)
		began := time.Now()
		for range 3 {
			others.Go(func() {
				conn := get()
				time.Sleep(time.Second)
				a.Put(conn)
			})
		}
		others.Wait()
		if tries := h.tries(better); len(tries) != 1 || time.Since(began) != 11*time.Second {
			t.Errorf("%d tried an address that may not answer, for %s", len(tries), time.Since(began))
		}

		h.set(better, plain)
		one, other := get(), get() // at the worse address
		a.Put(other)
		time.Sleep(15 * time.Minute)
		again := get()
		synctest.Wait()
		if a.InUse() != better || other.Usable() || !one.Usable() {
			t.Errorf("in use: %s, the idle connection: %v, the lent one: %v", a.InUse(), other.Usable(), one.Usable())
		}
		if a.Put(one); one.Usable() {
			t.Error("a connection to the other address was kept")
		}
		a.Put(again)
		if last := get(); last != again {
			t.Error("the connection to the better address was not kept")
		} else {
			a.Put(last)
		}
	})
}

// TestManyWhoFailTogetherCountOnce.
func TestManyWhoFailTogetherCountOnce(t *testing.T) {
	atAddresses(t, map[string]steps{better: blackHole, worse: plain}, nil, func(t *testing.T, h *hosts, a *ftpclient.Addresses) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				conn, err := a.Get(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				a.Put(conn)
			})
		}
		all.Wait()
		h.set(better, plain)
		time.Sleep(time.Second)
		conn, err := a.Get(t.Context())
		if err != nil || a.InUse() != better {
			t.Fatalf("in use: %s, %v", a.InUse(), err)
		}
		a.Put(conn)
	})
}

// TestNoAddressWorks: the error names all of them, and the next who asks tries all at once: when that is is not decided here.
func TestNoAddressWorks(t *testing.T) {
	for _, row := range []struct {
		sentence string
		scripts  map[string]steps
		want     ftpclient.Class
		says     string
	}{
		{"nobody is there", nil, ftpclient.ClassUnavailable, "connect: no address works: h1:21: dial tcp: connection refused; h2:21: dial tcp: connection refused"},
		{"one is full and the other is away", map[string]steps{worse: {{Send: "421 Too many connections", End: ftptest.Close}}}, ftpclient.ClassUnavailable,
			"connect: no address works: h1:21: dial tcp: connection refused; h2:21: 421 Too many connections"},
		{"both are full", map[string]steps{better: {{Send: "421 Too many connections", End: ftptest.Close}}, worse: {{Send: "421 Too many connections", End: ftptest.Close}}},
			ftpclient.ClassBusy, "connect: no address works: h1:21: 421 Too many connections; h2:21: 421 Too many connections"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			atAddresses(t, map[string]steps{}, nil, func(t *testing.T, h *hosts, a *ftpclient.Addresses) {
				for address, script := range row.scripts {
					h.set(address, script)
				}
				for try := range 3 {
					_, err := a.Get(t.Context())
					var remote *ftpclient.Error
					if got := ftpclient.Classify(err); got != row.want || !errors.As(err, &remote) || err.Error() != row.says {
						t.Errorf("try %d: %s, %v", try, got, err)
					}
					if n := len(h.tries(better)); n != 1 {
						t.Errorf("try %d: the better address was dialled %d times", try, n)
					}
				}
				h.set(better, plain)
				if conn, err := a.Get(t.Context()); err != nil {
					t.Error(err)
				} else {
					a.Put(conn)
				}
			})
		})
	}
}

// TestWhatIsKnownOfAnAddressStaysThere.
func TestWhatIsKnownOfAnAddressStaysThere(t *testing.T) {
	known := map[string]ftpclient.Facts{better: {Server: "proftpd", TimeSetter: "MFMT"}}
	atAddresses(t, map[string]steps{worse: plain}, known, func(t *testing.T, h *hosts, a *ftpclient.Addresses) {
		conn, err := a.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.Put(conn)
		if all := a.AllFacts(); all[better] != known[better] || all[worse].Server != "" || all[worse].TimeSetter != "" || a.Facts() != all[worse] {
			t.Errorf("known: %+v", all)
		}
	})
}

// TestSomebodyWhoGivesUpFailsNoAddress.
func TestSomebodyWhoGivesUpFailsNoAddress(t *testing.T) {
	atAddresses(t, map[string]steps{better: blackHole, worse: plain}, nil, func(t *testing.T, h *hosts, a *ftpclient.Addresses) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Get(ctx); err == nil || strings.Contains(err.Error(), "no address works") {
			t.Errorf("got %v", err)
		}
		h.set(better, plain)
		conn, err := a.Get(t.Context())
		if err != nil || a.InUse() != better {
			t.Fatalf("in use: %s, %v", a.InUse(), err)
		}
		a.Put(conn)
	})
}

// TestAnotherServerStandsIn: two real servers with one folder; the one in use is stopped and started again.
func TestAnotherServerStandsIn(t *testing.T) {
	t.Parallel()
	main := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	other := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{Root: main.Root})
	o := ftpclient.Options{User: main.User, Password: main.Password, TLS: ftpclient.TLSNone}
	a := ftpclient.NewAddresses([]string{main.Addr, other.Addr}, o, nil, ftpclient.PoolOptions{CheckAfter: time.Nanosecond})
	defer a.Close()
	store := func(name, in string) {
		t.Helper()
		conn, err := a.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer a.Put(conn)
		transfer, err := conn.Store(t.Context(), name, 0)
		if err == nil {
			_, err = transfer.Finish(t.Context())
		}
		if err != nil || a.InUse() != in {
			t.Fatalf("%s: in use: %s, want %s: %v", name, a.InUse(), in, err)
		}
	}
	store("/one", main.Addr)
	main.Stop()
	store("/two", other.Addr)
	main.Start()
	for began := time.Now(); a.InUse() == other.Addr && time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		conn, err := a.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.Put(conn)
	}
	store("/three", main.Addr)
}
