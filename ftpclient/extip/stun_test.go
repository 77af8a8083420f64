package extip

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// capturedID is the transaction in the captured answer.
var capturedID = stunID{0x39, 0x29, 0x54, 0x82, 0xe5, 0x40, 0x44, 0x93, 0x1a, 0x26, 0xd5, 0x4d}

// captured is coturn 4.6.1's answer: both addresses, two attributes of RFC 5780, SOFTWARE.
const captured = "01010048 2112a442 39295482e54044931a26d54d" +
	"00200008 0001e242 0c3f8943 00010008 0001c350 2d2d2d01 802b0008 00010d96 2d2d2d0a 802c0008 00010d97 2d2d2d0b" +
	"80220014 436f7475726e2d342e362e312027476f72737427"

func TestSTUNRequestAsInTheRFC(t *testing.T) {
	if got, want := appendSTUNRequest(nil, capturedID), fromHex(t, "00010000 2112a442 39295482e54044931a26d54d"); !bytes.Equal(got, want) {
		t.Errorf("have %x, want %x", got, want)
	}
}

func TestSTUNAnswers(t *testing.T) {
	const id = "2112a442 39295482e54044931a26d54d"
	for name, test := range map[string]struct {
		packet string
		want   string // "" for an error
		err    error
		text   string
	}{
		"captured from coturn 4.6.1":         {packet: captured, want: "45.45.45.1:50000"},
		"only MAPPED-ADDRESS":                {packet: "0101000c" + id + "00010008 0001c350 2d2d2d01", want: "45.45.45.1:50000"},
		"a NAT has rewritten MAPPED-ADDRESS": {packet: "01010018" + id + "00010008 0001c351 0a000001 00200008 0001e242 0c3f8943", want: "45.45.45.1:50000"},
		"IPv6":                               {packet: "01010018" + id + "00200014 0002e242 0113a9fa39295482e54044931a26d54f", want: "[2001:db8::2]:50000"},
		"IPv4 in IPv6":                       {packet: "01010018" + id + "00010014 0002c350 00000000000000000000ffff2d2d2d01", want: "45.45.45.1:50000"},
		"attributes of RFC 3489 and padding in front": {packet: "01010020" + id + "00040008 00010d96 2d2d2d0a 80220001 41000000 00200008 0001e242 0c3f8943", want: "45.45.45.1:50000"},
		"refused with a reason":                       {packet: "0111000c" + id + "00090008 00000414 6e6f7065", text: `refused with 420 "nope"`},
		"refused without a reason":                    {packet: "01110000" + id, text: "without a reason"},
		"no address":                                  {packet: "01010000" + id, text: "names no address"},
		"port 0":                                      {packet: "0101000c" + id + "00010008 00010000 2d2d2d01", text: "names no address"},
		"no address at all":                           {packet: "0101000c" + id + "00010008 0001c350 00000000", text: "names no address"},
		"a family of its own":                         {packet: "0101000c" + id + "00010008 0003c350 2d2d2d01", text: "names no address"},
		"four bytes for IPv6":                         {packet: "0101000c" + id + "00010008 0002c350 2d2d2d01", text: "names no address"},
		"an attribute longer than the packet":         {packet: "0101000c" + id + "00200009 0001e242 0c3f8943", text: "malformed"},
		"half an attribute":                           {packet: "01010002" + id + "0020", text: "malformed"},
		"another transaction":                         {packet: strings.Replace(captured, "d54d", "d54e", 1), err: errForeign},
		"no cookie, as in RFC 3489":                   {packet: strings.Replace(captured, "2112a442", "2112a443", 1), err: errForeign},
		"another length":                              {packet: strings.Replace(captured, "01010048", "01010044", 1), err: errForeign},
		"a request":                                   {packet: "00010000" + id, err: errForeign},
		"nothing":                                     {err: errForeign},
	} {
		got, err := parseSTUNAnswer(fromHex(t, test.packet), capturedID)
		if test.want != "" {
			if err != nil || got.String() != test.want {
				t.Errorf("%s: have %v, %v, want %s", name, got, err, test.want)
			}
			continue
		}
		if err == nil || errors.Is(err, errForeign) != (test.err != nil) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: have %v, %v, want %v %q", name, got, err, test.err, test.text)
		}
	}
}

func FuzzSTUNAnswer(f *testing.F) {
	const id = "2112a442 39295482e54044931a26d54d"
	f.Add(fromHex(f, captured))
	f.Add(fromHex(f, "01010018"+id+"00200014 0002e242 0113a9fa39295482e54044931a26d54f"))
	f.Add(fromHex(f, "0111000c"+id+"00090008 00000414 6e6f7065"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		before := slices.Clone(packet)
		seen, err := parseSTUNAnswer(packet, capturedID)
		if (err == nil) != seen.IsValid() || err == nil && (seen.Port() == 0 || seen.Addr().IsUnspecified() || seen.Addr().Is4In6()) {
			t.Fatalf("have %v, %v", seen, err)
		}
		if !bytes.Equal(before, packet) {
			t.Fatal("the packet was changed")
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Fatalf("an error of %d bytes", len(err.Error()))
		}
	})
}

