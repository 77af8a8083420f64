package work

import (
	"context"
	"errors"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

// Stream carries out the jobs of one worker one after the other, each as Do does. Of small ones that follow each other it puts the end of
// one into the same write as the beginning of the next: the promises of each are kept in their order, and only the waiting is shared.
//
// So the outcome of a job may be known only when the next one has begun, or at End, which must be called. A job that is
// under way when its context ends is broken off; one that only waits for its end gets that.
type Stream struct {
	report func(Outcome)
	last   confirmed // the file that is complete under its temporary name and waits for its final one; nil if none does
	kept   keptTimes
	bulk   []streamed // jobs of one kind that wait for more of them, to be done together
	near   *nearby    // where the last upload came from; nil for nowhere
}

// NewStream returns one that reports each Outcome as soon as it is known. A report is the last thing that is done about its job, and of the
// last job nothing is done with the connection afterwards.
func NewStream(report func(Outcome)) *Stream { return &Stream{report: report} }

// smallFile is up to which size a file goes in a stream. The outcome of the file before waits for a moment of its transfer at the most.
const smallFile = 1 << 20

// Do carries out a job, or all of it but its end. more says that another one follows at once that IsStreamed.
func (s *Stream) Do(ctx context.Context, e Env, job queue.Job, more bool) {
	switch {
	case IsStreamed(e.Sync, job):
		s.endBulk()
		if s.transfer(ctx, e, job, more) {
			return
		}
	case isBulk(e.Sync, job):
		s.endLast()
		if s.gather(ctx, e, job) {
			return
		}
	}
	s.ordinarily(ctx, e, job)
}

// ordinarily carries out a job by itself.
func (s *Stream) ordinarily(ctx context.Context, e Env, job queue.Job) {
	s.finish()
	s.report(Do(ctx, e, job).causedBy(ctx))
}

// End brings what waits to its end.
func (s *Stream) End() {
	s.finish()
	s.forgets()
}

func (s *Stream) finish() {
	s.endLast()
	s.endBulk()
}

// Reconfigured tells that the syncs of the jobs that follow may be configured otherwise than before.
func (s *Stream) Reconfigured() { s.forgets() }

func (s *Stream) endLast() {
	if s.last == nil {
		return
	}
	last := s.last.whose()
	batch := last.conn.NewBatch()
	s.last.confirmIn(batch)
	if err := batch.Do(last.ctx); err != nil {
		last.env.Logger.Debug("end of a stream", "path", last.Path, "error", err)
	}
	s.settle()
}

// settle reports what has become of the last file, when its end was in a write.
func (s *Stream) settle() {
	if last := s.last; last != nil {
		s.last = nil
		s.report(last.whose().ends(last.settle()))
	}
}

// transfer begins a transfer, if nothing about it is odd, and carries out all but its end.
func (s *Stream) transfer(ctx context.Context, e Env, job queue.Job, more bool) bool {
	began := time.Now()
	if plan.Action(job.Kind) == plan.Upload {
		e.near = s.nearby(e, job.Path)
	}
	o, err := newOp(ctx, e, job)
	if err != nil {
		return false
	}
	u := streamed{o, ctx, began}
	if o.overruled() == "" {
		if o.Action == plan.Upload {
			if out := u.opensUpload(); out != nil {
				s.upload(out, more)
				return true
			}
		} else if in := u.opensDownload(); in != nil {
			s.download(in, more)
			return true
		}
	}
	o.close()
	return false
}

// before is the batch that goes in front of the transfer of a job: with the end of the last one in it.
func (s *Stream) before(next streamed) *ftpclient.Batch {
	batch := next.conn.NewBatch()
	if s.last != nil {
		last := s.last.whose()
		last.conn, last.remote.Conn = next.conn, next.conn // it may be another one than it came by
		s.last.confirmIn(batch)
	}
	return batch
}

// settleEarly is settle during a transfer, for what needs no more commands.
func (s *Stream) settleEarly() {
	if s.last != nil && s.last.isConfirmed() {
		s.settle()
	}
}

// again carries out a job of the stream by itself, which says what is to be said, and knows the cures.
func (s *Stream) again(u streamed) {
	u.close()
	s.ordinarily(u.ctx, u.env, u.job)
}

// IsStreamed reports whether a job is of the kind that goes in a stream, if nothing odd about its file stands against it. What needs
// commands of its own in between does not, nor what an earlier attempt may have left something of.
func IsStreamed(sync Sync, job queue.Job) bool {
	hooks := sync.Hooks
	if job.Claims > 1 || len(hooks.Before)+len(hooks.After)+len(hooks.OnError) > 0 || sync.Verify != VerifySize && sync.Verify != "" {
		return false
	}
	switch plan.Action(job.Kind) {
	case plan.Upload:
		return !sync.Direct && !sync.Upload.After.acts() && sync.Mode == 0
	case plan.Download:
		return !sync.Claim && !sync.Download.After.acts()
	}
	return false
}

// confirmed is a file that is complete under its temporary name, when the end of it waits for the next write.
type confirmed interface {
	whose() *streamed
	// confirmIn adds to a batch what is to be asked and changed on the server.
	confirmIn(*ftpclient.Batch)
	// isConfirmed reports whether all answers are as they should be, so that settle needs no commands.
	isConfirmed() bool
	// settle says what has become of it. What was refused, or not answered, is done or asked for once more.
	settle() Outcome
}

// streamed is a job in a stream.
type streamed struct {
	*op
	ctx   context.Context
	began time.Time
}

// isRefused reports an error that is the server's word about a transfer, or the want of another session of TLS. Where data were on
// their way already, the words are about those; by itself the job gets them as they are, and perhaps a cure.
func (s streamed) isRefused(err error) bool {
	var refusal *ftpclient.Error
	return errors.As(err, &refusal) && refusal.Code != 0 && s.conn.Usable() || errors.Is(err, ftpclient.ErrTicketExpired)
}

// ends closes what was open for the job and makes its outcome.
func (s streamed) ends(outcome Outcome) Outcome {
	outcome = s.ending(s.ctx, outcome).of(s.job, s.began)
	s.close()
	return outcome.causedBy(s.ctx)
}

// causedBy adds to an error why the context has ended, if that is not in it.
func (o Outcome) causedBy(ctx context.Context) Outcome {
	if cause := context.Cause(ctx); o.Err != nil && cause != nil && !errors.Is(o.Err, cause) {
		o.Err = errors.Join(cause, o.Err)
	}
	return o
}
