package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

func TestWhoIsAskedForTheExternalAddress(t *testing.T) {
	caller := &config.Server{Name: "caller", Data: config.Data{Mode: config.DataAuto}}
	passive := &config.Server{Name: "passive", Data: config.Data{Mode: config.DataPassive}}
	proxied := &config.Server{Name: "proxied", Data: config.Data{Mode: config.DataAuto}, Proxy: config.NewSecret("socks5://h:1")}
	gateway := config.AddressSources{Gateway: true}
	for _, row := range []struct {
		sentence string
		sources  config.AddressSources
		servers  []*config.Server
		want     bool
	}{
		{"the gateway, for a server that may call", gateway, []*config.Server{passive, caller}, true},
		{"nobody for servers that never call", gateway, []*config.Server{passive, proxied}, false},
		{"nobody if nobody is to be asked", config.AddressSources{}, []*config.Server{caller}, false},
		{"a STUN server alone", config.AddressSources{STUN: []string{"h:1"}}, []*config.Server{caller}, true},
		{"a web service alone", config.AddressSources{HTTPS: []string{"https://h"}}, []*config.Server{caller}, true},
	} {
		cfg := &config.Config{Agent: config.Agent{AddressSources: row.sources}, Servers: map[string]*config.Server{}}
		for _, s := range row.servers {
			cfg.Servers[s.Name] = s
		}
		if got := newLocator(cfg, extip.Memory{}, nil, slog.New(slog.DiscardHandler)); (got != nil) != row.want {
			t.Errorf("%s: %v", row.sentence, got)
		}
	}
	for _, s := range []*config.Server{passive, proxied} {
		if mayCall(s) {
			t.Errorf("%s gets a locator", s.Name)
		}
	}
}

// remembered is a memory with everything in it.
var remembered = extip.Memory{
	Nonce: extip.Nonce{1, 2, 255},
	Mappings: []extip.Mapping{{
		Protocol: extip.SourcePCP, Gateway: netip.MustParseAddr("10.0.0.1"), Internal: netip.MustParseAddrPort("10.0.0.2:50000"),
		External: netip.MustParseAddrPort("203.0.113.2:50002"), Nonce: extip.Nonce{9}, Epoch: 7,
		Granted: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Lifetime: time.Hour,
	}},
	UPnP: map[string]string{"network": "http://10.0.0.1:5000/rootDesc.xml"},
}

