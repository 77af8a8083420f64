package data

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The ends of control connections.
var (
	behindNAT  = netip.MustParseAddrPort("10.10.0.2:40000")
	inside     = netip.MustParseAddrPort("192.168.7.9:21")
	ownAddress = netip.MustParseAddrPort("203.0.113.9:40000")
	outside    = netip.MustParseAddrPort("198.51.100.10:21")
	ownIPv6    = netip.MustParseAddrPort("[2001:db8:1::2]:40000")
	outside6   = netip.MustParseAddrPort("[2001:db8:2::21]:21")

	natAddress   = netip.MustParseAddr("203.0.113.2")
	otherAddress = netip.MustParseAddr("203.0.113.3")
)

// nat is a client behind NAT with a server that says so.
func nat(change func(*Env)) Env {
	env := Env{Local: behindNAT, Server: outside, Surveyed: true, View: natAddress, Detected: natAddress}
	if change != nil {
		change(&env)
	}
	return env
}

// from is a client of which nothing is known but its address.
func from(local, server netip.AddrPort, change func(*Env)) Env {
	env := Env{Local: local, Server: server, Surveyed: true}
	if change != nil {
		change(&env)
	}
	return env
}

func mustWay(t *testing.T, text string) Way {
	t.Helper()
	way, ok := ParseWay(text)
	if !ok {
		t.Fatalf("no way: %q", text)
	}
	return way
}

// stages says how ways end; all others are silent. "PORT" is every way with that command.
type stages map[string]Stage

func (s stages) of(way Way) Stage {
	for _, key := range []string{way.String(), way.Command.String()} {
		if stage, ok := s[key]; ok {
			return stage
		}
	}
	return Silent
}

