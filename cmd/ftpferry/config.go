package main

import (
	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration as it is in effect, or its schema for editors",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			c.Help()
			return exit{code: control.ExitUsage}
		},
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration with all defaults and included files",
		Long: `Prints what is in effect: every option, whether it was written or goes without saying, of all
files, with whole paths. It is a configuration file itself. Secrets that stand in a file are
"[redacted]"; of others it is said where they come from, and they are not asked for.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.showConfiguration() },
	}
	schema := &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON schema of agent.toml, for editors",
		Long: `Prints a JSON schema (draft 2020-12). Editors that know Taplo or Tombi, such as VS Code with
"Even Better TOML", complete and check agent.toml by it if that begins with the line
"#:schema ./agent.schema.json" and the schema is beside it.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.print(string(config.Schema()))
		},
	}
	c.AddCommand(p.withJSON(show), schema)
	return c
}

func (p *program) showConfiguration() error {
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return exit{control.ExitConfiguration, err}
	}
	effective, err := config.LoadEffective(path, p.env)
	if err != nil {
		return exit{control.ExitConfiguration, err}
	}
	if p.json {
		return p.printJSON(effective)
	}
	p.warn(effective.Config)
	return p.print(effective.TOML())
}
