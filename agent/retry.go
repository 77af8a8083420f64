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
	// noDataTries is how many failures in a row the first want of a data connection counts for, and noDataPause the
	// longest wait after one: each try of all ways costs the server some logins and this side many seconds.
	noDataTries = 4
	noDataPause = 15 * time.Minute
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
	// noData: the server can be reached, data connections with it cannot be made.
	noData bool
	// busy: the server takes fewer connections than were tried.
	busy bool
}

// judge decides, for all jobs and in this one place, what a failure leads to. serverFailures
// is how often in a row the server could not be used before; r is random in [0, 1).
func judge(err error, job queue.Job, serverFailures int, now time.Time, r float64) verdict {
	retry := func(d time.Duration, uncounted bool) verdict {
		return verdict{failure: queue.Failure{Reason: reasonOf(err), RetryAt: now.Add(d), Uncounted: uncounted}}
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
		if isNoData(err) {
			// Never blocked: it is the network that has to change, and networks do that by themselves.
			v := pause(min(queue.Delay(serverFailures+noDataTries, r), noDataPause), false)
			v.noData = true
			return v
		}
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

// isNoData reports whether there was a control connection, and no way to a data connection.
func isNoData(err error) bool {
	_, ok := errors.AsType[*ftpclient.DataError](err)
	return ok
}

// reasonOf is all that an error has to say, in several lines where it gives an account of what was tried.
func reasonOf(err error) string {
	if noData, ok := errors.AsType[*ftpclient.DataError](err); ok {
		return noData.Error()
	}
	return err.Error()
}

// summaryOf is the same in one line.
func summaryOf(err error) string {
	var summary interface{ Summary() string }
	if errors.As(err, &summary) {
		return summary.Summary()
	}
	return err.Error()
}

// classify adds the errors of this machine to those of the server.
func classify(err error) ftpclient.Class {
	var remote *ftpclient.Error
	switch {
	case errors.Is(err, context.Canceled):
		return ftpclient.ClassCancelled
	case errors.As(err, &remote):
		class := ftpclient.Classify(err)
		if class == ftpclient.ClassConnection && isNoData(err) {
			// A server that is out of ports has none for other jobs either.
			class = ftpclient.ClassSetup
		}
		return class
	case errors.Is(err, work.ErrUnknownKind), errors.Is(err, scan.ErrSourceMissing), errors.Is(err, fs.ErrPermission):
		return ftpclient.ClassPermanent
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ftpclient.ClassLater
	}
	return ftpclient.ClassRetry
}
