package extip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kernelOrder writes an IPv4 address as /proc/net/route does.
func kernelOrder(address string) string {
	b := netip.MustParseAddr(address).As4()
	return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[:]))
}

// line4 is a line of /proc/net/route.
func line4(device, destination, gateway, flags string, metric int, mask string) string {
	return strings.Join([]string{device, kernelOrder(destination), kernelOrder(gateway), flags, "0", "0", fmt.Sprint(metric),
		kernelOrder(mask), "0", "0", "0"}, "\t") + "\n"
}

const (
	header4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	any4    = "0.0.0.0"
	none6   = "00000000000000000000000000000000"
)

func TestNetworkOfTables(t *testing.T) {
	links := []link{
		{"lo", netip.MustParsePrefix("127.0.0.1/8")},
		{"eth0", netip.MustParsePrefix("192.168.1.17/24")},
		{"eth0", netip.MustParsePrefix("2001:db8:1::17/64")},
		{"wlan0", netip.MustParsePrefix("192.168.2.9/24")},
		{"ppp0", netip.MustParsePrefix("203.0.113.9/32")},
		{"docker0", netip.MustParsePrefix("172.17.0.1/16")},
	}
	arp := "IP address       HW type     Flags       HW address            Mask     Device\n" +
		"192.168.1.1 0x1 0x2 02:FC:00:00:00:05 * eth0\n" +
		"192.168.2.1 0x1 0x0 00:00:00:00:00:00 * wlan0\n"
	tests := []struct {
		sentence, local string
		routes, routes6 string
		arp             string
		want            string // the key
		err             string
	}{
		{"one default route", "192.168.1.17", line4("eth0", any4, "192.168.1.1", "0003", 0, any4), "", arp,
			"eth0 192.168.1.0/24 192.168.1.1 02:fc:00:00:00:05", ""},
		{"no hardware address as long as the gateway has not answered", "192.168.2.9",
			line4("wlan0", any4, "192.168.2.1", "0003", 0, any4), "", arp, "wlan0 192.168.2.0/24 192.168.2.1", ""},
		{"the lowest metric", "192.168.1.17", line4("eth0", any4, "192.168.1.2", "0003", 200, any4) +
			line4("eth0", any4, "192.168.1.1", "0003", 100, any4), "", "", "eth0 192.168.1.0/24 192.168.1.1", ""},
		{"the interface of the local address before a lower metric", "192.168.2.9", line4("eth0", any4, "192.168.1.1", "0003", 0, any4) +
			line4("wlan0", any4, "192.168.2.1", "0003", 600, any4), "", "", "wlan0 192.168.2.0/24 192.168.2.1", ""},
		{"another interface where that one has no way out", "172.17.0.1", line4("eth0", any4, "192.168.1.1", "0003", 0, any4), "", arp,
			"docker0 172.17.0.0/16 192.168.1.1 02:fc:00:00:00:05", ""},
		{"the half of everything that a VPN takes", "192.168.1.17", line4("eth0", any4, "192.168.1.1", "0003", 0, any4) +
			line4("eth0", any4, "192.168.1.254", "0003", 50, "128.0.0.0"), "", "", "eth0 192.168.1.0/24 192.168.1.254", ""},
		{"a route without gateway", "203.0.113.9", line4("ppp0", any4, any4, "0001", 0, any4), "", arp, "ppp0 203.0.113.9/32", ""},
		{"a route to a network is none", "192.168.1.17", line4("eth0", "10.0.0.0", "192.168.1.1", "0003", 0, "255.0.0.0"), "", arp,
			"eth0 192.168.1.0/24", ""},
		{"neither is one that is down or rejects", "192.168.1.17", line4("eth0", any4, "192.168.1.1", "0002", 0, any4) +
			line4("eth0", any4, "192.168.1.1", "0203", 0, any4), "", arp, "eth0 192.168.1.0/24", ""},
		{"odd lines are left out", "192.168.1.17", "\n \x00\neth0\neth0 x y z 0 0 0 0 0\n" +
			line4("eth0", any4, "192.168.1.1", "zz", 0, any4) + line4("eth0", any4, "192.168.1.1", "0003", -1, any4) +
			"eth0 0000000000 00 0003 0 0 99999999999999999999 00000000 0 0 0\n", "zz\n", "garbage\na b c d e f\n", "eth0 192.168.1.0/24", ""},
		{"IPv4 in IPv6 clothes", "::ffff:192.168.1.17", line4("eth0", any4, "192.168.1.1", "0003", 0, any4), "", "",
			"eth0 192.168.1.0/24 192.168.1.1", ""},
		{"IPv6 has tables of its own", "2001:db8:1::17", line4("eth0", any4, "192.168.1.1", "0003", 0, any4),
			none6 + " 00 " + none6 + " 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n" +
				none6 + " 00 " + none6 + " 00 " + none6 + " ffffffff 00000001 00000000 00200200       lo\n", arp,
			"eth0 2001:db8:1::/64 fe80::1", ""},
		{"an address that is nobody's", "198.51.100.1", "", "", "", "", "no interface has the address 198.51.100.1"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			routes := append(parseRoutes(header4+test.routes), parseRoutes6(test.routes6)...)
			got, err := networkOf(plain(netip.MustParseAddr(test.local)), links, routes, parseNeighbours(test.arp))
			if err != nil && (test.err == "" || !strings.Contains(err.Error(), test.err)) || err == nil && test.err != "" {
				t.Fatalf("error %v, want %q", err, test.err)
			}
			if got.Key() != test.want {
				t.Errorf("got %q, want %q", got.Key(), test.want)
			}
			if got.Gateway.IsLinkLocalUnicast() && got.Gateway.Zone() != "eth0" {
				t.Errorf("%s cannot be reached without its zone", got.Gateway)
			}
		})
	}
}

