package list

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(text string) time.Time {
	t, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestParseSortsLinesIntoEntriesAndUnparsed(t *testing.T) {
	const unix = "-rw-r--r-- 1 ftp ftp 5 Jan 31 12:00 "
	tests := []struct {
		sentence string
		text     string
		forced   string
		format   string
		names    []string
		unparsed []string
	}{
		{sentence: "an empty listing has no entries and no format"},
		{sentence: "an empty listing in a forced format has that format", forced: "unix", format: "unix"},
		{sentence: "blank lines say nothing", text: "\r\n\n \t \r\n"},
		{sentence: "totals say nothing", text: "total 0\r\ntotal 12\r\nTotal  4.0K\r\n"},
		{sentence: "what only begins like a total is unparsed",
			text: "total\ntotal x\ntotal 12 of 15\ntotal 4Q", unparsed: []string{"total", "total x", "total 12 of 15", "total 4Q"}},
		{sentence: "facts are read as MLSD", text: "type=file; a\r\ntype=dir; b\r\n", format: "mlsd", names: []string{"a", "b"}},
		{sentence: "permissions are read as a Unix listing", text: unix + "a\r\n" + unix + "b\r\n", format: "unix", names: []string{"a", "b"}},
		{sentence: "the last line may lack its line end", text: unix + "a\r\n" + unix + "b", format: "unix", names: []string{"a", "b"}},
		{sentence: "the first line that parses fixes the format, what came before stays unparsed",
			text: "hello\n" + unix + "a\ntype=file; b\n", format: "unix", names: []string{"a"}, unparsed: []string{"hello", "type=file; b"}},
		{sentence: "an entry for the directory itself fixes the format too",
			text: "type=cdir; .\n" + unix + "a\n", format: "mlsd", unparsed: []string{unix + "a"}},
		{sentence: "a line with an impossible name does not fix the format",
			text: "type=file; a/b\n" + unix + "a\n", format: "unix", names: []string{"a"}, unparsed: []string{"type=file; a/b"}},
		{sentence: "a forced format is the only one", text: "type=file; a\n" + unix + "b\n", forced: "unix",
			format: "unix", names: []string{"b"}, unparsed: []string{"type=file; a"}},
		{sentence: "in a format that does not exist nothing parses", text: unix + "a\n", forced: "morse",
			format: "morse", unparsed: []string{unix + "a"}},
		{sentence: "bytes that are no UTF-8 are kept", text: unix + "\xff\xfe\xe9\n", format: "unix", names: []string{"\xff\xfe\xe9"}},
		{sentence: "blanks at both ends of a name are kept", text: unix + "  a  \r\n", format: "unix", names: []string{"  a  "}},
		{sentence: "tabs and escape sequences in a name are kept", text: unix + "\ta\x1b[0m\r\n", format: "unix", names: []string{"\ta\x1b[0m"}},
		{sentence: "a carriage return within a line is not part of an entry", text: unix + "a\rb\r\n", unparsed: []string{unix + "a\rb"}},
		{sentence: "only one carriage return belongs to the line end", text: unix + "a\r\r\n", unparsed: []string{unix + "a\r"}},
		{sentence: "a name with NUL is refused", text: unix + "a\x00b\n", unparsed: []string{unix + "a\x00b"}},
		{sentence: "a slash leads out of the directory", text: unix + "/etc/passwd\n", unparsed: []string{unix + "/etc/passwd"}},
		{sentence: "dot and dot-dot are left out if they are directories",
			text: "type=dir; .\ntype=dir; ..\ntype=dir; ...\n", format: "mlsd", names: []string{"..."}},
		{sentence: "dot and dot-dot are refused as anything else",
			text:     "type=file; .\nlrwxrwxrwx 1 a b 1 Jan 31 12:00 .. -> x\nsize=3; ..\n",
			unparsed: []string{"type=file; .", "lrwxrwxrwx 1 a b 1 Jan 31 12:00 .. -> x", "size=3; .."}},
		{sentence: "a carriage return in the target of a link is refused as well",
			text: "lrwxrwxrwx 1 a b 1 Jan 31 12:00 x -> a\rb\n", unparsed: []string{"lrwxrwxrwx 1 a b 1 Jan 31 12:00 x -> a\rb"}},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte(test.text), Options{Now: now, Format: test.forced})
			var names []string
			for _, entry := range got.Entries {
				names = append(names, entry.Name)
			}
			if got.Format != test.format {
				t.Errorf("format %q, want %q", got.Format, test.format)
			}
			if diff := cmp.Diff(test.names, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.unparsed, got.Unparsed); diff != "" {
				t.Errorf("unparsed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimesOfUnixListings(t *testing.T) {
	// Zones without a database, which a bare machine may lack.
	west, east := time.FixedZone("west", -5*3600), time.FixedZone("east", 5*3600+45*60)
	tests := []struct {
		sentence  string
		now       string
		zone      *time.Location
		date      string
		want      string
		precision Precision
	}{
		{"a date of the current year", "2024-03-05 12:00:00", nil, "Jan 31 12:00", "2024-01-31 12:00:00", time.Minute},
		{"a date later than tomorrow is of last year", "2024-03-05 12:00:00", nil, "Mar  6 12:01", "2023-03-06 12:01:00", time.Minute},
		{"a date of tomorrow is of this year", "2024-03-05 12:00:00", nil, "Mar  6 12:00", "2024-03-06 12:00:00", time.Minute},
		{"in January a date of December is of last year", "2024-01-01 00:00:00", nil, "Dec 31 23:59", "2023-12-31 23:59:00", time.Minute},
		{"on New Year's Eve the next day is of next year", "2023-12-31 12:00:00", nil, "Jan  1 03:00", "2024-01-01 03:00:00", time.Minute},
		{"a leap day is of the last leap year", "2023-06-01 00:00:00", nil, "Feb 29 01:02", "2020-02-29 01:02:00", time.Minute},
		{"a leap day in a leap year before it is of four years ago", "2024-02-27 00:00:00", nil, "Feb 29 01:02", "2020-02-29 01:02:00", time.Minute},
		{"a leap day of tomorrow is of this year", "2024-02-28 12:00:00", nil, "Feb 29 01:02", "2024-02-29 01:02:00", time.Minute},
		{"a leap day after a century without one is of eight years ago", "2103-01-01 00:00:00", nil, "Feb 29 01:02", "2096-02-29 01:02:00", time.Minute},
		{"a zone behind UTC is added", "2024-03-05 12:00:00", west, "Jan 31 22:00", "2024-02-01 03:00:00", time.Minute},
		{"a zone ahead of UTC is taken off", "2024-03-05 12:00:00", east, "Jan 31 01:00", "2024-01-30 19:15:00", time.Minute},
		{"the year is that of the zone: east it has begun", "2023-12-30 20:00:00", east, "Jan  1 01:00", "2023-12-31 19:15:00", time.Minute},
		{"the year is that of the zone: west it has not", "2024-01-01 01:00:00", west, "Dec 31 19:30", "2024-01-01 00:30:00", time.Minute},
		{"a date with a year begins at midnight of the zone", "2024-03-05 12:00:00", west, "Jan 31  2023", "2023-01-31 05:00:00", Day},
		{"a date with a year may be in the future", "2024-03-05 12:00:00", nil, "Jan 31  2040", "2040-01-31 00:00:00", Day},
		{"ISO dates have the zone too", "2024-03-05 12:00:00", west, "2024-01-31 22:00", "2024-02-01 03:00:00", time.Minute},
		{"ISO dates with seconds are precise to the second", "2024-03-05 12:00:00", nil, "2024-01-31 22:00:09", "2024-01-31 22:00:09", time.Second},
		{"without a clock a date without a year is unknown", "", nil, "Jan 31 12:00", "", 0},
		{"without a clock a date with a year is known", "", nil, "Jan 31  2023", "2023-01-31 00:00:00", Day},
		{"the year 0 means unknown", "2024-03-05 12:00:00", nil, "Jan 31  0000", "", 0},
		{"the year 0 means unknown in ISO dates", "2024-03-05 12:00:00", nil, "0000-01-31 12:00", "", 0},
		{"the year 0 means unknown in dates with dots", "2024-03-05 12:00:00", nil, "31.01.0000 12:00", "", 0},
		{"the year 0 means unknown in numbers", "2024-03-05 12:00:00", nil, "13-01-0000 12:00", "", 0},
		{"the year 0 means unknown in words", "2024-03-05 12:00:00", nil, "31 Jan 0000", "", 0},
		{"the year 0 means unknown behind seconds", "2024-03-05 12:00:00", nil, "Jan 31 12:00:05 0000", "", 0},
		{"the year 0 means unknown with dashes", "2024-03-05 12:00:00", nil, "01-31 0000", "", 0},
		{"the year 0 means unknown in Chinese", "2024-03-05 12:00:00", nil, "0000年1月31日", "", 0},
		{"the beginning of the clock of Windows means unknown", "2024-03-05 12:00:00", nil, "1601-01-01 00:00", "", 0},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			options := Options{Location: test.zone}
			if test.now != "" {
				options.Now = at(test.now)
			}
			var want time.Time
			if test.want != "" {
				want = at(test.want)
			}
			got := Parse([]byte("-rw-r--r-- 1 ftp ftp 5 "+test.date+" name\r\n"), options)
			if len(got.Entries) != 1 {
				t.Fatalf("unparsed: %q", got.Unparsed)
			}
			entry := got.Entries[0]
			if !entry.ModTime.Equal(want) || entry.Precision != test.precision {
				t.Errorf("%v to %v, want %v to %v", entry.ModTime, entry.Precision, want, test.precision)
			}
			if entry.ModTime.Location() != time.UTC {
				t.Errorf("the time is in %v, want UTC", entry.ModTime.Location())
			}
		})
	}
}

func TestDatesThatAreNoneLeaveTheLineUnparsed(t *testing.T) {
	for _, date := range []string{
		"Jan 31 999", "Jan 31 20244", "Jan 0 12:00", "Jan 031 12:00", "Jan 31 12:5", "Jan 31 12:60", "Jan 31 12:", "Jan 31 :30",
		"Jan 31", "Jxn 31 12:00", "2024-02-30 12:00", "2024-13-01 12:00", "2024-01-31 12:00:61", "2024-01-31 12:00:5",
		"2024/01-31 12:00", "2024-01-31 24:01", "Jan 31 12:00:05.x", "31 Jan", "31. 13. 12:00", "13月 31 12:00", "1月 32 12:00",
		"20245年 1月 1日", "Thg 31 12:00", "12:00 31", "31-Jan-024", "31-Foo-24", "01-31", "01-31 999", "1.31 12:00",
	} {
		t.Run(date, func(t *testing.T) {
			got := Parse([]byte("-rw-r--r-- 1 ftp ftp 5 "+date+" name\n"), Options{Now: now})
			if len(got.Entries) != 0 || len(got.Unparsed) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestFactsOfOneLine(t *testing.T) {
	tests := []struct {
		sentence string
		line     string
		want     Entry
	}{
		{"all facts at once", "type=file;size=3;modify=20240131120000;perm=adfrw;unique=1U2;UNIX.mode=04755; a",
			Entry{Name: "a", Type: File, Size: 3, ModTime: at("2024-01-31 12:00:00"), Precision: time.Second,
				Mode: 0o755 | fs.ModeSetuid, HasMode: true, Unique: "1U2", Perm: "adfrw"}},
		{"the blank of an MLST reply is tolerated", " type=file; a", Entry{Name: "a", Type: File, Size: -1}},
		{"an MLST name may be a path", "type=dir; /pub/a b", Entry{Name: "/pub/a b", Type: Dir, Size: -1}},
		{"MLST of the working directory is a directory", "type=cdir; /pub", Entry{Name: "/pub", Type: Dir, Size: -1}},
		{"MLST of the parent is a directory", "type=pdir; ..", Entry{Name: "..", Type: Dir, Size: -1}},
		{"permissions as pyftpdlib writes them", "type=dir;unix.mode=0o750; a", Entry{Name: "a", Type: Dir, Size: -1, Mode: 0o750, HasMode: true}},
		{"names and values of facts have no case", "TYPE=Dir;Unix.Mode=1777; A", Entry{Name: "A", Type: Dir, Size: -1, Mode: 0o777 | fs.ModeSticky, HasMode: true}},
		{"the case of perm and unique is kept", "Perm=AdF;Unique=aB; a", Entry{Name: "a", Size: -1, Perm: "AdF", Unique: "aB"}},
		{"sizd is the size of a directory", "type=dir;sizd=4096; a", Entry{Name: "a", Type: Dir, Size: 4096}},
		{"size counts more than sizd", "sizd=4096;type=file;size=3; a", Entry{Name: "a", Type: File, Size: 3}},
		{"a size that does not fit is unknown", "type=file;size=9223372036854775808; a", Entry{Name: "a", Type: File, Size: -1}},
		{"milliseconds are kept", "modify=20240131120000.250; a",
			Entry{Name: "a", Size: -1, ModTime: at("2024-01-31 12:00:00").Add(250 * time.Millisecond), Precision: time.Millisecond}},
		{"what is below a nanosecond is cut off", "modify=20240131120000.1234567899; a",
			Entry{Name: "a", Size: -1, ModTime: at("2024-01-31 12:00:00").Add(123456789), Precision: time.Nanosecond}},
		{"a time with a wrong fraction is unknown", "modify=20240131120000.1x; a", Entry{Name: "a", Size: -1}},
		{"a time on a day that never was is unknown", "modify=20230229120000; a", Entry{Name: "a", Size: -1}},
		{"a time that is too short is unknown", "modify=202402291200; a", Entry{Name: "a", Size: -1}},
		{"a mode that is not octal is unknown", "UNIX.mode=rwx; a", Entry{Name: "a", Size: -1}},
		{"a mode with more digits than any mode has is unknown", "UNIX.mode=00000644; a", Entry{Name: "a", Size: -1}},
		{"a link has its target", "type=OS.unix=slink:/a b;size=3; c", Entry{Name: "c", Type: Link, Size: 3, Target: "/a b"}},
		{"a link may have no target", "type=OS.unix=symlink;size=3; c", Entry{Name: "c", Type: Link, Size: 3}},
		{"an unknown type is other", "type=unknown; a", Entry{Name: "a", Type: Other, Size: -1}},
		{"a device is other", "type=OS.unix=blkdev; a", Entry{Name: "a", Type: Other, Size: -1}},
		{"owners may have blanks", "UNIX.ownername=Domain Users;type=file; a; b", Entry{Name: "a; b", Type: File, Size: -1}},
		{"the name may look like facts", "type=file; type=dir; a", Entry{Name: "type=dir; a", Type: File, Size: -1}},
		{"the last semicolon may be missing", "type=file;size=3 a; b", Entry{Name: "a; b", Type: File, Size: 3}},
		{"the name may be a blank", "type=file;  ", Entry{Name: " ", Type: File, Size: -1}},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got, ok := ParseFacts(test.line)
			if !ok {
				t.Fatalf("%q is refused", test.line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", test.line, diff)
			}
		})
	}
}

func TestLinesThatAreNoFacts(t *testing.T) {
	tests := []struct{ sentence, line string }{
		{"nothing", ""},
		{"blanks", "   "},
		{"a name without facts", " a"},
		{"facts without a name", "type=file;"},
		{"an empty name", "type=file; "},
		{"the begin of a fact where the line was cut off", "type=file;si"},
		{"half a fact without its value", "type=file;UNIX.mo"},
		{"a semicolon in a name without a blank before it", "type=file;a;b"},
		{"a fact without a name", "=file; a"},
		{"a fact without a value", "type; a"},
		{"no fact of the standard", "x=y; a"},
		{"a carriage return", "type=file; a\r"},
		{"a line feed", "type=file; a\nb"},
		{"a NUL in a value", "type=file;unique=\x00; a"},
		{"a Unix line", "-rw-r--r-- 1 a=b; ftp 5 Jan 31 12:00 a"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			if got, ok := ParseFacts(test.line); ok {
				t.Errorf("%q is taken for %+v", test.line, got)
			}
		})
	}
}

func TestArrowsInLinks(t *testing.T) {
	tests := []struct{ sentence, size, rest, name, target string }{
		{"one arrow needs no size", "99", "a -> b", "a", "b"},
		{"blanks around the arrow belong to the names", "2", "a  ->  b", "a ", " b"},
		{"a target may be missing after the arrow", "0", "a -> ", "a", ""},
		{"without an arrow there is no target", "5", "a->b", "a->b", ""},
		{"the size of the target finds the arrow", "6", "a -> b -> c", "a", "b -> c"},
		{"the size finds the last arrow", "1", "a -> b -> c", "a -> b", "c"},
		{"arrows may share a blank", "1", "a -> -> b", "a ->", "b"},
		{"a target is counted in bytes", "2", "a -> b -> é", "a -> b", "é"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte("lrwxrwxrwx 1 ftp ftp "+test.size+" Jan 31 12:00 "+test.rest+"\n"), Options{Now: now})
			if len(got.Entries) != 1 || got.Entries[0].Name != test.name || got.Entries[0].Target != test.target {
				t.Errorf("got %+v, want %q to %q", got, test.name, test.target)
			}
		})
	}
	for _, size := range []string{"0", "3", "11", "9223372036854775807", "-1"} {
		t.Run("several arrows with a size of "+size+" that fits none are unparsed", func(t *testing.T) {
			got := Parse([]byte("lrwxrwxrwx 1 ftp ftp "+size+" Jan 31 12:00 a -> b -> c\n"), Options{Now: now})
			if len(got.Entries) != 0 || len(got.Unparsed) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestTypesHaveNames(t *testing.T) {
	var names []string
	for _, typ := range []Type{File, Dir, Link, Other, 99} {
		names = append(names, typ.String())
	}
	if got, want := strings.Join(names, " "), "file dir link other other"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
