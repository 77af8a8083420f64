package ftptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a test that may fail without the real one failing.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}

// line is a client of a script that sends and reads whole lines.
type line struct {
	net.Conn
	*bufio.Reader
	t testing.TB
}

func (l *line) Read(p []byte) (int, error) { return l.Reader.Read(p) }

func call(t testing.TB, s *Script) *line {
	t.Helper()
	conn, err := s.Dial(context.Background(), "tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &line{Conn: conn, Reader: bufio.NewReader(conn), t: t}
}

func (l *line) say(text string) {
	l.t.Helper()
	if _, err := io.WriteString(l.Conn, text+"\r\n"); err != nil {
		l.t.Fatalf("send %q: %v", text, err)
	}
}

func (l *line) hear(want string) {
	l.t.Helper()
	if got, err := l.ReadString('\n'); got != want+"\r\n" {
		l.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// hearPort reads a 229.
func (l *line) hearPort() string {
	l.t.Helper()
	text, err := l.ReadString('\n')
	if err != nil {
		l.t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscanf(text[strings.Index(text, "(")+1:], "|||%d|)", &port); err != nil {
		l.t.Fatalf("%q: %v", text, err)
	}
	host, _, _ := net.SplitHostPort(l.RemoteAddr().String())
	return net.JoinHostPort(host, fmt.Sprint(port))
}

func TestScriptInABubbleDelaysAndMovesDataInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewPipeScript(t,
			Step{Send: "220 hi"},
			Step{Expect: "EPSV", Passive: true},
			Step{Expect: "STOR *", Delay: 10 * time.Minute, Send: "150-go\n150 on", Pace: time.Second},
			Step{Data: &Data{Receive: 3}},
			Step{Data: &Data{Receive: All, Want: "def", End: Close}, Send: "226 {port}"},
		)
		start := time.Now()
		c := call(t, s)
		c.hear("220 hi")
		c.say("EPSV")
		data, err := s.Dial(t.Context(), "tcp", c.hearPort())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.WriteString(data, "abcdef") // a pipe waits for its reader
			data.Close()
		}()
		c.say("STOR file")
		c.hear("150-go")
		c.hear("150 on")
		c.hear("226 50001")
		s.Wait()
		if got := s.Received(); got != "abcdef" {
			t.Errorf("Received: got %q", got)
		}
		if took := time.Since(start); took != 10*time.Minute+16*time.Second {
			t.Errorf("took %s of fake time", took)
		}
		c.Close()
	})
}

func TestScriptFailsTheTestWhen(t *testing.T) {
	steps := []Step{{Send: "220 hi"}, {Expect: "USER x", Send: "331 go"}, {Expect: "PASS *", Send: "230 in"}}
	tests := []struct {
		name string
		say  []string
		want string // in the error
	}{
		{"another command comes", []string{"USER y"}, `step 2 of 3: got "USER y", want "USER x"`},
		{"a line ends without CR", []string{"USER x\n"}, `step 2 of 3: got "USER x\n", want it to end with CR LF`},
		{"the client leaves early", []string{"USER x"}, `step 3 of 3: got "" and then EOF, want "PASS *"`},
		{"a command follows the last step", []string{"USER x", "PASS y", "NOOP"}, `after the last step: got "NOOP\r\n"`},
		{"all is as written", []string{"USER x", "PASS y"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &recorder{TB: t}
			s := NewScript(r, steps...)
			c := call(t, s)
			c.hear("220 hi")
			for _, text := range test.say {
				c.say(text)
			}
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			s.Wait()
			<-s.finished
			r.end()
			if got := strings.Join(r.errors, "\n"); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("errors: got %q, want %q", got, test.want)
			}
		})
	}
}

func TestScriptWithoutAClientFailsTheTestAtItsEnd(t *testing.T) {
	r := &recorder{TB: t}
	NewScript(r, Step{Send: "220 hi"})
	r.end()
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], `no client came for "220 hi"`) {
		t.Errorf("errors: got %q", r.errors)
	}
}

func TestScriptThatReadsDataGivesUpOnSilence(t *testing.T) {
	r := &recorder{TB: t}
	s := newScript(r, tcpNetwork{}, time.Minute, 50*time.Millisecond, []Step{
		{Expect: "EPSV", Passive: true, Data: &Data{Receive: All}}, {Send: "226 done"},
	})
	c := call(t, s)
	c.say("EPSV")
	data, err := s.Dial(t.Context(), "tcp", c.hearPort())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	io.WriteString(data, "hello")
	s.Wait()
	r.end()
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], `got "hello", and then nothing for 50ms`) {
		t.Errorf("got errors %q", r.errors)
	}
}

func TestScriptAfterAResetTakesTheNextConnection(t *testing.T) {
	s := NewScript(t, Step{Send: "220 hi"}, Step{Expect: "NOOP", Raw: "200 half a li", End: Reset}, Step{Send: "220 again"})
	c := call(t, s)
	c.hear("220 hi")
	c.say("NOOP")
	if got, err := io.ReadAll(c); err == nil {
		t.Errorf("first connection: got %q, %v, want a reset", got, err)
	}
	call(t, s).hear("220 again")
	s.Wait()
}

func TestScriptDialsActiveDataConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	s := NewScript(t,
		Step{Send: "220 hi"},
		Step{Expect: "PORT *", Send: "200 ok", Data: &Data{From: "127.0.0.1", Send: "one", End: Close}},
		Step{Expect: "EPRT *", Send: "200 ok", Data: &Data{Send: "two", End: HalfClose}},
		Step{Data: &Data{Receive: All, Want: "back", End: Close}},
	)
	c := call(t, s)
	c.hear("220 hi")
	for _, test := range []struct{ command, want string }{
		{fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&0xff), "one"},
		{fmt.Sprintf("EPRT |1|127.0.0.1|%d|", port), "two"},
	} {
		c.say(test.command)
		c.hear("200 ok")
		data, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(data); string(got) != test.want {
			t.Errorf("%s: got %q, %v", test.command, got, err)
		}
		io.WriteString(data, "back") // to a closed connection the first time
		data.Close()
	}
	s.Wait()
}

// upload runs a TLS upload of content against a server that sends tickets and reads slowly.
func upload(t testing.TB, r *recorder, content string, finish func(*tls.Conn)) {
	t.Helper()
	certificate, _, _, _, pool := NewCertificate(t)
	server := &TLS{Config: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	resumed := &TLS{Config: server.Config, MustResume: true, LateTickets: true}
	s := NewScript(r,
		Step{Expect: "AUTH TLS", Send: "234 go", TLS: server},
		Step{Expect: "EPSV", Passive: true},
		Step{Expect: "STOR x", Send: "150 go", Data: &Data{TLS: resumed, Pace: time.Millisecond,
			Receive: All, Want: content, End: Close}},
		Step{Send: "226 done"},
	)
	client := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	c := call(t, s)
	c.say("AUTH TLS")
	c.hear("234 go")
	secure := tls.Client(c.Conn, client)
	c = &line{Conn: secure, Reader: bufio.NewReader(secure), t: t}
	c.say("EPSV")
	raw, err := s.Dial(t.Context(), "tcp", c.hearPort())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c.say("STOR x")
	c.hear("150 go")
	data := tls.Client(raw, client)
	if _, err := io.WriteString(data, content); err != nil {
		t.Fatal(err)
	}
	finish(data)
	s.Wait()
	r.end()
}

func TestScriptThatSendsTicketsAndReadsSlowlyLosesTheTailOfAHastyUpload(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 64<<10) // more than fits into the buffers of the receiver
	hasty := &recorder{TB: t}
	upload(t, hasty, content, func(data *tls.Conn) { data.Close() })
	if len(hasty.errors) != 1 || !strings.Contains(hasty.errors[0], "connection reset") {
		t.Errorf("Close at once: got errors %q, want a lost tail", hasty.errors)
	}
	patient := &recorder{TB: t}
	upload(t, patient, content, func(data *tls.Conn) {
		if err := data.CloseWrite(); err != nil {
			t.Error(err)
		}
		if err := data.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		io.Copy(io.Discard, data)
	})
	if len(patient.errors) != 0 {
		t.Errorf("reading to the end before Close: got errors %q", patient.errors)
	}
}

// endWatch notes whether the transport itself ended, which crypto/tls does not tell apart from close_notify.
type endWatch struct {
	net.Conn
	ended bool
}

func (w *endWatch) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.ended = w.ended || err == io.EOF
	return n, err
}

func TestScriptEndsTLSWithAndWithoutCloseNotify(t *testing.T) {
	certificate, _, _, _, pool := NewCertificate(t)
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoCloseNotify %v", cut), func(t *testing.T) {
			s := NewScript(t, Step{End: Close, Expect: "", TLS: &TLS{
				Config: &tls.Config{Certificates: []tls.Certificate{certificate}}, NoCloseNotify: cut,
			}})
			watch := &endWatch{Conn: call(t, s).Conn}
			secure := tls.Client(watch, &tls.Config{RootCAs: pool, ServerName: "localhost"})
			if got, err := io.ReadAll(secure); len(got) != 0 || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if watch.ended != cut {
				t.Errorf("the transport ended before close_notify: %v, want %v", watch.ended, cut)
			}
			s.Wait()
		})
	}
}

func TestFloodGoesOnUntilTheClientIsGone(t *testing.T) {
	s := NewScript(t, Step{Send: "220 hi", Flood: "220-more\r\n"}, Step{Send: "220 the next one"})
	first := call(t, s)
	first.hear("220 hi")
	for range 10_000 {
		first.hear("220-more")
	}
	first.Close()
	call(t, s).hear("220 the next one")
	s.Wait()
}

func TestBytesBelowTLSAndCutRecordsAreErrorsForTheClient(t *testing.T) {
	certificate, _, _, _, pool := NewCertificate(t)
	secure := &TLS{Config: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	for _, c := range []struct {
		step Step
		want string
	}{
		{Step{Clear: "500 OOPS: out of memory\r\n", End: Close}, "received record with version"},
		{Step{End: CutRecord}, "unexpected EOF"},
	} {
		s := NewScript(t, Step{TLS: secure}, Step{Send: "220 hi"}, c.step)
		conn, err := tls.Dial("tcp", s.Addr, &tls.Config{RootCAs: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got, err := io.ReadAll(conn); string(got) != "220 hi\r\n" || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %q, %v, want an error with %q", got, err, c.want)
		}
	}
}

func TestADeafPortNeverAnswers(t *testing.T) {
	Need(t, "deaf port")
	port := DeafPort(t)
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 200*time.Millisecond)
	if err == nil {
		conn.Close()
		t.Error("connected, want a time-out")
	}
}
