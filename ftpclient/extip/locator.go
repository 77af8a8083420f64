package extip

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Options say whom a Locator may ask. The zero value asks nobody.
type Options struct {
	// Gateway asks the default gateway (PCP, then NAT-PMP, then UPnP).
	Gateway bool
	// Router is asked in place of the default gateway; port 0 is that of PCP and NAT-PMP.
	Router netip.AddrPort
	// UPnPSearch is where UPnP gateways are looked for; the zero AddrPort is the usual place.
	UPnPSearch netip.AddrPort
	// STUN are servers (host:port) that are asked over UDP; third parties, so none by default.
	STUN []string
	// HTTP are https URLs that answer with nothing but the caller's address; third parties too.
	HTTP []string
	// TLS is for HTTP; nil is what the system trusts.
	TLS *tls.Config
	// Memory is what an earlier Locator left.
	Memory Memory
	// Save is called with what has to be known after a restart: before a nonce is used for the
	// first time, and after each change. It may be called from several goroutines, one at a time.
	// nil means that nothing is kept.
	Save func(Memory) error
	// Logger gets what happens to mappings. nil means none.
	Logger *slog.Logger
}

// Memory is what a Locator has to know after a restart, to be stored as JSON.
type Memory struct {
	Nonce Nonce `json:"nonce"`
	// Mappings are open at gateways, or may be: they are noted before they are asked for.
	Mappings []Mapping `json:"mappings,omitempty"`
	// UPnP is where the description of the UPnP gateway was found last, by network.
	UPnP map[string]string `json:"upnp,omitempty"`
	// Protocols is by which protocol the gateway opened a port last, by network.
	Protocols map[string]string `json:"protocols,omitempty"`
}

// Locator asks the sources that are enabled, remembers their answers while they last, and keeps
// mappings: renewed at half their life while Run runs, deleted at its end. Safe for
// concurrent use. A program that does not call Run calls Close at its end: for up to half
// an hour that is as good, later its mappings are renewed only when they are lent again.
type Locator struct {
	options   Options // what Ask changes is guarded by mutex
	logger    *slog.Logger
	protocols []protocol
	networkOf func(local netip.Addr) (Network, error)
	wake      chan struct{} // holds a token when Run has something to do

	saving sync.Mutex // held while Save runs; taken before mutex

	mutex     sync.Mutex // guards all that follows, and what hangs on it
	nonce     Nonce
	routers   []*router
	inherited []Mapping         // of an earlier process, in networks that were not met yet
	locations map[string]string // Memory.UPnP
	spoken    map[string]string // Memory.Protocols
	answers   map[string]*answer
	closed    bool
}

// NewLocator returns a Locator. It contacts nobody.
func NewLocator(o Options) *Locator {
	return newLocator(o, protocols, NetworkOf)
}

