package list

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseTime(t *testing.T) {
	noon := at("2024-01-31 12:00:00")
	tests := []struct {
		sentence  string
		text      string
		want      time.Time
		precision Precision
	}{
		{"whole seconds", "20240131120000", noon, time.Second},
		{"tenths", "20240131120000.2", noon.Add(200 * time.Millisecond), 100 * time.Millisecond},
		{"milliseconds", "20240131120000.250", noon.Add(250 * time.Millisecond), time.Millisecond},
		{"more digits than there are nanoseconds", "20240131120000.12345678987654321", noon.Add(123456789), time.Nanosecond},
		{"a dot without decimals", "20240131120000.", noon, time.Second},
		{"the zone that it has anyway", "20240131120000Z", noon, time.Second},
		{"blanks around", " 20240131120000 ", noon, time.Second},
		{"the year 2000 of a server that counts from 1900", "191000131120000", at("2000-01-31 12:00:00"), time.Second},
		{"the year 2024 of a server that counts from 1900", "191240131120000", noon, time.Second},
		{"a leap second", "20161231235960", at("2017-01-01 00:00:00"), time.Second},
		{"before the clock of Unix begins", "19681105165215", at("1968-11-05 16:52:15"), time.Second},
		{"the last second that fits", "99991231235959", at("9999-12-31 23:59:59"), time.Second},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got, precision, ok := ParseTime(test.text)
			if !ok || !got.Equal(test.want) || precision != test.precision {
				t.Errorf("%q is %v to %v (%v), want %v to %v", test.text, got, precision, ok, test.want, test.precision)
			}
		})
	}
	for _, text := range []string{
		"", ".", "0", "Z", "2024013112000", "2024013112000x", "20240131120000.x", "20240131120000.1 2", "20240230120000",
		"20241301120000", "20240131240000", "20240131126000", "20240131120061", "00000000000000", "16010101000000",
		"181240131120000", "2024-01-31 12:00:00", "1706702400", "-20240131120000", "+2024013112000", "99999999999999999999", "+20240131120000",
	} {
		if got, precision, ok := ParseTime(text); ok || !got.IsZero() || precision != 0 {
			t.Errorf("%q is %v to %v", text, got, precision)
		}
	}
}

func TestFactsOfServersWithTheirOwnIdeas(t *testing.T) {
	file := Entry{Name: "a b", Type: File, Size: 3}
	tests := []struct {
		sentence string
		line     string
		want     Entry
	}{
		{"no blank before the name", "type=file;size=3;a b", file},
		{"a directory with a slash behind", "type=dir; a b/", Entry{Name: "a b", Type: Dir, Size: -1}},
		{"a tab before the name", "type=file;size=3;\ta b", file},
		{"a tab in the name", "type=file;size=3; \ta b", Entry{Name: "\ta b", Type: File, Size: 3}},
		{"many blanks before the facts", "     type=file;size=3; a b", file},
		{"many blanks before the name belong to it", "type=file;size=3;   a b ", Entry{Name: "  a b ", Type: File, Size: 3}},
		{"no semicolon behind the last fact", "type=file;size=3 a b", file},
		{"all upper case", "TYPE=FILE;SIZE=3; a b", file},
		{"facts that only describe", "lang=de;charset=utf-8;media-type=text/plain;type=file;size=3; a b", file},
		{"nothing but facts that describe", "media-type=text/plain; a b", Entry{Name: "a b", Type: Other, Size: -1}},
		{"attributes of Windows", "type=file;Win32.ea=0x00000020;size=3; a b", file},
		{"a time when it was made", "create=20240131120000;type=file;size=3; a b", file},
		{"the last of two facts counts", "type=dir;size=7;type=file;size=3; a b", file},
		{"empty permissions", "perm=;type=file;size=3; a b", file},
		{"a time that nobody can read", "modify=yesterday;type=file;size=3; a b", file},
		{"a time in another form", "modify=2024-01-31T12:00:00;type=file;size=3; a b", file},
		{"a size that nobody can read", "type=file;size=3k; a b", Entry{Name: "a b", Type: File, Size: -1}},
		{"a size in hexadecimal", "type=file;size=0x3; a b", Entry{Name: "a b", Type: File, Size: -1}},
		{"a size below zero", "type=file;size=-3; a b", Entry{Name: "a b", Type: File, Size: -1}},
		{"a link to a path", "type=OS.unix=slink:/foo/bar;size=3; a b", Entry{Name: "a b", Type: Link, Size: 3, Target: "/foo/bar"}},
		{"a link to nowhere", "type=OS.unix=slink:;size=3; a b", Entry{Name: "a b", Type: Link, Size: 3}},
		{"a link without a colon", "type=OS.unix=slink;size=3; a b", Entry{Name: "a b", Type: Link, Size: 3}},
		{"a link of ProFTPD", "type=OS.UNIX=symlink;size=3; a b", Entry{Name: "a b", Type: Link, Size: 3}},
		{"a link to a target with a colon", "type=OS.unix=slink:c:/x;size=3; a b", Entry{Name: "a b", Type: Link, Size: 3, Target: "c:/x"}},
		{"a link to a target with a blank at the end of the facts", "type=OS.unix=slink:x y; a b", Entry{Name: "a b", Type: Link, Size: -1, Target: "x y"}},
		{"a character device", "type=OS.unix=chr-8/1;size=3; a b", Entry{Name: "a b", Type: Other, Size: 3}},
		{"a block device", "type=OS.unix=blk-11/108;size=3; a b", Entry{Name: "a b", Type: Other, Size: 3}},
		{"a type of another system", "type=OS.vms=version;size=3; a b", Entry{Name: "a b", Type: Other, Size: 3}},
		{"no mode", "type=file;size=3;UNIX.mode=00; a b", Entry{Name: "a b", Type: File, Size: 3, HasMode: true}},
		{"the size of a directory as Pure-FTPd calls it", "type=file;sizd=3; a b", file},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte(test.line+"\r\n"), Options{})
			if diff := cmp.Diff(Listing{Entries: []Entry{test.want}, Format: "mlsd"}, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", test.line, diff)
			}
		})
	}
}

func TestFactsThatWouldGiveAWrongName(t *testing.T) {
	for _, line := range []string{"type=file;size=12 ;modify=20240131120000; a", "type=dir; a//", "type=file; a/", "type=dir; /"} {
		if got := Parse([]byte(line+"\r\n"), Options{}); len(got.Entries) != 0 || len(got.Unparsed) != 1 {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestTheDirectoryItselfIsSkippedUnderAnyName(t *testing.T) {
	text := strings.Join([]string{
		"type=cdir; .", "Type=CDIR; /pub", "type=Cdir; a b", "TYPE=pdir; ..", "type=PDIR; /", "type=dir; .", "type=dir; ..",
	}, "\r\n")
	if got := Parse([]byte(text), Options{}); len(got.Entries) != 0 || len(got.Unparsed) != 0 || got.Format != "mlsd" {
		t.Errorf("got %+v", got)
	}
}
