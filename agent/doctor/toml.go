package doctor

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
)

// snippet is the section of a server for agent.toml: what it has now and differs from the
// defaults, with the recommended settings in it. Secrets are left out. It is pure.
func snippet(s *config.Server, recommended []Setting) string {
	lines := configured(s)
	data := configuredData(s.Data)
	var asked []Setting
	for _, r := range recommended {
		name, inData := strings.CutPrefix(r.Key, "data.")
		switch {
		case r.Ask:
			asked = append(asked, r)
		case inData:
			data = replace(data, line{name, r.Value, r.Why})
		default:
			lines = replace(lines, line{r.Key, r.Value, r.Why})
		}
	}
	if len(data) > 0 {
		lines = append(lines, dataLine(data))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[server.%s]\n", tableName(s.Name))
	for _, l := range lines {
		l.write(&b, "")
		// What may take the place of a line stands below it.
		asked = slices.DeleteFunc(asked, func(r Setting) bool {
			if r.Key == l.key {
				line{r.Key, r.Value, r.Why}.write(&b, "#")
			}
			return r.Key == l.key
		})
	}
	for _, r := range asked {
		l := line{r.Key, r.Value, r.Why}
		if name, inData := strings.CutPrefix(r.Key, "data."); inData {
			l = dataLine(replace(slices.Clone(data), line{name, r.Value, r.Why}))
		}
		l.write(&b, "#")
	}
	return b.String()
}

// line is one of TOML.
type line struct{ key, value, why string }

// write puts the reason above the line. With mark "#" the line is a comment.
func (l line) write(b *strings.Builder, mark string) {
	for _, text := range wrap(l.why, width-4) {
		b.WriteString("# " + text + "\n")
	}
	if l.value == "" {
		return // a comment alone
	}
	b.WriteString(mark + l.key + " = " + l.value + "\n")
}

// replace puts a line in the place of the one with the same key, or at the end.
func replace(lines []line, with line) []line {
	if i := slices.IndexFunc(lines, func(l line) bool { return l.key == with.key }); i >= 0 {
		lines[i] = with
		return lines
	}
	return append(lines, with)
}

func dataLine(data []line) line {
	var parts, whys []string
	for _, l := range data {
		parts = append(parts, l.key+" = "+l.value)
		if l.why != "" {
			whys = append(whys, l.why)
		}
	}
	return line{"data", "{ " + strings.Join(parts, ", ") + " }", strings.Join(whys, "; ")}
}

// configured is what the configuration says about a server, without what is the default and
// without the secrets.
func configured(s *config.Server) []line {
	var lines []line
	add := func(isSet bool, key, value string) {
		if isSet {
			lines = append(lines, line{key: key, value: value})
		}
	}
	secret := func(isSet bool, keys string) {
		if isSet {
			lines = append(lines, line{key: keys, why: keys + ": as in your configuration"})
		}
	}
	duration := func(d time.Duration) string { return quote(d.String()) }
	add(true, "address", quote(s.Address))
	add(s.User != "anonymous", "user", quote(s.User))
	secret(s.Password.Reveal() != "", "password")
	secret(s.Account.Reveal() != "", "account")
	add(s.VirtualHost != "", "virtual_host", quote(s.VirtualHost))
	secret(s.Proxy.Reveal() != "", "proxy")
	add(s.TLS != config.TLSExplicit, "tls", quote(string(s.TLS)))
	add(s.TLSCA != "", "tls_ca", quote(s.TLSCA))
	add(s.TLSServerName != "", "tls_server_name", quote(s.TLSServerName))
	add(!s.TLSVerify, "tls_verify", "false")
	var pins []string
	for _, pin := range s.TLSPins {
		pins = append(pins, quote(pin.String()))
	}
	add(len(pins) > 0, "tls_pin", "["+strings.Join(pins, ", ")+"]")
	secret(s.ClientCertificate.Reveal() != nil, "tls_cert, tls_key")
	add(s.TLSMin == tls.VersionTLS13, "tls_min", `"1.3"`)
	add(s.TLSMax == tls.VersionTLS12, "tls_max", `"1.2"`)
	add(s.TLSLegacy, "tls_legacy", "true")
	add(s.Connections != 4, "connections", strconv.Itoa(s.Connections))
	add(s.Encoding != "", "encoding", quote(s.Encoding))
	if s.ListTimeZone != nil {
		add(true, "list_time_zone", quote(s.ListTimeZone.String()))
	}
	add(s.Compress, "compress", "true")
	add(s.CommandLimit != 4096, "command_limit", strconv.Itoa(s.CommandLimit))
	add(s.ConnectTimeout != 15*time.Second, "connect_timeout", duration(s.ConnectTimeout))
	add(s.ReplyTimeout != 30*time.Second, "reply_timeout", duration(s.ReplyTimeout))
	add(s.StallTimeout != time.Minute, "stall_timeout", duration(s.StallTimeout))
	return lines
}

func configuredData(d config.Data) []line {
	var lines []line
	add := func(isSet bool, key, value string) {
		if isSet {
			lines = append(lines, line{key: key, value: value})
		}
	}
	ports := func(p config.PortRange) string { return quote(fmt.Sprintf("%d-%d", p.First, p.Last)) }
	add(d.Mode != config.DataAuto, "mode", quote(string(d.Mode)))
	add(d.ActivePorts.First > 0, "active_ports", ports(d.ActivePorts))
	add(d.AnnouncedPorts.First > 0, "announced_ports", ports(d.AnnouncedPorts))
	add(d.ExternalIP.IsValid(), "external_ip", quote(d.ExternalIP.String()))
	add(d.PASVAddress != config.PASVControl, "pasv_address", quote(string(d.PASVAddress)))
	add(len(d.Peers) > 0, "data_peer", peersText(d.Peers))
	add(d.HolePunch, "hole_punch", "true")
	return lines
}

func peersText(peers []netip.Prefix) string {
	if slices.ContainsFunc(peers, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		return `"any"`
	}
	var texts []string
	for _, p := range peers {
		texts = append(texts, quote(p.String()))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
