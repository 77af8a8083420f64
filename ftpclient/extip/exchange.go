package extip

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"time"
)

const (
	// gatewayPort is where PCP (RFC 6887 section 19.1) and NAT-PMP (RFC 6886 section 3.1) are spoken.
	gatewayPort = 5351
	// gatewayPatience is how long a gateway may be silent. It is one hop away and answers within
	// milliseconds; the RFCs' own schedules go on for a minute, which a transfer cannot wait for.
	gatewayPatience = time.Second
	// findingLifetime is how long an address that was asked for is believed: providers change
	// addresses at most a few times a day, and the server's refusal of a PORT shows it at once.
	findingLifetime = 10 * time.Minute
	// largestPacket is more than any answer is long (RFC 6887 section 7: 1100).
	largestPacket = 1500
)

// errForeign: a packet is not the answer to the request; the real one may be on its way.
var errForeign = errors.New("not the answer to this request")

// exchange sends a request by UDP and returns the first answer that parse takes; those for which
// parse says errForeign are passed over. The request is sent three times, with twice the pause
// after each, until the patience is over: then, and when there is nobody at the server's port,
// the error wraps silent. Packets that do not come from where the request went are never
// seen (RFC 6887 section 8.3 demands that), since the socket is connected.
func exchange[Answer any](ctx context.Context, local, server netip.AddrPort, patience time.Duration, silent error,
	request []byte, parse func(packet []byte) (Answer, error)) (Answer, error) {
	var none Answer
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(local), net.UDPAddrFromAddrPort(server))
	if err != nil {
		return none, fmt.Errorf("%w: %w", silent, err)
	}
	defer conn.Close()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetReadDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
	}()
	packet := make([]byte, largestPacket)
	for pause := patience / 7; pause < patience; pause *= 2 { // 1/7, 2/7, 4/7
		if _, err := conn.Write(request); err != nil {
			return none, fmt.Errorf("%w: %w", silent, err)
		}
		conn.SetReadDeadline(time.Now().Add(pause))
		for {
			// After the deadline was set: an earlier end of ctx would be lost by it.
			if ctx.Err() != nil {
				return none, fmt.Errorf("ask %s: %w", server, context.Cause(ctx))
			}
			n, err := conn.Read(packet)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return none, fmt.Errorf("%w: %w", silent, err)
			}
			if answer, err := parse(packet[:n]); !errors.Is(err, errForeign) {
				return answer, err
			}
		}
	}
	if ctx.Err() != nil {
		return none, fmt.Errorf("ask %s: %w", server, context.Cause(ctx))
	}
	return none, fmt.Errorf("%w at %s in %v", silent, server, patience)
}

// askGateway is an exchange with a gateway, from the local address.
func askGateway[Answer any](ctx context.Context, local netip.Addr, gateway netip.AddrPort,
	request []byte, parse func(packet []byte) (Answer, error)) (Answer, error) {
	return exchange(ctx, netip.AddrPortFrom(local, 0), gateway, gatewayPatience, ErrNoGateway, request, parse)
}

// gatewayAddress puts in the port where none is given.
func gatewayAddress(gateway netip.AddrPort) netip.AddrPort {
	port := gateway.Port()
	if port == 0 {
		port = gatewayPort
	}
	return netip.AddrPortFrom(gateway.Addr().Unmap(), port)
}

// seconds rounds up, since 0 would delete a mapping.
func seconds(lifetime time.Duration) uint32 {
	whole := int64(lifetime / time.Second)
	if lifetime%time.Second > 0 {
		whole++
	}
	return uint32(min(whole, math.MaxUint32))
}

// checkRequest refuses requests that would mean something else to a gateway.
func checkRequest(request Request) error {
	switch {
	case !request.Internal.Addr().IsValid() || request.Internal.Addr().IsUnspecified():
		return fmt.Errorf("map %s: the internal address must be a single one of this machine", request.Internal)
	case request.Internal.Port() == 0:
		return fmt.Errorf("map %s: port 0 would mean all ports", request.Internal)
	case request.Lifetime <= 0:
		return fmt.Errorf("map %s: a lifetime of %v would delete the mapping", request.Internal, request.Lifetime)
	}
	return nil
}

// checkGranted refuses what cannot be announced to anybody.
func checkGranted(external netip.AddrPort, lifetime uint32) error {
	switch {
	case !external.Addr().IsValid() || external.Addr().IsUnspecified():
		return fmt.Errorf("%w: it has no external address at the moment", ErrRefused)
	case external.Port() == 0 || lifetime == 0:
		return fmt.Errorf("%w: it granted port %d for %d s", ErrRefused, external.Port(), lifetime)
	}
	return nil
}
