package list

import (
	"io/fs"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for machines without a database of zones

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// dialect is a line in the form of some server, and what it says.
type dialect struct {
	sentence string
	line     string
	want     Entry
}

const mode fs.FileMode = 0o644

var (
	file  = Entry{Name: "a b", Type: File, Size: 531, Mode: mode, HasMode: true}
	dir   = Entry{Name: "a b", Type: Dir, Size: 512, Mode: 0o755, HasMode: true}
	other = change(file, func(e *Entry) { e.Type, e.Size = Other, -1 })
)

const recent, old = "2024-01-31 12:00:00", "2023-01-31"

func minute(e Entry, date string) Entry {
	e.ModTime, e.Precision = at(date), time.Minute
	return e
}

func day(e Entry, date string) Entry {
	e.ModTime, e.Precision = at(date+" 00:00:00"), Day
	return e
}

func change(e Entry, f func(*Entry)) Entry { f(&e); return e }

func size(n int64) Entry { return change(file, func(e *Entry) { e.Size = n }) }

func checkDialects(t *testing.T, tests []dialect) {
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte(test.line+"\r\n"), Options{Now: now})
			if diff := cmp.Diff(Listing{Entries: []Entry{test.want}, Format: "unix"}, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", test.line, diff)
			}
		})
	}
}

