package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestJudge: every class of failure, and every error of this machine, for every kind of job.
func TestJudge(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	refused := func(op, command string, code int, text string) error {
		return &ftpclient.Error{Op: op, Command: command, Path: "/a", Code: code, Text: text}
	}
	here := func(err error) error { return &fs.PathError{Op: "write", Path: "a", Err: err} }
	noData := &ftpclient.Error{Op: "store", Path: "/a", Err: &ftpclient.DataError{}}
	down := &ftpclient.Error{Op: "connect", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	certificate := &ftpclient.Error{Op: "connect", Err: ftpclient.ErrCertificate}
	quota, denied := refused("store", "STOR", 552, "Quota exceeded"), refused("store", "STOR", 553, "Could not create file")
	type want struct {
		wait      time.Duration
		dead      bool
		uncounted bool
		refused   bool
		pause     time.Duration
		blocked   bool
		person    bool
		busy      bool
		noData    bool
		full      bool
	}
	var (
		paused  = func(d time.Duration) want { return want{wait: d, uncounted: true, pause: d} }
		again   = func(d time.Duration) want { return want{wait: d} }
		no      = func(d time.Duration) want { return want{wait: d, refused: true} }
		parked  = func(d time.Duration) want { return want{wait: d, refused: true, dead: true} }
		full    = want{wait: laterDelay, uncounted: true, full: true}
		later   = want{wait: laterDelay, uncounted: true}
		blocked = want{uncounted: true, blocked: true}
		first   = 500 * time.Millisecond
		longest = queue.MostDelay / 2
	)
	transfers := []string{"upload", "download", "make_remote_dir", "make_local_dir"}
	deletes := []string{"delete_remote", "delete_local", work.KindSweepRemote, work.KindSweepLocal}
	looks := []string{work.KindScan, work.KindLook}
	operations := slices.Concat(transfers, deletes)
	all := slices.Concat(operations, looks)
	for _, row := range []struct {
		name           string
		kinds          []string
		err            error
		attempts       int // of which were refusals
		refusals       int
		serverFailures int
		want           want
	}{
		{"a server that is down is paused, and the job not blamed", all, down, 7, 2, 0, paused(first)},
		{"the pause grows with each failure of the server", all, down, 0, 0, 3, paused(4 * time.Second)},
		{"the pause never exceeds its limit", all, down, 0, 0, 100, paused(longest)},
		{"a server that shuts down is paused", all, refused("login", "USER", 421, "Service shutting down"), 0, 0, 0, paused(first)},
		{"too many open files here: no connection can be made, and that is paused", all, &ftpclient.Error{Op: "connect", Err: &net.OpError{Op: "dial", Err: syscall.EMFILE}}, 0, 0, 0, paused(first)},
		{"a refused login blocks the server at once", all, refused("login", "PASS", 530, "Login incorrect"), 5, 2, 0, blocked},
		{"and does so however often", all, refused("login", "PASS", 530, "Login incorrect"), 0, 0, 50, blocked},
		{"one connection too many is no pause, but a lower limit", all, refused("login", "PASS", 530, "Sorry, the maximum number of clients"), 0, 0, 0, want{wait: busyDelay, uncounted: true, busy: true}},
		{"a certificate nobody knows is a pause", all, certificate, 0, 0, 0, paused(first)},
		{"a certificate met again and again is for a person", all, certificate, 0, 0, 2, want{wait: 2 * time.Second, uncounted: true, pause: 2 * time.Second, person: true}},
		{"and it is tried on, as it may be renewed", all, certificate, 0, 0, 90, want{wait: longest, uncounted: true, pause: longest, person: true}},
		{"a server that demands TLS is a pause", all, refused("login", "USER", 530, "SSL/TLS required"), 0, 0, 0, paused(first)},
		{"the first want of a data channel is a longer pause: all ways were tried", all, noData, 7, 0, 0, want{wait: 4 * time.Second, uncounted: true, pause: 4 * time.Second, noData: true}},
		{"it is never for a person, as networks heal", all, noData, 0, 0, 3, want{wait: 32 * time.Second, uncounted: true, pause: 32 * time.Second, noData: true}},
		{"but the pause gets long", all, noData, 0, 0, 50, want{wait: longest, uncounted: true, pause: longest, noData: true}},
		{"a server without room holds the transfers", transfers, quota, 5, 2, 0, full},
		{"what only removes or looks waits by itself", slices.Concat(deletes, looks), quota, 5, 0, 0, later},
		{"451 with the words of a full disk is no room either", transfers, refused("store", "STOR", 451, "No space left on device"), 0, 0, 0, full},
		{"a full disk here holds the transfers", transfers, here(syscall.ENOSPC), 5, 0, 0, full},
		{"so does a quota here", transfers, here(syscall.EDQUOT), 5, 0, 0, full},
		{"so does a disk that became read-only", transfers, here(syscall.EROFS), 5, 0, 0, full},
		{"a deletion on a read-only disk waits by itself", deletes, here(syscall.EROFS), 5, 0, 0, later},
		{"a bad sector is tried for ever", all, here(syscall.EIO), 50, 2, 0, again(longest)},
		{"too many open files here are tried again", all, here(syscall.EMFILE), 0, 0, 0, again(first)},
		{"a file that may not be read is tried again", operations, here(syscall.EACCES), 0, 0, 0, no(first)},
		{"and parked the third time", operations, here(syscall.EACCES), 2, 2, 0, parked(2 * time.Second)},
		{"a name too long for the disk is parked the third time", operations, here(syscall.ENAMETOOLONG), 2, 2, 0, parked(2 * time.Second)},
		{"a name that the disk does not take is parked the third time", operations, here(syscall.EINVAL), 2, 2, 0, parked(2 * time.Second)},
		{"a file too big for the disk is parked the third time", transfers, here(syscall.EFBIG), 2, 2, 0, parked(2 * time.Second)},
		{"a refused file is tried again", operations, denied, 0, 0, 0, no(first)},
		{"and parked the third time", operations, denied, 2, 2, 0, parked(2 * time.Second)},
		{"failures for other reasons do not count for that", operations, denied, 9, 1, 0, no(256 * time.Second)},
		{"a folder missing on the way is parked the third time", transfers, refused("store", "STOR", 550, "No such file or directory"), 2, 2, 0, parked(2 * time.Second)},
		{"an offset that is refused is parked the third time", transfers, refused("retrieve", "REST", 554, "Restart offset"), 2, 2, 0, parked(2 * time.Second)},
		{"a file of somebody else that only looks like the source is left to a person the third time", transfers, work.ErrTwin, 2, 2, 0, parked(2 * time.Second)},
		{"a scan that is refused for good is never parked", looks, refused("list", "MLSD", 550, "Permission denied"), 9, 0, 0, again(256 * time.Second)},
		{"a scan that may not read a folder here is never parked", looks, here(syscall.EACCES), 9, 0, 0, again(256 * time.Second)},
		{"a missing source is looked for again and again", looks, fmt.Errorf("local: %w", scan.ErrSourceMissing), 2, 0, 0, again(2 * time.Second)},
		{"a link to what has still to be sent is no failure", []string{"link_remote"}, fmt.Errorf("link: %w", &work.AwaitedError{}), 50, 2, 0, want{wait: mostAwaiting, uncounted: true}},
		{"a link to what does not come is parked the third time", []string{"link_remote"}, fmt.Errorf("link: %w", errNotComing), 2, 2, 0, parked(2 * time.Second)},
		{"a link that leads nowhere is parked the third time", []string{"link_remote"}, fmt.Errorf("link: %w", work.ErrLeadsNowhere), 2, 2, 0, parked(2 * time.Second)},
		{"a dropped connection is tried for ever", all, refused("store", "STOR", 426, "Failure reading network stream"), 50, 2, 0, again(longest)},
		{"a file in use is tried for ever", all, refused("store", "STOR", 450, "File busy"), 50, 2, 0, again(longest)},
		{"a silent server is tried for ever", all, &ftpclient.Error{Op: "store", Err: ftpclient.ErrTimeout}, 50, 0, 0, again(longest)},
		{"a name that the server changes is parked at once", operations, &ftpclient.Error{Op: "name", Err: ftpclient.ErrNameChanged}, 0, 0, 0, parked(first)},
		{"a name that cannot be sent is parked at once", operations, &ftpclient.Error{Op: "store", Err: ftpclient.ErrUnsendable}, 0, 0, 0, parked(first)},
		{"a job of an unknown kind is parked at once", []string{"dance"}, fmt.Errorf("%w: dance", work.ErrUnknownKind), 0, 0, 0, parked(first)},
		{"a job cut off by the end of the agent waits for the next start", all, errors.Join(context.Canceled, down), 2, 0, 0, want{uncounted: true}},
		{"anything else here is tried again", all, errors.New("odd"), 0, 0, 0, again(first)},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, kind := range row.kinds {
				job := queue.Job{Attempts: row.attempts, Refusals: row.refusals, New: queue.New{Kind: kind}}
				v := judge(row.err, job, row.serverFailures, now, 0.5)
				got := want{
					v.failure.RetryAt.Sub(now), v.failure.Dead, v.failure.Uncounted, v.failure.Refused,
					v.pause, v.blocked, v.person, v.busy, v.noData, v.full,
				}
				if got != row.want {
					t.Errorf("%s: got %+v, want %+v", kind, got, row.want)
				}
				if v.failure.Reason == "" {
					t.Errorf("%s: no reason", kind)
				}
			}
		})
	}
}

