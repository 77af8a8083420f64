package ftpclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// realPlace is a connection to a server of its own, which lands in the server's folder.
func realPlace(t *testing.T, name string, real ftptest.RealOptions, change ...func(*ftpclient.Options)) *place {
	t.Helper()
	server := ftptest.Real(t, name, real)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	o := optionsFor(server, securities[0])
	for _, f := range change {
		f(&o)
	}
	conn := dial(t, ctx, server.Addr, o)
	return &place{conn: conn, server: server, folder: conn.Absolute(""), disk: server.Root}
}

func (p *place) put(t *testing.T, name string, content []byte) {
	t.Helper()
	path := filepath.Join(p.disk, name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

func (p *place) onDisk(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.disk, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUploadsAreResumedOnRealServers(t *testing.T) {
	t.Parallel()
	whole := content(30, 500_000)
	damaged := bytes.Clone(whole[:300_000])
	damaged[len(damaged)-1]++
	damagedEarly := bytes.Clone(whole[:300_000])
	damagedEarly[5]++
	works, neither := ftpclient.Facts{StoreRestart: "works"}, ftpclient.Facts{StoreRestart: "refused", Appending: "refused"}
	tests := []struct {
		name   string
		stored []byte // nil for no file
		offset int64
		learns bool
	}{
		{"the rest of a file is sent", whole[:300_000], 300_000, true},
		{"a small beginning is gone on with", whole[:10], 10, true},
		{"where all is there, nothing is sent", whole, 500_000, false},
		{"where nothing is there, all is sent", nil, 0, false},
		{"an empty file is begun anew", []byte{}, 0, false},
		{"what does not end as it should is sent again", damaged, 0, false},
		{"a longer file is replaced", append(bytes.Clone(whole), 'x'), 0, false},
	}
	servers := []struct {
		name    string
		server  string
		options ftptest.RealOptions
		facts   ftpclient.Facts
	}{
		{"vsftpd, which leaves holes", "vsftpd", ftptest.RealOptions{}, works},
		{"proftpd", "proftpd", ftptest.RealOptions{}, works},
		{"pure-ftpd, which truncates", "pure-ftpd", ftptest.RealOptions{}, works},
		{"pyftpdlib", "pyftpdlib", ftptest.RealOptions{}, works},
		{"proftpd as it is by default", "proftpd", ftptest.RealOptions{NoRestart: true}, neither},
		{"proftpd with hashes", "proftpd", ftptest.RealOptions{Modules: []string{"digest"}}, works},
	}
	for _, s := range servers {
		t.Run(s.server, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, s.server, s.options)
			for _, test := range tests {
				t.Run(s.name+": "+test.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					conn := dial(t, ctx, server.Addr, optionsFor(server, securities[0]))
					p := &place{conn: conn, server: server, folder: conn.Absolute(""), disk: server.Root}
					os.Remove(filepath.Join(server.Root, "file"))
					if test.stored != nil {
						p.put(t, "file", test.stored)
					}
					transfer, offset, err := conn.ResumeStore(ctx, p.remote("file"), bytes.NewReader(whole), int64(len(whole)))
					if err != nil {
						t.Fatal(err)
					}
					want := test.offset
					if s.facts == neither {
						want = 0
					}
					if offset != want {
						t.Errorf("goes on at %d, want %d", offset, want)
					}
					transfer.ReadFrom(bytes.NewReader(whole[offset:]))
					if result, err := transfer.Finish(ctx); err != nil || result.Bytes != int64(len(whole))-offset {
						t.Errorf("%+v, %v", result, err)
					}
					if got := p.onDisk(t, "file"); !bytes.Equal(got, whole) {
						t.Errorf("on disk: %d bytes, not the %d of the source", len(got), len(whole))
					}
					if facts := conn.Facts(); test.learns && (facts.StoreRestart != s.facts.StoreRestart || facts.Appending != s.facts.Appending) {
						t.Errorf("learned %q, %q; want %q, %q", facts.StoreRestart, facts.Appending, s.facts.StoreRestart, s.facts.Appending)
					}
					if err := conn.Noop(ctx); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	t.Run("APPE where REST is not allowed", func(t *testing.T) {
		p := realPlace(t, "vsftpd", ftptest.RealOptions{Deny: []string{"REST"}})
		p.put(t, "file", whole[:50_000]) // more could not be proven
		transfer, offset, err := p.conn.ResumeStore(t.Context(), p.remote("file"), bytes.NewReader(whole), 500_000)
		if err != nil || offset != 50_000 {
			t.Fatalf("%d, %v", offset, err)
		}
		transfer.ReadFrom(bytes.NewReader(whole[offset:]))
		if _, err := transfer.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		facts := p.conn.Facts()
		if !bytes.Equal(p.onDisk(t, "file"), whole) || facts.StoreRestart != "refused" || facts.Appending != "" {
			t.Errorf("%d bytes, learned %q, %q", len(p.onDisk(t, "file")), facts.StoreRestart, facts.Appending)
		}
	})
	t.Run("a hash sees damage far from the end", func(t *testing.T) {
		p := realPlace(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}})
		p.put(t, "file", damagedEarly)
		if same, err := p.conn.SamePrefix(t.Context(), p.remote("file"), bytes.NewReader(whole), 300_000); same || err != nil {
			t.Errorf("%v, %v", same, err)
		}
	})
}

// TestServersThatResumeWrongAreFoundOut has servers that take REST and do something else.
func TestServersThatResumeWrongAreFoundOut(t *testing.T) {
	size := func(n string) steps { return talk("SIZE /f", "213 "+n) }
	prefix := size("4").then(size("4")...).then(download("RETR /f", "0123", "226 done")...).then(size("4")...)
	store := prefix.then(passive, ftptest.Step{Expect: "REST 4", Send: "350 ok"},
		ftptest.Step{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "456789", End: ftptest.Close}},
		ftptest.Step{Send: "226 done"})
	tests := []struct {
		name   string
		script steps
		want   outcome
		fact   string
	}{
		{name: "all is well", script: store.then(size("10")...).then(download("RETR /f", "0123456789", "226 done")...), fact: "works"},
		{name: "REST was ignored", script: store.then(size("6")...),
			want: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}, fact: "broken"},
		{name: "the new bytes are elsewhere", script: store.then(size("10")...).then(download("RETR /f", "4567890123", "226 done")...),
			want: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}, fact: "broken"},
		{name: "there is a hole", script: store.then(size("10")...).then(download("RETR /f", "0123\x00\x00\x00\x00\x00\x00", "226 done")...),
			want: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}, fact: "broken"},
		{name: "the size is not told", script: store.then(talk("SIZE /f", "550 no")...),
			want: outcome{code: 550, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session("", test.script))
			source := bytes.NewReader([]byte("0123456789"))
			transfer, offset, err := conn.ResumeStore(t.Context(), "/f", source, 10)
			if err != nil || offset != 4 {
				t.Fatalf("offset %d, %v", offset, err)
			}
			io.Copy(transfer, io.NewSectionReader(source, offset, 10-offset))
			_, err = transfer.Finish(t.Context())
			test.want.check(t, err)
			if got := conn.Facts().StoreRestart; got != test.fact {
				t.Errorf("learned %q, want %q", got, test.fact)
			}
		})
	}
}

