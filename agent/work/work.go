// Package work carries out jobs on one connection and reports what came of them. It reads
// files and talks to servers; it writes no state and decides nothing about retries.
package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Sync is what workers need to know about a sync.
type Sync struct {
	Name   string
	Local  string // absolute path of the local folder
	Remote string // as configured: absolute, or relative to the login's folder
	Rules  plan.Rules
	Filter scan.Filter
	Marker string
	Settle time.Duration
	// Ready is how the file is called that says of a source that it is complete; with it nobody waits for Settle.
	Ready scan.Ready
	// Moves: what was renamed on one side is looked for and renamed on the other one.
	Moves bool
	Upload
	Download
	// Verify says how to make sure that all bytes arrived.
	Verify Verify
	// Trash, if not "", is the folder on either side, relative to the root, that deleted files are moved to, and TrashKeep how
	// long they stay there; 0 means for ever.
	Trash     string
	TrashKeep time.Duration
	// Appends reports whether a file only ever grows, so that its tail is enough (mode = "append").
	Appends func(rel string) bool
	Hooks   Hooks
	// Polled: the server is asked for changes every now and then.
	Polled bool
}

// followsRemote: links on the server are only followed where nothing is ever changed there.
func (s Sync) followsRemote() bool {
	return s.Rules.Links == plan.LinksFollow && s.Rules.Direction == plan.Down
}

// Upload is how files go to the server.
type Upload struct {
	// Direct writes to the final name at once, for servers that do not rename.
	Direct bool
	// TempPrefix and TempSuffix surround temporary names; TempFolder is where they are, relative to the root of the sync, ""
	// for beside the target.
	TempPrefix, TempSuffix, TempFolder string
	// Mode, if not 0, is what the permissions of uploaded files are set to.
	Mode fs.FileMode
	// After says what becomes of a local file that was uploaded.
	After After
	// RemoteName, if not nil, gives the path on the server for a local one, both relative to the root of the sync; for what is
	// downloaded, too.
	RemoteName func(rel string, modified time.Time) string
}

// Download is how files come from the server.
type Download struct {
	// Claim renames a file on the server before it is fetched, so that nobody else fetches it too.
	Claim bool
	// After says what becomes of a remote file that was downloaded.
	After After
}

// After says what becomes of a source that was transferred: it stays (zero), goes, or moves to a folder relative to the root
// of its side.
type After struct {
	Delete bool
	// Move, if not nil, gives the new path of a file, relative to the root of its side.
	Move func(rel string, now time.Time) string
}

// Verify says how to make sure that all bytes arrived.
type Verify string

// VerifySize compares sizes. VerifyHash compares a hash that the server computes, where it can, and else sizes. VerifyReread
// reads the file back and compares every byte.
const (
	VerifySize   Verify = "size" // also ""
	VerifyHash   Verify = "hash"
	VerifyReread Verify = "reread"
)

// Hooks are commands around each transfer; empty ones are none. Shell runs a command, then of one element, by the system's
// shell.
type Hooks struct {
	Before, After, OnError []string
	Shell                  bool
	Timeout                time.Duration
}

// State reads what is known about one sync. Each call is a short transaction of its own.
type State interface {
	// Children and At read the baseline: the children of a folder, and one path (nil: none).
	Children(dir string) ([]state.Baseline, error)
	At(rel string) (*state.Baseline, error)
	// After reads all of the baseline, a portion at a time: see state.BaselineAfter.
	After(place []byte, limit int) ([]state.BaselineRow, error)
	// Count is the number of paths in the baseline.
	Count() (int, error)
	// Different reports whether both sides of a path were compared as they are now, and are left alone for that: see plan.Different.
	Different(rel string, local, remote entry.Entry) (bool, error)
	// Intents returns what transfers of a path were about to put at their targets.
	Intents(rel string) ([]state.Intent, error)
	// Appended returns what was sent of a file that only ever grows (nil: nothing is known).
	Appended(rel string) (*state.Appended, error)
	// Dirty returns the marks of changed paths, at most limit of them, and Mark the number of the newest one ever made.
	Dirty(limit int) ([]state.Dirty, error)
	Mark() (uint64, error)
	// Identified finds paths by what is there, see state.Identified.
	Identified(side state.Side, e entry.Entry, limit int) ([]string, error)
	// Folders is what was learned about the times of folders on the server, and Folder what is written down of one.
	Folders() (state.FolderTimes, error)
	Folder(rel string) (row state.Folder, known bool, err error)
	// Live reports whether an attempt of a job may still be under way.
	Live(job uint64, attempt int) bool
}

