package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// slowRig has a file that takes minutes on its way.
func slowRig(t *testing.T, server *ftptest.RealServer, direction string, more ...string) *rig {
	r := newRig(t, server, direction, more...)
	r.adjust = func(cfg *config.Config) {
		cfg.Agent.ShutdownGrace = 0
		cfg.Servers["real"].Bandwidth = config.Timetable{{BytesPerSecond: 256 << 10}}
	}
	source := r.local
	if direction == "down" {
		source = r.remote
	}
	fill(t, source, map[string]string{"large": ""})
	if err := os.Truncate(filepath.Join(source, "large"), 64<<20); err != nil {
		t.Fatal(err)
	}
	return r
}

// underway waits until a transfer is under way of which ok is true, and returns how everything stands.
func underway(t *testing.T, a *agent.Agent, what string, ok func(control.Transfer) bool) (o control.Overview) {
	t.Helper()
	eventually(t, what, func() bool {
		var err error
		if o, err = a.Status(t.Context(), control.StatusFilter{}); err != nil {
			t.Fatal(err)
		}
		return len(o.Transfers) == 1 && ok(o.Transfers[0])
	})
	return o
}

// duringPass asks for a pass in the background, which ends with the agent at the latest.
func duringPass(t *testing.T, a *agent.Agent, use func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Pass(ctx, nil)
	}()
	use()
	stop()
	<-ended
}

// TestATransferIsSeenOnItsWay, with what is done of it, how fast it goes and when it will be over, by whatever means it moves.
func TestATransferIsSeenOnItsWay(t *testing.T) {
	t.Parallel()
	for sentence, row := range map[string]struct {
		direction string
		o         ftptest.RealOptions
	}{
		"up, by sendfile": {"up", ftptest.RealOptions{}},
		"up, through TLS": {"up", ftptest.RealOptions{TLS: true, RequireTLS: true}},
		"down":            {"down", ftptest.RealOptions{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			r := slowRig(t, ftptest.Real(t, "vsftpd", row.o), row.direction)
			began := time.Now()
			r.with(agent.Options{Version: "1.2.3"}, func(a *agent.Agent) {
				duringPass(t, a, func() {
					first := underway(t, a, "a transfer", func(tr control.Transfer) bool { return tr.Done > 0 }).Transfers[0]
					o := underway(t, a, "more of it", func(tr control.Transfer) bool { return tr.Done > first.Done && tr.Rate > 0 })
					tr := o.Transfers[0]
					if tr.Job == 0 || tr.Sync != "s" || tr.Server != "real" || tr.Path != "large" || tr.Direction != row.direction ||
						tr.Size != 64<<20 || tr.Done > tr.Size || tr.Resumed != 0 || tr.Method != "EPSV" || tr.Started.Before(began) || !tr.Started.Equal(first.Started) {
						t.Errorf("%+v", tr)
					}
					if left := float64(tr.Size-tr.Done) / float64(tr.Rate); float64(tr.ETA) < left-2 || float64(tr.ETA) > left+2 {
						t.Errorf("%d seconds left, want %.0f", tr.ETA, left)
					}
					s := o.Servers[0]
					if len(o.Servers) != 1 || s.Server != "real" || s.State != control.ServerUp || s.Address != r.server.Addr || s.Busy < 1 ||
						s.Connections < s.Busy || s.Limit != 4 || s.Data != "passive EPSV" || s.LastUsed.Before(began) || len(s.Syncs) != 1 {
						t.Errorf("%+v", o.Servers)
					}
					if o.Version != "1.2.3" || o.PID != os.Getpid() || o.Started.Before(began) || o.StateBytes == 0 || o.Syncs[0].State != control.StateWorking {
						t.Errorf("%+v", o)
					}
				})
			})
		})
	}
}

// TestWhatIsShownOfAServer in its states, and when something was last done.
func TestWhatIsShownOfAServer(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up")
	status := func(a *agent.Agent) (control.ServerStatus, control.SyncStatus) {
		t.Helper()
		o, err := a.Status(t.Context(), control.StatusFilter{Syncs: []string{"s"}})
		if err != nil || len(o.Servers) != 1 || len(o.Transfers) != 0 {
			t.Fatalf("%+v, %v", o, err)
		}
		return o.Servers[0], o.Syncs[0]
	}
	fill(t, r.local, map[string]string{"a": "a"})
	began := time.Now().Add(-time.Second) // LastSuccess has whole seconds at least
	r.with(agent.Options{}, func(a *agent.Agent) {
		if s, sync := status(a); s.State != control.ServerIdle || s.Connections != 0 || s.Data != "" || !s.LastUsed.IsZero() || !sync.LastSuccess.IsZero() {
			t.Errorf("before: %+v, last success %s", s, sync.LastSuccess)
		}
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if s, sync := status(a); s.State != control.ServerUp || s.Reason != "" || s.Busy != 0 || s.Data != "passive EPSV" || sync.LastSuccess.Before(began) {
			t.Errorf("after: %+v, last success %s", s, sync.LastSuccess)
		}
		server.Stop()
		fill(t, r.local, map[string]string{"b": "b"})
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a pause", func() bool { // a next try may be under way
			s, _ := status(a)
			return s.State == control.ServerPaused && s.Reason != "" && !s.Until.IsZero() && s.Connections == 0
		})
	})
}

// TestEventsOfAnAgent come in their order, with what was done.
func TestEventsOfAnAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	fill(t, r.local, map[string]string{"a": "content"})
	r.with(agent.Options{}, func(a *agent.Agent) {
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		var last uint64
		var done control.Event
		err := a.Events(ctx, control.EventsRemembered, func(e control.Event) error {
			if e.ID <= last || e.When.IsZero() {
				t.Errorf("%+v behind %d", e, last)
			}
			if last = e.ID; e.Kind == string(agent.ActivityDone) {
				done = e
				stop()
			}
			return ctx.Err()
		})
		if err == nil || done.Path != "a" || done.Sync != "s" || done.Server != "real" || done.Action != "upload" || done.Bytes != 7 || done.Data != "EPSV" || done.Job == 0 {
			t.Errorf("%+v, %v", done, err)
		}
	})
}
