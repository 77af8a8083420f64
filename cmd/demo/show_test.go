package main

import (
	"bytes"
	"log"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
)

func TestLines(t *testing.T) {
	for _, test := range []struct {
		name string
		a    agent.Activity
		want string
	}{
		{
			"the watcher saw something", agent.Activity{Kind: agent.ActivityTriggered, Path: "a.txt", Text: "watch"},
			"  watch    s/a.txt                             changed",
		},
		{
			"a trigger that names no path", agent.Activity{Kind: agent.ActivityTriggered, Text: "schedule @every 1m"},
			"  schedule s/                                  @every 1m asks for a look at everything",
		},
		{
			"a look", agent.Activity{Kind: agent.ActivityScanned, Action: "look", Text: "1 paths looked at"},
			"  looked   s/                                  1 paths looked at",
		},
		{
			"a job", agent.Activity{Kind: agent.ActivityQueued, Path: "a", Action: "make_remote_dir", Text: "new"},
			"  queued   s/a                                 make remote dir: new",
		},
		{
			"an upload",
			agent.Activity{Kind: agent.ActivityDone, Path: "ä b", Action: "upload", Bytes: 1229, Took: 4 * time.Millisecond, Method: "EPSV", Verified: "size"},
			"  sent     s/ä b                               1.2 KiB in 4 ms over EPSV, size verified, renamed into place",
		},
		{
			"an upload that was not needed", agent.Activity{Kind: agent.ActivityDone, Path: "a", Action: "upload", Text: "was there already", Verified: "size and time"},
			"  same     s/a                                 was there already, size and time verified",
		},
		{
			"a download",
			agent.Activity{Kind: agent.ActivityDone, Path: "a", Action: "download", Bytes: 3 << 20, Took: 1500 * time.Millisecond, Method: "PASV", Verified: "size"},
			"  fetched  s/a                                 3.0 MiB in 1.5 s over PASV, size verified, renamed into place",
		},
		{
			"a folder", agent.Activity{Kind: agent.ActivityDone, Path: "a", Action: "make_local_dir"},
			"  made     s/a                                 folder in 1 ms",
		},
		{
			"a deletion that was not needed", agent.Activity{Kind: agent.ActivityDone, Path: "a", Action: "delete_remote", Text: "was gone already"},
			"  deleted  s/a                                 was gone already in 1 ms",
		},
		{
			"a sweep", agent.Activity{Kind: agent.ActivityDone, Path: ".a", Action: "sweep_remote"},
			"  done     s/.a                                sweep remote in 1 ms",
		},
		{
			"a guard", agent.Activity{Kind: agent.ActivityHalted, Text: "too many"},
			"  halted   s/                                  too many",
		},
		{
			"what a server says cannot play with the terminal", agent.Activity{Kind: agent.ActivityRetry, Server: "acme", Path: "a\x1b[2J", Text: "550 \r\x07no"},
			"  retry    \"s/a\\x1b[2J\"                        \"acme 550 \\r\\ano\"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.a.Sync = "s"
			what, how := wordsOf(test.a)
			if got := lineOf(what, how, test.a); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestTally(t *testing.T) {
	for want, did := range map[string]tally{
		"nothing to do":                   {"looked": 3, "bytes": 0},
		"1 deleted":                       {"deleted": 1},
		"2 made, 1 sent, 3 fetched, 10 B": {"sent": 1, "fetched": 3, "made": 2, "bytes": 10, "queued": 4},
	} {
		if got := did.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestColours(t *testing.T) {
	for want, has := range map[string]bool{"\x1b[1mtext\x1b[0m\ntext\n": true, "text\ntext\n": false} {
		var printed bytes.Buffer
		s := screen{log.New(&printed, "", 0), has}
		s.paint(bold, "text")
		s.paint("", "text")
		if printed.String() != want {
			t.Errorf("got %q, want %q", &printed, want)
		}
	}
}
