package ftpclient_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// behaviours are what every server in use does for the client, in every way to talk to it.
var behaviours = []struct {
	name  string
	check func(*testing.T, *place)
}{
	{"a stored file is the same on the server's disk and comes back", storeAndRetrieve},
	{"a file from a disk is the same on the server's", storeFile},
	{"an empty file is stored, listed and retrieved", emptyFile},
	{"a download can begin in the middle", retrieveFromOffset},
	{"names with blanks, dashes, quotes, patterns and UTF-8 are plain names", oddNames},
	{"rename replaces a file that is there", renameOver},
	{"folders are made once and removed when empty", folders},
	{"what is missing is known to be absent", missing},
	{"modification times are kept", times},
	{"a refused transfer leaves the connection usable", refusedTransfers},
	{"a listing tells files, folders, sizes and hidden names", listing},
	{"a broken-off download does not put replies out of step", abortDownload}, // last: it may cost the connection
}

func storeAndRetrieve(t *testing.T, p *place) {
	want := content(1, 300_000)
	result := p.store(t, "file.bin", want)
	if result.Mode != p.mode || result.TLSResumed != resumes(p.server.Name, p.security) {
		t.Errorf("mode %v, TLS session resumed: %v", result.Mode, result.TLSResumed)
	}
	if onDisk, err := os.ReadFile(filepath.Join(p.disk, "file.bin")); err != nil || !bytes.Equal(onDisk, want) {
		t.Errorf("on disk: %d bytes, %v; want the %d bytes stored", len(onDisk), err, len(want))
	}
	if size, err := p.conn.Size(t.Context(), p.remote("file.bin")); err != nil || size != int64(len(want)) {
		t.Errorf("size %d, %v; want %d", size, err, len(want))
	}
	got, result := p.retrieve(t, "file.bin", 0)
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes back, want the %d bytes stored", len(got), len(want))
	}
	if !result.CleanEnd {
		t.Error("the server ended the download like a cut")
	}
}