func TestColumnsOfUnixDialects(t *testing.T) {
	checkDialects(t, []dialect{
		{"nothing but the size", "-rw-r--r-- 531 Jan 31 12:00 a b", minute(file, recent)},
		{"links and no owner", "-rw-r--r-- 1 531 Jan 31 12:00 a b", minute(file, recent)},
		{"an owner and no links", "-rw-r--r-- root 531 Jan 31 12:00 a b", minute(file, recent)},
		{"numbers for owner and group", "-rw-r--r-- 1 500 501 531 Jan 31 12:00 a b", minute(file, recent)},
		{"a number for the owner and no group", "-rw-r--r-- 1 500 531 Jan 31 12:00 a b", minute(file, recent)},
		{"a size that could be a year", "-rw-r--r-- 1 500 500 2024 Jan 31 12:00 a b", minute(size(2024), recent)},
		{"a size that could be a day", "-rw-r--r-- 1 500 500 31 Jan 31 12:00 a b", minute(size(31), recent)},
		{"a size that could be a day before the day", "-rw-r--r-- 1 500 500 12 31 Jan 12:00 a b", minute(size(12), recent)},
		{"a group with many blanks", "-rw-r--r-- 1 ftp a group of 12 in the domain 7 531 Jan 31 12:00 a b", minute(file, recent)},
		{"columns with tabs between", "-rw-r--r--\t1\tftp\tftp\t531\tJan 31 12:00\ta b", minute(file, recent)},
		{"many links leave no blank", "drwxr-xr-x+1464 ftp ftp 512 Jan 31 12:00 a b", minute(dir, recent)},
		{"a long group leaves no blank before the size", "-rw-r--r-- 1 longowner longgroup531 Jan 31 12:00 a b", minute(file, recent)},
		{"inodes stand before", "  8391 -rw-r--r-- 1 ftp ftp 531 Jan 31 12:00 a b", minute(file, recent)},
		{"inodes and blocks stand before", "8391   4 -rw-r--r-- 1 ftp ftp 531 Jan 31 12:00 a b", minute(file, recent)},
		{"a blank stands before, as in answers to STAT", " -rw-r--r-- 1 ftp ftp 531 Jan 31 12:00 a b", minute(file, recent)},
		{"a directory with a slash behind", "drwxr-xr-x 1 ftp ftp 512 Jan 31 12:00 a b/", minute(dir, recent)},
		{"sizes above 2^53", "-rw-r--r-- 1 ftp ftp 9007199254740993 Jan 31 12:00 a b", minute(size(9007199254740993), recent)},
		{"a size above 2^63 is unknown", "-rw-r--r-- 1 ftp ftp 9223372036854775808 Jan 31 12:00 a b", minute(size(-1), recent)},
		{"a rounded size is unknown", "-rw-r--r-- 1 ftp ftp 33.5k Jan 31 12:00 a b", minute(size(-1), recent)},
		{"a rounded size with two letters is unknown", "-rw-r--r-- 1 ftp ftp 1.2GiB Jan 31 12:00 a b", minute(size(-1), recent)},
		{"a size with commas is unknown", "-rw-r--r-- 1 ftp ftp 1,234 Jan 31 12:00 a b", minute(size(-1), recent)},
		{"a size in hexadecimal is unknown", "-rw-r--r-- 1 ftp ftp 0x4d2 Jan 31 12:00 a b", minute(size(-1), recent)},
		{"a size with commas before a day with a dot", "-rw-r--r-- 1 ftp ftp 1.234 31. Jan 12:00 a b", minute(size(-1), recent)},
		{"a device with a blank", "crw-r--r-- 1 root kmem 0, 27 Jan 31 12:00 a b", minute(other, recent)},
		{"a device without a blank", "crw-r--r-- 1 root sys 109,767 Jan 31 12:00 a b", minute(other, recent)},
		{"a device in hexadecimal", "brw-r--r-- 1 root sys 0x2000002 Jan 31 12:00 a b", minute(other, recent)},
		{"a device before a day", "brw-r--r-- 1 root sys 8, 1 31 Jan 12:00 a b", minute(other, recent)},
		{"a door", "Drw-r--r-- 1 root root 0 Jan 31 12:00 a b", minute(other, recent)},
		{"a migrated file", "mrw-r--r-- 1 root root 531 Jan 31 12:00 a b", minute(other, recent)},
		{"a whiteout", "wrw-r--r-- 1 root root 531 Jan 31 12:00 a b", minute(other, recent)},
		{"one permission less, and none of them", "---------   1 owner    group         531 Jan 31 12:00 a b",
			minute(change(file, func(e *Entry) { e.Mode, e.HasMode = 0, false }), recent)},
		{"one permission less, and none of them, for a directory", "d--------   1 owner    group           512 Jan 31 12:00 a b",
			minute(change(dir, func(e *Entry) { e.Mode, e.HasMode = 0, false }), recent)},
		{"the mode and the time as numbers", "0100644   500  101   531    123456789       a b",
			change(file, func(e *Entry) { e.ModTime, e.Precision = at("1973-11-29 21:33:09"), time.Second })},
		{"a directory as numbers", "040755 500 101 512 123456789 a b",
			change(dir, func(e *Entry) { e.ModTime, e.Precision = at("1973-11-29 21:33:09"), time.Second })},
		{"a batch of a mailbox", "-C--E-----FTP B BCC3I1       7670      531 Jan 31 12:00 a b",
			minute(change(file, func(e *Entry) { e.Mode, e.HasMode = 0, false }), recent)},
		{"what the server could not look at", "-????????? ? ?        ?               ?            ? a b", Entry{Name: "a b", Type: File, Size: -1}},
		{"a directory that the server could not look at", "d????????? ? ? ? ?            ? a b", Entry{Name: "a b", Type: Dir, Size: -1}},
		{"a link that the server could not look at", "l????????? ? ? ? ?            ?  a -> b", Entry{Name: " a -> b", Type: Link, Size: -1}},
		{"nothing is known but the name", "?????????? ? ? ? ?            ? a b", Entry{Name: "a b", Type: Other, Size: -1}},
		{"no date at all", "-rw-r--r-- 3 ftp ftp 531 a-b", change(file, func(e *Entry) { e.Name = "a-b" })},
	})
}

