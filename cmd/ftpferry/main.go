// Command ftpferry keeps folders and FTP servers in step.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/service"
	"github.com/ftpferry/ftpferry/state"
)

func main() {
	boundMemory(os.Getenv)
	outlivePipes()
	os.Exit(run(os.Args[1:], service.WithSecrets(os.Getenv), os.Stdout, os.Stderr))
}

// softMemory is from where on the memory of the program is kept small at the cost of time, in bytes. Trees of any size stay far
// below it; it is single folders with some 100,000 names that would take twice as much as they need.
const softMemory = 150 << 20

// boundMemory sets the limit, unless a person has set one.
func boundMemory(env func(string) string) {
	if env("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemory)
	}
}

// program is what all commands share.
type program struct {
	env            func(string) string
	stdout, stderr io.Writer
	configPath     string
	json           bool
	trace          traceAsked
	tracing        *trace                   // nil for none
	logOutput      io.Writer                // of loggers; nil for stderr
	homeOf         func(user string) string // nil for homeOfUser
	// refused are the errors of a configuration of which only the way to the running agent is used; see loadToTalk.
	refused error
}

// exit is an error that carries the exit code; a nil err prints nothing more.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// run is main without the process, for tests.
func run(arguments []string, env func(string) string, stdout, stderr io.Writer) int {
	p := &program{env: env, stdout: stdout, stderr: stderr}
	root := p.command()
	root.SetArgs(arguments)
	return p.exitCode(root.ExecuteContext(context.Background()))
}

// exitCode says what went wrong, and which exit code that is.
func (p *program) exitCode(err error) int {
	if err == nil {
		return control.ExitDone
	}
	var e exit
	if !errors.As(err, &e) {
		// What is not ours comes from the parsing of the command line.
		p.tell(slog.LevelError, fmt.Sprintf("%v\nSee ftpferry --help.", err))
		return control.ExitUsage
	}
	if e.err != nil {
		p.tell(slog.LevelError, e.err.Error())
	}
	return e.code
}

func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "ftpferry",
		Short:         "Keeps folders and FTP servers in step, unattended",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			c.Help()
			return exit{code: control.ExitUsage}
		},
	}
	root.PersistentFlags().StringVarP(&p.configPath, "config", "c", "", "configuration `file` (default $FTPFERRY_CONFIG, ~/.config/ftpferry/agent.toml, /etc/ftpferry/agent.toml)")
	root.AddCommand(p.runCommand(), p.onceCommand(), p.planCommand(), p.statusCommand(), p.eventsCommand(), p.explainCommand(), p.approveCommand(), p.pauseCommand(), p.resumeCommand(), p.reloadCommand(), p.alertCommand(), p.queueCommand(), p.historyCommand(),
		p.stateCommand(), p.lsCommand(), p.getCommand(), p.putCommand(), p.doctorCommand(), p.initCommand(), p.checkCommand(), p.configCommand(), p.healthCommand(), p.serviceCommand(), p.manCommand(), p.versionCommand())
	root.SetOut(p.stdout) // completion keeps it
	root.SetErr(p.stderr)
	root.InitDefaultCompletionCmd()
	p.refuseOthers(root)
	p.addCompletion(root)
	addExamples(root)
	return root
}

// refuseOthers has commands that have some of their own refuse what is none, with the one that may be meant.
func (p *program) refuseOthers(c *cobra.Command) {
	if !c.HasSubCommands() {
		return
	}
	c.SuggestionsMinimumDistance = 2
	c.Args = func(c *cobra.Command, arguments []string) error {
		if len(arguments) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q for %q", arguments[0], c.CommandPath())
		if meant := c.SuggestionsFor(arguments[0]); len(meant) > 0 {
			text += fmt.Sprintf(`; is it "%s"?`, strings.Join(meant, `" or "`))
		}
		return errors.New(text)
	}
	if c.Run == nil && c.RunE == nil {
		c.RunE = func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			c.Help()
			return exit{code: control.ExitUsage}
		}
	}
	for _, child := range c.Commands() {
		p.refuseOthers(child)
	}
}

func (p *program) withJSON(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return c
}

func (p *program) printJSON(v any) error {
	return p.printing(func(out *bufio.Writer) error {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	})
}

// load finds and reads the configuration.
func (p *program) load() (*config.Config, error) { return p.loadBy(config.Load) }

// loadUntil is load for as long as ctx lasts.
func (p *program) loadUntil(ctx context.Context) (*config.Config, error) {
	return p.loadBy(func(path string, env func(string) string) (*config.Config, error) {
		return config.LoadUntil(ctx, path, env)
	})
}

// loadRest is what of a configuration that has errors is good for telling people so.
func (p *program) loadRest() *config.Config {
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return &config.Config{}
	}
	return config.LoadRest(path, p.env)
}

// loadToLook is load for what is done by the running agent, or without a server: it asks for no secrets. See complete.
func (p *program) loadToLook() (*config.Config, error) { return p.loadBy(config.LoadWithoutSecrets) }

func (p *program) loadBy(load func(string, func(string) string) (*config.Config, error)) (*config.Config, error) {
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return nil, exit{control.ExitConfiguration, err}
	}
	cfg, err := load(path, p.env)
	if err != nil {
		return nil, exit{control.ExitConfiguration, err}
	}
	return cfg, nil
}

// complete reads the configuration again, with its secrets, for who is about to connect.
func (p *program) complete(cfg *config.Config) (*config.Config, error) {
	if !cfg.WithoutSecrets {
		return cfg, nil
	}
	return p.load()
}

func (p *program) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings {
		p.tell(slog.LevelWarn, "warning: "+w.String())
	}
}

// serviceError gives errors of the agent their exit code: a wrong name is the caller's, all
// else is for another try.
func serviceError(err error) error {
	if errors.Is(err, control.ErrConfiguration) {
		return exit{control.ExitConfiguration, err}
	}
	if errors.Is(err, control.ErrUnknownSync) || errors.Is(err, control.ErrInvalid) {
		return exit{control.ExitUsage, err}
	}
	var e exit
	if errors.As(err, &e) {
		return err
	}
	return exit{control.ExitUnfinished, err}
}

// stateError gives errors of the state their exit code.
func stateError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, state.ErrLocked):
		return exit{control.ExitUnfinished, err}
	case errors.Is(err, state.ErrNetworkFilesystem):
		return exit{control.ExitConfiguration, err}
	}
	return exit{control.ExitNeedsPerson, err}
}
