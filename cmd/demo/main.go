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
	"log"
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
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr, theShow))
}

// run is main without the process, for tests. It returns the exit code.
func run(ctx context.Context, arguments []string, env func(string) string, stdout, stderr io.Writer, show []stage) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	once := flags.Bool("once", false, "end by itself: exit code 0 if both sides are equal then, else 1")
	keep := flags.Bool("keep", false, "do not remove the temporary folder at the end")
	dir := flags.String("dir", "", "use this `folder`, which must be empty or not exist, and keep it")
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return control.ExitDone
	case err != nil:
		return control.ExitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "demo: %q is not a flag; see -help\n", flags.Arg(0))
		return control.ExitUsage
	}
	folder, err := emptyFolder(*dir)
	if err != nil {
		fmt.Fprintf(stderr, "demo: -dir: %v\n", err)
		return control.ExitUsage
	}
	d := &demo{
		dir: folder, screen: screen{log.New(stdout, "", 0), hasColours(stdout, env)}, did: tally{},
		logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if !*once {
		d.pause = 1500 * time.Millisecond
	}
	err = d.present(ctx, show, *once)
	if *keep || *dir != "" {
		d.screen.Printf("\nEverything is left in %s", folder)
	} else {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return control.ExitNeedsPerson
	}
	return control.ExitDone
}

// emptyFolder returns the absolute path of an empty folder, a temporary one if dir is "".
func emptyFolder(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "ftpferry-demo-")
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("%s is not empty", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// hasColours reports whether w is a terminal that shows colours, and nobody objects (no-color.org).
func hasColours(w io.Writer, env func(string) string) bool {
	file, ok := w.(*os.File)
	if !ok || env("NO_COLOR") != "" || env("TERM") == "dumb" || runtime.GOOS == "windows" && env("WT_SESSION") == "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
