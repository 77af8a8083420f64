package ftptest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// session is a client with just enough sense to try a real server.
type session struct {
	t      testing.TB
	server *RealServer
	conn   net.Conn
	text   *textproto.Conn
	tls    *tls.Config // nil for plain
	pasv   bool
}

// connect leaves the greeting to be read.
func (c *session) connect() {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.server.Addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.text = conn, textproto.NewConn(conn)
}

func (c *session) secure() {
	c.tls = &tls.Config{
		RootCAs: c.server.CertPool, ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	c.text = textproto.NewConn(tls.Client(c.conn, c.tls))
}

func dial(t testing.TB, s *RealServer, secure bool) *session {
	t.Helper()
	c := &session{t: t, server: s}
	c.connect()
	if s.setup.ImplicitTLS {
		c.secure()
	}
	c.reply(220)
	if secure {
		c.command(234, "AUTH TLS")
		c.secure()
		c.command(200, "PBSZ 0")
		c.command(200, "PROT P")
	}
	return c
}

func login(t testing.TB, s *RealServer, secure bool) *session {
	t.Helper()
	c := dial(t, s, secure)
	c.command(331, "USER "+s.User)
	c.command(230, "PASS "+s.Password)
	c.command(200, "TYPE I")
	return c
}

func (c *session) reply(want int) string {
	c.t.Helper()
	code, message, err := c.text.ReadResponse(0)
	if err != nil {
		c.t.Fatalf("reply: %v, want %d", err, want)
	}
	if code != want {
		c.t.Fatalf("reply: %d %s, want %d", code, message, want)
	}
	return message
}

func (c *session) command(want int, line string) string {
	c.t.Helper()
	if err := c.text.PrintfLine("%s", line); err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	code, message, err := c.text.ReadResponse(0)
	if err != nil {
		c.t.Fatalf("%s: %v, want %d", line, err, want)
	}
	if code != want {
		c.t.Fatalf("%s: %d %s, want %d", line, code, message, want)
	}
	return message
}

// next returns the next reply, whatever it is; 000 and the error where there is none.
func (c *session) next() string {
	code, message, err := c.text.ReadResponse(0)
	if code == 0 {
		message = err.Error()
	}
	return fmt.Sprintf("%03d %s", code, message)
}

func (c *session) try(line string) string {
	if err := c.text.PrintfLine("%s", line); err != nil {
		return "000 " + err.Error()
	}
	return c.next()
}

// transfer sends upload, unless it is nil, or returns what the server sends.
func (c *session) transfer(line string, upload []byte) []byte {
	c.t.Helper()
	raw := c.open()
	defer raw.Close()
	if err := c.text.PrintfLine("%s", line); err != nil {
		c.t.Fatal(err)
	}
	code, message, err := c.text.ReadResponse(1)
	if err != nil {
		c.t.Fatalf("%s: %d %s, want 1xx: %v", line, code, message, err)
	}
	var data net.Conn = raw
	if c.tls != nil {
		var err error
		if data, err = c.handshake(raw); err != nil {
			c.t.Fatalf("%s: handshake of data: %v", line, err)
		}
	}
	if upload != nil {
		if _, err := data.Write(upload); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if secure, ok := data.(*tls.Conn); ok {
			if err := secure.CloseWrite(); err != nil {
				c.t.Fatalf("%s: close_notify: %v", line, err)
			}
		}
		if err := raw.CloseWrite(); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
	}
	got, err := io.ReadAll(data)
	if err != nil && upload == nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	if err := data.Close(); err != nil && upload == nil && !errors.Is(err, net.ErrClosed) {
		c.t.Logf("%s: close: %v", line, err) // some servers reset
	}
	c.reply(226)
	return got
}

func (c *session) handshake(raw net.Conn) (*tls.Conn, error) {
	data := tls.Client(raw, c.tls)
	return data, data.Handshake()
}

func (c *session) open() *net.TCPConn {
	c.t.Helper()
	var port int
	if c.pasv {
		message := c.command(227, "PASV")
		var h [4]int
		var high, low int
		if _, err := fmt.Sscanf(message[strings.Index(message, "(")+1:], "%d,%d,%d,%d,%d,%d",
			&h[0], &h[1], &h[2], &h[3], &high, &low); err != nil || h != [4]int{127, 0, 0, 1} {
			c.t.Fatalf("PASV: %q: %v", message, err)
		}
		port = high<<8 | low
	} else {
		message := c.command(229, "EPSV")
		if _, err := fmt.Sscanf(message[strings.Index(message, "(")+1:], "|||%d|)", &port); err != nil {
			c.t.Fatalf("EPSV: %q: %v", message, err)
		}
	}
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		c.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func TestRealServersDoWhatClientsNeed(t *testing.T) {
	for _, name := range RealServers {
		for _, secure := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " plain", true: " explicit TLS"}[secure], func(t *testing.T) {
				s := Real(t, name, RealOptions{TLS: secure})
				checkBehaviour(t, s, secure)
			})
		}
	}
}

