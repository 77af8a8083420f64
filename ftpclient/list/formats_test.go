package list

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// goldenFormat tells the format of a listing of the corpus by the name of its file, up to the first '-' and behind
// "real-". The files that are named after a server with a Unix listing are in the format unix.
func goldenFormat(file string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".txt"), "real-"), "-")
	if only(name) == nil {
		return "unix"
	}
	return name
}

func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no listings in testdata: %v", err)
	}
	texts := make(map[string][]byte)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	}
	return texts
}

func TestEveryFormatHasAListingInTheCorpus(t *testing.T) {
	have := make(map[string]bool)
	for file, text := range corpus(t) {
		got := Parse(text, Options{Now: now})
		if want := goldenFormat(file); got.Format != want {
			t.Errorf("%s is read as %q, want %q", file, got.Format, want)
		}
		have[got.Format] = have[got.Format] || len(got.Entries) > 0
	}
	for _, f := range formats {
		if !have[f.name] {
			t.Errorf("no listing of testdata has entries in the format %q", f.name)
		}
		if (f.parse == nil) == (f.read == nil) {
			t.Errorf("the format %q needs one of parse and read", f.name)
		}
	}
}

// Each line alone, so that not only the first lines of the corpus are tried.
func TestNoLineOfOneFormatIsReadAsAnother(t *testing.T) {
	for file, text := range corpus(t) {
		for line := range strings.Lines(string(text)) {
			got := Parse([]byte(line), Options{Now: now})
			if want := goldenFormat(file); got.Format != "" && got.Format != want && !strings.Contains(line, "another format") {
				t.Errorf("%s: %q is read as %s: %+v", file, line, got.Format, got.Entries)
			}
		}
	}
}

func TestTheSystemIsOnlyAHint(t *testing.T) {
	systems := []string{"UNIX Type: L8", "Windows_NT", "VMS OpenVMS V8.4 on node X.", "MVS is the operating system of this server.",
		"OS/400 is the remote operating system. The TCP/IP version is \"V7R4M0\".", "NETWARE system type.", "MACOS Peter's Server",
		"VM/CMS", "z/VM Version 6", "OS/2", "NONSTOP", "TOPS20", "VxWorks", "unheard of"}
	for file, text := range corpus(t) {
		want := Parse(text, Options{Now: now})
		for _, system := range systems {
			if diff := cmp.Diff(want, Parse(text, Options{Now: now, System: system})); diff != "" {
				t.Errorf("%s differs if the system is %q (-without +with):\n%s", file, system, diff)
			}
		}
	}
	for _, test := range []struct{ system, first string }{{"", "mlsd"}, {"windows_nt", "dos"}, {"VMS V7", "vms"}, {"VM/CMS", "vm"}, {"MVS is", "mvs"}} {
		ordered := candidates(&Options{System: test.system})
		if ordered[0].name != test.first || len(ordered) != len(formats) {
			t.Errorf("with %q %s is first of %d, want %s of %d", test.system, ordered[0].name, len(ordered), test.first, len(formats))
		}
	}
}

func TestForcedFormatsReadWhatDetectionReads(t *testing.T) {
	for file, text := range corpus(t) {
		want := Parse(text, Options{Now: now})
		got := Parse(text, Options{Now: now, Format: want.Format})
		if diff := cmp.Diff(want.Entries, got.Entries); diff != "" {
			t.Errorf("%s differs if its format is forced (-detected +forced):\n%s", file, diff)
		}
	}
}

func TestLinesThatAreNoEntriesStayUnparsed(t *testing.T) {
	for _, line := range []string{
		"ls: x: Permission denied", "/bin/ls: cannot open directory '.': Permission denied", "Output truncated to 2000 matches",
		"226-Options: -l", "550 No files found.", "%RMS-E-FNF, file not found", "Error Tape drive", "Disk Not Mounted here", "hello", "HELLO",
		"*** ERROR", "*WARNING disk full", "   *PGM X", "12", "-", "d", "[", "<DIR>", "a;b", "1;2", "+", "\t", "'", "PS", "VSAM X",
		"Directory not found", "Directory of nothing", "Volume is full", "Total failure", "No such file", "1 2 3 4 5", "05/03/24", "05/03/24 10:00",
		"05/03/24 10:00 x", "05/03/24 10:00 12", "12 bytes - free", "Name Size TT", "JOB12345", "a JOB12345 done",
	} {
		if got := Parse([]byte(line+"\n"), Options{Now: now}); len(got.Entries) > 0 || got.Format != "" || len(got.Unparsed) == 0 && strings.TrimSpace(line) != "" {
			t.Errorf("%q is read as %+v", line, got)
		}
	}
}

