package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// purgeInterval is how often it is looked whether anything has been in the trash for long enough. Its folders are those of days.
const purgeInterval = 24 * time.Hour

func isPurge(kind string) bool { return kind == work.KindPurgeLocal || kind == work.KindPurgeRemote }

// purge asks at the end of a full scan, once a day, for the trash to be emptied on the sides where files are deleted.
func (c *commit) purge(s *scanning) error {
	sync := c.d.agent.syncs[s.sync()]
	if sync.Trash == "" || sync.TrashKeep <= 0 || waits(s.row.LastPurge.Add(purgeInterval), c.now, purgeInterval) {
		return nil
	}
	s.row.LastPurge = c.now
	return c.purgeNow(s.sync())
}

// purgeNow asks for the trash of a sync, if there is one, to be emptied of what has been in it for long enough.
func (c *commit) purgeNow(name string) error {
	sync := c.d.agent.syncs[name]
	if sync.Trash == "" || sync.TrashKeep <= 0 {
		return nil
	}
	if sync.Rules.Direction != plan.Up {
		if err := c.enqueuePurge(name, work.KindPurgeLocal); err != nil {
			return err
		}
	}
	if sync.Rules.Direction != plan.Down {
		return c.enqueuePurge(name, work.KindPurgeRemote)
	}
	return nil
}

// purged goes on where a job has left off because it had removed enough.
func (c *commit) purged(r report) error {
	if !r.More {
		return nil
	}
	return c.enqueuePurge(r.Job.Sync, r.Job.Kind)
}

func (c *commit) enqueuePurge(sync, kind string) error {
	_, err := queue.Enqueue(c.tx, c.now, queue.New{
		Kind: kind, Sync: sync, Server: c.d.agent.cfg.Syncs[sync].Server,
		Priority: prioritySweep, Serial: true, Why: "empties the trash",
	})
	return err
}
