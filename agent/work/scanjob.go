package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// lookMarks is how many marks a look works off at most.
const lookMarks = 10_000

// runScan looks at the whole tree on both sides (KindScan) or on the local one (KindRescan), or at the dirty paths (KindLook),
// from where the last run has stopped.
func runScan(ctx context.Context, e Env, job queue.Job) Outcome {
	progress, err := progressOf(e, job)
	if err != nil {
		return failed(err)
	}
	p := parts{full: job.Kind == KindScan, marked: job.Kind == KindLook, local: job.Kind == KindRescan, progress: progress}
	if progress.Release {
		return Outcome{Result: Done, Scan: &scan.Result{}, Full: p.isFull(), Progress: &progress}
	}
	if p.marked {
		if err := p.readMarks(e); err != nil {
			return failed(err)
		}
		if len(p.marks) == 0 && progress.Cursor == nil { // else the guard has to see the totals
			return p.outcome(&scan.Result{})
		}
	}
	if e.Flush != nil && e.Room <= 0 { // no reason to connect
		if p.progress.Cursor == nil {
			p.progress.Cursor = &scan.Cursor{}
		}
		return p.outcome(&scan.Result{Totals: p.progress.Cursor.Totals, Cursor: p.progress.Cursor})
	}
	result, err := p.scan(ctx, &e)
	if errors.Is(err, ftpclient.ErrTicketExpired) { // as in Do, but from where it has come to
		e.Logger.Info("TLS session has expired, the scan goes on on another connection", "sync", e.Sync.Name, "error", err)
		result, err = p.scan(ctx, &e)
	}
	if err != nil {
		return Outcome{Result: Failed, Err: err, Progress: &p.progress}
	}
	return p.outcome(result)
}

// progressOf reads how far the job has come. What another version has written, or nobody can read, begins anew.
func progressOf(e Env, job queue.Job) (p Progress, err error) {
	if len(job.Progress) > 0 {
		if err := json.Unmarshal(job.Progress, &p); err == nil && !p.Began.IsZero() {
			return p, nil
		}
		e.Logger.Warn("cannot read how far the scan has come, it begins anew", "sync", e.Sync.Name)
	}
	p = Progress{Began: time.Now()}
	if p.Mark, err = e.State.Mark(); err != nil {
		return p, err
	}
	if p.Known, err = e.State.Count(); err != nil || !e.Sync.Polled || !LookOf(job).Poll {
		return p, err
	}
	folders, err := e.State.Folders()
	p.Spares = folders.MaySpare(p.Began)
	return p, err
}

// Look is the payload of scans that were only due; others have none of it.
type Look struct {
	// Regular: the sync has a watch, and what is found in the local folder should have been told.
	Regular bool `json:"regular,omitempty"`
	// Poll: it is about changes on the server, and may go by the times of folders there.
	Poll bool `json:"poll,omitempty"`
}

// LookOf reads the payload of a scan.
func LookOf(job queue.Job) (l Look) {
	if !isScanOfAll(job.Kind) || json.Unmarshal(job.Payload, &l) != nil {
		return Look{}
	}
	return l
}

func isScanOfAll(kind string) bool { return kind == KindScan || kind == KindRescan }

// parts is a scan whose results are handed over as they come.
type parts struct {
	// full: everything on both sides. marked: only what is marked. local: everything on the local side.
	full, marked, local bool

	progress Progress
	// marks are those that a look works off, by path; more says that there are others.
	marks map[string]state.Dirty
	more  bool
	// due: all of them are about places that it is only time to look at again.
	due bool
}

// isFull reports a scan that has seen everything on both sides in the end.
func (p *parts) isFull() bool { return p.full && !p.progress.Spares }

// readMarks leaves those alone that were made since the look began: they may be about what it has seen already.
func (p *parts) readMarks(e Env) error {
	dirty, err := e.State.Dirty(lookMarks + 1)
	if err != nil {
		return err
	}
	p.marks = make(map[string]state.Dirty, len(dirty))
	for i, mark := range dirty {
		underWay := p.progress.Cursor != nil && p.progress.Cursor.Path != "" && mark.Path == string(p.progress.Cursor.Path)
		if i >= lookMarks || mark.Mark > p.progress.Mark {
			p.more = true
			if !underWay {
				continue
			}
		}
		p.marks[mark.Path] = mark
	}
	p.splitDue()
	return nil
}

