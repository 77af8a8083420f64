package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

func openNew(t testing.TB) *state.DB {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{AllowNetworkFilesystem: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func update(t testing.TB, db *state.DB, fn func(*state.Tx) error) {
	t.Helper()
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// script runs lines of the form "command arguments => result", each in its own transaction, and
// checks the indexes after each, but for lines that start with "!". The clock stands still but
// for the command "wait".
//
//	enqueue KIND SYNC PATH [server=S] [in=DURATION] [priority=N] [why=TEXT] [serial]
//	claim SERVER LIMIT [hold=SYNC] [transfers=SYNC] [after=SYNC] [temp=NAME]  => numbers in order
//	save ID [JSON]
//	yield ID in=DURATION
//	fail ID [why=TEXT] [reply=TEXT] [retry=DURATION] [dead] [uncounted] [behind=ID]  => state
//	show ID                                                                  => what is not zero
//	list, pages [sync=S] [server=S] [kind=K] [state=S] [path=P] [limit=N]    => numbers in order
type script struct {
	t   *testing.T
	db  *state.DB
	now time.Time
}

func runScript(t *testing.T, db *state.DB, text string) {
	t.Helper()
	s := &script{t: t, db: db, now: start}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		line, unchecked := strings.CutPrefix(line, "!")
		command, want, _ := strings.Cut(line, "=>")
		fields := strings.Fields(command)
		if len(fields) == 0 {
			continue
		}
		var got string
		err := db.Update(func(tx *state.Tx) (err error) {
			got, err = s.run(tx, fields[0], fields[1:])
			return err
		})
		if err != nil {
			got = "error: " + err.Error()
		}
		want = strings.TrimSpace(want)
		if got != want && (!strings.HasPrefix(want, "error: ") || !strings.Contains(got, want[len("error: "):])) {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
		if unchecked {
			continue
		}
		if err := db.View(Check); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
}

type options map[string]string

func parseOptions(fields []string) options {
	o := make(options)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		o[name] = value
	}
	return o
}

func (o options) has(name string) bool { _, ok := o[name]; return ok }

func (s *script) after(duration string) time.Time {
	if duration == "" {
		return time.Time{}
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.now.Add(d)
}

func (s *script) id(text string) ID {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return ID(n)
}

func (s *script) run(tx *state.Tx, command string, args []string) (string, error) {
	switch command {
	case "wait":
		s.now = s.after(args[0])
		return "", nil
	case "enqueue":
		return s.enqueue(tx, args)
	case "claim":
		o := parseOptions(args[2:])
		limit, _ := strconv.Atoi(args[1])
		jobs, err := Claim(tx, s.now, Request{
			Server: args[0], Limit: limit, After: o["after"],
			Hold: func(sync string) Held {
				if o.has("transfers") && o["transfers"] == sync {
					return HeldTransfers
				}
				return heldAll(o.has("hold") && sync == o["hold"])
			},
			Prepare: func(job *Job) {
				if o.has("temp") {
					job.Temp = o["temp"]
				}
				job.ID, job.Sync, job.State = 99, "spoiled", Dead // must not matter
			},
		})
		return numbers(jobs), err
	case "save":
		return "", Save(tx, s.now, s.id(args[0]), json.RawMessage(strings.Join(args[1:], " ")))
	case "yield":
		return "", Yield(tx, s.now, s.id(args[0]), s.after(parseOptions(args[1:])["in"]))
	case "complete":
		rerun, err := Complete(tx, s.now, s.id(args[0]))
		if rerun {
			return "rerun", err
		}
		return "", err
	case "fail":
		o := parseOptions(args[1:])
		f := Failure{Reason: o["why"], Reply: o["reply"], RetryAt: s.after(o["retry"]), Dead: o.has("dead"), Uncounted: o.has("uncounted")}
		if o.has("behind") {
			other, _, err := Get(tx, s.id(o["behind"]))
			if err != nil {
				return "", err
			}
			f.Behind = &other
		}
		became, err := Fail(tx, s.now, s.id(args[0]), f)
		return string(became), err
	case "recover":
		done, err := Recover(tx, s.now)
		return fmt.Sprintf("requeued %v dead %v", done.Requeued, done.Dead), err
	case "retry":
		return "", Retry(tx, s.now, s.id(args[0]))
	case "drop":
		return "", Drop(tx, s.id(args[0]))
	case "dropsync":
		n, err := DropSync(tx, args[0])
		return fmt.Sprint(n), err
	}
	return s.look(tx, command, args)
}

func (s *script) enqueue(tx *state.Tx, args []string) (string, error) {
	o := parseOptions(args[3:])
	priority, _ := strconv.Atoi(o["priority"])
	server := "acme"
	if o.has("server") {
		server = o["server"]
	}
	done, err := Enqueue(tx, s.now, New{
		Kind: args[0], Sync: args[1], Path: args[2], Server: server,
		Priority: uint8(priority), Serial: o.has("serial"), RunAt: s.after(o["in"]), Why: o["why"],
	})
	for name, ids := range map[string][]ID{"added": done.Added, "merged": done.Merged, "rerun": done.Rerun, "revived": done.Revived} {
		if len(ids) == 1 {
			return fmt.Sprint(name, " ", ids[0]), err
		}
	}
	return "", err
}

// look answers the commands that change nothing.
func (s *script) look(tx *state.Tx, command string, args []string) (string, error) {
	switch command {
	case "show":
		job, ok, err := Get(tx, s.id(args[0]))
		if !ok {
			return "nothing", err
		}
		return describe(job), err
	case "summary":
		sync := ""
		if len(args) > 0 {
			sync = args[0]
		}
		c, err := Summary(tx, sync)
		text := fmt.Sprintf("due %d waiting %d running %d dead %d retrying %d", c.Due, c.Waiting, c.Running, c.Dead, c.Retrying)
		if !c.NextDue.IsZero() {
			text += " next " + c.NextDue.Sub(start).String()
		}
		return text, err
	case "next":
		next, ok := NextDue(tx)
		if !ok {
			return "never", nil
		}
		return next.Sub(start).String(), nil
	case "list":
		jobs, err := List(tx, filterOf(args))
		return numbers(jobs), err
	case "pages":
		var pages []string
		for filter := filterOf(args); ; {
			jobs, next, err := Page(tx, filter)
			pages = append(pages, numbers(jobs))
			if filter.From = next; next == nil || err != nil {
				return strings.Join(pages, " | "), err
			}
		}
	}
	return "", errors.New("unknown command " + command)
}

func filterOf(args []string) Filter {
	o := parseOptions(args)
	limit, _ := strconv.Atoi(o["limit"])
	return Filter{Sync: o["sync"], Server: o["server"], Kind: o["kind"], State: State(o["state"]), Path: o["path"], Limit: limit}
}

func numbers(jobs []Job) string {
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = fmt.Sprint(job.ID)
	}
	return strings.Join(ids, " ")
}

func describe(job Job) string {
	words := []string{string(job.State)}
	for name, n := range map[string]int{
		"attempts": job.Attempts, "crashes": job.Crashes, "claims": job.Claims, "priority": int(job.Priority),
	} {
		if n != 0 {
			words = append(words, fmt.Sprint(name, "=", n))
		}
	}
	next := ""
	if job.Next != nil {
		next = job.Next.Why
	}
	for name, text := range map[string]string{
		"why": job.Why, "temp": job.Temp, "error": strings.ReplaceAll(job.LastError, " ", "_"), "reply": job.LastReply,
		"progress": string(job.Progress), "next": next,
	} {
		if text != "" {
			words = append(words, name+"="+text)
		}
	}
	if at := job.RunAt.Sub(start); at != 0 {
		words = append(words, "at="+at.String())
	}
	slices.Sort(words[1:])
	return strings.Join(words, " ")
}
