package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// rulesVersion counts the changes of what this program makes of the same rules, the patterns of default_excludes among them. With
// another one than last time, both sides are looked at as after a change of the configuration.
const rulesVersion = 1

// rulesOf is a digest of what decides which files take part and what is done about those that are not the same on both sides,
// beside what [identity] is made of.
func rulesOf(cfg *config.Config, s *config.Sync) string {
	server := cfg.Servers[s.Server]
	zone := ""
	if server.ListTimeZone != nil {
		zone = server.ListTimeZone.String()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %q %q %q %q %t %t %d %d %d %d %t %q %q %q %q %q %q %q %q %t %q %t %q",
		rulesVersion, server.Encoding, zone,
		s.Include, s.Exclude, s.IgnoreFile, s.DefaultExcludes, s.IgnoreCase, s.MinSize, s.MaxSize, s.MinAge, s.MaxAge,
		s.Delete, s.OnForeignChange, s.Conflict, s.Links, s.Ready, s.Trash, s.Hidden, s.TempFolder, s.Append,
		s.AfterUpload.Delete, s.AfterUpload.Move, s.AfterDownload.Delete, s.AfterDownload.Move))
	return hex.EncodeToString(sum[:16])
}

// applyRules has both sides looked at when the rules of a sync are not those of the last start: the look at the start may be one
// at the local folder alone, and what was left out or left alone on the server would be so until the next full scan. One that is
// in the middle starts over when it is done. An agent that only does what it is asked to leaves that to one that runs.
func (d *dispatcher) applyRules(tx *state.Tx, s *config.Sync, row *state.SyncState, now time.Time) error {
	rules := rulesOf(d.agent.cfg, s)
	if row.Rules == rules {
		return nil
	}
	job, ok, err := queue.Lookup(tx, work.KindScan, s.Name, "")
	switch begun := ok && len(job.Progress) > 0; {
	case err != nil:
		return err
	case row.LastFullScan.IsZero() && !begun: // the first full scan is still to come
		row.Rules = rules
		return nil
	case !d.agent.options.Triggers:
		return nil
	}
	row.Rules, row.Folders.Rows, row.Folders.Whole = rules, 0, time.Time{}
	if err := state.DropFolders(tx, s.Name); err != nil {
		return err
	}
	d.later(d.agent.logger.Info, "the rules of a sync are not those of before, both sides are looked at", "sync", s.Name)
	return scanAfterChange(tx, s.Name, s.Server, now)
}

// scanAfterChange has both sides of a sync looked at because of its configuration.
func scanAfterChange(tx *state.Tx, sync, server string, now time.Time) error {
	_, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindScan, Sync: sync, Server: server, Priority: priorityScan, Why: "configuration changed"})
	return err
}
