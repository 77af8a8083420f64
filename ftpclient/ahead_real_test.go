package ftpclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// turns is how often commands were sent after replies.
func turns(seen string) (n int) {
	answered := true
	for word := range strings.SplitSeq(seen, "\n") {
		isReply := len(word) == 3 && word[0] <= '6'
		if !isReply && answered {
			n++
		}
		answered = isReply
	}
	return n
}

// lines returns what was noted since the last take, one command or code in each.
func (r *replyCodes) lines() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	defer func() { r.seen = nil }()
	return strings.Join(r.seen, "\n")
}

// TestStreamsOfSmallFiles counts how often the client waits for the server, for a file that is stored under a temporary name, given its
// time, renamed and asked for: once where commands may stand behind a transfer, twice elsewhere.
func TestStreamsOfSmallFiles(t *testing.T) {
	ftptest.Leaks(t)
	const files = 30
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
				when := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
				p.store(t, "first", []byte("x"))
				if err := conn.SetModTime(t.Context(), p.remote("first"), when); err != nil {
					t.Fatal(err)
				}
				seen.take()
				storeStream(t, p, files, when)
				atMost := 1.3
				if name == "pyftpdlib" {
					atMost = 2.3
				}
				text := seen.lines()
				if got := float64(turns(text)) / files; got > atMost {
					t.Errorf("%.2f turns a file to store, %.1f at most:\n%s", got, atMost, text)
				}
				retrieveStream(t, p, files)
				text = seen.lines()
				if got := float64(turns(text)) / files; got > atMost {
					t.Errorf("%.2f turns a file to retrieve, %.1f at most:\n%s", got, atMost, text)
				}
			})
		}
	}
}

func small(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 17*i) }

func storeStream(t *testing.T, p *place, files int, when time.Time) {
	t.Helper()
	var renamed *ftpclient.Answer
	var stored *ftpclient.StatAnswer
	batch := p.conn.NewBatch()
	check := func() {
		if renamed == nil {
			return
		}
		if renamed.Err != nil || stored.Err != nil || !stored.Found || !stored.Entry.ModTime.Equal(when) {
			t.Fatalf("renamed: %v, then %+v", renamed.Err, *stored)
		}
	}
	for i := range files {
		temp, final := p.remote(fmt.Sprintf(".%02d.tmp", i)), p.remote(fmt.Sprintf("%02d", i))
		before := batch.StatFile(final)
		transfer, err := p.conn.StoreAhead(t.Context(), batch, temp, i < files-1)
		if err != nil {
			t.Fatal(err)
		}
		check()
		transfer.ReadFrom(bytes.NewReader(small(i)))
		result, err := transfer.Finish(t.Context())
		if err != nil || result.Size != int64(17*i) || before.Err != nil || before.Found {
			t.Fatalf("file %d: %v, size %d, before %+v", i, err, result.Size, *before)
		}
		batch = p.conn.NewBatch()
		batch.SetModTime(temp, when)
		renamed, stored = batch.Rename(temp, final), batch.StatFile(final)
	}
	if err := batch.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	for i := range files {
		if got, err := os.ReadFile(filepath.Join(p.disk, fmt.Sprintf("%02d", i))); err != nil || !bytes.Equal(got, small(i)) {
			t.Errorf("file %d: %v, %d bytes", i, err, len(got))
		}
	}
}

func retrieveStream(t *testing.T, p *place, files int) {
	t.Helper()
	for i := range files {
		batch := p.conn.NewBatch()
		name := p.remote(fmt.Sprintf("%02d", i))
		look := batch.StatFile(name)
		transfer, err := p.conn.RetrieveAhead(t.Context(), batch, name, i < files-1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(transfer)
		if err != nil {
			t.Fatal(err)
		}
		result, err := transfer.Finish(t.Context())
		if err != nil || result.Size != int64(17*i) || !bytes.Equal(got, small(i)) || !look.Found || look.Err != nil {
			t.Fatalf("file %d: %v, size %d, %d bytes, look %+v", i, err, result.Size, len(got), *look)
		}
	}
}

// TestARefusedUploadIsNoWordAboutItsDataConnection: with TLS a server that refuses the command also breaks off the handshake, which may be
// noticed first. It was taken for a connection that does not work, and active mode was tried from then on, or nothing
// sent ahead any more.
func TestARefusedUploadIsNoWordAboutItsDataConnection(t *testing.T) {
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
				p.store(t, "first", []byte("x"))
				for range 10 {
					transfer, err := conn.StoreAhead(t.Context(), conn.NewBatch(), p.remote("missing/file"), true)
					if err == nil {
						transfer.ReadFrom(strings.NewReader("x"))
						_, err = transfer.Finish(t.Context())
					}
					var refusal *ftpclient.Error
					if !errors.As(err, &refusal) || refusal.Code/10 != 55 {
						t.Fatalf("stored in a folder that is missing: %v", err)
					}
					p.store(t, "there", []byte("y"))
				}
				if text := seen.lines(); strings.Contains(text, "EPRT") || strings.Contains(text, "PORT") || strings.Contains(text, "NLST") {
					t.Errorf("another way was looked for:\n%s", text)
				}
				if learned := conn.Facts().Ahead; learned != "" && learned != "yes" {
					t.Errorf("commands around transfers: %q", learned)
				}
			})
		}
	}
}
