package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
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

// run dials, does what the session is about and closes. It tells the error, whether it is one
// of the login, and whether the connection could be used afterwards.
func (w wholeSession) run(ctx context.Context, address string, change func(*ftpclient.Options)) (err error, login, usable bool) {
	o := testOptions()
	w.change(&o)
	change(&o)
	conn, err := ftpclient.Dial(ctx, address, o)
	if err != nil {
		return err, true, false
	}
	defer conn.Close()
	err = w.do(ctx, conn)
	return err, false, conn.Usable()
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
		{"it never ends a reply", ftptest.Step{Send: "200-so", Flood: strings.Repeat(" and so on\r\n", 5000)}, ftpclient.ErrProtocol, 0},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			ftptest.Leaks(t)
			eachStep(t, func(t *testing.T, w wholeSession, before steps, step ftptest.Step) {
				fault := f.fault
				fault.Expect = step.Expect
				server := ftptest.NewScript(t, append(before, fault)...)
				start := time.Now()
				err, login, usable := w.run(t.Context(), server.Addr, func(*ftpclient.Options) {})
				if took := time.Since(start); took > 5*time.Second {
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

// TestTheServerFallsSilentAtAnyStep: each wait has its end.
func TestTheServerFallsSilentAtAnyStep(t *testing.T) {
	ftptest.Leaks(t)
	t.Run("all", func(t *testing.T) {
		eachStep(t, func(t *testing.T, w wholeSession, before steps, step ftptest.Step) {
			server, end := silent(t, before, step)
			defer end()
			err, _, usable := w.run(t.Context(), server.Addr, impatient)
			if !errors.Is(err, ftpclient.ErrTimeout) {
				t.Errorf("%v, want a time-out", err)
			}
			if usable {
				t.Error("the connection is used on")
			}
		})
	})
}

// silent is a server that does what comes before a step, takes the command of the step, and
// says nothing until end is called.
func silent(t *testing.T, before steps, step ftptest.Step) (server *ftptest.Script, end func()) {
	over := make(chan struct{})
	script := append(before, ftptest.Step{Expect: step.Expect})
	// Without the end, what the client begins in vain (a handshake) would be one word too many.
	script = append(script, ftptest.Step{Hold: over, End: ftptest.Close})
	return ftptest.NewScript(t, script...), func() { close(over) }
}

// TestTheContextEndsAtAnyStep: whoever gives up does not wait any longer.
func TestTheContextEndsAtAnyStep(t *testing.T) {
	why := errors.New("enough")
	ftptest.Leaks(t)
	t.Run("all", func(t *testing.T) {
		eachStep(t, func(t *testing.T, w wholeSession, before steps, step ftptest.Step) {
			reached, over := make(chan struct{}), make(chan struct{})
			script := append(before, ftptest.Step{Expect: step.Expect})
			server := ftptest.NewScript(t, append(script, ftptest.Step{Call: func() { close(reached) }, Hold: over, End: ftptest.Close})...)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			var cancelled time.Time
			go func() {
				<-reached
				cancelled = time.Now()
				cancel(why)
			}()
			err, _, usable := w.run(ctx, server.Addr, func(*ftpclient.Options) {})
			took := time.Since(cancelled)
			close(over)
			outcome{is: why, class: ftpclient.ClassCancelled}.check(t, err)
			if took > time.Second {
				t.Errorf("it took %s", took)
			}
			if usable {
				t.Error("the connection is used on")
			}
		})
	})
}

// TestAReplyTooManyIsNoSuccess: a reply that nobody asked for makes every later one suspicious.
func TestAReplyTooManyIsNoSuccess(t *testing.T) {
	ftptest.Leaks(t)
	for _, extra := range []string{"200 by the way", "226 done, too", "150 here it comes", "550 no such file"} {
		t.Run(extra, func(t *testing.T) {
			conn, server := connect(t, open("", steps{{Send: extra}}))
			server.Wait()
			for deadline := time.Now().Add(5 * time.Second); conn.Usable() && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			outcome{is: ftpclient.ErrDesync, class: ftpclient.ClassConnection}.check(t, conn.Noop(t.Context()))
		})
	}
}