func checkBehaviour(t *testing.T, s *RealServer, secure bool) {
	c := login(t, s, secure)
	c.command(257, "PWD")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	c.transfer("STOR new", large)
	if got := c.command(213, "SIZE new"); got != strconv.Itoa(len(large)) {
		t.Errorf("SIZE: got %s, want %d", got, len(large))
	}
	c.pasv = true
	c.transfer("STOR old", []byte("old"))
	c.transfer("STOR old", []byte("older"))
	c.command(350, "RNFR new")
	c.command(250, "RNTO old")
	if got := c.transfer("RETR old", nil); !bytes.Equal(got, large) {
		t.Errorf("RETR: got %d bytes, want the %d of the renamed file", len(got), len(large))
	}
	c.command(213, setTime(s.Name, "20200102030405", "old"))
	if got := c.command(213, "MDTM old"); !strings.HasPrefix(got, "20200102030405") {
		t.Errorf("MDTM after setting: got %s", got)
	}

	for _, name := range []string{".hidden", "-dash", "two words", "grün-日本"} {
		c.transfer("STOR "+name, []byte(name))
		content, err := os.ReadFile(filepath.Join(s.Root, name))
		if err != nil || string(content) != name {
			t.Errorf("upload of %q is %q on disk: %v", name, content, err)
		}
		if listing := string(c.transfer(listCommand(s.Name), nil)); !strings.Contains(listing, name) {
			t.Errorf("listing lacks %q:\n%s", name, listing)
		}
		if got := c.transfer("RETR "+name, nil); string(got) != name {
			t.Errorf("RETR %s: got %q", name, got)
		}
		c.command(250, "DELE "+name)
	}
	checkFolders(t, s, c)
	c.command(221, "QUIT")
}

// checkFolders makes files and folders on one side and takes them away on the other.
func checkFolders(t *testing.T, s *RealServer, c *session) {
	t.Helper()
	c.command(257, "MKD theirs")
	c.transfer("STOR theirs/file", []byte("x"))
	if err := os.Remove(filepath.Join(s.Root, "theirs", "file")); err != nil {
		t.Error(err)
	}
	c.command(250, "RMD theirs")
	if err := os.Mkdir(filepath.Join(s.Root, "ours"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Root, "ours", "file"), []byte("ours"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSuffix(s.RemoteRoot, "/") + "/ours/file"
	if got := c.transfer("RETR "+path, nil); string(got) != "ours" {
		t.Errorf("RETR %s: got %q", path, got)
	}
	c.transfer("STOR "+path, []byte("theirs"))
	c.command(200, "SITE CHMOD 600 "+path)
	c.command(250, "DELE "+path)
	c.command(250, "RMD ours")
}

func setTime(server, stamp, name string) string {
	if server == "vsftpd" {
		return "MDTM " + stamp + " " + name
	}
	return "MFMT " + stamp + " " + name
}

func listCommand(server string) string {
	if server == "vsftpd" {
		return "LIST"
	}
	return "MLSD"
}
