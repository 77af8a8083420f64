package extip

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// PCP is a gateway that is asked by the Port Control Protocol, version 2 (RFC 6887). With IPv6 a
// mapping opens the gateway's firewall for the address as it is. Safe for concurrent use.
type PCP struct {
	gateway netip.AddrPort
	local   netip.Addr
	nonce   Nonce // of the mappings of Lookup
}

// NewPCP returns the gateway as it is asked from the local address; port 0 is 5351. It does not
// contact it.
func NewPCP(gateway netip.AddrPort, local netip.Addr) *PCP {
	p := &PCP{gateway: gatewayAddress(gateway), local: local.Unmap()}
	rand.Read(p.nonce[:]) // never fails
	return p
}

// Name is SourcePCP.
func (p *PCP) Name() string { return SourcePCP }

// Probe finds out whether the gateway speaks PCP and changes nothing there (ANNOUNCE, RFC 6887
// section 14.1). nil means that it does, whether it would grant a mapping or not.
func (p *PCP) Probe(ctx context.Context) error {
	_, err := askGateway(ctx, p.local, p.gateway, appendPCPAnnounce(nil, p.local), func(packet []byte) (pcpHeader, error) {
		return parsePCPHeader(packet, pcpAnnounce)
	})
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, pcpUnsupportedOpcode) {
		return nil
	}
	return fmt.Errorf("PCP: %w", err)
}

const (
	// lookupPort is one that gateways let everybody map: the discard port that RFC 6887 section 11.6
	// speaks of is below 1024, which usual rules forbid, and miniupnpd 2.3.1 is busy for seconds then
	// with trying all others.
	lookupPort     = 49009
	lookupLifetime = 2 * time.Minute // gateways grant no less
)

// Lookup asks for the external address. PCP has no question for it: as RFC 6887 section 11.6
// says, a mapping for a port that nobody uses is opened and closed again. So it costs two exchanges,
// and a Locator that has a mapping reads the address from there instead. Gateways with several
// external addresses may give other mappings another one.
func (p *PCP) Lookup(ctx context.Context) (Finding, error) {
	mapping, err := p.Map(ctx, Request{
		Internal: netip.AddrPortFrom(p.local, lookupPort),
		Lifetime: lookupLifetime,
		Nonce:    p.nonce,
	})
	if err != nil {
		return Finding{}, err
	}
	finding := Finding{
		Source:   SourcePCP,
		Address:  mapping.External.Addr(),
		Detail:   "gateway " + p.gateway.Addr().String(),
		Lifetime: findingLifetime,
	}
	// The finding is good; what is left there ends by itself.
	_ = p.Unmap(ctx, mapping)
	return finding, nil
}

// Map asks for a mapping of a TCP port, or, with the same internal address and nonce, for its
// renewal; then External should be what was granted before. It is asked from the internal
// address: gateways refuse to map for others. See [Mapper.Map].
func (p *PCP) Map(ctx context.Context, request Request) (Mapping, error) {
	if err := checkRequest(request); err != nil {
		return Mapping{}, fmt.Errorf("PCP: %w", err)
	}
	if request.Nonce == (Nonce{}) {
		return Mapping{}, fmt.Errorf("PCP: map %s: no nonce", request.Internal)
	}
	start := time.Now()
	answer, err := p.ask(ctx, pcpMap{
		nonce:    request.Nonce,
		internal: request.Internal,
		external: pcpWish(request),
		lifetime: seconds(request.Lifetime),
	})
	if err == nil {
		err = checkGranted(answer.external, answer.lifetime)
	}
	if err != nil {
		return Mapping{}, fmt.Errorf("PCP: %w", err)
	}
	return Mapping{
		Protocol: SourcePCP,
		Gateway:  p.gateway.Addr(),
		Internal: request.Internal,
		External: answer.external,
		Nonce:    request.Nonce,
		Epoch:    answer.epoch,
		Granted:  start,
		Lifetime: time.Duration(answer.lifetime) * time.Second,
	}, nil
}

