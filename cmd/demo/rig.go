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

const configText = `# Relative paths start in the folder of this file.
[agent]
state_dir      = "state"
shutdown_grace = "200ms"    # short, because a transfer will be cut on purpose

[server.embedded]
address  = "%s"
user     = "%s"
password = "%s"
tls      = "none"           # it does not leave this machine

[sync.site]                 # what changes here goes to the server at once
server     = "embedded"
local      = "local/site"
remote     = "/site"
direction  = "up"
watch      = true
delete     = true
max_delete = 4              # to delete more than that, a person has to approve
settle     = "300ms"

[sync.inbox]                # what appears on the server is fetched
server    = "embedded"
local     = "local/inbox"
remote    = "/inbox"
direction = "down"
schedule  = "@every 1m"     # an FTP server does not announce changes
delete    = true
settle    = "300ms"
`

const yourTurn = `Change, rename and delete files in        %[1]s/local/site
and watch them appear on the server, in   %[1]s/server/site
What you put on the server, into          %[1]s/server/inbox
is fetched within a minute, into          %[1]s/local/inbox
Other clients reach the server at         ftp://%[2]s:%[3]s@%[4]s
Another terminal can ask this agent       go run ./cmd/ftpferry -c %[1]s/agent.toml plan
and let a halted sync go on               go run ./cmd/ftpferry -c %[1]s/agent.toml approve site
Ctrl-C ends the demonstration.
`

// patience is how long a stage may take on a machine that is busy with other things.
const patience = time.Minute

// errEnded: nobody had asked for it. The reason comes from stopAgent.
var errEnded = errors.New("the agent ended by itself")

// demo is everything that is on show.
type demo struct {
	dir    string
	screen screen
	logger *slog.Logger
	pause  time.Duration // for reading what a stage is about
	server *server
	cfg    *config.Config

	agent  *agent.Agent // nil while none runs
	stop   context.CancelFunc
	ended  chan struct{} // closed when the agent's Run has returned result
	result error

	mutex sync.Mutex
	did   tally // in this stage
}

func (d *demo) path(rel string) string { return filepath.Join(d.dir, filepath.FromSlash(rel)) }

// present goes through the show, and lets the user play then, or (once) compares both sides.
func (d *demo) present(ctx context.Context, show []stage, once bool) (err error) {
	if d.server, err = startServer(d.path("server")); err != nil {
		return fmt.Errorf("start the FTP server: %w", err)
	}
	defer d.server.stop()
	if err = d.setUp(); err == nil {
		err = d.play(ctx, show)
	}
	if err == nil && !once {
		err = d.yourTurn(ctx)
	}
	err = errors.Join(err, d.stopAgent())
	if once && err == nil {
		err = d.verdict() // nothing moves any more
	}
	if !once && errors.Is(err, context.Canceled) {
		return nil // Ctrl-C is how it ends
	}
	return err
}

// yourTurn leaves everything running.
func (d *demo) yourTurn(ctx context.Context) error {
	if err := d.verdict(); err != nil {
		return err
	}
	d.screen.headline("Your turn")
	d.screen.Printf(yourTurn, d.dir, user, password, d.server.address)
	select {
	case <-ctx.Done():
		d.screen.Print("\nStopping.")
		return context.Cause(ctx)
	case <-d.ended:
		return errEnded
	}
}

// setUp makes the folders and the configuration.
func (d *demo) setUp() (err error) {
	for _, folder := range []string{"local/site", "local/inbox", "server/site", "server/inbox"} {
		if err := os.MkdirAll(d.path(folder), 0o777); err != nil {
			return err
		}
	}
	file, text := d.path("agent.toml"), fmt.Sprintf(configText, d.server.address, user, password)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	d.screen.headline("This is ftpferry")
	d.screen.Printf("An FTP server inside this program serves the folder server/. An agent keeps local/ and\n"+
		"server/ in step over FTP, as %s says:\n\n%s", file, text)
	d.cfg, err = config.Load(file, os.Getenv)
	return err
}

func (d *demo) play(ctx context.Context, show []stage) error {
	for i, s := range show {
		d.screen.headline(fmt.Sprintf("%d. %s", i, s.headline))
		d.screen.Print(s.story)
		time.Sleep(d.pause)
		d.take()
		began := time.Now()
		err := s.do(ctx, d)
		if err == nil {
			err = d.settle(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.headline, err)
		}
		d.screen.paint(bold, fmt.Sprintf("  => %s in %s, and both sides are equal", d.take(), durationText(time.Since(began))))
	}
	return nil
}

// startAgent starts an agent on the state file; none may be running.
func (d *demo) startAgent(ctx context.Context) error {
	db, err := state.Open(filepath.Join(d.cfg.Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		return err
	}
	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx)) // whoever started it stops it
	d.agent = agent.New(d.cfg, db, agent.Options{Logger: d.logger, Triggers: true, Control: true, Observe: d.observe})
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		d.result = errors.Join(d.agent.Run(ctx), db.Close())
	}()
	return nil
}

// stopAgent stops the agent, if there is one, and returns what came of it.
func (d *demo) stopAgent() error {
	if d.agent == nil {
		return nil
	}
	d.stop()
	<-d.ended
	d.agent, d.ended = nil, nil
	return d.result
}

func (d *demo) observe(a agent.Activity) {
	what, how := wordsOf(a)
	d.screen.paint(colours[what], lineOf(what, how, a))
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.did[what]++
	d.did["bytes"] += a.Bytes
}

// take returns what happened since it was last called.
func (d *demo) take() tally {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	did := d.did
	d.did = tally{}
	return did
}

func (d *demo) happened(what string) bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.did[what] > 0
}

// until waits for what others bring about.
func (d *demo) until(ctx context.Context, what string, isSo func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: not within %s", what, patience))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !isSo() {
		select {
		case <-tick.C:
		case <-d.ended: // never while there is none
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// settle waits until both sides are equal, and for a full pass that has nothing to add.
func (d *demo) settle(ctx context.Context) error {
	err := d.until(ctx, "both sides become equal", func() bool {
		_, differ, err := d.compare()
		return err == nil && len(differ) == 0 // what cannot be read is in motion
	})
	if err != nil {
		return err
	}
	return d.pass(ctx)
}

// pass has the agent look at everything, and waits until nothing is left to do.
func (d *demo) pass(ctx context.Context) error {
	report, err := d.agent.Pass(ctx, nil)
	if err == nil && report.ExitCode() != control.ExitDone {
		err = fmt.Errorf("a full pass leaves something: %+v", report)
	}
	return err
}

// compare shows both sides, and says what differs.
func (d *demo) compare() (view, differ []string, err error) {
	local, localErr := readTree(d.path("local"))
	server, serverErr := readTree(d.path("server"))
	view, differ = compare(local, server)
	return view, differ, errors.Join(localErr, serverErr)
}

// verdict prints both sides; it is an error if they differ.
func (d *demo) verdict() error {
	view, differ, err := d.compare()
	if err != nil {
		return err
	}
	d.screen.headline("Both sides, compared by the SHA-256 of every file")
	for _, line := range append(view, differ...) {
		d.screen.Print(line)
	}
	if len(differ) > 0 {
		return fmt.Errorf("the two sides differ in %d path(s)", len(differ))
	}
	d.screen.paint(bold, "  => equal")
	return nil
}
