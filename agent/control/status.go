package control

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// StatusFilter says of what the status is wanted, and how much of it.
type StatusFilter struct {
	Syncs []string // none means all
	// Notes is the largest number of paths to name per sync; 0 means all.
	Notes int `json:",omitempty"`
}

// SyncStatus is how one sync stands.
type SyncStatus struct {
	Sync      string `json:"sync"`
	Server    string `json:"server"`
	Direction string `json:"direction"`
	// State is one of the words below.
	State string `json:"state"`
	// Known is the number of paths that are in step.
	Known int `json:"known"`
	// Jobs are the numbers of jobs, and what keeps them from going on.
	Jobs     SyncJobs  `json:"jobs"`
	LastScan time.Time `json:"last_full_scan,omitzero"`
	// LastSuccess is when something was last done, or a look at everything has left nothing to do.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Conflicts, Skipped, Unknown and Differ count the paths about which nothing is done, and Notes names them. Differ are those that
	// a comparison of contents (do = "verify") has found to differ under the same size and time; among Unknown are those that it
	// could not compare.
	Conflicts int    `json:"conflicts"`
	Skipped   int    `json:"skipped"`
	Unknown   int    `json:"unknown"`
	Differ    int    `json:"differ"`
	Notes     []Note `json:"notes,omitempty"`
	// Troubles are some of the jobs that have failed, with the reasons: dead ones, then those that are tried again.
	Troubles []Job `json:"troubles,omitempty"`
	// Paused says that a person has paused the sync; nil if nobody has.
	Paused *Pause `json:"paused,omitempty"`
	// Watch says how local changes are noticed; nil if the sync does not watch, or nobody runs.
	Watch *Watch `json:"watch,omitempty"`
	// Schedules are the lines of the schedule, in the order of the configuration.
	Schedules []Schedule `json:"schedules,omitempty"`
	// Held are files that wait until they are complete, with the reasons, at most as many as StatusFilter.Notes; HeldAll counts them.
	Held    []PathReason `json:"held,omitempty"`
	HeldAll int          `json:"held_all,omitempty"`
	// Rescans counts the looks at the whole local folder that no event had asked for, and OnlyByRescan the changes that they found
	// and no event had told of: with a watch that works, 0.
	Rescans      uint64    `json:"rescans"`
	OnlyByRescan uint64    `json:"only_by_rescan"`
	LastRescan   time.Time `json:"last_rescan,omitzero"`
	// NextPoll is when the server is asked again for what has changed there; zero if it is not asked by itself.
	NextPoll time.Time `json:"next_poll,omitzero"`
	// FolderTimes says whether a poll leaves out folders by their times; nil if the server is not polled.
	FolderTimes *FolderTimes `json:"folder_times,omitempty"`
}

// FolderTimes says what was learned about the times that a server tells of folders.
type FolderTimes struct {
	// State is one of the words below, and Reason says why they are not trusted.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Spared counts the listings of folders that polls have left out, because nothing in them had changed.
	Spared uint64 `json:"spared"`
	// Listed is when the last scan began that has listed all folders.
	Listed time.Time `json:"listed,omitzero"`
}

// What is known of the times of folders.
const (
	FolderTimesLearning = "learning"
	FolderTimesTrusted  = "trusted"
	FolderTimesWrong    = "not trusted"
)

// Watch says how the changes in a local folder are noticed.
type Watch struct {
	// State is one of the words below.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Cure   string `json:"cure,omitempty"`
	// Every is how often everything is looked at, in nanoseconds, because there are no events to rely on; 0 if there are.
	Every   time.Duration `json:"every,omitempty"`
	Folders int           `json:"folders"`
	Since   time.Time     `json:"since,omitzero"`
}

// The states of a watch.
const (
	WatchWorks    = "watching"
	WatchStarting = "starting"
	WatchDegraded = "degraded" // some folders are looked at now and then
	WatchPolling  = "polling"  // everything is
	WatchMissing  = "missing"  // there is no folder
)

// Schedule is how one line of a schedule stands.
type Schedule struct {
	Spec string `json:"spec"`
	// Do is what it does: sync, scan, verify or purge.
	Do string `json:"do"`
	// Fired is the time for which it was last carried out, and Missed how many times were left out since then or before that.
	Fired  time.Time `json:"last_fired,omitzero"`
	Missed uint64    `json:"missed"`
	Next   time.Time `json:"next,omitzero"`
	// Finished is when the last run was over, and Result what came of it, for people.
	Finished time.Time `json:"last_finished,omitzero"`
	Result   string    `json:"result,omitempty"`
}

// The states of a sync. One that is stopped says so before anything else, by the words of Stop.By.
const (
	StateNew     = "new"            // nobody has looked yet
	StatePerson  = "needs a person" // dead jobs, conflicts, contents that differ, or paths that nobody can look at
	StateWorking = "working"
	StateWaiting = "waiting" // for the next try, or for a file to be quiet
	StateInStep  = "in step"
	// StateDegraded: in step as far as anybody has looked, but not every change is noticed when it happens (see Watch).
	StateDegraded = "degraded"
)

