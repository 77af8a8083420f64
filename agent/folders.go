package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/state"
)

// A poll may leave out folders on the server whose times are what they were, but only where it was learned that these times follow
// every change (scan.FolderTimes). Such a poll is no full scan: it clears no marks and no notes, and ends nothing that waits for one.

// learnedTimes is what is to be told about the times of the folders on a server: that they are trusted, or why not.
type learnedTimes struct {
	sync, server, against string
}

func (d *dispatcher) tellTimes(all []learnedTimes) {
	for _, learned := range all {
		if learned.against != "" {
			d.agent.logger.Info("the times of folders on the server cannot be trusted, each poll lists all of them",
				"sync", learned.sync, "server", learned.server, "reason", learned.against)
			continue
		}
		d.agent.logger.Info("the times of folders on the server follow all changes, polls leave out folders by them",
			"sync", learned.sync, "server", learned.server)
	}
}

// learnFolders takes over what a part of a scan has seen of the times of folders. One that has not followed a change ends the trust for
// good, and what was left out because of that trust is looked at.
func (c *commit) learnFolders(s *scanning) error {
	found, learned := s.Scan, &s.row.Folders
	if len(found.Folders) == 0 && !found.Follows && found.Against == "" && found.Spared == 0 {
		return nil
	}
	trusted := learned.Trusted()
	learned.Spared += uint64(found.Spared)
	switch {
	case learned.Against != "":
	case found.Against != "":
		if err := c.distrustFolders(s, trusted); err != nil {
			return err
		}
	default:
		for _, folder := range found.Folders {
			added, err := state.PutFolder(c.tx, s.sync(), folder.Path, folder.Folder)
			if err != nil {
				return err
			}
			if added {
				learned.Rows++
			}
		}
		if found.Follows && !learned.ForScan.Equal(s.progress.Began) {
			learned.For, learned.ForScan = learned.For+1, s.progress.Began
		}
		if learned.Trusted() && !trusted {
			c.times = append(c.times, learnedTimes{sync: s.sync(), server: s.Job.Server})
		}
	}
	return state.PutSync(c.tx, s.sync(), s.row)
}

func (c *commit) distrustFolders(s *scanning, trusted bool) error {
	learned := &s.row.Folders
	*learned = state.FolderTimes{Against: s.Scan.Against, Spared: learned.Spared, Whole: learned.Whole, LastPoll: learned.LastPoll}
	c.times = append(c.times, learnedTimes{s.sync(), s.Job.Server, learned.Against})
	if err := state.DropFolders(c.tx, s.sync()); err != nil || !trusted {
		return err
	}
	return c.enqueueScan(s.sync(), work.KindScan, "times of folders cannot be trusted", priorityScan, c.now)
}

// spared counts a poll that may have left out folders.
func (s *scanning) spared(now time.Time) {
	s.polled()
	s.row.Folders.Polls++
	s.row.Folders.LastPoll = now
}

// crowdedFolders is how many rows of folders are looked through for those of folders that are no more.
const crowdedFolders = 500

// listedAll notes that a scan has listed all folders, if it has.
func (c *commit) listedAll(s *scanning) error {
	learned := &s.row.Folders
	if c.d.agent.cfg.Syncs[s.sync()].Poll <= 0 || s.progress.Found.Unseen > 0 {
		return nil
	}
	learned.Whole, learned.Polls = s.progress.Began, 0
	if learned.Rows < crowdedFolders || learned.Room() > learned.Rows {
		return nil
	}
	var err error
	learned.Rows, err = state.PruneFolders(c.tx, s.sync(), func(key []byte) bool { return state.IsKnown(c.tx, key) })
	return err
}

// folderTimesOf is what status shows of them.
func folderTimesOf(s *config.Sync, row state.SyncState) *control.FolderTimes {
	if s.Poll <= 0 {
		return nil
	}
	learned := row.Folders
	times := &control.FolderTimes{State: control.FolderTimesLearning, Reason: learned.Against, Spared: learned.Spared, Listed: learned.Whole}
	switch {
	case learned.Against != "":
		times.State = control.FolderTimesWrong
	case learned.Trusted():
		times.State = control.FolderTimesTrusted
	}
	return times
}
