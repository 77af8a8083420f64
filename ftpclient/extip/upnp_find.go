package extip

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/ipv4"
)

// The services that map ports, best first.
const (
	upnpIP2 = "urn:schemas-upnp-org:service:WANIPConnection:2"
	upnpIP1 = "urn:schemas-upnp-org:service:WANIPConnection:1"
	upnpPPP = "urn:schemas-upnp-org:service:WANPPPConnection:1"
)

var upnpKinds = []string{upnpIP2, upnpIP1, upnpPPP}

// upnpTargets are searched for all at once: a gateway of version 2 need not answer for version 1, and some answer for the device
// only.
var upnpTargets = append(slices.Clone(upnpKinds), "urn:schemas-upnp-org:device:InternetGatewayDevice:1")

const (
	// upnpSearchTime is how long to wait for an answer at all. Devices may take the second that MX gives them.
	upnpSearchTime = 2500 * time.Millisecond
	// upnpKnownTime is how long a description may take that was there before; then the search begins.
	upnpKnownTime = time.Second
	// upnpMostLocations and upnpMostServices bound what a gateway can have us do.
	upnpMostLocations = 4
	upnpMostServices  = 8
)

// upnpRounds are the times between searches, since datagrams get lost.
var upnpRounds = []time.Duration{300 * time.Millisecond, 700 * time.Millisecond, upnpSearchTime}

var upnpGroup = netip.MustParseAddrPort("239.255.255.250:1900")

// upnpService is a service of the gateway that maps ports.
type upnpService struct {
	kind     string // one of upnpKinds
	control  *url.URL
	location string // of the description that it is in
}

// find looks where the gateway was found last, then searches.
func (u *UPnP) find(ctx context.Context) (*upnpService, error) {
	if location := u.Location(); location != "" {
		known, cancel := context.WithTimeout(ctx, upnpKnownTime)
		service, err := u.describe(known, location)
		cancel()
		if err == nil {
			return service, nil
		}
	}
	return u.discover(ctx)
}

// discover searches by SSDP (UPnP Device Architecture 1.1 section 1.3.2) and takes the first answer that leads to
// a usable service. Packets are sent to the gateway itself, too: a host's firewall lets the answer to those in, but rarely the
// answer to a multicast.
func (u *UPnP) discover(ctx context.Context) (*upnpService, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(u.local, 0)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	limited, cancel := context.WithTimeout(ctx, upnpSearchTime)
	defer cancel()
	stop := context.AfterFunc(limited, func() { conn.Close() })
	defer stop()
	if link := interfaceOf(u.local); link != nil {
		// Not fatal, and on Linux the address that the socket is bound to decides anyway.
		_ = ipv4.NewPacketConn(conn).SetMulticastInterface(link)
	}

	reason := fmt.Errorf("%w to a UPnP search", ErrNoGateway)
	seen := map[string]bool{}
	packet := make([]byte, 4096)
	for _, pause := range upnpRounds {
		if err := u.send(conn); err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %w", ErrNoGateway, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(pause)); err != nil {
			break
		}
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				break
			}
			if err != nil {
				continue // Windows reports here that an earlier packet was not wanted
			}
			if from.Addr().Unmap() != u.gateway {
				continue
			}
			location, ok := parseSearchAnswer(packet[:n])
			if !ok || seen[location] || len(seen) == upnpMostLocations {
				continue
			}
			seen[location] = true
			service, err := u.describe(ctx, location)
			if err == nil {
				return service, nil
			}
			reason = err
		}
		if limited.Err() != nil || len(seen) > 0 {
			break // the gateway was heard and is of no use; other answers of its had the rest of the round
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, reason
}

// send sends one packet for each target to each place. It fails if none could be sent.
func (u *UPnP) send(conn *net.UDPConn) error {
	var failure error
	sent := false
	for _, place := range u.places() {
		for _, target := range upnpTargets {
			packet := fmt.Sprintf("M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: %s\r\n\r\n", place, target)
			if _, err := conn.WriteToUDPAddrPort([]byte(packet), place); err != nil {
				failure = cmp.Or(failure, err)
			} else {
				sent = true
			}
		}
	}
	if sent {
		return nil
	}
	return failure
}

// places is where searches are sent to.
func (u *UPnP) places() []netip.AddrPort {
	if u.search.IsValid() {
		return []netip.AddrPort{u.search}
	}
	return []netip.AddrPort{netip.AddrPortFrom(u.gateway, upnpGroup.Port()), upnpGroup}
}