func TestDatesOfUnixDialects(t *testing.T) {
	checkDialects(t, []dialect{
		{"the end of a day", "-rw-r--r-- 1 ftp ftp 531 Jan 30 24:00 a b", minute(file, "2024-01-31 00:00:00")},
		{"one digit for the hour", "-rw-r--r-- 1 ftp ftp 531 Jan 31 9:05 a b", minute(file, "2024-01-31 09:05:00")},
		{"a full month", "-rw-r--r-- 1 ftp ftp 531 January 31 12:00 a b", minute(file, recent)},
		{"the day first", "-rw-r--r-- 1 ftp ftp 531 31 Jan 12:00 a b", minute(file, recent)},
		{"the day first, with a dot and a comma", "-rw-r--r-- 1 ftp ftp 531 31. Januar, 12:00 a b", minute(file, recent)},
		{"the day first, with a year", "-rw-r--r-- 1 ftp ftp 531 31 jan 2023 a b", day(file, old)},
		{"many blanks in the date", "-rw-r--r-- 1 ftp ftp 531 31.   Jan.  2023 a b", day(file, old)},
		{"the month as a number", "-rw-r--r-- 1 ftp ftp 531 1 31 12:00 a b", minute(file, recent)},
		{"a month and a day with a dash", "-rw-r--r-- 1 ftp ftp 531 01-31 12:00 a b", minute(file, recent)},
		{"a day and a month with a dash", "-rw-r--r-- 1 ftp ftp 531 31-01 12:00 a b", minute(file, recent)},
		{"a month and a day with a dash, and a year", "-rw-r--r-- 1 ftp ftp 531 01-31 2023 a b", day(file, old)},
		{"as ctime writes it", "-rw-r--r-- 1 ftp ftp 531 Wed Jan 31 12:00:00 2024 a b", change(minute(file, recent), func(e *Entry) { e.Precision = time.Second })},
		{"as ctime writes it, without seconds", "-rw-r--r-- 1 ftp ftp 531 Wed Jan 31 12:00 2024 a b", minute(file, recent)},
		{"a weekday before a time of this year", "-rw-r--r-- 1 ftp ftp 531 Wed Jan 31 12:00 a b", minute(file, recent)},
		{"a group called as a weekday", "-rw-r--r-- 1 ftp Sun 531 Jan 31 12:00 a b", minute(file, recent)},
		{"ISO 8601", "-rw-r--r-- 1 ftp ftp 531 2024-01-31T12:00 a b", minute(file, recent)},
		{"ISO 8601 in UTC", "-rw-r--r-- 1 ftp ftp 531 2024-01-31T12:00:00Z a b", change(minute(file, recent), func(e *Entry) { e.Precision = time.Second })},
		{"two digits of the year, the only number that can be it", "-rw-r--r-- 1 ftp ftp 531 01/31/24 12:00 a b", minute(file, recent)},
		{"two digits of the year, which could be another number", "-rw-r--r-- 1 ftp ftp 531 01-12-24 12:00 a b", file},
		{"slashes", "-rw-r--r-- 1 ftp ftp 531 2024/01/31 12:00 a b", minute(file, recent)},
		{"the day first in numbers", "-rw-r--r-- 1 ftp ftp 531 31-01-2024 12:00 a b", minute(file, recent)},
		{"the day first with dots", "-rw-r--r-- 1 ftp ftp 531 05.01.2024 12:00 a b", minute(file, "2024-01-05 12:00:00")},
		{"two digits for the year, with dots", "-rw-r--r-- 1 ftp ftp 531 31.01.24 12:00 a b", minute(file, recent)},
		{"a date that could be two is unknown", "-rw-r--r-- 1 ftp ftp 531 02-01-2024 12:00 a b", file},
		{"a year alone before the month", "-rw-r--r-- 1 ftp ftp 531 2023 jan 31 a b", day(file, old)},
		{"a date without a time", "-rw-r--r-- 1 ftp ftp 531 2023-01-31 a b", day(file, old)},
		{"a date that is padded", "-rw-r--r-- 1 ftp ftp 531 2023.01.31   a b", day(file, old)},
		{"dashes and the name of the month", "-rw-r--r-- 1 ftp ftp 531 31-jan-23 a b", day(file, old)},
		{"the last century", "-rw-r--r-- 1 ftp ftp 531 31-Jan-99 12:00 a b", minute(file, "1999-01-31 12:00:00")},
		{"a year and a time", "-rw-r--r-- 1 ftp ftp 531 Jan 31, 2024 12:00 a b", minute(file, recent)},
		{"a year and a time without a comma", "-rw-r--r-- 1 ftp ftp 531 Jan 31 2024 12:00 a b", minute(file, recent)},
		{"a time is part of the name behind a year of full width", "-rw-r--r-- 1 ftp ftp 531 Jan 31  2023 12:00 b",
			day(change(file, func(e *Entry) { e.Name = "12:00 b" }), old)},
		{"a year is part of the name behind a time", "-rw-r--r-- 1 ftp ftp 531 31 Jan 12:00 2023 b",
			minute(change(file, func(e *Entry) { e.Name = "2023 b" }), recent)},
		{"the year is padded behind", "-rw-r--r-- 1 ftp ftp 531 Jan 31 2023  a b", day(file, old)},
		{"the year is padded before", "-rw-r--r-- 1 ftp ftp 531 Jan 31  2023  a b",
			day(change(file, func(e *Entry) { e.Name = " a b" }), old)},
		{"seconds", "-rw-r--r-- 1 ftp ftp 531 Jan 31 12:00:05 a b",
			change(file, func(e *Entry) { e.ModTime, e.Precision = at("2024-01-31 12:00:05"), time.Second })},
		{"seconds and a year", "-rw-r--r-- 1 ftp ftp 531 Jan 31 12:00:05 2023 a b",
			change(file, func(e *Entry) { e.ModTime, e.Precision = at("2023-01-31 12:00:05"), time.Second })},
		{"a zone", "-rw-r--r-- 1 ftp ftp 531 2024-01-31 12:00:05 +0530 a b",
			change(file, func(e *Entry) { e.ModTime, e.Precision = at("2024-01-31 06:30:05"), time.Second })},
		{"a zone behind UTC and a fraction", "-rw-r--r-- 1 ftp ftp 531 2024-01-31 12:00:05.250 -0800 a b",
			change(file, func(e *Entry) {
				e.ModTime, e.Precision = at("2024-01-31 20:00:05").Add(250*time.Millisecond), time.Millisecond
			})},
		{"without seconds a zone is part of the name", "-rw-r--r-- 1 ftp ftp 531 2024-01-31 12:00 +0530 b",
			minute(change(file, func(e *Entry) { e.Name = "+0530 b" }), recent)},
		{"Chinese with a year", "-rw-r--r-- 1 ftp ftp 531 2023年1月31日 a b", day(file, old)},
		{"Chinese with a year and a time", "-rw-r--r-- 1 ftp ftp 531 2024年1月31日 12:00 a b", minute(file, recent)},
		{"Chinese without a day sign", "-rw-r--r-- 1 ftp ftp 531 1月 31 12:00 a b", minute(file, recent)},
		{"Chinese in one word", "-rw-r--r-- 1 ftp ftp 531 1月31日 12:00 a b", minute(file, recent)},
		{"Japanese with the year behind", "-rw-r--r-- 1 ftp ftp 531 1月 31日 2023年 a b", day(file, old)},
		{"Korean with the year before", "-rw-r--r-- 1 ftp ftp 531 2023년  1월 31일 a b", day(file, old)},
		{"an unknown sign behind the month", "-rw-r--r-- 1 ftp ftp 531 1\xed 31 12:00 a b", minute(file, recent)},
		{"an unknown sign behind the month and a year", "-rw-r--r-- 1 ftp ftp 531 2023   1\xed\xef 31 a b", day(file, old)},
		{"Shift-JIS with the year behind", "-rw-r--r-- 1 ftp ftp 531  1\x8c\x8e 31\x93\xfa 2023\x94\x4e a b", day(file, old)},
	})
}

