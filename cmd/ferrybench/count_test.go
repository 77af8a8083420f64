package main

import (
	"net/netip"
	"strings"
	"testing"
)

// wire makes packets in the order of the line: "C" from the client and "S" from the server, with bytes of payload.
type wire struct {
	t        *testing.T
	counter  *counter
	sequence map[[2]netip.AddrPort]uint32
}

var (
	testServer = netip.MustParseAddrPort("10.99.0.2:21")
	testClient = netip.MustParseAddrPort("10.99.0.1:40000")
)

func newWire(t *testing.T) *wire {
	return &wire{t, newCounter(testServer), map[[2]netip.AddrPort]uint32{}}
}

func (w *wire) send(from, to netip.AddrPort, payload int) packet {
	key := [2]netip.AddrPort{from, to}
	p := packet{from: from, to: to, sequence: w.sequence[key], payload: payload, ack: true}
	w.sequence[key] += uint32(payload)
	w.counter.see(p)
	return p
}

func (w *wire) open(from, to netip.AddrPort, sequence uint32) {
	w.counter.see(packet{from: from, to: to, sequence: sequence, syn: true})
	w.counter.see(packet{from: to, to: from, sequence: 77, syn: true, ack: true})
	w.sequence[[2]netip.AddrPort{from, to}] = sequence + 1
	w.counter.see(packet{from: from, to: to, sequence: sequence + 1, ack: true})
}

// talk is a conversation in letters: C and S are packets with payload of the two, c and s empty acknowledgements.
func (w *wire) talk(client netip.AddrPort, letters string) {
	for _, letter := range letters {
		switch letter {
		case 'C':
			w.send(client, testServer, 20)
		case 'S':
			w.send(testServer, client, 30)
		case 'c':
			w.send(client, testServer, 0)
		case 's':
			w.send(testServer, client, 0)
		default:
			w.t.Fatalf("letter %c", letter)
		}
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		letters string
		turns   int
	}{
		"a greeting and nothing more":                             {"Sc", 0},
		"one command after the greeting":                          {"ScCsS", 1},
		"each command waits for the reply to the one before":      {"SCSCSCS", 3},
		"many commands in one write":                              {"SCCCCSSSS", 1},
		"replies come in parts and late":                          {"SCSsScSCS", 2},
		"a client that speaks before the greeting":                {"CSSS", 1},
		"commands while replies to earlier ones are on their way": {"SCCSSCSS", 2},
		"acknowledgements are no turns":                           {"ScCscsSc", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.open(testClient, testServer, 1000)
			w.talk(testClient, row.letters)
			if want := (counts{Turns: row.turns, Logins: 1}); w.counter.counts != want {
				t.Errorf("%+v, want %+v", w.counter.counts, want)
			}
		})
	}
}

func TestWhatComesTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	data := netip.MustParseAddrPort("10.99.0.2:50000")
	w.open(testClient, testServer, 1<<32-10) // sequence numbers go round
	w.open(testClient, testServer, 1<<32-10)
	w.talk(testClient, "S")
	command := w.send(testClient, testServer, 20)
	reply := w.send(testServer, testClient, 30)
	w.counter.see(reply)
	w.counter.see(command) // the line had lost it
	w.open(netip.MustParseAddrPort("10.99.0.1:40001"), data, 5)
	w.open(netip.MustParseAddrPort("10.99.0.1:40001"), data, 5)
	w.open(netip.MustParseAddrPort("10.99.0.1:40001"), data, 900000) // the same ports, another connection
	if want := (counts{Turns: 1, Logins: 1, Data: 2}); w.counter.counts != want {
		t.Errorf("%+v, want %+v", w.counter.counts, want)
	}
}

func TestConnectionsAreCountedWhoeverOpensThem(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	second := netip.MustParseAddrPort("10.99.0.1:40009")
	w.talk(testClient, "SCS") // a connection that was there before
	w.open(second, testServer, 1)
	w.talk(second, "SCSCS")
	w.open(netip.MustParseAddrPort("10.99.0.1:40010"), netip.MustParseAddrPort("10.99.0.2:50000"), 1) // passive
	w.open(netip.MustParseAddrPort("10.99.0.2:20"), netip.MustParseAddrPort("10.99.0.1:50001"), 1)    // active
	w.send(netip.MustParseAddrPort("10.99.0.1:40010"), netip.MustParseAddrPort("10.99.0.2:50000"), 4096)
	if want := (counts{Turns: 2, Logins: 1, Data: 2}); w.counter.counts != want {
		t.Errorf("%+v, want %+v", w.counter.counts, want)
	}
}

// segment writes an IPv4 packet with TCP.
func segment(options, payload int, flags byte) []byte {
	header, tcp := 20, 20+options
	b := make([]byte, header+tcp+payload)
	b[0], b[9] = 0x45, 6
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	copy(b[12:], []byte{10, 99, 0, 1, 10, 99, 0, 2})
	copy(b[header:], []byte{0x9c, 0x40, 0, 21, 0, 0, 1, 2})
	b[header+12], b[header+13] = byte(tcp/4)<<4, flags
	return b
}

func TestParsePacket(t *testing.T) {
	t.Parallel()
	with := func(b []byte, change func([]byte)) []byte { change(b); return b }
	for name, row := range map[string]struct {
		bytes []byte
		want  packet
		ok    bool
	}{
		"a call":                           {segment(20, 0, 0x02), packet{testClient, testServer, 258, 0, true, false}, true},
		"payload behind options":           {segment(12, 300, 0x18), packet{testClient, testServer, 258, 300, false, true}, true},
		"its end was not captured":         {segment(12, 3000, 0x18)[:120], packet{testClient, testServer, 258, 3000, false, true}, true},
		"IPv6":                             {with(segment(0, 0, 0), func(b []byte) { b[0] = 0x65 }), packet{}, false},
		"UDP":                              {with(segment(0, 0, 0), func(b []byte) { b[9] = 17 }), packet{}, false},
		"a header longer than the packet":  {with(segment(0, 0, 0), func(b []byte) { b[0] = 0x4f }), packet{}, false},
		"a header shorter than headers":    {with(segment(0, 0, 0), func(b []byte) { b[32] = 0x10 }), packet{}, false},
		"a length shorter than its header": {with(segment(0, 0, 0), func(b []byte) { b[3] = 25 }), packet{}, false},
		"nothing":                          {nil, packet{}, false},
	} {
		if got, ok := parsePacket(row.bytes); got != row.want || ok != row.ok {
			t.Errorf("%s: %+v %v, want %+v %v", name, got, ok, row.want, row.ok)
		}
	}
}

func FuzzParsePacket(f *testing.F) {
	f.Add(segment(20, 10, 0x02))
	f.Add(segment(0, 0, 0x10)[:30])
	f.Add([]byte(strings.Repeat("E", 60)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parsePacket(b)
		if !ok && p != (packet{}) || p.payload < 0 {
			t.Errorf("%+v %v", p, ok)
		}
		newCounter(testServer).see(p)
	})
}
