// Package scan looks at both sides of a sync and has the planner decide about each path. It
// walks folder by folder in sorted order and holds one folder per level in memory.
package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
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
	// filled counts as empty, and so does either side of a sync in both directions if the other one is there.
	Local *os.Root
	// Remote is nil when the far side is not to be looked at: it is then taken to be as the
	// baseline says, and whoever acts on the plan looks first.
	Remote *Remote
	// Lender, if not nil, lends connections on which a scan of everything lists folders before it comes to them.
	Lender Lender
	// DropBox: the server may take files and show nobody what it has. That it does not list a folder is nothing to tell of then.
	DropBox bool
	// Children and At read the baseline: the children of a folder, and one path (nil: none).
	Children func(dir string) ([]state.Baseline, error)
	At       func(rel string) (*state.Baseline, error)
	// Intents returns what transfers of a path were about to put at their targets and did not
	// report; nil means that there are none.
	Intents func(rel string) ([]state.Intent, error)
	// Different tells of two files that look different whether they were compared as they look, in vain: see plan.Different. nil: none was.
	Different func(rel string, local, remote entry.Entry) (bool, error)
	// Identified finds, by what it is, something that the baseline may know under another path; nil: what was renamed on one side
	// is not looked for. See state.Identified.
	Identified func(side state.Side, e entry.Entry, limit int) ([]string, error)
	// Appends tells the files that only ever grow, which are followed when they are rotated, and Appended what was sent of them;
	// nil: none is followed.
	Appends  func(rel string) bool
	Appended func(rel string) (*state.Appended, error)
	// Settling says which files are complete, and may go.
	Settling Settling
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
	Flush     func(ctx context.Context, found *Result) (room int, err error)
	partItems int // 0 means the constant
	// thorough: decide is asked about each file, see quick.
	thorough bool
	// RemoteName, if not nil, gives the path on the server of a local file, in the same folder as here. What is there under
	// other names does not count.
	RemoteName func(rel string, modified time.Time) string
	// TempFolder, if not "", is where uploads are until they are complete, relative to the root on the server. It takes no part
	// on either side, and a full scan looks for orphans in it.
	TempFolder string
	// Folders, if not nil, lets the scan learn from the times of folders on the server, and go by them. It is for looks at everything.
	Folders *FolderTimes
	// Instance is this agent's, by which it knows the files that it has claimed.
	Instance string
	// Orphan says whether a temporary name was left behind by a job that is no more.
	Orphan func(instance string, job uint64, attempt int) bool
}

