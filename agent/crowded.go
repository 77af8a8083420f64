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
	seats   []chan assignment // the ways to its workers
	workers []*worker         // of the seats; the list stays as it is while the agent runs
	idle    []chan assignment // those without an assignment
	// underWay are those that have one.
	underWay map[*assigned]bool
	// concurrency is how many transfers at a time are worth it, and enough is what of it other goroutines see: so many do as well as all; 0:
	// all are worth it.
	concurrency concurrency
	enough      atomic.Int64
	moved       time.Time // when a job was last reported, or some were handed out while there were none
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

// newServer returns a server without a pool.
func newServer(s *config.Server) *server {
	srv := &server{config: s, underWay: map[*assigned]bool{}}
	for range s.Connections {
		srv.seats = append(srv.seats, make(chan assignment, 1))
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
