package config

import (
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

const (
	// leastActivePort: servers do not connect to lower ones, where other services live (RFC 2577 section 3).
	leastActivePort = 1024
	stunPort        = "3478" // RFC 8489 section 14
)

// The words of data_peer; everything else in it is an address.
const (
	peerControl = "control"
	peerAny     = "any"
)

// activeKeys are all that mean nothing with passive connections alone.
var activeKeys = []string{"active_ports", "announced_ports", "external_ip", "hole_punch"}

// data checks each key of the table by itself.
func (l *loader) data(at key, file rawData) Data {
	data := Data{
		Mode:           DataMode(file.Mode),
		ActivePorts:    l.ports(at.child("active_ports"), file.ActivePorts),
		AnnouncedPorts: l.ports(at.child("announced_ports"), file.AnnouncedPorts),
		ExternalIP:     l.externalIP(at.child("external_ip"), file.ExternalIP),
		PASVAddress:    PASVAddress(file.PASVAddress),
		Peers:          l.peers(at.child("data_peer"), file.DataPeer),
		HolePunch:      file.HolePunch,
	}
	switch active, announced := data.ActivePorts, data.AnnouncedPorts; {
	case announced == PortRange{}:
	case file.ActivePorts == "":
		l.fail(at.child("announced_ports"), "needs active_ports: the ports of this machine that they are forwarded to, one for one")
	case active != PortRange{} && announced.Last-announced.First != active.Last-active.First:
		l.fail(at.child("announced_ports"), "%q and active_ports %q are not of one size: they are forwarded one for one",
			file.AnnouncedPorts, file.ActivePorts)
	}
	if file.HolePunch && runtime.GOOS != "linux" {
		l.fail(at.child("hole_punch"), "works on Linux only: remove the line")
	}
	return data
}

// ports returns the zero range for "" and for a wrong one.
func (l *loader) ports(at key, text string) PortRange {
	if text == "" {
		return PortRange{}
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, okFirst := parsePort(strings.TrimSpace(low))
	last, okLast := parsePort(strings.TrimSpace(high))
	if !okFirst || !okLast || first > last {
		l.fail(at, `%q is not a range of ports: write "50000-50010", or one port, each 1024 to 65535 and the smaller first`, text)
		return PortRange{}
	}
	if first < leastActivePort {
		l.fail(at, `%q begins below 1024, where servers do not connect to: write higher ones, such as "50000-50010"`, text)
		return PortRange{}
	}
	return PortRange{first, last}
}

func (l *loader) externalIP(at key, text string) netip.Addr {
	if text == "" || text == "auto" {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() {
		l.fail(at, `%q is not an IP address that a server could connect to: write one such as "198.51.100.7", or "auto"`, text)
		return netip.Addr{}
	}
	return address.Unmap()
}

// peers returns nil for the server alone.
func (l *loader) peers(at key, file []string) []netip.Prefix {
	const forms = `write "control", "any", or a list of addresses and networks, such as ["198.51.100.7", "2001:db8::/64"]`
	switch {
	case len(file) == 0:
		l.fail(at, "is empty: %s", forms)
		return nil
	case len(file) == 1 && file[0] == peerControl:
		return nil
	case len(file) == 1 && file[0] == peerAny:
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	var peers []netip.Prefix
	for _, text := range file {
		if text == peerControl || text == peerAny {
			l.fail(at, "%q stands alone: %s", text, forms)
			continue
		}
		peer, ok := parsePeer(text)
		switch {
		case !ok:
			l.fail(at, "%q is neither an IP address nor a network: %s", text, forms)
		case peer != peer.Masked():
			l.fail(at, "%q has bits beyond its mask: write %q for the network, or the address without the mask", text, peer.Masked())
		default:
			peers = append(peers, peer)
		}
	}
	return peers
}

// parsePeer reads an address or a network.
func parsePeer(text string) (netip.Prefix, bool) {
	if peer, err := netip.ParsePrefix(text); err == nil {
		return peer, !peer.Addr().Is4In6()
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, false
	}
	address = address.Unmap()
	return netip.PrefixFrom(address, address.BitLen()), true
}

// checkData warns of keys that stand in the file without having an effect, or not the one that is likely meant.
func (l *loader) checkData(at key, server *Server) {
	if server.Data.Mode == DataPassive {
		for _, name := range activeKeys {
			if l.stands(at.child(name)) {
				l.warn(at.child(name), `has no effect with mode = "passive"`)
			}
		}
		if len(server.Data.Peers) > 0 && server.Data.PASVAddress == PASVControl {
			l.warn(at.child("data_peer"), `has no effect with mode = "passive" and pasv_address = "control"`)
		}
		return
	}
	external := server.Data.ExternalIP
	host, _ := netip.ParseAddrPort(server.Address)
	if external.IsValid() && extip.Private(external) && !(host.IsValid() && extip.Private(host.Addr())) {
		l.warn(at.child("external_ip"), `%s is no public address: only a server in the same private network can connect to it; `+
			`behind NAT write the public one, or "auto"`, external)
	}
}

// checkProxied refuses what makes a server connect to this machine, which it cannot through a proxy.
func (l *loader) checkProxied(at key, file rawData) {
	const reason = "with a proxy the server cannot connect to this machine"
	if file.Mode == string(DataActive) {
		l.fail(at.child("mode"), `%s: write "passive", or remove proxy`, reason)
	}
	for _, option := range []struct {
		name string
		set  bool
	}{
		{"active_ports", file.ActivePorts != ""},
		{"announced_ports", file.AnnouncedPorts != ""},
		{"external_ip", file.ExternalIP != "" && file.ExternalIP != "auto"},
		{"data_peer", !slices.Equal(file.DataPeer, stringOrList{peerControl})},
		{"hole_punch", file.HolePunch},
	} {
		if option.set {
			l.fail(at.child(option.name), "%s: remove %s, or proxy", reason, option.name)
		}
	}
}

func (l *loader) addressSources(at key, file rawAddressSources) AddressSources {
	sources := AddressSources{Gateway: file.Gateway}
	for _, text := range file.STUN {
		address, err := parseAddress(text, stunPort)
		if err != nil {
			l.fail(at.child("stun"), `%q is not a STUN server: write HOST or HOST:PORT, such as "stun.example.com:3478"`, text)
			continue
		}
		sources.STUN = append(sources.STUN, address)
	}
	for _, text := range file.HTTPS {
		if problem := checkEcho(text); problem != "" {
			l.fail(at.child("https"), "%s", problem)
			continue
		}
		sources.HTTPS = append(sources.HTTPS, text)
	}
	return sources
}

// checkEcho returns what is wrong with the URL of a service that tells the caller's address, or "".
func checkEcho(text string) string {
	const form = `write a URL such as "https://ip.example.com/"`
	parsed, err := url.Parse(text)
	switch {
	case err != nil || hasControl(text) || parsed.Host == "":
		return "holds something that is no URL: " + form
	case parsed.User != nil:
		return "holds a URL with a user in it, which nobody would be told: " + form
	case parsed.Scheme != "https":
		return "holds a URL that is not https, so that anybody on the way could forge the answer: " + form
	case parsed.Fragment != "":
		return "holds a URL with a #, which is never sent: " + form
	}
	if _, err := netip.ParseAddr(parsed.Hostname()); err != nil && !isHost(parsed.Hostname()) {
		return "holds a URL without a host name or IP address: " + form
	}
	if _, ok := parsePort(parsed.Port()); parsed.Port() != "" && !ok {
		return "holds a URL with a port that is not a number from 1 to 65535: " + form
	}
	return ""
}
