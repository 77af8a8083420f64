package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) approveCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "approve SYNC",
		Short: "Let a halted sync go on, with what the guard stopped",
		Long: `Ends a halt. The sync may do what the guard has stopped; "ftpferry plan" says
what that is. If the agent is not running, the next "run" or "once" makes that
pass. A pause or a block of the server ends, too.

Of a sync that is not halted, the next full pass may do what "ftpferry plan"
says it WOULD HALT for. A folder that is gone or empty halts it all the same.

Exit codes: 0; 64 there is no such sync; 75 the agent does not answer.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, names []string) error { return p.approve(c.Context(), names[0]) },
	})
}

// approved is what approve prints as JSON.
type approved struct {
	Sync string `json:"sync"`
	// Halted are the syncs of that name that were halted; without any the approval is for a halt to come.
	Halted []string `json:"halted"`
}

func (p *program) approve(ctx context.Context, name string) error {
	result := approved{Sync: name}
	err := p.withOperator(ctx, func(ctx context.Context, s control.Service) error {
		before, err := s.Status(ctx, control.StatusFilter{Syncs: []string{name}, Notes: 1})
		if err != nil {
			return err
		}
		result.Halted = []string{}
		for _, sync := range before.Syncs {
			if stop := sync.Jobs.Stop; stop != nil && stop.By == control.StopHalt {
				result.Halted = append(result.Halted, sync.Sync)
			}
		}
		if a, ok := s.(*agent.Agent); ok {
			return a.ApproveStopped(name)
		}
		return s.Approve(ctx, control.ApproveRequest{Syncs: []string{name}})
	})
	switch {
	case err != nil:
		return err
	case p.json:
		return p.printJSON(result)
	case len(result.Halted) == 0:
		fmt.Fprintf(p.stdout, "%s: was not halted; its next full pass may do what it would halt for\n", oneLine(name))
	default:
		for _, sync := range result.Halted {
			fmt.Fprintf(p.stdout, "%s: approved\n", oneLine(sync))
		}
	}
	return nil
}