// pcpWish is the external address to ask for. With IPv6 the port is never left open: a firewall has
// none to choose, and miniupnpd 2.3.1 may grant port 0 for it.
func pcpWish(request Request) netip.AddrPort {
	wish := request.External
	if wish.Port() == 0 && request.Internal.Addr().Unmap().Is6() {
		return netip.AddrPortFrom(wish.Addr(), request.Internal.Port())
	}
	return wish
}

// Unmap takes a mapping back; the nonce has to be the one it was made with. A mapping that is
// not there is no error.
func (p *PCP) Unmap(ctx context.Context, mapping Mapping) error {
	if mapping.Internal.Port() == 0 {
		return fmt.Errorf("PCP: unmap %s: port 0 would mean all ports", mapping.Internal)
	}
	_, err := p.ask(ctx, pcpMap{nonce: mapping.Nonce, internal: mapping.Internal})
	// RFC 6887 section 15 makes a success of the deletion of nothing, miniupnpd 2.3.1 makes this of it.
	if err != nil && !errors.Is(err, pcpNoResources) {
		return fmt.Errorf("PCP: %w", err)
	}
	return nil
}

func (p *PCP) ask(ctx context.Context, request pcpMap) (pcpMap, error) {
	request.internal = netip.AddrPortFrom(request.internal.Addr().Unmap(), request.internal.Port())
	return askGateway(ctx, request.internal.Addr(), p.gateway, appendPCPMap(nil, request), func(packet []byte) (pcpMap, error) {
		return parsePCPMap(packet, request)
	})
}

// The packets.

const (
	pcpVersion  = 2
	pcpAnnounce = 0
	pcpMapping  = 1
	// answerBit is set in the operation of every answer, in NAT-PMP too.
	answerBit = 0x80

	pcpHeaderSize = 24
	pcpMapSize    = pcpHeaderSize + 36
	protocolTCP   = 6
)

// pcpMap is the operation MAP, as a request and as an answer.
type pcpMap struct {
	nonce    Nonce
	internal netip.AddrPort
	external netip.AddrPort // as a request a wish, which may be zero in part
	lifetime uint32         // seconds
	epoch    uint32         // of answers
}

// appendPCPHeader is RFC 6887 section 7.1.
func appendPCPHeader(b []byte, operation byte, lifetime uint32, client netip.Addr) []byte {
	b = append(b, pcpVersion, operation, 0, 0)
	b = binary.BigEndian.AppendUint32(b, lifetime)
	return appendAddress16(b, client)
}

func appendPCPAnnounce(b []byte, client netip.Addr) []byte {
	return appendPCPHeader(b, pcpAnnounce, 0, client)
}

// appendPCPMap is RFC 6887 section 11.1.
func appendPCPMap(b []byte, request pcpMap) []byte {
	client := request.internal.Addr()
	b = appendPCPHeader(b, pcpMapping, request.lifetime, client)
	b = append(b, request.nonce[:]...)
	b = append(b, protocolTCP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, request.internal.Port())
	b = binary.BigEndian.AppendUint16(b, request.external.Port())
	wish := request.external.Addr()
	switch {
	case wish.IsValid():
	case client.Is4():
		wish = netip.IPv4Unspecified() // as ::ffff:0.0.0.0: any IPv4 address
	default:
		wish = netip.IPv6Unspecified()
	}
	return appendAddress16(b, wish)
}

func appendAddress16(b []byte, address netip.Addr) []byte {
	sixteen := address.As16() // ::ffff:a.b.c.d for IPv4, RFC 6887 section 5
	return append(b, sixteen[:]...)
}

// pcpHeader is what every answer begins with.
type pcpHeader struct {
	lifetime uint32
	epoch    uint32
}

