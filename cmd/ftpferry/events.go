package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) eventsCommand() *cobra.Command {
	sync, last := "", uint64(10)
	c := &cobra.Command{
		Use:   "events",
		Short: "Tell what a running agent does, while it does it",
		Long: `Tells what happens in the running agent, until Ctrl+C: what was noticed, looked
at, queued, transferred, retried, halted, paused. First come the last ones of
some 1,000 that the agent remembers; what has been transferred before is in
"ftpferry history". "lost" says how many events came too fast to be read. An
agent that starts again is followed.

--json prints one object per line. With --sync what is of a server alone is
left out.

Exit codes: 0 after Ctrl+C; 64 a name that is not configured; 75 no agent is
running.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.events(c.Context(), sync, last) },
	}
	c.Flags().StringVar(&sync, "sync", "", "only events of this `sync`")
	c.Flags().Uint64Var(&last, "last", last, "begin with the last so many `events`; 0: only new ones")
	return p.withJSON(c)
}

func (p *program) events(ctx context.Context, sync string, last uint64) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	if err := checkNames(cfg, sync, ""); err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	show := p.paint()
	err = followEvents(ctx, cfg, control.EventsLast(last), func(e control.Event) error {
		if sync != "" && e.Sync != sync && (cfg.Syncs[e.Sync] == nil || cfg.Syncs[e.Sync].Family != sync) && e.Kind != control.EventLost {
			return nil
		}
		if p.json {
			if err := writeJSON(p.stdout, e); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.stdout)
			return err
		}
		_, err := fmt.Fprintln(p.stdout, eventText(e, show))
		return err
	})
	switch {
	case ctx.Err() != nil, errors.Is(err, syscall.EPIPE): // a person has seen enough
		return nil
	case errors.Is(err, control.ErrNotRunning):
		return exit{control.ExitUnfinished, fmt.Errorf("%w; it is started by: ftpferry run", err)}
	case errors.Is(err, control.ErrNotAllowed):
		return exit{control.ExitNeedsPerson, err}
	}
	return serviceError(err)
}

// followEvents calls each for the events of the running agent, and of those that come after it.
func followEvents(ctx context.Context, cfg *config.Config, after uint64, each func(control.Event) error) error {
	for tries := 0; ; tries++ {
		client, err := control.Dial(ctx, cfg.Agent.StateDir)
		if err == nil {
			tries = 1
			err = client.Events(ctx, after, func(e control.Event) error {
				after = e.ID
				return each(e)
			})
		}
		gone := errors.Is(err, control.ErrNotRunning) || errors.Is(err, control.ErrNoAnswer)
		again := errors.Is(err, control.ErrGone) || gone && tries > 0
		if !again || tries > followTries {
			return err
		}
		select {
		case <-time.After(serviceRetry):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// followTries is how often another agent is looked for when one has ended.
const followTries = 25

// eventText is an event in one line for people.
func eventText(e control.Event, show paint) string {
	var parts []string
	for _, part := range []string{strings.ReplaceAll(e.Action, "_", " "), pathOrNothing(e), oneLine(e.Text)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	about := oneLine(e.Sync)
	if about == "" && e.Server != "" {
		about = "server " + oneLine(e.Server)
	}
	text := strings.Join(parts, " ")
	if e.Kind == control.EventLost {
		text = fmt.Sprintf("%d events came too fast to be read", e.Missed)
	}
	if about != "" {
		about += ": "
	}
	if e.Bytes > 0 {
		text += fmt.Sprintf(" [%s in %s]", bytesText(e.Bytes), (time.Duration(e.TookMS) * time.Millisecond).Round(10*time.Millisecond))
	}
	return fmt.Sprintf("%s %s%s%s", e.When.Local().Format(time.DateTime), show.in(colorOfEvent(e.Kind), fmt.Sprintf("%-10s", e.Kind)), about, text)
}

func pathOrNothing(e control.Event) string {
	if e.Path == "" {
		return ""
	}
	return pathText(string(e.Path))
}

func colorOfEvent(kind string) color {
	switch {
	case slices.Contains([]string{"dead", "halted", "alert"}, kind):
		return red
	case slices.Contains([]string{"retry", "paused", "held", "stale", "missed", "address"}, kind):
		return yellow
	case kind == "done" || kind == "cleared":
		return green
	}
	return plain
}
