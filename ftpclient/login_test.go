package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestLogin(t *testing.T) {
	rest := afterLogin("").then(talk("QUIT", "221 bye")...)
	greeting := steps{{Send: "220 ready"}}
	user := greeting.then(talk("USER ferry", "331 password?")...)
	short := func(o *ftpclient.Options) {
		o.ReplyTimeout, o.ConnectTimeout = time.Second, time.Second
	}
	virtual := func(o *ftpclient.Options) { o.VirtualHost = "ftp.example" }
	tests := []struct {
		name   string
		script steps
		change func(*ftpclient.Options)
		want   outcome
	}{
		{name: "a password is asked for and given",
			script: user.then(talk("PASS secret", "230 in")...).then(rest...)},
		{name: "a password may be superfluous",
			script: user.then(talk("PASS secret", "202 superfluous")...).then(rest...)},
		{name: "a user may need no password",
			script: greeting.then(talk("USER ferry", "230 in")...).then(rest...)},
		{name: "a greeting of 230 needs no login",
			script: steps{{Send: "230 welcome"}}.then(rest...)},
		{name: "120 is a promise of 220",
			script: steps{{Send: "120 in a minute\n220 ready"}}.then(talk("USER ferry", "230 in")...).then(rest...)},
		{name: "a greeting may have many lines, and come byte by byte",
			script: steps{{Send: "220-421 is no code here\n\n 220 nor here\n220 ready", Pace: time.Microsecond}}.
				then(talk("USER ferry", "230 in")...).then(rest...)},
		{name: "UTF-8 is switched on, and a refusal of that is no matter",
			script: greeting.then(talk("USER ferry", "230 in", "FEAT", "211-F\n UTF8\n211 End", "OPTS UTF8 ON", "501 it is",
				"SYST", "500 what?", "PWD", "502 what?", "TYPE I", "200 ok", "QUIT", "221 bye")...)},
		{name: "a password is superfluous where the user has to have none (232)",
			script: greeting.then(talk("USER ferry", "232 in")...).then(rest...)},
		{name: "any 3yz after the user asks for a password",
			script: greeting.then(talk("USER ferry", "336 s/key 97 ab12", "PASS secret", "230 in")...).then(rest...)},
		{name: "an account is asked for behind the password",
			script: user.then(talk("PASS secret", "332 account?", "ACCT books", "230 in")...).then(rest...),
			change: func(o *ftpclient.Options) { o.Account = "books" }},
		{name: "an account is asked for behind the user",
			script: greeting.then(talk("USER ferry", "332 account?", "ACCT books", "202 superfluous")...).then(rest...),
			change: func(o *ftpclient.Options) { o.Account = "books" }},
		{name: "an account is not told where nobody asks",
			script: user.then(talk("PASS secret", "230 in")...).then(rest...),
			change: func(o *ftpclient.Options) { o.Account = "books" }},
		{name: "an account is wrong",
			script: user.then(talk("PASS secret", "332 account?", "ACCT books", "532 no books")...),
			change: func(o *ftpclient.Options) { o.Account = "books" },
			want:   outcome{code: 532, class: ftpclient.ClassAuthentication}},
		{name: "a virtual host is chosen first",
			script: greeting.then(talk("HOST ftp.example", "220 here it is", "USER ferry", "230 in")...).then(rest...),
			change: virtual},
		{name: "a virtual host is not there",
			script: greeting.then(talk("HOST ftp.example", "504 no such host")...), change: virtual,
			want: outcome{code: 504, class: ftpclient.ClassPermanent}},
		{name: "a server knows no virtual hosts, and nothing of its users",
			script: greeting.then(talk("HOST ftp.example", "530 Please login with USER and PASS.")...), change: virtual,
			want: outcome{is: ftpclient.ErrUnsupported, code: 530, class: ftpclient.ClassPermanent}},
		{name: "the client gives its name, and asks for UTF-8, facts and English",
			script: greeting.then(talk("USER ferry", "230 in",
				"FEAT", "211-F\n CLNT\n UTF8\n MLST type*;size*;modify*;UNIX.mode;UNIX.owner;perm;\n LANG de-DE*;en-GB;fr\n211 End",
				"CLNT ferry 9", "200 hello", "OPTS UTF8 ON", "200 ok", "OPTS MLST type;size;modify;UNIX.mode;perm;", "200 ok",
				"LANG en-GB", "200 ok", "PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")...),
			change: func(o *ftpclient.Options) { o.ClientName = "ferry 9" }},
		{name: "nothing is asked for that is there already",
			script: greeting.then(talk("USER ferry", "230 in", "FEAT", "211-F\n MLST type*;size*;modify*;UNIX.owner;\n LANG EN*;FR\n211 End",
				"PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")...)},
		{name: "refusals of wishes are no matter",
			script: greeting.then(talk("USER ferry", "230 in", "FEAT", "211-F\n CLNT\n UTF8\n MLST size;\n LANG DE;EN\n211 End",
				"CLNT ftpferry", "500 no", "OPTS UTF8 ON", "504 no", "OPTS MLST size;", "501 no", "LANG EN", "504 no",
				"PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")...)},
		{name: "a server that does not list UTF8 and has it is asked",
			script: steps{{Send: "220 (vsFTPd 3.0.3)"}}.then(talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "211-F\n SIZE\n211 End",
				"OPTS UTF8 ON", "200 Always in UTF8 mode.", "PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")...)},
		{name: "nobody is there",
			change: func(o *ftpclient.Options) {
				o.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
			},
			want: outcome{class: ftpclient.ClassUnavailable}},
		{name: "the server is going down",
			script: steps{{Send: "421 shutting down", End: ftptest.Close}},
			want:   outcome{code: 421, class: ftpclient.ClassUnavailable}},
		{name: "the server is full",
			script: steps{{Send: "421 Too many connections", End: ftptest.Close}},
			want:   outcome{code: 421, class: ftpclient.ClassBusy}},
		{name: "the server gives up in the middle of the login",
			script: greeting.then(talk("USER ferry", "421 Service not available")...),
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassUnavailable}},
		{name: "the server is cut off in the middle of the login",
			script: greeting.then(ftptest.Step{Expect: "USER ferry", End: ftptest.Close}),
			want:   outcome{class: ftpclient.ClassUnavailable}},
		{name: "the password is wrong",
			script: user.then(talk("PASS secret", "530 Login incorrect.")...),
			want:   outcome{code: 530, class: ftpclient.ClassAuthentication}},
		{name: "the user is not welcome",
			script: greeting.then(talk("USER ferry", "530 no")...),
			want:   outcome{code: 530, class: ftpclient.ClassAuthentication}},
		{name: "too many users are logged in",
			script: user.then(talk("PASS secret", "530 Sorry, the maximum number of clients (2) from your host are already connected.")...),
			want:   outcome{code: 530, class: ftpclient.ClassBusy}},
		{name: "an account is asked for, and there is none",
			script: user.then(talk("PASS secret", "332 account?")...),
			want:   outcome{code: 332, class: ftpclient.ClassAuthentication}},
		{name: "binary transfers are refused",
			script: greeting.then(talk("USER ferry", "230 in", "FEAT", "500 no", "SYST", "500 no", "PWD", `257 "/"`, "TYPE I", "504 no")...),
			want:   outcome{code: 504, class: ftpclient.ClassPermanent}},
		{name: "it is an SSH server",
			script: steps{{Raw: "SSH-2.0-OpenSSH_9.2p1\r\n"}},
			want:   outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassUnavailable}},
		{name: "it is a mail server",
			script: steps{{Send: "220 mx.example ESMTP Postfix"}},
			want:   outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassUnavailable}},
		{name: "the server is full, and says so with 530",
			script: steps{{Send: "530 Sorry, too many connections", End: ftptest.Close}},
			want:   outcome{code: 530, class: ftpclient.ClassBusy}},
		{name: "the server gives up behind the login",
			script: greeting.then(talk("USER ferry", "230 in", "FEAT", "211-F\n MLST\n211 End", "PWD", "421 bye")...),
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassUnavailable}},
		{name: "the server says something unasked in the middle of the login",
			script: greeting.then(talk("USER ferry", "230 in\n230 Welcome again")...),
			want:   outcome{is: ftpclient.ErrDesync, class: ftpclient.ClassUnavailable}},
		{name: "a refusal repeats the password",
			script: user.then(talk("PASS secret", "530 secret is wrong for ferry")...),
			want:   outcome{code: 530, class: ftpclient.ClassAuthentication}},
		{name: "a limit of commands makes no sense",
			change: func(o *ftpclient.Options) { o.CommandLimit = 10 },
			want:   outcome{is: ftpclient.ErrOptions, class: ftpclient.ClassSetup}},
		{name: "a user is too long for the server",
			script: greeting,
			change: func(o *ftpclient.Options) { o.CommandLimit, o.User = 64, strings.Repeat("u", 58) },
			want:   outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
		{name: "nobody says anything",
			change: short,
			want:   outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}},
		{name: "the server falls silent in the middle of the login",
			script: user.then(ftptest.Step{Expect: "PASS secret"}),
			change: short,
			want:   outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}},
		{name: "a password with a line end is not sent",
			script: user,
			change: func(o *ftpclient.Options) { o.Password = "hush\r\nDELE x" },
			want:   outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}},
		{name: "AUTH TLS is refused",
			script: greeting.then(talk("AUTH TLS", "502 not here")...),
			change: secure,
			want:   outcome{is: ftpclient.ErrInsecure, code: 502, class: ftpclient.ClassSetup}},
		{name: "the server gives up at AUTH TLS",
			script: greeting.then(talk("AUTH TLS", "421 bye")...),
			change: secure,
			want:   outcome{code: 421, class: ftpclient.ClassUnavailable}},
		{name: "clear text comes behind the reply to AUTH TLS",
			script: greeting.then(ftptest.Step{Expect: "AUTH TLS", Send: "234 go on\n331 injected"}),
			change: secure,
			want:   outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			if test.change != nil {
				test.change(&o)
			}
			server := ftptest.NewScript(t, test.script...)
			conn, err := ftpclient.Dial(t.Context(), server.Addr, o)
			if err == nil {
				conn.Close()
			} else if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), o.Password) {
				t.Errorf("the error holds the password: %v", err)
			}
			test.want.check(t, err)
		})
	}
}

