package list

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mayBeSkipped knows, by its own means, the lines that Parse may leave out.
func mayBeSkipped(line string) bool {
	lowered := strings.ToLower(strings.TrimSpace(line))
	words := strings.Fields(lowered)
	isTotal := len(words) == 2 && isDigit(words[1][0]) && len(words[0]) >= len("viso")
	return lowered == "" || isTotal || strings.Contains(lowered, "cdir") || strings.Contains(lowered, "pdir") ||
		// The slash of ls -F may stand behind the directory itself.
		strings.HasSuffix(strings.TrimSuffix(line, "/"), ".") && strings.ContainsAny(line, " \t;")
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
		if rest, ok := strings.CutSuffix(line, entry.Name); !ok || rest == "" || !strings.ContainsAny(rest[len(rest)-1:], " \t;") {
			t.Errorf("%+q is not the name in %+q", entry.Name, line)
		}
		if !strings.Contains(entry.Name, "/") {
			if listing := Parse([]byte(line), Options{Format: "mlsd"}); len(listing.Entries) == 1 && listing.Entries[0] != entry {
				t.Errorf("as a listing %+v, as a line %+v", listing.Entries[0], entry)
			}
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"20240131120000.123Z", "191000229120000", " 20161231235960 ", "99999999999999", "19000101000000."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, precision, ok := ParseTime(text)
		if got.IsZero() == ok || ok == (precision == 0) || precision < 0 || precision > time.Second {
			t.Fatalf("%q is %v to %v (%v)", text, got, precision, ok)
		}
		if !ok {
			return
		}
		if got.Location() != time.UTC || got.Year() < 1900 || got.Year() > 10000 {
			t.Errorf("%q is %v", text, got)
		}
		if again, _, ok := ParseTime(got.Format("20060102150405.999999999")); got.Year() < 10000 && (!ok || !again.Equal(got)) {
			t.Errorf("%q is %v, and that again is %v", text, got, again)
		}
	})
}

// FuzzFactsAsAServerWritesThem makes a line as the standard has it and expects to read what it was made from.
func FuzzFactsAsAServerWritesThem(f *testing.F) {
	f.Add("a b", uint8(1), int64(3), int64(1706702400), uint16(0o644), "1U2", "adfrw", "")
	f.Add(";", uint8(1), int64(3), int64(1706702400), uint16(0o644), "0", "0", "")
	f.Add(" ; = ", uint8(3), int64(-1), int64(0), uint16(0o4755), "", "", "/target with blanks")
	f.Fuzz(func(t *testing.T, name string, kind uint8, size, seconds int64, mode uint16, unique, perm, target string) {
		const farthest = 1 << 37 // seconds from 1970, before the year 10000
		want := Entry{Name: name, Type: Type(kind % 4), Size: max(size, -1), Mode: unixMode(int64(mode & 0o7777)), HasMode: true, Unique: unique, Perm: perm}
		if name == "" || !isClean(name) || strings.ContainsAny(unique+perm+target, "; \r\n\x00") || want.Type != Link && target != "" {
			return
		}
		want.Target = target
		types := [...]string{"OS.unix=fifo", "file", "dir", "OS.unix=slink:" + target}
		line := fmt.Sprintf("type=%s;unique=%s;perm=%s;UNIX.mode=%04o;", types[want.Type], unique, perm, mode&0o7777)
		if want.Size >= 0 {
			line += fmt.Sprintf("size=%d;", want.Size)
		}
		if at := time.Unix(seconds%farthest, 0).UTC(); at.Year() >= 1900 {
			want.ModTime, want.Precision = at, time.Second
			line += "modify=" + at.Format("20060102150405") + ";"
		}
		if got, ok := ParseFacts(line + " " + name); !ok || got != want {
			t.Errorf("%q is %+v (%v), want %+v", line, got, ok, want)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const count = 10_000
	for _, bench := range []struct{ name, line string }{
		{"mlsd", "modify=20240305115801;perm=adfrw;size=1234;type=file;unique=801U1E0B;UNIX.group=65534;" +
			"UNIX.groupname=nogroup;UNIX.mode=0644;UNIX.owner=106;UNIX.ownername=ftp; readme.txt\r\n"},
		{"unix", "-rw-r--r--   1 ftp      nogroup      1234 Jan 31 12:00 readme.txt\r\n"},
		{"unix of last year", "-rw-r--r--   1 ftp      nogroup      1234 Jan 31  2023 readme.txt\r\n"},
		{"german", "-rw-r--r--   1 ftp      nogroup      1234 31. Mär 12:00 readme.txt\r\n"},
		{"german in Latin-1", "-rw-r--r--   1 ftp      nogroup      1234 31. M\xe4r 12:00 readme.txt\r\n"},
		{"chinese", "-rw-r--r--   1 ftp      nogroup      1234 2023年 1月31日 readme.txt\r\n"},
		{"iso", "-rw-r--r--   1 ftp      nogroup      1234 2024-01-31 12:00 readme.txt\r\n"},
		{"unparsed", "-rw-r--r--   1 ftp      nogroup      1234 31. Foo 12:00 readme.txt\r\n"},
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
