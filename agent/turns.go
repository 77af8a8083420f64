package agent

import (
	"context"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/queue"
)

// turn has workers ask for their connections one after the other, when they get jobs at the same time: who makes folders goes first, and
// gets a connection that is there already, instead of those who need the folders. The others would be done with their logins before, and every
// first file in a missing folder costs some ten round trips. A nil *turn waits for nobody.
type turn struct {
	before *turn
	asked  chan struct{}
	once   sync.Once
}

// courtesy is how long a worker waits for the one before: that has only to look at a local folder first, on a disk that may hang.
const courtesy = 50 * time.Millisecond

// behind is the turn of a worker whose jobs were handed out behind those of before.
func (before *turn) behind() *turn { return &turn{before: before, asked: make(chan struct{})} }

// wait returns when the worker before has asked, or takes long, or ctx has ended.
func (t *turn) wait(ctx context.Context) {
	if t == nil || t.before == nil {
		return
	}
	patience := time.NewTimer(courtesy)
	defer patience.Stop()
	select {
	case <-t.before.asked:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// pass says that the next one may ask.
func (t *turn) pass() {
	if t != nil {
		t.once.Do(func() { close(t.asked) })
	}
}

// makesFolders reports whether jobs begin with a folder on the server.
func makesFolders(jobs []queue.Job) bool { return plan.Action(jobs[0].Kind) == plan.MakeRemoteDir }