func TestTLSNamesTheVirtualHost(t *testing.T) {
	certificate, _, _, _, trusted := ftptest.NewCertificate(t) // for localhost, too
	var asked atomic.Value
	control := &ftptest.TLS{Config: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked.Store(hello.ServerName)
		return &certificate, nil
	}}}
	for _, reply := range []string{"220 here", "500 what?", "502 what?", "530 not yet"} {
		script := secureSession(control, nil)
		script = append(script[:2:2], append(talk("HOST localhost", reply), script[2:]...)...)
		connect(t, script, func(o *ftpclient.Options) {
			o.TLS, o.VirtualHost, o.TLSConfig = ftpclient.TLSExplicit, "localhost", &tls.Config{RootCAs: trusted}
		})
		if asked.Load() != "localhost" {
			t.Errorf("TLS named %q", asked.Load())
		}
	}
}

func TestTheWrongKindOfTLSIsNamed(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			o := optionsFor(server, securities[2])
			o.TLS = ftpclient.TLSImplicit
			_, err := ftpclient.Dial(t.Context(), server.Addr, o)
			outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}.check(t, err)
			if !strings.Contains(err.Error(), `use tls = "explicit"`) {
				t.Error(err)
			}
			o.TLS = ftpclient.TLSNone
			if _, err := ftpclient.Dial(t.Context(), server.Addr, o); err == nil {
				t.Error("logged in without TLS")
			}
		})
	}
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name+", implicit", func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{ImplicitTLS: true})
			o := optionsFor(server, securities[2])
			o.ConnectTimeout, o.ReplyTimeout = testPatience, 2*time.Second
			_, err := ftpclient.Dial(t.Context(), server.Addr, o)
			outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}.check(t, err)
			if !strings.Contains(err.Error(), `use tls = "implicit"`) {
				t.Error(err)
			}
			o.TLS, o.ConnectTimeout, o.ReplyTimeout = ftpclient.TLSImplicit, testPatience, testPatience
			conn := dial(t, t.Context(), server.Addr, o)
			if result, err := put(t.Context(), conn, conn.Absolute("f"), strings.NewReader("hello")); err != nil || !result.TLSResumed {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
}

