package config

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDataPeers(t *testing.T) {
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	for _, c := range []struct {
		sentence, value string
		want            []netip.Prefix
	}{
		{"the server alone", `"control"`, nil},
		{"the server alone, in brackets", `["control"]`, nil},
		{"everybody", `"any"`, prefixes("0.0.0.0/0", "::/0")},
		{"one address", `"198.51.100.7"`, prefixes("198.51.100.7/32")},
		{"a list", `["198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"]`, prefixes("198.51.100.0/24", "2001:db8::1/128", "2001:db8:1::/48")},
	} {
		cfg := mustLoad(t, server+"data.data_peer = "+c.value+"\n", nil)
		if diff := cmp.Diff(c.want, cfg.Servers["acme"].Data.Peers, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sentence, diff)
		}
	}
}

func TestDataProblems(t *testing.T) {
	const peerForms = `write "control", "any", or a list of addresses and networks, such as ["198.51.100.7", "2001:db8::/64"]`
	for _, c := range []struct{ sentence, text, want string }{
		{"keys nearly right are named", server + "data = { announced_port = \"1\", pasv_adress = \"reply\", holepunch = true }\n[agent]\naddress_source.stun = []\n[agent.address_sources]\nhttp = []\n",
			`agent.toml:3: server.acme.data: unknown key "announced_port" (did you mean "announced_ports"?)
agent.toml:3: server.acme.data: unknown key "holepunch" (did you mean "hole_punch"?)
agent.toml:3: server.acme.data: unknown key "pasv_adress" (did you mean "pasv_address"?)
agent.toml:5: agent: unknown key "address_source" (did you mean "address_sources"?)
agent.toml:7: agent.address_sources: unknown key "http" (did you mean "https"?)`},
		{"keys in the wrong place are sent to the right one", server + "active_ports = \"50000\"\n[server.acme.address_sources]\ngateway = true\n",
			`agent.toml:3: server.acme: unknown key "active_ports" (it is a key of data: data = { active_ports = ... })
agent.toml:4: server.acme: unknown key "address_sources" (it is for all servers: write it below [agent])`},
		{"announced ports need as many of this machine", server + "data.announced_ports = \"51000-51010\"\n[server.b]\naddress = \"h\"\ndata = { active_ports = \"50000-50010\",\n  announced_ports = \"51000\" }\n",
			`agent.toml:3: server.acme.data.announced_ports: needs active_ports: the ports of this machine that they are forwarded to, one for one
agent.toml:7: server.b.data.announced_ports: "51000" and active_ports "50000-50010" are not of one size: they are forwarded one for one`},
		{"servers connect to no port below 1024, and a wrong range is named once", server + "data = { active_ports = \"1000-2000\", announced_ports = \"51000\" }\n[server.b]\naddress = \"h\"\ndata = { active_ports = \"2000\", announced_ports = \"21\" }\n",
			`agent.toml:3: server.acme.data.active_ports: "1000-2000" begins below 1024, where servers do not connect to: write higher ones, such as "50000-50010"
agent.toml:6: server.b.data.announced_ports: "21" begins below 1024, where servers do not connect to: write higher ones, such as "50000-50010"`},
		{"there is no other word for pasv_address", server + "data.pasv_address = \"peer\"\n",
			`agent.toml:3: server.acme.data.pasv_address: "peer" is not known: write "control" or "reply"`},
		{"external_ip is one address", server + "data.external_ip = \"198.51.100.7:21\"\n[server.b]\naddress = \"h\"\ndata.external_ip = \"router.example.com\"\n",
			`agent.toml:3: server.acme.data.external_ip: "198.51.100.7:21" is not an IP address that a server could connect to: write one such as "198.51.100.7", or "auto"
agent.toml:6: server.b.data.external_ip: "router.example.com" is not an IP address that a server could connect to: write one such as "198.51.100.7", or "auto"`},
		{"peers are addresses or networks", server + "data.data_peer = [\"any\", \"10.0.0.1/8\", \"ftp.example.com\", \"fe80::1%eth0\", \"::ffff:192.0.2.0/120\"]\n" +
			"[server.b]\naddress = \"h\"\ndata.data_peer = []\n[server.c]\naddress = \"h\"\ndata.data_peer = 1\n",
			`agent.toml:3: server.acme.data.data_peer: "10.0.0.1/8" has bits beyond its mask: write "10.0.0.0/8" for the network, or the address without the mask
agent.toml:3: server.acme.data.data_peer: "::ffff:192.0.2.0/120" is neither an IP address nor a network: ` + peerForms + `
agent.toml:3: server.acme.data.data_peer: "any" stands alone: ` + peerForms + `
agent.toml:3: server.acme.data.data_peer: "fe80::1%eth0" is neither an IP address nor a network: ` + peerForms + `
agent.toml:3: server.acme.data.data_peer: "ftp.example.com" is neither an IP address nor a network: ` + peerForms + `
agent.toml:6: server.b.data.data_peer: is empty: ` + peerForms + `
agent.toml:9: server.c.data.data_peer: must be a string or a list of strings, not a whole number`},
		{"sources are hosts, and URLs that nobody can forge the answers of", "[agent.address_sources]\ngateway = \"yes\"\nstun = [\"stun:h:3478\", \"h:0\", \"\"]\n" +
			"https = [\"http://h/\", \"h\", \"https://u:p@h/\", \"https://h:0/\", \"https://h/#a\", \"https://a b/\", \"https://h_ü/\"]\n",
			`agent.toml:2: agent.address_sources.gateway: must be true or false (without quotes), not a string
agent.toml:3: agent.address_sources.stun: "" is not a STUN server: write HOST or HOST:PORT, such as "stun.example.com:3478"
agent.toml:3: agent.address_sources.stun: "h:0" is not a STUN server: write HOST or HOST:PORT, such as "stun.example.com:3478"
agent.toml:3: agent.address_sources.stun: "stun:h:3478" is not a STUN server: write HOST or HOST:PORT, such as "stun.example.com:3478"
agent.toml:4: agent.address_sources.https: holds a URL that is not https, so that anybody on the way could forge the answer: write a URL such as "https://ip.example.com/"
agent.toml:4: agent.address_sources.https: holds a URL with a #, which is never sent: write a URL such as "https://ip.example.com/"
agent.toml:4: agent.address_sources.https: holds a URL with a port that is not a number from 1 to 65535: write a URL such as "https://ip.example.com/"
agent.toml:4: agent.address_sources.https: holds a URL with a user in it, which nobody would be told: write a URL such as "https://ip.example.com/"
agent.toml:4: agent.address_sources.https: holds a URL without a host name or IP address: write a URL such as "https://ip.example.com/"
agent.toml:4: agent.address_sources.https: holds something that is no URL: write a URL such as "https://ip.example.com/"
agent.toml:4: agent.address_sources.https: holds something that is no URL: write a URL such as "https://ip.example.com/"`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := load(t, c.text, nil)
			expectProblems(t, err, c.want)
		})
	}
}

