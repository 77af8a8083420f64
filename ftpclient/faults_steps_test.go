package ftpclient_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// wholeSession is a session from the greeting to the farewell, and what the client does in it.
type wholeSession struct {
	name   string
	script steps
	change func(*ftpclient.Options)
	do     func(context.Context, *ftpclient.Conn) error
}

func wholeSessions(t *testing.T) []wholeSession {
	secured := &ftptest.TLS{Config: certified(t, tls.VersionTLS13)}
	plain := func(*ftpclient.Options) {}
	retrieve := func(ctx context.Context, conn *ftpclient.Conn) error {
		_, _, err := get(ctx, conn, "/f")
		return err
	}
	return []wholeSession{
		{"download", session("", download("RETR /f", "hello", "226 done")), plain, retrieve},
		{"upload", session("", steps{passive,
			{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, {Send: "226 done"}}),
			plain, func(ctx context.Context, conn *ftpclient.Conn) error {
				_, err := put(ctx, conn, "/f", strings.NewReader("hello"))
				return err
			}},
		{"listing", session("MLSD", steps{cwd}.then(sent("MLSD", mlsdLine("a"))...)),
			plain, func(ctx context.Context, conn *ftpclient.Conn) error {
				_, err := conn.List(ctx, "/d")
				return err
			}},
		{"secure download", secureSession(secured, steps{passive, {Expect: "RETR /f", Send: "150 go",
			Data: &ftptest.Data{TLS: secured, Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}), secure, retrieve},
		{"folders and names", session("", talk("MKD /d", "257 made", "RNFR /d", "350 to what?", "RNTO /e", "250 done",
			"SIZE /f", "213 5", "DELE /f", "250 gone", "RMD /e", "250 gone", "NOOP", "200 here")),
			plain, func(ctx context.Context, conn *ftpclient.Conn) error {
				if err := conn.MakeDir(ctx, "/d"); err != nil {
					return err
				}
				if err := conn.Rename(ctx, "/d", "/e"); err != nil {
					return err
				}
				if _, err := conn.Size(ctx, "/f"); err != nil {
					return err
				}
				if err := conn.Remove(ctx, "/f"); err != nil {
					return err
				}
				if err := conn.RemoveDir(ctx, "/e"); err != nil {
					return err
				}
				return conn.Noop(ctx)
			}},
	}
}

// run dials, does what the session is about and closes. It tells whether the error is one of
// the login, and whether the connection could be used afterwards.
func (w wholeSession) run(ctx context.Context, address string, change func(*ftpclient.Options)) (login, usable bool, err error) {
	o := testOptions()
	w.change(&o)
	change(&o)
	conn, err := ftpclient.Dial(ctx, address, o)
	if err != nil {
		return true, false, err
	}
	defer conn.Close()
	err = w.do(ctx, conn)
	return false, conn.Usable(), err
}

// eachStep runs a test for each step of each session at which the server says something, but
// for the farewell, with the steps before it.
func eachStep(t *testing.T, check func(t *testing.T, w wholeSession, before steps, step ftptest.Step)) {
	for _, w := range wholeSessions(t) {
		for i, step := range w.script {
			if step.Expect == "QUIT" {
				continue
			}
			t.Run(fmt.Sprintf("%s, step %d: %s%s", w.name, i, step.Expect, step.Send), func(t *testing.T) {
				t.Parallel()
				check(t, w, slices.Clip(w.script[:i]), step)
			})
		}
	}
}

// TestTheServerFailsAtAnyStep has the server do something bad instead of each of its replies.
// Each time the client has an error that says so, soon, gives the connection up, and leaves
// nothing behind.
func TestTheServerFailsAtAnyStep(t *testing.T) {
	faults := []struct {
		name  string
		fault ftptest.Step
		is    error // nil for any
		code  int
	}{
		{"it says farewell", ftptest.Step{Send: "421 Timeout", End: ftptest.Close}, nil, 421},
		{"it says farewell and stays", ftptest.Step{Send: "421 Timeout"}, nil, 421},
		{"it ends the connection", ftptest.Step{End: ftptest.Close}, nil, 0},
		{"it is half gone", ftptest.Step{End: ftptest.HalfClose}, nil, 0},
		{"it resets the connection", ftptest.Step{End: ftptest.Reset}, nil, 0},
		{"it ends in the middle of a reply", ftptest.Step{Raw: "200-half of a ", End: ftptest.Close}, nil, 0},
		{"it ends in the middle of many lines", ftptest.Step{Raw: "200-half\r\n of a\r\n", End: ftptest.Reset}, nil, 0},
		{"it talks nonsense", ftptest.Step{Send: "How are you?"}, ftpclient.ErrProtocol, 0},
		{"it says an empty line", ftptest.Step{Raw: "\r\n"}, ftpclient.ErrProtocol, 0},
		{"it talks binary", ftptest.Step{Raw: "200 \x00\xff\r\n"}, ftpclient.ErrProtocol, 0},
		{"it has no code", ftptest.Step{Send: "0 ok"}, ftpclient.ErrProtocol, 0},
		{"it never ends a line", ftptest.Step{Raw: "200 ", Flood: strings.Repeat("x", 1<<16)}, ftpclient.ErrProtocol, 0},
		{"it never ends a reply", ftptest.Step{Send: "200-so", Flood: strings.Repeat(strings.Repeat(" and so on", 100)+"\r\n", 60)}, ftpclient.ErrProtocol, 0},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			ftptest.Leaks(t)
			eachStep(t, func(t *testing.T, w wholeSession, before steps, step ftptest.Step) {
				if f.fault.Flood != "" && w.name != "download" {
					return // megabytes take their time
				}
				fault := f.fault
				fault.Expect = step.Expect
				server := ftptest.NewScript(t, append(before, fault)...)
				start := time.Now()
				login, usable, err := w.run(t.Context(), server.Addr, func(*ftpclient.Options) {})
				if took := time.Since(start); took > atOnce {
					t.Errorf("it took %s", took)
				}
				class := ftpclient.ClassConnection
				if login {
					class = ftpclient.ClassUnavailable
				}
				outcome{is: f.is, code: f.code, class: class}.check(t, err)
				if usable {
					t.Error("the connection is used on")
				}
			})
		})
	}
}

// TestAReplyTooManyIsNoSuccess: a reply that nobody asked for makes every later one suspicious.
func TestAReplyTooManyIsNoSuccess(t *testing.T) {
	ftptest.Leaks(t)
	for _, extra := range []string{"200 by the way", "226 done, too", "150 here it comes", "550 no such file"} {
		t.Run(extra, func(t *testing.T) {
			conn, server := connect(t, open("", steps{{Send: extra}}))
			server.Wait()
			for deadline := time.Now().Add(patience); conn.Usable() && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			outcome{is: ftpclient.ErrDesync, class: ftpclient.ClassConnection}.check(t, conn.Noop(t.Context()))
		})
	}
}
