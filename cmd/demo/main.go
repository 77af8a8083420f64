// Command demo shows the whole of ftpferry on one machine, with nothing but Go: an embedded FTP
// server, an agent with a real configuration and state file, and files that come, change and go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer context.AfterFunc(ctx, stop)() // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr, theShow))
}

// options are the flags.
type options struct {
	once, keep bool
	dir        string
}

// errUsage is the reason for control.ExitUsage.
var errUsage = errors.New("wrong use")

const usage = `Usage: go run ./cmd/demo [-once] [-keep] [-dir DIR]

Shows ftpferry at work between two folders of this machine, one of them behind an FTP server.

  -once     end by itself; exit code 0 if both sides are equal in the end, else 1
  -keep     do not remove the temporary folder at the end
  -dir DIR  use this folder, which must be empty or not exist, and keep it
`

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.once, "once", false, "")
	flags.BoolVar(&o.keep, "keep", false, "")
	flags.StringVar(&o.dir, "dir", "", "")
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w: %w", errUsage, err)
	case flags.NArg() > 0:
		return o, fmt.Errorf("%w: %q is not a flag", errUsage, flags.Arg(0))
	}
	return o, nil
}

// run is main without the process, for tests. It returns the exit code.
func run(ctx context.Context, arguments []string, env func(string) string, stdout, stderr io.Writer, show []stage) int {
	o, err := parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return control.ExitDone
	}
	var dir string
	if err == nil {
		dir, err = prepare(o.dir)
	}
	if errors.Is(err, errUsage) {
		fmt.Fprintf(stderr, "demo: %v\n\n%s", err, usage)
		return control.ExitUsage
	}
	if err == nil {
		err = present(ctx, o, dir, hasColour(stdout, env), stdout, stderr, show)
		if kept := o.keep || o.dir != ""; !kept {
			err = errors.Join(err, os.RemoveAll(dir))
		} else {
			fmt.Fprintf(stdout, "\nEverything is left in %s\n", dir)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return control.ExitNeedsPerson
	}
	return control.ExitDone
}

// prepare returns the absolute path of an empty folder.
func prepare(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "ftpferry-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dir, os.MkdirAll(dir, 0o777)
	case err != nil:
		return "", fmt.Errorf("%w: -dir: %w", errUsage, err)
	case len(entries) > 0:
		return "", fmt.Errorf("%w: -dir: %s is not empty", errUsage, dir)
	}
	return dir, nil
}

// present goes through the show. Being interrupted is no error unless -once has to prove something.
func present(ctx context.Context, o options, dir string, colour bool, stdout, stderr io.Writer, show []stage) error {
	d := &demo{dir: dir, screen: newScreen(stdout, colour)}
	defer d.screen.close()
	warnings := slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	d.logger = slog.New(withoutActivities{warnings})
	if !o.once {
		d.pause = 1500 * time.Millisecond // to read what a stage is about
	}
	err := d.play(ctx, show)
	if err == nil && !o.once {
		err = d.yourTurn(ctx)
	}
	if ctx.Err() != nil {
		d.screen.say("\nStopping.")
	}
	err = errors.Join(err, d.stopAgent())
	if o.once && err == nil {
		err = d.verdict() // nothing moves any more
	}
	if d.server != nil {
		err = errors.Join(err, d.server.stop())
	}
	if ctx.Err() != nil {
		if o.once {
			return errors.New("interrupted before both sides were compared")
		}
		if errors.Is(err, context.Canceled) {
			return nil
		}
	}
	return err
}

// yourTurn leaves the result on show and lets the user play until ctx is done.
func (d *demo) yourTurn(ctx context.Context) error {
	if err := d.verdict(); err != nil {
		return err
	}
	d.screen.headline("Your turn")
	d.screen.say("Change, rename and delete files in        %s", filepath.Join(d.dir, "local", "site"))
	d.screen.say("and watch them appear on the server, in   %s", filepath.Join(d.dir, "server", "site"))
	d.screen.say("What you put on the server into           %s", filepath.Join(d.dir, "server", "inbox"))
	d.screen.say("is fetched within a minute into           %s", filepath.Join(d.dir, "local", "inbox"))
	d.screen.say("The server listens at                     ftp://%s:%s@%s", user, password, d.server.address)
	d.screen.say("Another terminal can ask this agent:      go run ./cmd/ftpferry -c %s plan", filepath.Join(d.dir, configName))
	d.screen.say("If you delete too much and it halts:      the same with \"approve site\" instead of \"plan\"")
	d.screen.say("Ctrl-C ends the demonstration.\n")
	select {
	case <-ctx.Done():
		return nil
	case <-d.running.ended:
		return fmt.Errorf("the agent ended by itself: %w", d.running.err)
	}
}

// hasColour reports whether w is a terminal that shows colours, and nobody objects (no-color.org).
func hasColour(w io.Writer, env func(string) string) bool {
	file, ok := w.(*os.File)
	if !ok || env("NO_COLOR") != "" || env("TERM") == "dumb" || runtime.GOOS == "windows" && env("WT_SESSION") == "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
