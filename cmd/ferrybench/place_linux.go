package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// place is where one cell is filled: a workload on a server that runs.
type place struct {
	*bench
	line   *line
	server *ftptest.RealServer
	work   work
	tree   tree
	bare   *yardstick
	cell   cell

	source string // folder of the files
	there  string // folder on the server that holds them already, with [work.unchanged]
	homes  string // folder for the homes of clients
}

// participant is a client in this cell, or the bare copy where it has no command.
type participant struct {
	client
	row  *row
	home string // what it has learned there it knows in its next run; "" for a new one each time
}

// measure has all clients do their work in turns, until each has all its runs or has failed.
func (p *place) measure(ctx context.Context) (err error) {
	if p.source, err = p.bench.source(p.tree); err != nil {
		return err
	}
	if p.homes, err = os.MkdirTemp(p.stateDir, "homes-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.homes)
	if p.work.unchanged {
		there, err := os.MkdirTemp(p.root, "unchanged-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(there)
		p.there = filepath.Join(there, "tree")
		if err := copyTree(p.source, p.there); err != nil {
			return err
		}
	}
	participants, err := p.participants()
	if err != nil {
		return err
	}
	for round := -p.warmUp; round < p.runs; round++ {
		for i := range participants {
			// Another one begins each time.
			who := participants[(i+round+p.warmUp)%len(participants)]
			if who.row.Failed != "" {
				continue
			}
			if err := p.turn(ctx, who, round); err != nil {
				return err
			}
		}
	}
	return nil
}

// participants are those that take part, with their rows.
func (p *place) participants() ([]participant, error) {
	var all []participant
	for _, c := range p.clients {
		if c.refuses(p.work, p.cell.Secured) != "" {
			continue
		}
		who := participant{client: c}
		if p.work.unchanged {
			who.home = filepath.Join(p.homes, c.name)
			if err := os.Mkdir(who.home, 0o700); err != nil {
				return nil, err
			}
		}
		all = append(all, who)
		p.cell.Rows = append(p.cell.Rows, row{Client: c.name, Single: c.one})
	}
	if !p.work.unchanged {
		all = append(all, participant{client: client{name: bareName}})
		p.cell.Rows = append(p.cell.Rows, row{Client: bareName, Bare: true})
	}
	for i := range all {
		all[i].row = &p.cell.Rows[i]
	}
	return all, nil
}

// turn is one run of one client. An error is one of this program; those of clients are in the row.
func (p *place) turn(ctx context.Context, who participant, round int) error {
	if p.work.unchanged && who.remembers && round == -p.warmUp {
		// What it has never seen cannot be unchanged.
		if _, failure, err := p.run(ctx, who); failure != nil || err != nil {
			return p.settle(ctx, who, run{}, failure, err, "before the first")
		}
	}
	what := fmt.Sprintf("%d of %d", round+1, p.runs)
	if round < 0 {
		what = "to warm up"
	}
	done, failure, err := p.run(ctx, who)
	if failure == nil && err == nil && round >= 0 {
		who.row.Runs = append(who.row.Runs, done)
	}
	return p.settle(ctx, who, done, failure, err, what)
}

// settle notes a failure and tells of the run.
func (p *place) settle(ctx context.Context, who participant, done run, failure, err error, what string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	outcome := figure(done.Wall.Seconds()) + " s"
	if failure != nil {
		who.row.Failed = fmt.Sprintf("run %s: %v", what, failure)
		outcome = "FAILED: " + failure.Error()
	}
	fmt.Fprintf(p.progress, "%s: %s, run %s: %s\n", p.cell.title(), who.name, what, outcome)
	return nil
}

// run lets a client do the work once, and looks at what it has made.
func (p *place) run(ctx context.Context, who participant) (done run, failure, err error) {
	here, err := os.MkdirTemp(p.dir, "run-")
	if err != nil {
		return run{}, nil, err
	}
	defer os.RemoveAll(here)
	there, err := os.MkdirTemp(p.root, "run-")
	if err != nil {
		return run{}, nil, err
	}
	defer os.RemoveAll(there)
	local, remote, target := p.source, filepath.Join(there, "tree"), filepath.Join(there, "tree")
	switch {
	case p.work.unchanged:
		remote, target = p.there, p.there
	case p.work.down:
		local, remote, target = filepath.Join(here, "tree"), p.source, filepath.Join(here, "tree")
	}
	for _, folder := range []string{there, target} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return run{}, nil, err
		}
		// MkdirTemp lets nobody else in.
		if err := os.Chmod(folder, 0o755); err != nil {
			return run{}, nil, err
		}
	}
	if who.command == nil {
		ctx, cancel := context.WithTimeout(ctx, p.limit)
		defer cancel()
		wall, failure := p.bare.copy(ctx, p.source, target, p.tree, p.work.down)
		return run{Wall: wall}, failure, nil
	}
	home := who.home
	if home == "" {
		if home, err = os.MkdirTemp(p.homes, ""); err != nil {
			return run{}, nil, err
		}
		defer os.RemoveAll(home)
	}
	command, err := p.command(ctx, who.client, home, local, remote)
	if err != nil {
		return run{}, nil, err
	}
	packets, err := startCapture(p.line)
	if err != nil {
		return run{}, nil, err
	}
	used, failure := measure(ctx, p.line.client, command, here, p.limit)
	seen, err := packets.finish()
	if failure == nil && err == nil {
		done = run{Wall: used.Wall, CPU: used.CPU, Peak: used.Peak, counts: seen}
		done.TimesKept, failure = verify(p.source, target, p.tree.files)
	}
	return done, failure, err
}

// command prepares a client's home and returns how it is run.
func (p *place) command(ctx context.Context, c client, home, local, remote string) (*exec.Cmd, error) {
	below, err := filepath.Rel(p.root, remote)
	if err != nil {
		return nil, err
	}
	j := job{
		host: serverAddress, user: p.server.User, password: p.server.Password, caFile: p.server.CAFile,
		local: local, remote: "/" + filepath.ToSlash(below), down: p.work.down, recheck: p.work.recheck, connections: p.cell.Connections,
		files: p.tree.files, scratch: home,
	}
	if c.program == "rclone" {
		if j.obscured, err = p.obscure(ctx, j.password); err != nil {
			return nil, err
		}
	}
	how := c.command(j)
	for name, text := range how.files {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	command := exec.Command(p.programs[c.programOf(p.work.down)], how.arguments...)
	command.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	command.Dir = home
	return command, nil
}
