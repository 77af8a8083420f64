package ftpclient_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

func oddNames(t *testing.T, p *place) {
	names := []string{
		`-two  blanks, "quo'te" [a]*?.txt`, "--all", "~tilde grüße 日本 %20", "#1 & more;colon=x", "226 done..",
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

// rawNames stores a name of bytes that are no text, in a folder of its own.
func rawNames(t *testing.T, p *place) {
	entry := storeOdd(t, p, "raw", rawName)
	if p.profile().raw == "" {
		// It writes another sign for each of them, in a name that cannot be asked for.
		if entry == rawName {
			t.Error("it keeps the bytes by now")
		}
		return
	}
	if entry != p.profile().raw {
		t.Errorf("on disk: %q", entry)
	}
	if stored, err := p.conn.StoredAs(t.Context(), p.remote("raw/"+rawName)); err != nil {
		t.Errorf("stored as %q, %v", stored, err)
	}
	if got, _ := p.retrieve(t, "raw/"+rawName, 0); string(got) != "x" {
		t.Errorf("%q came back", got)
	}
	if err := p.conn.Remove(t.Context(), p.remote("raw/"+rawName)); err != nil {
		t.Error(err)
	}
}

// storeOdd stores a file in a new folder and returns its name on disk.
func storeOdd(t *testing.T, p *place, folder, name string) string {
	t.Helper()
	if err := p.conn.MakeDir(t.Context(), p.remote(folder)); err != nil {
		t.Fatal(err)
	}
	p.store(t, folder+"/"+name, []byte("x"))
	entries, err := os.ReadDir(filepath.Join(p.disk, folder))
	if err != nil || len(entries) != 1 {
		t.Fatalf("on disk: %v, %v", entries, err)
	}
	return entries[0].Name()
}

func trailingBlank(t *testing.T, p *place) {
	want := p.profile().trailing
	if onDisk := storeOdd(t, p, "blanks", "trail "); onDisk != want {
		t.Errorf("on disk: %q, want %q", onDisk, want)
	}
	stored, err := p.conn.StoredAs(t.Context(), p.remote("blanks/trail "))
	if stored != want || errors.Is(err, ftpclient.ErrNameChanged) != (want != "trail ") || (err != nil) != (want != "trail ") {
		t.Errorf("stored as %q, %v; want %q", stored, err, want)
	}
	err = p.conn.KeepsName(t.Context(), p.remote("blanks"), "another ")
	if errors.Is(err, ftpclient.ErrNameChanged) != (want != "trail ") || (p.conn.Facts().ChangesName("x ") != "") != (want != "trail ") {
		t.Errorf("trying it told %v, and %q was learned", err, p.conn.Facts().OddNames)
	}
	if got, _ := p.retrieve(t, "blanks/"+stored, 0); string(got) != "x" {
		t.Errorf("%q came back", got)
	}
}

func unsendableNames(t *testing.T, p *place) {
	for _, name := range []string{"a\rb", "a\nb", "a\r\nDELE file.bin", "a\x00b"} {
		_, storing := p.conn.Store(t.Context(), p.remote(name), 0)
		_, asking := p.conn.Stat(t.Context(), p.remote(name))
		making := p.conn.MakeDirs(t.Context(), p.remote(name))
		renaming := p.conn.Rename(t.Context(), p.remote("file.bin"), p.remote(name))
		for i, err := range []error{storing, asking, making, renaming} {
			if !errors.Is(err, ftpclient.ErrUnsendable) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q, %d: %v", name, i, err)
			}
		}
	}
	if size, err := p.conn.Size(t.Context(), p.remote("file.bin")); err != nil || size != 300_000 {
		t.Errorf("afterwards: %d, %v", size, err)
	}
}

func longPaths(t *testing.T, p *place) {
	short := p.again(t, limit(64))
	defer short.conn.Close()
	deep := strings.Repeat("folder-of-24-characters/", 6) + "-deepest"
	if err := short.conn.MakeDirs(t.Context(), p.remote(deep)); err != nil {
		t.Fatal(err)
	}
	short.store(t, deep+"/file", []byte("12345"))
	if got := p.onDisk(t, deep+"/file"); string(got) != "12345" {
		t.Errorf("on disk: %q", got)
	}
	if entry, err := short.conn.Stat(t.Context(), p.remote(deep+"/file")); err != nil || entry.Size != 5 {
		t.Errorf("stat: %+v, %v", entry, err)
	}
	if err := short.conn.Rename(t.Context(), p.remote(deep+"/file"), p.remote(deep+"/-file")); err != nil {
		t.Error(err)
	}
	if got, _ := short.retrieve(t, deep+"/-file", 0); string(got) != "12345" {
		t.Errorf("%q came back", got)
	}
	if l, err := short.conn.List(t.Context(), p.remote(deep)); err != nil || !slices.Equal(namesOf(l), []string{"-file"}) {
		t.Errorf("%+v, %v", l, err)
	}
	_, err := short.conn.Store(t.Context(), p.remote(strings.Repeat("n", 70)), 0)
	if !errors.Is(err, ftpclient.ErrUnsendable) {
		t.Errorf("a name that is too long itself: %v", err)
	}
}
