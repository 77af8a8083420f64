package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ftpferry/ftpferry/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers with what it was asked.
type fake struct{ hang chan struct{} }

func (f fake) Pass(ctx context.Context, syncs []string) (Report, error) {
	if f.hang != nil {
		close(f.hang)
		<-ctx.Done()
		return Report{}, context.Cause(ctx)
	}
	var r Report
	for _, s := range syncs {
		r.Syncs = append(r.Syncs, SyncReport{Sync: s, Transferred: len(s)})
	}
	return r, nil
}

func (f fake) FullPass(ctx context.Context, syncs []string) (Report, error) {
	r, err := f.Pass(ctx, syncs)
	for i := range r.Syncs {
		r.Syncs[i].Adopted = 1
	}
	return r, err
}

func (fake) Plan(_ context.Context, syncs []string) ([]SyncPlan, error) {
	return []SyncPlan{{Sync: syncs[0], Ops: []Op{{Action: "upload", Path: "a"}}}}, nil
}

func (fake) Approve(_ context.Context, r ApproveRequest) error {
	return errors.New("there is no sync " + r.Syncs[0] + r.Reason)
}

func (fake) Pause(_ context.Context, r PauseRequest) (Paused, error) {
	return Paused{Syncs: append(r.Syncs, r.Server, r.By, r.Reason, r.For.String(), fmt.Sprint(r.Now)), Running: 7}, nil
}

func (fake) Resume(_ context.Context, r ResumeRequest) (Resumed, error) {
	return Resumed{Syncs: r.Syncs, Servers: []string{r.Server, r.By}}, nil
}

func (fake) Reload(context.Context) (Reloaded, error) {
	return Reloaded{}, fmt.Errorf("%w: agent.toml:7:1: what?", ErrConfiguration)
}

func (fake) Jobs(_ context.Context, filter JobFilter, each func(Job) error) ([]SyncJobs, error) {
	if filter.State == "odd" {
		return nil, fmt.Errorf("%w: there is no state %q", ErrInvalid, filter.State)
	}
	for id := range filter.Limit {
		if filter.Kind == "late" && id == 1000 {
			return nil, errors.New("the disk is on fire")
		}
		if err := each(Job{ID: uint64(id), Path: filter.Path}); err != nil {
			return nil, err
		}
	}
	return []SyncJobs{{Sync: filter.Sync, Dead: filter.Limit}}, nil
}

func (fake) RetryJobs(_ context.Context, filter JobFilter) (Changed, error) {
	return Changed{Jobs: len(filter.IDs), Left: []Left{{ID: 7, Reason: string(filter.Path)}}}, nil
}

func (fake) DropJobs(_ context.Context, filter JobFilter) (Changed, error) {
	return Changed{Unknown: filter.IDs}, nil
}

func (fake) History(_ context.Context, filter HistoryFilter, each func(HistoryRow) error) error {
	for range filter.Limit {
		if err := each(HistoryRow{When: filter.Since, Path: filter.Path}); err != nil {
			return err
		}
	}
	return nil
}

func (fake) Status(_ context.Context, filter StatusFilter) (Overview, error) {
	return Overview{Syncs: []SyncStatus{{Sync: filter.Syncs[0], Conflicts: filter.Notes}}}, nil
}

// Events tells of one event behind after, and then waits.
func (fake) Events(ctx context.Context, after uint64, each func(Event) error) error {
	if err := each(Event{ID: after + 1, Kind: "done", Path: "a\xff\n"}); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (fake) Explain(_ context.Context, sync, path string) (Explanation, error) {
	return Explanation{Sync: sync, Path: state.Text(path)}, nil
}

func (f fake) Health(context.Context) error { return nil }

func (f fake) Snapshot(ctx context.Context) (io.ReadCloser, int64, error) {
	if f.hang != nil { // half of it comes, then the agent ends
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), until{ctx, f.hang})), 8, nil
	}
	return io.NopCloser(strings.NewReader("snapshot")), 8, nil
}

