package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

func (p *program) stateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "Look after the state file",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			c.Help()
			return exit{code: control.ExitUsage}
		},
	}
	c.AddCommand(p.backupCommand())
	return c
}

func (p *program) backupCommand() *cobra.Command {
	force := false
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the state to a file, also while the agent works",
		Long: `Writes a consistent copy of the state to FILE (mode 0600), also while the agent
works. FILE shows up when it is complete: until then it is made in a folder
beside it, .ftpferry-backup-*. What a backup that was killed has left there is
removed by the next one into the same folder, a quarter of an hour later.

To restore it: stop the agent, copy FILE to agent.db in the state folder, and
start the agent. What happened since the copy was made is found again by the
next full scan.

Exit codes: 0 done; 1 it could not be written, or FILE is there already; 75 the
agent ended meanwhile.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, arguments []string) error { return p.backup(c.Context(), arguments[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "replace FILE")
	return c
}

func (p *program) backup(ctx context.Context, path string, force bool) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	if err := mayWrite(cfg, path, force); err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	removeAbandoned(filepath.Dir(path), time.Now())
	// Beside it, so that the rename stays on one file system; in a folder, so that nobody else knows the name.
	folder, err := os.MkdirTemp(filepath.Dir(path), backupFolder)
	if err != nil {
		return exit{control.ExitNeedsPerson, fmt.Errorf("backup: %w", err)}
	}
	defer os.RemoveAll(folder)
	temp := filepath.Join(folder, "backup")
	size, err := p.copyState(ctx, cfg, temp)
	var known exit
	switch {
	case err == nil:
	case errors.Is(err, control.ErrGone), errors.As(err, &known):
		return serviceError(err)
	default:
		return exit{control.ExitNeedsPerson, fmt.Errorf("backup: %w", err)}
	}
	if err = mayWrite(cfg, path, force); err == nil {
		if err = os.Rename(temp, path); err == nil {
			err = syncFolder(filepath.Dir(path))
		}
	}
	if err != nil {
		return exit{control.ExitNeedsPerson, fmt.Errorf("backup: %w", err)}
	}
	fmt.Fprintf(p.stdout, "%s: %s\n", path, bytesText(size))
	return nil
}

const (
	backupFolder = ".ftpferry-backup-*"
	// abandoned is how long nothing was written for where nobody writes any more: a backup that works writes all the time.
	abandoned = 15 * time.Minute
)

// removeAbandoned removes what backups have left in a folder that were killed. What cannot be removed takes up room and is no reason
// to have no backup.
func removeAbandoned(folder string, now time.Time) {
	left, _ := os.ReadDir(folder) // an error is met again by who makes a file there
	for _, entry := range left {
		path := filepath.Join(folder, entry.Name())
		if ours, _ := filepath.Match(backupFolder, entry.Name()); !ours || !entry.IsDir() {
			continue
		}
		latest := time.Time{}
		err := filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.ModTime().After(latest) {
				latest = info.ModTime()
			}
			return err
		})
		if err == nil && now.Sub(latest) > abandoned {
			_ = os.RemoveAll(path)
		}
	}
}

// mayWrite refuses to replace what is there, the state itself in any case.
func mayWrite(cfg *config.Config, path string, force bool) error {
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if original, err := os.Stat(filepath.Join(cfg.Agent.StateDir, stateFile)); err == nil && os.SameFile(there, original) {
		return fmt.Errorf("%s is the state itself", path)
	}
	switch {
	case !there.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case !force:
		return fmt.Errorf("%s is there already: choose another name, or --force to replace it", path)
	}
	return nil
}

// copyState writes a consistent copy of the state to a new file, and returns its size. No state is an error that is
// fs.ErrNotExist.
func (p *program) copyState(ctx context.Context, cfg *config.Config, path string) (size int64, err error) {
	err = p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, db *state.DB) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an agent that went away
			return err
		}
		if db != nil {
			return notWritten(db.Backup(path))
		}
		file, size, err := s.Snapshot(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return exit{control.ExitNeedsPerson, fmt.Errorf("there is no state in %s yet: %w", cfg.Agent.StateDir, fs.ErrNotExist)}
		}
		if err != nil {
			return err
		}
		defer file.Close()
		return notWritten(save(path, file, size))
	})
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// notWritten has a person look after errors of this machine's files; the rest is the agent's, and the next one may do better.
func notWritten(err error) error {
	if _, ours := errors.AsType[*fs.PathError](err); ours {
		return exit{control.ExitNeedsPerson, err}
	}
	return err
}

// save writes a new file that is on disk when it returns nil.
func save(path string, content io.Reader, size int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	written, err := io.Copy(file, content)
	if err == nil && written != size {
		err = fmt.Errorf("%w: %d bytes of %d came", control.ErrGone, written, size)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncFolder makes a new name survive a power loss, where folders can be synced.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = folder.Sync() // Windows and some file systems cannot
	return folder.Close()
}
