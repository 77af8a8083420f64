package extip

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// upnpPatience is how long one operation may take with all its questions and answers; the search alone may take
	// upnpSearchTime of it.
	upnpPatience = 10 * time.Second
	// upnpName begins the description of our mappings in a gateway's list.
	upnpName = "ftpferry "
	// upnpLongest is the longest lease that IGD 2 knows (WANIPConnection:2 section 2.3.16).
	upnpLongest = 604800
	// upnpTries is how many external ports are tried before a gateway is believed to have none for us.
	upnpTries = 5
	// firstDynamicPort is where the ports begin that nobody has registered (RFC 6335 section 6).
	firstDynamicPort = 49152
)

// UPnP opens ports of a gateway that speaks UPnP IGD, version 1 or 2. It talks to the default gateway's address and to no
// other: an answer, a location or a control URL that leads elsewhere is not followed, since anybody in the local network can
// answer a search. It is safe for concurrent use; the gateway is asked one thing at a time, as many can do no better.
//
// The external port is taken over from the request, or from the internal port, unless it belongs to somebody else, another
// program on this machine included, which may be one of this kind with another Nonce. A gateway that knows only mappings for good gets one, and the Mapping says so
// (Lifetime 0); such a mapping outlives this process if Unmap is not called.
type UPnP struct {
	gateway, local netip.Addr
	search         netip.AddrPort
	client         *http.Client
	location       atomic.Pointer[string]

	turn    chan struct{}             // holds a token while somebody talks to the gateway and uses what is below
	service *upnpService              // nil until found
	granted map[uint16]netip.AddrPort // by external port: the mappings that were granted to us
}

// NewUPnP returns a Mapper for the default gateway, reached from the local address, both IPv4. location is the URL of
// the gateway's description as Location told it in an earlier life, or "". search is where to look for the gateway; the zero
// AddrPort is port 1900 of the gateway and of the multicast group of UPnP.
func NewUPnP(gateway, local netip.Addr, location string, search netip.AddrPort) *UPnP {
	u := &UPnP{
		gateway: gateway.Unmap(), local: local.Unmap(), search: search,
		turn: make(chan struct{}, 1), granted: map[uint16]netip.AddrPort{},
	}
	u.client = upnpClient(u.gateway, u.local)
	u.location.Store(&location)
	return u
}

// Name is SourceUPnP.
func (u *UPnP) Name() string { return SourceUPnP }

// Location returns the URL of the gateway's description once it was found, else what NewUPnP was given.
func (u *UPnP) Location() string { return *u.location.Load() }

// Lookup asks the gateway for its external address.
func (u *UPnP) Lookup(ctx context.Context) (Finding, error) {
	var address netip.Addr
	err := u.converse(ctx, func(ctx context.Context, s *upnpService) (err error) {
		address, err = u.external(ctx, s)
		return err
	})
	if err != nil {
		return Finding{}, fmt.Errorf("UPnP: %w", err)
	}
	return Finding{
		Source: SourceUPnP, Address: address, Detail: "gateway " + u.gateway.String(), Lifetime: upnpBelieved,
	}, nil
}

// upnpBelieved is how long the gateway's word about its address is good for: nothing tells us of a change.
const upnpBelieved = 10 * time.Minute

// Map opens or renews a mapping. The internal address has to be the local one that NewUPnP was given.
func (u *UPnP) Map(ctx context.Context, request Request) (Mapping, error) {
	internal := netip.AddrPortFrom(request.Internal.Addr().Unmap(), request.Internal.Port())
	if internal.Addr() != u.local || internal.Port() == 0 {
		return Mapping{}, fmt.Errorf("UPnP: a mapping to %s was asked for from %s: a gateway maps to who asks", internal, u.local)
	}
	var mapping Mapping
	err := u.converse(ctx, func(ctx context.Context, s *upnpService) error {
		// Without an address the gateway has no way out, and what it grants is worth nothing.
		address, err := u.external(ctx, s)
		if err != nil {
			return err
		}
		port, lifetime, err := u.open(ctx, s, upnpWish{internal, upnpDescription(request.Nonce), leaseSeconds(request.Lifetime)},
			request.External.Port())
		if err != nil {
			return err
		}
		u.granted[port] = internal
		mapping = Mapping{
			Protocol: SourceUPnP, Gateway: u.gateway, Internal: internal, External: netip.AddrPortFrom(address, port),
			Nonce: request.Nonce, Granted: time.Now(), Lifetime: lifetime,
		}
		return nil
	})
	if err != nil {
		return Mapping{}, fmt.Errorf("UPnP: %w", err)
	}
	return mapping, nil
}

