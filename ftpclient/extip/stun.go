package extip

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

const (
	stunPort = 3478
	// stunPatience is half a second for the first answer (RFC 8489 section 6.2.1), then twice and
	// four times that.
	stunPatience  = 3500 * time.Millisecond
	resolveLimit  = 5 * time.Second
	stunTextLimit = 128 // bytes of a server's error text that are shown
)

// errNoSTUN: nobody answered.
var errNoSTUN = errors.New("no answer from the STUN server")

// STUN is a server on the Internet that says from where it was asked (RFC 8489), by UDP. Safe
// for concurrent use.
type STUN struct {
	host  string
	port  uint16
	local netip.Addr
}

// NewSTUN returns the server, host:port or host (port 3478), as it is asked from the local
// address and by its IP version. It does not contact it.
func NewSTUN(server string, local netip.Addr) (*STUN, error) {
	host, port, err := splitSTUN(server)
	if err != nil {
		return nil, fmt.Errorf("STUN server %q: %w", server, err)
	}
	return &STUN{host: host, port: port, local: local.Unmap()}, nil
}

func splitSTUN(server string) (host string, port uint16, err error) {
	if address, err := netip.ParseAddr(server); err == nil {
		return address.String(), stunPort, nil
	}
	host, text, err := net.SplitHostPort(server)
	if err != nil {
		host, text, err = net.SplitHostPort(server + ":" + strconv.Itoa(stunPort))
	}
	if err != nil {
		return "", 0, errors.New("want host:port, with [ ] around an IPv6 address")
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("port %q is not a number from 1 to 65535", text)
	}
	if host == "" {
		return "", 0, errors.New("want host:port; the host is missing")
	}
	return host, uint16(number), nil
}

// Name is SourceSTUN.
func (s *STUN) Name() string { return SourceSTUN }

// Lookup asks from any local port.
func (s *STUN) Lookup(ctx context.Context) (Finding, error) { return s.LookupFrom(ctx, 0) }

// LookupFrom asks from a local UDP port, 0 for any, so that the Finding's Port tells what the NAT
// makes of it; see [PortsOf].
func (s *STUN) LookupFrom(ctx context.Context, port uint16) (Finding, error) {
	server, err := s.resolve(ctx)
	if err != nil {
		return Finding{}, fmt.Errorf("STUN server %s: %w", s.host, err)
	}
	var id stunID
	rand.Read(id[:]) // never fails
	seen, err := exchange(ctx, netip.AddrPortFrom(s.local, port), server, stunPatience, errNoSTUN, appendSTUNRequest(nil, id),
		func(packet []byte) (netip.AddrPort, error) { return parseSTUNAnswer(packet, id) })
	if err != nil {
		return Finding{}, fmt.Errorf("STUN server %s: %w", s.host, err)
	}
	return Finding{
		Source:   SourceSTUN,
		Address:  seen.Addr(),
		Port:     seen.Port(),
		Detail:   "STUN server " + net.JoinHostPort(s.host, strconv.Itoa(int(s.port))),
		Lifetime: findingLifetime,
	}, nil
}

// resolve finds the server's address in the local address's IP version: the other version would
// tell another address.
func (s *STUN) resolve(ctx context.Context) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	network, version := "ip4", "IPv4"
	if s.local.Is6() {
		network, version = "ip6", "IPv6"
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, network, s.host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("look up its %s address: %w", version, err)
	}
	return netip.AddrPortFrom(addresses[0].Unmap(), s.port), nil
}

// Ports is what a NAT makes of the local ports of outgoing connections. It is seen with UDP; few
// NATs treat TCP in another way.
type Ports string

// The ways of NATs with ports.
const (
	PortsUnknown Ports = ""
	// PortsKept: the external port is the local one, as far as it is free.
	PortsKept Ports = "kept"
	// PortsChanged: the external port is another, the same for every destination asked.
	PortsChanged Ports = "changed"
	// PortsPerDestination: each destination sees another port, so that nobody can know which one
	// the FTP server will see (RFC 4787 section 4.1). Hole punching is pointless then.
	PortsPerDestination Ports = "other for each destination"
)