func TestNext(t *testing.T) {
	tests := []struct {
		name   string
		env    Env
		stages stages
		want   string // all ways until nothing is left
	}{
		// Passive.
		{"nothing configured, NAT: EPSV, a helper, and at last PASV, for firewalls that know no EPSV", nat(nil), nil,
			"passive EPSV, helper PORT, passive PASV"},
		{"a refused EPSV is followed by PASV", nat(nil), stages{"EPSV": Refused},
			"passive EPSV, passive PASV, helper PORT"},
		{"a port of EPSV that is closed is followed by PASV", nat(nil), stages{"EPSV": Rejected},
			"passive EPSV, passive PASV, helper PORT"},
		{"a port of EPSV that may not be dialled is followed by PASV", nat(nil), stages{"EPSV": Unusable},
			"passive EPSV, passive PASV, helper PORT"},
		{"a broken connection by EPSV tells of PASV what silence tells", nat(nil), stages{"EPSV": Broken},
			"passive EPSV, helper PORT, passive PASV"},
		{"where the address of PASV is trusted it follows a silent EPSV", nat(func(e *Env) { e.TrustPASV = true }), nil,
			"passive EPSV, passive PASV, helper PORT"},
		{"under TLS no firewall reads PASV either", nat(func(e *Env) { e.TLS = true }), nil,
			"passive EPSV"},
		{"EPSV that was refused in the past comes after PASV", nat(func(e *Env) { e.EPSVRefused = true }), stages{"PASV": Refused},
			"passive PASV, passive EPSV, helper PORT"},
		{"a silent PASV tells of EPSV, too", nat(func(e *Env) { e.EPSVRefused = true }), nil,
			"passive PASV, helper PORT"},
		{"passive only", nat(func(e *Env) { e.Policy, e.External, e.Mapper = PassiveOnly, natAddress, true }), stages{"EPSV": Refused},
			"passive EPSV, passive PASV"},
		{"passive only, with silence", nat(func(e *Env) { e.Policy, e.Punching = PassiveOnly, true }), nil,
			"passive EPSV, passive PASV"},
		{"passive only, with silence and TLS", nat(func(e *Env) { e.Policy, e.TLS = PassiveOnly, true }), nil,
			"passive EPSV"},
		{"an unknown server, through a proxy", from(netip.AddrPort{}, netip.AddrPortFrom(netip.IPv4Unspecified(), 0), func(e *Env) { e.Policy = PassiveOnly }),
			stages{"EPSV": Refused}, "passive EPSV, passive PASV"},

		// Configured.
		{"the configured address comes first of the active ways",
			nat(func(e *Env) { e.External, e.Ports, e.Mapper, e.Punching = natAddress, true, true, true }), nil,
			"passive EPSV, configured PORT, mapped PORT, helper PORT, passive PASV, punched PORT"},
		{"a server on the link names no zone", from(netip.MustParseAddrPort("[fe80::2%eth0]:40000"), netip.MustParseAddrPort("[fe80::1%eth0]:21"),
			func(e *Env) { e.View = netip.MustParseAddr("fe80::2") }), nil, "passive EPSV, direct EPRT"},
		{"EPRT follows a refused PORT, and not a silent one",
			nat(func(e *Env) { e.External, e.Mapper = natAddress, true }), stages{"configured PORT": Refused},
			"passive EPSV, configured PORT, configured EPRT, mapped PORT, helper PORT, passive PASV"},
		{"nor does it follow one that the network rejects",
			nat(func(e *Env) { e.External, e.TLS = natAddress, true }), stages{"PORT": Rejected},
			"passive EPSV, configured PORT"},

		// Direct.
		{"a public address without news of NAT is announced", from(ownAddress, outside, nil), nil,
			"passive EPSV, direct PORT, passive PASV"},
		{"a private address that the server sees itself is announced",
			from(behindNAT, outside, func(e *Env) { e.View = behindNAT.Addr() }), nil,
			"passive EPSV, direct PORT, passive PASV"},
		{"a public address is not announced where the server sees another", from(ownAddress, outside, func(e *Env) { e.View = otherAddress }), nil,
			"passive EPSV, passive PASV"},
		{"a private address is announced to a server in a private network", from(behindNAT, inside, nil), nil,
			"passive EPSV, direct PORT, passive PASV"},
		{"but not if that sees another one", from(behindNAT, inside, func(e *Env) { e.View = netip.MustParseAddr("192.168.7.1") }), nil,
			"passive EPSV, helper PORT, passive PASV"},
		{"a customer's address is of another kind than an office's",
			from(netip.MustParseAddrPort("100.64.0.9:40000"), inside, nil), nil,
			"passive EPSV, helper PORT, passive PASV"},
		{"loopback: no gateway, no helper", from(netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:21"), func(e *Env) { e.Mapper = true }), nil,
			"passive EPSV, direct PORT, passive PASV"},
		{"loopback, and a server that claims to see another address", from(netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:21"),
			func(e *Env) { e.View, e.Mapper = natAddress, true }), nil,
			"passive EPSV, passive PASV"},
		{"IPv4 in the form of IPv6", from(netip.MustParseAddrPort("[::ffff:203.0.113.9]:40000"), netip.MustParseAddrPort("[::ffff:198.51.100.10]:21"),
			func(e *Env) { e.View = netip.MustParseAddr("203.0.113.9") }), nil,
			"passive EPSV, direct PORT, passive PASV"},

		// Mapped.
		{"a gateway that opens ports comes before all that is guesswork", nat(func(e *Env) { e.Mapper, e.Ports = true, true }), nil,
			"passive EPSV, mapped PORT, forwarded PORT, helper PORT, passive PASV"},
		{"a gateway is of use where the server tells nothing", nat(func(e *Env) { e.Mapper, e.View, e.Detected = true, netip.Addr{}, netip.Addr{} }), nil,
			"passive EPSV, mapped PORT, helper PORT, passive PASV"},
		{"a gateway that filters a public address may open a port", from(ownAddress, outside, func(e *Env) { e.Mapper = true }), nil,
			"passive EPSV, direct PORT, mapped PORT, passive PASV"},
		{"within one private network the gateway leads elsewhere", from(behindNAT, inside, func(e *Env) { e.Mapper = true }), nil,
			"passive EPSV, direct PORT, passive PASV"},
		{"unless the server is on the other side of it",
			from(behindNAT, inside, func(e *Env) { e.Mapper, e.View = true, netip.MustParseAddr("192.168.7.1") }), nil,
			"passive EPSV, mapped PORT, helper PORT, passive PASV"},

		// Forwarded and Helper.
		{"configured ports are taken for forwarded", nat(func(e *Env) { e.Ports, e.TLS = true, true }), nil,
			"passive EPSV, forwarded PORT"},
		{"but not without knowing the address outside", nat(func(e *Env) { e.Ports, e.View, e.Detected = true, netip.Addr{}, netip.Addr{} }), nil,
			"passive EPSV, helper PORT, passive PASV"},
		{"nor with a private one that somebody else says", nat(func(e *Env) { e.Ports, e.View, e.Detected = true, netip.Addr{}, netip.MustParseAddr("100.64.0.9") }), nil,
			"passive EPSV, helper PORT, passive PASV"},
		{"a private one that the server says will do", nat(func(e *Env) {
			e.Ports, e.View, e.Detected = true, netip.MustParseAddr("100.64.0.9"), netip.MustParseAddr("100.64.0.9")
		}), nil, "passive EPSV, forwarded PORT, helper PORT, passive PASV"},
		{"helpers know port 21 alone", nat(func(e *Env) { e.Server = netip.AddrPortFrom(outside.Addr(), 2121) }), nil,
			"passive EPSV, passive PASV"},
		{"a server that refuses the private address costs two round trips", nat(nil), stages{"PORT": Refused, "EPRT": Refused},
			"passive EPSV, helper PORT, helper EPRT, passive PASV"},

		// Punched.
		{"under TLS, without anything configured, only punching is left", nat(func(e *Env) { e.Punching, e.TLS = true, true }), nil,
			"passive EPSV, punched PORT"},
		{"punching needs to know the address outside", nat(func(e *Env) { e.Punching, e.View = true, netip.Addr{} }), nil,
			"passive EPSV, helper PORT, passive PASV"},

		{"punching is pointless where nobody knows the port that a hole is at",
			nat(func(e *Env) { e.Punching, e.TLS, e.PortsChange = true, true, true }), nil, "passive EPSV"},

		// IPv6.
		{"IPv6 without NAT", from(ownIPv6, outside6, func(e *Env) { e.EPSVRefused, e.Punching, e.Mapper = true, true, true }), nil,
			"passive EPSV, direct EPRT, mapped EPRT"},
		{"IPv6 with a forward for IPv4", from(ownIPv6, outside6, func(e *Env) { e.Ports, e.Detected = true, natAddress }), nil,
			"passive EPSV, direct EPRT"},

		// Active only.
		{"active only", nat(func(e *Env) { e.Policy, e.External, e.Mapper = ActiveOnly, natAddress, true }), stages{"PORT": Refused},
			"configured PORT, configured EPRT, mapped PORT, mapped EPRT, helper PORT, helper EPRT"},
		{"active only, where nothing is known to work: the local address", nat(func(e *Env) { e.Policy, e.TLS = ActiveOnly, true }), nil,
			"direct PORT"},
		{"active only, with a gateway, and a server that tells nothing: the local address at last",
			nat(func(e *Env) { e.Policy, e.TLS, e.Mapper, e.View = ActiveOnly, true, true, netip.Addr{} }), nil,
			"mapped PORT, direct PORT"},
		{"active only, without a survey", Env{Policy: ActiveOnly, Local: behindNAT, Server: outside, TLS: true}, nil,
			"direct PORT, mapped PORT"},

		// Without a survey.
		{"without a survey active ways are taken for possible", Env{Local: behindNAT, Server: outside, Ports: true, Punching: true}, nil,
			"passive EPSV, direct PORT, mapped PORT, forwarded PORT, passive PASV, punched PORT"},
		{"on loopback there is little to find out", Env{Local: netip.MustParseAddrPort("127.0.0.1:40000"), Server: netip.MustParseAddrPort("127.0.0.1:21")}, nil,
			"passive EPSV, direct PORT, passive PASV"},

		// Remembered.
		{"what worked comes first", nat(func(e *Env) { e.External, e.Remembered = natAddress, Way{Configured, PORT} }), nil,
			"configured PORT, passive EPSV, helper PORT, passive PASV"},
		{"what worked may be refused now", nat(func(e *Env) { e.External, e.Remembered = natAddress, Way{Configured, EPRT} }), stages{"EPRT": Refused},
			"configured EPRT, passive EPSV, configured PORT, helper PORT, passive PASV"},
		{"what worked is no way under the policy", nat(func(e *Env) { e.Policy, e.Remembered = PassiveOnly, Way{Helper, PORT} }), nil,
			"passive EPSV, passive PASV"},
		{"what worked is no way any more", nat(func(e *Env) { e.Remembered = Way{Mapped, PORT} }), nil,
			"passive EPSV, helper PORT, passive PASV"},
		{"PASV worked, and is silent now", nat(func(e *Env) { e.Remembered = Way{Passive, PASV} }), nil,
			"passive PASV, helper PORT"},
		{"PASV worked, and is refused now", nat(func(e *Env) { e.Remembered = Way{Passive, PASV} }), stages{"PASV": Refused},
			"passive PASV, passive EPSV, helper PORT"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var tried []Attempt
			var got []string
			for {
				way, ok := Next(test.env, tried)
				if !ok {
					break
				}
				if len(got) > 20 {
					t.Fatalf("no end: %s", strings.Join(got, ", "))
				}
				got = append(got, way.String())
				tried = append(tried, Attempt{Way: way, Stage: test.stages.of(way)})
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), test.want)
			}
		})
	}
}