// until blocks until ctx is done.
type until struct {
	ctx  context.Context
	hang chan struct{}
}

func (u until) Read([]byte) (int, error) {
	close(u.hang)
	<-u.ctx.Done()
	return 0, io.ErrUnexpectedEOF
}

// overEachWay runs a test over each way to an agent that this system has.
func overEachWay(t *testing.T, test func(t *testing.T, by way)) {
	t.Helper()
	for _, by := range ways {
		t.Run(by.name, func(t *testing.T) { test(t, by) })
	}
}

// serve runs a service with a state folder.
func serve(t *testing.T, by way, dir string, s Service) {
	t.Helper()
	listener, err := by.listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, s, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestStatusAndExplanation(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		dir := t.TempDir()
		serve(t, by, dir, fake{})
		client, err := dial(t.Context(), by, dir)
		if err != nil {
			t.Fatal(err)
		}
		o, err := client.Status(t.Context(), StatusFilter{Syncs: []string{"s"}, Notes: 7})
		if err != nil || len(o.Syncs) != 1 || o.Syncs[0].Sync != "s" || o.Syncs[0].Conflicts != 7 {
			t.Errorf("%+v, %v", o, err)
		}
		if e, err := client.Explain(t.Context(), "s", "a\xff"); err != nil || e.Sync != "s" || e.Path != "a\xff" {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestClientAndServerAgree(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		dir := t.TempDir()
		serve(t, by, dir, fake{})
		client, err := dial(t.Context(), by, dir)
		if err != nil {
			t.Fatal(err)
		}
		report, err := client.Pass(t.Context(), []string{"one", "three"})
		if err != nil {
			t.Fatal(err)
		}
		want := Report{Syncs: []SyncReport{{Sync: "one", Transferred: 3}, {Sync: "three", Transferred: 5}}}
		if diff := cmp.Diff(want, report); diff != "" {
			t.Error(diff)
		}
		plans, err := client.Plan(t.Context(), []string{"one"})
		if err != nil || len(plans) != 1 || plans[0].Ops[0].Path != "a" {
			t.Errorf("Plan: %+v, %v", plans, err)
		}
		if err := client.Approve(t.Context(), ApproveRequest{Syncs: []string{"x"}, Reason: "y"}); err == nil || !strings.Contains(err.Error(), "there is no sync xy") {
			t.Errorf("Approve: %v, want the service's own words", err)
		}
		choice := SyncChoice{Syncs: []string{"one"}, Server: "acme"}
		paused, err := client.Pause(t.Context(), PauseRequest{SyncChoice: choice, By: "kim", Reason: "why not", For: time.Minute, Now: true})
		if diff := cmp.Diff(Paused{Syncs: []string{"one", "acme", "kim", "why not", "1m0s", "true"}, Running: 7}, paused); err != nil || diff != "" {
			t.Errorf("Pause: %v\n%s", err, diff)
		}
		if resumed, err := client.Resume(t.Context(), ResumeRequest{choice, "kim"}); err != nil || !cmp.Equal(resumed, Resumed{Syncs: []string{"one"}, Servers: []string{"acme", "kim"}}) {
			t.Errorf("Resume: %+v, %v", resumed, err)
		}
		if _, err := client.Reload(t.Context()); !errors.Is(err, ErrConfiguration) || !strings.HasSuffix(err.Error(), "agent.toml:7:1: what?") {
			t.Errorf("Reload: %v", err)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		if _, err := dial(t.Context(), by, t.TempDir()); !errors.Is(err, ErrNotRunning) || errors.Is(err, ErrGone) {
			t.Errorf("Dial: %v, want ErrNotRunning and not ErrGone", err)
		}
	})
}

// TestAnAgentThatCannotBeAsked tells one that is there from one that is not: nobody may work around it.
func TestAnAgentThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listener, err := Listen(dir) // and nobody accepts, as when the process is stopped
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want ErrNoAnswer", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, row := range []struct {
		name string
		ctx  context.Context
		err  error
		want error
	}{
		{"the folder belongs to somebody else", t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}, ErrNotAllowed},
		{"there is no socket", t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENOENT)}, ErrNotRunning},
		{"nobody listens any more", t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, ErrNotRunning},
		{"it ends at that moment", t.Context(), io.EOF, ErrNotRunning},
		{"no answer in time", t.Context(), context.DeadlineExceeded, ErrNoAnswer},
		{"the caller does not wait", ended, context.Canceled, context.Canceled},
	} {
		if err := dialError(row.ctx, dir, row.err); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

func TestRequestsEndWithTheAgent(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		dir := t.TempDir()
		listener, err := by.listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		f := fake{hang: make(chan struct{})}
		go func() { ended <- Serve(ctx, listener, f, slog.New(slog.DiscardHandler)) }()
		client, err := dial(t.Context(), by, dir)
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() {
			_, err := client.Pass(context.Background(), nil)
			answered <- err
		}()
		<-f.hang
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := <-answered; err == nil {
			t.Error("the pass was reported as done")
		}
	})
}

