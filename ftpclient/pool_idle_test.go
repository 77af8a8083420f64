package ftpclient_test

import (
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestPoolReusesAndChecksConnections(t *testing.T) {
	tests := []struct {
		name    string
		scripts []steps
		idle    time.Duration
		same    bool          // the connection is used again
		took    time.Duration // to get it
		limit   ftpclient.Seconds
	}{
		{name: "one that was just used needs no check", scripts: []steps{plain}, idle: 9 * time.Second, same: true},
		{name: "after ten seconds it is asked for a sign of life", scripts: []steps{noop}, idle: 10 * time.Second, same: true},
		{name: "a server without NOOP is alive, too", scripts: []steps{session("", talk("NOOP", "502 what?"))}, idle: 10 * time.Second, same: true},
		{name: "one that the server closed is replaced",
			scripts: []steps{open("", steps{{Delay: time.Second, End: ftptest.Close}}), plain}, idle: 5 * time.Second},
		{name: "one that lost its login is replaced",
			scripts: []steps{open("", talk("NOOP", "530 Please login", "QUIT", "221 bye")), plain}, idle: 20 * time.Second},
		{name: "one that is dead is given up after five seconds",
			scripts: []steps{open("", steps{{Expect: "NOOP"}}), plain}, idle: 20 * time.Second, took: 5 * time.Second},
		{name: "the idle time of the server is learned from how long it took",
			scripts: []steps{open("", steps{{Delay: 40 * time.Second, Send: "421 Timeout.", End: ftptest.Close}}), plain}, idle: 45 * time.Second, limit: 45},
		{name: "or from what it says",
			scripts: []steps{open("", steps{{Delay: 40 * time.Second, Send: "421 Idle timeout: 40 seconds", End: ftptest.Close}}), plain},
			idle:    45 * time.Second, limit: 40},
		{name: "a shutdown is no idle time",
			scripts: []steps{open("", steps{{Send: "421 Server shutting down", End: ftptest.Close}}), plain}, idle: 5 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{}, test.scripts, func(t *testing.T, h *host, p *ftpclient.Pool) {
				conn := mustTake(t, p)
				p.Put(conn)
				time.Sleep(test.idle)
				began := time.Now()
				again := mustTake(t, p)
				if took := time.Since(began); (again == conn) != test.same || took != test.took {
					t.Errorf("the same: %v, after %s", again == conn, took)
				}
				if got := p.Facts().IdleLimit; got != test.limit {
					t.Errorf("idle limit %d, want %d", got, test.limit)
				}
				p.Put(again)
			})
		})
	}
}

func TestPoolClosesIdleConnectionsBeforeTheServerDoes(t *testing.T) {
	for _, test := range []struct {
		name    string
		options ftpclient.PoolOptions
		limit   ftpclient.Seconds
		want    time.Duration
	}{
		{"after a minute by itself", ftpclient.PoolOptions{}, 0, time.Minute},
		{"later if asked to", ftpclient.PoolOptions{IdleTimeout: 5 * time.Minute}, 0, 5 * time.Minute},
		{"half a minute before the server", ftpclient.PoolOptions{IdleTimeout: 5 * time.Minute}, 120, 90 * time.Second},
		{"not at once if the server has little patience", ftpclient.PoolOptions{}, 20, 10 * time.Second},
		{"no later for a server with much of it", ftpclient.PoolOptions{}, 900, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			var quit time.Duration
			closed := make(chan struct{})
			inPool(t, test.options, ftpclient.Facts{IdleLimit: test.limit}, []steps{plain}, func(t *testing.T, h *host, p *ftpclient.Pool) {
				conn := mustTake(t, p)
				time.Sleep(time.Hour) // one that is lent is in use, whatever it does
				p.Put(conn)
				began := time.Now()
				go func() {
					defer close(closed)
					for conn.Usable() {
						time.Sleep(time.Second)
					}
					quit = time.Since(began)
				}()
				time.Sleep(time.Hour)
				<-closed
				if quit < test.want || quit > test.want+time.Second {
					t.Errorf("closed after %s, want %s", quit, test.want)
				}
			})
		})
	}
}

func TestPoolPrefersExperienceToAnnouncements(t *testing.T) {
	told := steps{{Send: "220 You will be disconnected after 15 minutes of inactivity."}}.then(plain[1:]...)
	inPool(t, ftpclient.PoolOptions{}, ftpclient.Facts{IdleLimit: 40}, []steps{told}, func(t *testing.T, h *host, p *ftpclient.Pool) {
		p.Put(mustTake(t, p))
		if got := p.Facts().IdleLimit; got != 40 {
			t.Errorf("%d seconds", got)
		}
	})
}
