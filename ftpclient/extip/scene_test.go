package extip

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeMapper is a gateway in one protocol. What it was asked is in its log.
type fakeMapper struct {
	name string

	mutex     sync.Mutex
	silent    bool
	failure   error // of Map
	spoken    error // of Probe
	lifetime  time.Duration
	permanent bool
	otherPort bool
	delay     time.Duration
	started   time.Time // of the epoch
	epoch     uint32    // if not 0, added to it each time
	open      map[netip.AddrPort]Mapping
	log       []string
}

func (f *fakeMapper) Name() string { return f.name }

func (f *fakeMapper) answer(ctx context.Context, format string, args ...any) error {
	f.mutex.Lock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
	silent, delay := f.silent, f.delay
	f.mutex.Unlock()
	if silent {
		delay = time.Second
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if silent {
		return fmt.Errorf("%s: %w", f.name, ErrNoGateway)
	}
	return nil
}

func (f *fakeMapper) Probe(ctx context.Context) error {
	if err := f.answer(ctx, "probe"); err != nil {
		return err
	}
	return f.spoken
}

func (f *fakeMapper) Lookup(ctx context.Context) (Finding, error) {
	if err := f.answer(ctx, "lookup"); err != nil {
		return Finding{}, err
	}
	return Finding{Source: f.name, Address: netip.MustParseAddr("203.0.113.1"), Lifetime: 10 * time.Minute}, nil
}

func (f *fakeMapper) Map(ctx context.Context, r Request) (Mapping, error) {
	f.mutex.Lock()
	what := "map"
	if _, known := f.open[r.Internal]; known {
		what = "renew"
	}
	f.mutex.Unlock()
	if err := f.answer(ctx, "%s", what); err != nil {
		return Mapping{}, err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.failure != nil {
		return Mapping{}, fmt.Errorf("%s: %w", f.name, f.failure)
	}
	m := Mapping{
		Protocol: f.name, Gateway: gatewayHere, Internal: r.Internal, Nonce: r.Nonce, Granted: time.Now(), Lifetime: r.Lifetime,
		External: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), r.External.Port()),
		Epoch:    uint32(time.Since(f.started) / time.Second),
	}
	if f.otherPort {
		m.External = netip.AddrPortFrom(m.External.Addr(), r.Internal.Port()^1)
	}
	f.started = f.started.Add(-time.Duration(f.epoch) * time.Second)
	if f.lifetime > 0 {
		m.Lifetime = f.lifetime
	}
	if f.permanent {
		m.Lifetime = 0
	}
	f.open[r.Internal] = m
	return m, nil
}

func (f *fakeMapper) Unmap(ctx context.Context, m Mapping) error {
	if err := f.answer(ctx, "unmap"); err != nil {
		return err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.open, m.Internal)
	return nil
}

// said returns the log since the last call.
func (f *fakeMapper) said() string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	log := strings.Join(f.log, " ")
	f.log = nil
	return log
}

func (f *fakeMapper) mappings() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return len(f.open)
}

func (f *fakeMapper) change(change func()) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	change()
}

var (
	gatewayHere = netip.MustParseAddr("192.168.1.1")
	us          = netip.MustParseAddr("127.0.0.1")
)

// scene is a gateway that speaks everything, and what a process leaves for the next.
type scene struct {
	t              *testing.T
	pcp, pmp, upnp *fakeMapper
	network        Network
	saved          Memory
	saves          int
	saveError      error
}

func newScene(t *testing.T) *scene {
	fake := func(name string) *fakeMapper {
		return &fakeMapper{name: name, started: time.Now().Add(-1000 * time.Second), open: map[netip.AddrPort]Mapping{}}
	}
	return &scene{t: t, pcp: fake(SourcePCP), pmp: fake(SourceNATPMP), upnp: fake(SourceUPnP),
		network: Network{Interface: "eth0", Prefix: netip.MustParsePrefix("192.168.1.0/24"), Gateway: gatewayHere}}
}

// locator is a process: it begins with what the one before saved.
func (s *scene) locator() *Locator {
	table := make([]protocol, 0, 3)
	for _, f := range []*fakeMapper{s.pcp, s.pmp, s.upnp} {
		table = append(table, protocol{name: f.name, late: f == s.upnp,
			open: func(Options, netip.Addr, netip.Addr, string) Mapper { return f }})
	}
	save := func(m Memory) error {
		s.saves++
		if s.saveError == nil {
			s.saved = m
		}
		return s.saveError
	}
	return newLocator(Options{Gateway: true, Memory: s.saved, Save: save}, table,
		func(netip.Addr) (Network, error) { return s.network, nil })
}

// run runs a locator until stop, which waits for its end and returns how long that took.
func (s *scene) run(l *Locator) (stop func() time.Duration) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	synctest.Wait()
	return func() time.Duration {
		begin := time.Now()
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run: %v", err)
		}
		return time.Since(begin)
	}
}

func (s *scene) listen(l *Locator) *Listener {
	s.t.Helper()
	listener, err := l.Listen(s.t.Context(), us, 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return listener
}

// expect compares what a gateway was asked since the last look.
func (s *scene) expect(f *fakeMapper, want string) {
	s.t.Helper()
	if got := f.said(); got != want {
		s.t.Errorf("%s was asked %q, want %q", f.name, got, want)
	}
}

// story is a sentence and what has to happen for it to be true.
type story struct {
	sentence string
	play     func(s *scene)
}

// play has each story happen in a bubble of its own.
func play(t *testing.T, stories []story) {
	for _, story := range stories {
		t.Run(story.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story.play(newScene(t)) })
		})
	}
}
