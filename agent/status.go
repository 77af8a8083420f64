package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

func (a *Agent) syncStatus(tx *state.Tx, name string, most int) (control.SyncStatus, error) {
	configured := a.cfg.Syncs[name]
	s := control.SyncStatus{Sync: name, Server: configured.Server, Direction: string(configured.Direction), Watch: a.watching.status(name)}
	p, row, err := a.pauseIn(tx, name, time.Now())
	if err != nil {
		return s, err
	}
	s.LastScan, s.LastSuccess = row.LastFullScan, row.LastSuccess
	if p.Holds(time.Now()) {
		s.Paused = shownPause(p.Pause)
		s.Paused.Server = p.server
	}
	s.Rescans, s.OnlyByRescan, s.LastRescan = row.Rescans, row.OnlyByRescan, row.LastRescan
	s.FolderTimes = folderTimesOf(configured, row)
	if configured.Poll > 0 && a.options.Triggers && a.running.Load() != nil {
		s.NextPoll = nextPoll(configured, row, time.Now())
	}
	if s.Schedules, err = a.schedulesOf(tx, configured, time.Now()); err != nil {
		return s, err
	}
	if s.Known, err = state.CountBaseline(tx, name); err != nil {
		return s, err
	}
	n, err := queue.Summary(tx, name)
	if err != nil {
		return s, err
	}
	stop, err := a.stopOf(tx, name, time.Now())
	if err != nil {
		return s, err
	}
	s.Jobs = control.SyncJobs{
		Sync: name, Dead: n.Dead, Running: n.Running, Due: n.Due, Waiting: n.Waiting, Retrying: n.Retrying, NextDue: n.NextDue, Stop: stop,
	}
	if s.Troubles, err = troublesOf(tx, name, n, stop != nil); err != nil {
		return s, err
	}
	notes, err := a.lookout.notes.of(tx, name, most, time.Now())
	if err != nil {
		return s, err
	}
	s.Skipped, s.Unknown, s.Differ, s.Conflicts = notes.skipped, notes.unknown, notes.differ, notes.conflicts
	for _, n := range firstOf(notes.notes, most) {
		s.Notes = append(s.Notes, shownNote(n))
	}
	if s.Held, s.HeldAll, err = a.held(tx, name, notes, most); err != nil {
		return s, err
	}
	checks, err := looksForApproval(tx, name, row, time.Now())
	s.State = stateOf(s, s.Jobs.Waiting-checks)
	return s, err
}

// firstOf returns so many at most; 0: all.
func firstOf(notes []state.Note, most int) []state.Note {
	if most <= 0 {
		return notes
	}
	return notes[:min(len(notes), most)]
}

// looksForApproval counts the scans that wait to find out whether an approval is still needed. Nothing is left to be done by them.
func looksForApproval(tx *state.Tx, name string, row state.SyncState, now time.Time) (int, error) {
	if row.Approved.IsZero() {
		return 0, nil
	}
	job, ok, err := queue.Lookup(tx, work.KindScan, name, "")
	if errors.Is(err, state.ErrBadRow) {
		return 0, nil
	}
	if err != nil || !ok || !isForLater(job, now) || job.Why != approvalCheckWhy {
		return 0, err
	}
	return 1, nil
}

func shownNote(n state.Note) control.Note {
	kind := string(n.Kind)
	if n.Kind == state.NoteConflict {
		kind = "conflict"
	}
	return control.Note{Path: state.Text(n.Path), Kind: kind, Reason: n.Text, Since: n.First}
}

// stateOf is the one word for all the rest; waiting are the jobs that wait and have something to do.
func stateOf(s control.SyncStatus, waiting int) string {
	switch {
	case s.Jobs.Stop != nil:
		return s.Jobs.Stop.By
	case s.Jobs.Running+s.Jobs.Due > 0:
		return control.StateWorking
	case s.Jobs.Dead > 0 || s.Conflicts > 0 || s.Unknown > 0 || s.Differ > 0:
		return control.StatePerson
	case waiting > 0 || s.HeldAll > 0:
		return control.StateWaiting
	case s.LastScan.IsZero():
		return control.StateNew
	case s.Watch != nil && (s.Watch.State == control.WatchDegraded || s.Watch.State == control.WatchMissing):
		return control.StateDegraded
	}
	return control.StateInStep
}

// explained is how many rows of the history an explanation has.
const explained = 10

