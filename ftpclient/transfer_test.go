package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// row is one transfer of the file /f after EPSV, with the server's side of it.
type row struct {
	name   string
	script steps
	change func(*ftpclient.Options)
	lost   bool // the connection cannot be used afterwards
	want   outcome
}

// run connects to a server that does what the row says, for one transfer.
func (r row) run(t *testing.T, transfer func(*ftpclient.Conn) error) {
	t.Run(r.name, func(t *testing.T) {
		t.Parallel()
		script := session("", steps{passive}.then(r.script...))
		if r.lost {
			script = open("", steps{passive}.then(r.script...))
		}
		var changes []func(*ftpclient.Options)
		if r.change != nil {
			changes = append(changes, r.change)
		}
		conn, _ := connect(t, script, changes...)
		r.want.check(t, transfer(conn))
		if conn.Usable() == r.lost {
			t.Errorf("usable afterwards: %v", !r.lost)
		}
	})
}

// impatient is for servers that say nothing. What comes before that has to come in time: machines stall.
func impatient(o *ftpclient.Options) {
	o.ReplyTimeout, o.ConnectTimeout = 2*time.Second, 2*time.Second
	o.FinalReplyTimeout, o.StallTimeout = time.Second, time.Second
}

func TestDownload(t *testing.T) {
	hello := &ftptest.Data{Send: "hello", End: ftptest.Close}
	rows := []row{
		{name: "150, data, 226",
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: hello}, {Send: "226 done"}}},
		{name: "125 and 250 do as well",
			script: steps{{Expect: "RETR /f", Send: "125 go", Data: hello}, {Send: "250 done"}}},
		{name: "226 may come before the data",
			script: steps{{Expect: "RETR /f", Send: "150 go\n226 done", Data: hello}}},
		{name: "150 may be missing",
			script: steps{{Expect: "RETR /f", Data: hello}, {Send: "226 done"}}},
		{name: "replies may come byte by byte",
			script: steps{{Expect: "RETR /f", Send: "150-go\n 226 no end\n150 go", Pace: time.Microsecond, Data: hello}, {Send: "226 done"}}},
		{name: "a refusal instead of 150 is the error",
			script: steps{{Expect: "RETR /f", Send: "550 Permission denied"}},
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}},
		{name: "a file that is busy is tried again",
			script: steps{{Expect: "RETR /f", Send: "450 busy"}},
			want:   outcome{code: 450, class: ftpclient.ClassRetry}},
		{name: "a failure after the data is the error",
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: hello}, {Send: "451 disk error"}},
			want:   outcome{code: 451, class: ftpclient.ClassRetry}},
		{name: "data that break off are an error, whatever the server says of it",
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hel", End: ftptest.Reset}}, {Send: "226 done"}},
			want:   outcome{class: ftpclient.ClassConnection}},
		{name: "data that break off have the server's reason",
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hel", End: ftptest.Reset}}, {Send: "451 disk error"}},
			want:   outcome{code: 451, class: ftpclient.ClassRetry}},
		{name: "the final reply never comes", lost: true, change: impatient,
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: hello}},
			want:   outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassConnection}},
		{name: "no reply comes at all", lost: true, change: impatient,
			script: steps{{Expect: "RETR /f"}},
			want:   outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassConnection}},
		{name: "no data come", lost: true, change: impatient,
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hel"}}},
			want:   outcome{is: ftpclient.ErrStalled, class: ftpclient.ClassConnection}},
		{name: "the control connection ends with the data", lost: true,
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: hello, End: ftptest.Close}},
			want:   outcome{is: io.EOF, class: ftpclient.ClassConnection}},
		{name: "the server says farewell instead of 226", lost: true,
			script: steps{{Expect: "RETR /f", Send: "150 go", Data: hello}, {Send: "421 Timeout"}},
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}},
		{name: "the server says farewell instead of 150", lost: true,
			script: steps{{Expect: "RETR /f", Send: "421 Timeout"}},
			want:   outcome{is: ftpclient.ErrClosing, code: 421, class: ftpclient.ClassConnection}},
	}
	for _, r := range rows {
		r.run(t, func(conn *ftpclient.Conn) error {
			content, result, err := get(t.Context(), conn, "/f")
			if err == nil && (content != "hello" || result.Bytes != 5 || !result.CleanEnd || result.TLSResumed || result.Mode != ftpclient.EPSV) {
				t.Errorf("%q, %+v", content, result)
			}
			return err
		})
	}
}

