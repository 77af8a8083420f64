package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

const (
	// dearLogin and dearTurns are what a login may take, beside each other, before it counts: servers that make passwords expensive to guess
	// need a second of their processor for each.
	dearLogin = 50 * time.Millisecond
	dearTurns = 8
	// leastJob and jobTurns are about what a small file takes.
	leastJob = 2 * time.Millisecond
	jobTurns = 3
)

func isDear(cost ftpclient.LoginCost) bool { return cost.Login > dearLogin+dearTurns*cost.Turn }

// worthLogins is how many connections, of most, so many due jobs are worth where logins are dear: as many as save more time than
// the login of the last of them takes. Those that are open already cost nothing. Nobody knows how long jobs are: while nothing has
// ended for twice the time of a login, one more is worth it.
func worthLogins(due, open, most int, cost ftpclient.LoginCost, quiet time.Duration) int {
	if !isDear(cost) {
		return most
	}
	work := time.Duration(due) * (leastJob + jobTurns*cost.Turn)
	worth := 1
	for worth < most && work/time.Duration(worth*(worth+1)) > cost.Login {
		worth++
	}
	worth += int(max(quiet, 0) / (2 * cost.Login))
	return min(max(worth, open, 1), most)
}

// worthLogins is how many of most workers are to be busy with what is due.
func (c *commit) worthLogins(s *server, due, most int) int {
	quiet := time.Duration(0)
	if !s.moved.IsZero() {
		quiet = c.now.Sub(s.moved)
	}
	return worthLogins(due, s.pool.Open(), most, s.pool.LoginCost(), quiet)
}

// maySpareLogins reports whether workers may be idle just since logins are dear: not where fewer are enough anyway.
func (s *server) maySpareLogins(now time.Time, cost ftpclient.LoginCost) bool {
	return isDear(cost) && s.pool.Open() < s.limit(now) && s.concurrency.isFree(now)
}

// nextLogin is when one more login or transfer may be worth it, at the latest what is given.
func (c *commit) nextLogin(next time.Time) (time.Time, error) {
	next = c.nextWorth(next)
	for name, s := range c.d.servers {
		cost := s.pool.LoginCost()
		if !s.maySpareLogins(c.now, cost) {
			continue
		}
		if due, err := c.dueAt(name); err != nil || due == 0 {
			if err != nil {
				return next, err
			}
			continue
		}
		if at := c.now.Add(2 * cost.Login); at.Before(next) {
			next = at
		}
	}
	return next, nil
}
