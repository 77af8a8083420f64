package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// uploadInBuffers starts an upload that fits into buffers, and nobody reads it so far.
func uploadInBuffers(t *testing.T, conn *ftpclient.Conn) *ftpclient.Transfer {
	t.Helper()
	transfer, err := conn.Store(t.Context(), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	// More than the buffer of the receiver, less than that of the sender.
	if _, err := transfer.Write(make([]byte, bufferedUpload)); err != nil {
		t.Fatal(err)
	}
	return transfer
}

const bufferedUpload = 1 << 20

// TestTheVerdictIsAwaitedFromWhenNothingMoves has files of which the system holds a good part
// when Finish is called.
func TestTheVerdictIsAwaitedFromWhenNothingMoves(t *testing.T) {
	slow := &ftptest.Data{Receive: ftptest.All, Pace: 4 * time.Millisecond, End: ftptest.Close} // a second
	t.Run("a slow line needs longer than the verdict may take", func(t *testing.T) {
		t.Parallel()
		const verdict = 2 * time.Second
		slower := &ftptest.Data{Receive: ftptest.All, Pace: 20 * time.Millisecond, End: ftptest.Close} // five seconds
		conn, server := connect(t, session("", steps{passive, {Expect: "STOR /f", Send: "150 go"}, {Data: slower}, {Send: "226 done"}}),
			func(o *ftpclient.Options) { o.FinalReplyTimeout = verdict })
		transfer := uploadInBuffers(t, conn)
		began := time.Now()
		if result, err := transfer.Finish(t.Context()); err != nil || !result.Confirmed {
			t.Errorf("%+v, %v", result, err)
		}
		if took := time.Since(began); took < verdict {
			t.Errorf("the server took %s, which is too short to prove anything", took)
		}
		if got := len(server.Received()); got != bufferedUpload {
			t.Errorf("%d bytes arrived", got)
		}
	})
	t.Run("a server that reads no more has stalled the upload", func(t *testing.T) {
		t.Parallel()
		conn, _ := connect(t, open("", steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10}}}),
			func(o *ftpclient.Options) { o.StallTimeout = time.Second })
		transfer := uploadInBuffers(t, conn)
		began := time.Now()
		_, err := transfer.Finish(t.Context())
		outcome{is: ftpclient.ErrStalled, class: ftpclient.ClassConnection}.check(t, err)
		if errors.Is(err, ftpclient.ErrUnconfirmed) || time.Since(began) > atOnce {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
	for name, below := range map[string]*ftptest.TLS{"": nil, " over TLS": {Config: certified(t, tls.VersionTLS13)}} {
		t.Run("a server that reads nothing, closes nothing and says nothing is not waited for longer"+name, func(t *testing.T) {
			t.Parallel()
			last := steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{TLS: below}}}
			script, change := open("", last), func(*ftpclient.Options) {}
			if below != nil {
				script, change = secureOpen(below, last), secure
			}
			conn, _ := connect(t, script, change, func(o *ftpclient.Options) { o.FinalReplyTimeout = time.Second })
			began := time.Now()
			_, err := put(t.Context(), conn, "/f", hello())
			if took := time.Since(began); !errors.Is(err, ftpclient.ErrUnconfirmed) || !errors.Is(err, ftpclient.ErrTimeout) || took > atOnce {
				t.Errorf("%v after %s", err, took)
			}
		})
	}
	for name, end := range map[string]ftptest.Step{"is lost": {End: ftptest.Close}, "says farewell": {Send: "421 bye", End: ftptest.Close}} {
		t.Run("all bytes arrive although the control connection "+name, func(t *testing.T) {
			t.Parallel()
			finishing := make(chan struct{})
			end.Hold = finishing
			conn, server := connect(t, open("", steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10}}, end,
				{Send: "220 this goes to the next client", Data: slow}}))
			transfer := uploadInBuffers(t, conn)
			time.AfterFunc(50*time.Millisecond, func() { close(finishing) })
			go func() { // the script goes on with another client only
				<-finishing
				if other, err := net.Dial("tcp", server.Addr); err == nil {
					defer other.Close()
					server.Wait()
				}
			}()
			if _, err := transfer.Finish(t.Context()); !errors.Is(err, ftpclient.ErrUnconfirmed) {
				t.Errorf("%v", err)
			}
			server.Wait()
			if got := len(server.Received()); got != bufferedUpload {
				t.Errorf("%d bytes arrived", got)
			}
		})
	}
	t.Run("what did not arrive is not unconfirmed but lost", func(t *testing.T) {
		t.Parallel()
		finishing, over := make(chan struct{}), make(chan struct{})
		conn, server := connect(t, open("", steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10}},
			{Hold: finishing, End: ftptest.Close}, {Send: "220 this goes to another"}, {Hold: over}}),
			func(o *ftpclient.Options) { o.StallTimeout = time.Second })
		transfer := uploadInBuffers(t, conn)
		close(finishing)
		if other, err := net.Dial("tcp", server.Addr); err == nil {
			defer other.Close()
		}
		defer close(over)
		_, err := transfer.Finish(t.Context())
		outcome{is: io.EOF, class: ftpclient.ClassConnection}.check(t, err)
		if errors.Is(err, ftpclient.ErrUnconfirmed) {
			t.Error(err)
		}
	})
}

