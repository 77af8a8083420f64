// Package scan looks at both sides of a sync and has the planner decide about each path. It
// walks folder by folder in sorted order and holds one folder per level in memory.
package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Request says what to look at.
type Request struct {
	Rules  plan.Rules
	Filter Filter
	// Local is the sync's folder; nil when it does not exist. A missing target that was never
	// filled counts as empty.
	Local *os.Root
	// Remote is nil when the far side is not to be looked at: it is then taken to be as the
	// baseline says, and whoever acts on the plan looks first.
	Remote *Remote
	// Children and At read the baseline: the children of a folder, and one path (nil: none).
	Children func(dir string) ([]state.Baseline, error)
	At       func(rel string) (*state.Baseline, error)
	// Intents returns what transfers of a path were about to put at the target and did not
	// report; nil means that there are none.
	Intents func(rel string) ([]entry.Entry, error)
	// Known is the number of paths in the baseline.
	Known int
	// Paths restricts the scan to these paths and what is below them; nil means everything.
	Paths []string
	// Marker is a file that must exist in the local folder, "" for none.
	Marker string
	// Cursor is where an earlier Run stopped; nil begins anew. What came before it is not looked at again.
	Cursor *Cursor
	// Room is how many operations may be found until Run stops by itself; without Flush it is not looked at.
	Room int
	// Flush, if not nil, takes over what was found since it was called last, every now and then, and says how many more
	// operations may be found. With none, Run returns with Result.Cursor set.
	Flush func(ctx context.Context, found *Result) (room int, err error)
	// Orphan says whether a temporary name was left behind by a job that is no more.
	Orphan func(instance string, job uint64, attempt int) bool
}

// Result is what a scan found.
type Result struct {
	Plan   plan.Plan   `json:"plan"`
	Totals plan.Totals `json:"totals"`
	// Unknown are folders and paths nobody could look at. Nothing is deleted below them.
	Unknown []Unknown `json:"unknown"`
	// Again are folders that went away while they were looked at. They have to be looked at
	// once more, and until then nothing is known of them.
	Again []string `json:"again"`
	// Orphans are temporary files of jobs that are no more.
	Orphans []Orphan `json:"orphans"`
	// Cursor is where to go on; nil when all was looked at. Result then holds what was found since the last Flush.
	Cursor *Cursor `json:"cursor,omitempty"`
	// Finished are those of Request.Paths that were decided in full since the last Flush.
	Finished []string `json:"finished,omitempty"`
	// Looked counts the paths that were decided about.
	Looked int `json:"looked"`
}

// Unknown is a path on one side that could not be looked at.
type Unknown struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Orphan is a left-over temporary file.
type Orphan struct {
	Path   string `json:"path"`
	Remote bool   `json:"remote"`
}

// ErrSourceMissing: the source folder does not exist, and nothing was in step before.
var ErrSourceMissing = errors.New("source folder does not exist")

// maxDepth ends the walk into folders that contain themselves, as links make it look.
const maxDepth = 100

// Run carries the scan out. Errors are those after which no statement about the sync can be
// made; whatever concerns a part of the tree only is in Result.Unknown.
func Run(ctx context.Context, r Request) (*Result, error) {
	w := &walker{request: r, result: &Result{}, began: time.Now(), done: map[string]bool{}, entered: map[string]bool{}}
	w.result.Totals.Known, w.result.Totals.Direction = r.Known, r.Rules.Direction
	if stop, err := w.roots(ctx); stop || err != nil {
		return w.result, err
	}
	if r.Paths == nil || slices.Contains(r.Paths, "") {
		_, err := w.folder(ctx, "", present(r.Local != nil), w.remoteRoot)
		return w.result, err
	}
	for _, rel := range slices.Sorted(slices.Values(r.Paths)) {
		if err := w.path(ctx, rel); err != nil {
			return w.result, err
		}
	}
	return w.result, nil
}

// presence says how to get the content of a folder on one side.
type presence uint8

const (
	unknown presence = iota // cannot be looked at: so is everything in it
	absent                  // not there: nor is anything in it
	there                   // read it
	assumed                 // take the baseline's word
)

func present(yes bool) presence {
	if yes {
		return there
	}
	return absent
}

