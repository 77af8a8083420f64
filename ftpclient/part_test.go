package ftpclient_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestPartsOfFiles on real servers: in two turns where one waits for nothing but the server, and in step with it afterwards.
func TestPartsOfFiles(t *testing.T) {
	ftptest.Leaks(t)
	for _, name := range ftptest.RealServers {
		for _, s := range []security{securities[0], securities[len(securities)-1]} {
			t.Run(name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: s.version != 0})
				seen := new(replyCodes)
				o := optionsFor(server, s)
				o.Logger = slog.New(seen)
				conn := dial(t, t.Context(), server.Addr, o)
				defer conn.Close()
				p := &place{conn: conn, server: server, folder: conn.Absolute(""), disk: server.Root}
				content := bytes.Repeat([]byte("0123456789"), 1000)
				p.store(t, "file", content)
				part := func(offset, size int64) ([]byte, error) {
					seen.take()
					transfer, err := conn.RetrievePart(t.Context(), p.remote("file"), offset, size)
					if err != nil {
						return nil, err
					}
					got, err := io.ReadAll(transfer)
					_, ended := transfer.Finish(t.Context())
					return got, errors.Join(err, ended)
				}
				for _, offset := range []int64{9_990, 1, 5_000, 0} {
					got, err := part(offset, int64(len(content)))
					if err != nil || !bytes.Equal(got, content[offset:]) {
						t.Errorf("from %d: %q, %v", offset, got, err)
					}
					if text := seen.lines(); offset > 0 && turns(text) > 2 {
						t.Errorf("%d turns:\n%s", turns(text), text)
					}
				}
				if _, err := part(5, 9_999); !errors.Is(err, ftpclient.ErrMismatch) {
					t.Errorf("of another size: %v", err)
				}
				if got, _ := p.retrieve(t, "file", 0); !bytes.Equal(got, content) {
					t.Errorf("all of it: %d bytes", len(got))
				}
			})
		}
	}
}

// TestServersThatGiveNoParts refuse the offset, or what is asked in front of it.
func TestServersThatGiveNoParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script steps // behind a transfer that shows that there are data connections
		want   string
		fails  bool
	}{
		{name: "as it should be", want: "56789",
			script: inOneWrite(ftptest.Step{Send: "213 10"}, "SIZE /a", "EPSV").then(nextPort).
				then(inOneWrite(ftptest.Step{Send: "350 go on\n150 go", Data: &ftptest.Data{Send: "56789", End: ftptest.Close}}, "REST 5", "RETR /a")...).then(ftptest.Step{Send: "226 done"})},
		{name: "no offset, and all of the file", fails: true,
			script: inOneWrite(ftptest.Step{Send: "213 10"}, "SIZE /a", "EPSV").then(nextPort).
				then(inOneWrite(ftptest.Step{Send: "502 what?\n150 go", Data: &ftptest.Data{Send: "0123456789"}}, "REST 5", "RETR /a")...).then(aborted...)},
		{name: "no size", fails: true,
			script: inOneWrite(ftptest.Step{Send: "502 what?\n522 no"}, "SIZE /a", "EPSV").then(talk("SIZE /a", "502 what?")...)},
		{name: "another size", fails: true, script: inOneWrite(ftptest.Step{Send: "213 11"}, "SIZE /a", "EPSV").then(nextPort)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			first := steps{passive}.then(ftptest.Step{Expect: "RETR /b", Send: "150 go", Data: &ftptest.Data{Send: "x", End: ftptest.Close}}, ftptest.Step{Send: "226 done"})
			conn, _ := connect(t, session("", first.then(test.script...)), knownServer)
			defer conn.Close()
			transfer, err := conn.Retrieve(t.Context(), "/b", 0)
			if err == nil {
				io.Copy(io.Discard, transfer)
				_, err = transfer.Finish(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			transfer, err = conn.RetrievePart(t.Context(), "/a", 5, 10)
			if (err != nil) != test.fails {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			got, err := io.ReadAll(transfer)
			if _, ended := transfer.Finish(t.Context()); err != nil || ended != nil || string(got) != test.want {
				t.Errorf("%q, want %q: %v, %v", got, test.want, err, ended)
			}
		})
	}
}