func TestUnixLinesThatWouldHaveAWrongName(t *testing.T) {
	for _, line := range []string{
		"-rw-r--r-- 1 ftp ftp 531 Foo 31 12:00 copy 5 Jan 31 12:00 b", // the date is unknown, and the name has one
		"-rw-r--r-- 1 ftp ftp 531 Jan",
		"-rw-r--r-- 1 ftp ftp 531 Ja",
		"-rw-r--r-- 1 ftp ftp 531 2024-01",
		"-rw-r--r-- 1 ftp ftp 531 Foo 31 12:00 a",
		"-rw-r--r-- 1 ftp ftp Jan 31 12:00 a",
		"crw-r--r-- 1 ftp ftp 8 null",
		"drwxr-xr-x 1 ftp ftp 512 Jan 31 12:00 /",
		"drwxr-xr-x 1 ftp ftp 512 Jan 31 12:00 a//",
		"-rw-r--r-- 1 ftp ftp 512 Jan 31 12:00 a/",
		"0100644 500 101 531 a b",
		"0100688 500 101 531 123456789 a b",
		"100644 500 101 531 123456789 a b",
		"-rw-r--q-- 1 ftp ftp 531 Jan 31 12:00 a",
		"-C--E-----ftp B BCC3I1 7670 531 Jan 31 12:00 a",
		"-rw-r--r-- 1 ftp 99 4096 Jan 31 30:01 a", // what was the size is no year
		"-rw-r--r-- 1 ftp 99 4096 Jan 31 23:ab a",
		"-rw-r--r-- 1 ftp 99 4096 Jan 31 noon a",
		"-rw-r--r-- 1 ftp ftp 531 40/41/42 12:00 a",
		"-????????? ? ? ? ? a",
		"-????????? ? ? ? ? 5 a",
		"-????????? ? ? ? ? ? a/b",
		"x????????? ? ? ? ? ? a",
		"-????????? ? ? ? ? ?",
		"month-in-fr;1 6/8 15-JUI-2002 PRONAS (RWED,RWED,RE,)",
		"-rw-r--r-- 1 ftp ftp 0x Jan 31 12:00 a",
		"-rw-r--r-- 1 ftp ftp 12k4 Jan 31 12:00 a",
		"-rw-r--r-- " + strings.Repeat("x ", 40) + "531 Jan 31 12:00 a",
		"- [R----F--] rhesus 214059 Oct 20 15:27 a",
		"---------- cut here ----------",
	} {
		t.Run(line, func(t *testing.T) {
			if got := Parse([]byte(line+"\r\n"), Options{Now: now, Format: "unix"}); len(got.Entries) != 0 || len(got.Unparsed) != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestEveryMonthNameIsOfOneMonthInEveryEncoding(t *testing.T) {
	seen := map[string]time.Month{}
	learn := func(t *testing.T, name string, month time.Month) {
		if other, ok := seen[name]; ok && other != month {
			t.Errorf("%+q is %v and %v", name, other, month)
		}
		seen[name] = month
		if got, ok := monthOf(name); !ok || got != month {
			t.Errorf("%+q reads as %v, want %v", name, got, month)
		}
	}
	for _, row := range monthNames {
		names := strings.Fields(row)
		if len(names) != 12 {
			t.Errorf("%d months in %q", len(names), row)
		}
		for i, name := range names {
			if name == "-" {
				continue
			}
			learn(t, name, time.Month(i+1))
			for _, old := range legacyEncodings {
				// Names that the encoding lacks cannot come from it.
				if text, err := old.NewEncoder().String(name); err == nil {
					learn(t, text, time.Month(i+1))
				}
			}
		}
	}
	for _, word := range []string{"", ".", "x", "Foo", "Jan31", strings.Repeat("янв", 20), "\xff\xff"} {
		if month, ok := monthOf(word); ok {
			t.Errorf("%+q is taken for %v", word, month)
		}
	}
}

func TestTotalsInAllLanguages(t *testing.T) {
	isSkipped := func(line string) bool {
		got := Parse([]byte(line+"\r\n"), Options{})
		return len(got.Entries) == 0 && len(got.Unparsed) == 0
	}
	for _, line := range []string{
		"insgesamt 12", "Gesamt 12", "итого 0", "всего 1", "总用量 12", "总计 12", "總計 4.0K", "合計 0", "합계 12", "razem 12", "celkem 12",
		"totalt 12", "totaal 12", "összesen 12", "yhteensä 12", "toplam 12", "σύνολο 12", "tổng 12", "total: 12", "ИТОГО 12",
	} {
		if !isSkipped(line) {
			t.Errorf("%q is not skipped", line)
		}
		for _, old := range oldEncodings(line) {
			if text, err := old.NewEncoder().String(line); err == nil && !isSkipped(text) {
				t.Errorf("%+q, which is %q in %v, is not skipped", text, line, old)
			}
		}
	}
	for _, line := range []string{"insgesamt", "insgesamt x", "12 insgesamt", "итог 12", "\xff\xff 12", "всего 12 файлов"} {
		if isSkipped(line) {
			t.Errorf("%q is skipped", line)
		}
	}
}

// oldEncodings are those of systems that would write a line in this language. Those of East Asia could write others.
func oldEncodings(line string) []encoding.Encoding {
	word, _, _ := strings.Cut(line, " ")
	switch word {
	case "合計":
		return []encoding.Encoding{japanese.ShiftJIS, japanese.EUCJP}
	case "總計", "總用量":
		return []encoding.Encoding{traditionalchinese.Big5}
	case "总计", "总用量":
		return []encoding.Encoding{simplifiedchinese.GBK}
	case "합계":
		return []encoding.Encoding{korean.EUCKR}
	}
	var result []encoding.Encoding
	for _, old := range legacyEncodings {
		result = append(result, old)
	}
	return result
}

func TestYearsAroundLeapDaysAndChangesOfTheClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ sentence, now, date, want string }{
		{"in winter", "2024-03-05 12:00:00", "Jan 31 12:00", "2024-01-31 11:00:00"},
		{"in summer", "2024-08-05 12:00:00", "Jul 31 12:00", "2024-07-31 10:00:00"},
		{"a summer seen in winter", "2024-03-05 12:00:00", "Jul 31 12:00", "2023-07-31 10:00:00"},
		{"the hour that is not there is moved", "2024-12-05 12:00:00", "Mar 31 02:30", "2024-03-31 01:30:00"},
		{"midnight of New Year in the zone", "2023-12-31 22:59:00", "Jan  1 00:00", "2023-12-31 23:00:00"},
		{"the last minute of the old year", "2024-01-01 00:00:00", "Dec 31 23:59", "2023-12-31 22:59:00"},
		{"a leap day at the end of a leap day", "2024-02-29 23:00:00", "Feb 29 23:59", "2024-02-29 22:59:00"},
		{"a leap day in the year after", "2025-02-28 12:00:00", "Feb 29 12:00", "2024-02-29 11:00:00"},
		{"a leap day in another order", "2025-02-28 12:00:00", "29. Feb 12:00", "2024-02-29 11:00:00"},
		{"the end of a day before a leap day", "2024-03-05 12:00:00", "Feb 28 24:00", "2024-02-28 23:00:00"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			got := Parse([]byte("-rw-r--r-- 1 ftp ftp 5 "+test.date+" name\r\n"), Options{Now: at(test.now), Location: berlin})
			if len(got.Entries) != 1 || !got.Entries[0].ModTime.Equal(at(test.want)) {
				t.Errorf("%+v, want %s", got, test.want)
			}
		})
	}
}
