package agent

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

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
		{"a connection that lives has learned, and without data channels ends no pause", "450 not now", true},
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
			acme := &server{facts: map[string]ftpclient.Facts{address: {TimeSetter: "MDTM"}}}
			acme.pool = newPool(plainServer(address, 1), acme.facts, nil, nil, nil, slog.New(slog.DiscardHandler))
			defer acme.pool.Close()
			w := &worker{
				pool: acme.pool, db: db, logger: slog.New(slog.DiscardHandler),
				syncs: map[string]work.Sync{"s": {Name: "s", Local: t.TempDir(), Remote: "/d", Filter: scan.NewFilter(scan.FilterOptions{Include: []string{"**"}})}},
			}
			job := queue.Job{ID: 1, New: queue.New{Kind: work.KindScan, Sync: "s", Server: "acme"}}
			reports := make(chan report, 1)
			w.do(t.Context(), t.Context(), assignment{server: "acme", jobs: []queue.Job{job}, room: 1000}, nil, reports)
			r := <-reports
			if r.reached != row.alive {
				t.Errorf("reached %v: %v", r.reached, r.Err)
			}

			now := time.Now()
			acme.row = state.Server{Failures: 1, NotBefore: now.Add(time.Hour)}
			d := &dispatcher{servers: map[string]*server{"acme": acme}}
			c := &commit{d: d, now: now, transition: newTransition()}
			c.learn("acme")
			if err := c.reachable(r); err != nil {
				t.Error(err)
			}
			if got := c.facts["acme"][address]; !got.EPSVRefused || got.TimeSetter != "MDTM" {
				t.Errorf("kept: %+v", got)
			}
			if c.server("acme").NotBefore.IsZero() {
				t.Error("the pause has ended")
			}
		})
	}
}