// Unmap takes back a mapping that Map returned, in this process or in an earlier one. If the port is somebody else's by
// now, it is left as it is; that is no error.
func (u *UPnP) Unmap(ctx context.Context, mapping Mapping) error {
	if mapping.Protocol != SourceUPnP {
		return fmt.Errorf("UPnP: a mapping of %s cannot be taken back by UPnP", mapping.Protocol)
	}
	err := u.converse(ctx, func(ctx context.Context, s *upnpService) error {
		port := mapping.External.Port()
		entry, err := u.entry(ctx, s, port)
		switch {
		case upnpCode(err) == 714, upnpCode(err) == 606,
			err == nil && !entry.madeFor(mapping.Internal, upnpDescription(mapping.Nonce), true):
			delete(u.granted, port)
			return nil
		case err != nil && upnpCode(err) == 0:
			return err
		}
		_, err = u.call(ctx, s, "DeletePortMapping", portArguments(port)...)
		if err == nil || upnpCode(err) == 714 {
			delete(u.granted, port)
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("UPnP: %w", err)
	}
	return nil
}

// converse waits for its turn, finds the gateway's service and has work use it. If the service was known from before and
// failed otherwise than by a reasoned refusal, it is looked for once more: gateways restart on another port, and
// change over to another uplink.
func (u *UPnP) converse(ctx context.Context, work func(context.Context, *upnpService) error) error {
	if !u.gateway.Is4() || !u.local.Is4() {
		return fmt.Errorf("%w: UPnP maps IPv4 ports only (gateway %s, local address %s)", ErrUnsupported, u.gateway, u.local)
	}
	limited, cancel := context.WithTimeout(ctx, upnpPatience)
	defer cancel()
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-limited.Done():
		return cmp.Or(context.Cause(ctx), fmt.Errorf("%w to what it was asked before", ErrNoGateway))
	}
	for {
		known := u.service != nil
		err := u.attempt(limited, work)
		if err == nil || upnpCode(err) != 0 {
			return err
		}
		u.service = nil
		if ctx.Err() != nil {
			return context.Cause(ctx) // which says nothing about the gateway
		}
		if !known || limited.Err() != nil {
			return err
		}
	}
}

func (u *UPnP) attempt(ctx context.Context, work func(context.Context, *upnpService) error) error {
	if u.service == nil {
		service, err := u.find(ctx)
		if err != nil {
			return err
		}
		u.service = service
		u.location.Store(&service.location)
	}
	return work(ctx, u.service)
}

// external asks for the gateway's external address.
func (u *UPnP) external(ctx context.Context, s *upnpService) (netip.Addr, error) {
	answer, err := u.call(ctx, s, "GetExternalIPAddress")
	if err != nil {
		return netip.Addr{}, err
	}
	text := answer["NewExternalIPAddress"]
	// Without an uplink gateways say "" or 0.0.0.0, and miniupnpd says "" too when the address is a private one.
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() || address.IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("%w: it names no external address (%q): its uplink is down, or there is another NAT behind it",
			ErrRefused, printable(text))
	}
	return address, nil
}

// upnpWish is a mapping that is wanted, at whatever external port.
type upnpWish struct {
	internal    netip.AddrPort
	description string
	seconds     uint32 // 0 is for good
}

// upnpDescription tells the mappings of one agent from those of others, which may run on the same machine. It holds a hash,
// since everybody in the local network can read it and a Nonce is a secret.
func upnpDescription(nonce Nonce) string {
	sum := sha256.Sum256(nonce[:])
	return upnpName + hex.EncodeToString(sum[:4])
}

// open adds a mapping, at the wanted external port if that can be, and returns the port and the lifetime.
func (u *UPnP) open(ctx context.Context, s *upnpService, wish upnpWish, wanted uint16) (uint16, time.Duration, error) {
	internal := wish.internal
	if wanted == 0 {
		wanted = internal.Port()
	}
	var refusal error
	inner := false // whether the port of the same number outside was tried
	for port, tries := wanted, 0; tries < upnpTries; tries++ {
		inner = inner || port == internal.Port()
		granted, lifetime, err := u.add(ctx, s, wish, port)
		switch code := upnpCode(err); {
		case wish.seconds != 0 && (code == 725 || code == 402):
			// OnlyPermanentLeasesSupported; gateways that do not know leases may find the argument invalid instead.
			wish.seconds = 0
		case code == 718 || code == 729: // ConflictInMappingEntry, ConflictWithOtherMechanisms
			port = firstDynamicPort + uint16(rand.IntN(1<<16-firstDynamicPort))
		case code == 724 && !inner: // SamePortValuesRequired
			port = internal.Port()
		default:
			return granted, lifetime, err
		}
		refusal = err
	}
	return 0, 0, refusal
}