// Result is what a scan found.
type Result struct {
	Plan   plan.Plan   `json:"plan"`
	Totals plan.Totals `json:"totals"`
	// Unknown are folders and paths nobody could look at. Nothing is deleted below them.
	Unknown []Unknown `json:"unknown"`
	// Changed are paths that are not here what they were when both sides agreed, where that alone decides nothing: in both directions,
	// without a look at the server. What is below them was not looked at.
	Changed []plan.Item `json:"-"`
	// Again are folders that went away while they were looked at. They have to be looked at
	// once more, and until then nothing is known of them.
	Again []string `json:"again"`
	// Orphans are temporary files of jobs that are no more.
	Orphans []Orphan `json:"orphans"`
	// Cursor is where to go on; nil when all was looked at. Result then holds what was found since the last Flush.
	Cursor *Cursor `json:"cursor,omitempty"`
	// Finished are those of Request.Paths that were decided in full since the last Flush.
	Finished []string `json:"finished,omitempty"`
	// Looked counts the paths that were decided about, and Unseen what is in Unknown and Again. Like Totals they
	// are of all parts so far.
	Looked int `json:"looked"`
	Unseen int `json:"unseen,omitempty"`
	// Folders are to be written down for the next scan. Follows: a time of one has followed a file that was written in place. Against
	// says why the times of the server's folders cannot be trusted, "" if nothing was seen that speaks against it. Spared counts the
	// folders that were not listed. All since the last Flush.
	Folders []ListedFolder `json:"-"`
	Follows bool           `json:"-"`
	Against string         `json:"-"`
	Spared  int            `json:"-"`
	// Device is the filesystem of the local folder.
	Device state.Device `json:"device,omitzero"`
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

// ErrSourceMissing: the source folder does not exist, and nothing was in step before. Where either side may be the source,
// neither exists.
var ErrSourceMissing = errors.New("source folder does not exist")

// maxDepth ends the walk into folders that contain themselves, as links make it look.
const maxDepth = 100

// Run carries the scan out. Errors are those after which no statement about the sync can be
// made; whatever concerns a part of the tree only is in Result.Unknown.
func Run(ctx context.Context, r Request) (*Result, error) {
	began := time.Now()
	r.Rules.Now = began
	defer r.lists(ctx)()
	local := NewLocal(r.Local, r.Rules)
	w := &walker{request: r, result: &Result{}, began: began, filter: *r.Filter.In(local, began), local: local}
	w.resume()
	if r.Flush != nil && r.Room <= 0 {
		if w.result.Cursor = r.Cursor; r.Cursor == nil {
			w.result.Cursor = w.cursor()
		}
		return w.result, nil
	}
	err := w.roots(ctx)
	if err == nil {
		if r.Paths == nil || slices.ContainsFunc(r.Paths, func(rel string) bool { return r.Filter.concerned(rel) == "" }) {
			err = w.everything(ctx)
		} else {
			err = w.paths(ctx)
		}
	}
	if errors.Is(err, errStop) {
		err = nil
	}
	return w.result, err
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
	result     *Result // since the last flush
	remoteRoot presence
	began      time.Time
	filter     Filtering
	local      Local
	shared     *sharedNames // see sharesName
	// cases is "yes" if the server does not tell upper and lower case apart, "no", or "" for not known.
	cases string
	// byKey are names of the local folder keyed, see namesakes.
	byKey map[string][]string
	keys  []uint64 // of the names of a folder, see mayClash
	keyed string
	// path is the one of Request.Paths that is under way, and levels lead to the last path that was decided.
	path   string
	levels []Level
	// room is how many operations may be found until the next flush, and flushed is when the last one was.
	room    int
	flushed time.Time
	moves   moves
	// above are the folders on the server that lead to what is under way, and entered is the ID of the one that is entered next.
	above   []farFolder
	entered uint64
	beside  beside // see readyFor
	told    int64  // of the folder that is entered next: see folderTime
	// rotations are those of the folder that is walked through, or was looked into last.
	rotations rotations
}

// roots looks at both top folders. errStop means that the walk would be pointless: a guard
// decides by the totals.
func (w *walker) roots(ctx context.Context) error {
	r, totals := w.request, &w.result.Totals
	local, err := w.localThere()
	switch {
	case err != nil:
		return err
	case local:
		if totals.Local, err = w.localRoot(); err != nil {
			return err
		}
		w.result.Device = deviceOf(r.Local)
	case r.Known > 0:
		totals.Local = plan.RootMissing
		return errStop
	case totals.Local != plan.RootUnseen || r.Local != nil:
		return errReplaced
	case r.Rules.Direction == plan.Up:
		return fmt.Errorf("local: %w", ErrSourceMissing)
	}
	if w.markerMissing() {
		totals.MarkerMissing = r.Marker
		return errStop
	}
	w.remoteRoot = assumed
	if r.Remote == nil {
		return nil
	}
	id, exists, err := r.Remote.exists(ctx, r.Paths == nil)
	if err != nil {
		return err
	}
	w.entered = id
	w.remoteRoot = present(exists)
	if exists {
		return w.farRoot(ctx)
	}
	gone := totals.Remote != plan.RootMissing
	totals.Remote = plan.RootMissing
	switch {
	case r.Known > 0 && r.Rules.Direction != plan.Up:
		return errStop
	case r.Rules.Direction == plan.Down || r.Rules.Direction == plan.Both && r.Local == nil:
		return fmt.Errorf("remote %s: %w", r.Remote.Root, ErrSourceMissing)
	}
	if r.Known == 0 && gone {
		w.result.Plan.Ops = append(w.result.Plan.Ops, plan.Op{Action: plan.MakeRemoteDir, Reason: "new",
			Local:  plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Dir}},
			Remote: plan.Side{Knowledge: plan.Seen}})
	}
	return nil
}

// farRoot finds out for a scan of single paths whether the source on the server holds anything. Other scans see that on
// their way.
func (w *walker) farRoot(ctx context.Context) error {
	if w.request.Rules.Direction == plan.Up || w.request.Paths == nil {
		return nil
	}
	found, _, err := w.request.Remote.Read(ctx, "")
	if err != nil {
		return err
	}
	base, err := w.base("")
	w.result.Totals.Remote = w.rootState(found, base)
	return err
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
	return w.local.Stat(rel)
}

