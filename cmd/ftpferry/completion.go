package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// completer knows what may stand in one place of a command line.
type completer func(p *program, ctx context.Context) []string

// argumentCompleters are for the words that stand for arguments in the usage of a command; all others name files.
var argumentCompleters = map[string]completer{
	"SYNC":   (*program).syncNames,
	"SERVER": (*program).serverNames,
	"ALERT":  (*program).alertNames,
	"ID":     (*program).openJobs,

	"SERVER[:PATH": (*program).serverPlaces,
	"SERVER:PATH":  (*program).serverPlaces,
}

// flagCompleters are for flags that have a value.
var flagCompleters = map[string]completer{
	"sync":   (*program).syncNames,
	"server": (*program).serverNames,
	"state":  func(*program, context.Context) []string { return jobStates },
}

// jobStates are what --state of the queue takes.
var jobStates = []string{"dead", "running", "due", "waiting"}

// addCompletion has the shell complete names. It goes by the usage and the flags of each command, so that a new command is
// completed as the others are.
func (p *program) addCompletion(c *cobra.Command) {
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = func(c *cobra.Command, before []string, _ string) ([]string, cobra.ShellCompDirective) {
			return p.completeArgument(c, before)
		}
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		complete, ok := flagCompleters[f.Name]
		if !ok || f.Value.Type() != "string" {
			return
		}
		// An error means that the flag is known already: "queue" shares those of "queue list".
		_ = c.RegisterFlagCompletionFunc(f.Name, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return complete(p, c.Context()), cobra.ShellCompDirectiveNoFileComp
		})
	})
	for _, child := range c.Commands() {
		p.addCompletion(child)
	}
}

// completeArgument completes the argument that follows those before.
func (p *program) completeArgument(c *cobra.Command, before []string) ([]string, cobra.ShellCompDirective) {
	words := strings.Fields(c.Use)[1:]
	place := len(before)
	if n := len(words); n > 0 && place >= n && strings.Contains(words[n-1], "...") {
		place = n - 1
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "{ID...") {
		place = 0
	}
	if place >= len(words) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	complete, ok := argumentCompleters[strings.Trim(words[place], "[]{}.")]
	if !ok {
		return nil, cobra.ShellCompDirectiveDefault
	}
	left := slices.DeleteFunc(complete(p, c.Context()), func(choice string) bool {
		name, _, _ := strings.Cut(choice, "\t")
		return slices.Contains(before, name)
	})
	if len(left) > 0 && strings.HasSuffix(left[0], ":") {
		return left, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace // a path follows
	}
	return left, cobra.ShellCompDirectiveNoFileComp
}

// named is the configuration, as far as names go.
func (p *program) named() *config.Config {
	cfg, err := p.loadToLook()
	if err != nil {
		return nil // who completes a line is told nothing
	}
	return cfg
}

func (p *program) syncNames(context.Context) []string {
	cfg := p.named()
	if cfg == nil {
		return nil
	}
	names := map[string]bool{}
	for name, s := range cfg.Syncs {
		names[name], names[s.Family] = true, true
	}
	return slices.Sorted(maps.Keys(names))
}

func (p *program) serverNames(context.Context) []string {
	cfg := p.named()
	if cfg == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(cfg.Servers))
}

// serverPlaces are the servers as paths on them begin.
func (p *program) serverPlaces(ctx context.Context) (places []string) {
	for _, name := range p.serverNames(ctx) {
		places = append(places, name+":")
	}
	return places
}

func (p *program) alertNames(context.Context) []string {
	cfg := p.named()
	if cfg == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(cfg.Alerts))
}

// openJobs are those of the running agent which something can be done about, with what they are.
func (p *program) openJobs(ctx context.Context) (choices []string) {
	cfg := p.named()
	if cfg == nil {
		return nil
	}
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	if err != nil {
		return nil
	}
	_, err = client.Jobs(ctx, control.JobFilter{Limit: shownJobs}, func(job control.Job) error {
		choices = append(choices, fmt.Sprintf("%d\t%s %s: %s", job.ID, job.State, strings.ReplaceAll(job.Kind, "_", " "), oneLine(string(job.Path))))
		return nil
	})
	if err != nil {
		return nil
	}
	return choices
}
