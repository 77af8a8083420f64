package ftpclient_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func often(o *ftpclient.Options) { o.NoopDuringTransfer = 20 * time.Millisecond }

// TestNoopsDuringATransfer: servers answer them when they like, and every reply finds its command.
func TestNoopsDuringATransfer(t *testing.T) {
	t.Parallel()
	begin := steps{{Expect: "RETR /f", Send: "150 go"}, {Expect: "NOOP"}}
	data := ftptest.Step{Data: &ftptest.Data{Send: "hello", End: ftptest.Close}}
	for _, row := range []row{
		{name: "the reply comes after that of the transfer", script: begin.then(data, ftptest.Step{Send: "226 done\n200 here"})},
		{name: "the reply comes late", script: begin.then(data, ftptest.Step{Send: "226 done"}, ftptest.Step{Delay: 50 * time.Millisecond, Send: "200 here"})},
		{name: "the reply is an error", script: begin.then(data, ftptest.Step{Send: "500 not now\n226 done"})},
		{name: "the transfer is refused before it", script: begin.then(data, ftptest.Step{Send: "451 disk\n200 here"}),
			want: outcome{code: 451, class: ftpclient.ClassRetry}},
	} {
		// Seldom enough that there is only one, also on a busy machine.
		row.change = func(o *ftpclient.Options) { o.NoopDuringTransfer = 500 * time.Millisecond }
		row.run(t, func(conn *ftpclient.Conn) error { return getting("hello")(t.Context(), conn) })
	}
}

// TestNoopsDuringTransfersOfRealServers: the connection is in step after uploads and downloads
// that were slow enough for many of them.
func TestNoopsDuringTransfersOfRealServers(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			o := optionsFor(server, securities[0])
			often(&o)
			o.UploadRate, o.DownloadRate = 3e6, 3e6
			conn := dial(t, t.Context(), server.Addr, o)
			want := content(7, 600_000)
			transfer, err := conn.Store(t.Context(), "/slow", 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Write(want); err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Finish(t.Context()); err != nil || !conn.Usable() {
				t.Fatalf("usable: %v, %v", conn.Usable(), err)
			}
			if transfer, err = conn.Retrieve(t.Context(), "/slow", 0); err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(transfer) // Finish tells the error
			if _, err := transfer.Finish(t.Context()); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes came back, %v", len(got), err)
			}
			if size, err := conn.Size(t.Context(), "/slow"); err != nil || size != int64(len(want)) {
				t.Errorf("out of step: %d, %v", size, err)
			}
		})
	}
}