// rootState counts only what takes part: a fresh disk is not filled by its lost+found.
func (w *walker) rootState(e Entries, base []state.Baseline) plan.Root {
	for _, found := range e.Names {
		if w.takesPart(found.Name, found.Kind == entry.Dir) {
			return plan.RootFilled
		}
	}
	if e.Unknown != "" {
		return plan.RootUnseen
	}
	return emptyRoot(base, func(b state.Baseline) entry.Entry { return b.Remote })
}

// emptyRoot is the state of a top folder that holds nothing. What is known may have never been in it: links that cannot be made
// there are left, and then nothing is missing.
func emptyRoot(base []state.Baseline, side func(state.Baseline) entry.Entry) plan.Root {
	wasThere := func(b state.Baseline) bool { return b.Bad != "" || side(b).Kind != entry.Absent }
	if len(base) > 0 && !slices.ContainsFunc(base, wasThere) {
		return plan.RootUnseen
	}
	return plan.RootEmpty
}

func (w *walker) takesPart(name string, isDir bool) bool {
	return !IsTemp(name) && !w.excluded(name, isDir)
}

// excluded reports whether rel itself is left out.
func (w *walker) excluded(rel string, isDir bool) bool {
	return isIn(rel, w.request.TempFolder) || w.filter.Excluded(rel, isDir)
}

// folder decides about everything in the folder rel, or what comes after the place at in it. keeps reports whether something
// stays in it at the target.
func (w *walker) folder(ctx context.Context, rel string, local, remote presence, at []Level) (keeps bool, err error) {
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
	here, told := w.readLocal(rel, local), w.told
	if local == there && remote == there && len(at) == 0 {
		if spared, err := w.spares(rel, told, here, base); err != nil || spared {
			return err != nil || w.spare(rel, here, base), err
		}
	}
	far, hidden, err := w.readRemote(ctx, rel, remote, base)
	if err == nil && remote == there {
		err = w.learn(ctx, rel, told, far, base)
	}
	if err != nil {
		return true, err
	}
	if rel == "" && remote == there {
		w.result.Totals.Remote = w.rootState(far, base)
	}
	if err := w.filter.Rules(rel); err != nil {
		w.unknown(rel, ruleless(err))
		return true, nil
	}
	defer w.enterFar(far)()
	twins := w.asHere(rel, here.Names, &far, base)
	s := w.spell(here.Names, &far, base)
	var clash clashes
	if w.mayClash(rel, here.Names, far.Names, base, remote) {
		if clash, err = w.clashing(ctx, siblings{folder: rel, here: here.Names, far: farNames(far.Names, base, remote)}); err != nil {
			return true, err
		}
	}
	if w.followsRotation() {
		before := w.rotations
		defer func() { w.rotations = before }()
		if err := w.rotate(rel, here.Names, base, farSides(far, remote, hidden)); err != nil {
			return true, err
		}
	}
	f := w.enter(at)
	defer w.leave(f)
	w.comesTo(rel, far.Names, f)
	f.keeps = f.keeps || here.Unknown != "" && w.request.Rules.Direction != plan.Up || far.Unknown != ""
	itemOf := func(found one) plan.Item {
		known := baseOf(found.base)
		return plan.Item{
			Path:   within(rel, found.name),
			Local:  side(found.here, here.Unknown, local, known, false),
			Remote: side(found.far, far.Unknown, remote, known, true),
			Base:   known,
			Doubt:  cmp.Or(twinDoubt(twins[found.name]), s.doubt(found)),
		}
	}
	open := func(found one) (plan.Item, bool) { return itemOf(found), !f.passed(found.name) }
	quick := w.quickIn(local, remote, clash)
	for found, times := range w.ahead(ctx, union(rel, here.Names, far.Names, base, f.under()), far.Names, open) {
		if quick.passes(f, found) {
			if err := w.end(ctx, f, found.name); err != nil {
				return true, err
			}
			continue
		}
		name, item := found.name, itemOf(found)
		seen := w.targets(item)
		if f.passed(name) {
			f.seen = sum(f.seen, name, seen)
			continue
		}
		if remote == there && !hidden && strings.HasPrefix(name, ".") {
			if item, err = w.lookForHidden(ctx, item); err != nil {
				return true, err
			}
		}
		w.told = found.told
		stays, err := w.decideUnless(ctx, clash[name], item, times, w.begin(f, name))
		if err != nil {
			return true, err
		}
		f.keeps, f.seen = f.keeps || stays, sum(f.seen, name, seen)
		if err := w.end(ctx, f, name); err != nil {
			return true, err
		}
	}
	f.compare()
	return f.keeps, nil
}