func TestWhatResumeDoesNotTry(t *testing.T) {
	all := steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "0123456789", End: ftptest.Close}},
		{Send: "226 done"}}.then(talk("SIZE /f", "213 10")...)
	appending := steps{passive, {Expect: "APPE /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "456789", End: ftptest.Close}},
		{Send: "226 done"}}.then(talk("SIZE /f", "213 10")...)
	size := talk("SIZE /f", "213 4")
	prefix := size.then(size...).then(download("RETR /f", "0123", "226 done")...).then(size...)
	facts := func(restart, appending string) func(*ftpclient.Options) {
		return func(o *ftpclient.Options) { o.Facts.StoreRestart, o.Facts.Appending = restart, appending }
	}
	tests := []struct {
		name   string
		change func(*ftpclient.Options)
		script steps
		want   string // facts afterwards
	}{
		{"to prove a beginning where nothing can be resumed", facts("broken", "refused"), size.then(all...), "broken refused"},
		{"REST where it is broken", facts("broken", "works"), prefix.then(appending...), "broken works"},
		{"APPE behind a REST that stands", facts("", "works"),
			prefix.then(passive).then(talk("REST 4", "350 ok", "STOR /f", "451 Append/Restart not permitted, try again", "REST 0", "350 ok")...).then(appending...),
			"refused works"},
		{"to go on where the beginning cannot be read", facts("works", ""),
			size.then(size...).then(passive).then(talk("RETR /f", "550 write only")...).then(all...), "works "},
		{"to go on with a file that grows", facts("works", ""),
			size.then(size...).then(download("RETR /f", "0123", "226 done")...).then(talk("SIZE /f", "213 5")...).then(all...), "works "},
	}
	for _, test := range tests {
		t.Run("does not try "+test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session("", test.script), test.change)
			source := bytes.NewReader([]byte("0123456789"))
			transfer, offset, err := conn.ResumeStore(t.Context(), "/f", source, 10)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(transfer, io.NewSectionReader(source, offset, 10-offset))
			if _, err = transfer.Finish(t.Context()); err != nil {
				t.Error(err)
			}
			if got := conn.Facts().StoreRestart + " " + conn.Facts().Appending; got != test.want {
				t.Errorf("learned %q, want %q", got, test.want)
			}
		})
	}
}

