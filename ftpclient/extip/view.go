package extip

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// The phrases that mean the client. A name may stand before the address, which is in parentheses
// then: what reverse DNS says, so anybody's word. A colon after "to" would be pyftpdlib, which
// names its own end.
//
//	ProFTPD STAT     Connected from client.example (203.0.113.2)
//	vsftpd STAT      Connected to ::ffff:203.0.113.2
//	Pure-FTPd PORT   I won't open a connection to 10.10.0.2 (only to 203.0.113.2)
var clientPhrases = regexp.MustCompile(
	`(?im)(?:^|[^\w.-])(?:connected (?:from|to)|only to)[ \t]+([^\s()]+)(?:[ \t]+\(([^\s()]+)\))?`)

// ServerView reads the client's address, as an FTP server sees it, from the text of a reply to STAT
// or of a refused PORT. It is pure and strict: false unless exactly one address is named in
// phrases that are known to mean the client. The server's own address is none, and local, which
// is this machine's own, counts only if no other is named: then nothing translates.
func ServerView(text string, local, server netip.Addr) (netip.Addr, bool) {
	local, server = plain(local), plain(server)
	var seen []netip.Addr
	for _, match := range clientPhrases.FindAllStringSubmatch(text, -1) {
		named := match[1]
		if match[2] != "" {
			named = match[2]
		}
		address, err := netip.ParseAddr(strings.TrimRight(named, ".,;"))
		if err != nil {
			continue
		}
		address = plain(address)
		switch {
		case address.IsUnspecified() || address.IsMulticast():
		case address == server && address != local:
		case !slices.Contains(seen, address):
			seen = append(seen, address)
		}
	}
	if len(seen) > 1 {
		seen = slices.DeleteFunc(seen, func(a netip.Addr) bool { return a == local })
	}
	if len(seen) != 1 {
		return netip.Addr{}, false
	}
	return seen[0], true
}

// plain is an address in the one form in which it can be compared.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
