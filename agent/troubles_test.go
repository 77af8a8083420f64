package agent

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestAStatusNamesSomeOfWhatHasFailed: numbers alone tell nobody why a sync does not go on.
func TestAStatusNamesSomeOfWhatHasFailed(t *testing.T) {
	t.Parallel()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	fail := func(kind, path, reason string, dead bool) {
		t.Helper()
		err := db.Update(func(tx *state.Tx) error {
			if _, err := queue.Enqueue(tx, now, queue.New{Kind: kind, Sync: "s", Server: "acme", Path: path}); err != nil || reason == "" {
				return err
			}
			jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 1})
			if err != nil || len(jobs) != 1 {
				return fmt.Errorf("%d jobs: %w", len(jobs), err)
			}
			_, err = queue.Fail(tx, now, jobs[0].ID, queue.Failure{Reason: reason, Dead: dead, RetryAt: now.Add(time.Minute)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	told := func(stopped bool) (list []string) {
		t.Helper()
		err := db.View(func(tx *state.Tx) error {
			n, err := queue.Summary(tx, "s")
			if err != nil {
				return err
			}
			troubles, err := troublesOf(tx, "s", n, stopped)
			for _, job := range troubles {
				list = append(list, fmt.Sprintf("%s %s %s: %s", job.State, job.Kind, job.Path, job.LastError))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := told(false); len(list) > 0 {
		t.Errorf("nothing has failed: %q", list)
	}
	for i := range 5 {
		fail(string(plan.Upload), fmt.Sprintf("dead-%d", i), "553 no", true)
	}
	fail(string(plan.Upload), "again", "452 later", false)
	fail(work.KindScan, "", "550 no list", false)
	fail(string(plan.Upload), "due", "", false)
	dead := []string{"dead upload dead-0: 553 no", "dead upload dead-1: 553 no", "dead upload dead-2: 553 no"}
	if diff := cmp.Diff(append(dead, "waiting scan : 550 no list", "waiting upload again: 452 later"), told(false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(dead, told(true)); diff != "" {
		t.Errorf("what keeps the sync from going on is told anyway: %s", diff)
	}
	e := control.Explanation{Sync: "s", Path: "new"}
	err = db.View(func(tx *state.Tx) error {
		job, ok, err := failedScan(tx, work.KindScan, "s")
		if shown := shownJob(job); ok {
			e.Scan = &shown
		}
		return err
	})
	if next := nextStep(e, false, false, false, now); err != nil || !strings.Contains(next, "has failed (550 no list) and is tried again in 1m0s") {
		t.Errorf("%q, %v", next, err)
	}
}

func TestPathsThatAreExplained(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, row := range []struct{ name, want string }{
		{"a/b", "a/b"}, {"./a//b/", "a/b"}, {"a/../b", "b"}, {"", ""}, {".", ""}, {"..a", "..a"}, {root, ""}, {filepath.Join(root, "a", "b"), "a/b"},
	} {
		if got, err := relativeTo(root, row.name); got != row.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", row.name, got, err, row.want)
		}
	}
	for _, outside := range []string{"..", "../a", "a/../../b", filepath.Dir(root), filepath.Join(root, "..", "x"), "a\x00b"} {
		if got, err := relativeTo(root, outside); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%q: %q, %v; want ErrInvalid", outside, got, err)
		}
	}
}

// TestWhatStopsASyncNamesTheCure, for one path too.
func TestWhatStopsASyncNamesTheCure(t *testing.T) {
	t.Parallel()
	for by, want := range map[string]string{
		control.StopHalt:   `nothing, the sync is stopped (halt): too much; "ftpferry plan web" says what it would do, "ftpferry approve web" lets it`,
		control.StopBlock:  `nothing, the sync is stopped (block): too much; correct the configuration, or try again with "ftpferry queue retry --sync web"`,
		control.StopPerson: `nothing, the sync is stopped (paused): too much; "ftpferry resume web" lets it go on`,
		control.StopPause:  `nothing, the sync is stopped (pause): too much`,
	} {
		e := control.Explanation{Sync: "web", Path: "a", Stop: &control.Stop{By: by, Reason: "too much.\nand more"}}
		if got := nextStep(e, false, false, false, time.Now()); got != want {
			t.Errorf("%s: %s, want %s", by, got, want)
		}
	}
}
