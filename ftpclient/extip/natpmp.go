package extip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// NATPMP is a gateway that is asked by NAT-PMP (RFC 6886), PCP's predecessor, which knows IPv4
// only. Safe for concurrent use.
type NATPMP struct {
	gateway netip.AddrPort
	local   netip.Addr
}

// NewNATPMP returns the gateway as it is asked from the local address; port 0 is 5351. It does
// not contact it.
func NewNATPMP(gateway netip.AddrPort, local netip.Addr) *NATPMP {
	return &NATPMP{gateway: gatewayAddress(gateway), local: local.Unmap()}
}

// Name is SourceNATPMP.
func (n *NATPMP) Name() string { return SourceNATPMP }

// Probe finds out whether the gateway speaks NAT-PMP and changes nothing there. nil means that
// it does, whether it has an external address or not.
func (n *NATPMP) Probe(ctx context.Context) error {
	_, err := n.address(ctx, n.local)
	if errors.Is(err, ErrRefused) {
		return nil
	}
	return err
}

// Lookup asks for the external address, and changes nothing at the gateway.
func (n *NATPMP) Lookup(ctx context.Context) (Finding, error) {
	answer, err := n.address(ctx, n.local)
	if err != nil {
		return Finding{}, err
	}
	return Finding{
		Source:   SourceNATPMP,
		Address:  answer.address,
		Detail:   "gateway " + n.gateway.Addr().String(),
		Lifetime: findingLifetime,
	}, nil
}

// Map asks for a mapping of a TCP port or for its renewal. NAT-PMP knows no nonce (whoever sends
// from the internal address owns the mapping), takes no wish for an address, and tells the
// external address apart from the mapping, so that it is asked for first. See [Mapper.Map].
func (n *NATPMP) Map(ctx context.Context, request Request) (Mapping, error) {
	if err := checkRequest(request); err != nil {
		return Mapping{}, fmt.Errorf("NAT-PMP: %w", err)
	}
	outside, err := n.address(ctx, request.Internal.Addr().Unmap())
	if err != nil {
		return Mapping{}, err
	}
	start := time.Now()
	answer, err := n.ask(ctx, request.Internal.Addr(), pmpMap{
		internal: request.Internal.Port(),
		external: request.External.Port(),
		lifetime: seconds(request.Lifetime),
	})
	external := netip.AddrPortFrom(outside.address, answer.external)
	if err == nil {
		err = checkGranted(external, answer.lifetime)
	}
	if err != nil {
		return Mapping{}, fmt.Errorf("NAT-PMP: %w", err)
	}
	return Mapping{
		Protocol: SourceNATPMP,
		Gateway:  n.gateway.Addr(),
		Internal: request.Internal,
		External: external,
		Nonce:    request.Nonce,
		Epoch:    answer.epoch,
		Granted:  start,
		Lifetime: time.Duration(answer.lifetime) * time.Second,
	}, nil
}

// Unmap takes a mapping back. A mapping that is not there is no error.
func (n *NATPMP) Unmap(ctx context.Context, mapping Mapping) error {
	if mapping.Internal.Port() == 0 {
		return fmt.Errorf("NAT-PMP: unmap %s: port 0 would mean all ports", mapping.Internal)
	}
	_, err := n.ask(ctx, mapping.Internal.Addr(), pmpMap{internal: mapping.Internal.Port()})
	if err != nil {
		return fmt.Errorf("NAT-PMP: %w", err)
	}
	return nil
}

func (n *NATPMP) address(ctx context.Context, local netip.Addr) (pmpAddress, error) {
	err := n.checkFamily()
	var answer pmpAddress
	if err == nil {
		answer, err = askGateway(ctx, local, n.gateway, appendPMPAddress(nil), parsePMPAddress)
	}
	if err == nil && answer.address.IsUnspecified() {
		err = fmt.Errorf("%w: it has no external address at the moment", ErrRefused)
	}
	if err != nil {
		return pmpAddress{}, fmt.Errorf("NAT-PMP: %w", err)
	}
	return answer, nil
}