// TestARefusalInsteadOfAHandshakeIsUnderstood is about servers that have something to say to some
// clients before TLS begins, as vsftpd to one too many.
func TestARefusalInsteadOfAHandshakeIsUnderstood(t *testing.T) {
	for _, test := range []struct {
		says string
		want outcome
	}{
		{"421 There are too many connected users, please try later.\r\n", outcome{code: 421, class: ftpclient.ClassBusy}},
		{"421-There are too many connected users,\r\n421 please try later.\r\n", outcome{code: 421, class: ftpclient.ClassBusy}},
		{"500 OOPS: cannot read the configuration\r\n", outcome{code: 500, class: ftpclient.ClassUnavailable}},
		{"220 ready\r\n", outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
		{"421 cut", outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
		{"SSH-2.0-OpenSSH_9.2\r\n", outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}},
	} {
		t.Run(test.says, func(t *testing.T) {
			address := listen(t, func(conn net.Conn) {
				io.WriteString(conn, test.says)
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
			})
			o := testOptions()
			secure(&o)
			o.TLS = ftpclient.TLSImplicit
			_, err := ftpclient.Dial(t.Context(), address, o)
			test.want.check(t, err)
		})
	}
}

func TestSecretsAreInNoLog(t *testing.T) {
	var log strings.Builder
	script := steps{{Send: "220 ready"}}.then(talk("USER ferry", "331 password?", "PASS secret", "332-PASS secret is not enough\n332 account?",
		"ACCT books", "500 ACCT books?")...)
	o := testOptions()
	o.Account = "books"
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, err := ftpclient.Dial(t.Context(), ftptest.NewScript(t, script...).Addr, o)
	if err == nil || strings.Contains(err.Error(), "books") {
		t.Errorf("%v", err)
	}
	if text := log.String(); strings.Contains(text, "secret") || strings.Contains(text, "books") || !strings.Contains(text, "PASS ***") {
		t.Error(text)
	}
}

func TestWhatTheServerSaysAboutItselfIsLearned(t *testing.T) {
	greeting := "220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\n220-You are user number 1 of 50 allowed.\n" +
		"220 You will be disconnected after 15 minutes of inactivity."
	script := steps{{Send: greeting}}.then(talk("USER ferry", "230 in", "FEAT", "211-F\n MLST\n211 End", "PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")...)
	conn := dial(t, t.Context(), ftptest.NewScript(t, script...).Addr, testOptions())
	if f := conn.Facts(); f.Server != "pure-ftpd" || f.IdleLimit.Duration() != 15*time.Minute {
		t.Errorf("%+v", f)
	}
}

func TestTheSystemIsAskedForWhereListingsNeedIt(t *testing.T) {
	script := steps{{Send: "220 ready"}}.then(talk("USER ferry", "230-Welcome to this mirror of vsftpd.\n230 Idle timeout: 5 minutes", "FEAT", "500 no",
		"SYST", "215 VMS OpenVMS V8.4", "PWD", `257 "SYS$LOGIN:[FERRY]"`, "TYPE I", "200 ok", "QUIT", "221 bye")...)
	conn := dial(t, t.Context(), ftptest.NewScript(t, script...).Addr, testOptions())
	if f := conn.Facts(); f.Server != "vms" || f.IdleLimit.Duration() != 5*time.Minute || conn.System() != "VMS OpenVMS V8.4" {
		t.Errorf("%+v, %q", f, conn.System())
	}
}

func TestRedialGoesOnWithWhatIsKnown(t *testing.T) {
	script := open("MLST", talk("NOOP", "421 Timeout.")).then(ftptest.Step{End: ftptest.Close}).then(session("MLST", nil)...)
	conn, _ := connect(t, script)
	conn.LearnNoDotNames()
	if err := conn.Noop(t.Context()); !errors.Is(err, ftpclient.ErrClosing) {
		t.Fatal(err)
	}
	again, err := conn.Redial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	if !again.Usable() || !again.Facts().NoDotNames || conn.Usable() {
		t.Errorf("usable: %v and %v, facts: %+v", again.Usable(), conn.Usable(), again.Facts())
	}
}

func TestTLSLogin(t *testing.T) {
	certificate, _, _, _, trusted := ftptest.NewCertificate(t)
	control := &ftptest.TLS{Config: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	beginning := steps{{Send: "220 ready"}, {Expect: "AUTH TLS", Send: "234 go on", TLS: control}}
	login := talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "500 what?", "SYST", "500 what?", "PBSZ 0", "200 ok")
	tests := []struct {
		name   string
		script steps
		config *tls.Config
		mode   ftpclient.TLSMode
		want   outcome
	}{
		{name: "an authority is trusted",
			script: secureSession(control, nil), config: &tls.Config{RootCAs: trusted}},
		{name: "implicit TLS comes before the greeting",
			script: append(steps{{TLS: control}, {Send: "220 ready"}}, secureSession(control, nil)[2:]...),
			config: &tls.Config{RootCAs: trusted}, mode: ftpclient.TLSImplicit},
		{name: "data would not be protected",
			script: beginning.then(login...).then(talk("PROT P", "536 no")...), config: &tls.Config{RootCAs: trusted},
			want: outcome{is: ftpclient.ErrInsecure, code: 536, class: ftpclient.ClassSetup}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			o.TLS, o.TLSConfig = test.mode, test.config
			conn, err := ftpclient.Dial(t.Context(), ftptest.NewScript(t, test.script...).Addr, o)
			if err == nil {
				conn.Close()
			}
			test.want.check(t, err)
		})
	}
}

