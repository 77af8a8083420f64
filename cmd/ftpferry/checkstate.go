package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// stateCheck is what check --state found.
type stateCheck struct {
	File   string `json:"file"`
	Exists bool   `json:"exists"`
	Size   int64  `json:"size"`
	// Rows are the numbers of rows by table.
	Rows     map[string]int `json:"rows"`
	Problems []string       `json:"problems"`
	// Outdated: an older version wrote it, and the next start brings it up to date. Its rows were not looked at.
	Outdated bool `json:"outdated,omitempty"`
	// Cure says what to do if there are Problems.
	Cure string `json:"cure,omitempty"`
}

// mostProblems bounds what is told of a file in which much is wrong.
const mostProblems = 1000

// cureForRows is for a file that can be opened. All in it can be rebuilt.
const cureForRows = "stop the agent, move the file away (or restore a backup) and start again: the next full scan rebuilds the state and deletes nothing"

// checkState examines the file, or a copy of it while an agent has it.
func (p *program) checkState(ctx context.Context, cfg *config.Config) (*stateCheck, error) {
	result := &stateCheck{File: filepath.Join(cfg.Agent.StateDir, stateFile), Rows: map[string]int{}, Problems: []string{}}
	info, err := os.Stat(result.File)
	if errors.Is(err, fs.ErrNotExist) {
		return result, nil
	}
	if err != nil {
		return nil, exit{control.ExitNeedsPerson, err}
	}
	result.Exists, result.Size = true, info.Size()
	err = p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, db *state.DB) error {
		result.Rows, result.Problems = map[string]int{}, []string{} // of an agent that went away
		if db != nil {
			return result.examine(db)
		}
		return result.examineCopy(ctx, cfg, s)
	})
	var refusal *state.Error
	switch {
	case err == nil:
	case errors.Is(err, state.ErrTooOld):
		result.Outdated = true
	case errors.Is(err, state.ErrLocked) || !errors.As(err, &refusal):
		return nil, serviceError(err)
	default: // it cannot be opened or read, and the error says what to do
		result.problem(err.Error())
	}
	if len(result.Problems) > 0 && refusal == nil {
		result.Cure = cureForRows
	}
	return result, nil
}

func (r *stateCheck) examineCopy(ctx context.Context, cfg *config.Config, s control.Service) error {
	file, size, err := s.Snapshot(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		r.Exists = false // it is empty
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	path, err := agent.NewSnapshotPath(cfg.Agent.StateDir)
	if err != nil {
		return err
	}
	defer agent.RemoveSnapshot(path)
	if err := save(path, file, size); err != nil {
		return err
	}
	db, err := state.Open(path, state.Options{ReadOnly: true, AllowNetworkFilesystem: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return r.examine(db)
}

func (r *stateCheck) examine(db *state.DB) error {
	if err := agent.CheckState(db, r.problem); err != nil {
		return err
	}
	var err error
	r.Rows, err = agent.CountState(db)
	return err
}

func (r *stateCheck) problem(text string) {
	switch len(r.Problems) {
	case mostProblems:
		r.Problems = append(r.Problems, "and more")
	case mostProblems + 1:
	default:
		r.Problems = append(r.Problems, text)
	}
}

func (p *program) printStateCheck(r stateCheck) {
	if !r.Exists {
		fmt.Fprintf(p.stdout, "%s: nothing yet; the first run makes it\n", r.File)
		return
	}
	if r.Outdated {
		fmt.Fprintf(p.stdout, "%s: of an older version, %s; its rows were not checked, the next start of the agent brings it up to date\n", r.File, bytesText(r.Size))
		return
	}
	rows := []string{}
	for _, table := range slices.Sorted(slices.Values(sortedKeys(r.Rows))) {
		if n := r.Rows[table]; n > 0 {
			rows = append(rows, fmt.Sprintf("%d %s", n, table))
		}
	}
	verdict := "sound"
	if len(r.Problems) > 0 {
		verdict = count(len(r.Problems), "problem")
	}
	if len(rows) == 0 {
		rows = []string{"no rows"}
	}
	fmt.Fprintf(p.stdout, "%s: %s, %s; %s\n", r.File, verdict, bytesText(r.Size), strings.Join(rows, ", "))
	for _, problem := range r.Problems {
		first, rest, _ := strings.Cut(problem, "\n")
		fmt.Fprintf(p.stdout, "  %s\n", oneLine(first))
		for line := range strings.SplitSeq(rest, "\n") {
			if line != "" {
				fmt.Fprintf(p.stdout, "    %s\n", oneLine(line))
			}
		}
	}
	if r.Cure != "" {
		fmt.Fprintf(p.stdout, "  what to do: %s\n", r.Cure)
	}
}
