package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

const (
	// watchDefault is how often status --watch looks, and watchLeast the shortest time.
	watchDefault = "2s"
	watchLeast   = 100 * time.Millisecond
)

// watchInterval reads the interval. It may be among the names, as in "--watch 5s".
func watchInterval(text string, names []string, cfg *config.Config) (time.Duration, []string, error) {
	isTime := func(name string) bool {
		_, err := config.ParseDuration(name)
		return err == nil && cfg.Syncs[name] == nil
	}
	if i := slices.IndexFunc(names, isTime); i >= 0 && text == watchDefault {
		text, names = names[i], slices.Concat(names[:i], names[i+1:])
	}
	interval, err := config.ParseDuration(text)
	if err != nil || interval < watchLeast {
		return 0, nil, fmt.Errorf("--watch %s: an interval is a time of at least %s, such as 5s", text, watchLeast)
	}
	return interval, names, nil
}

// watchStatus tells how things stand, again and again until a person stops it.
func (p *program) watchStatus(ctx context.Context, names []string, every string) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	interval, names, err := watchInterval(every, names, cfg)
	if err != nil {
		return exit{control.ExitUsage, err}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	for next := time.NewTicker(interval); ; {
		err := p.watchOnce(ctx, cfg, names, interval)
		switch {
		case ctx.Err() != nil, errors.Is(err, errReadEnough):
			return nil
		case err != nil:
			return err
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return nil
		}
	}
}

func (p *program) watchOnce(ctx context.Context, cfg *config.Config, names []string, interval time.Duration) error {
	o, alone, err := p.overview(ctx, cfg, names)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, control.ErrUnknownSync):
		return serviceError(err)
	case err != nil && p.json: // there is nothing to print, and it may pass
		fmt.Fprintf(p.stderr, "ftpferry: %v\n", err)
		return nil
	}
	return p.printingAgain(func(out *bufio.Writer) error {
		if p.json {
			if err := writeJSON(out, o); err != nil {
				return err
			}
			return out.WriteByte('\n')
		}
		now := time.Now()
		columns, rows, isTerminal := windowOf(p.stdout)
		var text bytes.Buffer
		block := bufio.NewWriter(&text)
		fmt.Fprintf(block, "%s, every %s\n", now.Format(time.DateTime), interval)
		if err != nil {
			block.WriteString(wrap("not to be had now: "+oneLine(err.Error()), "", 0))
		} else {
			printOverview(&jobList{out: block, now: now, alone: alone, stateDir: cfg.Agent.StateDir, paint: p.paint()}, o)
		}
		block.Flush()
		if isTerminal {
			_, err = out.WriteString(redraw(text.String(), columns, rows))
		} else {
			_, err = fmt.Fprintf(out, "%s\n", text.Bytes())
		}
		return err
	})
}

// redraw is what puts a text over the one before on a terminal of that size, without flicker: each line clears what was behind it, and
// the last one what was below. A text that is too long ends where the terminal does.
func redraw(text string, columns, rows int) string {
	var b strings.Builder
	b.WriteString("\x1b[H")
	lines := strings.SplitAfter(text, "\n")
	left := max(rows, 2) - 1 // the cursor has one
	for i, line := range lines {
		left -= 1 + max(widthOf(line)-1, 0)/max(columns, 1)
		if more := len(lines) - 1 - i; left < 1 && more > 1 {
			fmt.Fprintf(&b, "... %d more lines\x1b[K\n", more)
			break
		}
		b.WriteString(strings.TrimSuffix(line, "\n"))
		if strings.HasSuffix(line, "\n") {
			b.WriteString("\x1b[K\n")
		}
	}
	b.WriteString("\x1b[J")
	return b.String()
}

// widthOf counts the columns of a line, without what paint has added.
func widthOf(line string) int {
	width := 0
	for line = strings.TrimSuffix(line, "\n"); line != ""; {
		if rest, ok := strings.CutPrefix(line, "\x1b["); ok {
			_, line, _ = strings.Cut(rest, "m")
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		line = line[size:]
		width += columnsOfRune(r)
	}
	return width
}