// parseSearchAnswer returns the location in an answer to our search; false for everything else.
func parseSearchAnswer(packet []byte) (location string, ok bool) {
	// Some gateways forget the empty line at the end.
	whole := append(bytes.TrimRight(slices.Clone(packet), "\r\n\x00"), "\r\n\r\n"...)
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(whole)), nil)
	if err != nil {
		return "", false
	}
	response.Body.Close()
	location = strings.TrimSpace(response.Header.Get("Location"))
	target := response.Header.Get("ST")
	wanted := slices.ContainsFunc(upnpTargets, func(t string) bool {
		return strings.HasPrefix(target, strings.TrimRight(t, "12")) // an answer may name another version
	})
	return location, wanted && location != "" && response.StatusCode == http.StatusOK
}

// describe reads the description at a location and returns the service in it that is connected to the outside.
func (u *UPnP) describe(ctx context.Context, location string) (*upnpService, error) {
	place, err := onGateway(location, u.gateway)
	if err != nil {
		return nil, err
	}
	status, body, err := u.exchange(ctx, http.MethodGet, place, http.Header{}, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: HTTP %d", ErrUnsupported, place, status)
	}
	services, err := parseDescription(body, place, u.gateway)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnsupported, place, err)
	}
	return u.choose(ctx, services)
}

// choose returns, of several services, the first that is connected and has an address, else the first that is connected,
// else the first.
func (u *UPnP) choose(ctx context.Context, services []upnpService) (*upnpService, error) {
	if len(services) == 1 {
		return &services[0], nil
	}
	best, rank := &services[0], 0
	for i := range services {
		status, err := u.call(ctx, &services[i], "GetStatusInfo")
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil || status["NewConnectionStatus"] != "Connected" {
			continue
		}
		if _, err := u.external(ctx, &services[i]); err == nil {
			return &services[i], nil
		}
		if rank == 0 {
			best, rank = &services[i], 1
		}
	}
	return best, nil
}

// onGateway parses a URL and refuses it unless it is plain HTTP to the gateway's address, written as an address.
func onGateway(text string, gateway netip.Addr) (*url.URL, error) {
	place, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%w: its location is no URL: %q", ErrUnsupported, printable(text))
	}
	host, err := netip.ParseAddr(place.Hostname())
	if err != nil || host.Unmap() != gateway || place.Scheme != "http" || place.User != nil || place.Opaque != "" {
		return nil, fmt.Errorf("%w: %q does not lead to the gateway %s and is not followed", ErrUnsupported, printable(text), gateway)
	}
	return place, nil
}

// parseDescription returns the services of a device description (UPnP Device Architecture 1.1 section 2.3) that map ports,
// best first, with control URLs that lead to the gateway. It fails if there is none. Where the services stand in the tree
// of devices does not matter; gateways differ in that.
func parseDescription(body []byte, location *url.URL, gateway netip.Addr) ([]upnpService, error) {
	type element struct {
		Kind    string `xml:"serviceType"`
		Control string `xml:"controlURL"`
	}
	var found []element
	base := location
	decoder := newUPnPDecoder(body)
	var failure error
	for failure == nil {
		var token xml.Token
		token, failure = decoder.Token()
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "URLBase":
			var text string
			failure = decoder.DecodeElement(&text, &start)
			// A base elsewhere is the address of before the gateway was renumbered, if not worse.
			if place, err := onGateway(text, gateway); err == nil {
				base = place
			}
		case start.Name.Local == "service":
			var e element
			failure = decoder.DecodeElement(&e, &start)
			if e.Kind = strings.TrimSpace(e.Kind); slices.Contains(upnpKinds, e.Kind) && len(found) < upnpMostServices {
				found = append(found, e)
			}
		}
	}

	reason := errors.New("it describes no service that maps ports; switch UPnP port mapping on in the gateway's settings")
	var services []upnpService
	for _, e := range found {
		control, err := controlURL(base, e.Control, gateway)
		if err != nil {
			reason = err
			continue
		}
		services = append(services, upnpService{kind: e.Kind, control: control, location: location.String()})
	}
	if len(services) == 0 {
		return nil, reason
	}
	slices.SortStableFunc(services, func(a, b upnpService) int {
		return cmp.Compare(slices.Index(upnpKinds, a.kind), slices.Index(upnpKinds, b.kind))
	})
	return services, nil
}

// controlURL resolves a control URL. Against the standard, one without a slash in front starts at the root: that is what
// gateways mean by it, and how all that talk to them read it.
func controlURL(base *url.URL, text string, gateway netip.Addr) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("it names no control URL")
	}
	if !strings.Contains(text, "://") && !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	place, err := base.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("control URL: %w", err)
	}
	return onGateway(place.String(), gateway)
}

// interfaceOf returns the interface that has an address, nil if none has.
func interfaceOf(local netip.Addr) *net.Interface {
	links, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for i := range links {
		addresses, err := links[i].Addrs()
		if err != nil {
			continue
		}
		for _, address := range addresses {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Unmap() == local {
				return &links[i]
			}
		}
	}
	return nil
}