func TestDownloadsAreResumedOnRealServers(t *testing.T) {
	t.Parallel()
	whole := content(31, 400_000)
	damaged := bytes.Clone(whole[:300_000])
	damaged[len(damaged)-1]++
	tests := []struct {
		name   string
		part   []byte
		offset int64
	}{
		{"the rest of a file comes", whole[:300_000], 300_000},
		{"where all is there, nothing comes", whole, 400_000},
		{"a part that is not the file's is retrieved again", damaged, 0},
		{"a tiny part is retrieved again", whole[:10], 0},
		{"a part that is too long is retrieved again", append(bytes.Clone(whole), 1), 0},
	}
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := realPlace(t, name, ftptest.RealOptions{})
			p.put(t, "file", whole)
			modified, err := p.conn.ModTime(t.Context(), p.remote("file"))
			if err != nil {
				t.Fatal(err)
			}
			resume := func(size int64, modified time.Time, part []byte) (*ftpclient.Transfer, int64, error) {
				return p.conn.ResumeRetrieve(t.Context(), p.remote("file"), size, modified, bytes.NewReader(part), int64(len(part)))
			}
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					transfer, offset, err := resume(400_000, modified, test.part)
					if err != nil || offset != test.offset {
						t.Fatalf("offset %d, %v; want %d", offset, err, test.offset)
					}
					got, err := io.ReadAll(transfer)
					if err != nil || !bytes.Equal(got, whole[offset:]) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					if result, err := transfer.Finish(t.Context()); err != nil || result.Bytes != int64(len(got)) {
						t.Errorf("%+v, %v", result, err)
					}
				})
			}
			if _, _, err := resume(399_999, modified, whole[:300_000]); !errors.Is(err, ftpclient.ErrMismatch) {
				t.Errorf("another size: %v", err)
			}
			if _, _, err := resume(400_000, modified.Add(-time.Hour), whole[:300_000]); !errors.Is(err, ftpclient.ErrMismatch) {
				t.Errorf("another time: %v", err)
			}
			if err := p.conn.Noop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAServerThatIgnoresTheOffsetOfADownload sends a file from its beginning, which looks like
// its end where all bytes are the same.
func TestAServerThatIgnoresTheOffsetOfADownload(t *testing.T) {
	const size, there = 10_000, 6_000
	zero := make([]byte, size)
	conn, _ := connect(t, session("", talk("SIZE /f", "213 10000").then(passive, ftptest.Step{Expect: "REST 1904", Send: "350 ok"},
		ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: string(zero), End: ftptest.Close}}, ftptest.Step{Send: "226 done"})))
	transfer, offset, err := conn.ResumeRetrieve(t.Context(), "/f", size, time.Time{}, bytes.NewReader(zero[:there]), there)
	if err != nil || offset != there {
		t.Fatalf("offset %d, %v", offset, err)
	}
	io.Copy(io.Discard, transfer)
	_, err = transfer.Finish(t.Context())
	outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}.check(t, err)
}

func TestAppendOnRealServers(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := realPlace(t, name, ftptest.RealOptions{})
			for range 2 { // the first makes the file
				transfer, err := p.conn.Append(t.Context(), p.remote("log"))
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(transfer, "line\n")
				if _, err := transfer.Finish(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if got := p.onDisk(t, "log"); string(got) != "line\nline\n" {
				t.Errorf("%q", got)
			}
		})
	}
}
