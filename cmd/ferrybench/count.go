package main

import (
	"encoding/binary"
	"net/netip"
)

// packet is what a TCP segment says of itself.
type packet struct {
	from, to netip.AddrPort
	sequence uint32
	payload  int // bytes
	syn, ack bool
}

// parsePacket reads an IPv4 packet of which the end may be missing; ok is false if it is not one with TCP.
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != 6 {
		return packet{}, false
	}
	header := int(b[0]&0xf) * 4
	if header < 20 || len(b) < header+20 {
		return packet{}, false
	}
	tcp := b[header:]
	// The length of what the kernel cuts into segments later is that of all of them.
	total, offset := int(binary.BigEndian.Uint16(b[2:])), int(tcp[12]>>4)*4
	if offset < 20 || total < header+offset {
		return packet{}, false
	}
	return packet{
		from:     netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(tcp)),
		to:       netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(tcp[2:])),
		sequence: binary.BigEndian.Uint32(tcp[4:]),
		payload:  total - header - offset,
		syn:      tcp[13]&0x02 != 0,
		ack:      tcp[13]&0x10 != 0,
	}, true
}

// counts is what a client asked of the line.
type counts struct {
	// Turns is how often clients wrote on a control connection after the server had: each costs a round trip, whatever TLS
	// hides. What is written in one go, or before the server has said anything to it, is one turn.
	Turns  int `json:"turns"`
	Logins int `json:"logins"` // control connections
	Data   int `json:"data"`   // data connections, whoever opened them
}

// counter counts what passes the client's end of the line. It sees control connections from their first packet, or not at all.
type counter struct {
	server  netip.AddrPort // the control port
	counts  counts
	control map[netip.AddrPort]*dialogue // by the client's end
	opened  map[opening]bool
}

// dialogue is one control connection.
type dialogue struct {
	begun          bool // somebody has said something
	clientsTurn    bool // the server spoke last
	client, server position
}

// position is how far one side has come, to tell what is sent twice.
type position struct {
	next  uint32
	known bool
}

// opening is the first packet of a connection, which may come twice.
type opening struct {
	from, to netip.AddrPort
	sequence uint32
}

func newCounter(server netip.AddrPort) *counter {
	return &counter{server: server, control: map[netip.AddrPort]*dialogue{}, opened: map[opening]bool{}}
}

// see takes the next packet.
func (c *counter) see(p packet) {
	if p.syn {
		c.seeOpening(p)
		return
	}
	switch {
	case p.payload == 0:
	case p.to == c.server:
		if d := c.control[p.from]; d != nil && d.client.advance(p) {
			if d.clientsTurn || !d.begun {
				c.counts.Turns++
			}
			d.begun, d.clientsTurn = true, false
		}
	case p.from == c.server:
		if d := c.control[p.to]; d != nil && d.server.advance(p) {
			d.begun, d.clientsTurn = true, true
		}
	}
}

func (c *counter) seeOpening(p packet) {
	first := opening{p.from, p.to, p.sequence}
	if p.ack || c.opened[first] {
		return
	}
	c.opened[first] = true
	if p.to == c.server {
		c.counts.Logins++
		c.control[p.from] = &dialogue{}
		return
	}
	c.counts.Data++
}

// advance reports whether the packet has anything that was not there before.
func (w *position) advance(p packet) bool {
	end := p.sequence + uint32(p.payload)
	if w.known && int32(end-w.next) <= 0 {
		return false
	}
	w.next, w.known = end, true
	return true
}