// Explain implements control.Service. The path is relative to the folder of the sync, or a local one in it.
func (a *Agent) Explain(ctx context.Context, sync, name string) (control.Explanation, error) {
	names, err := a.names([]string{sync})
	switch {
	case err != nil:
		return control.Explanation{}, err
	case len(names) != 1:
		return control.Explanation{}, fmt.Errorf("%w: %q is %d syncs: name one of %q", control.ErrUnknownSync, sync, len(names), names)
	}
	s := a.syncs[names[0]]
	rel, err := relativeTo(s.Local, name)
	if err != nil {
		return control.Explanation{}, err
	}
	e := control.Explanation{Sync: s.Name, Path: state.Text(rel)}
	a.explainLocal(&e, s, rel)
	if err := a.view(func(tx *state.Tx) error { return a.explainState(tx, &e, rel) }); err != nil {
		return e, err
	}
	filter := state.HistoryFilter{Syncs: []string{s.Name}, Newest: true, Path: func(path string) bool { return path == rel }}
	err = a.eachHistory(ctx, filter, func(h state.History) (bool, error) {
		e.History = append(e.History, shownHistory(h))
		return len(e.History) < explained, nil
	})
	limited := s.Rules.Direction != plan.Up && s.Filter.HasLimits()
	e.Next = nextStep(e, limited, a.cfg.Syncs[s.Name].AfterDownload != config.After{}, a.holdsChanges(s.Name), time.Now())
	return e, err
}

// relativeTo returns the path of name below root, as the state has it.
func relativeTo(root, name string) (string, error) {
	if filepath.IsAbs(name) {
		rel, err := filepath.Rel(root, name)
		if err != nil || !filepath.IsLocal(rel) {
			return "", fmt.Errorf("%w: %s is not in %s", control.ErrInvalid, name, root)
		}
		name = rel
	}
	rel := path.Clean(filepath.ToSlash(name))
	switch {
	case rel == ".":
		rel = ""
	case rel == "..", strings.HasPrefix(rel, "../"):
		return "", fmt.Errorf("%w: %s is not in %s", control.ErrInvalid, name, root)
	}
	if strings.ContainsRune(rel, 0) {
		return "", fmt.Errorf("%w: %q is no path", control.ErrInvalid, name)
	}
	return rel, nil
}

// explainLocal looks at the local side.
func (a *Agent) explainLocal(e *control.Explanation, s work.Sync, rel string) {
	root, err := os.OpenRoot(s.Local)
	if err != nil {
		e.LocalError = err.Error()
		return
	}
	defer root.Close()
	local := scan.NewLocal(root, s.Rules)
	if e.Local, err = local.Stat(rel); err != nil {
		e.LocalError = err.Error()
	}
	if rel == "" {
		return
	}
	item := plan.Item{Path: rel, Local: plan.Side{Knowledge: plan.Seen, Entry: e.Local}}
	switch why := s.Filter.In(local, time.Now()).Overrules(s.Rules.Direction, item); {
	case scan.IsTemp(rel):
		e.Excluded = "the name is that of a temporary file of this program"
	case why != "":
		e.Excluded = why
	}
}

// explainState reads what the state file says.
func (a *Agent) explainState(tx *state.Tx, e *control.Explanation, rel string) error {
	e.Agreed, e.LastSeen, e.Note, e.Jobs, e.Scan, e.Marked = nil, control.LastSeen{}, nil, nil, nil, "" // the transaction may be tried twice
	if row, ok, err := state.GetBaseline(tx, e.Sync, rel); err != nil {
		return err
	} else if ok {
		e.Agreed = &control.Agreed{Local: row.Local, Remote: row.Remote, When: row.When, Left: row.Left, Unreadable: row.Bad != ""}
	}
	note, ok := state.GetNote(tx, e.Sync, rel)
	if ok {
		shown := shownNote(note)
		e.Note = &shown
	}
	if mark, ok := state.GetDirty(tx, e.Sync, rel); ok {
		e.Marked, e.MarkedSince = mark.Why, mark.First
	}
	var ops []plan.Op
	for _, kind := range work.FileKinds() {
		job, ok, err := queue.Lookup(tx, kind, e.Sync, rel)
		if err != nil && !errors.Is(err, state.ErrBadRow) {
			return err
		}
		if !ok || err != nil {
			continue
		}
		shown := shownJob(job)
		if op, known := opOf(job); known {
			shown.Planned, ops = planned(op), append(ops, op)
		}
		e.Jobs = append(e.Jobs, shown)
	}
	e.LastSeen = lastSeen(e.Agreed, note, ops)
	scan, ok, err := failedScan(tx, work.KindScan, e.Sync)
	if err != nil {
		return err
	}
	if ok {
		shown := shownJob(scan)
		e.Scan = &shown
	}
	e.Stop, err = a.stopOf(tx, e.Sync, time.Now())
	return err
}

// waitingStep says what a path waits for while a halt is put off, "" if it does not.
func waitingStep(e control.Explanation, held bool, now time.Time) string {
	waits := e.Agreed != nil && e.Local.Kind == entry.Absent
	for _, job := range e.Jobs {
		open := job.State == string(queue.Waiting) || job.State == string(queue.Due)
		waits = waits || held && open || plan.Action(job.Kind).Deletes()
	}
	if !waits {
		return ""
	}
	nothing := "deleted"
	if held {
		nothing = "transferred or deleted"
	}
	return fmt.Sprintf("waiting: %s; nothing is %s, and all is looked at again in %s before the sync halts", e.Stop.Reason, nothing, max(e.Stop.Until.Sub(now), 0).Round(time.Second))
}

