package control

import (
	"errors"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// ErrInvalid: a request that can never be answered, such as a malformed pattern.
var ErrInvalid = errors.New("wrong request")

// JobFilter chooses jobs of the queue; what is empty does not filter.
type JobFilter struct {
	// IDs are the numbers of the jobs. With IDs nothing else may be set.
	IDs                       []uint64 `json:"ids,omitempty"`
	Sync, Server, Kind, State string
	// Path is a pattern (queue.MatchPath).
	Path state.Text `json:",omitempty"`
	// Limit is the largest number of jobs to list; 0 means all.
	Limit int `json:",omitempty"`
}

// Job is a job of the queue, as the program shows it.
type Job struct {
	ID     uint64     `json:"id"`
	State  string     `json:"state"`
	Kind   string     `json:"kind"`
	Sync   string     `json:"sync"`
	Server string     `json:"server,omitempty"`
	Path   state.Text `json:"path"`
	// Why is the reason of the job, LastError that of its last failure, and LastReply what the server said then.
	Why       string `json:"why,omitempty"`
	LastError string `json:"last_error,omitempty"`
	LastReply string `json:"last_reply,omitempty"`
	// Attempts counts the failures that count, Claims all starts, Crashes those in a row that took the agent down.
	Attempts int   `json:"attempts"`
	Claims   int   `json:"claims"`
	Crashes  int   `json:"crashes"`
	Priority uint8 `json:"priority"`
	// Serial jobs run one after the other, behind the others of their sync.
	Serial bool `json:"serial"`
	// Rerun: the job begins anew when it is done, as it was asked for again meanwhile.
	Rerun bool       `json:"rerun,omitempty"`
	Temp  state.Text `json:"temp,omitempty"`
	// RunAt is the earliest start of a waiting job.
	RunAt    time.Time `json:"run_at,omitzero"`
	Enqueued time.Time `json:"enqueued,omitzero"`
	Started  time.Time `json:"started,omitzero"`
	Died     time.Time `json:"died,omitzero"`
	// Planned, in an explanation alone, is what the job goes by.
	Planned *PlannedSides `json:"planned,omitempty"`
}

// SyncJobs are the numbers of jobs of one sync.
type SyncJobs struct {
	Sync    string `json:"sync"`
	Dead    int    `json:"dead"`
	Running int    `json:"running"`
	Due     int    `json:"due"`
	Waiting int    `json:"waiting"`
	// Retrying is how many of Waiting have failed before, NextDue when the first of them becomes due.
	Retrying int       `json:"retrying"`
	NextDue  time.Time `json:"next_due,omitzero"`
	// Stop says why they do not go on; nil if they do.
	Stop *Stop `json:"stop,omitempty"`
}

// Stop is what keeps the jobs of a sync where they are.
type Stop struct {
	By     string `json:"by"` // one of those below
	Reason string `json:"reason"`
	// Deletes is how many files an approval would have deleted, if that is why a guard has stopped it.
	Deletes int `json:"deletes,omitempty"`
	// Until is when the next try is made; zero if a person has to act.
	Until time.Time `json:"until,omitzero"`
	// Server is set with StopPerson where it is the server that was paused.
	Server string `json:"server,omitempty"`
}

// What stops a sync.
const (
	StopOff   = "off"   // the configuration
	StopHalt  = "halt"  // a guard, until somebody approves
	StopBlock = "block" // the server refused the login, until its configuration changes or somebody asks
	StopPause = "pause" // the server could not be used
	// StopPerson: somebody has paused the sync.
	StopPerson = "paused"
	StopFull   = "full" // there is no room where transfers go; what deletes goes on
	// StopWindow: it is not the time for changes.
	StopWindow = "window"
	// StopWait: many files are gone, or the folder is, and it is waited whether they come back before a guard halts the sync. Until
	// then nothing is deleted; transfers go on as long as the folder holds something.
	StopWait = "waiting"
)

// Left is a job that was left as it was, and why.
type Left struct {
	ID     uint64 `json:"id"`
	Reason string `json:"reason"`
}

// Changed says what became of the jobs that were to be tried again, or dropped.
type Changed struct {
	// Jobs is how many it was done to.
	Jobs int `json:"jobs"`
	// BrokenOff is how many of Jobs were running when they were dropped: what they had transferred is removed again. In place of Again of
	// them others begin for the same paths, as something has asked for that meanwhile: a change, for example.
	BrokenOff int `json:"broken_off,omitempty"`
	Again     int `json:"again,omitempty"`
	// Due is how many were to be tried again and are due anyway.
	Due int `json:"due,omitempty"`
	// Running is how many were not tried again because they are running, Done how many were running and were done before they could be
	// dropped, Refused how many were left alone for another reason. Left names some of all of them.
	Running int    `json:"running"`
	Done    int    `json:"done,omitempty"`
	Refused int    `json:"refused"`
	Left    []Left `json:"left,omitempty"`
	// Unknown are the numbers that no job has.
	Unknown []uint64 `json:"unknown,omitempty"`
	// Servers are those whose pause or block has ended.
	Servers []string `json:"servers,omitempty"`
}

// HistoryFilter chooses rows of the history; what is empty does not filter.
type HistoryFilter struct {
	Since time.Time `json:",omitzero"`
	Sync  string    `json:",omitempty"`
	// Path is a pattern (queue.MatchPath).
	Path state.Text `json:",omitempty"`
	// Limit is the largest number of rows, the newest ones; 0 means all.
	Limit int `json:",omitempty"`
}

// HistoryRow is one thing that was done or failed, as the program shows it. What is about a server has no path, and no sync but
// where the local folder of one is full; of what works again TookMS is how long it did not.
type HistoryRow struct {
	When      time.Time  `json:"when"`
	Sync      string     `json:"sync"`
	Server    string     `json:"server,omitempty"`
	Path      state.Text `json:"path"`
	Direction string     `json:"direction,omitempty"` // up or down
	Op        string     `json:"op"`
	Result    string     `json:"result"` // done, failed (it is tried again), dead, dropped or conflict; paused, blocked, full or working again
	Bytes     int64      `json:"bytes"`
	TookMS    float64    `json:"took_ms"`
	Data      string     `json:"data,omitempty"`     // the data channel
	Verified  string     `json:"verified,omitempty"` // how the result was checked
	Reply     string     `json:"reply,omitempty"`    // the server's final one
	Temp      state.Text `json:"temp,omitempty"`     // both are full names on their side
	Final     state.Text `json:"final,omitempty"`
	Job       uint64     `json:"job,omitempty"`
	Tries     int        `json:"tries,omitempty"` // failures that count so far
	Error     string     `json:"error,omitempty"`
}
