package extip_test

import (
	"net/netip"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

func TestServerView(t *testing.T) {
	tests := []struct {
		sentence, text string
		local, server  string
		want           string // "" is none
	}{
		{"ProFTPD's STAT names the client", "Status of 'ftp.example'\nConnected from 203.0.113.2 (203.0.113.2)\nLogged in as u",
			"10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"of a name and an address, the address counts", "Connected from host.example (203.0.113.2)",
			"10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"reverse DNS that looks like an address has no say", "Connected from 192.0.2.66 (203.0.113.2)",
			"10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"vsftpd's STAT writes IPv4 as IPv6", "FTP server status:\n     Connected to ::ffff:203.0.113.2\n     Logged in as u",
			"10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"Pure-FTPd's refusal of PORT says whom it would call", "I won't open a connection to 10.10.0.2 (only to 203.0.113.2)",
			"10.10.0.2", "198.51.100.10", "203.0.113.2"},
		{"IPv6 is read as well", "Connected to 2001:db8::2", "2001:db8::2", "2001:db8::10", "2001:db8::2"},
		{"a zone is no part of it", "Connected from fe80::1%eth0", "fe80::1", "fe80::2", "fe80::1"},
		{"BSD's ftpd has a name first", "     Connected to client.example (203.0.113.2)", "10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"pyftpdlib names its own end, with a colon", "FTP server status:\n Connected to: 10.20.0.10:2121\n Waiting for username.",
			"10.0.0.2", "198.51.100.10", ""},
		{"the server's own address is not ours", "Connected to 198.51.100.10", "10.0.0.2", "198.51.100.10", ""},
		{"our own address says that nothing translates", "Connected from 10.0.0.2 (10.0.0.2)", "10.0.0.2", "10.0.0.9", "10.0.0.2"},
		{"client and server on one machine have one address", "Connected from 127.0.0.1 (127.0.0.1)", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"our own address does not count beside another", "Connected from 10.0.0.2\nConnected to 203.0.113.2",
			"10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"the server's does not either", "Connected to 198.51.100.10\nConnected from 203.0.113.2",
			"10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"the same one twice is one", "Connected from 203.0.113.2\nConnected to ::ffff:203.0.113.2", "10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"two others are one too many", "Connected from 203.0.113.2\nConnected from 203.0.113.3", "10.0.0.2", "198.51.100.10", ""},
		{"an address in another phrase is none", "Data connection will be from 203.0.113.2", "10.0.0.2", "198.51.100.10", ""},
		{"neither is half a phrase", "Disconnected from 203.0.113.2, unconnected to 203.0.113.3", "10.0.0.2", "198.51.100.10", ""},
		{"a name alone is none", "Connected to client.example", "10.0.0.2", "198.51.100.10", ""},
		{"the end of a sentence is no part of it", "You are connected from 203.0.113.2.", "10.0.0.2", "198.51.100.10", "203.0.113.2"},
		{"the unspecified address is none", "Connected from 0.0.0.0", "10.0.0.2", "198.51.100.10", ""},
		{"a multicast address is none", "Connected from 224.0.0.1", "10.0.0.2", "198.51.100.10", ""},
		{"too many digits are none", "Connected from 203.0.113.2222", "10.0.0.2", "198.51.100.10", ""},
		{"nothing is in no text", "", "10.0.0.2", "198.51.100.10", ""},
		{"so writes ProFTPD 1.3.8", "Status of 'ftp'\n Connected from 127.0.0.2 (127.0.0.2)\n Logged in as ferry\n TYPE: ASCII, " +
			"STRUcture: File, Mode: Stream\n No data connection\nEnd of status", "127.0.0.2", "127.0.0.1", "127.0.0.2"},
		{"so writes vsftpd 3.0.3", "FTP server status:\n     Connected to 127.0.0.2\n     Logged in as ferry\n     TYPE: ASCII\n" +
			"     No session bandwidth limit\n     Control connection is plain text\nEnd of status", "127.0.0.2", "127.0.0.1", "127.0.0.2"},
		{"so writes pyftpdlib 1.5.7", "FTP server status:\n Connected to: 127.0.0.1:33527\n Logged in as: ferry\n" +
			" Data connection closed.\nEnd of status.", "127.0.0.2", "127.0.0.1", ""},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got, ok := extip.ServerView(test.text, netip.MustParseAddr(test.local), netip.MustParseAddr(test.server))
			want, _ := netip.ParseAddr(test.want)
			if got != want || ok != want.IsValid() {
				t.Errorf("got %v, %v; want %q", got, ok, test.want)
			}
		})
	}
}

func FuzzServerView(f *testing.F) {
	f.Add("Connected from a (203.0.113.2)")
	f.Add("only to ::ffff:203.0.113.2)")
	f.Add("Connected to: 10.0.0.1:21")
	local, server := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("198.51.100.10")
	f.Fuzz(func(t *testing.T, text string) {
		address, ok := extip.ServerView(text, local, server)
		if ok != address.IsValid() || address == server || address.Is4In6() || address.Zone() != "" {
			t.Errorf("%q: %v, %v", text, address, ok)
		}
	})
}
