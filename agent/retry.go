package agent

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

const (
	// permanentTries is how often a job may fail for a lasting reason until it is parked.
	permanentTries = 3
	// laterDelay is the wait after "no space" and "quota exceeded".
	laterDelay = 15 * time.Minute
	// blockedDelay is the wait after a refused login: trying sooner may lock the account.
	blockedDelay = 15 * time.Minute
	// maxServerPause is the longest wait for a server that cannot be reached.
	maxServerPause = 5 * time.Minute
	// busyDelay is the wait for one of too many connections to end.
	busyDelay = 5 * time.Second
)

// verdict is what becomes of a failed job and of the server it was for.
type verdict struct {
	failure queue.Failure
	// pause is how long to leave the server alone, 0 for not at all.
	pause time.Duration
	// blocked: a person has to act before the server can be used.
	blocked bool
	// busy: the server takes fewer connections than were tried.
	busy bool
}

// judge decides, for all jobs and in this one place, what a failure leads to. serverFailures
// is how often in a row the server could not be used before; r is random in [0, 1).
func judge(err error, job queue.Job, serverFailures int, now time.Time, r float64) verdict {
	retry := func(d time.Duration, uncounted bool) verdict {
		return verdict{failure: queue.Failure{Reason: err.Error(), RetryAt: now.Add(d), Uncounted: uncounted}}
	}
	pause := func(d time.Duration, blocked bool) verdict {
		v := retry(d, true)
		v.pause, v.blocked = d, blocked
		return v
	}
	switch classify(err) {
	case ftpclient.ClassCancelled:
		return retry(0, true)
	case ftpclient.ClassUnavailable:
		return pause(min(queue.Delay(serverFailures+1, r), maxServerPause), false)
	case ftpclient.ClassBusy:
		v := retry(busyDelay, true)
		v.busy = true
		return v
	case ftpclient.ClassSetup:
		return pause(min(queue.Delay(serverFailures+1, r), maxServerPause), serverFailures+1 >= permanentTries)
	case ftpclient.ClassAuthentication:
		return pause(blockedDelay, true)
	case ftpclient.ClassLater:
		return retry(laterDelay, true)
	case ftpclient.ClassPermanent, ftpclient.ClassParents, ftpclient.ClassOffset:
		v := retry(queue.Delay(job.Attempts+1, r), false)
		if job.Kind == work.KindScan || job.Kind == work.KindLook {
			return v // what cannot be looked at now is looked at later: the changes stay
		}
		v.failure.Dead = job.Attempts+1 >= permanentTries || errors.Is(err, work.ErrUnknownKind) ||
			errors.Is(err, ftpclient.ErrUnsendable) || errors.Is(err, ftpclient.ErrNameChanged)
		return v
	}
	return retry(queue.Delay(job.Attempts+1, r), false)
}

// classify adds the errors of this machine to those of the server.
func classify(err error) ftpclient.Class {
	var remote *ftpclient.Error
	switch {
	case errors.Is(err, context.Canceled):
		return ftpclient.ClassCancelled
	case errors.As(err, &remote):
		return ftpclient.Classify(err)
	case errors.Is(err, work.ErrUnknownKind), errors.Is(err, scan.ErrSourceMissing), errors.Is(err, fs.ErrPermission):
		return ftpclient.ClassPermanent
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ftpclient.ClassLater
	}
	return ftpclient.ClassRetry
}
