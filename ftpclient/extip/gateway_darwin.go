package extip

import (
	"net"
	"net/netip"
	"syscall"

	bsdroute "golang.org/x/net/route"
)

// readRoutes reads the default routes and the hardware addresses of neighbours, which are in the same
// table. What cannot be read is not there.
func readRoutes() ([]route, map[neighbour]string) {
	neighbours := map[neighbour]string{}
	table, err := bsdroute.FetchRIB(syscall.AF_UNSPEC, bsdroute.RIBTypeRoute, 0)
	if err != nil {
		return nil, neighbours
	}
	messages, err := bsdroute.ParseRIB(bsdroute.RIBTypeRoute, table)
	if err != nil {
		return nil, neighbours
	}
	var routes []route
	for i, m := range messages {
		message, ok := m.(*bsdroute.RouteMessage)
		if !ok || message.Flags&syscall.RTF_UP == 0 || len(message.Addrs) <= syscall.RTAX_GATEWAY {
			continue
		}
		destination := addressOf(message.Addrs[syscall.RTAX_DST])
		if hardware, ok := message.Addrs[syscall.RTAX_GATEWAY].(*bsdroute.LinkAddr); ok && len(hardware.Addr) > 0 {
			if device, err := net.InterfaceByIndex(message.Index); err == nil {
				neighbours[neighbour{device.Name, destination}] = net.HardwareAddr(hardware.Addr).String()
			}
			continue
		}
		if !destination.IsUnspecified() || message.Flags&(syscall.RTF_REJECT|syscall.RTF_HOST) != 0 {
			continue
		}
		bits := 0
		if len(message.Addrs) > syscall.RTAX_NETMASK {
			mask := addressOf(message.Addrs[syscall.RTAX_NETMASK])
			if mask == netip.AddrFrom4([4]byte{128}) || mask == netip.AddrFrom16([16]byte{128}) {
				bits = 1
			} else if mask.IsValid() && !mask.IsUnspecified() {
				continue
			}
		}
		device, err := net.InterfaceByIndex(message.Index)
		if err != nil {
			continue // it went away just now
		}
		// There are no metrics: the order of the table is the order of the services.
		r := route{device: device.Name, ipv4: destination.Is4(), bits: bits, metric: uint32(i)}
		if message.Flags&syscall.RTF_GATEWAY != 0 {
			r.gateway = addressOf(message.Addrs[syscall.RTAX_GATEWAY])
		}
		routes = append(routes, r)
	}
	return routes, neighbours
}

func addressOf(a bsdroute.Addr) netip.Addr {
	switch a := a.(type) {
	case *bsdroute.Inet4Addr:
		return netip.AddrFrom4(a.IP)
	case *bsdroute.Inet6Addr:
		ip := a.IP
		if address := netip.AddrFrom16(ip); address.IsLinkLocalUnicast() {
			ip[2], ip[3] = 0, 0 // where the kernel keeps the number of the interface
		}
		return netip.AddrFrom16(ip)
	}
	return netip.Addr{}
}
