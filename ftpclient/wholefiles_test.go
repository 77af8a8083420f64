package ftpclient_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestDownloadsIntoFiles(t *testing.T) {
	t.Parallel()
	want := content(60, 9_000_000) // more than two pieces
	for _, s := range securities {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, "proftpd", ftptest.RealOptions{RequireTLS: s.version != 0})
			conn := dial(t, t.Context(), server.Addr, optionsFor(server, s))
			p := &place{conn: conn, server: server, folder: conn.Absolute(""), disk: server.Root}
			p.put(t, "file", want)
			p.put(t, "empty", nil)
			for name, want := range map[string][]byte{"file": want, "empty": nil} {
				out, err := os.Create(filepath.Join(t.TempDir(), "out"))
				if err != nil {
					t.Fatal(err)
				}
				defer out.Close()
				transfer, err := conn.Retrieve(t.Context(), p.remote(name), 0)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(out, transfer); n != int64(len(want)) || err != nil {
					t.Errorf("%d, %v", n, err)
				}
				result, err := transfer.Finish(t.Context())
				if err != nil || result.Bytes != int64(len(want)) || result.Moved < result.Bytes || !result.Confirmed || !result.CleanEnd ||
					!result.Peer.IsValid() || !result.Local.IsValid() || result.Peer == result.Local {
					t.Errorf("%+v, %v", result, err)
				}
				if got, err := os.ReadFile(out.Name()); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
}

func TestAFileThatCannotBeWrittenAbortsItsDownload(t *testing.T) {
	broken := errors.New("the disk is on fire")
	begun := ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "part"}}
	conn, _ := connect(t, session("", steps{passive, begun}.then(aborted...).then(passive, begun).then(aborted...)))
	transfer, err := conn.Retrieve(t.Context(), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(failing{broken}, transfer); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	_, err = transfer.Finish(t.Context())
	outcome{is: broken, class: ftpclient.ClassUnknown}.check(t, err)
	// The same where one system call reads and writes.
	readOnly, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if transfer, err = conn.Retrieve(t.Context(), "/f", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.WriteTo(readOnly); err == nil {
		t.Error("a file was written that is open for reading")
	}
	if _, err = transfer.Finish(t.Context()); err == nil || !conn.Usable() {
		t.Errorf("%v, usable: %v", err, conn.Usable())
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestLimitsOfBandwidth(t *testing.T) {
	const size = 300_000
	whole := content(61, size)
	// The burst is free, and nothing waits for the last piece; the rest takes its time.
	const least = 150 * time.Millisecond
	tests := []struct {
		name     string
		up, down bool // which way is slow
		change   func(*ftpclient.Options)
	}{
		{"none", false, false, func(*ftpclient.Options) {}},
		{"of uploads", true, false, func(o *ftpclient.Options) { o.UploadRate = 1_000_000 }},
		{"of downloads", false, true, func(o *ftpclient.Options) { o.DownloadRate = 1_000_000 }},
		{"of all uploads together", true, false, func(o *ftpclient.Options) { o.UploadLimiter = rate.NewLimiter(1_000_000, 10_000) }},
		{"of all downloads together", false, true, func(o *ftpclient.Options) { o.DownloadLimiter = rate.NewLimiter(1_000_000, 10_000) }},
		{"of both", true, true, func(o *ftpclient.Options) { o.UploadRate, o.DownloadRate = 1_000_000, 1_000_000 }},
	}
	for _, s := range []security{securities[0], securities[2]} {
		server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{RequireTLS: s.version != 0})
		for _, test := range tests {
			t.Run(s.name+", "+test.name, func(t *testing.T) {
				o := optionsFor(server, s)
				o.StallTimeout = testPatience
				test.change(&o)
				conn := dial(t, t.Context(), server.Addr, o)
				p := &place{conn: conn, server: server, folder: conn.Absolute(""), disk: server.Root}
				if up := p.store(t, "file", whole); test.up && up.Duration < least {
					t.Errorf("the upload took %s", up.Duration)
				}
				got, down := p.retrieve(t, "file", 0)
				if !bytes.Equal(got, whole) {
					t.Errorf("%d bytes came back", len(got))
				}
				if test.down && down.Duration < least {
					t.Errorf("the download took %s", down.Duration)
				}
			})
		}
	}
}
