package ftptest

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestImplicitTLSIsThereFromTheFirstByte(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{ImplicitTLS: true})
			c := dial(t, s, false)
			c.command(331, "USER "+s.User)
			c.command(230, "PASS "+s.Password)
			c.command(200, "PBSZ 0")
			c.command(200, "PROT P")
			c.command(200, "TYPE I")
			c.transfer("STOR file", []byte("content"))
			if got := c.transfer("RETR file", nil); string(got) != "content" {
				t.Errorf("RETR: got %q", got)
			}
		})
	}
}

func TestRequireTLSRefusesAPlainLogin(t *testing.T) {
	for _, name := range RealServers {
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{RequireTLS: true})
			plain := dial(t, s, false)
			if reply := plain.try("USER " + s.User); reply[0] != '5' && reply[0] != '4' {
				reply = plain.try("PASS " + s.Password)
				if reply[0] != '5' && reply[0] != '4' {
					t.Errorf("plain login: got %q, want a refusal", reply)
				}
			}
			c := login(t, s, true)
			c.transfer("STOR file", []byte("content"))
		})
	}
}

func TestDataConnectionsHaveToResumeTheTLSSession(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{TLS: true})
			c := login(t, s, true)
			c.tls.ClientSessionCache = nil
			raw := c.open()
			defer raw.Close()
			if err := c.text.PrintfLine("STOR file"); err != nil {
				t.Fatal(err)
			}
			c.reply(150)
			c.handshake(raw) // may succeed: the server looks afterwards
			raw.Close()      // vsftpd waits for that before it replies
			if reply := c.next(); reply[0] != '4' && reply[0] != '5' {
				t.Errorf("STOR over a new TLS session: got %q, want a refusal", reply)
			}
		})
	}
}

func TestLoginTakesTheOnePasswordAndAnyNumberOfTimes(t *testing.T) {
	for _, name := range RealServers {
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{})
			wrong := dial(t, s, false)
			wrong.command(331, "USER "+s.User)
			wrong.command(530, "PASS wrong")
			for range 20 {
				login(t, s, false).command(221, "QUIT")
			}
			for range 12 {
				login(t, s, false) // all at a time
			}
		})
	}
}

func TestMaxClientsRefusesTheNextOne(t *testing.T) {
	for _, name := range RealServers {
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{MaxClients: 2})
			login(t, s, false)
			login(t, s, false)
			third := &session{t: t, server: s}
			third.connect()
			reply := third.next()
			if reply[:3] == "220" {
				third.try("USER " + s.User)
				reply = third.try("PASS " + s.Password)
			}
			if code := reply[:3]; code != "421" && code != "530" {
				t.Errorf("third client: got %q, want 421 or 530", reply)
			}
		})
	}
}

func TestStopIsAnOutageAndStartEndsIt(t *testing.T) {
	for _, name := range RealServers {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			s := Real(t, name, RealOptions{Root: root})
			c := login(t, s, false)
			c.transfer("STOR file", []byte("content"))
			s.Stop()
			s.Stop()
			if reply := c.try("NOOP"); !strings.HasPrefix(reply, "000") {
				t.Errorf("NOOP after Stop: got %q, want no reply", reply)
			}
			address := s.Addr
			s.Start()
			if s.Addr != address {
				t.Errorf("address after Start: got %s, want %s", s.Addr, address)
			}
			if got := login(t, s, false).transfer("RETR file", nil); string(got) != "content" {
				t.Errorf("RETR after Start: got %q", got)
			}
			if name != "pure-ftpd" && s.Log() == "" {
				t.Error("the log is empty")
			}
		})
	}
}

func TestFileModesCountForTheServer(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd", "pure-ftpd"} { // pyftpdlib runs as the user of the tests
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{})
			folder := filepath.Join(s.Root, "locked")
			if err := os.Mkdir(folder, 0o555); err != nil {
				t.Fatal(err)
			}
			if reply := login(t, s, false).try("MKD locked/new"); reply[:1] != "5" {
				t.Errorf("MKD in a folder without write permission: got %q, want 5xx", reply)
			}
		})
	}
}

func TestActiveDataConnectionsWorkWithAndWithoutTLS(t *testing.T) {
	for _, name := range RealServers {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s TLS %v", name, secure), func(t *testing.T) {
				s := Real(t, name, RealOptions{TLS: secure})
				if err := os.WriteFile(filepath.Join(s.Root, "file"), []byte("content"), 0o644); err != nil {
					t.Fatal(err)
				}
				c := login(t, s, secure)
				listener, err := net.Listen("tcp4", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				port := listener.Addr().(*net.TCPAddr).Port
				for _, command := range []string{
					fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&0xff),
					fmt.Sprintf("EPRT |1|127.0.0.1|%d|", port),
				} {
					c.command(200, command)
					if err := c.text.PrintfLine("RETR file"); err != nil {
						t.Fatal(err)
					}
					conn, err := listener.Accept()
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
						t.Fatal(err)
					}
					if reply := c.next(); reply[:1] != "1" {
						t.Fatalf("%s: got %q, want 1xx", command, reply)
					}
					if secure {
						if conn, err = c.handshake(conn); err != nil {
							t.Fatalf("%s: handshake of data: %v", command, err)
						}
					}
					if got, err := io.ReadAll(conn); string(got) != "content" || err != nil {
						t.Errorf("%s: got %q, %v", command, got, err)
					}
					conn.Close()
					c.reply(226)
				}
			})
		}
	}
}

func TestADropBoxTakesFilesAndShowsNothing(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			s := Real(t, name, RealOptions{WriteOnly: true})
			c := login(t, s, false)
			c.transfer("STOR file", []byte("content"))
			c.transfer("STOR file", []byte("another"))
			for _, command := range []string{"SIZE file", "MDTM file", "MLST file", "DELE file", "RNFR file", "MKD folder"} {
				if reply := c.try(command); reply[0] != '5' {
					t.Errorf("%s: got %q, want a refusal", command, reply)
				}
			}
			if content, err := os.ReadFile(filepath.Join(s.Root, "file")); string(content) != "another" {
				t.Errorf("stored %q (%v)", content, err)
			}
		})
	}
}