func TestAnErrorTextBeforeAListingDoesNotHideIt(t *testing.T) {
	for file, text := range corpus(t) {
		want := Parse(text, Options{Now: now})
		got := Parse(append([]byte("ls: x: Permission denied\n"), text...), Options{Now: now})
		want.Unparsed = append([]string{"ls: x: Permission denied"}, want.Unparsed...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestLineEnds(t *testing.T) {
	const line = "-rw-r--r-- 1 ftp ftp 5 Jan 31 12:00 "
	for _, test := range []struct {
		sentence, text string
		names          []string
		unparsed       int
	}{
		{"CRLF", line + "a\r\n" + line + "b\r\n", []string{"a", "b"}, 0},
		{"LF", line + "a\n" + line + "b\n", []string{"a", "b"}, 0},
		{"CR alone, which no server sends", line + "a\r" + line + "b\r", nil, 1},
		{"none behind the last line", line + "a\r\n" + line + "b", []string{"a", "b"}, 0},
		{"the last one cut in two", line + "a\r\n" + line + "b\r", []string{"a", "b"}, 0},
		{"CR within the only line", line + "a\r" + line + "b", nil, 1},
		{"a byte order mark before", "\ufeff" + line + "a\r\n", []string{"a"}, 0},
		{"a byte order mark before a total", "\ufefftotal 4\r\n" + line + "a\r\n", []string{"a"}, 0},
		{"a byte order mark within", line + "\ufeffa\r\n", []string{"\ufeffa"}, 0},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte(test.text), Options{Now: now})
			var names []string
			for _, entry := range got.Entries {
				names = append(names, entry.Name)
			}
			if !slices.Equal(names, test.names) || len(got.Unparsed) != test.unparsed {
				t.Errorf("%q and %q", names, got.Unparsed)
			}
		})
	}
}

