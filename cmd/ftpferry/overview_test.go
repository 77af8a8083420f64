package main

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// overviewText is what people are told.
func overviewText(o control.Overview, now time.Time, alone bool, show paint) string {
	var text strings.Builder
	out := bufio.NewWriter(&text)
	printOverview(&jobList{out: out, now: now, alone: alone, paint: show}, o)
	out.Flush()
	return text.String()
}

var overviewNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func anOverview() control.Overview {
	now := overviewNow
	paused := &control.Stop{By: control.StopPause, Reason: "connection refused\nmore of it", Until: now.Add(30 * time.Second)}
	return control.Overview{
		Version: "1.2.3", PID: 4711, Started: now.Add(-3 * time.Hour), StateBytes: 2 << 20,
		Syncs: []control.SyncStatus{
			{Sync: "web", Server: "acme", Direction: "up", State: control.StateWorking, Known: 12, LastScan: now.Add(-time.Hour * 3), LastSuccess: now.Add(-5 * time.Minute), Jobs: control.SyncJobs{Running: 2}},
			{Sync: "dark", Server: "down", Direction: "down", State: control.StopPause, Jobs: control.SyncJobs{Stop: paused}},
		},
		Servers: []control.ServerStatus{
			{Server: "acme", Address: "ftp.example.com:21", State: control.ServerUp, Connections: 3, Busy: 2, Limit: 4, Enough: 2, Data: "passive EPSV"},
			{Server: "down", Address: "127.0.0.1:21", State: control.ServerPaused, Reason: paused.Reason, Until: paused.Until, Limit: 4},
			{Server: "other", Address: "[::1]:21", State: control.ServerBlocked, Reason: "530 no\x1b[2J.", Limit: 1},
		},
		Transfers: []control.Transfer{
			{Sync: "web", Path: "big.iso", Direction: "up", Size: 4 << 30, Done: 1 << 30, Rate: 10 << 20, ETA: 308},
			{Sync: "web", Path: "a-name-that-is-too-long-for-the-rest-of-the-line\x1b", Direction: "down", Size: -1, Done: 5},
			{Sync: "web", Path: "z", Direction: "up", Size: 10, Done: 10, Rate: 3},
		},
	}
}

func TestAnOverviewForPeople(t *testing.T) {
	want := `ftpferry 1.2.3, process 4711, running for 3h; state file 2.0 MiB
web: working; to acme, 12 paths in step; looked at in full 3h ago
  last success 5m ago
  jobs: 2 running
  up        25%    1.0 GiB of 4.0 GiB      10.0 MiB/s   5m 8s left  big.iso
  down                 5 B of ?                 0 B/s            -
         "a-name-that-is-too-long-for-the-rest-of-the-line\x1b"
  up       100%       10 B of 10 B              3 B/s         ends  z
dark: server paused; from down, 0 paths in step; never looked at in full
  server paused: connection refused; next try in 30s
server acme: up; ftp.example.com:21; connections 3 of 4, 2 busy, 2 are
  enough; data by passive EPSV
server down: paused; 127.0.0.1:21; connections 0 of 4, 0 busy
  next try in 30s
server other: blocked; [::1]:21; connections 0 of 1, 0 busy
  530 no [2J
`
	got := overviewText(anOverview(), overviewNow, false, false)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range strings.Lines(got) {
		if widthOf(line) > screen {
			t.Errorf("%d columns: %s", widthOf(line), line)
		}
	}
	colored := overviewText(anOverview(), overviewNow, false, true)
	for _, part := range []string{"web: \x1b[36mworking\x1b[0m; to", "acme: \x1b[32mup\x1b[0m;", "down: \x1b[33mpaused\x1b[0m;", "other: \x1b[31mblocked\x1b[0m;"} {
		if !strings.Contains(colored, part) {
			t.Errorf("no %q in\n%q", part, colored)
		}
	}
	o := control.Overview{Servers: []control.ServerStatus{{Server: "acme", Address: "a:21", State: control.ServerIdle, Limit: 4, Data: "passive PASV"}}}
	want = "no agent is running; this is how things stood when one last did\nserver acme: not in use; a:21; data by passive PASV\n"
	if got := overviewText(o, overviewNow, true, false); got != want {
		t.Errorf("alone: %q", got)
	}
}

func TestATextIsRedrawn(t *testing.T) {
	for sentence, row := range map[string]struct {
		text          string
		columns, rows int
		want          string
	}{
		"it fits":               {"a\nb\n", 80, 24, "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"},
		"there are more lines":  {"a\nb\nc\nd\n", 80, 4, "\x1b[Ha\x1b[K\nb\x1b[K\n... 2 more lines\x1b[K\n\x1b[J"},
		"they just fit":         {"a\nb\nc\n", 80, 4, "\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J"},
		"a line is too wide":    {"aaaaa\nb\nc\nd\n", 4, 4, "\x1b[Haaaaa\x1b[K\n... 3 more lines\x1b[K\n\x1b[J"},
		"colors have no width":  {"\x1b[31mred\x1b[0m\nb\nc\n", 4, 4, "\x1b[H\x1b[31mred\x1b[0m\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J"},
		"nobody knows the size": {"a\n", 0, 0, "\x1b[Ha\x1b[K\n\x1b[J"},
	} {
		if got := redraw(row.text, row.columns, row.rows); got != row.want {
			t.Errorf("%s:\ngot  %q\nwant %q", sentence, got, row.want)
		}
	}
}

func TestTheIntervalOfAWatch(t *testing.T) {
	cfg := &config.Config{Syncs: map[string]*config.Sync{"1h": {}}}
	for sentence, row := range map[string]struct {
		text     string
		names    []string
		interval time.Duration
		left     int
	}{
		"the usual one":             {watchDefault, []string{"s"}, 2 * time.Second, 1},
		"behind =":                  {"5s", []string{"s"}, 5 * time.Second, 1},
		"behind a blank":            {watchDefault, []string{"500ms", "s"}, 500 * time.Millisecond, 1},
		"a sync with an odd name":   {watchDefault, []string{"1h"}, 2 * time.Second, 1},
		"nobody can read so fast":   {"1ms", nil, 0, 0},
		"that is no time":           {"often", nil, 0, 0},
		"a number without its unit": {"5", nil, 0, 0},
	} {
		interval, names, err := watchInterval(row.text, row.names, cfg)
		if interval != row.interval || len(names) != row.left || (err == nil) != (row.interval > 0) {
			t.Errorf("%s: %s, %q, %v", sentence, interval, names, err)
		}
	}
}

func TestEventsForPeople(t *testing.T) {
	when := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for want, e := range map[string]control.Event{
		"2026-03-01 12:00:00 done      web: move remote a b renamed here":         {When: when, Kind: "done", Sync: "web", Action: "move_remote", Path: "a b", Text: "renamed\x1bhere"},
		"2026-03-01 12:00:00 done      web: upload \"a\\x1b\" [1.0 KiB in 1.23s]": {When: when, Kind: "done", Sync: "web", Server: "acme", Action: "upload", Path: "a\x1b", Bytes: 1024, TookMS: 1230},
		"2026-03-01 12:00:00 paused    server acme: connection refused":           {When: when, Kind: "paused", Server: "acme", Text: "connection refused"},
		"2026-03-01 12:00:00 lost      7 events came too fast to be read":         {When: when, Kind: control.EventLost, Missed: 7},
	} {
		if got := eventText(e, false); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if got := eventText(control.Event{Kind: "dead"}, true); !strings.Contains(got, "\x1b[31mdead      \x1b[0m") {
		t.Errorf("%q", got)
	}
}
