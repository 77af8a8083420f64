// Command ferrybench measures ftpferry side by side with other FTP clients, on real servers and on lines with a delay. See
// docs/BENCHMARKS.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ftpferry/ftpferry/agent/control"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// program is main without the process, for tests. It returns the exit code.
func program(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(arguments, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return control.ExitDone
	case err != nil:
		return control.ExitUsage
	case o.list:
		fmt.Fprint(stdout, listText())
		return control.ExitDone
	}
	if o.render != "" {
		if err := render(o, stdout); err != nil {
			fmt.Fprintf(stderr, "ferrybench: -render: %v\n", err)
			return control.ExitUsage
		}
		return control.ExitDone
	}
	if err := usable(); err != nil {
		fmt.Fprintf(stderr, "ferrybench: %v\n", err)
		return control.ExitUsage
	}
	r, err := compare(ctx, o, stderr)
	r.Command = strings.Join(append([]string{"ferrybench"}, arguments...), " ")
	if len(r.Cells) > 0 {
		err = errors.Join(err, r.write(stdout, o.json))
	}
	if err != nil {
		fmt.Fprintf(stderr, "ferrybench: %v\n", err)
		return control.ExitNeedsPerson
	}
	return control.ExitDone
}

// render prints a report that was made before.
func render(o options, stdout io.Writer) error {
	text, err := os.ReadFile(o.render)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", o.render, err)
	}
	return r.write(stdout, o.json)
}

func (r report) write(w io.Writer, asJSON bool) error {
	if !asJSON {
		return r.writeMarkdown(w)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
