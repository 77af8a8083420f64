package extip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

func finding(source, address string) extip.Finding {
	return extip.Finding{Source: source, Address: netip.MustParseAddr(address)}
}

func TestRank(t *testing.T) {
	type findings = []extip.Finding
	stun := func(address string, local, port uint16) extip.Finding {
		return extip.Finding{Source: extip.SourceSTUN, Address: netip.MustParseAddr(address), LocalPort: local, Port: port}
	}
	const inside, outside, other, middle = "10.10.0.2", "203.0.113.2", "203.0.113.3", "10.64.0.2"
	tests := []struct {
		sentence string
		local    string
		findings findings
		address  string // "" is none
		source   string
		nat      extip.NAT
		ports    extip.Ports
		notes    []string // a piece of each note, in order
	}{
		{"nobody knows anything", inside, nil, "", "", extip.NATUnknown, "", []string{"nobody knows a public address"}},
		{"a public local address is taken for ours", outside, nil, outside, extip.SourceInterface, extip.NATNone, "", nil},
		{"the server's view comes before the gateway's", inside,
			findings{finding(extip.SourcePCP, outside), finding(extip.SourceServer, outside)},
			outside, extip.SourceServer, extip.NATSingle, "", nil},
		{"the gateway's comes before STUN's", inside,
			findings{finding(extip.SourceSTUN, outside), finding(extip.SourceUPnP, outside)},
			outside, extip.SourceUPnP, extip.NATSingle, "", nil},
		{"STUN comes before HTTP", inside,
			findings{finding(extip.SourceHTTP, outside), finding(extip.SourceSTUN, outside)},
			outside, extip.SourceSTUN, extip.NATSingle, "", nil},
		{"HTTP comes before nothing", inside, findings{finding(extip.SourceHTTP, outside)},
			outside, extip.SourceHTTP, extip.NATSingle, "", nil},
		{"what is configured comes first", inside,
			findings{finding(extip.SourceServer, outside), finding(extip.SourceConfigured, outside)},
			outside, extip.SourceConfigured, extip.NATSingle, "", nil},
		{"a configured address that the server does not see is warned of", inside,
			findings{finding(extip.SourceServer, outside), finding(extip.SourceConfigured, other)},
			other, extip.SourceConfigured, extip.NATSingle, "",
			[]string{"configured is 203.0.113.3, but the server sees us as 203.0.113.2"}},
		{"a configured address is all that is known", inside, findings{finding(extip.SourceConfigured, outside)},
			outside, extip.SourceConfigured, extip.NATSingle, "", nil},
		{"the server sees what we are: nothing translates", inside, findings{finding(extip.SourceServer, inside)},
			inside, extip.SourceServer, extip.NATNone, "", nil},
		{"a server next door sees what we are, the gateway has an outside all the same", inside,
			findings{finding(extip.SourceServer, inside), finding(extip.SourceNATPMP, outside)},
			inside, extip.SourceServer, extip.NATNone, "", []string{"does not lead through its NAT"}},
		{"a server in a private network sees us by a private address", inside, findings{finding(extip.SourceServer, "10.20.0.7")},
			"10.20.0.7", extip.SourceServer, extip.NATSingle, "", nil},
		{"a public local address that the server sees as another is translated", outside,
			findings{finding(extip.SourceServer, other)}, other, extip.SourceServer, extip.NATSingle, "", nil},
		{"a gateway with a private outside is behind another NAT", inside,
			findings{finding(extip.SourceNATPMP, middle), finding(extip.SourceServer, outside)},
			outside, extip.SourceServer, extip.NATDouble, "",
			[]string{"the gateway (NAT-PMP) says 10.64.0.2, but the server sees us as 203.0.113.2: two NATs"}},
		{"so is one behind a carrier's NAT, with nobody to say what it is outside", inside,
			findings{finding(extip.SourcePCP, "100.64.3.4")}, "", "", extip.NATDouble, "",
			[]string{"not public: two NATs", "nobody knows a public address"}},
		{"a gateway with another public address than the server sees is no use", inside,
			findings{finding(extip.SourcePCP, other), finding(extip.SourceServer, outside)},
			outside, extip.SourceServer, extip.NATDouble, "", []string{"another NAT or another exit"}},
		{"the server sees another exit than STUN", inside,
			findings{finding(extip.SourceSTUN, outside), finding(extip.SourceServer, other)},
			other, extip.SourceServer, extip.NATSeveralExits, "",
			[]string{"the server sees us as 203.0.113.3, but STUN sees us as 203.0.113.2: there are several exits"}},
		{"the server sees another exit than gateway and STUN", inside,
			findings{finding(extip.SourceSTUN, outside), finding(extip.SourcePCP, outside), finding(extip.SourceServer, other)},
			other, extip.SourceServer, extip.NATSeveralExits, "", []string{"another NAT or another exit", "several exits"}},
		{"STUN and HTTP disagree, STUN is taken", inside,
			findings{finding(extip.SourceSTUN, outside), finding(extip.SourceHTTP, other)},
			outside, extip.SourceSTUN, extip.NATSingle, "", []string{"HTTP says 203.0.113.3: 203.0.113.2 is taken"}},
		{"the gateway's protocols disagree", inside,
			findings{finding(extip.SourceUPnP, other), finding(extip.SourcePCP, outside)},
			outside, extip.SourcePCP, extip.NATSingle, "", []string{"PCP says 203.0.113.2, but UPnP says 203.0.113.3"}},
		{"a private STUN view is no public address", inside, findings{finding(extip.SourceSTUN, "10.99.0.1")},
			"", "", extip.NATSingle, "", []string{"nobody knows a public address"}},
		{"the server sees a proxy on its own machine", inside, findings{finding(extip.SourceServer, "127.0.0.1")},
			"", "", extip.NATSingle, "", []string{"a proxy or a tunnel", "nobody knows"}},
		{"loopback is no NAT", "127.0.0.1", findings{finding(extip.SourceServer, "127.0.0.1")},
			"127.0.0.1", extip.SourceServer, extip.NATNone, "", nil},
		{"IPv4 in IPv6 clothes is IPv4", "::ffff:10.10.0.2", findings{finding(extip.SourceServer, "::ffff:203.0.113.2")},
			outside, extip.SourceServer, extip.NATSingle, "", nil},
		{"an echo over the other family says nothing about ours", inside, findings{finding(extip.SourceHTTP, "2001:db8::1")},
			"", "", extip.NATUnknown, "", []string{"nobody knows"}},
		{"but a server may be beyond a translation of families", "2001:db8::1", findings{finding(extip.SourceServer, outside)},
			outside, extip.SourceServer, extip.NATSingle, "", nil},
		{"IPv6 needs no NAT", "2001:db8::1", findings{finding(extip.SourceServer, "2001:db8::1")},
			"2001:db8::1", extip.SourceServer, extip.NATNone, "", nil},
		{"the port is kept", inside, findings{stun(outside, 50000, 50000)},
			outside, extip.SourceSTUN, extip.NATSingle, extip.PortsKept, nil},
		{"the port is changed", inside, findings{stun(outside, 50000, 61234), stun(outside, 50000, 61234)},
			outside, extip.SourceSTUN, extip.NATSingle, extip.PortsChanged, []string{"does not keep ports"}},
		{"the port is another one for each STUN server", inside, findings{stun(outside, 50000, 50966), stun(outside, 50000, 8827)},
			outside, extip.SourceSTUN, extip.NATSingle, extip.PortsPerDestination, []string{"hole punching is pointless"}},
		{"one port is kept and another one changed", inside, findings{stun(outside, 50000, 50000), stun(outside, 50001, 8827)},
			outside, extip.SourceSTUN, extip.NATSingle, extip.PortsChanged, []string{"does not keep ports"}},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got := extip.Rank(netip.MustParseAddr(test.local), test.findings)
			want, _ := netip.ParseAddr(test.address)
			if got.Address != want || got.Source != test.source {
				t.Errorf("address %v by %q, want %q by %q", got.Address, got.Source, test.address, test.source)
			}
			if got.NAT != test.nat || got.Ports != test.ports {
				t.Errorf("NAT %q, ports %q; want %q, %q", got.NAT, got.Ports, test.nat, test.ports)
			}
			if len(got.Notes) != len(test.notes) {
				t.Fatalf("notes %q, want %q", got.Notes, test.notes)
			}
			for i, piece := range test.notes {
				if !strings.Contains(got.Notes[i], piece) {
					t.Errorf("note %q lacks %q", got.Notes[i], piece)
				}
			}
		})
	}
}