// TestWhatIsAwaitedIsAskedForByAndBy: what comes soon is not waited for much longer, and what takes hours is not asked for all the time.
func TestWhatIsAwaitedIsAskedForByAndBy(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]time.Duration{
		-time.Hour: leastAwaiting, 0: leastAwaiting, time.Minute: 15 * time.Second, 10 * time.Minute: 150 * time.Second, 24 * time.Hour: mostAwaiting,
	} {
		if got := judge(&work.AwaitedError{}, queue.Job{Enqueued: now.Add(-age)}, 0, now, 0.5).failure.RetryAt.Sub(now); got != want {
			t.Errorf("after %v: %v, want %v", age, got, want)
		}
	}
}

// TestTheReplyIsKept: what the server said last is for the row, and can command no terminal.
func TestTheReplyIsKept(t *testing.T) {
	err := fmt.Errorf("upload: %w", &ftpclient.Error{Op: "store", Path: "/a", Code: 553, Text: "No\x1b[2J\nsuch luck"})
	if got, want := judge(err, queue.Job{}, 0, time.Now(), 0).failure.Reply, "553 No?[2J / such luck"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := judge(errors.New("odd"), queue.Job{}, 0, time.Now(), 0).failure.Reply; got != "" {
		t.Errorf("nobody said %q", got)
	}
}

