package agent

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
)

// What the dispatcher knows about one server, and how it leaves one alone that refuses connections.

// server is what the dispatcher knows about a server while the agent runs.
type server struct {
	config *config.Server
	pool   *ftpclient.Addresses
	// address is the one in use as far as it was told, and line what all connections share.
	address string
	line    *bandwidth
	seats   []*seat   // of its workers
	workers []*worker // of the seats; the list stays as it is while the agent runs
	idle    []*seat   // those without an assignment
	moved   time.Time // when a job was last reported, or some were handed out while there were none
	// concurrency is how many transfers at a time are worth it, and enough is what of it other goroutines see: so many do as well as all; 0:
	// all are worth it.
	concurrency concurrency
	enough      atomic.Int64
	// Until crowded ends nobody tries to connect; refusals counts those in a row.
	crowded  time.Time
	refusals int
	refusal  string                   // the last one, in the server's words
	crowding atomic.Pointer[crowding] // crowded and refusal, for other goroutines
	row      state.Server
	lastSync string                     // whose jobs were handed out last
	facts    map[string]ftpclient.Facts // by address, as they are written down
}

// crowding is until when nobody tries to connect, since the server has refused one connection more in these words.
type crowding struct {
	until time.Time
	words string
}

// seat is the way to one worker.
type seat struct {
	jobs chan assignment
	left int // jobs that were handed out here and are not reported
	// sync is whose jobs were handed out here last, and streamed how many since the worker had none.
	sync     string
	streamed int
	// transfers are those of files among them, and moved is when one was last reported, or some were handed out to a worker without any.
	transfers int
	moved     time.Time
	// more: there were more jobs when some were handed out here last. alone: nothing is to wait behind those, or to begin beside them.
	more, alone bool
}

// endsSoon is with how many jobs left a worker gets the next ones already, so that its stream goes on without a pause: one that is under way,
// and one for the time that a commit takes.
const endsSoon = 2

// mostStreamed is after how many jobs a worker has to come to an end and give its connection back: only then the pool can choose another
// one, as when the first address of a server answers again, and gets to know what this one has learned.
const mostStreamed = 512

// goesOn reports whether a worker that has left jobs to do is to get the next ones now.
func (s *seat) goesOn(left int) bool {
	return left > 0 && left <= endsSoon && s.more && !s.alone && s.streamed < mostStreamed
}

// newServer returns a server without a pool.
func newServer(s *config.Server) *server {
	srv := &server{config: s}
	for range s.Connections {
		srv.seats = append(srv.seats, &seat{jobs: make(chan assignment, 1+endsSoon)})
	}
	srv.idle = slices.Clone(srv.seats)
	return srv
}

// limit is how many workers may be busy at a time: as many as the server takes connections,
// and one more when it is time to try that.
func (s *server) limit(now time.Time) int {
	limit := s.config.Connections
	if facts := s.pool.Facts(); facts.ConnectionLimit > 0 {
		limit = min(limit, facts.ConnectionLimit)
		// Learned in the future is learned by a clock that was wrong.
		if now.Sub(time.Unix(facts.LimitLearned, 0)).Abs() >= limitRaise {
			limit = min(limit+1, s.config.Connections)
		}
	}
	return limit
}

// refused leaves a server alone that refused what it called too many, for a while that grows as
// long as it takes nobody. Those refused together count once. How many connections it takes the
// pool learns by itself, but not how many transfers.
func (s *server) refused(now time.Time, r refusal) {
	s.refusal = r.words
	if waits(s.crowded, now, maxCrowded) {
		return
	}
	if r.connected {
		s.pool.Lower()
	}
	s.crowded = now.Add(min(busyDelay<<min(s.refusals, 10), maxCrowded))
	s.refusals++
	s.crowding.Store(&crowding{s.crowded, r.words})
}

// full reports that the server has refused every connection several times.
func (s *server) full() bool { return s.refusals >= passTries }
