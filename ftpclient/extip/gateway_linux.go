package extip

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// readRoutes reads the default routes and the hardware addresses of neighbours. What cannot be
// read is not there.
func readRoutes() ([]route, map[neighbour]string) {
	read := func(name string) string {
		text, err := os.ReadFile("/proc/net/" + name)
		if err != nil {
			return ""
		}
		return string(text)
	}
	routes := append(parseRoutes(read("route")), parseRoutes6(read("ipv6_route"))...)
	return routes, parseNeighbours(read("arp"))
}

// Flags of routes and neighbours (linux/route.h, linux/if_arp.h).
const (
	routeUp       = 0x1
	routeGateway  = 0x2
	routeReject   = 0x200
	neighbourDone = 0x2
)

// parseRoutes reads /proc/net/route. Lines that it does not understand are left out.
func parseRoutes(text string) []route {
	var routes []route
	for fields := range fieldsOfLines(text) {
		if len(fields) < 8 {
			continue
		}
		destination, err1 := parseHexAddr4(fields[1])
		gateway, err2 := parseHexAddr4(fields[2])
		flags, err3 := strconv.ParseUint(fields[3], 16, 32)
		metric, err4 := strconv.ParseUint(fields[6], 10, 32)
		mask, err5 := parseHexAddr4(fields[7])
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil {
			continue
		}
		bits := 0
		if mask == netip.AddrFrom4([4]byte{128}) {
			bits = 1
		} else if !mask.IsUnspecified() {
			continue
		}
		if !destination.IsUnspecified() || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		r := route{device: fields[0], ipv4: true, bits: bits, metric: uint32(metric)}
		if flags&routeGateway != 0 {
			r.gateway = gateway
		}
		routes = append(routes, r)
	}
	return routes
}

// parseRoutes6 reads /proc/net/ipv6_route. Lines that it does not understand are left out.
func parseRoutes6(text string) []route {
	var routes []route
	for fields := range fieldsOfLines(text) {
		if len(fields) < 10 || fields[1] != "00" && fields[1] != "01" {
			continue
		}
		destination, err1 := parseHexAddr6(fields[0])
		gateway, err2 := parseHexAddr6(fields[4])
		metric, err3 := strconv.ParseUint(fields[5], 16, 32)
		flags, err4 := strconv.ParseUint(fields[8], 16, 32)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			continue
		}
		// A source prefix other than none is a rule of its own.
		if !destination.IsUnspecified() || flags&routeUp == 0 || flags&routeReject != 0 || fields[3] != "00" {
			continue
		}
		r := route{device: fields[9], bits: int(fields[1][1] - '0'), metric: uint32(metric)}
		if flags&routeGateway != 0 {
			r.gateway = gateway
		}
		routes = append(routes, r)
	}
	return routes
}

// parseNeighbours reads the hardware addresses in /proc/net/arp, where they are complete.
func parseNeighbours(text string) map[neighbour]string {
	neighbours := map[neighbour]string{}
	for fields := range fieldsOfLines(text) {
		if len(fields) < 6 {
			continue
		}
		address, err1 := netip.ParseAddr(fields[0])
		flags, err2 := strconv.ParseUint(strings.TrimPrefix(fields[2], "0x"), 16, 32)
		hardware, err3 := net.ParseMAC(fields[3])
		if err1 == nil && err2 == nil && err3 == nil && flags&neighbourDone != 0 {
			neighbours[neighbour{fields[5], plain(address)}] = hardware.String()
		}
	}
	return neighbours
}

func fieldsOfLines(text string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
			if !yield(strings.Fields(lines.Text())) {
				return
			}
		}
	}
}

// parseHexAddr4 reads an address that the kernel wrote as a number of its own byte order.
func parseHexAddr4(text string) (netip.Addr, error) {
	number, err := strconv.ParseUint(text, 16, 32)
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(number))
	return netip.AddrFrom4(b), err
}

func parseHexAddr6(text string) (netip.Addr, error) {
	b, err := hex.DecodeString(text)
	address, ok := netip.AddrFromSlice(b)
	if err == nil && (!ok || !address.Is6()) {
		err = strconv.ErrSyntax
	}
	return address, err
}