// add makes one attempt at one port. It asks first who has it: a gateway refuses to give a port to two machines, but lets
// one machine overwrite its own mappings, which may be another program's.
func (u *UPnP) add(ctx context.Context, s *upnpService, wish upnpWish, port uint16) (uint16, time.Duration, error) {
	internal, seconds := wish.internal, wish.seconds
	existing, err := u.entry(ctx, s, port)
	ours := err == nil && existing.madeFor(internal, wish.description, u.granted[port] == internal)
	switch {
	case err == nil && !ours, upnpCode(err) == 606: // IGD 2 hides the mappings of others
		return 0, 0, conflict(port, existing)
	case err != nil && upnpCode(err) == 0:
		return 0, 0, err
	} // other codes mean that the port is free (714), or that the gateway does not tell

	arguments := append(portArguments(port),
		upnpArgument{"NewInternalPort", strconv.Itoa(int(internal.Port()))},
		upnpArgument{"NewInternalClient", internal.Addr().String()},
		upnpArgument{"NewEnabled", "1"},
		upnpArgument{"NewPortMappingDescription", wish.description},
		upnpArgument{"NewLeaseDuration", strconv.FormatUint(uint64(seconds), 10)})
	if granted, done, err := u.addAny(ctx, s, ours, arguments); done {
		port = granted
		if err != nil {
			return 0, 0, err
		}
	} else if _, err := u.call(ctx, s, "AddPortMapping", arguments...); err != nil {
		return 0, 0, err
	}

	// What was granted is in the gateway's table; the answer to the request does not say. A lifetime of 0 is not
	// believed, since there are gateways that always say so; nor does it matter if the gateway does not tell.
	if existing, err = u.entry(ctx, s, port); err == nil {
		if existing.client != internal {
			return 0, 0, conflict(port, existing)
		}
		if existing.seconds > 0 && (seconds == 0 || existing.seconds < seconds) {
			seconds = existing.seconds
		}
	}
	return port, time.Duration(seconds) * time.Second, nil
}

// conflict is what a gateway says, or should, when a port is taken.
func conflict(port uint16, by upnpEntry) error {
	description := fmt.Sprintf("external port %d is taken", port)
	if by.client.IsValid() {
		description += " by " + by.client.String()
	}
	return &upnpFault{action: "AddPortMapping", code: 718, description: description}
}

// addAny lets a gateway of version 2 choose another port if the one in the arguments is taken. It is done for new
// mappings only, and not done if the gateway does not know how.
func (u *UPnP) addAny(ctx context.Context, s *upnpService, renewal bool, arguments []upnpArgument) (port uint16, done bool, err error) {
	if renewal || s.kind != upnpIP2 {
		return 0, false, nil
	}
	answer, err := u.call(ctx, s, "AddAnyPortMapping", arguments...)
	if errors.Is(err, ErrUnsupported) {
		return 0, false, nil
	}
	if err != nil {
		return 0, true, err
	}
	number, err := strconv.ParseUint(answer["NewReservedPort"], 10, 16)
	if err != nil || number == 0 {
		return 0, true, fmt.Errorf("%w: AddAnyPortMapping reserved port %q", ErrUnsupported, printable(answer["NewReservedPort"]))
	}
	return uint16(number), true, nil
}

// upnpEntry is a line of the gateway's table of mappings.
type upnpEntry struct {
	client      netip.AddrPort // the zero AddrPort if it is a name or nonsense, which is nobody we know
	description string
	seconds     uint32
}

// madeFor reports whether an agent that calls its mappings by this description has made the entry for the internal address.
// There are gateways that keep no descriptions: what they have granted is known by the address, as long as no other agent
// claims it.
func (e upnpEntry) madeFor(internal netip.AddrPort, description string, granted bool) bool {
	return e.client == internal && (e.description == description || granted && !strings.HasPrefix(e.description, upnpName))
}

// entry asks who has an external TCP port. The error has the code 714 if nobody has.
func (u *UPnP) entry(ctx context.Context, s *upnpService, port uint16) (upnpEntry, error) {
	answer, err := u.call(ctx, s, "GetSpecificPortMappingEntry", portArguments(port)...)
	if err != nil {
		return upnpEntry{}, err
	}
	client := answer["NewInternalClient"]
	number, _ := strconv.ParseUint(answer["NewInternalPort"], 10, 16)
	if client == "" && number == 0 {
		return upnpEntry{}, &upnpFault{action: "GetSpecificPortMappingEntry", code: 714}
	}
	e := upnpEntry{description: answer["NewPortMappingDescription"]}
	if address, err := netip.ParseAddr(client); err == nil {
		e.client = netip.AddrPortFrom(address, uint16(number))
	}
	seconds, _ := strconv.ParseUint(answer["NewLeaseDuration"], 10, 32)
	e.seconds = uint32(seconds)
	return e, nil
}

// portArguments name a mapping of a TCP port for calls from everywhere. Their order is that of the specification, which
// some gateways insist on.
func portArguments(port uint16) []upnpArgument {
	return []upnpArgument{
		{"NewRemoteHost", ""}, {"NewExternalPort", strconv.Itoa(int(port))}, {"NewProtocol", "TCP"},
	}
}

// leaseSeconds rounds up, so that a short lease does not become one for good.
func leaseSeconds(lifetime time.Duration) uint32 {
	lifetime = min(max(lifetime, 0), upnpLongest*time.Second)
	return uint32((lifetime + time.Second - 1) / time.Second)
}
