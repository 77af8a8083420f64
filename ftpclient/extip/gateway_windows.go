package extip

import (
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// readRoutes reads the default gateways; the hardware addresses of neighbours are not asked for.
// What cannot be read is not there.
func readRoutes() ([]route, map[neighbour]string) {
	const flags = windows.GAA_FLAG_INCLUDE_GATEWAYS | windows.GAA_FLAG_SKIP_ANYCAST |
		windows.GAA_FLAG_SKIP_MULTICAST | windows.GAA_FLAG_SKIP_DNS_SERVER
	var first *windows.IpAdapterAddresses
	for size, tries := uint32(15000), 0; first == nil; tries++ {
		buffer := make([]byte, size)
		adapters := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buffer[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, adapters, &size)
		switch {
		case err == nil && size > 0:
			first = adapters
		case errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) && tries < 3 && size > uint32(len(buffer)):
		default:
			return nil, nil
		}
	}
	var routes []route
	for adapter := first; adapter != nil; adapter = adapter.Next {
		if adapter.OperStatus != windows.IfOperStatusUp {
			continue
		}
		for g := adapter.FirstGatewayAddress; g != nil; g = g.Next {
			gateway, ok := netip.AddrFromSlice(g.Address.IP())
			if !ok {
				continue
			}
			gateway = plain(gateway)
			r := route{device: windows.UTF16PtrToString(adapter.FriendlyName), gateway: gateway,
				ipv4: gateway.Is4(), metric: adapter.Ipv6Metric}
			if r.ipv4 {
				r.metric = adapter.Ipv4Metric
			}
			routes = append(routes, r)
		}
	}
	return routes, nil
}
