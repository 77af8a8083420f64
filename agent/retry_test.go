package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	refused := func(op string, code int, text string) error {
		return &ftpclient.Error{Op: op, Path: "/a", Code: code, Text: text}
	}
	noData := &ftpclient.Error{Op: "store", Path: "/a", Err: &ftpclient.DataError{}}
	down := &ftpclient.Error{Op: "connect", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	type want struct {
		wait      time.Duration
		dead      bool
		uncounted bool
		pause     time.Duration
		blocked   bool
		busy      bool
		noData    bool
	}
	for _, row := range []struct {
		name           string
		err            error
		attempts       int
		serverFailures int
		want           want
	}{
		{"a server that is down is paused, and the job not blamed", down, 7, 0, want{wait: 500 * time.Millisecond, uncounted: true, pause: 500 * time.Millisecond}},
		{"the pause grows with each failure of the server", down, 0, 3, want{wait: 4 * time.Second, uncounted: true, pause: 4 * time.Second}},
		{"the pause never exceeds its limit", down, 0, 100, want{wait: maxServerPause, uncounted: true, pause: maxServerPause}},
		{"a refused login blocks the server at once", refused("login", 530, "Login incorrect"), 0, 0, want{wait: blockedDelay, uncounted: true, pause: blockedDelay, blocked: true}},
		{"one connection too many is no pause, but a lower limit", refused("login", 530, "Sorry, the maximum number of clients"), 0, 0, want{wait: busyDelay, uncounted: true, busy: true}},
		{"a certificate nobody knows blocks the server when it is met again and again", &ftpclient.Error{Op: "connect", Err: ftpclient.ErrCertificate}, 0, 2, want{wait: 2 * time.Second, uncounted: true, pause: 2 * time.Second, blocked: true}},
		{"the first want of a data channel is a longer pause: all ways were tried", noData, 7, 0, want{wait: 4 * time.Second, uncounted: true, pause: 4 * time.Second, noData: true}},
		{"it never blocks the server, as networks heal", noData, 0, 3, want{wait: 32 * time.Second, uncounted: true, pause: 32 * time.Second, noData: true}},
		{"but the pause gets long", noData, 0, 50, want{wait: 450 * time.Second, uncounted: true, pause: 450 * time.Second, noData: true}},
		{"a full server is left alone for long and the job not blamed", refused("store", 552, "Quota exceeded"), 5, 0, want{wait: laterDelay, uncounted: true}},
		{"a full disk here likewise", &fs.PathError{Op: "write", Err: syscall.ENOSPC}, 5, 0, want{wait: laterDelay, uncounted: true}},
		{"a refused file is tried again", refused("store", 553, "Could not create file"), 0, 0, want{wait: 500 * time.Millisecond}},
		{"and parked after three tries", refused("store", 553, "Could not create file"), 2, 0, want{wait: 2 * time.Second, dead: true}},
		{"a dropped connection is tried for ever", refused("store", 426, "Failure reading network stream"), 50, 0, want{wait: 450 * time.Second}},
		{"a name that the server changes is parked at once", &ftpclient.Error{Op: "name", Err: ftpclient.ErrNameChanged}, 0, 0, want{wait: 500 * time.Millisecond, dead: true}},
		{"a name that cannot be sent is parked at once", &ftpclient.Error{Op: "store", Err: ftpclient.ErrUnsendable}, 0, 0, want{wait: 500 * time.Millisecond, dead: true}},
		{"a job of an unknown kind is parked at once", fmt.Errorf("%w: dance", work.ErrUnknownKind), 0, 0, want{wait: 500 * time.Millisecond, dead: true}},
		{"a missing source is looked for again and again", fmt.Errorf("local: %w", scan.ErrSourceMissing), 2, 0, want{wait: 2 * time.Second}},
		{"a file that may not be read is parked after three tries", &fs.PathError{Op: "open", Err: syscall.EACCES}, 2, 0, want{wait: 2 * time.Second, dead: true}},
		{"a job cut off by the end of the agent waits for the next start", errors.Join(context.Canceled, down), 2, 0, want{uncounted: true}},
		{"a scan that fails for a lasting reason is never parked", &fs.PathError{Op: "open", Err: syscall.EACCES}, 9, 0, want{wait: 256 * time.Second}},
		{"anything else here is tried again", errors.New("odd"), 0, 0, want{wait: 500 * time.Millisecond}},
	} {
		t.Run(row.name, func(t *testing.T) {
			job := queue.Job{Attempts: row.attempts}
			if strings.HasPrefix(row.name, "a scan") || errors.Is(row.err, scan.ErrSourceMissing) {
				job.Kind = work.KindScan
			}
			v := judge(row.err, job, row.serverFailures, now, 0.5)
			got := want{v.failure.RetryAt.Sub(now), v.failure.Dead, v.failure.Uncounted, v.pause, v.blocked, v.busy, v.noData}
			if got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
			if v.failure.Reason == "" {
				t.Error("no reason")
			}
		})
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
		{"never more than sixteen", 100_000, 4, 16},
	} {
		if got := streamLength(row.due, row.workers); got != row.want {
			t.Errorf("%s: streamLength(%d, %d) = %d, want %d", row.name, row.due, row.workers, got, row.want)
		}
	}
}