// Env is what one job is carried out with. It is used by one goroutine at a time.
type Env struct {
	Sync Sync
	// Connect returns the worker's connection, made when first needed, and a new one when that
	// is not usable any more.
	Connect func(ctx context.Context) (*ftpclient.Conn, error)
	// Lender, if not nil, lends what connections the server has to spare beside that one.
	Lender   scan.Lender
	State    State
	Instance string
	Logger   *slog.Logger
	// Room is how many operations a scan job may find at first, and Flush hands over what it has found so far (an
	// Outcome with Scan and Progress), waits until that is committed, and returns how many more it may find. Flush is nil where
	// nobody writes anything down: then the whole result is in the Outcome. Of a comparison of contents the Outcome has Compared, and
	// room is 0 when it is to make way, and anything else when it may go on.
	Room  int
	Flush func(ctx context.Context, part Outcome) (room int, err error)
	// Live, if not nil, is told of the transfer.
	Live *Live
	// Spares are connections for further streams of a large download.
	Spares Spares
	// Dropped, if not nil, reports whether nobody tries the job again if it ends without being done: then nothing of it is to be left.
	Dropped func() bool

	again bool    // the same attempt, on another connection
	near  *nearby // what is open already of the local side; nil for nothing
}

// Result says what came of a job.
type Result uint8

const (
	// Failed: Outcome.Err says why. Whether to try again is decided by whoever reads it.
	Failed Result = iota
	// Done: the job is finished and Outcome says what to remember.
	Done
	// Stale: one of the sides is not what the plan saw; nothing was changed, and the path
	// has to be looked at again.
	Stale
)

var resultNames = [...]string{"failed", "done", "stale"}

// String returns the result as a word.
func (r Result) String() string { return resultNames[r] }

// Outcome is what a worker reports of one job: values only, for the dispatcher to write down.
type Outcome struct {
	Job    queue.Job
	Result Result
	Err    error
	// Reason explains Stale and unusual ways of being Done, for people.
	Reason string

	// Already: what was to be transferred was there.
	Already bool
	// Base is the new baseline of the job's path; nil and Forget removes it.
	Base   *plan.Base
	Forget bool
	// Appended is what was sent of a file that only ever grows, written down together with Base.
	Appended *state.Appended
	// Replan: look at the path again, at the far side too.
	Replan bool
	// Also are further paths that have to be looked at, at the far side too.
	Also []string
	// Moved: what was in step under this path, and all below it, is under the path of the job now, on both sides.
	Moved string
	// Instead, if not nil, is to be done in place of the job.
	Instead *plan.Op
	// Conflict, if not nil, is why the path is left alone until a person has decided.
	Conflict *plan.Note
	// NotEmpty: Stale, because something is in the folder that was to be deleted.
	NotEmpty bool
	// Settling: the source is not complete yet. Only that side has to be looked at again.
	Settling bool
	// Held, if not "", says why a source is not complete yet, for people: it has changed, or somebody is writing it.
	Held string

	// Progress is how far a scan job has come, nil for other jobs. Of one that failed it is in the job's row already.
	Progress *Progress
	// Scan is the result of a scan job since it was flushed last. Dirty are the marks that a look has worked off since then;
	// a full scan works off all up to Progress.Mark. More: there are marks that the look did not read, or there is more to purge.
	Scan  *scan.Result
	Full  bool
	Dirty []state.Dirty
	More  bool

	// Compared is what a comparison of contents has found since it was flushed last, nil for other jobs.
	Compared *Comparison

	// For the history.
	Bytes    int64
	Duration time.Duration
	Method   string // data channel
	Verified string // how it was made sure that all bytes arrived
	Reply    string // the server's final words
	// Hook is what went wrong with a hook behind the transfer, which changes nothing about that.
	Hook string
	// Temp and Final are the names under which the content was written and is to be found, as the side that they are on calls
	// them: absolute, or as far as that is known. Temp is "" if nothing was written.
	Temp, Final string
}

// Kinds of jobs that are no plan.Action.
const (
	// KindScan looks at the whole tree.
	KindScan = "scan"
	// KindLook looks at the paths that are marked dirty.
	KindLook = "look"
	// KindRescan looks at the whole local folder, and takes the server's word of last time for what is there.
	KindRescan = "rescan"
	// KindSweepRemote and KindSweepLocal remove a temporary file that was left behind.
	KindSweepRemote = "sweep_remote"
	KindSweepLocal  = "sweep_local"
	// KindPurgeRemote and KindPurgeLocal remove what has been in the trash for long enough.
	KindPurgeRemote = "purge_remote"
	KindPurgeLocal  = "purge_local"
	// KindVerify compares what the files that are in step hold on both sides.
	KindVerify = "verify"
)

