package extip

import (
	"net/netip"
)

// ServerView reads the client's address, as an FTP server sees it, from the text of a reply to STAT
// or of a refused PORT. It is pure and strict: false unless exactly one address is named in
// a phrase that is known to mean the client, and that address is neither the server's nor local's.
//
//	ProFTPD STAT     Connected from 203.0.113.2 (203.0.113.2)
//	vsftpd STAT      Connected to ::ffff:203.0.113.2
//	Pure-FTPd PORT   I won't open a connection to 10.10.0.2 (only to 203.0.113.2)
func ServerView(text string, local, server netip.Addr) (netip.Addr, bool) {
	panic("skeleton")
}