// TestJobsThatFailTogetherDoNotComeBackTogether: one random number serves a commit, and each job has a share of its own.
func TestJobsThatFailTogetherDoNotComeBackTogether(t *testing.T) {
	for _, random := range []float64{0, 0.25, 0.999999} {
		var tenths [10]int
		for id := range queue.ID(1000) {
			r := share(random, 1<<40+id)
			if r < 0 || r >= 1 {
				t.Fatalf("share(%g, %d) = %g", random, id, r)
			}
			tenths[int(r*10)]++
		}
		for i, n := range tenths {
			if n < 90 || n > 110 {
				t.Errorf("with %g %d of 1000 jobs fall into tenth %d", random, n, i)
			}
		}
	}
}

func TestWaits(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name  string
		until time.Time
		want  bool
	}{
		{"nobody waits for nothing", time.Time{}, false},
		{"the moment has come", now, false},
		{"a while is left", now.Add(time.Minute), true},
		{"the whole wait is left", now.Add(time.Hour), true},
		{"more than the whole wait is left: the clock was wrong", now.Add(time.Hour + 1), false},
		{"years are left", now.AddDate(26, 0, 0), false},
	} {
		if got := waits(row.until, now, time.Hour); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestStreamLength(t *testing.T) {
	for _, row := range []struct {
		name               string
		due, workers, want int
	}{
		{"nothing due still asks for one", 0, 4, 1},
		{"the last jobs go out one by one", 7, 4, 1},
		{"in between, half of a fair share", 40, 4, 5},
		{"never more than sixty-four", 100_000, 4, 64},
	} {
		if got := streamLength(row.due, row.workers); got != row.want {
			t.Errorf("%s: streamLength(%d, %d) = %d, want %d", row.name, row.due, row.workers, got, row.want)
		}
	}
}

// TestADeadJobRests while scans find nothing changed, and no longer than that.
func TestADeadJobRests(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	was := plan.Op{Action: plan.Upload, Path: "a", Local: plan.Side{Entry: entry.Entry{Kind: entry.File, Size: 7, ModTime: now.Add(-time.Hour)}}}
	for _, row := range []struct {
		name     string
		ago      time.Duration // when it died
		full     bool
		priority uint8
		change   func(*plan.Op)
		want     bool
	}{
		{"a scheduled scan a minute later", time.Minute, true, priorityScan, nil, true},
		{"one hours later", deadRest - time.Minute, true, priorityScan, nil, true},
		{"the daily one", 24*time.Hour - time.Minute, true, priorityScan, nil, false},
		{"a clock was wrong when it died", -time.Hour, true, priorityScan, nil, false},
		{"a person asked for the scan", time.Minute, true, priorityRequest, nil, false},
		{"an event on the path", time.Minute, false, priorityLook, nil, false},
		{"the file was changed", time.Minute, true, priorityScan, func(op *plan.Op) { op.Local.Entry.Size = 8 }, false},
		{"the file was touched", time.Minute, true, priorityScan, func(op *plan.Op) { op.Local.Entry.ModTime = now }, false},
		{"something was put at the target", time.Minute, true, priorityScan, func(op *plan.Op) { op.Remote.Entry.Kind = entry.Dir }, false},
		{"another thing is to be done", time.Minute, true, priorityScan, func(op *plan.Op) { op.Action = plan.DeleteRemote }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			died := now.Add(-row.ago)
			err = db.Update(func(tx *state.Tx) error {
				payload, err := json.Marshal(was)
				if err != nil {
					return err
				}
				if _, err := queue.Enqueue(tx, died, queue.New{Kind: string(was.Action), Sync: "s", Server: "acme", Path: "a", Payload: payload}); err != nil {
					return err
				}
				jobs, err := queue.Claim(tx, died, queue.Request{Server: "acme", Limit: 1})
				if err != nil {
					return err
				}
				if _, err := queue.Fail(tx, died, jobs[0].ID, queue.Failure{Reason: "no", Dead: true}); err != nil {
					return err
				}
				op := was
				if row.change != nil {
					row.change(&op)
				}
				c := &commit{transition: newTransition(), tx: tx, now: now}
				scan := queue.Job{New: queue.New{Kind: work.KindScan, Sync: "s", Priority: row.priority}}
				got, err := c.rests(report{Outcome: work.Outcome{Job: scan, Full: row.full}}, op)
				if err != nil || got != row.want {
					t.Errorf("rests: %v, %v", got, err)
				}
				job, _, err := queue.Get(tx, jobs[0].ID)
				if job.Wanted.Equal(now) != row.want || job.State != queue.Dead {
					t.Errorf("job: %+v", job)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestWhatIsBrokenOffSaysSo, in words for people, unless there is more to say.
func TestWhatIsBrokenOffSaysSo(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]string{"": brokenOff, "452 no room": "452 no room"} {
		if v := judge(context.Canceled, queue.Job{LastError: before}, 0, time.Now(), 0); v.failure.Reason != want {
			t.Errorf("%q: %q, want %q", before, v.failure.Reason, want)
		}
	}
}
