package agent

import (
	"math/bits"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// Results in the history.
const (
	resultDone     = "done"
	resultFailed   = "failed" // and it is tried again
	resultDead     = "dead"
	resultConflict = "conflict"
	resultSkipped  = "skipped"
	resultDropped  = "dropped"
	resultDiffers  = "differs"
	// Those of a server or a folder, not of a path.
	resultPaused  = "paused"
	resultBlocked = "blocked"
	resultFull    = "full"
	resultWorks   = "working again"
	// Those of a sync.
	resultHalted   = "halted"
	resultApproved = "approved"
)

// What these rows are about.
const (
	opConnect  = "connect"
	opTransfer = "transfer"
	opGuard    = "guard"
)

// mostHistoryText bounds the texts of a row, which servers have a hand in, in bytes.
const mostHistoryText = 1024

// history adds what came of a job to the history.
func (c *commit) history(r report, result string) error {
	h := state.History{
		When: c.now, Sync: r.Job.Sync, Server: r.Job.Server, Path: r.Job.Path, Direction: direction(r.Job.Kind), Op: r.Job.Kind,
		Result: result, Job: uint64(r.Job.ID), Tries: r.Job.Attempts, Bytes: r.Bytes, Duration: r.Duration,
		Method: r.Method, Verified: r.Verified, Reply: brief(r.Reply), Temp: r.Temp, Final: r.Final,
	}
	if h.Final == "" {
		h.Final = c.finalName(r.Job)
	}
	if r.Hook != "" {
		h.Error = brief(r.Hook)
	}
	if r.leaves() {
		h.Error = brief(r.Base.Left)
	}
	switch {
	case result == resultDropped:
		h.Error = dropped{}.Error()
	case r.Err != nil:
		h.Tries++
		h.Error = brief(strings.TrimSuffix(reasonOf(r.Err)+"; "+r.Hook, "; "))
		if h.Reply == "" {
			h.Reply = brief(replyOf(r.Err))
		}
	}
	return state.AppendHistory(c.tx, h)
}

// failureHistory adds a failure after which the job is tried again. Of those of one job each doubling is told (the first, second,
// fourth, ...), so that a server that is in trouble for a week does not push all else out of the history.
func (c *commit) failureHistory(r report, f queue.Failure) error {
	if f.Uncounted || bits.OnesCount(uint(r.Job.Attempts+1)) != 1 {
		return nil
	}
	return c.history(r, resultFailed)
}

const (
	// flapping is how long a server must have worked for the next pause to be told, unless that comes to manyFailures:
	// minutes, by the pauses between them. So one that comes and goes does not push all else out of the history.
	flapping     = time.Hour
	manyFailures = 10
)

// serverHistory adds to the history that a server is paused, blocked or working again, if the history does not say so already:
// once, not for each try or start.
func (c *commit) serverHistory(name, result string, cause error) error {
	row := c.server(name)
	told, working := row.Told, row.Told.Result == "" || row.Told.Result == resultWorks
	h := state.History{When: c.now, Server: name, Op: opConnect, Result: result}
	switch {
	case result == told.Result, result == resultWorks && working:
		return nil
	case result == resultWorks:
		h.Duration = max(c.now.Sub(told.Since), 0)
	case result == resultPaused && told.Result == resultWorks && told.Since.After(c.now.Add(-flapping)) && row.Failures < manyFailures:
		return nil
	default:
		h.Error, h.Reply = brief(reasonOf(cause)), brief(replyOf(cause))
	}
	row.Told.Result = result
	if working || result == resultWorks {
		row.Told.Since = c.now
	}
	c.servers[name] = row
	return state.AppendHistory(c.tx, h)
}

// placeHistory adds to the history that there is no room at a place, or that there is again.
func (c *commit) placeHistory(r report, at place, h state.History) error {
	h.When, h.Server, h.Sync, h.Op, h.Direction = c.now, r.Job.Server, at.sync, opTransfer, direction(r.Job.Kind)
	return state.AppendHistory(c.tx, h)
}

// trimHistory removes what is too old or too much. By age it goes a day of rows at a time: a clock that is wrong for an hour
// must not cost all of the history.
func (c *commit) trimHistory() error {
	bounds := c.d.agent.cfg.Agent.History
	var olderThan time.Time
	oldest, _, err := state.ReadHistory(c.tx, state.HistoryFilter{}, "", 1)
	if err != nil {
		return err
	}
	if len(oldest) > 0 {
		olderThan = earlier(c.now.Add(-bounds.Keep), oldest[0].When.Add(24*time.Hour))
	}
	trimmed, err := state.TrimHistory(c.tx, bounds.Rows, olderThan, historyTrim)
	c.trimmed = trimmed < historyTrim // else there is more for the next commit
	return err
}

// mostNotes is how many paths a scan notes that are skipped or unknown; conflicts are always noted.
const mostNotes = 10_000

// notes writes down what a scan leaves alone, tells what is new of it, and adds the conflicts among that to the history. Told at
// every scan, what stays as it is for years would fill the log; a report of a pass names all of it.
func (c *commit) notes(s *scanning, result *scan.Result) error {
	for _, n := range result.Plan.Notes {
		kind := state.NoteSkipped
		switch {
		case n.Conflict:
			kind = state.NoteConflict
		case n.Held:
			kind = state.NoteHeld
		}
		note := seeing(state.Note{Path: n.Path, Kind: kind, Text: n.Text, Until: n.Until, Compared: n.Compared}, n.Local, n.Remote, c.now)
		if err := c.note(s, note); err != nil {
			return err
		}
	}
	for _, u := range result.Unknown {
		if err := c.note(s, state.Note{Path: u.Path, Kind: state.NoteUnknown, Text: u.Reason}); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) note(s *scanning, n state.Note) error {
	if n.Kind != state.NoteConflict {
		if s.progress.Found.Noted >= mostNotes {
			return nil // neither noted nor told
		}
		s.progress.Found.Noted++
	}
	if n.Kind == state.NoteHeld {
		return c.noteHeld(s.sync(), n)
	}
	return c.tell(s.sync(), n)
}

// tell writes a note down, and says so if it is news.
func (c *commit) tell(sync string, n state.Note) error {
	news, err := state.PutNote(c.tx, sync, n, c.now)
	if err != nil || !news {
		return err
	}
	kind := ActivitySkipped
	switch n.Kind {
	case state.NoteConflict:
		kind = ActivityConflict
	case state.NoteUnknown:
		kind = ActivityUnknown
	}
	c.happened(Activity{Kind: kind, Sync: sync, Path: n.Path, Text: n.Text})
	if n.Kind != state.NoteConflict {
		return nil
	}
	configured := c.d.agent.cfg.Syncs[sync]
	return state.AppendHistory(c.tx, state.History{
		When: c.now, Sync: sync, Server: configured.Server, Path: n.Path, Direction: string(configured.Direction), Op: "plan", Result: resultConflict,
		Error: brief(n.Text),
	})
}

// direction says which side a kind of job changes; "" for those that only look.
func direction(kind string) string {
	switch kind {
	case string(plan.Upload), string(plan.MakeRemoteDir), string(plan.DeleteRemote), work.KindSweepRemote,
		string(plan.SetAsideRemote), string(plan.MoveRemote), string(plan.LinkRemote), work.KindPurgeRemote:
		return string(config.Up)
	case string(plan.Download), string(plan.MakeLocalDir), string(plan.DeleteLocal), work.KindSweepLocal,
		string(plan.SetAsideLocal), string(plan.MoveLocal), string(plan.LinkLocal), work.KindPurgeLocal:
		return string(config.Down)
	}
	return ""
}

// finalName is the name that a job is about where no connection has told what the server calls it.
func (c *commit) finalName(job queue.Job) string {
	s, ok := c.d.agent.syncs[job.Sync]
	switch {
	case !ok || job.Path == "":
		return ""
	case direction(job.Kind) == string(config.Up):
		return path.Join(s.Remote, job.Path)
	case direction(job.Kind) == string(config.Down):
		return filepath.Join(s.Local, filepath.FromSlash(job.Path))
	}
	return ""
}

func brief(text string) string {
	if len(text) > mostHistoryText {
		text = text[:mostHistoryText]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
