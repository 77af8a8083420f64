package ftptest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Layout is a network between a client and a server. The zero value joins both to the Internet, and nobody is in the way.
type Layout struct {
	// NAT has the client at 10.10.0.2 behind a gateway that masquerades.
	NAT bool
	// TwoNATs put the gateway behind that of the provider, with the address 10.64.0.2.
	TwoNATs bool
	// Helper has the gateway read along on port 21 (nf_conntrack_ftp).
	Helper bool
	// Forwarded is the first of the eleven outer ports that lead to 50000-50010 of the client, 0 for none.
	Forwarded int
	// TwoExits has the gateway take another address to the server than to anybody else.
	TwoExits bool
	// Mapping are protocols by which the gateway opens ports (miniupnpd): "PCP" (with the others), "NAT-PMP", "UPnP".
	Mapping string
	// Claims is the external address that miniupnpd believes in, "" for its own.
	Claims string
	// Random has the gateway give each connection another port.
	Random bool
	// Rejects has the gateway refuse calls from outside ("tcp reset", "icmp type admin-prohibited") and not be silent.
	Rejects string
	// Forgets has the gateway forget connections on which nothing moved for 20 s.
	Forgets bool
	// ServerNAT has the server at 10.20.0.10 behind a gateway that forwards everything, or port 21 if Blocked.
	ServerNAT bool
	// Blocked is what the server's side does to calls of other ports than 21: "drop", "reject with tcp reset".
	Blocked string
	// Firewall at the client drops all calls.
	Firewall bool
	// OneCall has it let the first one through.
	OneCall bool
	// IPv6 is all there is.
	IPv6 bool
	// STUN has a STUN server at STUNAddress.
	STUN bool
}

// STUNAddress is that of a third party on the Internet, which sees what the gateway uses for third parties.
const STUNAddress = "192.0.2.1"

const (
	private   = "{ 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 }"
	documents = "203.0.113"
	// miniupnpd takes documentation addresses for private ones. These here belong to a research project of a registry and
	// are in use nowhere.
	researched = "1.2.3"
)

// Network is a layout that was built.
type Network struct {
	Layout
	Client, Server *Host
	Internet       *Host
	Gateway        *Host  // of the client, nil without NAT
	ServerAddress  string // of the server itself, which may be private
	Address        string // that clients dial

	outside string // the first three numbers of the addresses on the client's side
}

// Build makes the hosts.
func (o Layout) Build(t testing.TB) *Network {
	t.Helper()
	lab := NewLab(t)
	n := &Network{
		Layout: o, Client: lab.Host("client"), Internet: lab.Host("internet"), Server: lab.Host("server"),
		outside: documents, ServerAddress: "198.51.100.10", Address: "198.51.100.10:21",
	}
	if o.Mapping != "" {
		n.outside = researched
	}
	if o.IPv6 {
		n.buildIPv6(lab)
	} else {
		n.buildClientSide(t, lab)
		n.buildServerSide(lab)
		n.Internet.Rules("table ip internet { chain forward { type filter hook forward priority 0\n" +
			"ip saddr " + private + " drop\nip daddr " + private + " drop\n}\n}")
	}
	if o.Blocked != "" && !o.ServerNAT {
		n.Server.Rules(accept("tcp dport 21 accept\nmeta l4proto icmpv6 accept\n" + o.Blocked))
	}
	if o.Firewall {
		n.Client.Rules(accept("meta l4proto icmpv6 accept\ndrop"))
	}
	if o.OneCall {
		n.Client.Rules(accept("tcp flags & (syn | ack) == syn limit rate 1/hour burst 1 packets accept\ndrop"))
	}
	if o.STUN {
		n.Internet.Run("ip", "address", "add", STUNAddress+"/32", "dev", "lo")
		folder := t.TempDir()
		n.Internet.Serve("", "turnserver", "-n", "--stun-only", "--listening-ip="+STUNAddress, "--no-cli", "--no-tls",
			"--no-dtls", "--log-file=stdout", "--pidfile="+filepath.Join(folder, "pid"), "--userdb="+filepath.Join(folder, "db"))
	}
	return n
}

// accept is a filter of calls to the host itself.
func accept(rest string) string {
	return "table inet host { chain input { type filter hook input priority 0\n" +
		"iifname lo accept\nct state established,related accept\n" + rest + "\n}\n}"
}

func (n *Network) buildIPv6(lab *Lab) {
	n.ServerAddress, n.Address = "2001:db8:2::10", "[2001:db8:2::10]:21"
	lab.Link(n.Client, "2001:db8:1::2/64", n.Internet, "2001:db8:1::1/64")
	lab.Link(n.Server, "2001:db8:2::10/64", n.Internet, "2001:db8:2::1/64")
	n.Client.Route("default", "2001:db8:1::1")
	n.Server.Route("default", "2001:db8:2::1")
}

func (n *Network) buildServerSide(lab *Lab) {
	if !n.ServerNAT {
		lab.Link(n.Server, n.ServerAddress+"/24", n.Internet, "198.51.100.1/24")
		n.Server.Route("default", "198.51.100.1")
		return
	}
	gateway := lab.Host("entrance")
	lab.Link(gateway, "198.51.100.10/24", n.Internet, "198.51.100.1/24")
	lab.Link(n.Server, "10.20.0.10/24", gateway, "10.20.0.1/24")
	n.ServerAddress = "10.20.0.10"
	n.Server.Route("default", "10.20.0.1")
	gateway.Route("default", "198.51.100.1")
	ports := "1-65535"
	if n.Blocked != "" {
		ports = "21"
	}
	gateway.Rules("table ip gateway {\n" +
		"chain prerouting { type nat hook prerouting priority -100\niifname ferry-internet tcp dport " + ports + " dnat to 10.20.0.10\n}\n" +
		"chain postrouting { type nat hook postrouting priority 100\noifname ferry-internet snat to 198.51.100.10\n}\n}\n" +
		accept("iifname ferry-server accept\ndrop"))
}

