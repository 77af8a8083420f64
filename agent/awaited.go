package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// A link may have to wait for what it points at (work.AwaitedError): as long as anything is about to bring that, and not for ever.

// longestAwaited is how long is waited for what nothing is known to bring: a scan may find it only by and by.
const longestAwaited = 6 * time.Hour

// errNotComing: what a job waits for does not come by itself.
var errNotComing = errors.New("it does not come by itself")

// bringing are the actions by which something comes to a server.
var bringing = []plan.Action{plan.Upload, plan.MakeRemoteDir, plan.MoveRemote, plan.LinkRemote}

// awaits is the error of a job after what is known of that which it waits for, if that is its error.
func (c *commit) awaits(failed error, job queue.Job) (error, error) {
	awaited, ok := errors.AsType[*work.AwaitedError](failed)
	if !ok {
		return failed, nil
	}
	var dead *queue.Job
	for _, action := range bringing {
		brings, ok, err := queue.Lookup(c.tx, string(action), job.Sync, awaited.Path)
		switch {
		case err != nil:
			return nil, err
		case ok && brings.State != queue.Dead:
			return failed, nil
		case ok:
			dead = &brings
		}
	}
	found, err := c.mayBeFound(job.Sync, awaited.Path)
	switch {
	case err != nil:
		return nil, err
	case found, dead == nil && c.now.Sub(job.Enqueued) < longestAwaited:
		return failed, nil
	case dead != nil:
		return fmt.Errorf("%v: %w, as job %d, which is to bring it, was given up: %s", failed, errNotComing, dead.ID, dead.LastError), nil
	}
	return fmt.Errorf("%v: %w, as nothing is about to bring it", failed, errNotComing), nil
}

// mayBeFound reports whether a look at a path is still to come, or the file is not complete yet.
func (c *commit) mayBeFound(sync, path string) (bool, error) {
	if mark, ok := state.GetDirty(c.tx, sync, path); ok && mark.Path == path {
		return true, nil
	}
	if note, ok := state.GetNote(c.tx, sync, path); ok && note.Kind == state.NoteHeld {
		return true, nil
	}
	for _, kind := range []string{work.KindScan, work.KindRescan} {
		look, ok, err := queue.Lookup(c.tx, kind, sync, "")
		if err != nil || ok && (look.State == queue.Running || len(look.Progress) > 0) {
			return true, err
		}
	}
	return false, nil
}