func TestSTUNServersThatAreNone(t *testing.T) {
	for server, text := range map[string]string{
		"":                           "host is missing",
		":3478":                      "host is missing",
		"stun.example:":              "port",
		"stun.example:0":             "port",
		"stun.example:65536":         "port",
		"stun.example:http":          "port",
		"stun:stun.example:3478":     "host:port",
		"stun://stun.example:3478/x": "host:port",
	} {
		if _, err := NewSTUN(server, loopback); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want %q", server, err, text)
		}
	}
	for server, want := range map[string]string{
		"stun.example":       "stun.example 3478",
		"stun.example:19302": "stun.example 19302",
		"192.0.2.1":          "192.0.2.1 3478",
		"2001:db8::1":        "2001:db8::1 3478",
		"[2001:db8::1]":      "2001:db8::1 3478",
		"[2001:db8::1]:5349": "2001:db8::1 5349",
	} {
		host, port, err := splitSTUN(server)
		if got := host + " " + netip.AddrPortFrom(loopback, port).String()[len("127.0.0.1:"):]; got != want || err != nil {
			t.Errorf("%q: have %s, %v, want %s", server, got, err, want)
		}
	}
}

func lookupSTUN(t *testing.T, options ftptest.STUNOptions) (*ftptest.STUN, Finding, error) {
	t.Helper()
	server := ftptest.NewSTUN(t, options)
	source, err := NewSTUN(server.Addr.String(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	finding, err := source.Lookup(t.Context())
	return server, finding, err
}

func TestSTUN(t *testing.T) {
	outside := netip.MustParseAddrPort("203.0.113.7:40001")
	see := func(netip.AddrPort) netip.AddrPort { return outside }
	for name, test := range map[string]struct {
		options  ftptest.STUNOptions
		text     string // of an error
		requests int
	}{
		"says what it sees":                        {options: ftptest.STUNOptions{See: see}, requests: 1},
		"speaks in the old way":                    {options: ftptest.STUNOptions{See: see, Plain: true}, requests: 1},
		"is asked again":                           {options: ftptest.STUNOptions{See: see, Drop: 1}, requests: 2},
		"answers to other requests do not count":   {options: ftptest.STUNOptions{See: see, Noise: true}, requests: 1},
		"refuses":                                  {options: ftptest.STUNOptions{Refuse: 403}, requests: 1, text: "STUN server 127.0.0.1: it refused with 403 \"why?\""},
		"is silent, which takes its full patience": {options: ftptest.STUNOptions{Silent: true}, requests: 3, text: "no answer from the STUN server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, finding, err := lookupSTUN(t, test.options)
			if server.Requests() < test.requests {
				t.Errorf("asked %d times, want %d", server.Requests(), test.requests)
			}
			if test.text != "" {
				if err == nil || !strings.Contains(err.Error(), test.text) || finding != (Finding{}) {
					t.Errorf("have %+v, %v", finding, err)
				}
				return
			}
			want := Finding{Source: SourceSTUN, Address: outside.Addr(), Port: outside.Port(),
				Detail: "STUN server " + server.Addr.String(), Lifetime: 10 * time.Minute}
			if err != nil || finding != want {
				t.Errorf("have %+v, %v, want %+v", finding, err, want)
			}
		})
	}
}

func TestSTUNFromOneLocalPortShowsWhatTheNATDoesWithPorts(t *testing.T) {
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	local := socket.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	socket.Close()
	var findings []Finding
	for _, shift := range []uint16{0, 1} {
		server := ftptest.NewSTUN(t, ftptest.STUNOptions{See: func(from netip.AddrPort) netip.AddrPort {
			return netip.AddrPortFrom(from.Addr(), from.Port()^shift)
		}})
		source, err := NewSTUN(server.Addr.String(), loopback)
		if err != nil {
			t.Fatal(err)
		}
		finding, err := source.LookupFrom(t.Context(), local)
		if err != nil {
			t.Fatal(err)
		}
		findings = append(findings, finding)
	}
	if got := PortsOf(local, findings[:1]); got != PortsKept {
		t.Errorf("one: %q, %+v", got, findings)
	}
	if got := PortsOf(local, findings); got != PortsPerDestination {
		t.Errorf("both: %q, %+v", got, findings)
	}
}

func TestPortsOf(t *testing.T) {
	for name, test := range map[string]struct {
		seen []uint16
		want Ports
	}{
		"nobody was asked":                        {nil, PortsUnknown},
		"nobody saw a port":                       {[]uint16{0, 0}, PortsUnknown},
		"all saw the local one":                   {[]uint16{50000, 0, 50000}, PortsKept},
		"all saw the same other one":              {[]uint16{40001, 40001}, PortsChanged},
		"each saw another":                        {[]uint16{50966, 8827, 3681}, PortsPerDestination},
		"one saw the local one, by chance or not": {[]uint16{50000, 8827}, PortsPerDestination},
	} {
		var findings []Finding
		for _, port := range test.seen {
			findings = append(findings, Finding{Port: port})
		}
		if got := PortsOf(50000, findings); got != test.want {
			t.Errorf("%s: have %q, want %q", name, got, test.want)
		}
	}
}

func TestSTUNIsAskedInTheVersionOfTheLocalAddress(t *testing.T) {
	source, err := NewSTUN("127.0.0.1", netip.IPv6Loopback())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := source.Lookup(ctx); err == nil || !strings.Contains(err.Error(), "IPv6 address") {
		t.Error(err)
	}
}

func TestANameOfASTUNServerIsLookedUp(t *testing.T) {
	server := ftptest.NewSTUN(t, ftptest.STUNOptions{})
	source, err := NewSTUN(net.JoinHostPort("localhost", strconv.Itoa(int(server.Addr.Port()))), loopback)
	if err != nil {
		t.Fatal(err)
	}
	if finding, err := source.Lookup(t.Context()); err != nil || finding.Address != loopback {
		t.Errorf("have %+v, %v", finding, err)
	}
}
