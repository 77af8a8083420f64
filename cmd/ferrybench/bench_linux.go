package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// usable says why nothing can be measured here.
func usable() error {
	if os.Geteuid() != 0 {
		return errors.New("networks of its own need root: run it with sudo, or in a container with --privileged")
	}
	return nil
}

// bench is a run of the program.
type bench struct {
	options
	dir      string            // for everything
	root     string            // what servers show
	stateDir string            // for homes of clients, with our state
	programs map[string]string // paths, by their names
	obscured map[string]string // passwords for rclone
	sources  map[string]string // folders of trees below root, by names of trees
	progress io.Writer
	report   report
}

// compare does what the options ask for. The report holds what was done until an error.
func compare(ctx context.Context, o options, progress io.Writer) (report, error) {
	b := &bench{options: o, programs: map[string]string{}, obscured: map[string]string{}, sources: map[string]string{}, progress: progress}
	b.report = report{When: time.Now(), Runs: o.runs, WarmUp: o.warmUp, Machine: machine(), Load: [2]string{load()}}
	err := within(ctx, o.folder, func(s *scope) error {
		b.dir, b.stateDir = s.TempDir(), s.TempDir()
		if o.state != "" {
			folder, err := os.MkdirTemp(o.state, "ferrybench-")
			if err != nil {
				return fmt.Errorf("-state: %w", err)
			}
			s.Cleanup(func() { os.RemoveAll(folder) })
			if b.stateDir, err = filepath.Abs(folder); err != nil {
				return err
			}
		}
		b.root = filepath.Join(b.dir, "root")
		if err := os.Mkdir(b.root, 0o755); err != nil {
			return err
		}
		if err := b.findPrograms(ctx); err != nil {
			return err
		}
		return b.all(ctx)
	})
	b.report.Load[1] = load()
	if err == nil {
		err = b.report.verdict()
	}
	return b.report, err
}

// verdict is an error unless ours has done everything.
func (r report) verdict() error {
	if len(r.Cells) == 0 {
		return fmt.Errorf("nothing was measured: %q", r.LeftOut)
	}
	var failures []error
	for _, c := range r.Cells {
		for _, row := range c.Rows {
			if row.Client == ours && row.Failed != "" {
				failures = append(failures, fmt.Errorf("%s: %s", c.title(), row.Failed))
			}
		}
	}
	return errors.Join(failures...)
}

// findPrograms looks for the clients, builds ours if it was not given, and leaves out those that are not here.
func (b *bench) findPrograms(ctx context.Context) error {
	own := b.binary
	if own == "" {
		own = filepath.Join(b.dir, ours)
		fmt.Fprintln(b.progress, "build ftpferry")
		build := exec.CommandContext(ctx, "go", "build", "-o", own, "github.com/ftpferry/ftpferry/cmd/ftpferry")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as releases are built
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build ftpferry here: %w; -binary takes one that is built: %s", err, output)
		}
	}
	own, err := filepath.Abs(own)
	if err != nil {
		return err
	}
	b.programs[ours] = own
	b.clients = slices.DeleteFunc(slices.Clone(b.clients), func(c client) bool {
		for _, name := range []string{c.programOf(false), c.programOf(true)} {
			if b.programs[name] != "" {
				continue
			}
			path, err := exec.LookPath(name)
			if err != nil {
				b.report.LeftOut = append(b.report.LeftOut, c.name+": "+err.Error())
				return true
			}
			b.programs[name] = path
		}
		b.report.Versions = append(b.report.Versions, fmt.Sprintf("%s: %s; `%s`", c.name, versionOf(ctx, b.programs[c.program], c.version), c.how))
		return false
	})
	return nil
}

// all goes through lines, servers and workloads.
func (b *bench) all(ctx context.Context) error {
	for _, milliseconds := range b.allLines() {
		err := within(ctx, b.dir, func(s *scope) error {
			l := newLine(s, milliseconds)
			for _, name := range b.servers {
				for _, secured := range b.secured {
					if err := b.onServer(ctx, l, milliseconds, name, secured); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// onServer does all workloads on one server. A server that is not here is left out.
func (b *bench) onServer(ctx context.Context, l *line, milliseconds int, name string, secured bool) error {
	err := within(ctx, b.dir, func(s *scope) error {
		real := ftptest.Real(s, name, ftptest.RealOptions{RequireTLS: secured, Root: b.root, Host: l.server, Address: serverAddress})
		b.noteServer(name, l, real)
		y := newYardstick(s, l, secured)
		for _, connections := range b.connections {
			for _, w := range b.works {
				if !b.has(w, milliseconds) {
					continue
				}
				t := w.tree()
				p := &place{
					bench: b, line: l, server: real, work: w, tree: t, bare: y,
					cell: cell{
						Work: w.name, Server: name, Secured: secured, RTT: milliseconds, Connections: connections,
						Files: len(t.files), Bytes: t.bytes(), Unchanged: w.unchanged,
					},
				}
				err := p.measure(ctx)
				if len(p.cell.Rows) > 0 {
					b.report.Cells = append(b.report.Cells, p.cell)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", p.cell.title(), err)
				}
			}
		}
		return nil
	})
	if t, ok := errors.AsType[trouble](err); ok && t.missing {
		b.report.LeftOut = append(b.report.LeftOut, t.text)
		return nil
	}
	return err
}

// source returns the folder with the files of a tree, inside what servers show; its last element is "tree".
func (b *bench) source(t tree) (string, error) {
	if folder := b.sources[t.name]; folder != "" {
		return folder, nil
	}
	fmt.Fprintf(b.progress, "write %s\n", t.name)
	folder := filepath.Join(b.root, fmt.Sprintf("source-%d", len(b.sources)), "tree")
	if err := t.write(folder); err != nil {
		return "", err
	}
	b.sources[t.name] = folder
	return folder, nil
}

// obscure is a password as rclone takes it.
func (b *bench) obscure(ctx context.Context, password string) (string, error) {
	if known := b.obscured[password]; known != "" {
		return known, nil
	}
	command := exec.CommandContext(ctx, b.programs["rclone"], "obscure", password)
	command.Env = append(os.Environ(), "HOME="+b.stateDir)
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("rclone obscure: %w", err)
	}
	b.obscured[password] = firstLine(string(output))
	return b.obscured[password], nil
}
