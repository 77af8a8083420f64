package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

const (
	configName = "agent.toml"
	// patience is how long a stage may take on a machine that is busy with other things.
	patience = time.Minute
	// look is how often a stage looks whether it is over.
	look = 25 * time.Millisecond
)

const configText = `# Relative paths start in the folder of this file.
[agent]
state_dir      = "state"
shutdown_grace = "200ms"    # short, because we will cut a transfer on purpose

[server.embedded]
address  = "%s"
user     = "%s"
password = "%s"
tls      = "none"           # it does not leave this machine

[sync.site]                 # local changes go to the server at once
server     = "embedded"
local      = "local/site"
remote     = "/site"
direction  = "up"
watch      = true
delete     = true
max_delete = 4              # more than that, and a person has to approve
settle     = "300ms"

[sync.inbox]                # what appears on the server is fetched
server     = "embedded"
local      = "local/inbox"
remote     = "/inbox"
direction  = "down"
schedule   = "@every 1m"    # an FTP server does not announce changes
delete     = true
settle     = "300ms"
`

// demo is everything that is on show.
type demo struct {
	dir    string
	screen *screen
	logger *slog.Logger
	pause  time.Duration // between a headline and what it is about
	cfg    *config.Config

	server  *server
	running *running // the agent, nil while there is none

	mutex sync.Mutex
	tally tally // of the current stage
}

// running is an agent that runs. ended is closed when it does not any more; err says why then.
type running struct {
	agent *agent.Agent
	stop  context.CancelFunc
	ended chan struct{}
	err   error
}

func (d *demo) path(rel string) string { return filepath.Join(d.dir, filepath.FromSlash(rel)) }

// setUp makes the folders, the server and the configuration.
func (d *demo) setUp() error {
	for _, folder := range []string{"local/site", "local/inbox", "server/site", "server/inbox"} {
		if err := os.MkdirAll(d.path(folder), 0o777); err != nil {
			return err
		}
	}
	var err error
	if d.server, err = startServer(d.path("server")); err != nil {
		return fmt.Errorf("start the FTP server: %w", err)
	}
	text := fmt.Sprintf(configText, d.server.address, user, password)
	if err := os.WriteFile(d.path(configName), []byte(text), 0o600); err != nil {
		return err
	}
	d.screen.headline("This is ftpferry")
	d.screen.say("An FTP server runs inside this program and serves the folder server/. An agent keeps\n"+
		"local/ and server/ in step over FTP, as %s tells it:\n", d.path(configName))
	d.screen.quote(text)
	d.cfg, err = config.Load(d.path(configName), os.Getenv)
	return err
}

// play goes through the stages.
func (d *demo) play(ctx context.Context, show []stage) error {
	if err := d.setUp(); err != nil {
		return err
	}
	if err := d.startAgent(ctx); err != nil {
		return err
	}
	for i, s := range show {
		d.screen.headline(fmt.Sprintf("%d. %s", i+1, s.headline))
		if s.story != "" {
			d.screen.say("%s", s.story)
		}
		select {
		case <-time.After(d.pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		d.takeTally()
		began := time.Now()
		if err := s.do(ctx, d); err != nil {
			return fmt.Errorf("stage %q: %w", s.headline, err)
		}
		d.screen.summary(d.takeTally(), time.Since(began))
	}
	return nil
}

// startAgent starts an agent on the state file; there is none yet, or the last one was stopped.
func (d *demo) startAgent(ctx context.Context) error {
	db, err := state.Open(filepath.Join(d.cfg.Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &running{stop: stop, ended: make(chan struct{})}
	r.agent = agent.New(d.cfg, db, agent.Options{Logger: d.logger, Triggers: true, Control: true, Observe: d.observe})
	go func() {
		defer close(r.ended)
		r.err = errors.Join(r.agent.Run(ctx), db.Close())
	}()
	d.running = r
	return nil
}

// stopAgent stops the agent, if there is one, and returns what Run did.
func (d *demo) stopAgent() error {
	if d.running == nil {
		return nil
	}
	d.running.stop()
	<-d.running.ended
	err := d.running.err
	d.running = nil
	return err
}

func (d *demo) observe(a agent.Activity) {
	d.mutex.Lock()
	d.tally.add(a)
	d.mutex.Unlock()
	d.screen.activity(a)
}

// takeTally returns what was counted since it was last called.
func (d *demo) takeTally() tally {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	counted := d.tally
	d.tally = tally{}
	return counted
}

func (d *demo) halted() bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.tally.halted
}

// until waits for something that others bring about.
func (d *demo) until(ctx context.Context, what string, isSo func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: not within %s", what, patience))
	defer cancel()
	var ended chan struct{} // nil, and never ready, while no agent is wanted
	if d.running != nil {
		ended = d.running.ended
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !isSo() {
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("%s: the agent ended: %w", what, errors.Join(d.running.err, context.Cause(ctx)))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// settle waits until both sides are equal, and then for a full pass, which must find nothing that is left to do.
func (d *demo) settle(ctx context.Context) error {
	if err := d.until(ctx, "both sides become equal", d.equal); err != nil {
		return err
	}
	return d.pass(ctx)
}

// pass has the agent look at everything, and waits until it has done what there is to do.
func (d *demo) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	report, err := d.running.agent.Pass(ctx, nil)
	if err == nil && report.ExitCode() != control.ExitDone {
		err = fmt.Errorf("a full pass leaves something: %+v", report)
	}
	return err
}

// trees reads both sides, with the files' content or without.
func (d *demo) trees(withContent bool) (local, server tree, err error) {
	if local, err = readTree(d.path("local"), withContent); err != nil {
		return nil, nil, err
	}
	server, err = readTree(d.path("server"), withContent)
	return local, server, err
}

// equal reports whether both sides are equal by content. What cannot be read is in motion.
func (d *demo) equal() bool {
	for _, withContent := range []bool{false, true} { // the second is dear
		local, server, err := d.trees(withContent)
		if err != nil || len(differences(local, server)) > 0 {
			return false
		}
	}
	return true
}

// verdict shows both sides; it is an error if they differ.
func (d *demo) verdict() error {
	local, server, err := d.trees(true)
	if err != nil {
		return err
	}
	d.screen.headline("Both sides, compared by the SHA-256 of every file")
	for _, line := range sideBySide(local, server) {
		d.screen.say("%s", line)
	}
	found := differences(local, server)
	if len(found) == 0 {
		d.screen.say("\nEqual: %s on both sides.", plural(len(local), "path"))
		return nil
	}
	d.screen.say("\nNot equal:")
	for _, line := range found {
		d.screen.say("  %s", line)
	}
	return fmt.Errorf("both sides differ in %s", plural(len(found), "path"))
}
