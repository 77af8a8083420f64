package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOnlyUnchangedPagesOfTheProgramAreGivenBack: any others would come back as something else.
func TestOnlyUnchangedPagesOfTheProgramAreGivenBack(t *testing.T) {
	mapping := func(head, anonymous string) string {
		return head + "\nSize: 8 kB\nRss:                   8 kB\nAnonymous:             " + anonymous + " kB\nVmFlags: rd mr mw\n"
	}
	for _, test := range []struct{ name, text string }{
		{"another file", mapping("1000-2000 r-xp 00000000 fe:00 1 /usr/lib/libc.so", "0")},
		{"no file", mapping("1000-2000 rw-p 00000000 00:00 0 ", "8")},
		{"the heap", mapping("1000-2000 rw-p 00000000 00:00 0 [heap]", "8")},
		{"written to once, as by whoever moves a program to its place", mapping("1000-2000 r--p 00000000 fe:00 1 /bin/ftpferry", "4")},
		{"to be written to", mapping("1000-2000 rw-p 00000000 fe:00 1 /bin/ftpferry", "0")},
		{"shared with others", mapping("1000-2000 r--s 00000000 fe:00 1 /bin/ftpferry", "0")},
		{"a file that was deleted", mapping("1000-2000 r-xp 00000000 fe:00 1 /bin/ftpferry (deleted)", "0")},
		{"cut short", "1000-2000 r-xp 00000000 fe:00 1 /bin/ftpferry\nSize: 8 kB\n"},
		{"of an odd form", mapping("zz r-xp 00000000 fe:00 1 /bin/ftpferry", "0")},
	} {
		if got := unchangedMaps(strings.NewReader(test.text), "/bin/ftpferry"); got != nil {
			t.Errorf("%s: %x", test.name, got)
		}
	}
	text := mapping("400000-e7d000 r-xp 00000000 fe:00 1 /bin/ftpferry", "0") + mapping("e7d000-1984000 r--p 00a7d000 fe:00 1 /bin/ftpferry", "0") +
		mapping("1984000-1b14000 rw-p 01584000 fe:00 1 /bin/ftpferry", "400")
	want := []addresses{{0x400000, 0xe7d000}, {0xe7d000, 0x1984000}}
	if diff := cmp.Diff(want, unchangedMaps(strings.NewReader(text), "/bin/ftpferry"), cmp.AllowUnexported(addresses{})); diff != "" {
		t.Error(diff)
	}
}

// TestTheBeginningIsForgotten, and the program goes on.
func TestTheBeginningIsForgotten(t *testing.T) {
	before := residentOfFiles(t)
	forgetBeginning()
	after := residentOfFiles(t)
	if t.Logf("%d kB, then %d", before, after); after >= before {
		t.Errorf("as much of files is in memory as before: %d kB, then %d", before, after)
	}
}

// residentOfFiles is what of files is in the memory of this process, in kB.
func residentOfFiles(t *testing.T) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			if kilobytes, err = strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB")); err != nil {
				t.Fatal(err)
			}
			return kilobytes
		}
	}
	t.Fatal("the system does not tell")
	return 0
}
