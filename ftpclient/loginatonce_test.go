package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestLoginAtOnce: replies are held back until all commands are there, which a login command by command would never end.
func TestLoginAtOnce(t *testing.T) {
	features := "211-F\n CLNT\n UTF8\n MLST type*;size*;modify*;\n211 End"
	// write is what comes in one write, and how it is answered.
	// write is commands that come in one write; but USER comes alone, as without TLS a server that demands it says so there.
	write := func(lines ...string) steps {
		var s steps
		if lines[0] == "USER ferry" {
			s = append(s, ftptest.Step{Expect: lines[0], Send: lines[1]})
			if !strings.HasPrefix(lines[1], "331") && !strings.HasPrefix(lines[1], "230") {
				return s
			}
			lines = lines[2:]
		}
		for i := 0; i < len(lines); i += 2 {
			s = append(s, ftptest.Step{Expect: lines[i]})
		}
		for i := 1; i < len(lines); i += 2 {
			if lines[i] != "" {
				s = append(s, ftptest.Step{Send: lines[i]})
			}
		}
		return s
	}
	hello := steps{{Send: "220 ProFTPD Server"}}
	bye := talk("QUIT", "221 bye")
	first := hello.then(write("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", features)...)
	arrival := []string{"CLNT ferry 9", "200 hello", "OPTS UTF8 ON", "200 ok", "PWD", `257 "/home"`, "TYPE I", "200 ok"}
	all := append([]string{"USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", features}, arrival...)
	oneByOne := hello.then(talk(append([]string{"USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", features}, arrival...)...)...)
	proftpd := func(f *ftpclient.Facts) { f.Server, f.LoginWishes = "proftpd", "CLNT|OPTS UTF8 ON" }
	closed := func(s steps) steps {
		s = append(steps(nil), s...)
		s[len(s)-1].End = ftptest.Close
		return s
	}
	late := steps{{Send: "220 pyftpdlib 1.5.7 ready."}}.then(talk("USER ferry", "331 password?", "PASS secret", "230 in")...)
	tests := []struct {
		name   string
		facts  func(*ftpclient.Facts)
		script steps
		want   outcome
		// learned is Facts.LoginAtOnce, and wishes Facts.LoginWishes.
		learned, wishes string
	}{
		{name: "a known server, for the first time: two writes", script: first.then(write(arrival...)...).then(bye...), wishes: "CLNT|OPTS UTF8 ON"},
		{name: "the next time: one", facts: proftpd, script: hello.then(write(all...)...).then(bye...), wishes: "CLNT|OPTS UTF8 ON"},
		{name: "nothing was wished the last time, and nothing is",
			facts: func(f *ftpclient.Facts) { f.LoginWishes = "none" },
			script: hello.then(write("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "211-F\n MLST type*;\n211 End",
				"PWD", `257 "/home"`, "TYPE I", "200 ok")...).then(bye...), wishes: "none"},
		{name: "features have come since: what they make one wish goes behind", facts: func(f *ftpclient.Facts) { f.LoginWishes = "CLNT" },
			script: hello.then(write("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", features, "CLNT ferry 9", "200 ok",
				"PWD", `257 "/home"`, "TYPE I", "200 ok")...).then(write("OPTS UTF8 ON", "200 ok", "PWD", `257 "/home"`, "TYPE I", "200 ok")...).then(bye...),
			wishes: "CLNT|OPTS UTF8 ON"},
		{name: "another server has taken the place, about which nothing is known", facts: proftpd,
			script: steps{{Send: "220 Some FileZilla Server"}}.then(oneByOne[1:]...).then(bye...)},
		{name: "the password is superfluous", facts: proftpd,
			script: hello.then(write(append([]string{"USER ferry", "230 in"}, all[4:]...)...)...).then(bye...), wishes: "CLNT|OPTS UTF8 ON"},
		{name: "the password is wrong and repeated, and all behind it is refused", facts: proftpd,
			script: hello.then(write("USER ferry", "331 password?", "PASS secret", "530 secret is wrong", "FEAT", features,
				"CLNT ferry 9", "530 no", "OPTS UTF8 ON", "530 no", "PWD", "530 no", "TYPE I", "530 no")...),
			want: outcome{code: 530, class: ftpclient.ClassAuthentication}},
		{name: "the password is wrong, and the server hangs up", facts: proftpd,
			script: hello.then(closed(write("USER ferry", "331 password?", "PASS secret", "530 Login incorrect.", "FEAT", "",
				"CLNT ferry 9", "", "OPTS UTF8 ON", "", "PWD", "", "TYPE I", ""))...),
			want: outcome{code: 530, class: ftpclient.ClassAuthentication}},
		{name: "the user is wrong", facts: proftpd,
			script: hello.then(write("USER ferry", "530 no", "PASS secret", "503 USER first", "FEAT", "530 no",
				"CLNT ferry 9", "530 no", "OPTS UTF8 ON", "530 no", "PWD", "530 no", "TYPE I", "530 no")...),
			want: outcome{code: 530, class: ftpclient.ClassAuthentication}},
		{name: "an account is asked for, and there is none", facts: proftpd,
			script: hello.then(write("USER ferry", "332 account?", "PASS secret", "503 no", "FEAT", "530 no",
				"CLNT ferry 9", "530 no", "OPTS UTF8 ON", "530 no", "PWD", "530 no", "TYPE I", "530 no")...),
			want: outcome{code: 332, class: ftpclient.ClassAuthentication}},
		{name: "the server is full", facts: proftpd,
			script: hello.then(closed(write("USER ferry", "421 Too many connections", "PASS secret", "", "FEAT", "",
				"CLNT ferry 9", "", "OPTS UTF8 ON", "", "PWD", "", "TYPE I", ""))...),
			want: outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassBusy}},
		{name: "replies in another order: command by command, from now on", facts: proftpd,
			script: hello.then(closed(write("USER ferry", "331 password?", "PASS secret", features, "FEAT", "",
				"CLNT ferry 9", "", "OPTS UTF8 ON", "", "PWD", "", "TYPE I", ""))...).then(oneByOne...).then(bye...), learned: "broke"},
		{name: "it hangs up: command by command, which may be chance", facts: proftpd,
			script: hello.then(closed(write("USER ferry", "331 password?", "PASS secret", "", "FEAT", "",
				"CLNT ferry 9", "", "OPTS UTF8 ON", "", "PWD", "", "TYPE I", ""))...).then(oneByOne...).then(bye...), learned: "failed"},
		{name: "and the second time it is not",
			facts: func(f *ftpclient.Facts) { proftpd(f); f.LoginAtOnce = "failed" },
			script: hello.then(closed(write("USER ferry", "331 password?", "PASS secret", "", "FEAT", "",
				"CLNT ferry 9", "", "OPTS UTF8 ON", "", "PWD", "", "TYPE I", ""))...).then(oneByOne...).then(bye...), learned: "broke"},
		{name: "a success makes up for it", facts: func(f *ftpclient.Facts) { proftpd(f); f.LoginAtOnce = "failed" },
			script: hello.then(write(all...)...).then(bye...), wishes: "CLNT|OPTS UTF8 ON"},
		{name: "it hangs up both ways: nothing is learned", facts: proftpd,
			script: hello.then(closed(write("USER ferry", "331 password?", "PASS secret", "", "FEAT", "",
				"CLNT ferry 9", "", "OPTS UTF8 ON", "", "PWD", "", "TYPE I", ""))...).
				then(hello...).then(ftptest.Step{Expect: "USER ferry", End: ftptest.Close}),
			want: outcome{class: ftpclient.ClassUnavailable}},
		{name: "a server that could not stand it is not asked again", facts: func(f *ftpclient.Facts) { proftpd(f); f.LoginAtOnce = "broke" },
			script: oneByOne.then(bye...), learned: "broke"},
		{name: "nor one that could not stand groups", facts: func(f *ftpclient.Facts) { proftpd(f); f.Pipelining = "no" },
			script: oneByOne.then(bye...)},
		{name: "an unknown server that is proven to stand groups", facts: func(f *ftpclient.Facts) { f.Pipelining = "yes" },
			script: steps{{Send: "220 ready"}}.then(first[1:]...).then(write(arrival...)...).then(bye...), wishes: "CLNT|OPTS UTF8 ON"},
		{name: "pyftpdlib refuses passwords late: nothing goes behind that", script: late.then(write(append([]string{"FEAT", features}, arrival[:4]...)...)...).
			then(write(arrival[4:]...)...).then(bye...), facts: func(f *ftpclient.Facts) { f.LoginWishes = "CLNT|OPTS UTF8 ON" }, wishes: "CLNT|OPTS UTF8 ON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			var log bytes.Buffer
			o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			o.ClientName = "ferry 9"
			if test.facts != nil {
				test.facts(&o.Facts)
			}
			conn, err := ftpclient.Dial(t.Context(), ftptest.NewScript(t, test.script...).Addr, o)
			test.want.check(t, err)
			facts := ftpclient.Facts{}
			if e, ok := err.(*ftpclient.Error); ok && e.Facts != nil {
				facts = *e.Facts
			}
			if err == nil {
				if facts = conn.Facts(); conn.Home() != "/home" {
					t.Errorf("home: %q", conn.Home())
				}
				conn.Close()
				if test.wishes != "" && facts.LoginWishes != test.wishes {
					t.Errorf("wishes: %q, want %q", facts.LoginWishes, test.wishes)
				}
			}
			if facts.LoginAtOnce != test.learned {
				t.Errorf("learned: %q, want %q", facts.LoginAtOnce, test.learned)
			}
			if strings.Contains(log.String(), "secret") {
				t.Errorf("the password is in the log:\n%s", log.String())
			}
		})
	}
}

