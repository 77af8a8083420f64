package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// transition is the result of one commit: what the dispatcher has to act on.
type transition struct {
	servers   map[string]state.Server
	facts     map[string]map[string]ftpclient.Facts // by server and address
	addresses map[string]string                     // of servers, where another one is in use now
	halted    map[string]bool
	paused    map[string]state.Pause
	// pausedServers are those of servers.
	pausedServers map[string]state.Pause
	holds         map[string]state.Hold
	trials        map[place]queue.ID
	closed        map[string]bool // syncs whose window has closed, or opened
	asked         map[string]bool // servers that a person wants to be tried
	runs          map[string]*run // that have begun, and nil for those that are over
	purges        bool            // the history is to be trimmed at once
	assignments   []assignment
	activities    []Activity
	scans         []scanned
	rooms         map[queue.ID]room // of the scans under way
	trimmed       bool
	deletions     map[string]waitingDeletions // see dispatcher
	patience      bool                        // deletions is new
	hastened      int                         // jobs that a wrong clock had kept waiting
	busy          map[string]refusal
	wake          time.Time
	untold        map[string][]untold // see dispatcher
	missed        []missed
	times         []learnedTimes
	young         map[string]time.Time // see dispatcher
	putOffs       map[string]putOff    // see dispatcher
	succeeded     map[string]bool      // syncs of which something was done
	dropped       map[queue.ID]fate    // of jobs that were under way
	trusting      map[string]bool      // syncs of which a pass leaves the server alone
}

func newTransition() *transition {
	return &transition{
		servers: map[string]state.Server{}, facts: map[string]map[string]ftpclient.Facts{}, addresses: map[string]string{}, halted: map[string]bool{}, paused: map[string]state.Pause{}, pausedServers: map[string]state.Pause{},
		holds: map[string]state.Hold{}, trials: map[place]queue.ID{}, closed: map[string]bool{}, asked: map[string]bool{}, busy: map[string]refusal{},
		runs: map[string]*run{}, putOffs: map[string]putOff{}, succeeded: map[string]bool{}, dropped: map[queue.ID]fate{}, trusting: map[string]bool{},
	}
}
