package work

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// mostBulk is how many jobs wait for each other: as many commands as go in one write.
const mostBulk = 16

// isBulk reports whether a job is of a kind that is done together with others: it makes a folder or deletes a file on the server.
func isBulk(sync Sync, job queue.Job) bool {
	kind := plan.Action(job.Kind)
	return job.Claims <= 1 && (kind == plan.MakeRemoteDir || kind == plan.DeleteRemote && sync.Trash == "")
}

// gather has a job wait for others of its kind, if nothing about it is odd.
func (s *Stream) gather(ctx context.Context, e Env, job queue.Job) bool {
	if len(s.bulk) > 0 && s.bulk[0].job.Kind != job.Kind {
		s.endBulk()
	}
	began := time.Now()
	o, err := newOp(ctx, e, job)
	if err != nil {
		return false
	}
	if !o.goesInBulk() {
		o.close()
		return false
	}
	if s.bulk = append(s.bulk, streamed{o, steady(ctx), began}); len(s.bulk) == mostBulk {
		s.endBulk()
	}
	return true
}

func (o *op) goesInBulk() bool {
	if o.overruled() != "" || o.remote.Follow || o.remote.Targets {
		return false
	}
	if o.Action == plan.DeleteRemote {
		return o.Remote.Entry.Kind == entry.File
	}
	return !o.hasOddName()
}

// endBulk carries out what was gathered. What was not answered, or refused where there may be a cure, goes by itself.
func (s *Stream) endBulk() {
	bulk := s.bulk
	if s.bulk = nil; len(bulk) == 0 {
		return
	}
	do := makeRemoteDirs
	if bulk[0].Action == plan.DeleteRemote {
		do = deleteRemotes
	}
	var unavailable error
	for i, end := range do(bulk) {
		if end == nil && unavailable != nil {
			end = ended(failed(unavailable)) // the rest would meet the same, each in its time
		}
		if end != nil {
			s.report(bulk[i].ends(*end))
			continue
		}
		bulk[i].close()
		outcome := Do(bulk[i].ctx, bulk[i].env, bulk[i].job).causedBy(bulk[i].ctx)
		switch ftpclient.Classify(outcome.Err) {
		case ftpclient.ClassUnavailable, ftpclient.ClassAuthentication, ftpclient.ClassBusy, ftpclient.ClassSetup:
			unavailable = outcome.Err
		}
		s.report(outcome)
	}
}

// makeRemoteDirs returns what came of each job, nil for nothing.
func makeRemoteDirs(bulk []streamed) []*Outcome {
	ends := make([]*Outcome, len(bulk))
	looks, made := make([]entry.Entry, len(bulk)), make([]*ftpclient.Answer, len(bulk))
	batch := bulk[0].conn.NewBatch()
	for i, o := range bulk {
		look, err := o.source().Stat(o.Path)
		if err != nil || look.Kind != entry.Dir {
			continue
		}
		looks[i], made[i] = look, batch.MakeDir(o.target())
	}
	doBatch(bulk[0], batch)
	for i := range bulk {
		if made[i] != nil && made[i].Err == nil {
			ends[i] = &Outcome{Result: Done, Base: &plan.Base{Local: looks[i], Remote: folderBase.Remote}}
		}
	}
	return ends
}

// deleteRemotes takes the second look at all of them first, here behind there. A file that the server does not delete is as one that it
// refuses by itself, as that knows no cure.
func deleteRemotes(bulk []streamed) []*Outcome {
	ends := make([]*Outcome, len(bulk))
	there, gone := make([]*ftpclient.StatAnswer, len(bulk)), make([]*ftpclient.Answer, len(bulk))
	batch := bulk[0].conn.NewBatch()
	for i, o := range bulk {
		there[i] = batch.StatFile(o.target())
	}
	doBatch(bulk[0], batch)
	batch = bulk[0].conn.NewBatch()
	for i, o := range bulk {
		if there[i].Err != nil || !there[i].Found || !o.expected(scan.RemoteEntry(there[i].Entry)) {
			continue
		}
		if ends[i] = o.isGoneHere(); ends[i] == nil {
			gone[i] = batch.Remove(o.target())
		}
	}
	doBatch(bulk[0], batch)
	for i := range bulk {
		switch {
		case gone[i] == nil:
		case gone[i].Err == nil:
			ends[i] = &Outcome{Result: Done, Forget: true, Verified: "reply", Reply: gone[i].Reply}
		case bulk[i].isAboutThePath(gone[i].Err):
			ends[i] = ended(failed(gone[i].Err))
		}
	}
	return ends
}

// isAboutThePath reports a refusal that the same command would meet again at once, on any connection.
func (s streamed) isAboutThePath(err error) bool {
	class := ftpclient.Classify(err)
	return s.isRefused(err) && (class == ftpclient.ClassPermanent || class == ftpclient.ClassLater || class == ftpclient.ClassRetry)
}

// doBatch sends a batch. Its error is that of the connection, which shows in the answers.
func doBatch(first streamed, batch *ftpclient.Batch) {
	if err := batch.Do(first.ctx); err != nil {
		first.env.Logger.Debug("several commands in one write", "sync", first.env.Sync.Name, "error", err)
	}
}