// TestAnUploadThatTheServerResetsIsLookedAt: a server that has not read everything and closes
// its socket makes its system send a reset, whatever it says.
func TestAnUploadThatTheServerResetsIsLookedAt(t *testing.T) {
	upload := func(offset int64) func(*ftpclient.Conn) error {
		return func(conn *ftpclient.Conn) error {
			transfer, err := conn.Store(t.Context(), "/f", offset)
			if err != nil {
				return err
			}
			io.WriteString(transfer, "hello")
			_, err = transfer.Finish(t.Context())
			return err
		}
	}
	reset := steps{{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "hello", End: ftptest.Reset}}, {Send: "226 done"}}
	row{name: "the size is right", script: reset.then(talk("SIZE /f", "213 5")...)}.run(t, upload(0))
	row{name: "the size is wrong", script: reset.then(talk("SIZE /f", "213 4")...),
		want: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}}.run(t, upload(0))
	row{name: "there is no size", script: reset.then(talk("SIZE /f", "550 no")...),
		want: outcome{class: ftpclient.ClassConnection}}.run(t, upload(0))
	row{name: "the size would tell nothing", script: talk("REST 2", "350 ok").then(reset...),
		want: outcome{class: ftpclient.ClassConnection}}.run(t, upload(2))
	row{name: "the server says no", script: steps{reset[0], {Send: "451 no"}},
		want: outcome{code: 451, class: ftpclient.ClassRetry}}.run(t, upload(0))
}

// TestATruncatedSecureDownloadIsFoundOut has servers that end data connections below TLS.
func TestATruncatedSecureDownloadIsFoundOut(t *testing.T) {
	tests := []struct {
		size string
		want outcome
	}{
		{"213 5", outcome{}},
		{"213 6", outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}},
		{"550 no", outcome{}}, // nothing tells, and Result.CleanEnd says so
	}
	for _, test := range tests {
		t.Run(test.size, func(t *testing.T) {
			t.Parallel()
			config := certified(t, tls.VersionTLS13)
			data := &ftptest.Data{TLS: &ftptest.TLS{Config: config, NoCloseNotify: true}, Send: "hello", End: ftptest.Close}
			conn, _ := connect(t, secureSession(&ftptest.TLS{Config: config}, steps{passive,
				{Expect: "RETR /f", Send: "150 go", Data: data}, {Send: "226 done"}, {Expect: "SIZE /f", Send: test.size}}), secure)
			content, result, err := get(t.Context(), conn, "/f")
			test.want.check(t, err)
			if content != "hello" || result.CleanEnd || result.Confirmed != (err == nil) {
				t.Errorf("%q, %+v", content, result)
			}
		})
	}
}

// TestALimitDoesNotSlowHandshakes has a limiter that many connections may share, far in debt.
func TestALimitDoesNotSlowHandshakes(t *testing.T) {
	limiter := rate.NewLimiter(1, 1000)
	limiter.ReserveN(time.Now(), 1000)
	limiter.ReserveN(time.Now(), 1000) // nothing for a quarter of an hour
	config := certified(t, tls.VersionTLS13)
	below := &ftptest.TLS{Config: config}
	conn, _ := connect(t, secureSession(below, steps{passive,
		{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: below, Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}), secure,
		func(o *ftpclient.Options) {
			o.DownloadLimiter = limiter
		})
	transfer, err := conn.Retrieve(t.Context(), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	limiter.SetLimit(rate.Inf)
	if content, err := io.ReadAll(transfer); string(content) != "hello" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := transfer.Finish(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAnOffsetIsTakenBack has servers that refuse after their 150, and say not what became of it.
func TestAnOffsetIsTakenBack(t *testing.T) {
	conn, _ := connect(t, session("", surveyed.then(provenWay("/", "PORT")...).then(talk("PORT *", "200 ok", "REST 2", "350 ok",
		"RETR /f", "150 go\n425 cannot reach you", "REST 0", "350 ok")...)), activeOnly)
	_, err := conn.Retrieve(t.Context(), "/f", 2)
	outcome{code: 425, class: ftpclient.ClassConnection}.check(t, err)
	if !conn.Usable() {
		t.Error("the connection is lost")
	}
}

// TestAnOffsetThatStandsCostsTheConnection: the next transfer would begin there.
func TestAnOffsetThatStandsCostsTheConnection(t *testing.T) {
	t.Run("the server does not take it back", func(t *testing.T) {
		conn, _ := connect(t, open("", talk("REST 0", "502 what?")))
		conn.TakeBackREST(t.Context())
		if conn.Usable() {
			t.Error("the connection is used on")
		}
	})
	t.Run("there is no time to take it back", func(t *testing.T) {
		conn, _ := connect(t, open("", nil))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		conn.TakeBackREST(ctx)
		if conn.Usable() {
			t.Error("the connection is used on")
		}
	})
}
