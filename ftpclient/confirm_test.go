package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAVerdictThatNeverComesIsToldApart is about control connections that die during long
// transfers: the file may be complete, and only the server knows.
func TestAVerdictThatNeverComesIsToldApart(t *testing.T) {
	ends := []struct {
		name        string
		end         []ftptest.Step
		is          error
		code        int
		unconfirmed bool
	}{
		{"the control connection is closed", []ftptest.Step{{End: ftptest.Close}}, io.EOF, 0, true},
		{"the control connection is reset", []ftptest.Step{{End: ftptest.Reset}}, nil, 0, true},
		{"the server says farewell", []ftptest.Step{{Send: "421 Timeout"}}, ftpclient.ErrClosing, 421, true},
		{"nothing comes", nil, ftpclient.ErrTimeout, 0, true},
		{"the server says no", []ftptest.Step{{Send: "451 no"}}, nil, 451, false},
	}
	for _, secured := range []bool{false, true} {
		config := certified(t, tls.VersionTLS13)
		control := &ftptest.TLS{Config: config}
		var below *ftptest.TLS
		if secured {
			below = control
		}
		for _, upload := range []bool{false, true} {
			for _, end := range ends {
				name := map[bool]string{false: "download, ", true: "upload, "}[upload] + map[bool]string{false: "plain: ", true: "TLS: "}[secured] + end.name
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					step := ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{TLS: below, Send: "hello", End: ftptest.Close}}
					if upload {
						step = ftptest.Step{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{TLS: below, Receive: ftptest.All, Want: "hello", End: ftptest.Close}}
					}
					through := make(chan struct{})
					last := steps{passive, step, {Hold: through}}.then(end.end...)
					script := open("", last)
					change := func(o *ftpclient.Options) { o.FinalReplyTimeout = 2 * time.Second }
					if secured {
						script = secureOpen(control, last)
						change = func(o *ftpclient.Options) { o.FinalReplyTimeout = 2 * time.Second; secure(o) }
					}
					if end.code == 451 {
						script = script.then(talk("QUIT", "221 bye")...)
					}
					conn, _ := connect(t, script, change)
					var transfer *ftpclient.Transfer
					var err error
					if upload {
						if transfer, err = conn.Store(t.Context(), "/f", 0); err == nil {
							io.WriteString(transfer, "hello")
						}
					} else {
						if transfer, err = conn.Retrieve(t.Context(), "/f", 0); err == nil {
							io.Copy(io.Discard, transfer)
						}
					}
					if err != nil {
						t.Fatal(err)
					}
					close(through)
					result, err := transfer.Finish(t.Context())
					if err == nil || errors.Is(err, ftpclient.ErrUnconfirmed) != end.unconfirmed || end.is != nil && !errors.Is(err, end.is) {
						t.Errorf("%v", err)
					}
					var e *ftpclient.Error
					if !errors.As(err, &e) || e.Code != end.code {
						t.Errorf("%v, want code %d", err, end.code)
					}
					if result.Confirmed || result.Bytes != 5 {
						t.Errorf("%+v", result)
					}
					if end.unconfirmed && conn.Usable() {
						t.Error("the connection is in use")
					}
				})
			}
		}
	}
}

func TestATransferThatDidNotGoThroughIsNotUnconfirmed(t *testing.T) {
	t.Parallel()
	t.Run("an upload that was cut", func(t *testing.T) {
		conn, _ := connect(t, open("", steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10, End: ftptest.Reset}, End: ftptest.Close}}))
		if _, err := put(t.Context(), conn, "/f", zeros{}); err == nil || errors.Is(err, ftpclient.ErrUnconfirmed) {
			t.Errorf("%v", err)
		}
	})
	t.Run("one that its caller cancelled", func(t *testing.T) {
		conn, server := connect(t, open("", steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}}),
			func(o *ftpclient.Options) { o.FinalReplyTimeout = 2 * time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		transfer, err := conn.Store(ctx, "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			server.Wait()
			cancel()
		}()
		if _, err := transfer.Finish(t.Context()); err == nil {
			t.Error("success")
		}
		cancel()
	})
}

func TestVerifySize(t *testing.T) {
	conn, _ := connect(t, session("", talk("SIZE /f", "213 5", "SIZE /f", "213 4", "SIZE /f", "550 no")))
	if err := conn.VerifySize(t.Context(), "/f", 5); err != nil {
		t.Error(err)
	}
	if err := conn.VerifySize(t.Context(), "/f", 5); !errors.Is(err, ftpclient.ErrMismatch) {
		t.Errorf("%v", err)
	}
	if err := conn.VerifySize(t.Context(), "/f", 5); err == nil || errors.Is(err, ftpclient.ErrMismatch) {
		t.Errorf("%v", err)
	}
}

// TestWhatServersSayInTheMiddleOfAnUpload has the reasons for the end of an upload in all the
// orders in which they come.
func TestWhatServersSayInTheMiddleOfAnUpload(t *testing.T) {
	cut := func(bytes int) *ftptest.Data { return &ftptest.Data{Receive: bytes, End: ftptest.Reset} }
	rows := []row{
		{name: "552 before a byte is read, and the data connection stays open",
			script: steps{{Expect: "STOR /f", Send: "150 go\n552 Quota exceeded"}},
			want:   outcome{code: 552, class: ftpclient.ClassLater}},
		{name: "552 after some bytes, and the data connection stays open",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10}}, {Send: "552 Quota exceeded"}},
			want:   outcome{code: 552, class: ftpclient.ClassLater}},
		{name: "552 instead of 150",
			script: steps{{Expect: "STOR /f", Send: "552 Quota exceeded"}},
			want:   outcome{code: 552, class: ftpclient.ClassLater}},
		{name: "a reset, then 451",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: cut(100_000)}, {Send: "451 disk error"}},
			want:   outcome{code: 451, class: ftpclient.ClassRetry}},
		{name: "a reset, then 451 after a while",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: cut(100_000)}, {Delay: 2500 * time.Millisecond, Send: "451 disk error"}},
			want:   outcome{code: 451, class: ftpclient.ClassRetry}},
		{name: "421, then a reset", lost: true,
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: cut(10)}, {Send: "421 Shutting down"}},
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}},
		{name: "421, and the data connection stays open", lost: true,
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 10}}, {Send: "421 Shutting down"}},
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}},
		{name: "a reset and nothing", lost: true, change: impatient,
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: cut(10)}},
			want:   outcome{class: ftpclient.ClassConnection}},
		{name: "a final reply of 150, as the last word", lost: true, change: impatient,
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: cut(10)}, {Send: "150 10 bytes"}},
			want:   outcome{class: ftpclient.ClassConnection}},
	}
	for _, r := range rows {
		r.run(t, func(conn *ftpclient.Conn) error {
			_, err := put(t.Context(), conn, "/f", zeros{})
			return err
		})
	}
}

func TestQuotasOfRealServersAreTold(t *testing.T) {
	p := realPlace(t, "proftpd", ftptest.RealOptions{QuotaBytes: 300_000})
	_, err := put(t.Context(), p.conn, p.remote("large"), io.LimitReader(zeros{}, 100<<20))
	outcome{code: 552, class: ftpclient.ClassLater}.check(t, err)
	if err := p.conn.Noop(t.Context()); err != nil {
		t.Error(err)
	}
}