// TestAWorkerThatIsToldToStop begins nothing, connects to nobody and reports every job.
func TestAWorkerThatIsToldToStop(t *testing.T) {
	pool := newPool(&config.Server{Name: "acme", Address: "127.0.0.1:1"}, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer pool.Close()
	w := &worker{pool: pool, logger: slog.New(slog.DiscardHandler)}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	reports := make(chan report, 2)
	w.do(t.Context(), stopped, assignment{jobs: []queue.Job{{ID: 1}, {ID: 2}}}, nil, reports)
	for range 2 {
		if r := <-reports; r.reached || classify(r.Err) != ftpclient.ClassCancelled {
			t.Errorf("report: %+v", r)
		}
	}
}

// TestAWorkerThatWaitsForAConnectionStops: what has no connection yet is not begun, however long the others take.
func TestAWorkerThatWaitsForAConnectionStops(t *testing.T) {
	address := verbServer(t, map[string]string{"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "QUIT": "221 bye"})
	pool := newPool(plainServer(address, 1), nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer pool.Close()
	taken, err := pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Put(taken)
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := &worker{pool: pool, db: db, logger: slog.New(slog.DiscardHandler)}
	begin, stop := context.WithCancel(t.Context())
	defer stop()
	working, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := w.env(begin, queue.Job{}).Connect(working)
		done <- err
	}()
	stop()
	if err := <-done; working.Err() != nil || classify(err) != ftpclient.ClassCancelled {
		t.Errorf("waited on: %v", err)
	}
	// What has begun may go on with another connection.
	pool.Put(taken)
	if _, err := w.env(begin, queue.Job{}).Connect(working); err != nil {
		t.Errorf("a job under way gets no connection: %v", err)
	}
	w.release()
}

// plainServer is a server without TLS.
func plainServer(address string, connections int) *config.Server {
	return &config.Server{
		Name: "acme", Address: address, User: "u", Password: config.NewSecret("p"), TLS: config.TLSNone, Data: config.Data{Mode: config.DataPassive},
		Connections: connections, ConnectTimeout: 2 * time.Minute, ReplyTimeout: 2 * time.Minute, StallTimeout: 2 * time.Minute,
	}
}

// TestTheNumberOfWorkersFollowsTheServer: as many as it takes connections, one more after a while, none for a while when
// it takes none.
func TestTheNumberOfWorkersFollowsTheServer(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name             string
		configured, took int
		ago              time.Duration
		want             int
	}{
		{"nothing is known", 4, 0, 0, 4},
		{"it took two", 4, 2, time.Minute, 2},
		{"it took two, as a clock says that was wrong", 4, 2, -10 * limitRaise, 3},
		{"it took two, long ago", 4, 2, limitRaise + time.Second, 3},
		{"fewer are configured by now", 1, 2, time.Minute, 1},
		{"fewer are configured by now, long ago", 2, 2, limitRaise + time.Second, 2},
	} {
		facts := ftpclient.Facts{ConnectionLimit: row.took, LimitLearned: now.Add(-row.ago).Unix()}
		s := &server{config: &config.Server{Name: "acme", Connections: row.configured}}
		s.pool = newPool(s.config, map[string]ftpclient.Facts{"": facts}, nil, nil, nil, slog.New(slog.DiscardHandler))
		if got := s.limit(now); got != row.want {
			t.Errorf("%s: %d workers, want %d", row.name, got, row.want)
		}
		s.pool.Close()
	}

	s := &server{config: &config.Server{Name: "acme", Connections: 4}}
	s.pool = newPool(s.config, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer s.pool.Close()
	for try, wait := range []time.Duration{busyDelay, 2 * busyDelay, 4 * busyDelay} {
		for range 3 { // refused together
			s.refused(now, refusal{words: "no"})
		}
		if got := s.crowded.Sub(now); got != wait || s.full() != (try+1 >= passTries) {
			t.Errorf("try %d: left alone for %s, full %v", try, got, s.full())
		}
		now = s.crowded
	}
	s.refused(now, refusal{words: "too many transfers", connected: true})
	if got := s.limit(now); got != 1 { // one less than nobody, and never none
		t.Errorf("%d workers after a transfer too many", got)
	}
}

// TestATransferTooManyIsToldFromAConnectionTooMany, also when the rest of its stream was given up in the same commit.
func TestATransferTooManyIsToldFromAConnectionTooMany(t *testing.T) {
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	busy := &ftpclient.Error{Op: "store", Command: "STOR", Code: 550, Text: "Too many transfers"}
	for _, reached := range []bool{true, false} {
		err := db.Update(func(tx *state.Tx) error {
			now := time.Now()
			c := &commit{d: &dispatcher{servers: map[string]*server{"acme": {config: &config.Server{}}}}, tx: tx, now: now,
				transition: newTransition()}
			for _, path := range []string{"a", "b"} {
				if _, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindSweepRemote, Sync: "s", Server: "acme", Path: path}); err != nil {
					return err
				}
			}
			jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 2})
			if err != nil || len(jobs) != 2 {
				t.Fatalf("%d jobs, %v", len(jobs), err)
			}
			for i, job := range jobs {
				if err := c.failed(report{Outcome: work.Outcome{Job: job, Err: busy}, reached: reached && i == 0}); err != nil {
					return err
				}
				if err := queue.Drop(tx, job.ID); err != nil {
					return err
				}
			}
			if got := c.busy["acme"]; got.connected != reached {
				t.Errorf("reached %v: %+v", reached, got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestWhatAFailedDialLearnedIsKept, over a new start: a server that hangs up at FEAT is not asked for it the third time.
func TestWhatAFailedDialLearnedIsKept(t *testing.T) {
	address := verbServer(t, map[string]string{
		"USER": "331 password?", "PASS": "230 in", "FEAT": hangUp, "PWD": `257 "/"`, "TYPE": "200 ok", "CWD": "550 no such folder", "QUIT": "221 bye",
	})
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	cfg := &config.Config{Servers: map[string]*config.Server{"acme": plainServer(address, 1)}, Syncs: map[string]*config.Sync{
		"s": {Name: "s", Enabled: true, Server: "acme", Local: t.TempDir(), Remote: "/d", Direction: config.Down},
	}}
	for start, want := range []ftpclient.Facts{{BrokeOff: "FEAT"}, {LeftOut: "FEAT"}, {LeftOut: "FEAT"}} {
		a := New(cfg, db, Options{Logger: slog.New(slog.DiscardHandler)})
		tried := make(chan Activity, 1000)
		a.options.Observe = func(happened Activity) { tried <- happened }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx) }()
		var passing sync.WaitGroup
		passing.Go(func() { a.Pass(ctx, nil) })
		for happened := range tried {
			if happened.Kind == ActivityRetry || happened.Kind == ActivityPaused {
				break
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		passing.Wait()
		err := db.View(func(tx *state.Tx) error {
			_, facts, err := loadServer(tx, "acme", []string{address})
			got := facts[address]
			if _, other, _ := loadServer(tx, "acme", []string{"elsewhere:21"}); other["elsewhere:21"] != (ftpclient.Facts{}) {
				t.Errorf("a server at another address starts with %+v", other)
			}
			if got.BrokeOff != want.BrokeOff || got.LeftOut != want.LeftOut {
				t.Errorf("start %d: kept %+v, want %+v", start, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestAServerThatCannotBeUsedIsToldOnce, however many jobs of however many workers wanted it.
func TestAServerThatCannotBeUsedIsToldOnce(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want ActivityKind
	}{
		{"it is away", &ftpclient.Error{Op: "connect", Err: syscall.ECONNREFUSED}, ActivityPaused},
		{"it refuses the login", &ftpclient.Error{Op: "login", Command: "PASS", Code: 530, Text: "Login incorrect."}, ActivityAlert},
		{"it is full", &ftpclient.Error{Op: "connect", Code: 421, Text: "Too many users"}, ActivityRetry},
	} {
		db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *state.Tx) error {
			now := time.Now()
			c := &commit{d: &dispatcher{servers: map[string]*server{"acme": {config: &config.Server{}}}}, tx: tx, now: now,
				transition: newTransition()}
			for _, path := range []string{"a", "b", "c"} {
				if _, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindSweepRemote, Sync: "s", Server: "acme", Path: path}); err != nil {
					return err
				}
			}
			jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 3})
			for _, job := range jobs {
				if err := c.failed(report{Outcome: work.Outcome{Job: job, Err: row.err}}); err != nil {
					return err
				}
			}
			if len(jobs) != 3 || len(c.activities) != 1 || c.activities[0].Kind != row.want {
				t.Errorf("%s: %d jobs, %+v", row.name, len(jobs), c.activities)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		db.Close()
	}
}