func TestPatience(t *testing.T) {
	silent := func(ways ...string) (tried []Attempt) {
		for _, way := range ways {
			tried = append(tried, Attempt{Way: mustWay(t, way), Stage: Silent})
		}
		return tried
	}
	tests := []struct {
		name  string
		env   Env
		tried []Attempt
		way   string
		limit time.Duration
		want  time.Duration
	}{
		{"passive, first contact", nat(nil), nil, "passive EPSV", 15 * time.Second, 8 * time.Second},
		{"passive, where ports are configured", nat(func(e *Env) { e.Ports = true }), nil, "passive EPSV", 0, 6 * time.Second},
		{"passive, where an address is configured", nat(func(e *Env) { e.External = natAddress }), nil, "passive EPSV", 0, 6 * time.Second},
		{"passive, where something else worked", nat(func(e *Env) { e.External, e.Remembered = natAddress, Way{Configured, PORT} }), silent("configured PORT"),
			"passive EPSV", 0, 5 * time.Second},
		{"passive, which worked", nat(func(e *Env) { e.Remembered = Way{Passive, EPSV} }), nil, "passive EPSV", 0, 8 * time.Second},
		{"the only way has all the time there is", nat(func(e *Env) { e.TLS = true }), nil, "passive EPSV", 15 * time.Second, 15 * time.Second},
		{"but no more", nat(func(e *Env) { e.TLS = true }), nil, "passive EPSV", 4 * time.Second, 4 * time.Second},
		{"nor has any other", nat(nil), nil, "passive EPSV", 4 * time.Second, 4 * time.Second},
		{"the only one that is left after refusals, too", nat(nil), []Attempt{{Way: mustWay(t, "passive PASV"), Stage: Refused}, {Way: mustWay(t, "passive EPSV"), Stage: Refused}},
			"helper PORT", 15 * time.Second, 15 * time.Second},
		{"the only way without a limit", nat(func(e *Env) { e.TLS = true }), nil, "passive EPSV", 0, 8 * time.Second},
		{"active, with others behind", nat(func(e *Env) { e.Ports = true }), silent("passive EPSV"), "forwarded PORT", 15 * time.Second, 3500 * time.Millisecond},
		{"active, as the last after a silence", nat(func(e *Env) { e.Ports, e.TLS = true, true }), silent("passive EPSV"), "forwarded PORT", 15 * time.Second, 6 * time.Second},
		{"active, as the last after a rejection", nat(func(e *Env) { e.Ports, e.TLS = true, true }),
			[]Attempt{{Way: mustWay(t, "passive EPSV"), Stage: Rejected}, {Way: mustWay(t, "passive PASV"), Stage: Rejected}}, "forwarded PORT", 15 * time.Second, 15 * time.Second},
		{"active, what worked, with passive ways behind", nat(func(e *Env) { e.External, e.Remembered = natAddress, Way{Configured, PORT} }), nil,
			"configured PORT", 15 * time.Second, 3500 * time.Millisecond},
		{"PASV after a silent EPSV, with others behind", nat(func(e *Env) { e.Punching = true }), silent("passive EPSV", "helper PORT"), "passive PASV", 0, 3500 * time.Millisecond},
		{"PASV after a silent EPSV, as the last", nat(nil), silent("passive EPSV", "helper PORT"), "passive PASV", 0, 3500 * time.Millisecond},
		{"PASV after a silent EPSV, as the last, with a limit", nat(nil), silent("passive EPSV", "helper PORT"), "passive PASV", 15 * time.Second, 3500 * time.Millisecond},
		{"a slow line: passive", nat(nil), nil, "passive EPSV", 60 * time.Second, 32 * time.Second},
		{"a slow line: active, with others behind", nat(func(e *Env) { e.Ports = true }), silent("passive EPSV"), "forwarded PORT", 60 * time.Second, 14 * time.Second},
		{"a slow line: the only way", nat(func(e *Env) { e.TLS = true }), nil, "passive EPSV", 60 * time.Second, 60 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Patience(test.env, test.tried, mustWay(t, test.way), test.limit); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
