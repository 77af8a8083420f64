package agent

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// permanentTries is how often a job may fail for a lasting reason until it is parked, and how often in a row a server
	// for want of a set-up that works until a person is told.
	permanentTries = 3
	// laterDelay is the wait after "no space" and "quota exceeded".
	laterDelay = 15 * time.Minute
	// noDataTries is how many failures in a row the first want of a data connection counts for: each try of all ways costs
	// the server some logins and this side many seconds.
	noDataTries = 4
	// busyDelay is the wait for one of too many connections to end, maxCrowded the longest one.
	busyDelay  = 5 * time.Second
	maxCrowded = 5 * time.Minute
	// leastAwaiting and mostAwaiting bound the wait for what another transfer has still to bring: a quarter of the time that it was
	// waited for already.
	leastAwaiting = 2 * time.Second
	mostAwaiting  = 5 * time.Minute
	// deadRest is how long a dead job is left alone by scans that find nothing changed. It is less than a day, so that a
	// daily scan tries again each day, and one every minute twice a day.
	deadRest = 12 * time.Hour
)

// verdict is what becomes of a failed job and of the server it was for.
type verdict struct {
	failure queue.Failure
	// pause is how long to leave the server alone, 0 for not at all.
	pause time.Duration
	// blocked: the server must not be tried again with this configuration unless a person asks.
	blocked bool
	// person: most likely a person has to act before the server can be used. It is tried all the same: what is wrong, such
	// as a certificate that has expired, may be mended on the other side.
	person bool
	// noData: the server can be reached, data connections with it cannot be made.
	noData bool
	// busy: the server takes fewer connections than were tried.
	busy bool
	// full: there is no room where the transfer goes.
	full bool
}

// judge decides, for all jobs and in this one place, what a failure leads to. serverFailures
// is how often in a row the server could not be used before; r is random in [0, 1).
//
//   - cancelled: the job waits for the next start.
//   - unavailable, setup: the server is paused, for a random share of a time that grows to 15 minutes. The job is not to
//     blame. Setup is never given up, since no login is at stake, but told to a person when it was met three times.
//   - authentication: the server is blocked, see [state.Server].
//   - busy: fewer connections, see [server.refused].
//   - later: transfers to the same place are held for 15 minutes, see [state.Hold]; another job waits as long by itself.
//   - permanent, parents, offset: the third time parks the job. Scans and looks are never parked: the changes stay.
//   - what waits for another transfer is not to blame, and asks again by and by; see commit.awaits.
//   - anything else is tried again for ever, after a random share of a time that grows to 15 minutes.
func judge(err error, job queue.Job, serverFailures int, now time.Time, r float64) verdict {
	retry := func(d time.Duration, uncounted bool) verdict {
		f := queue.Failure{Reason: reasonOf(err), Reply: replyOf(err), RetryAt: now.Add(d), Uncounted: uncounted}
		return verdict{failure: f}
	}
	pause := func(failures int) verdict {
		d := queue.Delay(failures, r)
		v := retry(d, true)
		v.pause = d
		return v
	}
	if _, waits := errors.AsType[*work.AwaitedError](err); waits {
		return retry(min(max(now.Sub(job.Enqueued)/4, leastAwaiting), mostAwaiting), true)
	}
	switch classify(err) {
	case ftpclient.ClassCancelled:
		v := retry(0, true)
		v.failure.Reason = cmp.Or(job.LastError, brokenOff) // why it had failed before is still what people want to know
		return v
	case ftpclient.ClassUnavailable:
		return pause(serverFailures + 1)
	case ftpclient.ClassBusy:
		v := retry(busyDelay, true)
		v.busy = true
		return v
	case ftpclient.ClassSetup:
		if isNoData(err) {
			// Not for a person: it is the network that has to change, and networks do that by themselves.
			v := pause(serverFailures + noDataTries)
			v.noData = true
			return v
		}
		v := pause(serverFailures + 1)
		v.person = serverFailures+1 >= permanentTries
		return v
	case ftpclient.ClassAuthentication:
		v := retry(0, true)
		v.blocked = true
		return v
	case ftpclient.ClassLater:
		v := retry(laterDelay, true)
		v.full = isTransfer(job.Kind)
		return v
	case ftpclient.ClassPermanent, ftpclient.ClassParents, ftpclient.ClassOffset:
		v := retry(queue.Delay(job.Attempts+1, r), false)
		if isScanning(job.Kind) {
			return v // what cannot be looked at now is looked at later: the changes stay
		}
		v.failure.Refused = true
		v.failure.Dead = job.Refusals+1 >= permanentTries || errors.Is(err, work.ErrUnknownKind) || errors.Is(err, work.ErrUnsafe) ||
			errors.Is(err, ftpclient.ErrUnsendable) || errors.Is(err, ftpclient.ErrNameChanged)
		return v
	}
	return retry(queue.Delay(job.Attempts+1, r), false)
}

// brokenOff is the reason of jobs that were under way, or just to begin.
const brokenOff = "broken off by a stop, a pause or the end of the allowed times: it is done when it is its turn again"