func (n *NATPMP) ask(ctx context.Context, local netip.Addr, request pmpMap) (pmpMap, error) {
	if err := n.checkFamily(); err != nil {
		return pmpMap{}, err
	}
	return askGateway(ctx, local.Unmap(), n.gateway, appendPMPMap(nil, request), func(packet []byte) (pmpMap, error) {
		return parsePMPMap(packet, request)
	})
}

func (n *NATPMP) checkFamily() error {
	if !n.gateway.Addr().Is4() {
		return fmt.Errorf("%w: NAT-PMP is for IPv4 only, and the gateway is %s", ErrUnsupported, n.gateway.Addr())
	}
	return nil
}

// The packets.

const (
	pmpVersion = 0
	pmpExtern  = 0 // the operation that asks for the external address
	pmpMapTCP  = 2
)

// pmpAddress is the answer to the question for the external address.
type pmpAddress struct {
	epoch   uint32
	address netip.Addr
}

// pmpMap is a mapping, as a request and as an answer.
type pmpMap struct {
	internal, external uint16
	lifetime           uint32 // seconds
	epoch              uint32 // of answers
}

// appendPMPAddress is RFC 6886 section 3.2.
func appendPMPAddress(b []byte) []byte { return append(b, pmpVersion, pmpExtern) }

// appendPMPMap is RFC 6886 section 3.3.
func appendPMPMap(b []byte, request pmpMap) []byte {
	b = append(b, pmpVersion, pmpMapTCP, 0, 0)
	b = binary.BigEndian.AppendUint16(b, request.internal)
	b = binary.BigEndian.AppendUint16(b, request.external)
	return binary.BigEndian.AppendUint32(b, request.lifetime)
}

// parsePMPHeader returns the epoch. What is not an answer to the operation is errForeign, what
// the gateway refuses is an error that says why. size is that of an answer that grants.
func parsePMPHeader(packet []byte, operation byte, size int) (epoch uint32, err error) {
	if len(packet) < 8 || packet[1]&answerBit == 0 {
		return 0, errForeign
	}
	if packet[0] != pmpVersion {
		return 0, fmt.Errorf("%w: it speaks PCP version %d, not NAT-PMP", ErrUnsupported, packet[0])
	}
	if packet[1] != answerBit|operation {
		return 0, errForeign
	}
	if err := pmpResult(binary.BigEndian.Uint16(packet[2:])); err != nil {
		return 0, err
	}
	if len(packet) < size {
		return 0, errForeign
	}
	return binary.BigEndian.Uint32(packet[4:]), nil
}

func parsePMPAddress(packet []byte) (pmpAddress, error) {
	epoch, err := parsePMPHeader(packet, pmpExtern, 12)
	if err != nil {
		return pmpAddress{}, err
	}
	return pmpAddress{epoch: epoch, address: netip.AddrFrom4([4]byte(packet[8:12]))}, nil
}

func parsePMPMap(packet []byte, asked pmpMap) (pmpMap, error) {
	epoch, err := parsePMPHeader(packet, pmpMapTCP, 16)
	if err != nil {
		return pmpMap{}, err
	}
	answer := pmpMap{
		internal: binary.BigEndian.Uint16(packet[8:]),
		external: binary.BigEndian.Uint16(packet[10:]),
		lifetime: binary.BigEndian.Uint32(packet[12:]),
		epoch:    epoch,
	}
	if answer.internal != asked.internal {
		return pmpMap{}, errForeign
	}
	return answer, nil
}

// pmpResults are the codes of RFC 6886 section 3.5, with what helps.
var pmpResults = map[uint16]string{
	2: "not authorized: mappings are switched off in the router's settings, or its rules forbid this port",
	3: "network failure: it has no public address of its own, or is not connected: ask the provider for one",
	4: "out of resources: it has no port left",
}

func pmpResult(code uint16) error {
	const unsupportedVersion, unsupportedOpcode = 1, 5
	switch code {
	case 0:
		return nil
	case unsupportedVersion, unsupportedOpcode:
		return fmt.Errorf("%w: NAT-PMP result %d", ErrUnsupported, code)
	}
	text, known := pmpResults[code]
	if !known {
		text = "a code that RFC 6886 does not know"
	}
	return fmt.Errorf("%w: NAT-PMP result %d, %s", ErrRefused, code, text)
}