// turnsOf counts how often the client writes after it has read, on the first connection that it dials.
type turnsOf struct {
	net.Conn
	mu    sync.Mutex
	heard bool
	turns int
	// ends is set when the next write ends the handshake of TLS 1.3, and ended by that write. What comes before the write behind that are
	// session tickets: the client waits for none, but a slow one may have them before it goes on, and that is no turn.
	ends, ended bool
}

func (c *turnsOf) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = c.heard || n > 0 && !c.ended
	return n, err
}

func (c *turnsOf) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.heard {
		c.turns++
		c.heard = false
	}
	c.ends, c.ended = false, c.ends
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// verified is a tls.Config.VerifyConnection.
func (c *turnsOf) verified(state tls.ConnectionState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = state.Version == tls.VersionTLS13
	return nil
}

// TestLoginTurns counts what a login costs on a long line. On top of them come the opening of the connection and of TLS.
func TestLoginTurns(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"vsftpd": 0, "proftpd": 0, "pure-ftpd": 0, "pyftpdlib": 1} { // which is told nothing before the password is taken
		for _, s := range []security{securities[0], securities[1], securities[2]} {
			t.Run(name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{TLS: s.version != 0})
				o := optionsFor(server, s)
				var counted *turnsOf
				o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, address)
					counted = &turnsOf{Conn: conn}
					return counted, err
				}
				if o.TLSConfig != nil {
					o.TLSConfig.VerifyConnection = func(state tls.ConnectionState) error { return counted.verified(state) }
				}
				least := 1 // USER, the answer to which may be that TLS is needed
				if s.version != 0 {
					least = 3 // AUTH TLS, and the two flights of the handshake in TLS 1.2
				}
				for i, most := range []int{2 + more, 1 + more} {
					conn := dial(t, t.Context(), server.Addr, o)
					counted.mu.Lock()
					turns := counted.turns
					counted.mu.Unlock()
					if turns > least+most {
						t.Errorf("login %d: %d turns", i+1, turns)
					}
					t.Logf("login %d: %d turns", i+1, turns)
					if _, err := put(t.Context(), conn, conn.Absolute("f"), strings.NewReader("hello")); err != nil {
						t.Error(err)
					}
					o.Facts = conn.Facts()
				}
				o.Password = "wrong"
				_, err := ftpclient.Dial(t.Context(), server.Addr, o)
				if ftpclient.Classify(err) != ftpclient.ClassAuthentication {
					t.Errorf("a wrong password: %v", err)
				}
			})
		}
	}
}