// PortsOf tells what a NAT does from the answers of several STUN servers to the same local port,
// [STUN.LookupFrom]. It takes two servers on different hosts, or ports, to tell PortsChanged from
// PortsPerDestination. Findings without a port do not count.
func PortsOf(local uint16, findings []Finding) Ports {
	ports := PortsUnknown
	var first uint16
	for _, finding := range findings {
		switch {
		case finding.Port == 0:
		case first != 0 && finding.Port != first:
			return PortsPerDestination
		case finding.Port == local:
			ports, first = PortsKept, finding.Port
		default:
			ports, first = PortsChanged, finding.Port
		}
	}
	return ports
}

// The packets.

type stunID [12]byte

const (
	stunCookie     = 0x2112A442 // RFC 8489 section 5
	stunHeaderSize = 20

	stunRequest = 0x0001 // Binding
	stunSuccess = 0x0101
	stunFailure = 0x0111

	stunMappedAddress    = 0x0001
	stunErrorCode        = 0x0009
	stunXORMappedAddress = 0x0020
)

// appendSTUNRequest is a Binding request without attributes (RFC 8489 section 5).
func appendSTUNRequest(b []byte, id stunID) []byte {
	b = binary.BigEndian.AppendUint16(b, stunRequest)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, stunCookie)
	return append(b, id[:]...)
}

// parseSTUNAnswer returns the mapped address: XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS, which old
// servers send and some NATs rewrite. Attributes that it does not know are passed over, whether
// RFC 8489 calls them optional or not: servers still send those of RFC 3489.
func parseSTUNAnswer(packet []byte, id stunID) (netip.AddrPort, error) {
	if len(packet) < stunHeaderSize ||
		int(binary.BigEndian.Uint16(packet[2:])) != len(packet)-stunHeaderSize ||
		binary.BigEndian.Uint32(packet[4:]) != stunCookie || stunID(packet[8:20]) != id {
		return netip.AddrPort{}, errForeign
	}
	kind := binary.BigEndian.Uint16(packet)
	if kind != stunSuccess && kind != stunFailure {
		return netip.AddrPort{}, errForeign
	}
	var seen, plain netip.AddrPort
	reason := "without a reason"
	for rest := packet[stunHeaderSize:]; len(rest) > 0; {
		attribute, value, after, ok := cutSTUNAttribute(rest)
		if !ok {
			return netip.AddrPort{}, errors.New("its answer is malformed")
		}
		rest = after
		switch {
		case attribute == stunXORMappedAddress && !seen.IsValid():
			seen = stunAddress(value, packet[4:20])
		case attribute == stunMappedAddress && !plain.IsValid():
			plain = stunAddress(value, make([]byte, 16))
		case attribute == stunErrorCode && len(value) >= 4:
			text := value[4:min(len(value), 4+stunTextLimit)]
			reason = fmt.Sprintf("with %d %q", int(value[2]&7)*100+int(value[3]), text)
		}
	}
	if kind == stunFailure {
		return netip.AddrPort{}, fmt.Errorf("it refused %s", reason)
	}
	if !seen.IsValid() {
		seen = plain
	}
	if !seen.IsValid() || seen.Addr().IsUnspecified() || seen.Port() == 0 {
		return netip.AddrPort{}, errors.New("its answer names no address")
	}
	return seen, nil
}

// cutSTUNAttribute cuts off the first attribute, with its padding to four bytes (RFC 8489 section 14).
func cutSTUNAttribute(b []byte) (attribute uint16, value, after []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	padded := 4 + (size+3)&^3
	if padded > len(b) {
		return 0, nil, nil, false
	}
	return binary.BigEndian.Uint16(b), b[4 : 4+size], b[padded:], true
}

// stunAddress reads the value of both address attributes (RFC 8489 sections 14.1 and 14.2); key
// is what the address was XORed with. It is the zero AddrPort where that cannot be.
func stunAddress(value, key []byte) netip.AddrPort {
	const ipv4, ipv6 = 1, 2
	if len(value) < 4 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ binary.BigEndian.Uint16(key)
	raw := append([]byte(nil), value[4:]...)
	if !(value[1] == ipv4 && len(raw) == 4) && !(value[1] == ipv6 && len(raw) == 16) {
		return netip.AddrPort{}
	}
	for i := range raw {
		raw[i] ^= key[i]
	}
	address, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), port)
}
