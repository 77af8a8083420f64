package extip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// asked is what the answers in the tables are answers to.
var asked = pcpMap{
	nonce:    Nonce{0xea, 0x03, 0x46, 0xf3, 0x25, 0x18, 0xaa, 0x3a, 0x97, 0x57, 0x0f, 0x24},
	internal: netip.MustParseAddrPort("10.9.0.2:50000"),
	external: netip.MustParseAddrPort("0.0.0.0:50000"),
	lifetime: 3600,
}

// askedHeader and askedBody are the MAP request, as miniupnpd 2.3.1 took it.
const (
	askedHeader = "02010000 00000e10 00000000000000000000ffff0a090002"
	askedBody   = "ea0346f32518aa3a97570f24 06000000 c350c350 00000000000000000000ffff00000000"
)

func TestPCPRequestsAsInTheRFC(t *testing.T) {
	renewal, deletion, pinhole, anyPinhole := asked, asked, asked, asked
	renewal.external = netip.MustParseAddrPort("45.45.45.1:50000")
	deletion.external, deletion.lifetime = netip.AddrPort{}, 0
	pinhole.internal, pinhole.external = netip.MustParseAddrPort("[2001:db8::2]:21"), netip.MustParseAddrPort("[2001:db8::2]:22")
	anyPinhole.internal, anyPinhole.external = pinhole.internal, netip.AddrPort{}
	for name, test := range map[string]struct {
		request pcpMap
		want    string
	}{
		"a first mapping":                      {asked, askedHeader + askedBody},
		"a renewal wishes for what it has":     {renewal, askedHeader + "ea0346f32518aa3a97570f24 06000000 c350c350 00000000000000000000ffff2d2d2d01"},
		"a deletion":                           {deletion, "02010000 00000000 00000000000000000000ffff0a090002" + "ea0346f32518aa3a97570f24 06000000 c3500000 00000000000000000000ffff00000000"},
		"a pinhole for IPv6":                   {pinhole, "02010000 00000e10 20010db8000000000000000000000002" + "ea0346f32518aa3a97570f24 06000000 00150016 20010db8000000000000000000000002"},
		"any address is :: where IPv6 is used": {anyPinhole, "02010000 00000e10 20010db8000000000000000000000002" + "ea0346f32518aa3a97570f24 06000000 00150000 00000000000000000000000000000000"},
	} {
		if got := appendPCPMap(nil, test.request); !bytes.Equal(got, fromHex(t, test.want)) {
			t.Errorf("%s:\n have %x\n want %x", name, got, fromHex(t, test.want))
		}
	}
	if got := appendPCPAnnounce(nil, asked.internal.Addr()); !bytes.Equal(got, fromHex(t, "02000000 00000000 00000000000000000000ffff0a090002")) {
		t.Errorf("ANNOUNCE: %x", got)
	}
}

func TestPCPAnswers(t *testing.T) {
	const header = "02810000 00000e10 00005a11 000000000000000000000000"
	const body = "ea0346f32518aa3a97570f24 06000000 c350c350 00000000000000000000ffff2d2d2d01"
	granted := asked
	granted.external, granted.epoch = netip.MustParseAddrPort("45.45.45.1:50000"), 0x5a11
	for name, test := range map[string]struct {
		packet string
		want   pcpMap
		err    error
		text   string
	}{
		"granted, captured from miniupnpd 2.3.1":       {packet: header + body, want: granted},
		"granted with an option behind":                {packet: header + body + "01000000", want: granted},
		"refused, captured from miniupnpd 2.3.1":       {packet: "02810008 0000001e 00005a12 000000000000000000000000" + body, err: ErrRefused, text: "NO_RESOURCES"},
		"refused without a body":                       {packet: "02810003 0000001e 00005a12 000000000000000000000000", err: ErrRefused, text: "MALFORMED_REQUEST"},
		"a nonce of another host":                      {packet: "02810002 0000001e 00005a12 000000000000000000000000" + body, err: ErrRefused, text: "another port may do"},
		"a NAT in between":                             {packet: "0281000c 0000001e 00005a12 000000000000000000000000" + body, err: ErrRefused, text: "another NAT between"},
		"a code of the future":                         {packet: "028100fe 0000001e 00005a12 000000000000000000000000" + body, err: ErrRefused, text: "result 254"},
		"no MAP, but PCP":                              {packet: "02810004 0000001e 00005a12 000000000000000000000000" + body, err: ErrUnsupported, text: "UNSUPP_OPCODE"},
		"another version, said in ours":                {packet: "02810001 0000001e 00005a12 000000000000000000000000", err: ErrUnsupported, text: "UNSUPP_VERSION"},
		"another version, said in it":                  {packet: "01810001 0000001e 00005a12 000000000000000000000000", err: ErrUnsupported, text: "version 1"},
		"NAT-PMP":                                      {packet: "00810001 00005a12", err: ErrUnsupported, text: "NAT-PMP"},
		"a refusal of another's request":               {packet: "02810008 0000001e 00005a12 000000000000000000000000" + strings.Replace(body, "ea", "eb", 1), err: errForeign},
		"another nonce":                                {packet: header + strings.Replace(body, "0f24", "0f25", 1), err: errForeign},
		"another protocol":                             {packet: header + strings.Replace(body, "06000000", "11000000", 1), err: errForeign},
		"another internal port":                        {packet: header + strings.Replace(body, "c350c350", "c351c350", 1), err: errForeign},
		"another operation":                            {packet: "02800000" + header[8:] + body, err: errForeign},
		"a request":                                    {packet: "02010000" + header[8:] + body, err: errForeign},
		"granted without a body":                       {packet: header, err: errForeign},
		"cut short":                                    {packet: header + body[:len(body)-8], err: errForeign},
		"a length that is no multiple of four":         {packet: header + body + "01", err: errForeign},
		"nothing":                                      {packet: "", err: errForeign},
		"an address of IPv6 for a host that has IPv4":  {packet: header + strings.Replace(body, "00000000000000000000ffff2d2d2d01", "20010db8000000000000000000000002", 1), want: withExternal(granted, "[2001:db8::2]:50000")},
		"granted port 0, which Map refuses afterwards": {packet: header + strings.Replace(body, "c350c350", "c3500000", 1), want: withExternal(granted, "45.45.45.1:0")},
	} {
		got, err := parsePCPMap(fromHex(t, test.packet), asked)
		if !errors.Is(err, test.err) || got != test.want || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: have %+v, %v, want %+v, %v %q", name, got, err, test.want, test.err, test.text)
		}
	}
}