func TestExitCodes(t *testing.T) {
	for _, row := range []struct {
		name  string
		syncs []SyncReport
		want  int
	}{
		{"in step", []SyncReport{{Transferred: 3}}, ExitDone},
		{"a halt needs a person", []SyncReport{{}, {Halt: "empty"}}, ExitNeedsPerson},
		{"a refused login needs a person", []SyncReport{{Blocked: "530"}}, ExitNeedsPerson},
		{"a parked job needs a person", []SyncReport{{Dead: []PathReason{{}}}}, ExitNeedsPerson},
		{"a conflict needs a person", []SyncReport{{Conflicts: []PathReason{{}}}}, ExitNeedsPerson},
		{"what cannot be seen needs a person", []SyncReport{{Unknown: []PathReason{{}}}}, ExitNeedsPerson},
		{"what is skipped by rule does not", []SyncReport{{Skipped: []PathReason{{}}}}, ExitDone},
		{"a server that is down", []SyncReport{{Unavailable: "refused", Unfinished: 2}, {}}, ExitUnavailable},
		{"a person goes before a server that is down", []SyncReport{{Unavailable: "refused"}, {Halt: "empty"}}, ExitNeedsPerson},
		{"what is left is tried again", []SyncReport{{Unfinished: 1}, {}}, ExitUnfinished},
		{"a sync that somebody has paused", []SyncReport{{Paused: "by kim"}, {}}, ExitUnfinished},
		{"a server that is down goes before what is left", []SyncReport{{Unfinished: 1}, {Unavailable: "refused"}, {Unfinished: 1}}, ExitUnavailable},
	} {
		if got := (Report{Syncs: row.syncs}).ExitCode(); got != row.want {
			t.Errorf("%s: exit code %d, want %d", row.name, got, row.want)
		}
	}
	for _, row := range []struct {
		name string
		plan SyncPlan
		want int
	}{
		{"a plan with something to do", SyncPlan{Ops: make([]Op, 1)}, ExitDone},
		{"one that would halt", SyncPlan{Halt: &Halt{}}, ExitNeedsPerson},
		{"one with a conflict", SyncPlan{Note: []PlannedNote{{Conflict: true}}}, ExitNeedsPerson},
		{"no plan for lack of a server", SyncPlan{Failure: "refused", Unavailable: true}, ExitUnavailable},
		{"no plan for another reason", SyncPlan{Failure: "odd"}, ExitNeedsPerson},
	} {
		if got := PlanExitCode([]SyncPlan{row.plan}); got != row.want {
			t.Errorf("%s: exit code %d, want %d", row.name, got, row.want)
		}
	}
}
