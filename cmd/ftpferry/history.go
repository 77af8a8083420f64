package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

func (p *program) historyCommand() *cobra.Command {
	filter := control.HistoryFilter{}
	since, path := "", ""
	c := &cobra.Command{
		Use:   "history",
		Short: "Tell what was transferred and deleted, what failed, and which conflicts there were",
		Long: `Tells what was done, oldest first: one row per finished transfer, delete,
conflict and failure. Of the failures of one job that is tried again and again
it has the first, the second, the fourth, the eighth and so on, and the one that
it died of. That a server cannot be used, has refused the login, or that there
is no room, is told once, and once when it is over ("working again"). Such rows
of a server are of no sync: --sync leaves them out. How far back it goes is a matter of configuration (agent.history).

--json prints one object per line. A pattern for --path is that of "ftpferry
queue".

Exit codes: 0; 64 a name that is neither configured nor in the history; 75 the
agent ended meanwhile, and this is not all.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if filter.Since, err = sinceTime(since, time.Now()); err != nil {
				return exit{control.ExitUsage, err}
			}
			filter.Path = state.Text(path)
			return p.history(c.Context(), filter)
		},
	}
	c.Flags().StringVar(&since, "since", "", "only rows from this `time` on: 24h or 7d ago, 15:04, 2006-01-02, or RFC 3339")
	c.Flags().StringVar(&filter.Sync, "sync", "", "only rows of this `sync`")
	c.Flags().StringVar(&path, "path", "", "only rows on paths that the `pattern` matches, and on what is below them")
	c.Flags().IntVar(&filter.Limit, "limit", 0, "only the last so many `rows`; 0: all")
	return p.withJSON(c)
}

// sinceTime reads a time that is given as such, as a day, or as a while before now.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := config.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if clock, err := time.ParseInLocation("15:04", text, now.Location()); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
		if at.After(now) {
			at = at.AddDate(0, 0, -1)
		}
		return at, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf(`--since %q is no time: write how long ago ("24h", "7d"), a time of the last 24 hours ("15:04"), a day ("2006-01-02"), or RFC 3339 ("2006-01-02T15:04:05Z")`, text)
}

func (p *program) history(ctx context.Context, filter control.HistoryFilter) error {
	if filter.Limit < 0 {
		return exit{control.ExitUsage, fmt.Errorf("--limit %d is negative; 0 means all", filter.Limit)}
	}
	cfg, err := p.loadToTalk(ctx)
	if err == nil {
		filter.Sync, filter.Path, err = localPattern(cfg, filter.Sync, filter.Path)
	}
	if err != nil {
		return err
	}
	return p.printing(func(out *bufio.Writer) error {
		rows := 0
		err := p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, _ *state.DB) error {
			err := s.History(ctx, filter, func(row control.HistoryRow) error {
				rows++
				if !p.json {
					_, err := out.WriteString(historyLine(row))
					return err
				}
				if err := writeJSON(out, row); err != nil {
					return err
				}
				return out.WriteByte('\n')
			})
			return notAgain(err, rows > 0)
		})
		if err != nil {
			return serviceError(err)
		}
		if rows == 0 {
			return checkNames(cfg, filter.Sync, "")
		}
		return nil
	})
}

// historyLine is a row for people.
func historyLine(row control.HistoryRow) string {
	var b strings.Builder
	what := fmt.Sprintf("%-8s %s", row.Result, oneLine(strings.ReplaceAll(row.Op, "_", " ")))
	fmt.Fprintf(&b, "%s %-23s ", row.When.Local().Format(time.DateTime), what)
	if row.Sync == "" {
		fmt.Fprintf(&b, "server %s", oneLine(row.Server))
	} else {
		fmt.Fprintf(&b, "%s: %s", oneLine(row.Sync), pathText(string(row.Path)))
	}
	var parts []string
	if row.Result == "working again" || row.Result == "approved" {
		parts = append(parts, "after "+time.Duration(row.TookMS*float64(time.Millisecond)).Round(time.Second).String())
	}
	if row.Bytes > 0 {
		took := time.Duration(row.TookMS * float64(time.Millisecond)).Round(time.Millisecond)
		parts = append(parts, bytesText(row.Bytes)+" in "+took.String())
	}
	if row.Data != "" {
		parts = append(parts, "by "+oneLine(row.Data))
	}
	if row.Result == "done" && row.Verified != "" {
		parts = append(parts, "verified by "+oneLine(row.Verified))
	}
	if row.Tries > 1 {
		parts = append(parts, fmt.Sprintf("%d tries", row.Tries))
	}
	if row.Error != "" {
		reason, _, _ := strings.Cut(row.Error, "\n")
		parts = append(parts, oneLine(reason))
	}
	if len(parts) > 0 {
		b.WriteString("  (" + strings.Join(parts, "; ") + ")")
	}
	b.WriteString("\n")
	return b.String()
}
