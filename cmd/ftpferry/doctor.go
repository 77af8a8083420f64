package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/doctor"
)

// consultation is what the command line of doctor asks for.
type consultation struct {
	folder  string
	verbose bool
}

func (p *program) doctorCommand() *cobra.Command {
	var asked consultation
	c := &cobra.Command{
		Use:   "doctor [SERVER...]",
		Short: "Examine a server: what works, what does not, and what to do about it",
		Long: `Examines servers (all of them without arguments): can it be reached, what protects it, which
data connections get through, who this machine is outside, and what each feature is worth. All of it
is tried, in a folder that is made for it and removed again; other files are not touched. It can be
run beside the running agent, but then how many connections the server takes is not tried.

Exit codes: 0 all is well; 1 something needs a person (the login is refused, the certificate is not
accepted, no data connection gets through); 69 a server is unavailable; 75 interrupted.`,
		RunE: func(c *cobra.Command, names []string) error { return p.doctor(c.Context(), names, asked) },
	}
	c.Flags().StringVar(&asked.folder, "folder", "", "folder on the server to work in (default the remote folder of a sync that goes up, else that of the login)")
	c.Flags().BoolVarP(&asked.verbose, "verbose", "v", false, "log every command and reply, without passwords")
	return p.withJSON(p.withTrace(c))
}

func (p *program) doctor(ctx context.Context, names []string, asked consultation) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	p.warn(cfg)
	stopTrace, err := p.startTrace(cfg)
	if err != nil {
		return err
	}
	defer stopTrace()
	if names, err = serverNames(cfg, names); err != nil {
		return err
	}
	level := slog.LevelError
	if asked.verbose {
		level = slog.LevelDebug
	}
	logger := p.logger(cfg, level)
	ctx, stop := interruptible(ctx)
	defer stop()
	worst, reports := doctor.Well, []doctor.Report{}
	for i, name := range names {
		if ctx.Err() != nil && i > 0 {
			break
		}
		report, err := p.examine(ctx, cfg, name, asked, logger)
		if err != nil {
			return exit{control.ExitNeedsPerson, err}
		}
		worst = doctor.Worst(worst, report.Outcome)
		reports = append(reports, report)
		if !p.json {
			if i > 0 {
				fmt.Fprintln(p.stdout)
			}
			fmt.Fprint(p.stdout, report.Text())
		}
	}
	if p.json {
		if err := p.printJSON(reports); err != nil {
			return err
		}
	}
	if worst != doctor.Well {
		return exit{code: doctorCodes[worst]}
	}
	return nil
}

var doctorCodes = map[doctor.Outcome]int{
	doctor.Interrupted: control.ExitUnfinished,
	doctor.Unavailable: control.ExitUnavailable,
	doctor.NeedsPerson: control.ExitNeedsPerson,
}

// serverNames checks names, and returns all there are for none.
func serverNames(cfg *config.Config, names []string) ([]string, error) {
	var known []string
	for name := range cfg.Servers {
		known = append(known, name)
	}
	slices.Sort(known)
	if len(known) == 0 {
		return nil, exit{control.ExitConfiguration, fmt.Errorf("%s: there is no [server.NAME] to examine", cfg.Path)}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, exit{control.ExitUsage, fmt.Errorf("there is no server %q in %s; there are: %s", name, cfg.Path, strings.Join(known, ", "))}
		}
	}
	if len(names) == 0 {
		return known, nil
	}
	return names, nil
}

func (p *program) examine(ctx context.Context, cfg *config.Config, name string, asked consultation, logger *slog.Logger) (doctor.Report, error) {
	server := cfg.Servers[name]
	patient := doctor.Patient{Server: server, Client: agent.ClientOptions(server, logger.With("server", name))}
	patient.Folders, patient.Writes = scratchFolders(cfg, name)
	if asked.folder != "" {
		patient.Folders = []string{asked.folder}
	}
	if _, err := control.Dial(ctx, cfg.Agent.StateDir); err == nil {
		patient.Beside = true
	}
	if isTerminal(p.stderr) && !asked.verbose {
		patient.Progress = func(what string) { fmt.Fprintf(p.stderr, "ftpferry: %s: %s\n", name, what) }
	}
	return doctor.Consult(ctx, patient, cfg.Agent.AddressSources, logger)
}

// scratchFolders are where the doctor may make its folder, the first that lets it: where syncs
// upload to, since that is what it is about, or where the login leads to.
func scratchFolders(cfg *config.Config, server string) (folders []string, writes bool) {
	for _, s := range cfg.Syncs {
		if s.Server == server && s.Enabled && s.Direction != config.Down {
			folders = append(folders, s.Remote)
		}
	}
	slices.Sort(folders)
	return append(folders, ""), len(folders) > 0
}