// splitDue leaves what is only due to another look if there is anything else, or the other way round: a look at what is due leaves the
// server alone. What was marked first goes first, unless the look is in the middle of something, so that neither keeps the other waiting
// for ever.
func (p *parts) splitDue() {
	var first *state.Dirty
	due := 0
	for _, mark := range p.marks {
		if mark.Due {
			due++
		}
		if first == nil || mark.Mark < first.Mark {
			first = &mark
		}
	}
	if c := p.progress.Cursor; c != nil && c.Path != "" {
		if mark, ok := p.marks[string(c.Path)]; ok {
			first = &mark
		}
	}
	p.due = first == nil || first.Due
	if due == 0 || due == len(p.marks) {
		return
	}
	p.more = true
	maps.DeleteFunc(p.marks, func(_ string, mark state.Dirty) bool { return mark.Due != p.due })
}

// outcome is what is to be written down of a part.
func (p *parts) outcome(found *scan.Result) Outcome {
	progress := p.progress
	progress.Cursor = found.Cursor
	o := Outcome{Result: Done, Scan: found, Full: p.isFull(), Progress: &progress, More: p.more}
	for _, rel := range found.Finished {
		if mark := p.marks[rel]; p.marked && mark.Mark <= progress.Mark {
			o.Dirty = append(o.Dirty, mark)
		}
	}
	return o
}

func (p *parts) scan(ctx context.Context, e *Env) (*scan.Result, error) {
	request := requestOf(*e)
	request.Known, request.Cursor, request.Room = p.progress.Known, p.progress.Cursor, e.Room
	if e.Flush != nil {
		request.Flush = func(ctx context.Context, found *scan.Result) (room int, err error) {
			if room, err = e.Flush(ctx, p.outcome(found)); err != nil {
				return room, err
			}
			p.progress.Cursor, e.Room = found.Cursor, room
			for _, rel := range found.Finished {
				delete(p.marks, rel)
			}
			return room, nil
		}
	}
	look := p.full || e.Sync.Rules.Direction == plan.Both && !p.local && !p.due // what comes from the server is not announced
	if p.marked {
		request.Paths = []string{} // nil would mean everything
	}
	for rel, mark := range p.marks {
		request.Paths = append(request.Paths, rel)
		look = look || mark.Remote || e.Sync.Filter.IsIgnoreFile(rel)
	}
	if err := p.goByTimes(*e, &request); err != nil {
		return nil, err
	}
	if p.full {
		request.Lender = e.Lender
	}
	return run(ctx, *e, request, look)
}

// goByTimes has a look at everything learn from the times of folders, and spare some where that is allowed.
func (p *parts) goByTimes(e Env, request *scan.Request) error {
	if !p.full || !e.Sync.Polled {
		return nil
	}
	folders, err := e.State.Folders()
	if err != nil || folders.Against != "" {
		return err
	}
	request.Folders = &scan.FolderTimes{
		Spare: p.progress.Spares && folders.Trusted(), Known: e.State.Folder, Room: folders.Room(),
	}
	return nil
}

// Scan looks at all of a sync and plans, and changes nothing anywhere.
func Scan(ctx context.Context, e Env) (result *scan.Result, err error) {
	request := requestOf(e)
	if request.Known, err = e.State.Count(); err != nil {
		return nil, err
	}
	return run(ctx, e, request, true)
}

func requestOf(e Env) scan.Request {
	rules := e.Sync.Rules
	rules.Now = time.Now()
	request := scan.Request{
		Rules: rules, Filter: e.Sync.Filter, Marker: e.Sync.Marker, TempFolder: e.Sync.TempFolder, RemoteName: e.Sync.RemoteName,
		DropBox:  e.Sync.Direct && rules.Direction == plan.Up && !rules.Delete,
		Children: e.State.Children, At: e.State.At, Intents: e.State.Intents, Different: e.State.Different,
		Settling: scan.Settling{Quiet: e.Sync.Settle, Grows: e.Sync.Appends},
		Instance: e.Instance,
		Orphan: func(instance string, job uint64, attempt int) bool {
			return instance == e.Instance && !e.State.Live(job, attempt)
		},
	}
	if e.Sync.Moves {
		request.Identified = e.State.Identified
		if e.Sync.RemoteName == nil {
			request.Appends, request.Appended = e.Sync.Appends, e.State.Appended
		}
	}
	return request
}

// run looks at the far side only if look is set.
func run(ctx context.Context, e Env, request scan.Request, look bool) (*scan.Result, error) {
	root, err := os.OpenRoot(e.Sync.Local)
	if err == nil {
		defer root.Close()
		request.Local = root
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("local folder: %w", err)
	}
	if look {
		conn, err := e.Connect(ctx)
		if err != nil {
			return nil, err
		}
		request.Remote = &scan.Remote{Conn: conn, Hashes: len(conn.Hashes()) > 0, Root: conn.Absolute(e.Sync.Remote), Follow: e.Sync.followsRemote(), Targets: e.Sync.Rules.Links == plan.LinksPreserve}
	}
	return scan.Run(ctx, request)
}
