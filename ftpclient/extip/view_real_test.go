package extip_test

import (
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestServerViewOfRealServers calls from 127.0.0.2, so that the server's address and ours differ.
func TestServerViewOfRealServers(t *testing.T) {
	tests := []struct {
		sentence, server, command string
		told                      bool
	}{
		{"ProFTPD tells in STAT", "proftpd", "STAT", true},
		{"vsftpd tells in STAT", "vsftpd", "STAT", true},
		{"Pure-FTPd keeps it to itself in STAT", "pure-ftpd", "STAT", false},
		{"Pure-FTPd tells when it refuses PORT", "pure-ftpd", "PORT 192,0,2,1,200,1", true},
		{"Pure-FTPd tells when it refuses EPRT", "pure-ftpd", "EPRT |1|192.0.2.1|51201|", true},
		{"pyftpdlib's STAT names its own end", "pyftpdlib", "STAT", false},
		{"vsftpd's refusal of PORT names nobody", "vsftpd", "PORT 192,0,2,1,200,1", false},
		{"ProFTPD's refusal of PORT names nobody", "proftpd", "PORT 192,0,2,1,200,1", false},
		{"pyftpdlib's refusal of PORT names nobody", "pyftpdlib", "PORT 192,0,2,1,200,1", false},
	}
	us := netip.MustParseAddr("127.0.0.2")
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			server := ftptest.Real(t, test.server, ftptest.RealOptions{})
			text := lastReply(t, server, us, test.command)
			t.Logf("%q", text)
			address := netip.MustParseAddrPort(server.Addr).Addr()
			got, ok := extip.ServerView(text, us, address)
			if ok != test.told || ok && got != us {
				t.Errorf("got %v, %v from %q", got, ok, text)
			}
		})
	}
}

// lastReply logs in from the address and returns the text of the last command's reply.
func lastReply(t *testing.T, server *ftptest.RealServer, from netip.Addr, command string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	raw, err := dialer.DialContext(t.Context(), "tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	conn := textproto.NewConn(raw)
	defer conn.Close()
	var text string
	for _, line := range []string{"", "USER " + server.User, "PASS " + server.Password, command} {
		if line != "" {
			if err := conn.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		if _, text, err = conn.ReadResponse(0); err != nil && strings.HasPrefix(line, "PASS") {
			t.Fatal(err)
		}
	}
	return text
}
