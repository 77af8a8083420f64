package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) alertCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "alert",
		Short: "Try the ways by which people are told of trouble",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			c.Help()
			return exit{code: control.ExitUsage}
		},
	}
	c.AddCommand(p.withJSON(&cobra.Command{
		Use:   "test [ALERT...]",
		Short: "Send a test message by each alert, and say what came back",
		Long: `Sends a test message by each [alert.NAME] of the configuration, or by those that
are named, once and at once, and says what came back. It needs no running agent.

Exit codes: 0 all were taken; 1 one was not; 64 there is no such alert; 78 the
configuration has errors.`,
		RunE: func(c *cobra.Command, names []string) error { return p.alertTest(c, names) },
	}))
	return c
}

func (p *program) alertTest(c *cobra.Command, names []string) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	channels := cfg.Alerts
	if len(names) > 0 {
		channels = map[string]*config.Alert{}
	}
	for _, name := range names {
		if cfg.Alerts[name] == nil {
			return exit{control.ExitUsage, fmt.Errorf("there is no [alert.%s]; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(cfg.Alerts)), ", "))}
		}
		channels[name] = cfg.Alerts[name]
	}
	if len(channels) == 0 {
		return exit{control.ExitConfiguration, fmt.Errorf("%s has no [alert.NAME]: nobody is told of anything", cfg.Path)}
	}
	teller := alert.NewTeller(channels, alert.Memory{}, time.Now(), slog.New(slog.DiscardHandler))
	results := teller.Tell(c.Context(), alert.EventNotice, alert.Problem{Key: "test", Kind: alert.Test, Text: "this is a test, nothing is wrong"})
	failed := slices.ContainsFunc(results, func(r alert.Result) bool { return r.Error != "" })
	if p.json {
		if err := p.printJSON(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			took := r.Took.Round(time.Millisecond)
			if r.Error != "" {
				fmt.Fprintf(p.stdout, "%s: FAILED after %s: %s\n", r.Channel, took, r.Error)
			} else {
				fmt.Fprintf(p.stdout, "%s: sent in %s%s\n", r.Channel, took, behind(r.Answer))
			}
		}
	}
	if failed {
		return exit{code: control.ExitNeedsPerson}
	}
	return nil
}

// behind is an answer as it stands behind other words.
func behind(answer string) string {
	if answer == "" {
		return ""
	}
	return ", and the answer was: " + answer
}
