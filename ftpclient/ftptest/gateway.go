package ftptest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// GatewayOptions are what a [Gateway] is and does. All but the addresses can be changed later, by [Gateway.Change].
type GatewayOptions struct {
	PCP, NATPMP bool // the protocols that it speaks; packets of the other one get "unsupported version"

	Address netip.Addr // where it is asked; 127.0.0.1
	Outside netip.Addr // where it takes connections to mapped ports; 127.0.0.1, on Linux any 127.x.y.z will do
	Claim   netip.Addr // the external address that it names; Outside

	Silent    bool          // answer nothing
	Drop      int           // so many packets more get no answer
	Refuse    int           // the result code of all answers but those to ANNOUNCE
	OtherPort bool          // grant another external port than is asked for
	Lifetime  time.Duration // the longest that is granted; 0 for what is asked for
	Elsewhere bool          // answer from another port
	Noise     bool          // before each answer, send answers to something else
}

// GatewayRequests counts packets, those sent again included.
type GatewayRequests struct{ Packets, Announce, Address, Map, Delete int }

// GatewayMapping is a port that a [Gateway] has opened. Nonce is zero for NAT-PMP.
type GatewayMapping struct {
	Internal, External netip.AddrPort // External as claimed
	Nonce              [12]byte
	Expires            time.Time
}

// gatewayEpoch is how long a gateway says that it has been up when the test begins.
const gatewayEpoch = 1000 * time.Second

// Gateway is a router on loopback that opens TCP ports by PCP (RFC 6887) and NAT-PMP (RFC 6886), for machines without
// namespaces. It forwards the connections to its mapped ports for real, each from the address from which it came. A port
// whose mapping is deleted or expired refuses them; where nobody listens inside, they are accepted and closed.
type Gateway struct {
	Addr netip.AddrPort // where it is asked

	t       testing.TB
	udp     *net.UDPConn
	aside   *net.UDPConn // for Elsewhere
	running sync.WaitGroup

	mutex    sync.Mutex // guards following
	options  GatewayOptions
	since    time.Time // of the epoch
	counts   GatewayRequests
	mappings []*gatewayMapping
	open     map[net.Conn]bool
	closed   bool
}

type gatewayMapping struct {
	GatewayMapping
	listener net.Listener
}

// NewGateway starts a gateway that ends with the test.
func NewGateway(t testing.TB, options GatewayOptions) *Gateway {
	t.Helper()
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if !options.Address.IsValid() {
		options.Address = loopback
	}
	if !options.Outside.IsValid() {
		options.Outside = loopback
	}
	if !options.Claim.IsValid() {
		options.Claim = options.Outside
	}
	g := &Gateway{t: t, options: options, since: time.Now().Add(-gatewayEpoch), open: map[net.Conn]bool{}}
	g.udp, g.aside = listenUDP(t, options.Address), listenUDP(t, options.Address)
	g.Addr = g.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	g.running.Go(func() {
		serveUDP(g.udp, g.handle)
	})
	t.Cleanup(g.stop)
	return g
}

func (g *Gateway) stop() {
	g.udp.Close()
	g.aside.Close()
	g.mutex.Lock()
	g.closed = true
	g.forgetLocked(func(*gatewayMapping) bool { return true })
	for conn := range g.open {
		conn.Close()
	}
	g.mutex.Unlock()
	g.running.Wait()
}

// Change changes what the gateway does.
func (g *Gateway) Change(change func(options *GatewayOptions)) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	change(&g.options)
}

// Restart is what a loss of power does: all mappings are gone and the epoch begins again at 0.
func (g *Gateway) Restart() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.since = time.Now()
	g.forgetLocked(func(*gatewayMapping) bool { return true })
}

// Requests returns how many packets came so far.
func (g *Gateway) Requests() GatewayRequests {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.counts
}

// Mappings returns the open ports, oldest first.
func (g *Gateway) Mappings() []GatewayMapping {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.expireLocked()
	var all []GatewayMapping
	for _, mapping := range g.mappings {
		all = append(all, mapping.GatewayMapping)
	}
	return all
}

func (g *Gateway) handle(packet []byte, from netip.AddrPort) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.counts.Packets++
	var answer []byte
	switch {
	case len(packet) < 2 || packet[1]&0x80 != 0:
		return
	case packet[0] == 0 && g.options.NATPMP:
		answer = g.natpmpLocked(packet, from)
	case packet[0] == 2 && g.options.PCP:
		answer = g.pcpLocked(packet, from)
	case g.options.PCP: // RFC 6887 section 9
		answer = g.pcpHeaderLocked(packet[1], 1, 0)
	case g.options.NATPMP: // RFC 6887 appendix A
		answer = g.natpmpHeaderLocked(packet[1], 1)
	}
	if g.options.Drop > 0 {
		g.options.Drop--
		return
	}
	if g.options.Silent || answer == nil {
		return
	}
	out := g.udp
	if g.options.Elsewhere {
		out = g.aside
	}
	if g.options.Noise {
		for _, noise := range [][]byte{{}, {answer[0]}, packet, twist(answer), answer[:len(answer)-1]} {
			out.WriteToUDPAddrPort(noise, from)
		}
	}
	out.WriteToUDPAddrPort(answer, from)
}

