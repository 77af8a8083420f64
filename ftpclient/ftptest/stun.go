package ftptest

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// STUNOptions are what a [STUN] server does.
type STUNOptions struct {
	Address netip.Addr                               // where it is asked; 127.0.0.1
	See     func(from netip.AddrPort) netip.AddrPort // what the NAT is to have made of the client's address; as it is
	Plain   bool                                     // send MAPPED-ADDRESS, as servers did before RFC 5389
	Refuse  int                                      // the error code of every answer
	Silent  bool                                     // answer nothing
	Drop    int                                      // the first packets get no answer
	Noise   bool                                     // before each answer, send one to another request
}

// STUN is a STUN server (RFC 8489) on loopback that answers Binding requests.
type STUN struct {
	Addr netip.AddrPort

	options STUNOptions
	udp     *net.UDPConn

	mutex    sync.Mutex // guards following
	requests int
}

// NewSTUN starts a server that ends with the test.
func NewSTUN(t testing.TB, options STUNOptions) *STUN {
	t.Helper()
	if !options.Address.IsValid() {
		options.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	s := &STUN{options: options, udp: listenUDP(t, options.Address)}
	s.Addr = s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	var running sync.WaitGroup
	running.Go(func() { serveUDP(s.udp, s.handle) })
	t.Cleanup(func() {
		s.udp.Close()
		running.Wait()
	})
	return s
}

// Requests returns how many packets came so far, those sent again included.
func (s *STUN) Requests() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.requests
}

func (s *STUN) handle(packet []byte, from netip.AddrPort) {
	s.mutex.Lock()
	s.requests++
	lost := s.options.Silent || s.requests <= s.options.Drop
	s.mutex.Unlock()
	if lost || len(packet) < 20 || binary.BigEndian.Uint16(packet) != 0x0001 {
		return
	}
	seen := from
	if s.options.See != nil {
		seen = s.options.See(from)
	}
	answer := s.answer(packet[4:20], seen)
	if s.options.Noise {
		other := append([]byte(nil), answer...)
		other[19]++ // in the transaction's id
		for _, noise := range [][]byte{{}, packet, other, answer[:20]} {
			s.udp.WriteToUDPAddrPort(noise, from)
		}
	}
	s.udp.WriteToUDPAddrPort(answer, from)
}

// answer has a SOFTWARE attribute in front, which has padding. key is the cookie and the transaction's id.
func (s *STUN) answer(key []byte, seen netip.AddrPort) []byte {
	attributes := []byte{0x80, 0x22, 0, 7, 'f', 't', 'p', 't', 'e', 's', 't', 0}
	kind := uint16(0x0101)
	switch {
	case s.options.Refuse != 0:
		kind = 0x0111
		attributes = append(attributes, 0, 9, 0, 8, 0, 0, byte(s.options.Refuse/100), byte(s.options.Refuse%100), 'w', 'h', 'y', '?')
	case s.options.Plain:
		attributes = appendMappedAddress(attributes, 0x0001, seen, make([]byte, 16))
	default:
		attributes = appendMappedAddress(attributes, 0x0020, seen, key)
	}
	answer := binary.BigEndian.AppendUint16(nil, kind)
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(attributes)))
	answer = append(answer, key...)
	return append(answer, attributes...)
}

func appendMappedAddress(b []byte, attribute uint16, seen netip.AddrPort, key []byte) []byte {
	family, raw := byte(2), seen.Addr().AsSlice()
	if seen.Addr().Is4() {
		family = 1
	}
	for i := range raw {
		raw[i] ^= key[i]
	}
	b = binary.BigEndian.AppendUint16(b, attribute)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(raw)))
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, seen.Port()^binary.BigEndian.Uint16(key))
	return append(b, raw...)
}

func listenUDP(t testing.TB, address netip.Addr) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// serveUDP hands over packets until the socket is closed.
func serveUDP(conn *net.UDPConn, handle func(packet []byte, from netip.AddrPort)) {
	packet := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // on Windows, that an earlier answer came to a closed port
		}
		handle(packet[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}