func expectMemory(t *testing.T, db *state.DB, want extip.Memory) {
	t.Helper()
	err := db.View(func(tx *state.Tx) error {
		got, err := loadMemory(tx)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
			t.Errorf("memory (-want +got):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func memoryDispatcher(t *testing.T) *dispatcher {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	a := New(&config.Config{}, db, Options{Logger: slog.New(slog.DiscardHandler)})
	d, err := newDispatcher(a)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTheLocatorsMemoryIsKept whether the agent works, waits, stops or has stopped: Save returns when it is written, and
// never hangs.
func TestTheLocatorsMemoryIsKept(t *testing.T) {
	d := memoryDispatcher(t)
	expectMemory(t, d.agent.db, extip.Memory{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	for n := range 3 { // it is idle in between
		working := remembered
		working.Mappings = working.Mappings[:n%2]
		if err := d.saveMemory(working); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			working.Mappings = nil
		}
		expectMemory(t, d.agent.db, working)
	}
	saved := make(chan error)
	go func() { // while it stops
		var err error
		for range 100 {
			err = errors.Join(err, d.saveMemory(remembered))
		}
		saved <- err
	}()
	stop()
	if err := errors.Join(<-ended, <-saved); err != nil {
		t.Fatal(err)
	}
	expectMemory(t, d.agent.db, remembered)
	last := extip.Memory{Nonce: remembered.Nonce, UPnP: remembered.UPnP} // the ports are closed again
	if err := d.saveMemory(last); err != nil {
		t.Fatal(err)
	}
	expectMemory(t, d.agent.db, last)
	if again, err := newDispatcher(d.agent); err != nil || !cmp.Equal(again.memory, last) {
		t.Errorf("the next start knows %+v, %v", again.memory, err)
	}
}

// TestNothingIsWrittenAfterAFailedCommit: nobody knows what is true then.
func TestNothingIsWrittenAfterAFailedCommit(t *testing.T) {
	d := memoryDispatcher(t)
	broken := &state.CommitError{Err: io.ErrShortWrite}
	d.agent.last.failure = broken
	close(d.over)
	if err := d.saveMemory(remembered); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	expectMemory(t, d.agent.db, extip.Memory{})
}

func TestAMemoryThatCannotBeReadIsForgotten(t *testing.T) {
	d := memoryDispatcher(t)
	for _, bad := range []string{`"text"`, `{"nonce": "x"}`, `[1]`} {
		err := d.agent.db.Update(func(tx *state.Tx) error { return state.PutLocatorMemory(tx, json.RawMessage(bad)) })
		if err != nil {
			t.Fatal(err)
		}
		expectMemory(t, d.agent.db, extip.Memory{})
	}
}

// TestAPlanTakesBackOnlyItsOwn: it has no mappings of others to delete, and is the same client to the gateway.
func TestAPlanTakesBackOnlyItsOwn(t *testing.T) {
	d := memoryDispatcher(t)
	data, err := json.Marshal(remembered)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.agent.db.Update(func(tx *state.Tx) error { return state.PutLocatorMemory(tx, data) }); err != nil {
		t.Fatal(err)
	}
	memory, err := d.agent.memoryForPlan()
	if err != nil || memory.Nonce != remembered.Nonce || len(memory.UPnP) != 1 || len(memory.Mappings) != 0 {
		t.Errorf("memory for a plan: %+v, %v", memory, err)
	}
	if memory, err := New(&config.Config{}, nil, Options{}).memoryForPlan(); err != nil || !cmp.Equal(memory, extip.Memory{}) {
		t.Errorf("without a state: %+v, %v", memory, err)
	}
}

// TestTheWayIsRememberedAfterARestart, that to each address by itself, and that to an address that is not configured any more is not.
func TestTheWayIsRememberedAfterARestart(t *testing.T) {
	d := memoryDispatcher(t)
	first := ftpclient.Facts{Channels: ftpclient.Channels{{Network: "n", Way: "mapped PORT", Since: 1, View: "203.0.113.2"}}}
	second, third := ftpclient.Facts{MDTMZone: ftpclient.MDTMZone{Offset: 3600, Known: true}}, ftpclient.Facts{Server: "vsftpd"}
	for _, row := range []struct {
		sentence  string
		addresses []string
		want      []ftpclient.Facts
	}{
		{"what is known of each address is known again", []string{"h:21", "i:21", "j:21"}, []ftpclient.Facts{first, second, third}},
		{"in another order too", []string{"j:21", "h:21"}, []ftpclient.Facts{third, first}},
		{"nothing is known of another address", []string{"k:21", "i:21"}, []ftpclient.Facts{{}, second}},
	} {
		err := d.agent.db.Update(func(tx *state.Tx) error {
			data, err := json.Marshal(newKnownServer("h:21", map[string]ftpclient.Facts{"h:21": first, "i:21": second, "j:21": third}))
			if err != nil {
				return err
			}
			if err := state.PutServer(tx, "acme", state.Server{Facts: data}); err != nil {
				return err
			}
			_, again, err := loadServer(tx, "acme", row.addresses)
			for i, address := range row.addresses {
				if diff := cmp.Diff(row.want[i], again[address]); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", row.sentence, address, diff)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatEndsAPause: where data channels were what failed, commands that get through prove nothing.
func TestWhatEndsAPause(t *testing.T) {
	refused := &ftpclient.Error{Op: "delete", Command: "DELE", Code: 550, Text: "no"}
	noData := &ftpclient.Error{Op: "store", Err: &ftpclient.DataError{}}
	for _, row := range []struct {
		sentence string
		noData   bool
		outcome  work.Outcome
		reached  bool
		want     bool
	}{
		{"a command that got through", false, work.Outcome{}, true, true},
		{"one that was refused, too", false, work.Outcome{Err: refused}, true, true},
		{"not a job without a connection", false, work.Outcome{}, false, false},
		{"not one without a data channel", false, work.Outcome{Err: noData}, true, false},
		{"not a command, for want of data channels", true, work.Outcome{}, true, false},
		{"but a transfer", true, work.Outcome{Method: "PASV"}, true, true},
		{"and a scan, which lists", true, work.Outcome{Job: queue.Job{New: queue.New{Kind: work.KindScan}}}, true, true},
	} {
		now := time.Now()
		acme := &server{row: state.Server{Failures: 1, NotBefore: now.Add(time.Hour), NoData: row.noData}}
		c := &commit{d: &dispatcher{servers: map[string]*server{"acme": acme}}, now: now, transition: &transition{servers: map[string]state.Server{}}}
		row.outcome.Job.Server = "acme"
		c.reachable(report{Outcome: row.outcome, reached: row.reached})
		if got := c.server("acme").NotBefore.IsZero(); got != row.want {
			t.Errorf("%s: ended %v", row.sentence, got)
		}
	}
}

// TestAnApprovalEndsAPause: whoever approves expects something to happen.
func TestAnApprovalEndsAPause(t *testing.T) {
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	d := &dispatcher{
		agent:   &Agent{cfg: &config.Config{Syncs: map[string]*config.Sync{"s": {Name: "s", Server: "acme"}}}, syncs: map[string]work.Sync{"s": {}}},
		servers: map[string]*server{"acme": {row: state.Server{Failures: 9, NotBefore: now.Add(time.Hour)}}},
	}
	err = db.Update(func(tx *state.Tx) error {
		c := &commit{d: d, tx: tx, now: now, transition: newTransition()}
		if err := c.request(request{approve: &approval{syncs: []string{"s"}}}); err != nil {
			return err
		}
		if row := c.server("acme"); !row.NotBefore.IsZero() || row.Failures != 0 {
			t.Errorf("the server is left alone until %v", row.NotBefore)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNobodyWaitsForADispatcherThatNeverBegins, as what was told could not be read.
func TestNobodyWaitsForADispatcherThatNeverBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, nil)
		a := New(breakerConfig(), b.db, Options{Logger: slog.New(slog.DiscardHandler), Alerts: true})
		d, err := newDispatcher(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.run(t.Context(), d); err == nil {
			t.Error("it has worked without its state")
		}
		if err := d.saveMemory(extip.Memory{}); err == nil {
			t.Error("something was written down without the state")
		}
	})
}
