// Package extip finds out who this machine is outside of its network, and opens ports there.
//
// An FTP server that is to connect to this client (active mode) has to be told an address on
// which it can reach it. Behind NAT that is not one of this machine's own. Several sources
// know it, each in its own way: the FTP server itself (ServerView), the gateway (PCP, NAT-PMP,
// UPnP), a STUN server, an HTTPS echo. Rank says whom to believe. Those that can open a port
// are Mappers; a Locator keeps the mappings alive and lends them.
package extip

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// The names of the sources, as they appear in findings.
const (
	SourceConfigured = "configured"
	SourceServer     = "server"
	SourcePCP        = "PCP"
	SourceNATPMP     = "NAT-PMP"
	SourceUPnP       = "UPnP"
	SourceSTUN       = "STUN"
	SourceHTTP       = "HTTP"
	SourceInterface  = "interface"
)

// Finding is what one source says about the external address.
type Finding struct {
	Source  string     // one of the Source constants
	Address netip.Addr // valid; unmapped
	// Port is the external port that was seen for the local port asked from, 0 where the source
	// sees none (STUN sees one).
	Port uint16
	// LocalPort is the one that was asked from, where Port is set.
	LocalPort uint16
	// Detail says where it comes from, for people: the host that was asked, the reply read.
	Detail string
	// Lifetime is how long it may be believed.
	Lifetime time.Duration
}

// Source is somebody who knows the external address. Lookup gives up when ctx ends, and has a
// time-out of its own besides. Sources are safe for concurrent use.
type Source interface {
	// Name is one of the Source constants.
	Name() string
	Lookup(ctx context.Context) (Finding, error)
}

// Mapper is a gateway that opens TCP ports. Map and Unmap are safe for concurrent use.
type Mapper interface {
	Source
	// Map asks for a mapping, or for the renewal of one, and returns what was granted, which
	// may be another port and another time than was asked for. The error wraps ErrNoGateway
	// when nobody answers, ErrUnsupported when this protocol is not spoken, ErrRefused with the
	// gateway's reason when it says no.
	Map(ctx context.Context, request Request) (Mapping, error)
	// Unmap takes a mapping back.
	Unmap(ctx context.Context, mapping Mapping) error
}

// Errors of mappers and sources.
var (
	// ErrNoGateway: nobody answered.
	ErrNoGateway = errors.New("no answer from the gateway")
	// ErrUnsupported: somebody answered, but not in this protocol or version.
	ErrUnsupported = errors.New("protocol not supported by the gateway")
	// ErrRefused: the gateway said no.
	ErrRefused = errors.New("refused by the gateway")
)

// Nonce is what a PCP mapping belongs to: only who knows it can renew or delete the mapping
// (RFC 6887 section 11.1).
type Nonce [12]byte

// Request is a mapping that is wanted.
type Request struct {
	// Internal is where this machine listens.
	Internal netip.AddrPort
	// External is what would be welcome outside: the port, 0 for any; the address is a wish too
	// and may be the zero Addr.
	External netip.AddrPort
	Lifetime time.Duration
	Nonce    Nonce
}

// Mapping is an open port of the gateway.
type Mapping struct {
	Protocol string // the source that opened it
	Gateway  netip.Addr
	Internal netip.AddrPort
	// External is what the gateway granted: announce this one, not what was asked for.
	External netip.AddrPort
	Nonce    Nonce
	// Epoch is how long, in seconds, the gateway said it had known its mappings (PCP, NAT-PMP).
	Epoch   uint32
	Granted time.Time
	// Lifetime is as granted; 0 is for good (UPnP IGD v1 gateways that know only that).
	Lifetime time.Duration
}

// Private reports whether an address cannot be reached from the Internet: private, shared
// (100.64.0.0/10, RFC 6598), loopback, link-local, unique local, multicast, unspecified and
// other addresses that no provider hands out. Documentation addresses count as public:
// laboratories use them as such.
func Private(address netip.Addr) bool {
	address = address.Unmap()
	if !address.IsValid() || !address.IsGlobalUnicast() || address.IsPrivate() {
		return true
	}
	for _, prefix := range unreachable {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

var unreachable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
}
