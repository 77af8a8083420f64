package work

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
)

const (
	// usualHookTimeout is how long a hook may take where nothing is said.
	usualHookTimeout = time.Minute
	// hookLinger is how long the output of a hook is waited for when that has ended, as others may still hold it open.
	hookLinger = time.Second
	// mostHookOutput is how much of what a hook writes is kept, of its end, in bytes.
	mostHookOutput = 64 << 10
	// hookCheck is how long a hook may take for the connection to be used afterwards without asking whether it lives, and
	// hookCheckPatience the wait for the answer.
	hookCheck         = 10 * time.Second
	hookCheckPatience = 5 * time.Second
)

// hookBase are the variables of this process that hooks get too. All others stay here: passwords may be among them.
var hookBase = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR", "SYSTEMROOT", "TEMP", "TMP", "COMSPEC", "PATHEXT", "USERPROFILE"}

// HookError says that a hook did not do its part: it was not found, took too long, or ended with another code than 0. It tells
// nothing about the server and does not unwrap to errors of this machine, which might be taken for those of the transfer.
type HookError struct {
	Hook   string // before, after or on_error
	Err    error
	Output string // the end of its output
}

// Error is one line, with the last one of the output. The command is left out, as there may be a secret in it.
func (e *HookError) Error() string {
	text := "the hook " + e.Hook + " failed: " + e.Err.Error()
	lines := strings.Split(strings.TrimSpace(e.Output), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		text += ": " + strconv.QuoteToGraphic(last)
	}
	return text
}

// withHooks does an operation, with the commands of the sync around it. before runs when the server is known to be there, and
// may keep the operation from being done; after runs when the file is known to be at its target, also where an earlier attempt
// has brought it there, and on_error when the attempt failed. What overtakes an attempt (Stale, the stop of the agent) is no
// failure. So each of them may run more than once for a file.
func (o *op) withHooks(ctx context.Context, do func(ctx context.Context, o *op) Outcome) Outcome {
	hooks := o.env.Sync.Hooks
	if o.Action != plan.Upload && o.Action != plan.Download {
		return do(ctx, o)
	}
	if !o.env.again && len(hooks.Before) > 0 {
		if err := o.hook(ctx, "before", hooks.Before); err != nil {
			return failed(err)
		}
		conn, err := o.env.Connect(ctx) // another one if the hook took too long for the server
		if err != nil {
			return failed(err)
		}
		o.conn, o.remote.Conn = conn, conn
	}
	outcome := do(ctx, o)
	var err error
	switch {
	case outcome.Result == Done && len(hooks.After) > 0:
		err = o.hook(steady(ctx), "after", hooks.After, "FTPFERRY_RESULT=done", fmt.Sprint("FTPFERRY_BYTES=", outcome.Bytes), "FTPFERRY_ERROR=")
	case outcome.Result == Failed && len(hooks.OnError) > 0 && ctx.Err() == nil && (o.env.again || !errors.Is(outcome.Err, ftpclient.ErrTicketExpired)):
		reason := strings.ReplaceAll(outcome.Err.Error(), "\x00", "")
		err = o.hook(ctx, "on_error", hooks.OnError, "FTPFERRY_RESULT=failed", fmt.Sprint("FTPFERRY_BYTES=", outcome.Bytes), "FTPFERRY_ERROR="+reason)
	}
	if err != nil {
		outcome.Hook = err.Error()
	}
	return outcome
}

// hook runs one command to its end, or to that of its time.
func (o *op) hook(ctx context.Context, name string, command []string, more ...string) error {
	hooks := o.env.Sync.Hooks
	timeout := hooks.Timeout
	if timeout <= 0 {
		timeout = usualHookTimeout
	}
	late := fmt.Errorf("not done after %s", timeout)
	limited, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	cmd := hookCommand(limited, command, hooks.Shell)
	var output tail
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &output, &output, o.env.Sync.Local, append(o.hookEnvironment(), more...)
	cmd.WaitDelay = hookLinger
	began := time.Now()
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it is done; what it has left behind is its own affair
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && limited.Err() != nil {
		err = late
	}
	took := time.Since(began)
	attributes := []any{"hook", name, "path", o.Path, "took_ms", took.Milliseconds()}
	if len(output.text) > 0 {
		attributes = append(attributes, "output", output.String())
	}
	switch {
	case err != nil:
		o.env.Logger.Warn("hook failed", append(attributes, "error", err)...)
		err = &HookError{Hook: name, Err: err, Output: output.String()}
	case len(output.text) > 0:
		o.env.Logger.Info("hook done", attributes...)
	default:
		o.env.Logger.Debug("hook done", attributes...)
	}
	if took >= hookCheck && o.conn.Usable() {
		checking, cancel := context.WithTimeoutCause(ctx, hookCheckPatience, ftpclient.ErrTimeout)
		defer cancel()
		if noop := o.conn.Noop(checking); noop != nil {
			o.env.Logger.Debug("sign of life after a hook", "error", noop)
		}
	}
	return err
}

// hookEnvironment says what the transfer is about, and what any program needs to find its way.
func (o *op) hookEnvironment() []string {
	var environment []string
	for _, name := range hookBase {
		if value, set := os.LookupEnv(name); set {
			environment = append(environment, name+"="+value)
		}
	}
	// Windows would look for the programs of a shell's line in the folder of the sync first, among what a server has sent.
	if runtime.GOOS == "windows" {
		environment = append(environment, "NoDefaultCurrentDirectoryInExePath=1")
	}
	size := o.Local.Entry.Size
	if o.Action == plan.Download {
		size = o.Remote.Entry.Size
	}
	for _, v := range [][2]string{
		{"SYNC", o.env.Sync.Name}, {"SERVER", o.job.Server}, {"PATH", o.Path}, {"ACTION", string(o.Action)}, {"SIZE", strconv.FormatInt(size, 10)},
		{"LOCAL", filepath.Join(o.env.Sync.Local, filepath.FromSlash(o.Path))}, {"REMOTE", o.target()},
	} {
		environment = append(environment, "FTPFERRY_"+v[0]+"="+v[1])
	}
	return environment
}

// tail keeps the end of what is written to it.
type tail struct {
	text []byte
	cut  bool
}

func (t *tail) Write(p []byte) (int, error) {
	written := len(p)
	if len(p) > mostHookOutput {
		p, t.cut = p[len(p)-mostHookOutput:], true
	}
	if over := len(t.text) + len(p) - mostHookOutput; over > 0 {
		t.text, t.cut = t.text[:copy(t.text, t.text[over:])], true
	}
	t.text = append(t.text, p...)
	return written, nil
}

// String is the text, with a mark where the beginning is missing.
func (t *tail) String() string {
	text := strings.ToValidUTF8(string(t.text), "\ufffd")
	if t.cut {
		return "..." + text
	}
	return text
}
