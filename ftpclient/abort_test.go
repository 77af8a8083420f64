package ftpclient_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// replyCodes notes the commands and the codes of replies of a connection.
type replyCodes struct {
	slog.Handler
	mutex sync.Mutex
	seen  []string
}

func (r *replyCodes) Enabled(context.Context, slog.Level) bool { return true }

func (r *replyCodes) WithAttrs([]slog.Attr) slog.Handler { return r }

func (r *replyCodes) Handle(_ context.Context, record slog.Record) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "code" || a.Key == "line" {
			r.seen = append(r.seen, a.Value.String())
		}
		return true
	})
	return nil
}

// take returns what was noted since the last take.
func (r *replyCodes) take() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	defer func() { r.seen = nil }()
	return strings.Join(r.seen, " ")
}

// TestAbortsOnRealServersKeepTheConnection gives up transfers of every kind and then uses the
// connection: an abort costs none, but for ProFTPD, whose TLS module ends the whole session when
// it comes to write data at the moment of their end ("unexpected OpenSSL error").
func TestAbortsOnRealServersKeepTheConnection(t *testing.T) {
	t.Parallel()
	whole := content(5, 8<<20) // more than sockets buffer
	aborts := []struct {
		name string
		do   func(*testing.T, *place)
	}{
		{"a download", func(t *testing.T, p *place) {
			transfer := beginDownload(t, p, "large")
			transfer.Abort(t.Context())
		}},
		{"a part of a file that was enough", func(t *testing.T, p *place) {
			transfer := beginDownload(t, p, "large")
			if result, err := transfer.Stop(t.Context()); err != nil || result.Bytes != 1000 || result.Confirmed {
				t.Errorf("%+v, %v", result, err)
			}
		}},
		{"an upload", func(t *testing.T, p *place) {
			transfer, err := p.conn.Store(t.Context(), p.remote("torn"), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Write(whole[:1<<20]); err != nil {
				t.Fatal(err)
			}
			transfer.Abort(t.Context())
		}},
		{"an upload before its first byte", func(t *testing.T, p *place) {
			transfer, err := p.conn.Store(t.Context(), p.remote("torn"), 0)
			if err != nil {
				t.Fatal(err)
			}
			transfer.Abort(t.Context())
		}},
	}
	for _, name := range ftptest.RealServers {
		for _, s := range securities {
			t.Run(name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: s.version != 0})
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				codes := &replyCodes{}
				o := optionsFor(server, s)
				o.Logger = slog.New(codes)
				conn := dial(t, ctx, server.Addr, o)
				p := &place{conn: conn, server: server, security: s, folder: conn.Absolute(""), disk: filepath.Join(server.Root)}
				p.put(t, "large", whole)
				for _, abort := range aborts {
					for i := range 3 {
						codes.take()
						abort.do(t, p)
						t.Logf("%s: %s", abort.name, codes.take())
						if !p.conn.Usable() {
							if name == "proftpd" && s.version != 0 {
								p.conn = dial(t, ctx, server.Addr, o)
								continue
							}
							t.Fatalf("%s, %d: the connection was given up", abort.name, i+1)
						}
						checkInStep(t, p, int64(len(whole)))
					}
				}
			})
		}
	}
}