func TestDIRInOtherLanguages(t *testing.T) {
	for _, test := range []struct {
		sentence, text string
		want           []Entry
	}{
		{"Spanish", " El volumen de la unidad C no tiene etiqueta.\n El n\u00famero de serie del volumen es: 12AB-34CD\n\n" +
			" Directorio de C:\\ftp\n\n31/01/2024  01:05 p. m.    <DIR>          .\n31/01/2024  01:05 p. m.             1.234 a b\n" +
			"31/01/2024  12:05 a.\u00a0m.    <DIR>          c\n               1 archivos          1.234 bytes\n               2 dirs  9.999 bytes libres\n",
			[]Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00"), dosEntry("c", -1, "2024-01-31 00:05:00")}},
		{"German", " Datentr\u00e4ger in Laufwerk C: ist System\n Volumeseriennummer: 12AB-34CD\n\n Verzeichnis von C:\\ftp\n\n" +
			"31.01.2024  13:05             1.234 a b\n               1 Datei(en),          1.234 Bytes\n               0 Verzeichnis(se),  9.999 Bytes frei\n",
			[]Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00")}},
		{"French in an old encoding", " Le volume dans le lecteur C n'a pas de nom.\n Le num\x82ro de s\x82rie du volume est 12AB-34CD\n\n R\x82pertoire de C:\\ftp\n\n" +
			"31/01/2024  13:05             1\xff234 a b\n               1 fichier(s)            1\xff234 octets\n               0 R\x82p(s)   9\xff999\xff999 octets libres\n",
			[]Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00")}},
		{"Chinese", "2024/01/31  下午 01:05             1,234 a b\n2024/01/31  上午 12:05    <DIR>          c\n",
			[]Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00"), dosEntry("c", -1, "2024-01-31 00:05:00")}},
		{"Chinese in GBK", "2024/01/31  \xcf\xc2\xce\xe7 01:05             1,234 a b\n", []Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00")}},
		{"Korean", "2024-01-31  오후 01:05             1,234 a b\n", []Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00")}},
		{"Hungarian", "2024. 01. 31.  13:05             1234 a b\n", []Entry{dosEntry("a b", 1234, "2024-01-31 13:05:00")}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte(test.text), Options{Now: now})
			if diff := cmp.Diff(Listing{Entries: test.want, Format: "dos"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func dosEntry(name string, size int64, date string) Entry {
	entry := Entry{Name: name, Type: File, Size: size, ModTime: at(date), Precision: time.Minute}
	if size < 0 {
		entry.Type = Dir
	}
	return entry
}

func TestTextAroundDIRIsNotTakenForItsHead(t *testing.T) {
	const entry = "01/31/2024  01:05 PM             1,234 a\n"
	for _, line := range []string{
		" Access denied to A file", " A:", " a C:", " at 10:00 in D:x y", " a:\\b is c", " 12 errors", "               1 2 3", " the disk is full", "File Not Found", " 1234-5678 was lost",
		" 2 files of 3 skipped", "C:", "1234-ABCD",
	} {
		if got := Parse([]byte(entry+line+"\n"), Options{Now: now}); !slices.Equal(got.Unparsed, []string{line}) {
			t.Errorf("%q is lost: %+v", line, got)
		}
	}
	for _, text := range []string{" Der Pfad C:\\ftp ist weg", " Datenträger in Laufwerk C: ist weg", " Volumeseriennummer: 1234-ABCD"} {
		for _, after := range []string{"", "\n", "\n\n", "\nFile Not Found\n", "\n-rw-r--r-- 1 a b 5 Jan 31 12:00 a\n"} {
			if got := Parse([]byte(text+after), Options{Now: now}); len(got.Unparsed) == 0 || got.Unparsed[0] != text {
				t.Errorf("%q is lost: %+v", text+after, got)
			}
		}
	}
	// Before the format is known, a number of bytes says nothing: this is a name in a listing of OS/2.
	if got := Parse([]byte("  612      A       07-28-95   16:45  12 bytes\n"), Options{Now: now}); len(got.Entries) != 1 || got.Entries[0].Name != "12 bytes" {
		t.Errorf("%+v", got)
	}
}

func TestALetterBehindATimeIsAName(t *testing.T) {
	got := Parse([]byte("-[RWCEAFMS] server1 3166 Sept 14, 99 2:30 a\n-[RWCEAFMS] server1 3166 Sept 14, 99 2:30 pm p\n"), Options{Now: now})
	if len(got.Entries) != 2 || got.Entries[0].Name != "a" || got.Entries[1].Name != "p" {
		t.Errorf("%+v", got)
	}
}

func TestMonthsOfVMSInOtherLanguages(t *testing.T) {
	for date, want := range map[string]time.Time{
		"31-DEZ-2023": at("2023-12-31 12:00:00"), "31-M\xc4R-2023": at("2023-03-31 12:00:00"), "31-MÄR-2023": at("2023-03-31 12:00:00"),
		"28-FEV-2023": at("2023-02-28 12:00:00"), "31-XYZ-2023": {},
	} {
		got := Parse([]byte("A.TXT;1 1/3 "+date+" 12:00:00 [A]\n"), Options{Now: now})
		if len(got.Entries) != 1 || !got.Entries[0].ModTime.Equal(want) {
			t.Errorf("%q: %+v", date, got)
		}
	}
}

func TestALineThatIsCutIsUnparsed(t *testing.T) {
	for _, test := range []struct{ whole, cut string }{
		{"04-14-00  03:47PM                  589 readme.htm", "04-14-00  03:47PM                  589"},
		{"A.TXT;1  2/3  29-JAN-1996 03:33:12", "A.TXT;1  2/3  29-JA"},
		{"+r,s1,\tname", "+r,s1"},
		{"PEP              4019 04/03/24 18:58:16 *STMF      a.zip", "PEP              4019 04/03/24 18:5"},
		{"d [RWCEAFMS] jrd                    512 Jul 11 03:01 all", "d [RWCEAFMS] jrd                    512 Jul 1"},
		{`ALV 101 2522 27-Aug-02 13:57:10 155,106 "nnnn"`, "ALV 101 2522 27-Aug-02 13:57:10"},
	} {
		got := Parse([]byte(test.whole+"\r\n"+test.cut), Options{Now: now})
		if len(got.Entries) != 1 || !slices.Equal(got.Unparsed, []string{test.cut}) {
			t.Errorf("%q: %+v", test.cut, got)
		}
	}
}

func TestOrderOfDates(t *testing.T) {
	dos := func(dates ...string) string {
		var text strings.Builder
		for i, date := range dates {
			fmt.Fprintf(&text, "%s  10:00AM  1 f%d\n", date, i)
		}
		return text.String()
	}
	os400 := func(dates ...string) string {
		var text strings.Builder
		for i, date := range dates {
			fmt.Fprintf(&text, "PEP 1 %s 10:00:00 *STMF f%d\n", date, i)
		}
		return text.String()
	}
	for _, test := range []struct {
		sentence string
		text     string
		want     []string
	}{
		{"the month comes first where nothing decides", dos("03-04-24", "04/05/2023"), []string{"2024-03-04", "2023-04-05"}},
		{"the day comes first with dots", dos("03.04.23"), []string{"2023-04-03"}},
		{"a day that is no month decides for those after it", dos("31-01-24", "03-02-24"), []string{"2024-01-31", "2024-02-03"}},
		{"a day that is no month decides for those before it", dos("03-02-24", "31-01-24"), []string{"2024-02-03", "2024-01-31"}},
		{"dots give way to a day in the second place", dos("03.02.24", "01.31.24"), []string{"2024-03-02", "2024-01-31"}},
		{"where dates contradict each other each is read by itself", dos("03-02-24", "31-01-24", "01-31-24"), []string{"2024-03-02", "2024-01-31", "2024-01-31"}},
		{"a date with the year first tells nothing about the others", dos("2024-01-31", "03-02-24"), []string{"2024-01-31", "2024-03-02"}},
		{"a year of two digits is of the years 1970 to 2069", dos("01-01-69", "01-01-70"), []string{"2069-01-01", "1970-01-01"}},
		{"on OS/400 the month comes first where nothing decides", os400("01/02/24"), []string{"2024-01-02"}},
		{"a date in the future is of another order", os400("05/03/24"), []string{"2024-03-05"}},
		{"the year comes first if only that keeps dates together", os400("04/03/18", "04/03/24"), []string{"2004-03-18", "2004-03-24"}},
		{"the same day of several months does not put the year first", os400("01/01/24", "02/01/24"), []string{"2024-01-01", "2024-02-01"}},
		{"the year comes first if all else is in the future", os400("24/01/31"), []string{"2024-01-31"}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			var got []string
			for _, entry := range Parse([]byte(test.text), Options{Now: now}).Entries {
				got = append(got, entry.ModTime.Format(time.DateOnly))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimesAreInTheZoneOfTheServer(t *testing.T) {
	west := time.FixedZone("west", -5*3600)
	for _, test := range []struct{ line, want string }{
		{"02-14-24  11:47PM  1 a", "2024-02-15 04:47:00"},
		{"A.TXT;1  2  14-FEB-2024 23:47:01", "2024-02-15 04:47:01"},
		{"+m1707970021,r,\ta", "2024-02-15 04:07:01"},
	} {
		got := Parse([]byte(test.line), Options{Now: now, Location: west})
		if len(got.Entries) != 1 || got.Entries[0].ModTime != at(test.want) {
			t.Errorf("%q: %+v, want %s", test.line, got, test.want)
		}
	}
}

func TestListingsOfSeveralDirectoriesAreIncomplete(t *testing.T) {
	for _, text := range []string{
		"Directory A:[B]\nX.TXT;1 1 14-FEB-2024 23:47\nDirectory A:[B.C]\nX.TXT;1 1 14-FEB-2024 23:47\n",
		"PS:<A>\nX.TXT.1\nPS:<A.B>\nX.TXT.1\n",
	} {
		if got := Parse([]byte(text), Options{Now: now}); len(got.Unparsed) != 1 || len(got.Entries) != 1 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// heads knows, by its own means, the lines around the entries of all formats, and entries for what is known otherwise.
var heads = regexp.MustCompile(`(?i)^\s*(total |grand total|directory |volume|name |file name|file +code|size +date|owner +last|` +
	`jobname|no jobs|id |stepname|cputime|\d+ spool files|filename +filetype|-[- ]*--|value = |[\d.,'\x{a0}\x{202f}]+ +(file|dir)\(s\)|` +
	`\d+ bytes|[$\\]|\S+:\[.*\]|\S+:<.*>|[\[(].*\)$)|\*MEM |000000\.dir;`)

var foreignHeads = regexp.MustCompile(`(?i)^\s.*(\b[A-Z]:|[0-9a-f]{4}-[0-9a-f]{4}\s*$|vol[uy]m|wolumin|byte|octet|bajt|bájt|tavu|bayt|байт|字节|位元組|バイト|바이트)`)

// mayBeAround knows the lines that formats other than Unix and MLSD have around their entries.
func mayBeAround(line string) bool {
	return heads.MatchString(line) || foreignHeads.MatchString(line) || endsWithDots.MatchString(strings.ToLower(strings.TrimSpace(line)))
}

// endsWithDots knows the names of the directory itself and its parent, with what formats have around names.
var endsWithDots = regexp.MustCompile(`(^|[ \t\]/'])\.\.?('|/|\.dir;\d+.*|\.directory\.\d+.*|\s*<dir>.*)?$`)

// mayBeOne knows the formats in which several lines are one entry: that goes on, or has several versions.
func mayBeOne(format string) bool { return format == "vms" || format == "tops20" }

// hostile texts are made to be read again and again by a parser that looks back or ahead without bound.
func hostile(size int) map[string][]byte {
	texts := make(map[string][]byte)
	for _, part := range []string{
		"\n", " ", "\t", "1 ", "1/1/1 ", "-", "d [", "a;1\n", "a;1 [", ";", "[", "Jan 1 ", "A.B;1 1 1-JAN-2024\n", "PEP *FILE A\n",
		"PEP *MEM A/B\n", "+r,", "+", "'", "X 3390 2024/01/01 PS ", "1,111", "*", "01-01-24  01:01AM 1 a\n", "01/02/24 ", "-rw-r--r-- 1 ",
		" C:\\x a\n", " 1 1 bytes\n", "-????????? ? ? ? ? ? a\n", "2024. 01. 31. ",
	} {
		texts[fmt.Sprintf("%q", part)] = bytes.Repeat([]byte(part), size/len(part))
	}
	return texts
}

// A parser with quadratic work would take hours for this, one with unbounded memory would be seen.
func TestHostileTextIsReadInLinearTimeAndSpace(t *testing.T) {
	const size = 256 << 10
	for name, text := range hostile(size) {
		forced := []string{"", "vms", "os400", "dos", "mvs", "jes", "netware", "tops20", "eplf", "pds"}
		for _, format := range forced {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := Parse(text, Options{Now: now, Format: format})
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 300*size {
				t.Errorf("%s in the format %q takes %d bytes for %d", name, format, used, size)
			}
			if len(got.Entries)+len(got.Unparsed) > bytes.Count(text, []byte("\n"))+1 {
				t.Errorf("%s in the format %q: more entries than lines", name, format)
			}
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, text := range hostile(10 << 20) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(text, Options{Now: now})
			}
		})
	}
}

// Of each format the first listing of the corpus, without what is unparsed.
func BenchmarkFormats(b *testing.B) {
	texts := corpus(b)
	for _, f := range formats {
		file := filepath.Join("testdata", f.name+".txt")
		for other := range texts {
			if goldenFormat(other) == f.name && (texts[file] == nil || other < file && file != filepath.Join("testdata", f.name+".txt")) {
				file = other
			}
		}
		var clean strings.Builder
		unparsed := Parse(texts[file], Options{Now: now}).Unparsed
		for line := range strings.Lines(string(texts[file])) {
			if !slices.Contains(unparsed, strings.TrimSuffix(line, "\n")) {
				clean.WriteString(line)
			}
		}
		text := bytes.Repeat([]byte(clean.String()), 1+(1<<20)/(clean.Len()+1))
		b.Run(f.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if len(Parse(text, Options{Now: now}).Entries) == 0 {
					b.Fatal("no entries")
				}
			}
			b.ReportMetric(float64(bytes.Count(text, []byte("\n")))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