func TestUpload(t *testing.T) {
	receive := &ftptest.Data{Receive: ftptest.All, Want: "hello", End: ftptest.Close}
	some := &ftptest.Data{Receive: 10, End: ftptest.Reset}
	endless := func(conn *ftpclient.Conn) error {
		_, err := put(t.Context(), conn, "/f", zeros{})
		return err
	}
	hello := func(conn *ftpclient.Conn) error {
		result, err := put(t.Context(), conn, "/f", strings.NewReader("hello"))
		if err == nil && (result.Bytes != 5 || result.Code != 226 || result.Text != "done") {
			t.Errorf("%+v", result)
		}
		return err
	}
	broken := errors.New("the disk is on fire")
	halfway := func(conn *ftpclient.Conn) error {
		_, err := put(t.Context(), conn, "/f", io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken)))
		return err
	}
	tests := []struct {
		row      row
		transfer func(*ftpclient.Conn) error
	}{
		{row{name: "150, data, 226",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: receive}, {Send: "226 done"}}}, hello},
		{row{name: "150 may come after the data",
			script: steps{{Expect: "STOR /f"}, {Send: "150 go\n226 done"}, {Data: receive}}}, hello},
		{row{name: "a refusal instead of 150 is the error",
			script: steps{{Expect: "STOR /f", Send: "553 no"}},
			want:   outcome{code: 553, class: ftpclient.ClassPermanent}}, hello},
		{row{name: "a failure after the data is the error",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: receive}, {Send: "452 disk full"}},
			want:   outcome{code: 452, class: ftpclient.ClassLater}}, hello},
		{row{name: "the reason of a write error is the reply behind it",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: some}, {Send: "552 Quota exceeded"}},
			want:   outcome{code: 552, class: ftpclient.ClassLater}}, endless},
		{row{name: "a write error is an error, whatever the server says of it",
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: some}, {Send: "226 done"}},
			want:   outcome{class: ftpclient.ClassConnection}}, endless},
		{row{name: "a server that does not read stalls the upload", lost: true, change: impatient,
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 1}}},
			want:   outcome{is: ftpclient.ErrStalled, class: ftpclient.ClassConnection}}, endless},
		{row{name: "a source that fails is the error, not the reply to the end it causes",
			script: steps{{Expect: "STOR /f", Send: "150 go"}}.then(aborted...),
			want:   outcome{is: broken, class: ftpclient.ClassUnknown}}, halfway},
		{row{name: "a source that fails is an error where the server is content",
			script: steps{{Expect: "STOR /f", Send: "150 go"}, {Expect: "ABOR", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}},
				{Send: "226 done\n225 nothing to abort"}, {Expect: "NOOP", Send: "200 here"}},
			want: outcome{is: broken, class: ftpclient.ClassUnknown}}, halfway},
		{row{name: "the final reply never comes", lost: true, change: impatient,
			script: steps{{Expect: "STOR /f", Send: "150 go", Data: receive}},
			want:   outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassConnection}}, hello},
	}
	for _, test := range tests {
		test.row.run(t, test.transfer)
	}
}

func TestASecondFinalReplyPutsAllOutOfStep(t *testing.T) {
	conn, server := connect(t, open("", download("RETR /f", "hello", "226 done\n226 done twice")))
	if _, _, err := get(t.Context(), conn, "/f"); err != nil {
		t.Fatal(err)
	}
	server.Wait()
	// Whether the reply comes before or after the command: it is no answer to it.
	if err := conn.Noop(t.Context()); err == nil {
		t.Error("the reply of a transfer was taken for that of NOOP")
	}
}

