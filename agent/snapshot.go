package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// snapshotPattern is how copies of the state are called in the state folder while somebody reads them.
const snapshotPattern = "snapshot-*.tmp"

// NewSnapshotPath returns the name of a file in the state folder that does not exist. One that is left there goes when an agent
// starts.
func NewSnapshotPath(stateDir string) (string, error) {
	folder, err := os.MkdirTemp(stateDir, snapshotPattern)
	if err != nil {
		return "", fmt.Errorf("folder for a snapshot: %w", err)
	}
	return filepath.Join(folder, "agent.db"), nil
}

// RemoveSnapshot removes a file that NewSnapshotPath has named.
func RemoveSnapshot(path string) error { return os.RemoveAll(filepath.Dir(path)) }

// removeSnapshots removes what was left behind by a crash.
func removeSnapshots(stateDir string) error {
	entries, err := os.ReadDir(stateDir)
	for _, e := range entries {
		if left, _ := filepath.Match(snapshotPattern, e.Name()); left { // the pattern is right
			err = errors.Join(err, os.RemoveAll(filepath.Join(stateDir, e.Name())))
		}
	}
	return err
}

// Snapshot implements control.Service. One at a time: each is as large as the state.
func (a *Agent) Snapshot(ctx context.Context) (_ io.ReadCloser, size int64, err error) {
	if a.db == nil {
		return nil, 0, fmt.Errorf("there is no state yet: %w", fs.ErrNotExist)
	}
	select {
	case a.snapshots <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	case <-a.ended:
		return nil, 0, control.ErrGone
	}
	s := &snapshot{agent: a}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.path, err = NewSnapshotPath(a.cfg.Agent.StateDir); err != nil {
		return nil, 0, err
	}
	if err = a.db.Backup(s.path); err != nil {
		return nil, 0, err
	}
	if s.File, err = os.Open(s.path); err != nil {
		return nil, 0, err
	}
	info, err := s.Stat()
	if err != nil {
		return nil, 0, err
	}
	return s, info.Size(), nil
}

// snapshot is a copy of the state that goes when it is closed.
type snapshot struct {
	*os.File
	agent *Agent
	path  string
}

func (s *snapshot) Close() error {
	defer func() { <-s.agent.snapshots }()
	var err error
	if s.File != nil {
		err = s.File.Close()
	}
	if s.path != "" {
		err = errors.Join(err, RemoveSnapshot(s.path))
	}
	return err
}

// CheckState calls problem for each thing that is wrong with a state file, in words for people. An error means that the rest
// could not be looked at.
func CheckState(db *state.DB, problem func(text string)) error {
	if err := db.Check(problem); err != nil {
		return err
	}
	return db.View(func(tx *state.Tx) error {
		err := queue.Check(tx)
		if errors.Is(err, queue.ErrIndex) {
			problem(err.Error())
			return nil
		}
		return err
	})
}

// CountState returns how many rows of what there are.
func CountState(db *state.DB) (map[string]int, error) {
	rows := map[string]int{}
	err := db.View(func(tx *state.Tx) error {
		clear(rows)
		for name, table := range countedTables {
			err := tx.Table(table).Scan(nil, nil, func(_, _ []byte) (bool, error) {
				rows[name]++
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}

// countedTables are those that people want to know of, by what is in them.
var countedTables = map[string]string{
	"baseline": "baseline", "jobs": "queue/jobs", "dead": "queue/dead", "unreadable": "queue/poison", "dirty": "dirty",
	"staged": "staged", "history": "history", "conflicts": "conflicts", "servers": "servers", "syncs": "syncs",
}
