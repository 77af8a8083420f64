package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// partItems is how much a scan records until it hands that over.
	partItems = 1000
	// partInterval is how long it keeps something to itself.
	partInterval = 15 * time.Second
)

// errStop ends a walk early without a failure: there is no room for more, or a guard has to look at what was found.
var errStop = errors.New("the walk ends here")

// checkpoint is where everything up to the walker's place is recorded. If there is enough of it, it is handed over.
func (w *walker) checkpoint(ctx context.Context) error {
	if w.request.Flush == nil {
		return nil
	}
	items, operations := w.result.size(), len(w.result.Plan.Ops)+len(w.result.Orphans)
	if items == 0 || items < w.request.items() && operations < w.room && time.Since(w.flushed) < partInterval {
		return nil
	}
	found := w.result
	found.Cursor = w.cursor()
	room, err := w.request.Flush(ctx, found)
	if err != nil {
		return err
	}
	w.result = &Result{Totals: found.Totals, Looked: found.Looked, Unseen: found.Unseen}
	w.result.Plan.Ops = slices.Grow([]plan.Op(nil), len(found.Plan.Ops)) // parts are like each other, and to grow takes four times as much
	w.result.Plan.Agree = slices.Grow([]plan.Agreement(nil), len(found.Plan.Agree))
	w.moves.handed = true
	w.room, w.flushed = room, time.Now()
	if room <= 0 {
		w.result.Cursor = found.Cursor
		return errStop
	}
	return w.roots(ctx)
}

// items is how much is handed over at a time; tests have smaller parts.
func (r Request) items() int {
	if r.partItems > 0 {
		return r.partItems
	}
	return partItems
}

// size counts what was recorded.
func (r *Result) size() int {
	p := r.Plan
	return len(p.Ops) + len(p.Agree) + len(p.Forget) + len(p.Notes) + len(r.Unknown) + len(r.Again) + len(r.Orphans) + len(r.Changed) + len(r.Folders)
}

func (w *walker) cursor() *Cursor {
	r := w.result
	return &Cursor{Path: state.Text(w.path), Levels: slices.Clone(w.levels), Totals: r.Totals, Looked: r.Looked, Unseen: r.Unseen}
}

// resume takes over what the parts before have counted.
func (w *walker) resume() {
	r, result := w.request, w.result
	if c := r.Cursor; c != nil {
		result.Totals, result.Looked, result.Unseen = c.Totals, c.Looked, c.Unseen
	}
	result.Totals.Known, result.Totals.First, result.Totals.Direction = r.Known, r.Known == 0, r.Rules.Direction
	w.room, w.flushed = r.Room, time.Now()
}

// frame is a folder whose contents are under way.
type frame struct {
	depth int     // of its level
	at    []Level // the place to go on from; nil once that is behind
	keeps bool
	seen  uint64
}

func (w *walker) enter(at []Level) *frame {
	w.levels = append(w.levels, Level{})
	f := &frame{depth: len(w.levels) - 1, at: at}
	if len(at) > 0 {
		f.keeps = at[0].Keeps
	}
	return f
}

func (w *walker) leave(f *frame) { w.levels = w.levels[:f.depth] }

// under is the name in which the place to go on from is, "" for none.
func (f *frame) under() string {
	if len(f.at) > 1 {
		return string(f.at[0].Name)
	}
	return ""
}

// passed reports whether name was decided in an earlier part, with all below it.
func (f *frame) passed(name string) bool {
	if len(f.at) == 0 {
		return false
	}
	last := string(f.at[0].Name)
	return name < last || name == last && len(f.at) == 1
}

// compare finds out, once the names of earlier parts are passed, whether the target has changed among them. What is new there
// was not decided, and so it stays.
func (f *frame) compare() {
	if len(f.at) > 0 && f.seen != f.at[0].Seen {
		f.keeps = true
	}
	f.at = nil
}

// begin says where the walk is: at name, and nothing of it is decided. It returns the place to go on from in it.
func (w *walker) begin(f *frame, name string) (at []Level) {
	if name == f.under() {
		at = f.at
	}
	f.compare()
	w.levels[f.depth] = Level{Name: state.Text(name), Keeps: f.keeps, Seen: f.seen}
	return at
}

// end says that name is decided with all below it.
func (w *walker) end(ctx context.Context, f *frame, name string) error {
	w.levels[f.depth] = Level{Name: state.Text(name), Keeps: f.keeps, Seen: f.seen}
	return w.checkpoint(ctx)
}

// everything walks the whole tree, from the cursor if that is a place in it.
func (w *walker) everything(ctx context.Context) error {
	var at []Level
	if c := w.request.Cursor; c != nil && c.Path == "" {
		at = c.Levels
	}
	_, err := w.folder(ctx, "", present(w.request.Local != nil), w.remoteRoot, at)
	if err != nil {
		return err
	}
	w.result.Finished = w.request.Paths
	return w.leftBehind(ctx)
}

// mostLeftBehind bounds the orphans of the folder for temporary files that one scan notes: the next one finds the others.
const mostLeftBehind = partItems

// leftBehind looks for orphans in the folder for temporary files.
func (w *walker) leftBehind(ctx context.Context) error {
	r := w.request
	if r.TempFolder == "" || r.Orphan == nil || w.remoteRoot != there {
		return nil
	}
	found, _, err := r.Remote.Read(ctx, r.TempFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range found.Names[:min(len(found.Names), mostLeftBehind)] {
		if instance, job, attempt, temp := parseTempName(e.Name); temp && ourKind(e.Kind) && r.Orphan(instance, job, attempt) {
			w.result.Orphans = append(w.result.Orphans, Orphan{Path: path.Join(r.TempFolder, e.Name), Remote: true})
		}
	}
	return err
}

// errReplaced: what was read so far and what would be read now are not the same folder.
var errReplaced = errors.New("the local folder went away during the scan")

// localThere reports whether the local folder is where it was: one that was opened can still be read when its disk was taken
// away or something else was put in its place.
func (w *walker) localThere() (bool, error) {
	root := w.request.Local
	if root == nil {
		return false, nil
	}
	opened, err := root.Stat(".")
	if err != nil {
		return false, fmt.Errorf("look at local folder: %w", err)
	}
	named, err := os.Stat(root.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && !os.SameFile(opened, named) {
		err = errReplaced
	}
	return err == nil, err
}

// localRoot says whether the local folder holds anything, and reads no more of it than that takes.
func (w *walker) localRoot() (plan.Root, error) {
	dir, err := OpenLocal(w.request.Local, "")
	if err != nil {
		return plan.RootUnseen, fmt.Errorf("cannot read local folder: %w", err)
	}
	defer dir.Close()
	for {
		found, err := dir.ReadDir(100)
		for _, f := range found {
			if w.takesPart(f.Name(), f.IsDir()) {
				return plan.RootFilled, nil
			}
		}
		if errors.Is(err, io.EOF) {
			base, err := w.base("")
			return emptyRoot(base, func(b state.Baseline) entry.Entry { return b.Local }), err
		}
		if err != nil {
			return plan.RootUnseen, fmt.Errorf("cannot read local folder: %w", err)
		}
	}
}