func TestHolePunching(t *testing.T) {
	cfg, err := load(t, server+"data.hole_punch = true\n", nil)
	if runtime.GOOS != "linux" {
		expectProblems(t, err, "agent.toml:3: server.acme.data.hole_punch: works on Linux only: remove the line")
		return
	}
	if err != nil || !cfg.Servers["acme"].Data.HolePunch {
		t.Errorf("hole_punch did not arrive: %v", err)
	}
	_, err = load(t, server+"data.hole_punch = true\nproxy = \"socks5://h\"\n", nil)
	expectProblems(t, err, "agent.toml:3: server.acme.data.hole_punch: with a proxy the server cannot connect to this machine: remove hole_punch, or proxy")
}

func TestDataWarnings(t *testing.T) {
	const private = ` is no public address: only a server in the same private network can connect to it; behind NAT write the public one, or "auto"`
	for _, c := range []struct{ sentence, text, want string }{
		{"what passive connections do not need", server + "data = { mode = \"passive\", active_ports = \"50000\", announced_ports = \"51000\", external_ip = \"10.0.0.1\", data_peer = \"any\", hole_punch = false }\n",
			`agent.toml:3: server.acme.data.active_ports: has no effect with mode = "passive"
agent.toml:3: server.acme.data.announced_ports: has no effect with mode = "passive"
agent.toml:3: server.acme.data.data_peer: has no effect with mode = "passive" and pasv_address = "control"
agent.toml:3: server.acme.data.external_ip: has no effect with mode = "passive"
agent.toml:3: server.acme.data.hole_punch: has no effect with mode = "passive"`},
		{"passive servers may name the peers, where that is trusted", server + "data = { mode = \"passive\", pasv_address = \"reply\", data_peer = [\"192.0.2.0/24\"] }\n", ""},
		{"a private address is likely to be a mistake", server + "data.external_ip = \"10.0.0.1\"\n[server.b]\naddress = \"198.51.100.7:2121\"\ndata.external_ip = \"127.0.0.1\"\n",
			"agent.toml:3: server.acme.data.external_ip: 10.0.0.1" + private + "\nagent.toml:6: server.b.data.external_ip: 127.0.0.1" + private},
		{"but not in a private network", "[server.a]\naddress = \"192.168.1.1\"\ndata.external_ip = \"10.0.0.1\"\n[server.b]\naddress = \"[fd00::1]\"\ndata.external_ip = \"fd00::2\"\n", ""},
		{"a public one is what is meant", server + "data.external_ip = \"198.51.100.7\"\n", ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			cfg, err := load(t, c.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			expectWarnings(t, cfg.Warnings, c.want)
		})
	}
}
