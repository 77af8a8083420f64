package work

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
)

// init makes the program of these tests a hook that does what its arguments say.
func init() {
	if len(os.Args) < 3 || os.Args[1] != "a-hook" {
		return
	}
	switch what, rest := os.Args[2], os.Args[3:]; what {
	case "note": // environment, folder and input, into a file
		input, _ := io.ReadAll(os.Stdin)
		folder, _ := os.Getwd()
		file, err := os.OpenFile(rest[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			os.Exit(9)
		}
		line, _ := json.Marshal(noted{Hook: rest[1], Environment: os.Environ(), Folder: folder, Input: string(input)})
		fmt.Fprintln(file, string(line))
		file.Close()
	case "fail":
		fmt.Println("first line\nno such thing\x1b[31m")
		os.Exit(3)
	case "talk":
		for range 20_000 {
			fmt.Println(strings.Repeat("x", 99))
		}
		fmt.Println("the end")
	case "wait":
		time.Sleep(time.Second)
	case "rest":
		time.Sleep(hookCheck)
	case "hang": // with a child that would do something later
		child := exec.Command(os.Args[0], "a-hook", "later", rest[0], rest[1])
		child.Stdout = os.Stdout
		child.Start()
		time.Sleep(time.Hour)
	case "later":
		os.WriteFile(rest[0]+".began", nil, 0o600)
		after, _ := time.ParseDuration(rest[1])
		time.Sleep(after)
		os.WriteFile(rest[0], nil, 0o600)
	}
	os.Exit(0)
}

type noted struct {
	Hook        string
	Environment []string
	Folder      string
	Input       string
}

func (n noted) value(name string) string {
	for _, v := range n.Environment {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return "(not set)"
}

// notes are what the hooks have noted in a file.
func notes(t *testing.T, file string) (all []noted) {
	t.Helper()
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for decoder := json.NewDecoder(bytes.NewReader(data)); err == nil; {
		var n noted
		if err = decoder.Decode(&n); err == nil {
			all = append(all, n)
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return all
}

// hook is the command of a hook.
func hook(t *testing.T, arguments ...string) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{program, "a-hook"}, arguments...)
}

// doHooked carries out one operation with hooks, and returns the log too.
func doHooked(t *testing.T, hooks Hooks, dir string, op plan.Op, steps ...step) (Outcome, string) {
	t.Helper()
	server := ftptest.NewScript(t, slices.Concat(login, steps, []step{{Expect: "QUIT", Send: "221 Bye."}})...)
	var conn *ftpclient.Conn
	var log strings.Builder
	env := Env{
		Sync:  Sync{Name: "s", Local: dir, Remote: "/site", Rules: plan.Rules{Direction: plan.Up}, Upload: Upload{TempPrefix: "."}, Hooks: hooks},
		State: noState{}, Instance: instance, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Connect: func(ctx context.Context) (_ *ftpclient.Conn, err error) {
			if conn == nil || !conn.Usable() {
				conn, err = ftpclient.Dial(ctx, server.Addr, ftpclient.Options{User: "u", TLS: ftpclient.TLSNone})
			}
			return conn, err
		},
	}
	payload, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	o := Do(t.Context(), env, queue.Job{ID: 7, Claims: 1, New: queue.New{Kind: string(op.Action), Sync: "s", Server: "acme", Path: op.Path, Payload: payload}})
	if conn != nil {
		conn.Close()
	}
	server.Wait()
	return o, log.String()
}

func TestHooks(t *testing.T) {
	const hidden, final = "/site/" + temp, "/site/a.txt"
	sends := slices.Concat(absent(final), stores(hidden, "hello"), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5))
	refuses := slices.Concat(absent(final), stores(hidden, "hello"), sized(hidden, 4), []step{{Expect: "DELE " + hidden, Send: "250 Gone."}})
	there := []step{{Expect: "SIZE " + final, Send: "213 5"}, {Expect: "MDTM " + final, Send: "213 " + stamp}}
	note := func(name string) []string { return []string{"note", "{notes}", name} }
	for _, row := range []struct {
		sentence                string
		before, after, on_error []string
		steps                   []step
		want                    Result
		ran                     string // which hooks have noted something
		says                    string // in Outcome.Err or Hook
		logs                    string
	}{
		{sentence: "before and after a transfer", before: note("before"), after: note("after"), on_error: note("on_error"),
			steps: sends, want: Done, ran: "before after"},
		{sentence: "on_error when it failed", before: note("before"), after: note("after"), on_error: note("on_error"),
			steps: refuses, want: Failed, ran: "before on_error", says: "size on the server differs"},
		{sentence: "a file that an earlier attempt has brought there is told too", after: note("after"), steps: there, want: Done, ran: "after"},
		{sentence: "before can keep the file from being sent", before: []string{"fail"}, after: note("after"), on_error: note("on_error"),
			want: Failed, says: `the hook before failed: exit status 3: "no such thing\x1b[31m"`, logs: `level=WARN msg="hook failed" hook=before`},
		{sentence: "before that is not there does as well", before: []string{""}, want: Failed, says: "the hook before failed: "},
		{sentence: "after that fails changes nothing", after: []string{"fail"}, steps: sends, want: Done,
			says: "the hook after failed: exit status 3", logs: `level=WARN msg="hook failed" hook=after`},
		{sentence: "on_error that fails leaves the error", on_error: []string{"fail"}, steps: refuses, want: Failed, says: "the hook on_error failed: exit status 3"},
		{sentence: "of what it says the end is logged", after: []string{"talk"}, steps: sends, want: Done, logs: "the end"},
		{sentence: "after a long hook the connection is asked for a sign of life", before: []string{"rest"},
			steps: slices.Concat([]step{{Expect: "NOOP", Send: "200 here"}}, sends), want: Done},
		{sentence: "a connection that ended meanwhile is replaced", before: []string{"wait"},
			steps: slices.Concat([]step{{Send: "421 Timeout.", End: ftptest.Close}}, login, sends), want: Done},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			t.Parallel()
			dir, local := source(t, "hello")
			aside := t.TempDir()
			file := filepath.Join(aside, "notes")
			command := func(arguments []string) []string {
				switch {
				case len(arguments) == 0:
					return nil
				case arguments[0] == "":
					return []string{filepath.Join(aside, "nothing")}
				}
				arguments = slices.Clone(arguments)
				for i, argument := range arguments {
					arguments[i] = strings.ReplaceAll(argument, "{notes}", file)
				}
				return hook(t, arguments...)
			}
			hooks := Hooks{Before: command(row.before), After: command(row.after), OnError: command(row.on_error)}
			o, log := doHooked(t, hooks, dir, upload7(local), row.steps...)
			if o.Result != row.want {
				t.Fatalf("%s, %v", o.Result, o.Err)
			}
			if text := fmt.Sprint(o.Err, " ", o.Hook); !strings.Contains(text, row.says) {
				t.Errorf("says %q, want %q", text, row.says)
			}
			if !strings.Contains(log, row.logs) || len(log) > 3*mostHookOutput/2 {
				t.Errorf("%d bytes are logged: %.2000s", len(log), log)
			}
			var ran []string
			for _, n := range notes(t, file) {
				ran = append(ran, n.Hook)
			}
			if got := strings.Join(ran, " "); got != row.ran {
				t.Errorf("these hooks ran: %q, want %q", got, row.ran)
			}
		})
	}
}