func TestOffsets(t *testing.T) {
	tests := []struct {
		name   string
		script steps
		want   outcome
	}{
		{name: "REST comes right before RETR",
			script: steps{passive, {Expect: "REST 7", Send: "350 ok"}, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{End: ftptest.Close}}, {Send: "226 done"}}},
		{name: "where REST is refused, nothing is transferred",
			script: steps{passive}.then(talk("REST 7", "502 no")...), want: outcome{code: 502, class: ftpclient.ClassOffset}},
		{name: "REST is taken back when the transfer is refused",
			script: steps{passive}.then(talk("REST 7", "350 ok", "RETR /f", "550 no", "REST 0", "350 ok")...),
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, _ := connect(t, session("", test.script))
			transfer, err := conn.Retrieve(t.Context(), "/f", 7)
			if err == nil {
				io.Copy(io.Discard, transfer)
				_, err = transfer.Finish(t.Context())
			}
			test.want.check(t, err)
		})
	}
}

func TestTransfersEndWithTheirContext(t *testing.T) {
	why := errors.New("enough")
	want := outcome{is: why, class: ftpclient.ClassCancelled}
	begin := func(t *testing.T, script ...ftptest.Step) (*ftpclient.Conn, *ftptest.Script, context.Context, func()) {
		conn, server := connect(t, open("", steps{passive}.then(script...)))
		ctx, cancel := context.WithCancelCause(t.Context())
		return conn, server, ctx, func() { cancel(why) }
	}
	t.Run("in the middle of a download", func(t *testing.T) {
		conn, _, ctx, cancel := begin(t, ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "part"}})
		transfer, err := conn.Retrieve(ctx, "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(transfer, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		go cancel()
		if _, err := io.ReadAll(transfer); err == nil {
			t.Error("the download looks whole")
		}
		_, err = transfer.Finish(ctx)
		want.check(t, err)
	})
	t.Run("in the middle of an upload", func(t *testing.T) {
		conn, _, ctx, cancel := begin(t, ftptest.Step{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All}},
			ftptest.Step{Expect: "ABOR"}, ftptest.Step{Expect: "NOOP"})
		transfer, err := conn.Store(ctx, "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		go cancel()
		if _, err := transfer.ReadFrom(zeros{}); err == nil {
			t.Error("the upload has an end")
		}
		// Finish tells the reason even if its own context lasts, but for a while only.
		_, err = transfer.Finish(t.Context())
		want.check(t, err)
	})
	t.Run("before the end of an upload that the server calls complete", func(t *testing.T) {
		conn, server, ctx, cancel := begin(t,
			ftptest.Step{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}},
			ftptest.Step{Send: "226 done"}, ftptest.Step{Expect: "QUIT", Send: "221 bye"})
		transfer, err := conn.Store(ctx, "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.Write([]byte("part")); err != nil {
			t.Fatal(err)
		}
		cancel()
		_, err = transfer.Finish(t.Context())
		want.check(t, err)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Wait()
	})
	t.Run("before the first reply", func(t *testing.T) {
		conn, server, ctx, cancel := begin(t, ftptest.Step{Expect: "RETR /f"})
		go func() {
			server.Wait()
			cancel()
		}()
		_, err := conn.Retrieve(ctx, "/f", 0)
		want.check(t, err)
	})
	t.Run("before it begins", func(t *testing.T) {
		conn, _ := connect(t, session("", nil))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := conn.Retrieve(ctx, "/f", 0)
		want.check(t, err)
		if !conn.Usable() {
			t.Error("a command that was never sent cost the connection")
		}
	})
}

