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
	"github.com/ftpferry/ftpferry/state/entry"
)

// A pass that finds the local folder as it was has no reason to ask the server, as long as nobody else changes what is there. So for
// the time of recheck the server's side is taken to be as a full scan has seen it and the jobs have left it, and a pass is a rescan.
// Whatever is done about what that finds is checked on the server by the job that does it. The first doubt ends the trust: a look
// too many costs a few seconds, and one too few leaves the target wrong for a day.

// passOf is the kind of the look at everything that a pass begins with; with full the server is looked at in any case. A look at both sides
// takes the place of one at the local folder that has failed.
func (c *commit) passOf(sync string, full bool) (string, error) {
	if !full {
		if trusts, err := c.trusts(sync); err != nil || trusts {
			return work.KindRescan, err
		}
	}
	failed, ok, err := queue.Lookup(c.tx, work.KindRescan, sync, "")
	if err == nil && ok && failed.State == queue.Waiting && failed.LastError != "" {
		err = c.dropScan(failed)
	}
	return work.KindScan, err
}

// isPassFromState reports the look of a pass at the local folder alone: nothing has just happened there that may go on, as with a watch.
func isPassFromState(job queue.Job) bool {
	return job.Kind == work.KindRescan && len(job.Payload) == 0
}

// checked is what a full scan says about how far the server's side can be trusted from now on.
func (s *scanning) checked() state.Checked {
	if found := s.progress.Found; found.Unseen > 0 || found.Left > 0 || found.Doubts != s.row.Doubts {
		return state.Checked{}
	}
	return state.Checked{Began: s.progress.Began, Rules: s.progress.Found.Rules}
}

// dropSkipped removes what a pass over the local folder alone has not found again of what was skipped there.
func (c *commit) dropSkipped(s *scanning) error {
	if !isPassFromState(s.Job) || s.progress.Found.Unseen > 0 || s.progress.Found.Left > 0 {
		return nil
	}
	isOnlyHere := func(n state.Note) bool {
		return n.Kind == state.NoteSkipped && n.Local != nil && n.Local.Kind != entry.Absent && (n.Remote == nil || n.Remote.Kind == entry.Absent)
	}
	return state.DropNotes(c.tx, s.sync(), s.progress.Began, isOnlyHere)
}

// trustedUnder is a digest of the configuration under which both sides were looked at: the rules of the sync, and how the server is
// reached, without secrets.
func trustedUnder(cfg *config.Config, s *config.Sync) string {
	server := cfg.Servers[s.Server]
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %q %q %q %q %q %t %x %d %d %t", rulesOf(cfg, s), server.Name, server.Addresses, server.User, server.TLS, server.TLSCA,
		server.TLSServerName, server.TLSVerify, server.TLSPins, server.TLSMin, server.TLSMax, server.TLSLegacy))
	return hex.EncodeToString(sum[:16])
}

// trusts reports whether the server's side of a sync is known well enough not to be looked at.
func (c *commit) trusts(sync string) (bool, error) {
	s := c.d.agent.cfg.Syncs[sync]
	row, err := state.GetSync(c.tx, sync)
	if err != nil {
		return false, err
	}
	if s.RecheckAbove > 0 {
		paths, err := state.CountBaseline(c.tx, sync)
		if err != nil || paths <= s.RecheckAbove {
			return false, err
		}
	}
	recent := isRecent(row.Checked.Began, s.Recheck, c.now) && row.Checked.Rules == trustedUnder(c.d.agent.cfg, s)
	guarded := row.Halt != "" || !row.Approved.IsZero() || row.Elsewhere || row.EmptiedLocal || row.EmptiedRemote
	server := c.server(s.Server)
	if !recent || guarded || server.Failures > 0 || server.BlockedBy != "" {
		return false, nil
	}
	for _, isCalm := range []func(sync string) (bool, error){c.noScanIsOpen, c.nothingHasFailed, c.nothingIsNoted, c.nothingIsMarkedThere} {
		if calm, err := isCalm(sync); err != nil || !calm {
			return false, err
		}
	}
	return true, nil
}

// isRecent reports whether a look is not older than recheck. One that is nearly as old does not count, or else of daily passes each second
// one would come a few seconds too early for a look at the server.
func isRecent(looked time.Time, recheck time.Duration, now time.Time) bool {
	recheck -= recheck / 24
	return waits(looked.Add(recheck), now, recheck)
}

// noScanIsOpen: nobody has asked for a look at both sides, or is in the middle of one.
func (c *commit) noScanIsOpen(sync string) (bool, error) {
	_, open, err := queue.Lookup(c.tx, work.KindScan, sync, "")
	return !open, err
}

// nothingHasFailed: each job of the sync gets done at the first try, so far.
func (c *commit) nothingHasFailed(sync string) (calm bool, err error) {
	counts, err := queue.Summary(c.tx, sync)
	if calm = counts.Dead == 0; err != nil || !calm {
		return false, err
	}
	for _, in := range []queue.State{queue.Waiting, queue.Due, queue.Running} {
		err = queue.Each(c.tx, queue.Filter{Sync: sync, State: in}, func(job queue.Job) (bool, error) {
			calm = job.LastError == "" && job.Crashes == 0
			return calm, nil
		})
		if err != nil || !calm {
			return false, err
		}
	}
	return true, nil
}

// nothingIsNoted: no path is left alone for a reason that the server may have done away with.
func (c *commit) nothingIsNoted(sync string) (calm bool, err error) {
	calm = true
	err = state.EachNote(c.tx, sync, func(n state.Note) (bool, error) {
		calm = n.Kind == state.NoteHeld || n.Kind == state.NoteSkipped
		return calm, nil
	})
	return calm, err
}

// nothingIsMarkedThere: no path waits to be looked at on the server.
func (c *commit) nothingIsMarkedThere(sync string) (bool, error) {
	marks, err := state.DirtyPaths(c.tx, sync, mostMarks+1)
	if err != nil || len(marks) > mostMarks {
		return false, err
	}
	for _, mark := range marks {
		if mark.Remote || mark.Bad != "" {
			return false, nil
		}
	}
	return true, nil
}

// mostMarks is how many marks are looked through.
const mostMarks = 1000

// distrust has the next pass look at both sides of the syncs whose jobs were cut off by an unclean end: nobody knows what they have left
// on the server.
func distrust(tx *state.Tx, cutOff queue.Recovered) error {
	for _, ids := range [][]queue.ID{cutOff.Requeued, cutOff.Dead} {
		for _, id := range ids {
			job, ok, err := queue.Get(tx, id)
			if err != nil {
				return err
			}
			if ok && job.Kind != work.KindRescan {
				if err := state.Doubt(tx, job.Sync); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