// TestAHookEndsWithItsTime, with all that it has begun. On a busy machine that takes more than one try: what it begins has to be there.
func TestAHookEndsWithItsTime(t *testing.T) {
	t.Parallel()
	for timeout := 2 * time.Second; ; timeout *= 2 {
		dir, local := source(t, "hello")
		later := filepath.Join(t.TempDir(), "later")
		before := hook(t, "hang", later, (timeout + time.Second).String())
		o, _ := doHooked(t, Hooks{Before: before, Timeout: timeout}, dir, upload7(local))
		if says := fmt.Sprintf("the hook before failed: not done after %s", timeout); o.Result != Failed || !strings.Contains(fmt.Sprint(o.Err), says) {
			t.Fatalf("%s, %v, want %q", o.Result, o.Err, says)
		}
		if _, err := os.Stat(later + ".began"); err != nil && timeout < time.Minute {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		time.Sleep(timeout + 2*time.Second)
		if _, err := os.Stat(later); !errors.Is(err, os.ErrNotExist) && runtime.GOOS != "windows" {
			t.Errorf("what the hook has begun went on: %v", err)
		}
		return
	}
}

// TestWhatHooksGetToKnow: what the transfer is about, and of the environment nothing that may be secret.
func TestWhatHooksGetToKnow(t *testing.T) {
	t.Setenv("ACME_PASSWORD", "secret")
	const hidden, final = "/site/" + temp, "/site/a.txt"
	dir, local := source(t, "hello")
	file := filepath.Join(t.TempDir(), "notes")
	hooks := Hooks{Before: hook(t, "note", file, "before"), After: hook(t, "note", file, "after"), OnError: hook(t, "note", file, "on_error")}
	for _, steps := range [][]step{
		slices.Concat(absent(final), stores(hidden, "hello"), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5)),
		slices.Concat(absent(final), stores(hidden, "hello"), sized(hidden, 4), []step{{Expect: "DELE " + hidden, Send: "250 Gone."}}),
	} {
		doHooked(t, hooks, dir, upload7(local), steps...)
	}
	all := notes(t, file)
	if len(all) != 4 {
		t.Fatalf("%d hooks ran", len(all))
	}
	home, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		if folder, err := filepath.EvalSymlinks(n.Folder); folder != home || err != nil || n.Input != "" {
			t.Errorf("%s: in %q with the input %q, %v", n.Hook, n.Folder, n.Input, err)
		}
		want := map[string]string{
			"SYNC": "s", "SERVER": "acme", "PATH": "a.txt", "ACTION": "upload", "SIZE": "5", "LOCAL": filepath.Join(dir, "a.txt"), "REMOTE": final,
		}
		switch n.Hook {
		case "after":
			want["RESULT"], want["BYTES"], want["ERROR"] = "done", "5", ""
		case "on_error":
			want["RESULT"], want["BYTES"], want["ERROR"] = "failed", "0", "size on the server differs from the bytes sent: sent 5, the server has 4"
		}
		for name, value := range want {
			if got := n.value("FTPFERRY_" + name); got != value {
				t.Errorf("%s: FTPFERRY_%s is %q, want %q", n.Hook, name, got, value)
			}
		}
		for _, v := range n.Environment {
			name, _, _ := strings.Cut(v, "=")
			if ours, found := strings.CutPrefix(name, "FTPFERRY_"); found && want[ours] == "" && ours != "ERROR" || !found && !slices.Contains(hookBase, strings.ToUpper(name)) && name != "PWD" {
				t.Errorf("%s: %s is set", n.Hook, name)
			}
		}
	}
}

// TestHooksInAShell: one that is asked for reads the command, none does otherwise.
func TestHooksInAShell(t *testing.T) {
	dir, local := source(t, "hello")
	for _, row := range []struct {
		shell bool
		says  string
	}{{true, "exit status 7"}, {false, "not found"}} {
		o, _ := doHooked(t, Hooks{Before: []string{"exit 7"}, Shell: row.shell}, dir, upload7(local))
		if o.Err == nil || !strings.Contains(o.Err.Error(), row.says) {
			t.Errorf("shell %v: %v", row.shell, o.Err)
		}
	}
}