// stateWords are the states that are called by another word where people read them.
var stateWords = map[string]string{
	StopHalt: "halted", StopBlock: "blocked",
	StopPause: "server paused", // which would pass for what a person has paused
	StopFull:  "no room", StopWindow: "outside of its hours",
}

// StateWord is how people are told the state of a sync or of a server. The status page has the same words (words.js).
func StateWord(state string) string {
	if word, has := stateWords[state]; has {
		return word
	}
	return state
}

// Note is a path about which nothing is done.
type Note struct {
	Path state.Text `json:"path"`
	// Kind is conflict, skipped, unknown, differs or unread, and in an explanation held, too: the file is not complete yet.
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// StatusExitCode is the exit code of a program that printed these.
func StatusExitCode(syncs []SyncStatus) int {
	code := ExitDone
	for _, s := range syncs {
		switch {
		case s.Jobs.Dead > 0 || s.Conflicts > 0 || s.Unknown > 0 || s.Differ > 0:
			return ExitNeedsPerson
		case s.Jobs.Stop != nil && (s.Jobs.Stop.By == StopHalt || s.Jobs.Stop.By == StopBlock):
			return ExitNeedsPerson
		}
	}
	return code
}

// Explanation is all that is known of one path.
type Explanation struct {
	Sync string     `json:"sync"`
	Path state.Text `json:"path"`
	// Excluded says why the path takes no part, "" if it does.
	Excluded string `json:"excluded,omitempty"`
	// Local is what is there now; LocalError says why nobody can tell.
	Local      entry.Entry `json:"local"`
	LocalError string      `json:"local_error,omitempty"`
	// Agreed is what both sides were when they last agreed; nil if they never did.
	Agreed *Agreed `json:"agreed,omitempty"`
	// LastSeen is what both sides were when they were last looked at, as far as that was written down. The server is not asked.
	LastSeen LastSeen `json:"last_seen,omitzero"`
	Note     *Note    `json:"note,omitempty"`
	// Marked says why the path is to be looked at, and since when.
	Marked      string    `json:"marked,omitempty"`
	MarkedSince time.Time `json:"marked_since,omitzero"`
	// Jobs have what they were planned by, each.
	Jobs []Job `json:"jobs,omitempty"`
	// Scan is the look at the whole sync, if that has failed and is tried again: until then nothing new is found.
	Scan    *Job         `json:"scan,omitempty"`
	Stop    *Stop        `json:"stop,omitempty"`
	History []HistoryRow `json:"history,omitempty"`
	// Next is what happens next, for people.
	Next string `json:"next"`
}

// Agreed is the baseline of a path.
type Agreed struct {
	Local  entry.Entry `json:"local"`
	Remote entry.Entry `json:"remote"`
	When   time.Time   `json:"when,omitzero"`
	// Left, if not "", says why the two are not alike and stay so.
	Left string `json:"left,omitempty"`
	// Unreadable: nobody can tell on what they agreed.
	Unreadable bool `json:"unreadable,omitempty"`
}

// LastSeen has a look at each side; nil: nobody has looked, or written it down.
type LastSeen struct {
	Local  *Seen `json:"local,omitempty"`
	Remote *Seen `json:"remote,omitempty"`
}

// Seen is what a side was at a time; zero: that is not known.
type Seen struct {
	Entry entry.Entry `json:"entry"`
	When  time.Time   `json:"when,omitzero"`
	// By says what has written it down: SeenAgreed, SeenPlanned or SeenNoted.
	By string `json:"by"`
}

// What has written down how a side looked: both sides agreed, a job was planned, or the path was left alone.
const (
	SeenAgreed  = "agreed"
	SeenPlanned = "planned"
	SeenNoted   = "noted"
)

// PlannedSides are both sides as a job takes them to be, and when it was planned; zero: that is not known.
type PlannedSides struct {
	Local  PlannedSide `json:"local"`
	Remote PlannedSide `json:"remote"`
	When   time.Time   `json:"when,omitzero"`
}

// PlannedSide is one of them. Knowledge is PlannedSeen, PlannedAssumed (nobody looked, and it is taken to be as it was at the last
// agreement) or PlannedUnknown.
type PlannedSide struct {
	Knowledge string      `json:"knowledge"`
	Entry     entry.Entry `json:"entry"`
}

// What is known of a side for which something was planned.
const (
	PlannedSeen    = "seen"
	PlannedAssumed = "assumed"
	PlannedUnknown = "unknown"
)

type explainRequest struct {
	Sync string
	Path state.Text
}

// Explain implements Service.
func (c *Client) Explain(ctx context.Context, sync, path string) (e Explanation, err error) {
	err = c.post(ctx, "/v1/explain", explainRequest{sync, state.Text(path)}, &e)
	return e, err
}