// Scans returns the kinds of jobs that look for what is to be done; a sync has at most one of each.
func Scans() []string { return []string{KindScan, KindLook, KindRescan} }

// IsScan reports whether a kind is one of Scans.
func IsScan(kind string) bool { return kind == KindScan || kind == KindLook || kind == KindRescan }

type action func(ctx context.Context, e Env, job queue.Job) Outcome

// kinds is the table of everything that can be in the queue.
var kinds = map[string]action{
	KindScan:                   runScan,
	KindLook:                   runScan,
	KindRescan:                 runScan,
	KindSweepRemote:            sweepRemote,
	KindSweepLocal:             sweepLocal,
	string(plan.Upload):        operation(upload),
	string(plan.Download):      operation(download),
	string(plan.MakeRemoteDir): operation(makeRemoteDir),
	string(plan.MakeLocalDir):  operation(makeLocalDir),
	string(plan.DeleteRemote):  operation(deleteRemote),
	string(plan.DeleteLocal):   operation(deleteLocal),

	KindPurgeRemote:             purgeRemote,
	KindPurgeLocal:              purgeLocal,
	KindVerify:                  verify,
	string(plan.MoveRemote):     operation(follow),
	string(plan.MoveLocal):      operation(follow),
	string(plan.SetAsideRemote): operation(setAsideRemote),
	string(plan.SetAsideLocal):  operation(setAsideLocal),
	string(plan.LinkRemote):     operation(linkRemote),
	string(plan.LinkLocal):      operation(linkLocal),
	string(plan.Compare):        operation(compare),
}

// FileKinds returns the kinds of jobs that do something to a path, sorted.
func FileKinds() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(kinds)), IsScan)
}

// Operations returns the kinds of jobs that are a plan.Action.
func Operations() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(kinds)), func(kind string) bool { return withoutPayload(kind) })
}

// Understands reports whether it can be told from a job what it is to do.
func Understands(job queue.Job) bool {
	if withoutPayload(job.Kind) {
		return true
	}
	_, known := kinds[job.Kind]
	_, err := plan.DecodeOp(job.Payload)
	return known && err == nil
}

func withoutPayload(kind string) bool {
	switch kind {
	case KindScan, KindLook, KindRescan, KindSweepRemote, KindSweepLocal, KindPurgeRemote, KindPurgeLocal, KindVerify:
		return true
	}
	return false
}

// NeedsConnection reports the kinds of jobs that do nothing at all before they have a connection.
func NeedsConnection(kind string) bool {
	return !withoutPayload(kind) && kind != string(plan.MakeLocalDir) // for that one a login would be in vain
}

// ErrUnknownKind: the row was written by another version, or is damaged.
var ErrUnknownKind = errors.New("unknown kind of job")

// Do carries out one job. It always returns an Outcome for that job.
func Do(ctx context.Context, e Env, job queue.Job) Outcome {
	began := time.Now()
	do, ok := kinds[job.Kind]
	if !ok {
		return failed(fmt.Errorf("%w: %q", ErrUnknownKind, job.Kind)).of(job, began)
	}
	o := do(ctx, e, job)
	if errors.Is(o.Err, ftpclient.ErrTicketExpired) && o.Progress == nil {
		// The data connection was refused before a byte went over it, and only another control
		// connection has another session. One that is not resumed from the start is told as
		// ErrNotResumed: a matter of the set-up, which no connection cures.
		e.Logger.Info("TLS session has expired, once more on another connection", "path", job.Path, "error", o.Err)
		e.again = true
		o = do(ctx, e, job)
	}
	return o.of(job, began)
}

func (o Outcome) of(job queue.Job, began time.Time) Outcome {
	o.Job = job
	o.Duration = time.Since(began)
	return o
}

func failed(err error) Outcome { return Outcome{Result: Failed, Err: err} }

func stale(reason string) Outcome {
	return Outcome{Result: Stale, Reason: reason, Replan: true}
}

func notEmpty(reason string) Outcome {
	return Outcome{Result: Stale, Reason: reason, Replan: true, NotEmpty: true}
}

// reply is the final reply for the history.
func reply(r ftpclient.Result) string {
	if r.Code == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", r.Code, r.Text)
}

// wrote adds the temporary name to an outcome that has no other sign of it.
func wrote(temp string, o Outcome) Outcome {
	o.Temp = temp
	return o
}

// IsAbsent reads the answer to a question about one path.
func IsAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