// TestNetworkOfThisMachine compares with what the kernel does when it sends.
func TestNetworkOfThisMachine(t *testing.T) {
	for _, local := range []string{"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"} {
		got, err := NetworkOf(netip.MustParseAddr(local))
		if err != nil || got.Interface != "lo" || got.Key() == "" || got.Gateway.IsValid() {
			t.Errorf("%s: %+v, %v", local, got, err)
		}
	}
	text, err := os.ReadFile("/proc/net/route")
	if err != nil {
		t.Fatal(err)
	}
	best, ok := defaultRoute(parseRoutes(string(text)), "", true)
	if !ok {
		return // no way out of this machine
	}
	links, err := localLinks()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.device != best.device || !l.address.Addr().Is4() {
			continue
		}
		got, err := NetworkOf(l.address.Addr())
		want := Network{Interface: best.device, Prefix: l.address.Masked(), Gateway: best.gateway, GatewayMAC: got.GatewayMAC}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
}

func FuzzParseRoutes(f *testing.F) {
	f.Add(header4 + line4("eth0", any4, "192.168.1.1", "0003", 0, any4))
	f.Add(none6 + " 00 " + none6 + " 00 " + none6 + " ffffffff 00000001 00000000 00200200       lo\n")
	f.Add("192.168.1.1 0x1 0x2 02:fc:00:00:00:05 * eth0\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range parseRoutes(text) {
			if !r.ipv4 || r.device == "" || r.gateway.IsValid() && !r.gateway.Is4() {
				t.Errorf("%+v", r)
			}
		}
		for _, r := range parseRoutes6(text) {
			if r.ipv4 || r.device == "" || r.gateway.IsValid() && !r.gateway.Is6() {
				t.Errorf("%+v", r)
			}
		}
		for n, hardware := range parseNeighbours(text) {
			if n.device == "" || !n.address.IsValid() || hardware == "" {
				t.Errorf("%+v %q", n, hardware)
			}
		}
	})
}
