package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// history returns the rows of the history that are about files, by what was done to what.
func (r *rig) history(filter control.HistoryFilter) (rows []control.HistoryRow) {
	r.t.Helper()
	r.stopped(func(a *agent.Agent, _ *state.DB) {
		err := a.History(r.t.Context(), filter, func(row control.HistoryRow) error {
			rows = append(rows, row)
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	})
	return rows
}

// stopped calls use with an agent that does not run.
func (r *rig) stopped(use func(a *agent.Agent, db *state.DB)) {
	r.t.Helper()
	db := r.openState()
	defer db.Close()
	use(agent.New(r.load(), db, agent.Options{Logger: slog.New(slog.DiscardHandler)}), db)
}

// TestHistoryTellsAllOfATransfer: all that was done can be accounted for afterwards, on every server.
func TestHistoryTellsAllOfATransfer(t *testing.T) {
	for _, name := range ftptest.RealServers {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+" "+direction, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction)
				source, remoteRoot := r.local, r.server.RemoteRoot+"/site"
				if direction == "down" {
					source = r.remote
				}
				fill(t, source, map[string]string{"d/a": "content", "b": "x"})
				r.mustBeInStep("first pass")
				remove(t, source, "d/a")
				r.mustBeInStep("second pass")
				rows := r.history(control.HistoryFilter{Path: "d/a"})
				if len(rows) != 2 {
					t.Fatalf("%d rows: %+v", len(rows), rows)
				}
				sent, deleted := rows[0], rows[1]
				final := remoteRoot + "/d/a"
				if direction == "down" {
					final = filepath.Join(r.local, "d", "a")
				}
				want := control.HistoryRow{
					Sync: "s", Server: "real", Path: "d/a", Direction: direction, Op: "upload", Result: "done",
					Bytes: 7, Data: sent.Data, Verified: "size", Reply: sent.Reply, Temp: sent.Temp, Final: sent.Final,
					When: sent.When, TookMS: sent.TookMS, Job: sent.Job,
				}
				if direction == "down" {
					want.Op = "download"
				}
				if diff := cmp.Diff(want, sent); diff != "" {
					t.Error(diff)
				}
				switch {
				case !strings.HasPrefix(sent.Reply, "226 "), sent.Data == "", sent.TookMS <= 0, sent.Job == 0, time.Since(sent.When).Abs() > 20*time.Minute:
					t.Errorf("incomplete: %+v", sent)
				case !strings.HasSuffix(string(sent.Final), strings.TrimPrefix(final, "/")):
					t.Errorf("final name %q, want %q", sent.Final, final)
				case filepath.Dir(string(sent.Temp)) != filepath.Dir(string(sent.Final)) || !strings.Contains(string(sent.Temp), ".ftpferry-"):
					t.Errorf("temporary name %q beside %q", sent.Temp, sent.Final)
				}
				wantReply, wantVerified := "250 ", "reply"
				if direction == "down" {
					wantReply, wantVerified = "", "removed"
				}
				if deleted.Result != "done" || !strings.HasPrefix(deleted.Op, "delete_") || deleted.Direction != direction ||
					!strings.HasPrefix(deleted.Reply, wantReply) || deleted.Verified != wantVerified || deleted.Final != sent.Final || deleted.Temp != "" {
					t.Errorf("deletion: %+v", deleted)
				}
			})
		}
	}
}

// TestAConflictIsToldOnce in the history, however often it is seen; and again when it comes back.
func TestAConflictIsToldOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	fill(t, r.local, map[string]string{"a": "one", "b": "two"})
	r.mustBeInStep("first pass")
	remove(t, r.local, "a")
	fill(t, r.remote, map[string]string{"a": "changed on the server"})
	for range 3 {
		if report := r.once(); len(report.Conflicts) != 1 {
			t.Fatalf("%+v", report)
		}
	}
	conflicts := func() (rows []control.HistoryRow) {
		for _, row := range r.history(control.HistoryFilter{Sync: "s", Path: "a"}) {
			if row.Result == "conflict" {
				rows = append(rows, row)
			}
		}
		return rows
	}
	if rows := conflicts(); len(rows) != 1 || !strings.HasPrefix(rows[0].Error, "deleted here but changed on the server; kept until a person") || rows[0].Server != "real" {
		t.Fatalf("%+v", rows)
	}
	remove(t, r.remote, "a")
	r.mustBeInStep("after a person has decided")
	fill(t, r.local, map[string]string{"a": "three"})
	r.mustBeInStep("anew")
	remove(t, r.local, "a")
	fill(t, r.remote, map[string]string{"a": "changed again"})
	r.once()
	if rows := conflicts(); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
}