// isTransfer reports whether jobs of a kind need room at their target.
func isTransfer(kind string) bool {
	switch plan.Action(kind) {
	case plan.Upload, plan.Download, plan.MakeRemoteDir, plan.MakeLocalDir:
		return true
	}
	return false
}

// share is a random number for one of the jobs that fail in one commit, made of one for all of them: with the same one
// they would all come back at the same moment.
func share(random float64, id queue.ID) float64 {
	const golden = 0.6180339887498949 // its multiples, without the whole part, are spread evenly
	_, fraction := math.Modf(random + float64(id%1_000_000)*golden)
	return fraction
}

const (
	// clockStep is how far back the clock has to be set for waiting jobs to be looked at.
	clockStep = time.Minute
	// longestWait is the longest one that a scan gives itself, with nothing gone wrong.
	longestWait = 24 * time.Hour
)

// setBack reports whether the clock shows an earlier time than it did before.
func (d *dispatcher) setBack(now time.Time) bool {
	now = now.Round(0) // the clock on the wall: that of the machine only runs forward
	back := d.latest.Sub(now) > clockStep
	if back || now.After(d.latest) {
		d.latest = now
	}
	return back
}

const hastenedMessage = "jobs waited for a time that a wrong clock had set"

// hasten lets no job wait for longer than it could have been told to by a clock that is right, and returns how many did.
func (d *dispatcher) hasten(tx *state.Tx, now time.Time) (int, error) {
	return queue.Hasten(tx, now, func(job queue.Job) time.Duration {
		_, putOff := d.putOffs[job.Sync]
		switch {
		case job.LastError != "":
			return queue.MostDelay
		case putOff && isScanning(job.Kind):
			return d.agent.longestPutOff
		case job.Kind == work.KindScan:
			return longestWait
		}
		return max(d.agent.syncs[job.Sync].Settle, queue.MostDelay)
	})
}

// rests reports whether an operation that a scan asks for is one that a job has died of, and that is not to be tried
// again yet. A person's request and an event on the path bring a dead job back, and so does a change of what is to be
// transferred, or of what it would replace. A scan that found everything as it was does so twice a day at most, however
// often it comes: the disk or the server may have been mended. Until then the job stays dead, for a person to see. A job
// that took the agent down three times stays dead whoever asks, until something about its path has changed or a person
// retries just that: revived by each start it would take the agent down for ever.
func (c *commit) rests(r report, op plan.Op) (bool, error) {
	job, ok, err := queue.Lookup(c.tx, string(op.Action), r.Job.Sync, op.Path)
	if err != nil || !ok || job.State != queue.Dead {
		return false, err
	}
	anew := !r.Full && r.Job.Kind != work.KindRescan || r.Job.Priority < queue.Urgent || !waits(job.Died.Add(deadRest), c.now, deadRest)
	if anew && !job.Crashed() {
		return false, nil
	}
	was, err := plan.DecodeOp(job.Payload)
	if err != nil || !sameLook(was.Local.Entry, op.Local.Entry) || !sameLook(was.Remote.Entry, op.Remote.Entry) {
		return false, nil
	}
	return true, queue.Want(c.tx, c.now, job.ID)
}

// waits reports whether to wait until a time that was at most most ahead when it was set. One further ahead than that was
// set by a clock that was wrong then, or is now, and is over.
func waits(until, now time.Time, most time.Duration) bool {
	left := until.Sub(now)
	return left > 0 && left <= most
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

// replyOf is what the server said, "" if it was not the server.
func replyOf(err error) string {
	var remote *ftpclient.Error
	if !errors.As(err, &remote) || remote.Code == 0 {
		return ""
	}
	// Error keeps what the server wrote from doing anything where it is shown.
	return strings.TrimPrefix((&ftpclient.Error{Code: remote.Code, Text: remote.Text}).Error(), ": ")
}

// classify adds the errors of this machine to those of the server.
func classify(err error) ftpclient.Class {
	if errors.Is(err, context.Canceled) {
		return ftpclient.ClassCancelled
	}
	var remote *ftpclient.Error
	if errors.As(err, &remote) {
		class := ftpclient.Classify(err)
		if class == ftpclient.ClassConnection && isNoData(err) {
			// A server that is out of ports has none for other jobs either.
			class = ftpclient.ClassSetup
		}
		if class != ftpclient.ClassUnknown {
			return class
		}
		// A file of this machine, in the middle of a transfer.
	}
	return classifyLocal(err)
}

func classifyLocal(err error) ftpclient.Class {
	switch {
	case errors.Is(err, work.ErrUnknownKind), errors.Is(err, work.ErrUnsafe), errors.Is(err, work.ErrTwin), errors.Is(err, work.ErrLeadsNowhere), errors.Is(err, errNotComing),
		errors.Is(err, scan.ErrSourceMissing), errors.Is(err, fs.ErrPermission):
		return ftpclient.ClassPermanent
	}
	for _, local := range localClasses {
		if errors.Is(err, local.errno) {
			return local.class
		}
	}
	return ftpclient.ClassRetry
}
