package extip

import "net/netip"

// Verdict is what the findings of all sources amount to.
type Verdict struct {
	// Address is the external address to announce, the zero Addr when nobody knows a public one.
	Address netip.Addr
	// Source is whom to thank for it.
	Source string
	// NAT is what lies between, as far as the findings tell.
	NAT NAT
	// Notes explain where sources disagree and what that means, one sentence each, for people.
	Notes []string
}

// NAT is the kind of address translation on the way.
type NAT string

// The kinds of NAT.
const (
	NATUnknown NAT = ""
	NATNone    NAT = "none"
	// NATSingle: one translation, by the gateway or beyond.
	NATSingle NAT = "NAT"
	// NATDouble: the gateway's own external address is translated again.
	NATDouble NAT = "two NATs"
	// NATSeveralExits: the FTP server sees another address than others do.
	NATSeveralExits NAT = "several exits"
)

// Rank weighs the findings: configured, the FTP server's own view, the gateway if public, STUN,
// HTTP, the local address if public. It is pure. local is the control connection's local
// address.
func Rank(local netip.Addr, findings []Finding) Verdict {
	panic("skeleton")
}
