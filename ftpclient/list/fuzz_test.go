package list

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mayBeSkipped knows, by its own means, the lines that Parse may leave out.
func mayBeSkipped(line string) bool {
	lowered := strings.ToLower(strings.TrimSpace(line))
	return lowered == "" || strings.HasPrefix(lowered, "total ") || strings.HasSuffix(line, " .") || strings.HasSuffix(line, " ..") ||
		strings.Contains(lowered, "cdir") || strings.Contains(lowered, "pdir")
}

func checkEntry(t *testing.T, entry Entry) {
	t.Helper()
	if entry.Name == "" || strings.ContainsAny(entry.Name+entry.Target, "\r\n\x00") {
		t.Errorf("bad name or target: %+q -> %+q", entry.Name, entry.Target)
	}
	if entry.Size < -1 || entry.Precision < 0 || entry.ModTime.IsZero() != (entry.Precision == 0) || entry.Type > Link {
		t.Errorf("bad values: %+v", entry)
	}
	if !entry.ModTime.IsZero() && entry.ModTime.Location() != time.UTC {
		t.Errorf("the time is not in UTC: %v", entry.ModTime)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		f.Fatalf("found no listings in testdata: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, now.Unix(), 0, "")
		f.Add(text, now.Unix(), -5*3600, goldenFormat(file))
	}
	f.Add([]byte("type=file; a\r\r\n\x00"), int64(0), 0, "mlsd")
	f.Fuzz(func(t *testing.T, text []byte, seconds int64, zone int, forced string) {
		const farthest = 1 << 36 // some two thousand years around 1970
		options := Options{Now: time.Unix(seconds%farthest, 0), Location: time.FixedZone("zone", zone%86400), Format: forced}
		got := Parse(text, options)
		needed, lines := 0, 0
		for line := range strings.SplitSeq(string(text), "\n") {
			lines++
			if line = strings.TrimSuffix(line, "\r"); !mayBeSkipped(line) && !mayBeAround(line) {
				needed++
			}
		}
		if mayBeOne(got.Format) {
			needed = min(needed, 1)
		}
		if count := len(got.Entries) + len(got.Unparsed); count < needed || count > lines {
			t.Errorf("%d entries and %d unparsed lines, want between %d and %d together", len(got.Entries), len(got.Unparsed), needed, lines)
		}
		for _, entry := range got.Entries {
			checkEntry(t, entry)
			if entry.Name == "." || entry.Name == ".." || strings.Contains(entry.Name, "/") {
				t.Errorf("the name %+q leads out of the directory", entry.Name)
			}
		}
		if len(got.Entries) > 0 && got.Format == "" {
			t.Error("entries without a format")
		}
	})
}

func FuzzParseFacts(f *testing.F) {
	for _, line := range []string{
		" type=file;size=3;modify=20240131120000.123;UNIX.mode=0644;unique=1U2;perm=adfrw; /pub/a; b=c",
		"type=OS.unix=slink:/a b;sizd=1; c", "type=cdir; ..", "x=y z;type=file a", "=", "type=file;", "  ",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		entry, ok := ParseFacts(line)
		if !ok {
			return
		}
		checkEntry(t, entry)
		if !strings.HasSuffix(line, " "+entry.Name) {
			t.Errorf("%+q is not the name in %+q", entry.Name, line)
		}
		if !strings.Contains(entry.Name, "/") {
			if listing := Parse([]byte(line), Options{Format: "mlsd"}); len(listing.Entries) == 1 && listing.Entries[0] != entry {
				t.Errorf("as a listing %+v, as a line %+v", listing.Entries[0], entry)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const count = 10_000
	for _, bench := range []struct{ name, line string }{
		{"mlsd", "modify=20240305115801;perm=adfrw;size=1234;type=file;unique=801U1E0B;UNIX.group=65534;" +
			"UNIX.groupname=nogroup;UNIX.mode=0644;UNIX.owner=106;UNIX.ownername=ftp; readme.txt\r\n"},
		{"unix", "-rw-r--r--   1 ftp      nogroup      1234 Jan 31 12:00 readme.txt\r\n"},
		{"unparsed", "-rw-r--r--   1 ftp      nogroup      1234 31. Januar 12:00 readme.txt\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			text := []byte(strings.Repeat(bench.line, count))
			options := Options{Now: now}
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if got := Parse(text, options); len(got.Entries)+len(got.Unparsed) != count {
					b.Fatalf("%d entries, %d unparsed", len(got.Entries), len(got.Unparsed))
				}
			}
			b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