// nextStep says what happens next to a path; limited: a file on the server may be beyond the limits of size and age, which leave
// no trace in the state; fetched: no file stays on the server; held: while a halt is put off nothing is changed, and not only nothing
// deleted.
func nextStep(e control.Explanation, limited, fetched, held bool, now time.Time) string {
	if e.Note != nil && e.Excluded != "" && strings.HasPrefix(e.Note.Reason, scan.TooYoung) {
		return "it is looked at again when it is old enough: " + e.Note.Reason
	}
	if e.Excluded != "" {
		return "nothing: " + e.Excluded
	}
	stop := e.Stop
	if stop != nil && stop.By == control.StopWait {
		if text := waitingStep(e, held, now); text != "" {
			return text
		}
		stop = nil // for what is there
	}
	for _, job := range e.Jobs {
		what := strings.ReplaceAll(job.Kind, "_", " ")
		switch {
		case job.State == string(queue.Running):
			return what + ", now"
		case job.State == string(queue.Dead):
			return fmt.Sprintf("%s has failed for good (%s): \"ftpferry queue retry %d\" tries it again", what, job.LastError, job.ID)
		case stop != nil:
			return what + ", but " + stoppedStep(e.Sync, *stop)
		case job.State == string(queue.Waiting):
			text := fmt.Sprintf("%s in %s", what, max(job.RunAt.Sub(now), 0).Round(time.Second))
			switch {
			case job.LastError != "":
				text += ", after " + job.LastError
			case e.Note != nil && e.Note.Kind == string(state.NoteHeld):
				text += ": " + e.Note.Reason
			case mayBeHeld(job.Kind):
				text += ", if it was quiet until then"
			}
			return text
		default:
			return what + ", when it is its turn"
		}
	}
	switch {
	case stop != nil:
		return "nothing, " + stoppedStep(e.Sync, *stop)
	case e.Note != nil && e.Note.Kind == "conflict":
		return fmt.Sprintf("a person has to decide: %s; \"ftpferry once %s\" looks again when that is done", e.Note.Reason, e.Sync)
	case e.Note != nil && e.Note.Kind == string(state.NoteHeld):
		return "it is not complete yet: " + e.Note.Reason
	case e.Note != nil && e.Note.Kind == string(state.NoteDiffers):
		return "a person has to decide which side is right, and change its time of modification (\"touch\"), so that it is transferred: " + e.Note.Reason
	case e.Note != nil && e.Note.Kind == string(state.NoteUnread):
		return "nothing until it changes; the next comparison of contents reads it again: " + e.Note.Reason
	case e.Note != nil && e.Note.Kind == "unknown":
		return "nothing until it can be looked at: " + e.Note.Reason
	case e.Note != nil:
		return "nothing: " + e.Note.Reason
	case e.Marked != "":
		return "it is looked at soon: " + e.Marked
	case e.LocalError != "":
		return "unknown, as the local side cannot be looked at: " + e.LocalError
	case e.Scan == nil:
		return nextLook(e, limited, fetched)
	}
	reason, _, _ := strings.Cut(e.Scan.LastError, "\n")
	return fmt.Sprintf("%s. The look at the whole sync has failed (%s) and is tried again in %s",
		nextLook(e, limited, fetched), strings.TrimRight(reason, " ."), max(e.Scan.RunAt.Sub(now), 0).Round(time.Second))
}

// stoppedStep says what keeps a sync from going on, and what lets it.
func stoppedStep(sync string, stop control.Stop) string {
	reason, _, _ := strings.Cut(stop.Reason, "\n")
	text := fmt.Sprintf("the sync is stopped (%s): %s", stop.By, strings.TrimRight(reason, " ."))
	switch stop.By {
	case control.StopHalt:
		return fmt.Sprintf("%s; \"ftpferry plan %s\" says what it would do, \"ftpferry approve %s\" lets it", text, sync, sync)
	case control.StopBlock:
		return fmt.Sprintf("%s; correct the configuration, or try again with \"ftpferry queue retry --sync %s\"", text, sync)
	case control.StopPerson:
		return fmt.Sprintf("%s; \"ftpferry resume %s\" lets it go on", text, sync)
	}
	return text
}

// nextLook is nextStep for a path of which nothing is under way.
func nextLook(e control.Explanation, limited, fetched bool) string {
	switch {
	case e.Path == "":
		return "this is the folder of the sync: \"ftpferry status " + e.Sync + "\" says how all in it stands"
	case e.Agreed == nil && e.Local.Kind == entry.Absent && limited:
		return "nothing: it is neither here nor was it ever in step; if it is on the server, its size or age may be beyond the limits (min_size, max_size, min_age, max_age), else the next full scan finds it"
	case e.Agreed == nil && e.Local.Kind == entry.Absent:
		return "nothing: it is neither here nor was it ever in step; if it is on the server, the next full scan finds it"
	case e.Agreed == nil && fetched:
		return "nothing, unless a file of that name is on the server: one that was fetched does not stay there (after_download)"
	case e.Agreed == nil:
		return "the next look at it decides: it was never in step"
	case !entry.Same(e.Local, e.Agreed.Local):
		return "the next look at it decides: it has changed here since both sides agreed"
	}
	return "nothing: both sides agreed on it, and it has not changed here since"
}
