package agent

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

func TestLessonsAddUp(t *testing.T) {
	type facts = ftpclient.Facts
	for _, row := range []struct {
		name                       string
		before, after, known, want facts
	}{
		{"nothing learned changes nothing", facts{DataMode: "PASV"}, facts{DataMode: "PASV"}, facts{Server: "x"}, facts{Server: "x"}},
		{"what is new is taken", facts{}, facts{EPSVRefused: true}, facts{}, facts{EPSVRefused: true}},
		{"what others learned meanwhile stays", facts{}, facts{DataMode: "PASV"}, facts{EPSVRefused: true}, facts{EPSVRefused: true, DataMode: "PASV"}},
		{"what is no longer so is taken back", facts{TimeSetter: "MFMT"}, facts{}, facts{TimeSetter: "MFMT", Server: "x"}, facts{Server: "x"}},
		{"the last word counts", facts{DataMode: "EPSV"}, facts{DataMode: "PASV"}, facts{DataMode: "PORT"}, facts{DataMode: "PASV"}},
	} {
		if got := (lesson{row.before, row.after}).addTo(row.known); got != row.want {
			t.Errorf("%s: got %+v, want %+v", row.name, got, row.want)
		}
	}
}

// verbServer answers each command by its verb, on one connection after the other; hangUp ends
// the connection, and what it does not know is refused.
func verbServer(t *testing.T, replies map[string]string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	t.Cleanup(ended.Wait)
	t.Cleanup(func() { listener.Close() })
	ended.Go(func() {
		for {
			guest, err := listener.Accept()
			if err != nil {
				return
			}
			guest.Write([]byte("220 ready\r\n"))
			for lines := bufio.NewScanner(guest); lines.Scan(); {
				verb, _, _ := strings.Cut(lines.Text(), " ")
				reply, known := replies[verb]
				if !known {
					reply = "500 what?"
				}
				if reply == hangUp {
					break
				}
				guest.Write([]byte(reply + "\r\n"))
			}
			guest.Close()
		}
	})
	return listener.Addr().String()
}

const hangUp = "hang up"

// TestWhatADeadConnectionLearnedIsKept: a scan learns that EPSV is refused, and then PASV either ends the connection or
// is refused for the moment.
func TestWhatADeadConnectionLearnedIsKept(t *testing.T) {
	for _, row := range []struct {
		name, pasv string
		alive      bool
	}{
		{"a connection that dies of the next command has still learned, and proves no server to be there", hangUp, false},
		{"a connection that lives has learned and ends the pause", "450 not now", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			address := verbServer(t, map[string]string{
				"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "CWD": "250 ok", "PASV": row.pasv, "QUIT": "221 bye",
			})
			db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			w := &worker{
				server: &config.Server{
					Name: "acme", Address: address, User: "u", Password: config.NewSecret("p"), TLS: config.TLSNone, Data: config.Data{Mode: config.DataPassive},
					ConnectTimeout: 10 * time.Second, ReplyTimeout: 10 * time.Second, StallTimeout: 10 * time.Second,
				},
				syncs:  map[string]work.Sync{"s": {Name: "s", Local: t.TempDir(), Remote: "/d", Filter: scan.NewFilter([]string{"**"}, nil)}},
				db:     db,
				logger: slog.New(slog.DiscardHandler),
				facts:  ftpclient.Facts{TimeSetter: "MFMT"},
			}
			job := queue.Job{ID: 1, New: queue.New{Kind: work.KindScan, Sync: "s", Server: "acme"}}
			reports := make(chan report, 1)
			w.do(t.Context(), t.Context(), assignment{server: "acme", jobs: []queue.Job{job}}, reports)
			r := <-reports
			defer w.disconnect()
			if r.connected != row.alive || r.reached != row.alive {
				t.Errorf("connected %v, reached %v: %v", r.connected, r.reached, r.Err)
			}
			if !w.facts.EPSVRefused {
				t.Error("the next connection would ask for EPSV again")
			}

			now := time.Now()
			d := &dispatcher{servers: map[string]*server{"acme": {
				row: state.Server{Failures: 1, NotBefore: now.Add(time.Hour)}, facts: ftpclient.Facts{TimeSetter: "MDTM"}}}}
			c := &commit{d: d, now: now, transition: &transition{servers: map[string]state.Server{}, facts: map[string]ftpclient.Facts{}}}
			c.learn(r)
			c.reachable(r)
			if got := c.facts["acme"]; !got.EPSVRefused || got.TimeSetter != "MDTM" {
				t.Errorf("kept: %+v", got)
			}
			if ended := c.server("acme").NotBefore.IsZero(); ended != row.alive {
				t.Errorf("the pause has ended: %v", ended)
			}
		})
	}
}

// TestTheIdleLearnNothing: a job that needed no connection reports no lesson, whatever the worker knows.
func TestTheIdleLearnNothing(t *testing.T) {
	w := &worker{server: &config.Server{Name: "acme"}, logger: slog.New(slog.DiscardHandler), facts: ftpclient.Facts{EPSVRefused: true}}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	reports := make(chan report, 1)
	w.do(t.Context(), stopped, assignment{jobs: []queue.Job{{ID: 1}}}, reports)
	if r := <-reports; r.learned.before != r.learned.after || r.reached || r.connected {
		t.Errorf("report: %+v", r)
	}
}
