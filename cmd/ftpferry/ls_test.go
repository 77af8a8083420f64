package main

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/manual"
)

func TestLinesOfLs(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 2, 29, 13, 14, 15, 0, time.UTC)
	for _, row := range []struct {
		name string
		item manual.Item
		want string
	}{
		{"a file", manual.Item{Path: "/d/a", Kind: "file", Size: 12, Modified: at, Precision: 1, Mode: "0644"}, "-rw-r--r-- 12 2024-02-29 13:14:15Z a"},
		{"a folder with all bits", manual.Item{Path: "/d/b", Kind: "dir", Size: -1, Modified: at, Precision: 60, Mode: "7754"}, "drwsr-sr-T - 2024-02-29 13:14Z b"},
		{"a link", manual.Item{Path: "/d/c", Kind: "link", Size: 3, Target: "x\ny"}, `l????????? 3 - c -> "x\ny"`},
		{"a time in a zone that nobody knows", manual.Item{Path: "/d/d", Kind: "file", Size: 1, Modified: at, Precision: 60, ZoneUnknown: true}, "-????????? 1 2024-02-29 13:14? d"},
		{"a day", manual.Item{Path: "/d/e", Kind: "other", Size: 1, Modified: at, Precision: 24 * 60 * 60}, "?????????? 1 2024-02-29Z e"},
		{"a name that moves the cursor", manual.Item{Path: "/d/\x1b[2J", Kind: "file", Size: 0}, `-????????? 0 - "\x1b[2J"`},
	} {
		var out bytes.Buffer
		block := bufio.NewWriter(&out)
		if err := new(program).printFolder(block, manual.Folder{Path: "/d", Items: []manual.Item{row.item}}, listing{long: true}, false); err != nil {
			t.Fatal(err)
		}
		block.Flush()
		if got := strings.Join(strings.Fields(out.String()), " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestWhatAListingDoesNotShowIsSaid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		folder manual.Folder
		want   manual.Verdict
		says   string
	}{
		{"all is there", manual.Folder{Path: "/d"}, manual.Done, ""},
		{"lines that nobody can read", manual.Folder{Path: "/d", Incomplete: "2 lines", Unparsed: []string{"\x1b[2J", "b"}}, manual.NeedsPerson, `cannot be read: "\x1b[2J"`},
		{"a folder that would not be listed", manual.Folder{Path: "/d", Err: errors.New("no\x07")}, manual.NeedsPerson, "acme:/d: no \n"},
	} {
		var told bytes.Buffer
		if got := (&program{stderr: &told}).complain("acme", row.folder); got != row.want || !strings.Contains(told.String(), row.says) || (row.says == "") != (told.Len() == 0) {
			t.Errorf("%s: %d: %q", row.name, got, &told)
		}
	}
}