// TestHistoryInPages: more rows than fit into one, many of them at the same time.
func TestHistoryInPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, &ftptest.RealServer{Addr: "127.0.0.1:1", User: "u", Root: t.TempDir()}, "up")
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const all = 2345
	r.stopped(func(_ *agent.Agent, db *state.DB) {
		err := db.Update(func(tx *state.Tx) error {
			for i := range all {
				h := state.History{When: noon.Add(time.Duration(i/700) * time.Hour), Sync: "s", Path: fmt.Sprintf("d%d/%d", i%2, i), Result: "done"}
				if err := state.AppendHistory(tx, h); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	for _, test := range []struct {
		filter control.HistoryFilter
		want   []int // the first, the last and the number of rows
	}{
		{control.HistoryFilter{}, []int{0, 2344, 2345}},
		{control.HistoryFilter{Limit: 1}, []int{2344, 2344, 1}},
		{control.HistoryFilter{Limit: 1000}, []int{1345, 2344, 1000}}, // begins in the middle of one time
		{control.HistoryFilter{Limit: 1 << 62}, []int{0, 2344, 2345}},
		{control.HistoryFilter{Limit: 1000, Path: "d0"}, []int{346, 2344, 1000}},
		{control.HistoryFilter{Since: noon.Add(time.Hour)}, []int{700, 2344, 1645}},
		{control.HistoryFilter{Since: noon.Add(time.Hour), Limit: 2000}, []int{700, 2344, 1645}},
		{control.HistoryFilter{Since: noon.Add(3 * time.Hour), Limit: 10, Path: "d1/*"}, []int{2325, 2343, 10}},
		{control.HistoryFilter{Since: noon.AddDate(500, 0, 0)}, nil},
		{control.HistoryFilter{Since: noon.AddDate(-3000, 0, 0), Limit: 1}, []int{2344, 2344, 1}},
		{control.HistoryFilter{Sync: "other"}, nil},
	} {
		rows := r.history(test.filter)
		var got []int
		if len(rows) > 0 {
			number := func(row control.HistoryRow) (n int) {
				fmt.Sscanf(filepath.Base(string(row.Path)), "%d", &n)
				return n
			}
			got = []int{number(rows[0]), number(rows[len(rows)-1]), len(rows)}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v: %s", test.filter, diff)
		}
	}
}

// TestManyJobsAreChangedInParts, and each of them once.
func TestManyJobsAreChangedInParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, &ftptest.RealServer{Addr: "127.0.0.1:1", User: "u", Root: t.TempDir()}, "up")
	const all = 1234
	now := time.Now()
	r.stopped(func(a *agent.Agent, db *state.DB) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(db.Update(func(tx *state.Tx) error {
			for i := range all {
				job := queue.New{Kind: "upload", Sync: "s", Server: "real", Path: fmt.Sprintf("d%d/\xff%d", i%2, i), RunAt: now.Add(time.Hour)}
				if i == 0 {
					job.RunAt = now.Add(-time.Hour)
				}
				if _, err := queue.Enqueue(tx, now, job); err != nil {
					return err
				}
			}
			if _, err := queue.Claim(tx, now, queue.Request{Server: "real", Limit: 1}); err != nil {
				return err
			}
			return state.PutServer(tx, "real", state.Server{Failures: 3, NotBefore: now.Add(time.Hour), BlockedBy: "530"})
		}))
		listed := 0
		_, err := a.Jobs(t.Context(), control.JobFilter{Path: "d0"}, func(job control.Job) error {
			if listed++; (job.State == "running") != (listed == 1) || !strings.HasPrefix(string(job.Path), "d0/\xff") {
				t.Errorf("job %d: %+v", listed, job)
			}
			return nil
		})
		must(err)
		if listed != all/2 {
			t.Errorf("%d listed", listed)
		}
		changed, err := a.RetryJobs(t.Context(), control.JobFilter{Path: "d1"})
		must(err)
		if diff := cmp.Diff(control.Changed{Jobs: all / 2, Servers: []string{"real"}}, changed); diff != "" {
			t.Error(diff)
		}
		must(db.View(func(tx *state.Tx) error {
			row, err := state.GetServer(tx, "real")
			if row.BlockedBy != "" || !row.NotBefore.IsZero() {
				t.Errorf("the server is not tried at once: %+v", row)
			}
			return err
		}))
		changed, err = a.RetryJobs(t.Context(), control.JobFilter{})
		must(err)
		if changed.Jobs != all/2-1 || changed.Due != all/2 || changed.Running != 1 {
			t.Errorf("%+v", changed)
		}
		changed, err = a.DropJobs(t.Context(), control.JobFilter{IDs: []uint64{1, 2, 2, 9999}})
		must(err)
		want := control.Changed{Jobs: 2, Unknown: []uint64{9999}} // the first one was running when the last agent ended
		if diff := cmp.Diff(want, changed); diff != "" {
			t.Error(diff)
		}
		changed, err = a.DropJobs(t.Context(), control.JobFilter{})
		must(err)
		if diff := cmp.Diff(control.Changed{Jobs: all - 2}, changed); diff != "" {
			t.Error(diff)
		}
		for _, f := range []control.JobFilter{{IDs: []uint64{1}, Sync: "s"}, {State: "odd"}, {Path: "["}, {IDs: make([]uint64, 1e5)}} {
			if _, err := a.DropJobs(t.Context(), f); !errors.Is(err, control.ErrInvalid) {
				t.Errorf("%v: %v", f.State, err)
			}
		}
	})
}

// TestASnapshotOfAWorkingAgent is a state of its own, and nothing is left of it.
func TestASnapshotOfAWorkingAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	fill(t, r.local, map[string]string{"a": "one"})
	folder := r.load().Agent.StateDir
	leftOver := filepath.Join(folder, "snapshot-123.tmp")
	if err := os.MkdirAll(leftOver, 0o700); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "agent.db")
	r.with(agent.Options{}, func(a *agent.Agent) {
		if _, err := a.Pass(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		file, size, err := a.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, _, err := a.Snapshot(waiting); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second one at the same time: %v", err)
		}
		content, err := io.ReadAll(file)
		if err != nil || int64(len(content)) != size || bytes.Count(content, nil) == 0 {
			t.Errorf("%d bytes of %d, %v", len(content), size, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(copied, content, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if left, err := filepath.Glob(filepath.Join(folder, "snapshot-*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
	db, err := state.Open(copied, state.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := agent.CheckState(db, func(text string) { t.Error(text) }); err != nil {
		t.Error(err)
	}
	rows, err := agent.CountState(db)
	if err != nil || rows["baseline"] != 1 || rows["history"] != 1 {
		t.Errorf("%v, %v", rows, err)
	}
}