// parsePCPHeader is RFC 6887 sections 7.2 and 8.3: what is not an answer to the operation is
// errForeign, what the gateway refuses is an error that says why.
func parsePCPHeader(packet []byte, operation byte) (pcpHeader, error) {
	// Answers in other versions may be shorter: NAT-PMP's has 8 bytes (RFC 6887 appendix A).
	if len(packet) < 8 || packet[1]&answerBit == 0 {
		return pcpHeader{}, errForeign
	}
	if version := packet[0]; version == 0 {
		return pcpHeader{}, fmt.Errorf("%w: it speaks NAT-PMP, not PCP", ErrUnsupported)
	} else if version != pcpVersion {
		return pcpHeader{}, fmt.Errorf("%w: it speaks PCP version %d, not %d", ErrUnsupported, version, pcpVersion)
	}
	if len(packet) < pcpHeaderSize || len(packet)%4 != 0 || packet[1] != answerBit|operation {
		return pcpHeader{}, errForeign
	}
	if refusal := pcpRefusal(packet[3]); refusal != 0 {
		return pcpHeader{}, refusal
	}
	return pcpHeader{
		lifetime: binary.BigEndian.Uint32(packet[4:]),
		epoch:    binary.BigEndian.Uint32(packet[8:]),
	}, nil
}

// parsePCPMap is RFC 6887 sections 11.1 and 11.4.
func parsePCPMap(packet []byte, asked pcpMap) (pcpMap, error) {
	header, err := parsePCPHeader(packet, pcpMapping)
	if err != nil && (errors.Is(err, errForeign) || len(packet) < pcpMapSize) {
		return pcpMap{}, err // too short to be compared: not every gateway sends back what it did not understand
	}
	if len(packet) < pcpMapSize {
		return pcpMap{}, errForeign
	}
	body := packet[pcpHeaderSize:]
	if !bytes.Equal(body[:12], asked.nonce[:]) || body[12] != protocolTCP || binary.BigEndian.Uint16(body[16:]) != asked.internal.Port() {
		return pcpMap{}, errForeign
	}
	if err != nil {
		return pcpMap{}, err
	}
	external := netip.AddrFrom16([16]byte(body[20:36])).Unmap()
	answer := asked
	answer.external = netip.AddrPortFrom(external, binary.BigEndian.Uint16(body[18:]))
	answer.lifetime, answer.epoch = header.lifetime, header.epoch
	return answer, nil
}

// pcpRefusal is a result code of RFC 6887 section 7.4.
type pcpRefusal byte

const (
	pcpUnsupportedVersion pcpRefusal = 1
	pcpNotAuthorized      pcpRefusal = 2
	pcpUnsupportedOpcode  pcpRefusal = 4
	pcpNoResources        pcpRefusal = 8
	pcpExternalTaken      pcpRefusal = 11
)

// pcpRefusals says what they mean and what helps.
var pcpRefusals = map[pcpRefusal]string{
	pcpUnsupportedVersion: "UNSUPP_VERSION",
	pcpNotAuthorized:      "NOT_AUTHORIZED: its rules forbid it, or the port belongs to another host or to an earlier nonce: another port may do",
	3:                     "MALFORMED_REQUEST: it did not understand the request",
	pcpUnsupportedOpcode:  "UNSUPP_OPCODE: it speaks PCP, but does not do this",
	5:                     "UNSUPP_OPTION: it does not support an option",
	6:                     "MALFORMED_OPTION: it did not understand an option",
	7:                     "NETWORK_FAILURE: it is not connected itself at the moment",
	pcpNoResources:        "NO_RESOURCES: it has no port left, or no public address of its own: ask the provider for one",
	9:                     "UNSUPP_PROTOCOL: it does not map TCP ports",
	10:                    "USER_EX_QUOTA: this host has all the mappings that it may have; delete some or raise the router's limit",
	pcpExternalTaken:      "CANNOT_PROVIDE_EXTERNAL: the external address or port is taken",
	12:                    "ADDRESS_MISMATCH: there is another NAT between this host and the gateway",
	13:                    "EXCESSIVE_REMOTE_PEERS: it supports fewer filters",
}

func (r pcpRefusal) Error() string {
	text, known := pcpRefusals[r]
	if !known {
		text = "which RFC 6887 does not know"
	}
	return fmt.Sprintf("%v: PCP result %d, %s", r.Unwrap(), byte(r), text)
}

// Unwrap is ErrRefused or ErrUnsupported.
func (r pcpRefusal) Unwrap() error {
	if r == pcpUnsupportedVersion || r == pcpUnsupportedOpcode {
		return ErrUnsupported
	}
	return ErrRefused
}