// TestAnAbortedUploadDoesNotLookComplete has a server that looks at how its data end, and is
// content in any case, as some are.
func TestAnAbortedUploadDoesNotLookComplete(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for name, end := range map[string]func(*ftpclient.Transfer){
		"by Abort":               func(transfer *ftpclient.Transfer) { transfer.Abort(t.Context()) },
		"by a source that fails": func(transfer *ftpclient.Transfer) { transfer.ReadFrom(iotest.ErrReader(broken)) },
	} {
		t.Run(name, func(t *testing.T) {
			data, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer data.Close()
			ended := make(chan struct{})
			script := steps{{Expect: "EPSV", Send: fmt.Sprintf("229 (|||%d|)", data.Addr().(*net.TCPAddr).Port)},
				{Expect: "STOR /f", Send: "150 go"}, {Expect: "ABOR"}, {Hold: ended, Send: "226 done\n225 nothing to abort"},
				{Expect: "NOOP", Send: "200 here"}}
			conn, _ := connect(t, session("", script))
			go func() {
				defer close(ended)
				received, err := data.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				defer received.Close()
				if _, err := io.Copy(io.Discard, received); err == nil {
					t.Error("the upload looks complete")
				}
			}()
			transfer, err := conn.Store(t.Context(), "/f", 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Write([]byte("half")); err != nil {
				t.Fatal(err)
			}
			end(transfer)
			if _, err := transfer.Finish(t.Context()); err == nil {
				t.Error("success")
			}
		})
	}
}

func TestCloseEndsATransferOfAnotherGoroutine(t *testing.T) {
	conn, _ := connect(t, open("", steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "part"}}}))
	transfer, err := conn.Retrieve(t.Context(), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(transfer, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		conn.Close()
	}()
	if _, err := io.ReadAll(transfer); err == nil {
		t.Error("the download looks whole")
	}
	<-closed
	_, err = transfer.Finish(t.Context())
	outcome{class: ftpclient.ClassConnection}.check(t, err)
}

func TestNothingIsSentForANameWithALineEnd(t *testing.T) {
	conn, _ := connect(t, session("", nil))
	for _, name := range []string{"/a\r\nDELE /b", "/a\nb", "/a\x00b", "/" + strings.Repeat("x", 5000)} {
		_, retrieve := conn.Retrieve(t.Context(), name, 0)
		_, store := conn.Store(t.Context(), name, 0)
		_, stat := conn.Stat(t.Context(), name)
		for _, err := range []error{retrieve, store, stat, conn.Remove(t.Context(), name), conn.MakeDir(t.Context(), name),
			conn.Rename(t.Context(), "/a", name), conn.Rename(t.Context(), name, "/a"), conn.SetModTime(t.Context(), name, time.Now())} {
			outcome{is: ftpclient.ErrUnsendable, class: ftpclient.ClassPermanent}.check(t, err)
		}
	}
}

// TestNothingIsSentBehindATransfer: servers answer it before, behind or in place of the transfer.
func TestNothingIsSentBehindATransfer(t *testing.T) {
	asked := make(chan struct{})
	conn, _ := connect(t, session("", steps{
		passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}, {Hold: asked, Send: "226 done"},
	}.then(talk("NOOP", "200 here")...)), func(o *ftpclient.Options) { o.Facts.Pipelining = "yes" })
	ctx := t.Context()
	transfer, err := conn.Retrieve(ctx, "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"a command": conn.Noop(ctx), "a group": second(conn.StatFiles(ctx, []string{"/a", "/b"})), "a transfer": second(conn.Retrieve(ctx, "/g", 0)),
		"an offset": second(conn.Store(ctx, "/g", 5)), "a rename": conn.Rename(ctx, "/a", "/b"), "a listing": second(conn.List(ctx, "/")),
	} {
		outcome{is: ftpclient.ErrTransferring, class: ftpclient.ClassPermanent}.check(t, err)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	close(asked)
	if content, err := io.ReadAll(transfer); err != nil || string(content) != "hello" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := transfer.Finish(ctx); err != nil {
		t.Error(err)
	}
	if err := conn.Noop(ctx); err != nil {
		t.Error(err)
	}
}

// TestARefusalAfterTheEndOfTheContextIsNotTheReason: the reset that comes with the end of the
// context makes the server complain.
func TestARefusalAfterTheEndOfTheContextIsNotTheReason(t *testing.T) {
	t.Parallel()
	conn, _ := connect(t, session("", steps{passive, {Expect: "STOR /f", Send: "150 go"},
		{Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, {Send: "426 cut"}}))
	ctx, cancel := context.WithCancel(t.Context())
	transfer, err := conn.Store(ctx, "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	cancel()
	_, err = transfer.Finish(t.Context()) // whose own context goes on, so that the reply comes in
	outcome{is: context.Canceled, class: ftpclient.ClassCancelled}.check(t, err)
}