// listen makes a server of one connection that does what serve does; its end is not awaited by the client.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}()
	return l.Addr().String()
}

func TestAnUnknownCertificateIsNotAccepted(t *testing.T) {
	config := certified(t, tls.VersionTLS12)
	address := listen(t, func(conn net.Conn) { tls.Server(conn, config).Handshake() })
	o := testOptions()
	o.TLS = ftpclient.TLSImplicit
	_, err := ftpclient.Dial(t.Context(), address, o)
	outcome{is: ftpclient.ErrCertificate, class: ftpclient.ClassSetup}.check(t, err)
}

func TestAGreetingInClearTextIsNoTLS(t *testing.T) {
	address := listen(t, func(conn net.Conn) {
		conn.Write([]byte("220 hello there\r\n"))
		conn.Read(make([]byte, 1)) // else the client may see a reset first
	})
	o := testOptions()
	o.TLS = ftpclient.TLSImplicit
	_, err := ftpclient.Dial(t.Context(), address, o)
	outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}.check(t, err)
}

func TestAHugeReplyIsNotKept(t *testing.T) {
	line := []byte("220 " + strings.Repeat("x", 10<<20) + "\r\n")
	address := listen(t, func(conn net.Conn) { conn.Write(line) })
	_, err := ftpclient.Dial(t.Context(), address, testOptions())
	outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassUnavailable}.check(t, err)
}

// TestASocketThatNoticesADeadlineFirst is about callers who tell their own deadline from a
// server's silence by asking their context.
func TestASocketThatNoticesADeadlineFirst(t *testing.T) {
	o := testOptions()
	o.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		for time.Now().Before(deadline) { // closer to it than a timer gets
		}
		return nil, os.ErrDeadlineExceeded
	}
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		_, err := ftpclient.Dial(ctx, "server.example:21", o)
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() == nil {
			t.Errorf("%v, and the context: %v", err, ctx.Err())
		}
		cancel()
	}
	o.ConnectTimeout = 2 * time.Millisecond
	_, err := ftpclient.Dial(t.Context(), "server.example:21", o)
	outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}.check(t, err)
}

func TestDialGivesUpWhenItsContextEnds(t *testing.T) {
	heard := make(chan struct{})
	address := listen(t, func(conn net.Conn) {
		close(heard)
		conn.Read(make([]byte, 1)) // until the client has gone
	})
	why := errors.New("the user pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-heard
		cancel(why)
	}()
	_, err := ftpclient.Dial(ctx, address, testOptions())
	outcome{is: why, class: ftpclient.ClassCancelled}.check(t, err)
}
