package work

import (
	"context"
	"errors"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/queue"
)

// Stream carries out the jobs of one worker one after the other, each as Do does. Of small ones that follow each other it puts the end of
// one into the same write as the beginning of the next: the promises of each are kept in their order, and only the waiting is shared.
//
// So the outcome of a job may be known only when the next one has begun, or at End, which must be called. A job that is
// under way when its context ends is broken off; one that only waits for its end gets that.
type Stream struct {
	report func(Outcome)
	last   *delivered // the upload that is complete under its temporary name and waits for its final one; nil if none does
	bulk   []streamed // jobs of one kind that wait for more of them, to be done together
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
		if u := beginUpload(ctx, e, job); u != nil {
			s.upload(ctx, u, more)
			return
		}
	case isBulk(e.Sync, job):
		s.endUpload()
		if s.gather(ctx, e, job) {
			return
		}
	}
	s.ordinarily(ctx, e, job)
}

// ordinarily carries out a job by itself.
func (s *Stream) ordinarily(ctx context.Context, e Env, job queue.Job) {
	s.End()
	s.report(Do(ctx, e, job).causedBy(ctx))
}

// End brings what waits to its end.
func (s *Stream) End() {
	s.endUpload()
	s.endBulk()
}

func (s *Stream) endUpload() {
	if s.last == nil {
		return
	}
	batch := s.last.conn.NewBatch()
	s.last.confirmIn(batch)
	if err := batch.Do(s.last.ctx); err != nil {
		s.last.env.Logger.Debug("end of a stream", "path", s.last.Path, "error", err)
	}
	s.settle()
}

// settle reports what has become of the last upload, when its end was in a write.
func (s *Stream) settle() {
	if d := s.last; d != nil {
		s.last = nil
		s.report(d.settle())
	}
}

// IsStreamed reports whether a job is of the kind that goes in a stream, if nothing odd about its file stands against it. What needs
// commands of its own in between does not, nor what an earlier attempt may have left something of.
func IsStreamed(sync Sync, job queue.Job) bool {
	hooks := sync.Hooks
	if job.Claims > 1 || len(hooks.Before)+len(hooks.After)+len(hooks.OnError) > 0 || sync.Verify != VerifySize && sync.Verify != "" {
		return false
	}
	return job.Kind == string(plan.Upload) && !sync.Direct && !sync.Upload.After.acts() && sync.Mode == 0
}

// streamed is a job in a stream.
type streamed struct {
	*op
	ctx   context.Context
	began time.Time
}

// ends closes what was open for the job and makes its outcome.
func (s streamed) ends(outcome Outcome) Outcome {
	outcome = s.ending(s.ctx, outcome).of(s.job, s.began)
	s.root.Close()
	return outcome.causedBy(s.ctx)
}

// causedBy adds to an error why the context has ended, if that is not in it.
func (o Outcome) causedBy(ctx context.Context) Outcome {
	if cause := context.Cause(ctx); o.Err != nil && cause != nil && !errors.Is(o.Err, cause) {
		o.Err = errors.Join(cause, o.Err)
	}
	return o
}