type walker struct {
	request    Request
	result     *Result
	remoteRoot presence
	began      time.Time
	// For scans of single paths: subtrees already decided, and folders found in step.
	done, entered map[string]bool
}

// roots looks at both top folders. stop means that the walk would be pointless: a guard
// decides by the totals.
func (w *walker) roots(ctx context.Context) (stop bool, err error) {
	r, totals := w.request, &w.result.Totals
	switch {
	case r.Local != nil:
		found := ReadLocal(r.Local, "")
		if found.Unknown != "" {
			return true, errors.New(found.Unknown)
		}
		totals.Local = w.rootState(found)
	case r.Known > 0:
		totals.Local = plan.RootMissing
		return true, nil
	case r.Rules.Direction == plan.Up:
		return true, fmt.Errorf("local: %w", ErrSourceMissing)
	}
	if w.markerMissing() {
		totals.MarkerMissing = r.Marker
		return true, nil
	}
	w.remoteRoot = assumed
	if r.Remote == nil {
		return false, nil
	}
	exists, err := r.Remote.exists(ctx)
	if err != nil {
		return true, err
	}
	w.remoteRoot = present(exists)
	if exists {
		// Whether it is empty, the walk sees, but not a scan of single paths.
		if r.Rules.Direction == plan.Down && r.Paths != nil {
			found, _, err := r.Remote.Read(ctx, "")
			totals.Remote = w.rootState(found)
			return err != nil, err
		}
		return false, nil
	}
	totals.Remote = plan.RootMissing
	if r.Rules.Direction == plan.Down {
		if r.Known == 0 {
			err = fmt.Errorf("remote %s: %w", r.Remote.Root, ErrSourceMissing)
		}
		return true, err
	}
	if r.Known == 0 {
		w.result.Plan.Ops = append(w.result.Plan.Ops, plan.Op{Action: plan.MakeRemoteDir, Reason: "new",
			Local:  plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Dir}},
			Remote: plan.Side{Knowledge: plan.Seen}})
	}
	return false, nil
}

func (w *walker) markerMissing() bool {
	if w.request.Marker == "" {
		return false
	}
	e, err := w.statLocal(w.request.Marker)
	return err != nil || e.Kind == entry.Absent
}

func (w *walker) statLocal(rel string) (entry.Entry, error) {
	if w.request.Local == nil {
		return entry.Entry{}, nil
	}
	return StatLocal(w.request.Local, rel)
}

// rootState counts only what takes part: a fresh disk is not filled by its lost+found.
func (w *walker) rootState(e Entries) plan.Root {
	for name, found := range e.Names {
		if !IsTemp(name) && !w.request.Filter.Excluded(name, found.Kind == entry.Dir) {
			return plan.RootFilled
		}
	}
	if e.Unknown != "" {
		return plan.RootUnseen
	}
	return plan.RootEmpty
}

// folder decides about everything in the folder rel. keeps reports whether something stays
// in it at the target.
func (w *walker) folder(ctx context.Context, rel string, local, remote presence) (keeps bool, err error) {
	if strings.Count(rel, "/") > maxDepth {
		w.unknown(rel, fmt.Sprintf("more than %d folders deep", maxDepth))
		return true, nil
	}
	if err := context.Cause(ctx); err != nil {
		return true, err
	}
	base, err := w.base(rel)
	if err != nil {
		return true, err
	}
	here := w.readLocal(rel, local)
	far, hidden, err := w.readRemote(ctx, rel, remote)
	if err != nil {
		return true, err
	}
	if rel == "" && remote == there {
		w.result.Totals.Remote = w.rootState(far)
	}
	for _, name := range names(here, far, base) {
		item := plan.Item{
			Path:   path.Join(rel, name),
			Local:  side(here, name, local, base[name], false),
			Remote: side(far, name, remote, base[name], true),
			Base:   base[name],
		}
		if remote == there && !hidden && strings.HasPrefix(name, ".") {
			if item, err = w.lookForHidden(ctx, item); err != nil {
				return true, err
			}
		}
		stays, err := w.decide(ctx, item)
		if err != nil {
			return true, err
		}
		keeps = keeps || stays
	}
	return keeps || here.Unknown != "" && w.request.Rules.Direction == plan.Down || far.Unknown != "", nil
}