func withExternal(m pcpMap, external string) pcpMap {
	m.external = netip.MustParseAddrPort(external)
	return m
}

func TestTheWishForAnExternalPort(t *testing.T) {
	four, six := netip.MustParseAddrPort("10.9.0.2:50000"), netip.MustParseAddrPort("[2001:db8::2]:50000")
	for name, test := range map[string]struct{ internal, external, want netip.AddrPort }{
		"any port for IPv4":                {four, netip.AddrPort{}, netip.AddrPort{}},
		"the wanted one for IPv4":          {four, netip.MustParseAddrPort("45.45.45.1:50001"), netip.MustParseAddrPort("45.45.45.1:50001")},
		"the same as inside for IPv6":      {six, netip.AddrPort{}, netip.AddrPortFrom(netip.Addr{}, 50000)},
		"the wanted one for IPv6":          {six, netip.MustParseAddrPort("[2001:db8::2]:50001"), netip.MustParseAddrPort("[2001:db8::2]:50001")},
		"any port for IPv4 in IPv6's form": {netip.MustParseAddrPort("[::ffff:10.9.0.2]:50000"), netip.AddrPort{}, netip.AddrPort{}},
	} {
		if got := pcpWish(Request{Internal: test.internal, External: test.external}); got != test.want {
			t.Errorf("%s: have %v, want %v", name, got, test.want)
		}
	}
}

func TestLifetimesInSecondsNeverBecomeZero(t *testing.T) {
	for lifetime, want := range map[time.Duration]uint32{
		1: 1, time.Second: 1, 1500 * time.Millisecond: 2, time.Hour: 3600, 1<<63 - 1: 1<<32 - 1,
	} {
		if got := seconds(lifetime); got != want {
			t.Errorf("%v: have %d, want %d", lifetime, got, want)
		}
	}
}

func FuzzPCPAnswer(f *testing.F) {
	header := fromHex(f, "02810000 00000e10 00005a11 000000000000000000000000")
	f.Add(append(header, fromHex(f, askedBody)...))
	f.Add(append(fromHex(f, "02810008 0000001e 00005a12 000000000000000000000000"), fromHex(f, askedBody)...))
	f.Add(fromHex(f, "00810001 00005a12"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		answer, err := parsePCPMap(packet, asked)
		if err != nil {
			if answer != (pcpMap{}) || err.Error() == "" {
				t.Fatalf("an answer beside an error: %+v, %v", answer, err)
			}
			return
		}
		if answer.nonce != asked.nonce || answer.internal != asked.internal || answer.external.Addr().Is4In6() {
			t.Fatalf("taken: %+v", answer)
		}
		// What was taken says the same when it is written again.
		again := appendPCPMap(nil, answer)
		if !bytes.Equal(again[pcpHeaderSize:pcpHeaderSize+13], packet[pcpHeaderSize:pcpHeaderSize+13]) ||
			!bytes.Equal(again[40:60], packet[40:60]) || !bytes.Equal(again[4:8], packet[4:8]) {
			t.Fatalf("have %x\nfrom %x", again, packet)
		}
	})
}