func storeFile(t *testing.T, p *place) {
	want := content(2, 1_000_000)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, want, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	transfer, err := p.conn.Store(t.Context(), p.remote("copy.bin"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := transfer.ReadFrom(file); err != nil || n != int64(len(want)) {
		t.Errorf("sent %d bytes, %v", n, err)
	}
	if _, err := transfer.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if onDisk, err := os.ReadFile(filepath.Join(p.disk, "copy.bin")); err != nil || !bytes.Equal(onDisk, want) {
		t.Errorf("on disk: %d bytes, %v; want the %d bytes of the source", len(onDisk), err, len(want))
	}
}

func emptyFile(t *testing.T, p *place) {
	p.store(t, "empty", nil)
	if info, err := os.Stat(filepath.Join(p.disk, "empty")); err != nil || info.Size() != 0 {
		t.Errorf("on disk: %v, %v", info, err)
	}
	if got, _ := p.retrieve(t, "empty", 0); len(got) != 0 {
		t.Errorf("got %d bytes", len(got))
	}
	entry, err := p.conn.Stat(t.Context(), p.remote("empty"))
	if err != nil || entry.Type != list.File || entry.Size != 0 {
		t.Errorf("stat: %+v, %v", entry, err)
	}
}

func retrieveFromOffset(t *testing.T, p *place) {
	want := content(1, 300_000)
	p.store(t, "file.bin", want)
	if got, _ := p.retrieve(t, "file.bin", 123_456); !bytes.Equal(got, want[123_456:]) {
		t.Errorf("got %d bytes, want the last %d", len(got), len(want)-123_456)
	}
	if got, _ := p.retrieve(t, "file.bin", 0); !bytes.Equal(got, want) {
		t.Errorf("after it: got %d bytes, want all %d", len(got), len(want))
	}
}

func oddNames(t *testing.T, p *place) {
	names := []string{
		"with two  blanks", "-dash", "--all", "grüße 日本.txt", `quo"te`, "[a]*?.txt", "percent%20",
		"semi;colon=x", "tilde~", "#1 & more", "226 done", "dots..", "a'b",
	}
	folder := "odd names"
	if err := p.conn.MakeDir(t.Context(), p.remote(folder)); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		p.store(t, folder+"/"+name, []byte(name))
		if onDisk, err := os.ReadFile(filepath.Join(p.disk, folder, name)); err != nil || string(onDisk) != name {
			t.Errorf("on disk: %q, %v", onDisk, err)
		}
		if got, _ := p.retrieve(t, folder+"/"+name, 0); string(got) != name {
			t.Errorf("retrieve %q: %q", name, got)
		}
		entry, err := p.conn.Stat(t.Context(), p.remote(folder+"/"+name))
		if err != nil || entry.Name != name || entry.Type != list.File || entry.Size != int64(len(name)) {
			t.Errorf("stat %q: %+v, %v", name, entry, err)
		}
	}
	listing, err := p.conn.List(t.Context(), p.remote(folder))
	if err != nil || listing.Incomplete != "" {
		t.Fatalf("%v, incomplete: %q", err, listing.Incomplete)
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, namesOf(listing)); diff != "" {
		t.Errorf("names listed (-want +got):\n%s", diff)
	}
	for _, name := range names {
		if err := p.conn.Remove(t.Context(), p.remote(folder+"/"+name)); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(p.disk, folder)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func namesOf(l ftpclient.Listing) []string {
	names := make([]string, len(l.Entries))
	for i, e := range l.Entries {
		names[i] = e.Name
	}
	slices.Sort(names)
	return names
}

func renameOver(t *testing.T, p *place) {
	p.store(t, "old", []byte("old"))
	p.store(t, ".new.part", []byte("new"))
	if err := p.conn.Rename(t.Context(), p.remote(".new.part"), p.remote("old")); err != nil {
		t.Fatal(err)
	}
	if onDisk, err := os.ReadFile(filepath.Join(p.disk, "old")); err != nil || string(onDisk) != "new" {
		t.Errorf("on disk: %q, %v", onDisk, err)
	}
	err := p.conn.Rename(t.Context(), p.remote("nobody"), p.remote("old"))
	var refusal *ftpclient.Error
	if !errors.As(err, &refusal) || refusal.Code < 400 {
		t.Errorf("rename of a missing file: %v", err)
	}
}

func folders(t *testing.T, p *place) {
	ctx := t.Context()
	if err := p.conn.MakeDir(ctx, p.remote("a/b")); err == nil {
		t.Error("a folder came to be in a missing one")
	}
	for _, name := range []string{"a", "a/b c", "a"} {
		if err := p.conn.MakeDir(ctx, p.remote(name)); err != nil {
			t.Errorf("make %q: %v", name, err)
		}
	}
	if entry, err := p.conn.Stat(ctx, p.remote("a/b c")); err != nil || entry.Type != list.Dir || entry.Name != "b c" {
		t.Errorf("stat: %+v, %v", entry, err)
	}
	p.store(t, "a/file", nil)
	if err := p.conn.MakeDir(ctx, p.remote("a/file")); err == nil {
		t.Error("a folder was made where a file is")
	}
	if err := p.conn.RemoveDir(ctx, p.remote("a")); err == nil {
		t.Error("a folder that is not empty was removed")
	}
	if err := p.conn.Remove(ctx, p.remote("a/file")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a/b c", "a"} {
		if err := p.conn.RemoveDir(ctx, p.remote(name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(p.disk, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("on disk: %v", err)
	}
}

func missing(t *testing.T, p *place) {
	p.store(t, "a file", []byte("x"))
	for _, name := range []string{"nobody", ".nobody", "no folder/nobody", "no folder/none/nobody", "a file/below"} {
		if entry, err := p.conn.Stat(t.Context(), p.remote(name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat %q: %+v, %v", name, entry, err)
		}
		if entry, found, err := p.conn.StatFile(t.Context(), p.remote(name)); found || err != nil {
			t.Errorf("stat file %q: %+v, %v, %v", name, entry, found, err)
		}
	}
	if _, err := p.conn.List(t.Context(), p.remote("no folder")); err == nil {
		t.Error("a missing folder was listed")
	}
	if err := os.Symlink("a file", filepath.Join(p.disk, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.conn.Stat(t.Context(), p.remote("link")); err != nil {
		t.Errorf("stat of a link: %v", err)
	}
}

func times(t *testing.T, p *place) {
	p.store(t, "timed", []byte("x"))
	want := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	if err := p.conn.SetModTime(t.Context(), p.remote("timed"), want); err != nil {
		t.Fatal(err)
	}
	want = want.Truncate(time.Second)
	if got, err := p.conn.ModTime(t.Context(), p.remote("timed")); err != nil || !got.Equal(want) {
		t.Errorf("server tells %v, %v; want %v", got, err, want)
	}
	if info, err := os.Stat(filepath.Join(p.disk, "timed")); err != nil || !info.ModTime().Equal(want) {
		t.Errorf("on disk: %v, %v; want %v", info.ModTime(), err, want)
	}
	setter := p.conn.Facts().TimeSetter
	if setter != "MFMT" && setter != "MDTM" {
		t.Errorf("learned %q", setter)
	}
	if err := p.conn.SetModTime(t.Context(), p.remote("nobody"), want); err == nil {
		t.Error("the time of a missing file was set")
	}
	if got := p.conn.Facts().TimeSetter; got != setter {
		t.Errorf("a missing file made the client forget %q for %q", setter, got)
	}
}

func refusedTransfers(t *testing.T, p *place) {
	var refusal *ftpclient.Error
	for range 3 {
		if _, err := p.conn.Retrieve(t.Context(), p.remote("nobody"), 0); !errors.As(err, &refusal) || refusal.Code < 500 {
			t.Errorf("retrieve: %v", err)
		}
		if _, err := p.conn.Store(t.Context(), p.remote("no folder/x"), 0); !errors.As(err, &refusal) || refusal.Code < 500 {
			t.Errorf("store: %v", err)
		}
		if _, err := p.conn.Retrieve(t.Context(), p.remote("nobody"), 5); err == nil {
			t.Error("a missing file was retrieved")
		}
	}
	p.store(t, "after", []byte("0123456789"))
	if got, _ := p.retrieve(t, "after", 0); string(got) != "0123456789" {
		t.Errorf("a refused REST cost the next file its beginning: %q", got)
	}
}

func abortDownload(t *testing.T, p *place) {
	p.store(t, "large", content(3, 8<<20))
	transfer, err := p.conn.Retrieve(t.Context(), p.remote("large"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(transfer, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	transfer.Abort(t.Context())
	if _, err := transfer.Finish(t.Context()); err == nil {
		t.Error("a broken-off download was finished")
	}
	// A reply that went astray would be the answer to this.
	if size, err := p.conn.Size(t.Context(), p.remote("large")); err != nil || size != 8<<20 {
		t.Errorf("out of step: %d, %v", size, err)
	}
}

func listing(t *testing.T, p *place) {
	ctx := t.Context()
	folder := "to list"
	for _, name := range []string{folder, folder + "/sub"} {
		if err := p.conn.MakeDir(ctx, p.remote(name)); err != nil {
			t.Fatal(err)
		}
	}
	if empty, err := p.conn.List(ctx, p.remote(folder+"/sub")); err != nil || len(empty.Entries) > 0 || empty.Incomplete != "" {
		t.Errorf("empty folder: %+v, %v", empty, err)
	}
	p.store(t, folder+"/file", []byte("12345"))
	p.store(t, folder+"/.hidden", []byte("1"))
	l, err := p.conn.List(ctx, p.remote(folder))
	if err != nil || l.Incomplete != "" {
		t.Fatalf("%v, incomplete: %q", err, l.Incomplete)
	}
	if diff := cmp.Diff([]string{".hidden", "file", "sub"}, namesOf(l)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for _, e := range l.Entries {
		age := time.Since(e.ModTime)
		switch {
		case e.Name == "file" && (e.Type != list.File || e.Size != 5), e.Name == "sub" && e.Type != list.Dir:
			t.Errorf("%+v", e)
		case e.Precision < 24*time.Hour && (age < -time.Minute || age > time.Hour):
			t.Errorf("%s was changed %s ago", e.Name, age)
		}
	}
}
