package ftpclient_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// behaviours are what every server in use does for the client, in every way to talk to it.
var behaviours = []struct {
	name    string
	check   func(*testing.T, *place)
	passive bool // it cannot be shown in active mode
}{
	{"a stored file is the same on the server's disk and comes back", storeAndRetrieve, false},
	{"a file from a disk is the same on the server's", storeFile, false},
	{"an empty file is stored, listed and retrieved", emptyFile, false},
	{"a download can begin in the middle", retrieveFromOffset, false},
	{"an upload that was broken off goes on where it ended", resumeUpload, false},
	{"a download that was broken off goes on where it ended", resumeDownload, false},
	{"what is appended stands behind what was there", appendToFile, false},
	{"names with blanks, dashes, quotes, patterns and UTF-8 are plain names", oddNames, false},
	{"a name that is not UTF-8 is kept or known to be changed", rawNames, false},
	{"a blank at the end of a name is kept or known to be changed", trailingBlank, false},
	{"a name with CR, LF or NUL never gets to the server", unsendableNames, false},
	{"a path that is too long for a command is walked", longPaths, false},
	{"rename replaces a file that is there", renameOver, false},
	{"folders are made once and removed when empty", folders, false},
	{"folders are made with their parents", foldersWithParents, false},
	{"what is missing is known to be absent", missing, false},
	{"many files are asked for together", statMany, false},
	{"modification times are kept", times, false},
	{"permissions are set", permissions, false},
	{"a refused transfer leaves the connection usable", refusedTransfers, false},
	{"a listing tells files, folders, sizes and hidden names", listing, false},
	{"a client too many is told from all other refusals", oneClientTooMany, true},
	{"a broken-off download does not put replies out of step", abortDownload, false},
	{"a broken-off upload does not put replies out of step", abortUpload, true},
	{"a cancelled download ends at once", cancelDownload, true},
	{"a cancelled upload ends at once and is no success", cancelUpload, true},
	{"a download that stalls is given up in time", stalledDownload, true},
	{"an upload that stalls is given up in time", stalledUpload, true},
	{"a download without its end is found out", truncatedDownload, true},
	{"an upload without its end is found out", truncatedUpload, true},
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

// resumeUpload goes on by REST and STOR on every server, where it is proven to be right.
func resumeUpload(t *testing.T, p *place) {
	whole := content(4, 300_000)
	damaged := bytes.Clone(whole[:200_000])
	damaged[len(damaged)-1]++
	for _, test := range []struct {
		part   []byte
		offset int64
	}{{whole[:200_000], 200_000}, {damaged, 0}} {
		p.put(t, "part", test.part)
		transfer, offset, err := p.conn.ResumeStore(t.Context(), p.remote("part"), bytes.NewReader(whole), int64(len(whole)))
		if err != nil || offset != test.offset {
			t.Fatalf("goes on at %d, %v; want %d", offset, err, test.offset)
		}
		transfer.ReadFrom(bytes.NewReader(whole[offset:]))
		if _, err := transfer.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		if got := p.onDisk(t, "part"); !bytes.Equal(got, whole) {
			t.Errorf("on disk: %d bytes, not the %d of the source", len(got), len(whole))
		}
		// A look at the seam of old and new bytes ends a download early.
		p.keptOrReplaced(t)
	}
	if got := p.conn.Facts().StoreRestart; got != "works" {
		t.Errorf("learned %q", got)
	}
}

func resumeDownload(t *testing.T, p *place) {
	whole := content(5, 300_000)
	p.put(t, "whole", whole)
	modified, err := p.conn.ModTime(t.Context(), p.remote("whole"))
	if err != nil {
		t.Fatal(err)
	}
	transfer, offset, err := p.conn.ResumeRetrieve(t.Context(), p.remote("whole"), 300_000, modified, bytes.NewReader(whole), 200_000)
	if err != nil || offset != 200_000 {
		t.Fatalf("goes on at %d, %v", offset, err)
	}
	got, err := io.ReadAll(transfer)
	if err != nil || !bytes.Equal(got, whole[offset:]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := transfer.Finish(t.Context()); err != nil {
		t.Error(err)
	}
}

func appendToFile(t *testing.T, p *place) {
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

func foldersWithParents(t *testing.T, p *place) {
	for range 2 {
		if err := p.conn.MakeDirs(t.Context(), p.remote("many/folders/in/one")); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(filepath.Join(p.disk, "many/folders/in/one")); err != nil || !info.IsDir() {
		t.Errorf("on disk: %v", err)
	}
	p.put(t, "many/file", nil)
	if err := p.conn.MakeDirs(t.Context(), p.remote("many/file/below")); err == nil {
		t.Error("a folder was made below a file")
	}
}

// statMany is one round trip on every server, once it is proven to answer in order.
func statMany(t *testing.T, p *place) {
	p.put(t, "one", []byte("1"))
	p.put(t, "two", []byte("22"))
	stats, err := p.conn.StatFiles(t.Context(), []string{p.remote("one"), p.remote("nobody"), p.remote("two"), p.folder})
	if err != nil || len(stats) != 4 {
		t.Fatalf("%+v, %v", stats, err)
	}
	for i, size := range []int64{1, -1, 2, -1} {
		if s := stats[i]; s.Err != nil || s.Found != (size >= 0) || s.Found && s.Entry.Size != size {
			t.Errorf("%+v, want size %d", s, size)
		}
	}
	if got := p.conn.Facts().Pipelining; got != "yes" {
		t.Errorf("pipelining: %q", got)
	}
}

func permissions(t *testing.T, p *place) {
	p.store(t, "private", nil)
	if err := p.conn.SetMode(t.Context(), p.remote("private"), 0o640); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(p.disk, "private")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("on disk: %v, %v", info.Mode(), err)
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
	if setter != p.profile().timeSetter {
		t.Errorf("learned %q, want %q", setter, p.profile().timeSetter)
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
	if l.Hidden == p.profile().mlsd || (l.Format == "mlsd") != p.profile().mlsd {
		t.Errorf("listed by %q, hidden names: %v", l.Format, l.Hidden)
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
