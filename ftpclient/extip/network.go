package extip

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// loopbackName is what the network is called that does not leave the machine, on every system.
const loopbackName = "lo"

// Network tells networks apart: what worked in one need not work in another.
type Network struct {
	Interface string
	// Prefix is the zero Prefix where the interface has none.
	Prefix netip.Prefix
	// Gateway is the default gateway, with its zone if it is link-local; the zero Addr if there
	// is none: on loopback, on point-to-point links, or where this system does not tell.
	Gateway netip.Addr
	// GatewayMAC is "" where it cannot be seen.
	GatewayMAC string
}

// Key is short and the same for the same network, whatever address this machine got in it;
// "" when nothing is known about it. Two networks with the same private addresses differ by
// the hardware address of their routers, where that can be seen.
func (n Network) Key() string {
	var parts []string
	if n.Interface != "" {
		parts = append(parts, n.Interface)
	}
	if n.Prefix.IsValid() {
		parts = append(parts, n.Prefix.Masked().String())
	}
	if n.Gateway.IsValid() {
		parts = append(parts, n.Gateway.WithZone("").String())
	}
	if n.GatewayMAC != "" {
		parts = append(parts, n.GatewayMAC)
	}
	return strings.Join(parts, " ")
}

// same is equality of what is known of both: a gateway that was silent so far has no hardware address yet.
func (n Network) same(other Network) bool {
	if n.GatewayMAC == "" || other.GatewayMAC == "" {
		n.GatewayMAC, other.GatewayMAC = "", ""
	}
	return n == other
}

// NetworkOf returns the network that connections from the local address leave by. The error is
// about an address that this machine does not have.
func NetworkOf(local netip.Addr) (Network, error) {
	local = plain(local)
	if local.IsLoopback() {
		return loopbackNetwork(local), nil
	}
	links, err := localLinks()
	if err != nil {
		return Network{}, fmt.Errorf("local addresses: %w", err)
	}
	routes, hardware := readRoutes()
	return networkOf(local, links, routes, hardware)
}

func loopbackNetwork(local netip.Addr) Network {
	bits := 8
	if local.Is6() {
		bits = 128
	}
	return Network{Interface: loopbackName, Prefix: netip.PrefixFrom(local, bits).Masked()}
}

// link is an interface with one of its addresses.
type link struct {
	device  string
	address netip.Prefix // not masked
}

func localLinks() ([]link, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var links []link
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue // it went away just now
		}
		for _, a := range addresses {
			// A prefix of net.IPNet has no zone, and ParsePrefix takes none.
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				links = append(links, link{i.Name, prefix})
			}
		}
	}
	return links, nil
}

// networkOf is pure. hardware is the hardware addresses of the neighbours.
func networkOf(local netip.Addr, links []link, routes []route, hardware map[neighbour]string) (Network, error) {
	for _, l := range links {
		if plain(l.address.Addr()) != local {
			continue
		}
		network := Network{Interface: l.device, Prefix: l.address.Masked()}
		chosen, ok := defaultRoute(routes, l.device, local.Is4())
		if !ok || !chosen.gateway.IsValid() {
			return network, nil
		}
		network.Gateway = chosen.gateway
		if chosen.gateway.IsLinkLocalUnicast() && chosen.gateway.Is6() {
			network.Gateway = chosen.gateway.WithZone(chosen.device)
		}
		network.GatewayMAC = hardware[neighbour{chosen.device, chosen.gateway}]
		return network, nil
	}
	return Network{}, fmt.Errorf("no interface has the address %s", local)
}
