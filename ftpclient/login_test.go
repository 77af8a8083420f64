package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
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
		o.ReplyTimeout, o.ConnectTimeout = 50*time.Millisecond, 50*time.Millisecond
	}
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
