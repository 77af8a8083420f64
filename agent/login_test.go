package agent

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestARefusedLoginIsTriedOnce, over days and new starts, until the password is another one or a person asks.
func TestARefusedLoginIsTriedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, nil)
		b.enqueue(work.KindSweepRemote, "up", time.Now(), paths("a", 12)...)
		b.enqueue(work.KindSweepRemote, "up2", time.Now(), paths("b", 12)...)
		server := &loginServer{right: "new"}
		start := func(password string, use func(a *Agent)) {
			t.Helper()
			cfg := breakerConfig()
			cfg.Agent.History.Keep = 1000 * time.Hour
			cfg.Servers["acme"].Password = config.NewSecret(password)
			a := New(cfg, b.db, Options{Logger: slog.New(slog.DiscardHandler)})
			d, err := newDispatcher(a)
			if err != nil {
				t.Fatal(err)
			}
			d.rounds = fewRounds
			for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){"acme": server.dial, "other": nobody} {
				d.servers[name].pool.Close()
				o := clientOptions(cfg.Servers[name], ftpclient.Facts{}, slog.New(slog.DiscardHandler))
				o.DialContext = dial
				d.servers[name].pool = ftpclient.NewAddresses(addressesOf(cfg.Servers[name]), o, d.servers[name].facts, ftpclient.PoolOptions{Max: 4, RefusedOnce: true})
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- a.run(ctx, d) }()
			use(a)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		logins := func(what string, want int64) {
			t.Helper()
			if got := server.logins.Swap(0); got != want {
				t.Errorf("%s: %d logins, want %d", what, got, want)
			}
		}
		wait := func(*Agent) { time.Sleep(2 * time.Hour) }
		start("old", wait)
		logins("a wrong password", 1)
		for range 3 {
			start("old", wait)
		}
		logins("the same one after three starts", 0)
		start("old", func(a *Agent) {
			if _, err := a.Pass(t.Context(), []string{"far"}); err != nil {
				t.Error(err)
			}
			logins("a person asks for another server", 0)
			report, err := a.Pass(t.Context(), []string{"up"})
			if err != nil || report.ExitCode() != 1 || !strings.Contains(report.Syncs[0].Blocked, "530") {
				t.Errorf("report: %+v, %v", report, err)
			}
			logins("a person asks", 1)
			wait(a)
		})
		logins("afterwards", 0)
		start("newer", wait)
		logins("another wrong password", 1)
		if rows := b.troubles("acme"); len(rows) != 1 || rows[0].Result != "blocked" || !strings.Contains(rows[0].Error, "530") {
			t.Errorf("history: %+v", rows)
		}
		start("new", wait)
		if rows := b.troubles("acme"); len(rows) != 2 || rows[1].Result != "working again" || rows[1].Duration < 10*time.Hour {
			t.Errorf("history: %+v", rows)
		}
		if got := b.counts(""); got.Due+got.Waiting+got.Running > 2 || server.logins.Load() < 1 { // what "far" wants
			t.Errorf("with the right password %d logins, left: %+v", server.logins.Load(), got)
		}
	})
}

func nobody(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

// loginServer takes one password and removes everything, over pipes.
type loginServer struct {
	right  string
	logins atomic.Int64
}

func (s *loginServer) dial(context.Context, string, string) (net.Conn, error) {
	client, guest := net.Pipe()
	go func() {
		defer guest.Close()
		fmt.Fprint(guest, "220 ready\r\n")
		for lines := bufio.NewScanner(guest); lines.Scan(); {
			verb, rest, _ := strings.Cut(lines.Text(), " ")
			reply, known := map[string]string{
				"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "DELE": "250 ok", "QUIT": "221 bye", "CWD": "550 no such folder",
			}[verb]
			if verb == "PASS" {
				s.logins.Add(1)
				if rest != s.right {
					reply = "530 Login incorrect."
				}
			}
			if !known {
				reply = "500 what?"
			}
			if _, err := fmt.Fprint(guest, reply+"\r\n"); err != nil {
				return
			}
		}
	}()
	return pipeEnd{client}, nil
}

// pipeEnd has the addresses that clients look at.
type pipeEnd struct{ net.Conn }

func (pipeEnd) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (pipeEnd) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 21} }