// twist makes the answer one to another request: to that of another operation where it has no body, with another nonce
// or internal port where it has.
func twist(answer []byte) []byte {
	other := slices.Clone(answer)
	switch len(other) {
	case natpmpMapSize:
		other[8]++
	case pcpMapSize:
		other[pcpHeaderSize]++
	default:
		other[1] ^= 0x40
	}
	return other
}

func (g *Gateway) epochLocked() uint32 { return uint32(time.Since(g.since) / time.Second) }

// Result codes that the gateway finds by itself, in both protocols.
const (
	granted       = 0
	notAuthorized = 2
	noResources   = 8 // 4 in NAT-PMP
)

// mapLocked opens, renews or deletes (seconds 0) a port.
func (g *Gateway) mapLocked(internal netip.AddrPort, port uint16, seconds uint32, nonce [12]byte) (*gatewayMapping, int) {
	g.expireLocked()
	i := slices.IndexFunc(g.mappings, func(m *gatewayMapping) bool { return m.Internal == internal })
	if i >= 0 && g.mappings[i].Nonce != nonce {
		return nil, notAuthorized
	}
	if seconds == 0 {
		g.counts.Delete++
		g.forgetLocked(func(m *gatewayMapping) bool { return m.Internal == internal })
		return nil, granted
	}
	g.counts.Map++
	if i < 0 {
		listener := g.listenLocked(port)
		if listener == nil {
			return nil, noResources
		}
		mapping := &gatewayMapping{listener: listener}
		outside := listener.Addr().(*net.TCPAddr).AddrPort()
		mapping.Internal, mapping.Nonce = internal, nonce
		mapping.External = netip.AddrPortFrom(g.options.Claim, outside.Port())
		g.mappings = append(g.mappings, mapping)
		g.running.Go(func() { g.accept(listener, internal) })
		i = len(g.mappings) - 1
	}
	lifetime := time.Duration(seconds) * time.Second
	if g.options.Lifetime > 0 {
		lifetime = min(lifetime, g.options.Lifetime)
	}
	g.mappings[i].Expires = time.Now().Add(lifetime)
	return g.mappings[i], granted
}

// listenLocked takes the wanted port, or another where it is taken.
func (g *Gateway) listenLocked(port uint16) net.Listener {
	if !g.options.OtherPort && port != 0 {
		if listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(g.options.Outside, port))); err == nil {
			return listener
		}
	}
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(g.options.Outside, 0)))
	if err != nil {
		g.t.Errorf("gateway: %v", err)
		return nil
	}
	return listener
}

func (g *Gateway) expireLocked() {
	now := time.Now()
	g.forgetLocked(func(m *gatewayMapping) bool { return now.After(m.Expires) })
}

func (g *Gateway) forgetLocked(which func(*gatewayMapping) bool) {
	g.mappings = slices.DeleteFunc(g.mappings, func(m *gatewayMapping) bool {
		gone := which(m)
		if gone {
			m.listener.Close()
		}
		return gone
	})
}

func (g *Gateway) accept(listener net.Listener, internal netip.AddrPort) {
	for {
		outer, err := listener.Accept()
		if err != nil {
			return
		}
		g.running.Go(func() { g.forward(outer.(*net.TCPConn), internal) })
	}
}

// track keeps a connection for the end of the test; false if that is already there or the mapping has expired.
func (g *Gateway) track(conn net.Conn, internal netip.AddrPort) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.expireLocked()
	if g.closed || !slices.ContainsFunc(g.mappings, func(m *gatewayMapping) bool { return m.Internal == internal }) {
		return false
	}
	g.open[conn] = true
	return true
}

func (g *Gateway) forward(outer *net.TCPConn, internal netip.AddrPort) {
	defer g.drop(outer)
	if !g.track(outer, internal) {
		return
	}
	from := outer.RemoteAddr().(*net.TCPAddr)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.IP}}
	conn, err := dialer.Dial("tcp", internal.String())
	if err != nil {
		return
	}
	inner := conn.(*net.TCPConn)
	defer g.drop(inner)
	if !g.track(inner, internal) {
		return
	}
	var inwards sync.WaitGroup
	inwards.Go(func() { copyHalf(inner, outer) })
	copyHalf(outer, inner)
	inwards.Wait()
}

