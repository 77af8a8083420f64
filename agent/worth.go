package agent

import (
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// longTransfer is how long a worker is at one file before others do not wait for it any more.
const longTransfer = 5 * time.Second

// worthConnections is how many workers of a server are to be busy with what is due, and how many may. Fewer than those are for
// transfers alone that follow each other: looks, large files and what a person asks for have workers beside them.
func (c *commit) worthConnections(name string, due int) (worth, most int, err error) {
	s := c.d.servers[name]
	most = c.worthLogins(s, due, s.limit(c.now))
	if s.concurrency.isFree(c.now) {
		return most, most, nil
	}
	reported := map[*seat]int{}
	for _, r := range c.b.reports {
		if !r.partial {
			reported[c.d.outstanding[r.Job.ID].seat]++
		}
	}
	if worth = s.worth(c.now, most, reported); worth == most {
		return most, most, nil
	}
	urgent, err := queue.HasUrgent(c.tx, c.now, queue.Request{Server: name, Hold: c.held, Transfers: transfers, Changes: changes})
	if urgent {
		worth = most
	}
	return worth, most, err
}

// worth is how many workers, of most, are to be busy; reported are the jobs of each that were done since.
func (s *server) worth(now time.Time, most int, reported map[*seat]int) int {
	others := s.others(now, reported)
	return min(s.concurrency.worth(now, most-others)+others, most)
}

// followEachOther reports whether a worker that gets jobs does transfers that follow each other.
func followEachOther(jobs []queue.Job) bool {
	return countTransfers(jobs) > 0 && !slices.ContainsFunc(jobs, goesAlone)
}

// busy is how many workers have jobs.
func (s *server) busy() int { return len(s.seats) - len(s.idle) }

// others counts the workers that have something else to do than transfers which follow each other; reported are the jobs of each that
// were done since.
func (s *server) others(now time.Time, reported map[*seat]int) (others int) {
	for _, at := range s.seats {
		switch done := reported[at]; {
		case done == at.left:
		case at.transfers == 0, at.alone, done == 0 && now.Sub(at.moved) >= longTransfer:
			others++
		}
	}
	return others
}

// nextWorth is when the file of a worker may have taken too long for others to wait for it, at the latest what is given.
func (c *commit) nextWorth(next time.Time) time.Time {
	for _, s := range c.d.servers {
		if s.concurrency.isFree(c.now) || s.busy()+len(c.assignments) == 0 {
			continue
		}
		next = earlier(next, c.now.Add(longTransfer))
		for _, at := range s.seats {
			if late := at.moved.Add(longTransfer); at.transfers > 0 && late.After(c.now) {
				next = earlier(next, late)
			}
		}
	}
	return next
}

// learnWorth takes what a batch has reported for what it says about how many transfers at a time are worth it.
func (d *dispatcher) learnWorth(b batch, outcomes map[string]moment) {
	for name, s := range d.servers {
		if s.busy() == 0 && s.concurrency.busy == 0 {
			continue
		}
		now, limit := outcomes[name], s.limit(b.now)
		others := s.others(b.now, nil)
		now.now, now.busy, now.most, now.turn = b.now, s.busy()-others, limit-others, s.pool.LoginCost().Turn
		was, why := s.concurrency.worth(b.now, now.most), ""
		if s.concurrency, why = s.concurrency.after(now); why != "" {
			d.agent.logger.Debug("how many transfers at a time are worth it", "server", name, "was", was, "is", s.concurrency.worth(b.now, now.most), "reason", why)
		}
		s.enough.Store(int64(s.concurrency.fewer))
	}
}

// add counts what was reported, if it is a file that was transferred.
func (m moment) add(r report) moment {
	if r.Result == work.Done && isFileTransfer(r.Job.Kind) && !r.Already && !r.partial {
		m.files, m.bytes = m.files+1, m.bytes+r.Bytes
	}
	return m
}
