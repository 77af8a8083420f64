// Package control is the local API of a running agent, and its client: HTTP with JSON over a
// Unix socket that only the agent's user can reach, or, on Windows, a loopback port with a token that only they can read. Web is what others may see, over TCP.
package control

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Service is what a running agent offers. Its methods may be called at the same time.
type Service interface {
	// Pass looks at all of the syncs, does what there is to do, and returns when nothing is
	// left that could be done now. No names means all syncs. For as long as a sync trusts what was seen on its server last (recheck), the
	// server is only asked about what has changed here.
	Pass(ctx context.Context, syncs []string) (Report, error)
	// FullPass is Pass with a look at the servers in any case.
	FullPass(ctx context.Context, syncs []string) (Report, error)
	// Plan says what Pass would do, and does nothing.
	Plan(ctx context.Context, syncs []string) ([]SyncPlan, error)
	// Approve lets halted syncs go on, all of them or, with ErrOtherReason, none.
	Approve(ctx context.Context, request ApproveRequest) error
	// Pause has syncs begin nothing new until Resume, over restarts too. What changes meanwhile is noted, and what schedules
	// ask for is done afterwards.
	Pause(ctx context.Context, request PauseRequest) (Paused, error)
	// Resume ends pauses. It returns the syncs that were paused.
	Resume(ctx context.Context, request ResumeRequest) (Resumed, error)

	// Jobs calls each for the jobs that the filter chooses: the dead ones first, then those running, due and waiting. It
	// returns the numbers of jobs of all syncs that have any, sorted by name. An error of each ends it, and is returned.
	Jobs(ctx context.Context, filter JobFilter, each func(Job) error) ([]SyncJobs, error)
	// RetryJobs makes dead and waiting jobs due, and ends the pauses and blocks of their servers.
	RetryJobs(ctx context.Context, filter JobFilter) (Changed, error)
	// DropJobs removes jobs. Transfers that are running are broken off, and it returns when they have ended, with nothing of them left on
	// either side; so do looks. What deletes or renames ends by itself, and what is done by then counts as done. If ctx ends before, they are
	// dropped all the same. The limit of the filter is ignored, by RetryJobs too.
	DropJobs(ctx context.Context, filter JobFilter) (Changed, error)
	// History calls each for the rows that the filter chooses, oldest first. An error of each ends it, and is returned.
	History(ctx context.Context, filter HistoryFilter, each func(HistoryRow) error) error
	// Status says how the syncs, their servers and the transfers under way stand, and Explain why one path is as it is: relative
	// to the folder of the sync, or a local path in it.
	Status(ctx context.Context, filter StatusFilter) (Overview, error)
	Explain(ctx context.Context, sync, path string) (Explanation, error)
	// Health returns nil as long as the agent works, whatever may keep its syncs from going on, and else what is wrong.
	Health(ctx context.Context) error
	// Events calls each for what happens, until ctx ends or each returns an error, and returns that. It begins behind the event
	// of the number after, or see EventsRemembered. Some 1,000 events are remembered; one who reads too slowly gets an event of
	// the kind EventLost in place of those that are not.
	Events(ctx context.Context, after uint64, each func(Event) error) error
	// Reload has the configuration read again and returns when it is in force. With ErrConfiguration the one before stays.
	Reload(ctx context.Context) (Reloaded, error)
	// Snapshot returns a consistent copy of the state file, and its size in bytes. The caller closes it.
	Snapshot(ctx context.Context) (file io.ReadCloser, size int64, err error)
}

// ErrConfiguration: the configuration has errors, and the one before stays in force.
var ErrConfiguration = errors.New("the new configuration is not taken")

// ErrUnknownSync: a name was given that the configuration does not have.
var ErrUnknownSync = errors.New("unknown sync")

// Exit codes of the program, a contract with scripts.
const (
	ExitDone          = 0  // done and in step
	ExitNeedsPerson   = 1  // dead jobs, a halt, conflicts, a refused login
	ExitUsage         = 64 // wrong use of the command line
	ExitUnavailable   = 69 // a server cannot be reached
	ExitUnfinished    = 75 // something is left and will be tried again
	ExitConfiguration = 78 // the configuration is wrong
)

// Report says what became of a pass.
type Report struct {
	Syncs []SyncReport `json:"syncs"`
}

// ExitCode is the exit code of a program that made this pass.
func (r Report) ExitCode() int {
	code := ExitDone
	for _, s := range r.Syncs {
		switch {
		case s.needsPerson():
			return ExitNeedsPerson
		case s.Unavailable != "":
			code = ExitUnavailable
		case (s.Unfinished > 0 || s.Paused != "") && code == ExitDone:
			code = ExitUnfinished
		}
	}
	return code
}

// SyncReport is the part of a Report about one sync.
type SyncReport struct {
	Sync string `json:"sync"`
	// Halt is a guard's reason, "" if the sync is not halted.
	Halt string `json:"halt,omitempty"`
	// Paused says that, and why, a person has paused the sync.
	Paused string `json:"paused,omitempty"`
	// Unavailable says why the server could not be used, Blocked why it will not be tried
	// again before a person acts.
	Unavailable string `json:"unavailable,omitempty"`
	Blocked     string `json:"blocked,omitempty"`

	Transferred int   `json:"transferred"`
	Bytes       int64 `json:"bytes"`
	Deleted     int   `json:"deleted"`
	Folders     int   `json:"folders"`
	// Renamed counts files and folders that were renamed because they were renamed on the other side.
	Renamed int `json:"renamed,omitempty"`
	// Adopted counts the paths found in step that were not known to be.
	Adopted int `json:"adopted"`

	// Unfinished counts the jobs that are left and will be tried again.
	Unfinished int `json:"unfinished"`
	// Dead are jobs that are not tried again by themselves, Waiting some of the unfinished.
	Dead    []PathReason `json:"dead,omitempty"`
	Waiting []PathReason `json:"waiting,omitempty"`
	// Conflicts wait for a person; Skipped are left alone by rule; Unknown could not be
	// looked at.
	Conflicts []PathReason `json:"conflicts,omitempty"`
	Skipped   []PathReason `json:"skipped,omitempty"`
	Unknown   []PathReason `json:"unknown,omitempty"`
	// Held are files that were not complete when they were looked at. Those of them that somebody is writing are among the
	// unfinished as long as they are.
	Held []PathReason `json:"held,omitempty"`

	Took time.Duration `json:"took_ns"`
}

func (s SyncReport) needsPerson() bool {
	return s.Halt != "" || s.Blocked != "" || len(s.Dead) > 0 || len(s.Conflicts) > 0 || len(s.Unknown) > 0
}

// PathReason is a path and something about it that a person can read.
type PathReason struct {
	Path   state.Text `json:"path"`
	Reason string     `json:"reason"`
}
