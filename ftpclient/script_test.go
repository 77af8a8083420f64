package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// steps are the script of a server.
type steps []ftptest.Step

func (s steps) then(more ...ftptest.Step) steps { return append(append(steps(nil), s...), more...) }

// talk is a dialogue of commands and replies, by turns.
func talk(lines ...string) steps {
	var s steps
	for i := 0; i < len(lines); i += 2 {
		s = append(s, ftptest.Step{Expect: lines[i], Send: lines[i+1]})
	}
	return s
}

// session is a login without TLS, then, and the farewell.
func session(features string, then steps) steps {
	return open(features, then).then(talk("QUIT", "221 bye")...)
}

// open is a session without farewell: of a connection that is given up.
func open(features string, then steps) steps {
	s := steps{{Send: "220 ready"}}
	s = s.then(talk("USER ferry", "331 password?", "PASS secret", "230 in")...)
	return s.then(afterLogin(features)...).then(then...)
}

// afterLogin is what follows the password.
func afterLogin(features string) steps {
	reply := "500 what?"
	if features != "" {
		reply = "211-Features\n " + strings.ReplaceAll(features, ",", "\n ") + "\n211 End"
	}
	rest := talk("PWD", `257 "/" is current`, "TYPE I", "200 binary")
	if !strings.Contains(features, "MLS") { // the form of listings has to be guessed
		rest = talk("SYST", "215 UNIX Type: L8").then(rest...)
	}
	return talk("FEAT", reply).then(rest...)
}

// secureSession is a login with TLS, then, and the farewell.
func secureSession(control *ftptest.TLS, then steps) steps {
	return secureOpen(control, then).then(talk("QUIT", "221 bye")...)
}

// secureOpen is a secureSession without farewell.
func secureOpen(control *ftptest.TLS, then steps) steps {
	s := steps{{Send: "220 ready"}, {Expect: "AUTH TLS", Send: "234 go on", TLS: control}}
	s = s.then(talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "500 what?",
		"SYST", "500 what?", "PBSZ 0", "200 ok", "PROT P", "200 ok", "PWD", `257 "/"`, "TYPE I", "200 binary")...)
	return s.then(then...)
}

// passive is the answer to EPSV.
var passive = ftptest.Step{Expect: "EPSV", Passive: true}

// download is EPSV and a whole transfer of content.
func download(command, content, final string) steps {
	return steps{passive, {Expect: command, Send: "150 here it comes", Data: &ftptest.Data{Send: content, End: ftptest.Close}}, {Send: final}}
}

// aborted is the end of a transfer that the client gives up: ABOR is there when the server
// looks at how the data have ended.
var aborted = steps{{Expect: "ABOR", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, {Send: "426 cut\n226 ABOR done"},
	{Expect: "NOOP", Send: "200 here"}}

// atOnce is how long something may take that must not wait for the end of a patience. Machines stall for seconds.
const (
	testPatience = 3 * time.Minute
	atOnce       = testPatience / 2
)

// testOptions are for scripted servers: patient enough for a loaded machine.
func testOptions() ftpclient.Options {
	return ftpclient.Options{
		User: "ferry", Password: "secret", TLS: ftpclient.TLSNone,
		ReplyTimeout: testPatience, ConnectTimeout: testPatience, FinalReplyTimeout: testPatience, StallTimeout: testPatience,
	}
}

// connect logs in to a server that does what the script says, with all patience: limits that are shorter hold from then on.
func connect(t *testing.T, script steps, change ...func(*ftpclient.Options)) (*ftpclient.Conn, *ftptest.Script) {
	t.Helper()
	server := ftptest.NewScript(t, script...)
	o := testOptions()
	for _, f := range change {
		f(&o)
	}
	wanted := o
	o.ReplyTimeout, o.ConnectTimeout = max(o.ReplyTimeout, testPatience), max(o.ConnectTimeout, testPatience)
	conn := dial(t, t.Context(), server.Addr, o)
	conn.SetPatience(wanted)
	return conn, server
}

// secure asks for TLS and trusts every certificate: what the tests with it are about comes later.
func secure(o *ftpclient.Options) {
	o.TLS = ftpclient.TLSExplicit
	o.TLSConfig = &tls.Config{InsecureSkipVerify: true}
}

// certified returns the TLS of a server, sessions of which can be resumed as long as the value is the same.
func certified(t *testing.T, version uint16) *tls.Config {
	t.Helper()
	certificate, _, _, _, _ := ftptest.NewCertificate(t)
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version, MaxVersion: version}
}

// get downloads the file p.
func get(ctx context.Context, conn *ftpclient.Conn, p string) (string, ftpclient.Result, error) {
	transfer, err := conn.Retrieve(ctx, p, 0)
	if err != nil {
		return "", ftpclient.Result{}, err
	}
	content, _ := io.ReadAll(transfer) // its error is Finish's, too
	result, err := transfer.Finish(ctx)
	return string(content), result, err
}

// put uploads r as the file p.
func put(ctx context.Context, conn *ftpclient.Conn, p string, r io.Reader) (ftpclient.Result, error) {
	transfer, err := conn.Store(ctx, p, 0)
	if err != nil {
		return ftpclient.Result{}, err
	}
	transfer.ReadFrom(r) // its error is Finish's, too
	return transfer.Finish(ctx)
}

// outcome is what an operation has to end with.
type outcome struct {
	is    error // nil for success if code is 0, too
	code  int
	class ftpclient.Class
}

func (o outcome) check(t *testing.T, err error) {
	t.Helper()
	if o == (outcome{}) {
		if err != nil {
			t.Errorf("%v, want success", err)
		}
		return
	}
	var e *ftpclient.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v, want an *Error", err)
	}
	if o.is != nil && !errors.Is(err, o.is) {
		t.Errorf("%v, want %v", err, o.is)
	}
	if e.Code != o.code {
		t.Errorf("%v, want code %d", err, o.code)
	}
	if got := ftpclient.Classify(err); got != o.class {
		t.Errorf("%v is classified %s, want %s", err, got, o.class)
	}
}

// refusedPort returns a port of 127.0.0.1 on which nobody listens, until the end of the test.
func refusedPort(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(ftptest.RefusedAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// freePort returns a port of 127.0.0.1 that was free a moment ago.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// zeros is a file without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