func (n *Network) buildClientSide(t testing.TB, lab *Lab) {
	first, second := n.outside+".2", n.outside+".3"
	if !n.NAT {
		lab.Link(n.Client, first+"/24", n.Internet, n.outside+".1/24")
		n.Client.Route("default", n.outside+".1")
		return
	}
	gateway := lab.Host("gateway")
	n.Gateway = gateway
	lab.Link(n.Client, "10.10.0.2/24", gateway, "10.10.0.1/24")
	n.Client.Route("default", "10.10.0.1")
	if n.TwoNATs {
		provider := lab.Host("provider")
		lab.Link(gateway, "10.64.0.2/24", provider, "10.64.0.1/24")
		gateway.Route("default", "10.64.0.1")
		lab.Link(provider, first+"/24", n.Internet, n.outside+".1/24")
		provider.Route("default", n.outside+".1")
		gateway.Rules(n.masquerade("ferry-provider", "10.64.0.2"))
		provider.Rules(Layout{}.masquerade("ferry-internet", first))
	} else {
		lab.Link(gateway, first+"/24 "+second+"/24", n.Internet, n.outside+".1/24")
		gateway.Route("default", n.outside+".1")
		gateway.Rules(n.masquerade("ferry-internet", first))
	}
	if n.Forgets {
		// Else a connection that is in use already is taken for a new one, as long as it comes from inside.
		gateway.Set("netfilter/nf_conntrack_tcp_loose=0")
		gateway.Set("netfilter/nf_conntrack_tcp_timeout_established=20")
	}
	if n.Mapping != "" {
		n.startMapping(t, gateway)
	}
}

// masquerade are the rules of a gateway with the interface out and the address outside.
func (o Layout) masquerade(out, outside string) string {
	var b strings.Builder
	add := func(format string, arguments ...any) { fmt.Fprintf(&b, format+"\n", arguments...) }
	add("table ip gateway {")
	if o.Helper {
		add(`ct helper ftp { type "ftp" protocol tcp`)
		add("}\nchain helper { type filter hook prerouting priority 0\nmeta iifname ferry-client tcp dport 21 ct helper set \"ftp\"\n}")
	}
	add("chain prerouting { type nat hook prerouting priority -100")
	if o.Forwarded > 0 {
		for i := range 11 {
			add("iifname %s tcp dport %d dnat to 10.10.0.2:%d", out, o.Forwarded+i, 50000+i)
		}
	}
	add("}\nchain postrouting { type nat hook postrouting priority 100")
	if o.TwoExits {
		add("oifname %s ip daddr 198.51.100.10 snat to %s.3", out, documents)
	}
	if o.Random {
		outside += " random"
	}
	add("oifname %s snat to %s\n}", out, outside)
	add("chain forward { type filter hook forward priority 0\nct state invalid drop")
	add("iifname %s ct state new ct status & dnat != dnat drop\n}\n}", out)
	refusal := "drop"
	if o.Rejects != "" {
		refusal = "meta l4proto tcp reject with " + o.Rejects + "\ndrop"
	}
	return b.String() + accept("iifname != "+out+" accept\n"+refusal)
}

// startMapping runs miniupnpd, with chains for the rules that it makes.
func (n *Network) startMapping(t testing.TB, gateway *Host) {
	t.Helper()
	out, natpmp, upnp := "ferry-internet", "yes", "yes"
	if n.TwoNATs {
		out = "ferry-provider"
	}
	switch n.Mapping {
	case "NAT-PMP":
		upnp = "no"
		// It has PCP whenever it has NAT-PMP. The first byte of a request is the version.
		gateway.Rules("table ip oldgateway { chain input { type filter hook input priority -1\nudp dport 5351 @th,64,8 2 drop\n}\n}")
	case "UPnP":
		natpmp = "no"
	}
	gateway.Rules(`table inet mapping {
		chain miniupnpd {
		}
		chain prerouting_miniupnpd {
		}
		chain postrouting_miniupnpd {
		}
		chain forward { type filter hook forward priority -1
			jump miniupnpd
		}
		chain prerouting { type nat hook prerouting priority -101
			jump prerouting_miniupnpd
		}
		chain postrouting { type nat hook postrouting priority 99
			jump postrouting_miniupnpd
		}
	}`)
	folder := t.TempDir()
	configuration := filepath.Join(folder, "miniupnpd.conf")
	text := fmt.Sprintf("ext_ifname=%s\nlistening_ip=ferry-client\nipv6_disable=yes\nenable_natpmp=%s\nenable_upnp=%s\n"+
		"upnp_table_name=mapping\nupnp_nat_table_name=mapping\nmin_lifetime=120\nmax_lifetime=86400\nsystem_uptime=no\n"+
		"uuid=f0e0c0a0-0000-4000-8000-000000000001\nallow 1024-65535 0.0.0.0/0 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n",
		out, natpmp, upnp)
	if n.Claims != "" {
		text += "ext_ip=" + n.Claims + "\n"
	}
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway.Run("ip", "route", "add", "224.0.0.0/4", "dev", "ferry-client")
	gateway.Serve("", "miniupnpd", "-d", "-f", configuration, "-P", filepath.Join(folder, "pid"))
}