func beginDownload(t *testing.T, p *place, name string) *ftpclient.Transfer {
	t.Helper()
	transfer, err := p.conn.Retrieve(t.Context(), p.remote(name), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(transfer, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	return transfer
}

// checkInStep asks questions whose answers cannot be mistaken for those of others.
func checkInStep(t *testing.T, p *place, size int64) {
	t.Helper()
	if err := p.conn.Noop(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := p.conn.Size(t.Context(), p.remote("large")); err != nil || got != size {
		t.Errorf("out of step: %d, %v", got, err)
	}
	text := []byte(fmt.Sprintf("after %d", size))
	p.store(t, "after", text)
	if got, _ := p.retrieve(t, "after", 0); !bytes.Equal(got, text) {
		t.Errorf("the next file: %q", got)
	}
}

func TestAbort(t *testing.T) {
	begun := ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "part"}}
	abort := ftptest.Step{Expect: "ABOR", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}
	marker := ftptest.Step{Expect: "NOOP", Send: "200 here"}
	say := func(replies string) ftptest.Step { return ftptest.Step{Send: replies} }
	tests := []struct {
		name   string
		script steps
		lost   bool
	}{
		{name: "the transfer is answered, then ABOR", script: steps{begun, abort, say("426 cut\n226 aborted"), marker}},
		{name: "in the way of ProFTPD and vsftpd, which read it after the end of the data", script: steps{begun, abort, say("226 done\n225 no transfer"), marker}},
		{name: "in the way of Pure-FTPd", script: steps{begun, abort, say("426 cut\n451 cut"), marker}},
		{name: "with other codes", script: steps{begun, abort, say("451 cut\n225 nothing to abort"), marker}},
		{name: "the transfer went through before", script: steps{begun, abort, say("226 done\n226 aborted"), marker}},
		{name: "both are answered by one reply", script: steps{begun, abort, say("225 aborted"), marker}},
		{name: "the last word about the transfer is that it begins", script: steps{begun, abort, say("150 10 kbytes\n226 aborted"), marker}},
		{name: "ABOR is unknown", script: steps{begun, abort, say("502 what?\n426 cut"), marker}},
		{name: "ABOR is answered late, behind the marker", script: steps{begun, abort, say("426 cut"), {Expect: "NOOP", Send: "226 aborted\n200 here"}}},
		{name: "both are answered by one reply that is about the transfer", script: steps{begun, abort, say("426 cut"), marker}},
		{name: "ABOR is answered like the marker", lost: true,
			script: steps{begun, abort, say("426 cut"), {Expect: "NOOP", Send: "200 Command okay."}, {Delay: 100 * time.Millisecond, Send: "200 here"}}},
		{name: "there are three replies", lost: true, script: steps{begun, abort, {Send: "426 cut\n226 done\n226 aborted", End: ftptest.Close}}},
		{name: "there are two before the marker and one behind it", lost: true,
			script: steps{begun, abort, say("426 cut\n226 done"), {Expect: "NOOP", Send: "226 aborted\n200 here"}}},
		{name: "the server says farewell", lost: true, script: steps{begun, abort, say("426 cut\n421 bye")}},
		{name: "the marker is not answered", lost: true, script: steps{begun, abort, say("426 cut\n226 aborted"), {Expect: "NOOP"}}},
		{name: "nothing is answered", lost: true, script: steps{begun, abort, {Expect: "NOOP"}}},
		{name: "the marker is answered and nothing else", lost: true, script: steps{begun, abort, marker}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := session("", steps{passive}.then(test.script...).then(talk("NOOP", "200 here")...))
			if test.lost {
				script = open("", steps{passive}.then(test.script...))
			}
			conn, _ := connect(t, script)
			transfer, err := conn.Retrieve(t.Context(), "/f", 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(transfer, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			transfer.Abort(t.Context())
			transfer.Abort(t.Context())
			if _, err := transfer.Finish(t.Context()); err == nil {
				t.Error("success")
			}
			if conn.Usable() == test.lost {
				t.Errorf("usable afterwards: %v", !test.lost)
			}
			if !test.lost {
				if err := conn.Noop(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestStopWithoutAReason(t *testing.T) {
	t.Run("at the end of a file is Finish", func(t *testing.T) {
		conn, _ := connect(t, session("", download("RETR /f", "hello", "226 done")))
		transfer, err := conn.Retrieve(t.Context(), "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(transfer); err != nil {
			t.Error(err)
		}
		if result, err := transfer.Stop(t.Context()); err != nil || !result.Confirmed {
			t.Errorf("%+v, %v", result, err)
		}
	})
	t.Run("an upload is never content with a part", func(t *testing.T) {
		conn, _ := connect(t, session("", steps{passive, {Expect: "STOR /f", Send: "150 go"}}.then(aborted...)))
		transfer, err := conn.Store(t.Context(), "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		if result, err := transfer.Stop(t.Context()); err == nil || result.Confirmed {
			t.Errorf("%+v, %v", result, err)
		}
	})
}
