package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/service"
)

func (p *program) serviceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "Install the agent as a service of the system",
		Long: `Puts the agent under the service manager of the system: systemd, launchd, or the
service control manager of Windows. The service is "ftpferry run" with the
configuration of this command, and starts with the machine.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			c.Help()
			return exit{code: control.ExitUsage}
		},
	}
	c.AddCommand(p.serviceInstallCommand(), p.serviceUninstallCommand(), p.serviceStatusCommand())
	return c
}

func (p *program) serviceInstallCommand() *cobra.Command {
	user, printOnly := "", false
	c := &cobra.Command{
		Use:   "install",
		Short: "Install the service, for the folders of the configuration",
		Long: `Installs the service; it starts with the machine, and not yet. With systemd it
runs as a user of its own that can change the folders of the configuration and
nothing else: run it again when the folders change. With --user it runs as that
user, who must be able to read the configuration and to get at the folders.

Secrets come from /etc/ftpferry/environment (lines NAME=VALUE) and from the files
in /etc/ftpferry/credentials, which only root needs to be able to read.

Exit codes: 0 installed; 1 it cannot be installed, and why; 78 the configuration
has errors.`,
		Example: `  sudo ftpferry service install
  sudo ftpferry -c /etc/ftpferry/agent.toml service install --user www-data
  ftpferry service install --print`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.installService(user, printOnly) },
	}
	c.Flags().StringVar(&user, "user", "", "run as this `user` instead of one of its own")
	c.Flags().BoolVar(&printOnly, "print", false, "print the unit for systemd and change nothing")
	return c
}

func (p *program) installService(user string, printOnly bool) error {
	env, err := service.Environment(p.env)
	if err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return exit{control.ExitConfiguration, err}
	}
	if path, err = filepath.Abs(path); err != nil {
		return exit{control.ExitConfiguration, err}
	}
	cfg, err := config.Load(path, env)
	if err != nil {
		return exit{control.ExitConfiguration, fmt.Errorf("not installed, the service could not start:\n%w", err)}
	}
	p.warn(cfg)
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return exit{control.ExitNeedsPerson, fmt.Errorf("where this program is: %w", err)}
	}
	install := service.Install{Program: self, Config: path, User: user, Folders: serviceFolders(cfg)}
	if printOnly {
		return p.printUnit(install)
	}
	done, err := install.Do()
	if err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	fmt.Fprintf(p.stdout, "installed: %s, with %s\n", done, path)
	fmt.Fprintf(p.stdout, "next: %s\n", startCommands[runtime.GOOS])
	return nil
}

// startCommands start the service; it is said who does that where, rather than done, as that is when files begin to move.
var startCommands = map[string]string{
	"linux":   "sudo systemctl restart ftpferry, and then sudo ftpferry status",
	"darwin":  "sudo launchctl load /Library/LaunchDaemons/ftpferry.plist, and then sudo ftpferry status",
	"windows": "sc start ftpferry, and then ftpferry status",
}

func (p *program) printUnit(install service.Install) error {
	unit, err := install.Unit()
	if err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	text, err := unit.Render()
	if err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	return p.print(text)
}

// serviceFolders are those that the agent works with, each once, sorted.
func serviceFolders(cfg *config.Config) []service.Folder {
	folders := map[string]service.Folder{cfg.Agent.StateDir: {Path: cfg.Agent.StateDir, Write: true}}
	for _, s := range cfg.Syncs {
		if !s.Enabled {
			continue
		}
		f := folders[s.Local]
		f.Path, f.Write = s.Local, f.Write || s.Direction != config.Up || s.AfterUpload != config.After{}
		folders[s.Local] = f
	}
	return slices.SortedFunc(maps.Values(folders), func(a, b service.Folder) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
}

func (p *program) serviceUninstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the service and take it away; state and configuration stay",
		Long: `Stops the service and takes it away from the service manager. The state, the
configuration and the secrets stay: installed again, it goes on where it was.

Exit codes: 0; 1 it could not be done; 69 it is not installed.`,
		Example: "  sudo ftpferry service uninstall",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch err := service.Uninstall(); {
			case errors.Is(err, service.ErrNotInstalled):
				return exit{control.ExitUnavailable, err}
			case err != nil:
				return exit{control.ExitNeedsPerson, err}
			}
			fmt.Fprintln(p.stdout, "the service is uninstalled; its state and the configuration stay where they are")
			return nil
		},
	}
}

// serviceState is what "service status" prints as JSON.
type serviceState struct {
	Installed bool   `json:"installed"`
	Running   bool   `json:"running"`
	Reason    string `json:"reason,omitempty"`
}

func (p *program) serviceStatusCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "status",
		Short: "Say whether the service is installed and runs",
		Long: `Says what the service manager knows. How the syncs stand says "ftpferry status".

Exit codes: 0 it runs; 1 it is installed and does not run; 69 it is not installed.`,
		Example: "  ftpferry service status --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			running, reason, err := service.Running()
			state := serviceState{Installed: err == nil, Running: running, Reason: reason}
			code, text := control.ExitDone, "the service runs"
			switch {
			case errors.Is(err, service.ErrNotInstalled) || errors.Is(err, service.ErrNoManager):
				code, text, state.Reason = control.ExitUnavailable, err.Error(), err.Error()
			case err != nil:
				return exit{control.ExitNeedsPerson, err}
			case !running:
				code, text = control.ExitNeedsPerson, "the service is installed and does not run"
			}
			if reason != "" {
				text += ": " + reason
			}
			if p.json {
				if err := p.printJSON(state); err != nil {
					return err
				}
			} else {
				fmt.Fprintln(p.stdout, text)
			}
			if code != control.ExitDone {
				return exit{code: code}
			}
			return nil
		},
	})
}
