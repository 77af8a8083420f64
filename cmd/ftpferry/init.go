package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/doctor"
)

// beginning is what init has to know.
type beginning struct {
	server, address, user, passwordEnv, passwordFile string
	tls, tlsCA, tlsPin                               string
	sync, local, remote, direction                   string
	output                                           string
	yes, force, offline                              bool
}

func (p *program) initCommand() *cobra.Command {
	var b beginning
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a first agent.toml for one server and one folder",
		Long: `Writes a first agent.toml. It asks for what no flag tells, if it runs on a terminal
and --yes is not given. It then examines the server as "ftpferry doctor" does, in a
folder that it makes there and removes, and writes the settings that are
right for this server, with their reasons. If something is wrong with the server,
it says what, and writes nothing.

No password is written: the file says in which variable or file it stands. The file is
for its owner alone, and one that is there stays, unless --force replaces it.

Exit codes: 0 written; 1 something is wrong, or the file is there already; 64 something has
not been told; 69 the server is unavailable; 75 interrupted; 78 what was told makes
no configuration.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.init(c.Context(), b) },
	}
	f := c.Flags()
	f.StringVar(&b.server, "name", "", "`name` of the server in the file (default from its address)")
	f.StringVar(&b.address, "server-address", "", "`HOST[:PORT]` of the server")
	f.StringVar(&b.user, "user", "", "`name` of the login (default anonymous)")
	f.StringVar(&b.passwordEnv, "password-env", "", "`VARIABLE` of the environment that holds the password")
	f.StringVar(&b.passwordFile, "password-file", "", "`file` that holds the password")
	f.StringVar(&b.tls, "tls", "explicit", "explicit, implicit or none (everything in clear text)")
	f.StringVar(&b.tlsCA, "tls-ca", "", "`file` with the authority of the server's certificate")
	f.StringVar(&b.tlsPin, "tls-pin", "", "`pin` of the server's key, for a certificate of its own")
	f.StringVar(&b.sync, "sync", "files", "`name` of the sync in the file")
	f.StringVar(&b.local, "local", "", "`folder` here")
	f.StringVar(&b.remote, "remote", "", "`folder` on the server")
	f.StringVar(&b.direction, "direction", "", "up, down or both")
	f.StringVar(&b.output, "output", "agent.toml", "`file` to write")
	f.BoolVarP(&b.yes, "yes", "y", false, "ask nothing")
	f.BoolVarP(&b.force, "force", "f", false, "replace the file")
	f.BoolVar(&b.offline, "offline", false, "do not examine the server")
	return p.withTrace(c)
}

func (p *program) init(ctx context.Context, b beginning) error {
	if _, err := os.Lstat(b.output); err == nil && !b.force {
		return exit{control.ExitNeedsPerson, fmt.Errorf("%s is there already; --force replaces it, --output names another file", b.output)}
	}
	if !b.yes && isTerminal(os.Stdin) {
		if err := b.ask(os.Stdin, p.stderr); err != nil {
			return exit{control.ExitUsage, err}
		}
	}
	if err := b.complete(); err != nil {
		return exit{control.ExitUsage, err}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	section := b.section()
	// The file is read as it will be, from where it will be: relative paths are relative to it.
	cfg, err := p.tried(b, b.text(section))
	if err != nil {
		return err
	}
	if !b.offline {
		stopTrace, err := p.startTrace(cfg)
		if err != nil {
			return err
		}
		defer stopTrace()
		report, err := p.examine(ctx, cfg, b.server, consultation{}, p.logger(cfg, slog.LevelError))
		if err != nil {
			return exit{control.ExitNeedsPerson, err}
		}
		if report.Outcome != doctor.Well {
			fmt.Fprint(p.stdout, report.Text())
			return exit{doctorCodes[report.Outcome], fmt.Errorf("%s was not written, as the server cannot be used so: give other flags (such as --tls none), or --offline, which writes it all the same", b.output)}
		}
		section = b.withPassword(report.TOML)
		if cfg, err = p.tried(b, b.text(section)); err != nil {
			return err
		}
		for _, note := range report.Notes {
			fmt.Fprintf(p.stdout, "%s: %s\n", b.server, oneLine(note))
		}
	}
	if err := writeOwn(b.output, b.text(section), b.force); err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	p.warn(cfg)
	fmt.Fprintf(p.stdout, `%s is written. Next:
  ftpferry -c %[1]s plan     what would be done; nothing is changed
  ftpferry -c %[1]s once     do it once
  ftpferry -c %[1]s run      do it, from now on
`, b.output)
	return nil
}

// question is one that init asks.
type question struct {
	to      *string
	text    string
	usually func() string // the answer without one
}

// ask asks for what no flag has told.
func (b *beginning) ask(from io.Reader, to io.Writer) error {
	answers := bufio.NewScanner(from)
	for _, q := range []question{
		{&b.address, "Address of the server (HOST or HOST:PORT)", func() string { return "" }},
		{&b.user, "User", func() string { return "anonymous" }},
		{&b.passwordEnv, "Variable of the environment that holds the password", b.usualVariable},
		{&b.local, "Folder here", func() string { return "" }},
		{&b.remote, "Folder on the server", func() string { return "/" }},
		{&b.direction, "Direction: up (to the server), down, both", func() string { return "up" }},
	} {
		if *q.to != "" || q.to == &b.passwordEnv && (b.passwordFile != "" || b.user == "anonymous") {
			continue
		}
		usual := q.usually()
		if usual != "" {
			usual = " [" + usual + "]"
		}
		fmt.Fprintf(to, "%s%s: ", q.text, usual)
		if !answers.Scan() {
			return errors.Join(errors.New("no answer"), answers.Err())
		}
		if *q.to = strings.TrimSpace(answers.Text()); *q.to == "" {
			*q.to = q.usually()
		}
	}
	return nil
}

// notInNames is what a name in the file is better without.
var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// serverName is what people may call a server of this address: "example" for ftp.example.com.
func serverName(address string) string {
	host := strings.ToLower(address)
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if labels := strings.Split(host, "."); len(labels) > 2 && strings.Trim(host, "0123456789.") != "" {
		host = labels[len(labels)-2]
	}
	if name := strings.Trim(notInNames.ReplaceAllString(host, "-"), "-"); name != "" && strings.Trim(name, "0123456789-") != "" {
		return name
	}
	return "server"
}

// usualVariable is such as ACME_PASSWORD.
func (b *beginning) usualVariable() string {
	name := b.server
	if name == "" {
		name = serverName(b.address)
	}
	return strings.ToUpper(strings.ReplaceAll(notInNames.ReplaceAllString(strings.ToLower(name), "_"), "-", "_")) + "_PASSWORD"
}

// complete fills in what can be known, and says what is missing.
func (b *beginning) complete() error {
	var missing []string
	for _, needed := range []struct{ value, flag string }{
		{b.address, "--server-address"}, {b.local, "--local"}, {b.remote, "--remote"}, {b.direction, "--direction"},
	} {
		if needed.value == "" {
			missing = append(missing, needed.flag)
		}
	}
	if b.user != "" && b.user != "anonymous" && b.passwordEnv == "" && b.passwordFile == "" {
		missing = append(missing, "--password-env or --password-file")
	}
	if len(missing) > 0 {
		return fmt.Errorf("not told: %s", strings.Join(missing, ", "))
	}
	if b.server == "" {
		b.server = serverName(b.address)
	}
	if b.user == "" {
		b.user = "anonymous"
	}
	// The file may be elsewhere, and paths in it are relative to it.
	for _, path := range []*string{&b.local, &b.passwordFile, &b.tlsCA} {
		if *path == "" {
			continue
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return nil
}

// triggers are what has the sync look. No server tells of its changes.
func (b *beginning) triggers() string {
	text := ""
	if b.direction != string(config.Down) {
		text += "# Changes here are noticed as they happen.\nwatch = true\n"
	}
	if b.direction == string(config.Down) || b.direction == string(config.Both) {
		text += "# How often the server is asked for what has changed there.\npoll = \"5m\"\n"
	}
	return text + "# At three in the morning everything is looked at, on both sides.\nschedule = [\"0 3 * * *\"]\n"
}

// section is that of the server, as it was told.
func (b *beginning) section() string {
	var s strings.Builder
	fmt.Fprintf(&s, "[server.%s]\naddress = %s\nuser = %s\n%stls = %s\n", config.Quote(b.server), config.Quote(b.address), config.Quote(b.user), b.password(), config.Quote(b.tls))
	if b.tlsCA != "" {
		fmt.Fprintf(&s, "tls_ca = %s\n", config.Quote(b.tlsCA))
	}
	if b.tlsPin != "" {
		fmt.Fprintf(&s, "tls_pin = %s\n", config.Quote(b.tlsPin))
	}
	return s.String()
}

// password is the line that says where it stands, "" for none.
func (b *beginning) password() string {
	switch {
	case b.passwordFile != "":
		return fmt.Sprintf("password = { file = %s }\n", config.Quote(b.passwordFile))
	case b.passwordEnv != "":
		return fmt.Sprintf("password = { env = %s }\n", config.Quote(b.passwordEnv))
	}
	return ""
}

// withPassword puts that line into a section of the doctor, which keeps secrets to itself.
func (b *beginning) withPassword(section string) string {
	const without = "# password: as in your configuration\n"
	return strings.Replace(section, without, b.password(), 1)
}

// text is the whole file.
func (b *beginning) text(section string) string {
	return fmt.Sprintf(`# Written by "ftpferry init". What else there is: https://github.com/ftpferry/ftpferry/blob/main/agent.toml
# has every option with its default and the reason for it. "ftpferry check" says what is wrong with this file.

%s
[sync.%s]
server = %s
# What is kept in step: the folder here and the one on the server.
local  = %s
remote = %s
# up: to the server; down: from it; both: what changes on either side goes to the other.
direction = %s
%s# true: what is deleted on one side is deleted on the other. Guards stop a sync that would delete too much.
delete = false
`, strings.TrimRight(section, "\n")+"\n", config.Quote(b.sync), config.Quote(b.server), config.Quote(b.local), config.Quote(b.remote), config.Quote(b.direction), b.triggers())
}

// tried reads a configuration before it is written, from a file beside the one that it will be.
func (p *program) tried(b beginning, text string) (*config.Config, error) {
	file, err := createBeside(b.output)
	if err != nil {
		return nil, exit{control.ExitNeedsPerson, err}
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, exit{control.ExitNeedsPerson, err}
	}
	cfg, err := config.Load(file.Name(), p.env)
	if err != nil {
		told := strings.ReplaceAll(err.Error(), file.Name(), b.output)
		return nil, exit{control.ExitConfiguration, errors.New(told)}
	}
	for i := range cfg.Warnings {
		cfg.Warnings[i].File = b.output
	}
	return cfg, nil
}

// createBeside makes a temporary file beside one that is to be written, for its owner alone.
func createBeside(name string) (*os.File, error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".ftpferry-init-*.toml")
	if reason, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("%s cannot be written: %w", name, reason.Err)
	}
	return file, err
}

// writeOwn writes a file that only its owner can read, whole or not at all.
func writeOwn(name, text string, replace bool) error {
	file, err := createBeside(name)
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if _, err := os.Lstat(name); err == nil && !replace {
		return fmt.Errorf("%s is there already; --force replaces it", name)
	}
	return os.Rename(file.Name(), name)
}