func copyHalf(to, from *net.TCPConn) {
	io.Copy(to, from) // the ends see for themselves what broke
	to.CloseWrite()
}

func (g *Gateway) drop(conn net.Conn) {
	conn.Close()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	delete(g.open, conn)
}

// The packets, written from the RFCs and not with the client's code, so that both do not share a mistake.

const (
	natpmpMapSize = 16
	pcpHeaderSize = 24
	pcpMapSize    = 60
)

func (g *Gateway) natpmpHeaderLocked(operation byte, code int) []byte {
	answer := []byte{0, 0x80 | operation}
	answer = binary.BigEndian.AppendUint16(answer, uint16(code))
	return binary.BigEndian.AppendUint32(answer, g.epochLocked())
}

func (g *Gateway) natpmpLocked(packet []byte, from netip.AddrPort) []byte {
	const externalAddress, mapTCP = 0, 2
	operation := packet[1]
	switch {
	case operation == externalAddress && len(packet) == 2:
		g.counts.Address++
		if g.options.Refuse != 0 {
			return append(g.natpmpHeaderLocked(operation, g.options.Refuse), 0, 0, 0, 0)
		}
		claim := g.options.Claim.As4()
		return append(g.natpmpHeaderLocked(operation, granted), claim[:]...)
	case operation == mapTCP && len(packet) == 12:
		port, lifetime := binary.BigEndian.Uint16(packet[6:]), binary.BigEndian.Uint32(packet[8:])
		internal := netip.AddrPortFrom(from.Addr(), binary.BigEndian.Uint16(packet[4:]))
		code := g.options.Refuse
		var external uint16
		if code == granted {
			var mapping *gatewayMapping
			if mapping, code = g.mapLocked(internal, port, lifetime, [12]byte{}); code == noResources {
				code = 4
			} else if mapping != nil {
				external, lifetime = mapping.External.Port(), wholeSeconds(mapping.Expires)
			}
		}
		answer := append(g.natpmpHeaderLocked(operation, code), packet[4:6]...)
		answer = binary.BigEndian.AppendUint16(answer, external)
		return binary.BigEndian.AppendUint32(answer, lifetime)
	}
	return g.natpmpHeaderLocked(operation, 5) // unsupported opcode
}

func (g *Gateway) pcpHeaderLocked(operation byte, code int, lifetime uint32) []byte {
	answer := []byte{2, 0x80 | operation, 0, byte(code)}
	answer = binary.BigEndian.AppendUint32(answer, lifetime)
	answer = binary.BigEndian.AppendUint32(answer, g.epochLocked())
	return append(answer, make([]byte, 12)...)
}

func (g *Gateway) pcpLocked(packet []byte, from netip.AddrPort) []byte {
	const announce, mapping = 0, 1
	const malformed, unsupportedOpcode, unsupportedProtocol, addressMismatch = 3, 4, 9, 12
	operation := packet[1]
	if len(packet) < pcpHeaderSize || len(packet)%4 != 0 {
		return g.pcpHeaderLocked(operation, malformed, 0)
	}
	if client := netip.AddrFrom16([16]byte(packet[8:24])).Unmap(); client != from.Addr() {
		return append(g.pcpHeaderLocked(operation, addressMismatch, 0), packet[pcpHeaderSize:]...)
	}
	switch {
	case operation == announce:
		g.counts.Announce++
		return g.pcpHeaderLocked(operation, granted, 0)
	case operation != mapping:
		return append(g.pcpHeaderLocked(operation, unsupportedOpcode, 0), packet[pcpHeaderSize:]...)
	case len(packet) != pcpMapSize:
		return g.pcpHeaderLocked(operation, malformed, 0)
	}
	body := slices.Clone(packet[pcpHeaderSize:])
	lifetime := binary.BigEndian.Uint32(packet[4:])
	internal := netip.AddrPortFrom(from.Addr(), binary.BigEndian.Uint16(body[16:]))
	code := g.options.Refuse
	if code == granted && body[12] != 6 {
		code = unsupportedProtocol
	}
	if code == granted {
		var opened *gatewayMapping
		opened, code = g.mapLocked(internal, binary.BigEndian.Uint16(body[18:]), lifetime, [12]byte(body))
		if opened != nil {
			lifetime = wholeSeconds(opened.Expires)
			binary.BigEndian.PutUint16(body[18:], opened.External.Port())
			address := opened.External.Addr().As16()
			copy(body[20:], address[:])
		}
	}
	return append(g.pcpHeaderLocked(operation, code, lifetime), body...)
}

func wholeSeconds(until time.Time) uint32 {
	return uint32((time.Until(until) + time.Second/2) / time.Second)
}
