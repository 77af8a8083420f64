package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// mailbox is a webhook that keeps what it is told.
type mailbox struct {
	*httptest.Server
	mu    sync.Mutex
	items []alert.Item
}

func newMailbox(t *testing.T) *mailbox {
	m := &mailbox{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var message alert.Message
		if err == nil && len(text) > 0 {
			err = json.Unmarshal(text, &message)
		}
		if err != nil {
			t.Error(err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.items = append(m.items, message.Items...)
		if r.Method == http.MethodGet {
			m.items = append(m.items, alert.Item{Event: "beat"})
		}
	}))
	t.Cleanup(m.Close)
	return m
}

// all is what was told of a kind, in its order.
func (m *mailbox) all(kind alert.Kind) (events []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, item := range m.items {
		if item.Kind == kind {
			events = append(events, string(item.Event))
		}
	}
	return events
}

// last is what was told last of a kind.
func (m *mailbox) last(kind alert.Kind) (last alert.Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, item := range m.items {
		if item.Kind == kind {
			last = item
		}
	}
	return last
}

// waitFor waits until these events of a kind were told, and fails if it were others.
func (m *mailbox) waitFor(t *testing.T, kind alert.Kind, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s %q", kind, want), func() bool {
		got := m.all(kind)
		if !strings.HasPrefix(strings.Join(want, " "), strings.Join(got, " ")) {
			t.Fatalf("%s was told as %q, want %q", kind, got, want)
		}
		return len(got) == len(want)
	})
}

// alertsTo adds a channel for the mailbox to the configuration of a rig.
func (r *rig) alertsTo(m *mailbox, more string) {
	r.t.Helper()
	text, err := os.ReadFile(r.config)
	if err == nil {
		text = fmt.Appendf(text, "\n[alert.box]\nwebhook = { url = %q }\ngroup = \"0s\"\nlimit = 1000\nafter = \"0s\"\ntimeout = \"5m\"\n%s\n", m.URL+"/token", more)
		err = os.WriteFile(r.config, text, 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

var withAlerts = agent.Options{Triggers: true, Alerts: true}

// TestAHaltIsToldUntilItIsApproved, over a restart in between.
func TestAHaltIsToldUntilItIsApproved(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	box := newMailbox(t)
	r.alertsTo(box, "")
	fill(t, r.local, map[string]string{"a": "1", "b": "2"})
	r.once()
	for _, name := range []string{"a", "b"} {
		if err := os.Remove(filepath.Join(r.local, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.impatient = true
	r.with(withAlerts, func(a *agent.Agent) {
		go a.Pass(t.Context(), nil)
		box.waitFor(t, alert.Halted, "problem")
	})
	r.with(withAlerts, func(a *agent.Agent) {
		if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		box.waitFor(t, alert.Halted, "problem", "recovered")
	})
}

// TestAServerThatIsDownIsTold, and that it is back: by a job that got through, not by the end of a pause or a start.
func TestAServerThatIsDownIsTold(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up")
	box := newMailbox(t)
	r.alertsTo(box, "")
	fill(t, r.local, map[string]string{"a": "1"})
	server.Stop()
	pass := func(a *agent.Agent) {
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	r.with(withAlerts, func(a *agent.Agent) {
		pass(a)
		box.waitFor(t, alert.ServerDown, "problem")
	})
	r.with(withAlerts, func(a *agent.Agent) {
		pass(a)
		server.Start()
		pass(a)
		box.waitFor(t, alert.ServerDown, "problem", "recovered")
	})
}

// TestAbsenceIsToldUntilTheFileComes has what was known for long and has not come by last midnight.
func TestAbsenceIsToldUntilTheFileComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", `time_zone = "UTC"`,
		`expect = [{ by = "00:00", pattern = "*.csv" }, { by = "00:00", pattern = "*.new" }]`)
	box := newMailbox(t)
	r.alertsTo(box, "")
	fill(t, r.local, map[string]string{"other.txt": "1"})
	r.once()
	// The other one nobody has waited for yet.
	r.update(func(tx *state.Tx) error {
		return state.PutAlertMemory(tx, []byte(`{"expected":{"s/*.csv by 00:00":"2020-01-01T00:00:00Z"}}`))
	})
	r.with(withAlerts, func(a *agent.Agent) {
		box.waitFor(t, alert.Absence, "problem")
		fill(t, r.local, map[string]string{"sub/today.csv": "1"})
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Error(err)
		}
		box.waitFor(t, alert.Absence, "problem", "recovered")
	})
}

// TestAnAgentThatStopsSaysSo by all channels, once for one reason, and the next one that it works again.
func TestAnAgentThatStopsSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	box := newMailbox(t)
	r.alertsTo(box, `on = ["full"]`)
	cfg := r.load()
	if err := os.MkdirAll(cfg.Agent.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as that of an agent that ends may be
	for range 2 {
		agent.TellStopped(ctx, cfg, errors.New("the disk is full"), slog.New(slog.DiscardHandler))
	}
	box.waitFor(t, alert.Stopped, "problem")
	for range 2 {
		r.with(withAlerts, func(*agent.Agent) { box.waitFor(t, alert.Stopped, "problem", "recovered") })
	}
}

// TestTheHeartbeatSaysThatTheAgentWorks.
func TestTheHeartbeatSaysThatTheAgentWorks(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	box := newMailbox(t)
	r.adjust = func(cfg *config.Config) {
		cfg.Agent.Heartbeat = config.Heartbeat{URL: config.NewSecret(box.URL), Every: time.Minute}
	}
	r.with(withAlerts, func(*agent.Agent) {
		eventually(t, "a heartbeat", func() bool { return len(box.all("")) > 0 })
	})
}

// update changes the state of a rig whose agent does not run.
func (r *rig) update(change func(tx *state.Tx) error) {
	r.t.Helper()
	db, err := state.Open(filepath.Join(r.load().Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(change); err != nil {
		r.t.Fatal(err)
	}
}

// TestACertificateThatEndsSoonIsTold: the one of the last handshake.
func TestACertificateThatEndsSoonIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{TLS: true, RequireTLS: true}), "up")
	box := newMailbox(t)
	r.alertsTo(box, `certificate = "36500d"`)
	r.with(withAlerts, func(a *agent.Agent) {
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Error(err)
		}
		box.waitFor(t, alert.Certificate, "problem")
	})
}
