package main

import (
	"bufio"
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhoHasReadEnoughIsNoError: "ftpferry history | head -1" succeeds.
func TestWhoHasReadEnoughIsNoError(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader.Close()
	p := &program{stdout: writer}
	err = p.printing(func(out *bufio.Writer) error {
		for range 1000 {
			if _, err := out.WriteString(strings.Repeat("x", 1000)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("a closed pipe: %v", err)
	}
	p.stdout = broken{}
	if err := p.printing(func(out *bufio.Writer) error { return out.WriteByte('x') }); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("a full disk: %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"":                     "0001-01-01T00:00:00Z",
		"24h":                  "2026-02-28T12:00:00+01:00",
		"7d":                   "2026-02-22T12:00:00+01:00",
		"2026-02-03":           "2026-02-03T00:00:00+01:00",
		"2026-02-03 04:05":     "2026-02-03T04:05:00+01:00",
		"2026-02-03T04:05:06Z": "2026-02-03T04:05:06Z",
		"11:30":                "2026-03-01T11:30:00+01:00",
		"12:30":                "2026-02-28T12:30:00+01:00",
		"24:30":                "",
		"yesterday":            "",
		"-24h":                 "",
		"2026-02-30":           "",
		"99999999d":            "",
		"24":                   "",
	} {
		got, err := sinceTime(text, now)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
}

// TestHistoryForPeople: what is about a server stands in the same columns as what is about a file.
func TestHistoryForPeople(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	var b strings.Builder
	for _, row := range []control.HistoryRow{
		{Sync: "web", Server: "acme", Path: "a.html", Op: "delete_remote", Result: "done"},
		{Server: "acme", Op: "connect", Result: "paused", Error: "connect 127.0.0.1:21: refused\nmore"},
		{Server: "acme", Op: "connect", Result: "working again", TookMS: 90_400},
		{Sync: "in", Server: "acme", Op: "transfer", Result: "full", Error: "write: no space left on device"},
	} {
		row.When = at
		b.WriteString(historyLine(row))
	}
	want := `2026-03-01 12:00:00 done     delete remote  web: a.html
2026-03-01 12:00:00 paused   connect        server acme  (connect 127.0.0.1:21: refused)
2026-03-01 12:00:00 working again connect   server acme  (after 1m30s)
2026-03-01 12:00:00 full     transfer       in: (the whole sync)  (write: no space left on device)
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestJobsForPeople: 80 columns, but for names, and nothing that moves a terminal's cursor.
func TestJobsForPeople(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	list := jobList{out: bufio.NewWriter(&b), now: now}
	for _, job := range []control.Job{
		{ID: 12, State: "dead", Kind: "upload", Sync: "web", Path: "a.html", Attempts: 3, Died: now.Add(-75 * time.Hour),
			LastError: "store a.html: 550 \x1b[31mdenied " + strings.Repeat("x", 100) + "\nmore"},
		{ID: 13, State: "running", Kind: "delete_remote", Sync: "web", Path: state.Text("\x1b]0;" + strings.Repeat("n", 50)), Started: now.Add(-90 * time.Second)},
		{ID: 14, State: "waiting", Kind: "scan", Sync: "web", RunAt: now.Add(10 * time.Minute)},
		{ID: 15, State: "due", Kind: "upload", Sync: "web", Path: "caf\xe9", RunAt: now},
	} {
		if err := list.add(job); err != nil {
			t.Fatal(err)
		}
	}
	syncs := []control.SyncJobs{{Sync: "web", Dead: 1, Running: 1, Due: 1, Waiting: 1, Retrying: 1, NextDue: now.Add(10 * time.Minute)}, {Due: 2}}
	if err := list.end(syncs, control.JobFilter{Limit: 4}); err != nil {
		t.Fatal(err)
	}
	list.out.Flush()
	want := `     JOB STATE        WHEN TRIES  KIND           SYNC: PATH
      12 dead       3d ago     3  upload         web: a.html
         store a.html: 550 [31mdenied
         ` + strings.Repeat("x", 100) + `
         more
      13 running   for 90s     0  delete remote
         web: "\x1b]0;nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
      14 waiting    in 10m     0  scan           web: (the whole sync)
      15 due           now     0  upload         web: "caf\xe9"
... 4 jobs listed; --limit 0 lists all

web: 1 dead, 1 running, 1 due, 1 waiting, 1 of them after a failure, the next in 10m
(not configured): 2 due
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestJobsOfAnAgentThatIsGone: without an agent nothing is running, whatever the rows say.
func TestJobsOfAnAgentThatIsGone(t *testing.T) {
	p, cfg, told := alone(t, "")
	db := p.mustOpen(t, cfg, p.logger(cfg, slog.LevelError))
	err := db.Update(func(tx *state.Tx) error {
		_, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: "upload", Sync: "web", Server: "acme", Path: "a", Priority: 50})
		if err == nil {
			_, err = queue.Claim(tx, time.Now(), queue.Request{Server: "acme", Limit: 1, Hold: func(string) queue.Held { return queue.HeldNone }})
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"-c", p.configPath, "queue"}, p.env, told, told); code != 0 ||
		!strings.Contains(told.String(), " running   cut off     0  upload         web: a\n") || !strings.Contains(told.String(), "web: 1 cut off in the middle\n") {
		t.Errorf("exit code %d:\n%s", code, told)
	}
}

// TestAPlanForPeople: what names and servers say moves nothing on a terminal, and the numbers are at the end.
func TestAPlanForPeople(t *testing.T) {
	var out strings.Builder
	printPlan(&out, control.SyncPlan{
		Sync: "web", Known: 7, Adopt: 1,
		Ops: []control.Op{
			{Action: "upload", Path: "a", Bytes: 2048, Reason: "new"},
			{Action: "move_remote", Path: "new\x1b", From: "old", Reason: "renamed here\nfrom \"old\""},
			{Action: "set_aside_local", Path: "c", To: "c (conflict)", Reason: "changed on both sides"},
			{Action: "delete_remote", Path: "d/e", Reason: "deleted here"},
			{Action: "delete_remote", Path: "d", Reason: "deleted here"},
		},
		Totals: control.PlanTotals{BytesUp: 2048, Deletes: 1, Actions: map[string]int{
			"upload": 1, "move_remote": 1, "set_aside_local": 1, "delete_remote": 2,
		}},
		Note:  []control.PlannedNote{{Path: "l\xc9", Text: "left\x1b[2J"}},
		Halt:  &control.Halt{Code: "max-delete", Reason: "too\nmany", Deletes: 1},
		Waits: &control.Stop{By: control.StopWindow, Reason: "waits until 22:00: outside of the allowed times"},
	})
	want := `web: upload a [2.0 KiB]: new
web: move remote old -> "new\x1b": renamed here from "old"
web: set aside local c -> c (conflict): changed on both sides
web: delete remote d/e: deleted here
web: delete remote d: deleted here
web: leave "l\xc9": left [2J
web: WOULD HALT (max-delete): too many
web: waits until 22:00: outside of the allowed times
web: 1 x upload [2.0 KiB], 1 x move remote, 1 x set aside local, 2 x delete remote, 1 files and 1 folders deleted in all; 7 paths known, 1 more found in step
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestStatusTellsOfLooks: what a watch has missed, and when a server is asked, each only if there is something to tell.
func TestStatusTellsOfLooks(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, s := range map[string]control.SyncStatus{
		"": {Rescans: 7, LastRescan: now, NextPoll: now.Add(-time.Minute)}, // it comes when what is under way is over
		"  3 changes were found by looks at the whole folder (7 so far, the last one\n  5m ago) and no event has told of them\n": {
			Rescans: 7, OnlyByRescan: 3, LastRescan: now.Add(-5 * time.Minute)},
		"  the server is asked for changes in 4m\n": {NextPoll: now.Add(4 * time.Minute)},
	} {
		var text strings.Builder
		out := bufio.NewWriter(&text)
		printLooks(&jobList{out: out, now: now}, s)
		out.Flush()
		if text.String() != want {
			t.Errorf("got %q, want %q", text.String(), want)
		}
	}
	var text strings.Builder
	out := bufio.NewWriter(&text)
	halted := control.SyncStatus{NextPoll: now.Add(time.Minute), Jobs: control.SyncJobs{Stop: &control.Stop{By: "halt"}}}
	printLooks(&jobList{out: out, now: now}, halted)
	printLooks(&jobList{out: out, now: now, alone: true}, control.SyncStatus{NextPoll: now.Add(time.Minute)})
	if out.Flush(); text.Len() > 0 {
		t.Errorf("nobody asks a server: %q", text.String())
	}
}

// TestAClosedWindowIsToldInWordsForPeople, and until when it is closed.
func TestAClosedWindowIsToldInWordsForPeople(t *testing.T) {
	var text strings.Builder
	out := bufio.NewWriter(&text)
	stop := &control.Stop{By: control.StopWindow, Reason: "waits until Mon 22:00: outside of the allowed times"}
	printStatus(&jobList{out: out, now: time.Now()}, control.SyncStatus{Sync: "web", Server: "acme", Direction: "up", State: stop.By, Jobs: control.SyncJobs{Stop: stop}})
	out.Flush()
	if !strings.HasPrefix(text.String(), "web: outside of its hours; to acme, ") || !strings.Contains(text.String(), "\n  waits until Mon 22:00: outside of the allowed times\n") {
		t.Error(text.String())
	}
}

func TestAWatchIsToldOfWhenItIsNotTheUsualOne(t *testing.T) {
	for sentence, row := range map[string]struct {
		watch control.Watch
		want  string
	}{
		"it works":     {control.Watch{State: control.WatchWorks, Folders: 3}, ""},
		"it is begun":  {control.Watch{State: control.WatchStarting, Folders: 3}, "  watch: starting, 3 folders so far\n"},
		"nobody tells": {control.Watch{State: control.WatchPolling, Every: time.Minute, Reason: "NFS does not tell of every change"}, "  watch: polling every 60s: NFS does not tell of every change\n"},
		"not all fits": {control.Watch{State: control.WatchDegraded, Every: 5 * time.Minute, Reason: `"a" cannot be watched`, Cure: "sysctl x=1"}, "  watch: degraded, polling every 5m: \"a\" cannot be watched; sysctl x=1\n"},
		"all of the cure": {control.Watch{State: control.WatchDegraded, Every: time.Minute, Reason: `"a" and 30 more folders cannot be watched: the system's limit of watches is reached`, Cure: "raise the limit of watches: sysctl x=1"},
			"  watch: degraded, polling every 60s: \"a\" and 30 more folders cannot be\n  watched: the system's limit of watches is reached; raise the limit of\n  watches: sysctl x=1\n"},
		"it is gone": {control.Watch{State: control.WatchMissing, Reason: "the local folder\x1b is not there"}, "  watch: missing: the local folder"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var text strings.Builder
			out := bufio.NewWriter(&text)
			printStatus(&jobList{out: out, now: time.Now()}, control.SyncStatus{Sync: "web", Server: "acme", Direction: "up", Watch: &row.watch})
			if err := out.Flush(); err != nil {
				t.Fatal(err)
			}
			_, got, _ := strings.Cut(text.String(), "\n")
			if row.want == "" && got != "" || !strings.HasPrefix(got, row.want) || strings.Contains(got, "\x1b") {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// TestFilesThatAreNotCompleteAreToldOf by status, each with its reason.
func TestFilesThatAreNotCompleteAreToldOf(t *testing.T) {
	var text strings.Builder
	out := bufio.NewWriter(&text)
	printStatus(&jobList{out: out, now: time.Now()}, control.SyncStatus{
		Sync: "web", Server: "acme", Direction: "up", HeldAll: 3,
		Held: []control.PathReason{{Path: "a\x1b.log", Reason: "still growing"}, {Path: "b", Reason: "open for\nwriting"}},
	})
	out.Flush()
	_, got, _ := strings.Cut(text.String(), "\n")
	want := `  held     "a\x1b.log"
           still growing
  held     b
           open for writing
  ... and 1 more files that are not complete; --json names them
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestWhatIsPrintedIntoAFullDisk is no wrong usage, and no success.
func TestWhatIsPrintedIntoAFullDisk(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "agent.toml")
	write(t, config, "[agent]\nstate_dir = \"state\"\n[server.a]\naddress = \"127.0.0.1:1\"\ntls = \"none\"\n")
	for _, command := range [][]string{{"config", "schema"}, {"config", "show"}, {"config", "show", "--json"}, {"status", "--json"}, {"version", "--json"}} {
		var told bytes.Buffer
		env := func(string) string { return "" }
		if code := run(append([]string{"-c", config}, command...), env, fullDisk{}, &told); code != 1 || !strings.Contains(told.String(), "standard output: no space left") {
			t.Errorf("%q: exit code %d: %s", command, code, &told)
		}
	}
}

// TestStatusSaysWhyJobsHaveFailed, and what a person can do.
func TestStatusSaysWhyJobsHaveFailed(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	out := bufio.NewWriter(&text)
	printStatus(&jobList{out: out, now: time.Now()}, control.SyncStatus{
		Sync: "web", Server: "acme", Direction: "up", Jobs: control.SyncJobs{Dead: 5, Waiting: 1},
		Troubles: []control.Job{
			{State: "dead", Kind: "upload", Path: "a\x1b", LastError: "553 no\n  more"},
			{State: "waiting", Kind: "scan", LastError: "550\x1b no list"},
		},
	})
	out.Flush()
	_, got, _ := strings.Cut(text.String(), "\n")
	want := `  jobs: 5 dead, 1 waiting
  dead     upload "a\x1b"
           553 no
  failed   scan (the whole sync)
           550 no list
  ... and 4 more, see: ftpferry queue --sync web; try dead jobs again with:
  ftpferry queue retry --sync web
`
	if got = strings.ReplaceAll(got, "\x1b", "ESC"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPathsCanBeCopied from one command to the next, whatever is in them.
func TestPathsCanBeCopied(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a b/c": "a b/c", "new\nline": `"new\nline"`, "latin\xe9": `"latin\xe9"`, " lead": `" lead"`, "trail ": `"trail "`, `"q"`: `"\"q\""`,
		`back\slash`: `back\slash`, "esc\x1b[2J": `"esc\x1b[2J"`, "rtl\u202egpj": `"rtl\u202egpj"`, "日本": "日本",
	} {
		shown := pathText(path)
		if shown != want || pathOf(shown) != path {
			t.Errorf("%q: shown as %s, want %s, and read as %q", path, shown, want, pathOf(shown))
		}
	}
	for _, text := range []string{`"`, `""`, `"half`, "`a`", "'a'"} {
		if got := pathOf(text); got != text {
			t.Errorf("%s: %q", text, got)
		}
	}
}
