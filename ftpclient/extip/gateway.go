package extip

import (
	"math"
	"net/netip"
)

// route is a default route.
type route struct {
	device  string
	gateway netip.Addr // plain; the zero Addr on links that have none
	ipv4    bool
	// bits is the length of the prefix: 0, or 1 for one of the two halves of everything that
	// VPNs put above the route that was there before.
	bits   int
	metric uint32
}

// neighbour is a machine on a link.
type neighbour struct {
	device  string
	address netip.Addr // plain
}

// defaultRoute returns the default route of a family: those of the given interface before others,
// the more specific before the others, then the lowest metric, then the first. It is pure.
func defaultRoute(routes []route, device string, ipv4 bool) (route, bool) {
	var best route
	rank := func(r route) uint64 { return uint64(1-min(r.bits, 1))<<32 | uint64(r.metric) }
	bestRank := uint64(math.MaxUint64)
	for _, r := range routes {
		if r.ipv4 != ipv4 {
			continue
		}
		n := rank(r)
		if r.device != device {
			n |= 1 << 40
		}
		if n < bestRank {
			best, bestRank = r, n
		}
	}
	return best, bestRank != math.MaxUint64
}
