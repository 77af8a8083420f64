package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/manual"
)

// listing is what the command line of ls asks for.
type listing struct{ long, recursive bool }

func (p *program) lsCommand() *cobra.Command {
	var asked listing
	c := &cobra.Command{
		Use:   "ls SERVER[:PATH]",
		Short: "List a folder on a server",
		Long: `Lists a folder on a server, or shows a single file. A path without a slash in
front begins where the login leads to, which is also what SERVER alone means.
Names with characters in them that a terminal obeys are quoted as in Go.

With -l: kind and permissions, size in bytes, time in UTC, name, and where a
link points to. A time with "?" behind it is in the time zone of the server,
of which nobody knows how far it is from UTC ("list_time_zone" tells it). With -R come
all folders below; links are not followed. --json prints one object per line.

It uses connections of its own, beside those of a running agent: a server that
is limited to those of the agent refuses it. A listing that is not complete, or has lines
that cannot be read, is told on standard error.

Exit codes: 0 all was listed; 1 it is not there, or something could not be
listed or read; 64 usage; 69 the server is unavailable; 75 broken off.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, arguments []string) error { return p.ls(c.Context(), arguments[0], asked) },
	}
	c.Flags().BoolVarP(&asked.long, "long", "l", false, "kind, permissions, size, time, target of links")
	c.Flags().BoolVarP(&asked.recursive, "recursive", "R", false, "the folders below, too")
	return p.withJSON(p.withTrace(c))
}

// remotePath reads SERVER:PATH; ok is false for what names no server that is configured.
func remotePath(cfg *config.Config, text string) (server, remote string, ok bool) {
	server, remote, _ = strings.Cut(text, ":")
	return server, remote, cfg.Servers[server] != nil
}

// noServer is for what should name one.
func noServer(cfg *config.Config, text string) error {
	name, _, _ := strings.Cut(text, ":")
	if _, err := serverNames(cfg, []string{name}); err != nil {
		return err
	}
	return exit{control.ExitUsage, fmt.Errorf("%q is not SERVER:PATH", text)}
}

// withServer calls use with a server of the configuration, until a person stops it.
func (p *program) withServer(ctx context.Context, cfg *config.Config, name string, use func(context.Context, *manual.Server) error) error {
	stopTrace, err := p.startTrace(cfg)
	if err != nil {
		return err
	}
	defer stopTrace()
	ctx, stop := interruptible(ctx)
	defer stop()
	s := cfg.Servers[name]
	logger := p.logger(cfg, slog.LevelError)
	pool, stopPool := agent.Connections(ctx, cfg, s, logger)
	defer stopPool()
	return use(ctx, &manual.Server{
		Name: name, Pool: pool, Connections: s.Connections, ZoneKnown: s.ListTimeZone != nil, Logger: logger.With("server", name),
	})
}

var manualCodes = map[manual.Verdict]int{
	manual.Done:        control.ExitDone,
	manual.Unfinished:  control.ExitUnfinished,
	manual.Unavailable: control.ExitUnavailable,
	manual.NeedsPerson: control.ExitNeedsPerson,
}

// manualExit is the exit code of an error on a server.
func manualExit(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exit{control.ExitUnfinished, errors.New("interrupted")}
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	_, rest, _ := strings.Cut(err.Error(), "\n")
	text := oneLine(first)
	for line := range strings.SplitSeq(rest, "\n") {
		if rest != "" {
			text += "\n  " + oneLine(line)
		}
	}
	return exit{manualCodes[manual.Judge(err)], errors.New(text)}
}

func (p *program) ls(ctx context.Context, what string, asked listing) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	name, remote, ok := remotePath(cfg, what)
	if !ok {
		return noServer(cfg, what)
	}
	return p.withServer(ctx, cfg, name, func(ctx context.Context, s *manual.Server) error {
		return p.printing(func(out *bufio.Writer) error {
			worst, headed := manual.Done, false
			err := s.List(ctx, remote, asked.recursive, func(f manual.Folder) error {
				worst = max(worst, p.complain(name, f))
				err := p.printFolder(out, f, asked, headed)
				headed = true
				if err == nil {
					err = out.Flush() // who reads along sees it as it comes
				}
				return err
			})
			switch {
			case errors.Is(err, syscall.EPIPE):
				return nil
			case err != nil:
				return manualExit(ctx, err)
			case worst != manual.Done:
				return exit{code: manualCodes[worst]}
			}
			return nil
		})
	})
}

// complain says on standard error what a listing does not show.
func (p *program) complain(server string, f manual.Folder) manual.Verdict {
	head := "ftpferry: " + server + ":" + pathText(f.Path) + ": "
	if f.Err != nil {
		fmt.Fprintf(p.stderr, "%s%s\n", head, oneLine(f.Err.Error()))
		return manual.Judge(f.Err)
	}
	if f.Incomplete == "" {
		return manual.Done
	}
	fmt.Fprintf(p.stderr, "%snot all may be here: %s\n", head, oneLine(f.Incomplete))
	for _, line := range f.Unparsed[:min(len(f.Unparsed), shownLines)] {
		fmt.Fprintf(p.stderr, "  cannot be read: %q\n", line)
	}
	if more := len(f.Unparsed) - shownLines; more > 0 {
		fmt.Fprintf(p.stderr, "  ... and %s\n", count(more, "line"))
	}
	return manual.NeedsPerson
}

// shownLines is how many lines are shown that nobody can read.
const shownLines = 10

// printFolder prints one listing, under its path where there are several.
func (p *program) printFolder(out *bufio.Writer, f manual.Folder, asked listing, more bool) error {
	if p.json {
		for _, item := range f.Items {
			if err := writeJSON(out, item); err != nil {
				return err
			}
			if err := out.WriteByte('\n'); err != nil {
				return err
			}
		}
		return nil
	}
	if asked.recursive {
		if more {
			out.WriteByte('\n')
		}
		fmt.Fprintf(out, "%s:\n", pathText(f.Path))
	}
	width := 0
	if asked.long {
		for _, item := range f.Items {
			width = max(width, len(sizeText(item)))
		}
	}
	for _, item := range f.Items {
		line := pathText(item.Name())
		if asked.long {
			line = fmt.Sprintf("%s %*s %-20s %s", kindText(item), width, sizeText(item), timeText(item), line)
			if item.Target != "" {
				line += " -> " + pathText(string(item.Target))
			}
		} else if item.Kind == "dir" {
			line += "/"
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// sizeText is a size in bytes, "-" for what has none.
func sizeText(item manual.Item) string {
	if item.Size < 0 {
		return "-"
	}
	return strconv.FormatInt(item.Size, 10)
}

// kindText is as in ls: "drwxr-xr-x", or "d?????????" where the server tells no permissions.
func kindText(item manual.Item) string {
	kind := map[string]string{"file": "-", "dir": "d", "link": "l"}[item.Kind]
	if kind == "" {
		kind = "?"
	}
	mode, err := strconv.ParseUint(item.Mode, 8, 32)
	if err != nil {
		return kind + "?????????"
	}
	text := []byte("rwxrwxrwx")
	for i := range text {
		if mode&(1<<(8-i)) == 0 {
			text[i] = '-'
		}
	}
	for i, special := range []struct {
		bit  uint64
		with string // with and without the right to execute
	}{{0o4000, "sS"}, {0o2000, "sS"}, {0o1000, "tT"}} {
		if mode&special.bit != 0 {
			at := 2 + 3*i
			text[at] = special.with[slices.Index([]bool{true, false}, text[at] == 'x')]
		}
	}
	return kind + string(text)
}

// timeText is as exact as the server tells it.
func timeText(item manual.Item) string {
	if item.Modified.IsZero() {
		return "-"
	}
	layout := "2006-01-02 15:04:05"
	switch precision := time.Duration(item.Precision * float64(time.Second)); {
	case precision >= 24*time.Hour && !item.ZoneUnknown:
		layout = "2006-01-02"
	case precision >= time.Minute:
		layout = "2006-01-02 15:04"
	}
	zone := "Z"
	if item.ZoneUnknown {
		zone = "?"
	}
	return item.Modified.UTC().Format(layout) + zone
}