func newLocator(o Options, protocols []protocol, networkOf func(netip.Addr) (Network, error)) *Locator {
	l := &Locator{
		options: o, logger: o.Logger, protocols: protocols, networkOf: networkOf, wake: make(chan struct{}, 1),
		nonce: o.Memory.Nonce, inherited: inheritance(o.Memory.Mappings),
		locations: few(o.Memory.UPnP), spoken: few(o.Memory.Protocols), answers: map[string]*answer{},
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.nonce == (Nonce{}) {
		rand.Read(l.nonce[:]) // never fails
	}
	return l
}

// Ask changes who may be asked. What is known of a source stays until it expires, and counts while that source may be asked. Where the
// gateway may not be any more, Run takes back what is open there; data connections that came in through it go on at most gateways.
func (l *Locator) Ask(gateway bool, stun, http []string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.options.Gateway && !gateway {
		for _, r := range l.routers {
			for _, le := range r.leases {
				le.void, le.due = true, time.Time{}
			}
		}
		l.wakeRun()
	}
	l.options.Gateway, l.options.STUN, l.options.HTTP = gateway, stun, http
}

// asked are the options as they are now.
func (l *Locator) asked() Options {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.options
}

// mappingsAtOnce bounds those that are remembered, so that a Memory cannot grow from restart to restart.
const mappingsAtOnce = 256

// inheritance returns of the mappings of an earlier process those that can be looked after. The clock may have been set
// since: none was granted in times to come.
func inheritance(left []Mapping) []Mapping {
	var kept []Mapping
	for _, m := range left {
		endless := m.Lifetime == 0 && m.Protocol == SourceUPnP
		if !m.Internal.Addr().IsValid() || m.Internal.Port() == 0 || !m.Gateway.IsValid() || m.Lifetime <= 0 && !endless {
			continue
		}
		if at := now(); m.Granted.After(at) {
			m.Granted = at
		}
		m.Lifetime = min(m.Lifetime, longestLifetime)
		if kept = append(kept, m); len(kept) == mappingsAtOnce {
			break
		}
	}
	return kept
}

// remember saves what has to survive.
func (l *Locator) remember() error {
	if l.options.Save == nil {
		return nil
	}
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mutex.Lock()
	memory := Memory{
		Nonce: l.nonce, Mappings: slices.Clone(l.inherited), UPnP: maps.Clone(l.locations), Protocols: maps.Clone(l.spoken),
	}
	for _, r := range l.routers {
		for _, lease := range r.leases {
			memory.Mappings = append(memory.Mappings, lease.mapping)
		}
	}
	l.mutex.Unlock()
	slices.SortFunc(memory.Mappings, func(a, b Mapping) int { return b.Granted.Compare(a.Granted) })
	memory.Mappings = memory.Mappings[:min(len(memory.Mappings), mappingsAtOnce)]
	return l.options.Save(memory)
}

// note is remember where a failure does not change what to do next.
func (l *Locator) note() {
	if err := l.remember(); err != nil {
		l.logger.Warn("port mappings could not be saved", "error", err)
	}
}

// Prepare finds out, without asking for a port, which mapping protocol the gateway speaks,
// if that is not known. It can be called while something else is waited for. The error says
// why Listen would have no success: a *GatewayError, or that of ctx.
func (l *Locator) Prepare(ctx context.Context, local netip.Addr) error {
	r, err := l.router(local)
	if err != nil {
		return err
	}
	_, err = l.choose(ctx, r)
	return err
}

// Listen returns a listener on the local address whose port is open at the gateway, by a mapping
// that is idle or a new one. ports bounds the local ports; First 0 means any. The error is
// a *GatewayError where no gateway opens a port, and net.ErrClosed after Close.
//
// What the Mapping says has to be compared with what the FTP server sees, see Mapping.Announce.
func (l *Locator) Listen(ctx context.Context, local netip.Addr, first, last uint16) (*Listener, error) {
	r, err := l.router(local)
	if err != nil {
		return nil, err
	}
	l.mutex.Lock()
	closed := l.closed
	l.mutex.Unlock()
	if closed {
		return nil, net.ErrClosed
	}
	listener, err := l.lend(ctx, r, first, last)
	if listener == nil && err == nil {
		listener, err = l.open(ctx, r, first, last)
	}
	return listener, err
}

// Void drops a mapping that was seen not to work, so that Listen does not lend it again. The
// others are asked about before they are lent: the gateway may have forgotten all.
func (l *Locator) Void(external netip.AddrPort) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, r := range l.routers {
		found := slices.IndexFunc(r.leases, func(le *lease) bool { return le.mapping.External == external })
		if found < 0 {
			continue
		}
		for _, lease := range r.leases {
			lease.confirmed = time.Time{}
		}
		r.leases[found].void, r.leases[found].due = true, time.Time{}
		l.wakeRun()
	}
}

func (l *Locator) wakeRun() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Listener is a listener behind a mapping. Close ends the listening and gives the mapping back
// for the next one; it stays open at the gateway.
type Listener struct {
	*net.TCPListener
	Mapping Mapping

	once     sync.Once
	giveBack func()
}

// Close may be called more than once.
func (l *Listener) Close() error {
	err := l.TCPListener.Close()
	if l.giveBack != nil {
		l.once.Do(l.giveBack)
	}
	return err
}

// ErrUnreachable: the gateway opened a port that the server cannot reach.
var ErrUnreachable = errors.New("the mapping cannot be reached from outside")

// Announce returns what to announce for the mapping, where view is the external address as the server sees it, and others
// as others beyond the gateway see it; both may be the zero Addr. The gateway's word is not enough: servers are told
// nothing that they cannot reach, that they refuse, or that leads elsewhere. It is pure. The error, which wraps
// ErrUnreachable, says why the mapping is of no use.
func (m Mapping) Announce(view, others netip.Addr) (netip.AddrPort, error) {
	said, port := plain(m.External.Addr()), m.External.Port()
	view, others = plain(view), plain(others)
	useless := func(format string, args ...any) (netip.AddrPort, error) {
		return netip.AddrPort{}, uselessMapping(fmt.Sprintf("router %s ", m.Gateway) + fmt.Sprintf(format, args...))
	}
	switch {
	case !said.IsValid() || said.IsUnspecified():
		return useless("does not know its external address")
	case port < firstAnnounced:
		return useless("opened port %d, and servers connect to none below %d", port, firstAnnounced)
	case !said.IsGlobalUnicast() && !(said.IsLoopback() && m.Internal.Addr().IsLoopback()):
		return useless("says %s, which cannot be its external address", said)
	case m.Internal.IsValid() && said.Is4() != m.Internal.Addr().Unmap().Is4():
		return useless("says %s for %s: one is IPv4 and the other IPv6", said, m.Internal.Addr())
	case view.IsValid() && said == view:
		return netip.AddrPortFrom(said, port), nil // private or not
	case view.IsValid():
		return useless("says %s, the server sees %s: two NATs", said, view)
	case Private(said):
		return useless("says %s, which is private: two NATs", said)
	case others.IsValid() && said != others:
		return useless("says %s, others see %s: two NATs", said, others)
	}
	return netip.AddrPortFrom(said, port), nil
}

// uselessMapping is an ErrUnreachable that says all itself.
type uselessMapping string

func (u uselessMapping) Error() string { return string(u) }
func (u uselessMapping) Unwrap() error { return ErrUnreachable }

// firstAnnounced is the first port that servers connect to: RFC 2577 section 3 has them refuse those below.
const firstAnnounced = 1024
