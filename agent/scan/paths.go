package scan

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// paths looks at each of Request.Paths, at the one that was under way first.
func (w *walker) paths(ctx context.Context) error {
	paths := slices.SortedFunc(slices.Values(w.request.Paths), inOrder)
	if c := w.request.Cursor; c != nil && c.Path != "" && len(c.Levels) > 0 && slices.Contains(paths, string(c.Path)) {
		top := string(c.Levels[0].Name)
		w.path = string(c.Path)
		if err := w.goOn(ctx, top, c.Levels); err != nil {
			return err
		}
		covered := func(rel string) bool { return isIn(rel, top) || rel == w.path }
		if err := w.finished(ctx, slices.DeleteFunc(slices.Clone(paths), func(rel string) bool { return !covered(rel) })); err != nil {
			return err
		}
		paths = slices.DeleteFunc(paths, covered)
	}
	entered := "" // the last folder that is in step on both sides, as are those above it
	for len(paths) > 0 {
		w.path = paths[0]
		for _, rel := range w.readyFor(w.path) {
			if slices.Contains(paths, rel) {
				continue
			}
			if _, err := w.decideFor(ctx, rel, &entered); err != nil {
				return err
			}
		}
		top, err := w.decideFor(ctx, w.path, &entered)
		if err != nil {
			return err
		}
		n := 1
		for n < len(paths) && isIn(paths[n], top) {
			n++
		}
		if err := w.finished(ctx, paths[:n]); err != nil {
			return err
		}
		paths = paths[n:]
	}
	return nil
}

func (w *walker) finished(ctx context.Context, paths []string) error {
	w.result.Finished = append(w.result.Finished, paths...)
	w.path, w.levels = "", w.levels[:0]
	return w.checkpoint(ctx)
}

// inOrder sorts paths so that what is in a folder follows it at once.
func inOrder(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
			continue
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		}
		return int(a[i]) - int(b[i])
	}
	return len(a) - len(b)
}

// isIn reports whether rel is folder or below it.
func isIn(rel, folder string) bool {
	rest, ok := strings.CutPrefix(rel, folder)
	return ok && (rest == "" || rest[0] == '/')
}

// decideFor decides about one path and what is below it. Folders above it that are new, gone or
// of another kind are decided first; then they take the path along: top is the one.
func (w *walker) decideFor(ctx context.Context, rel string, entered *string) (top string, err error) {
	rel = w.request.Filter.concerned(rel)
	for end := range len(rel) + 1 {
		if end < len(rel) && rel[end] != '/' {
			continue
		}
		prefix := path.Clean(rel[:end])
		if end < len(rel) && isIn(*entered, prefix) {
			continue
		}
		item, err := w.item(ctx, prefix)
		if err != nil {
			return prefix, err
		}
		if err := w.filter.Rules(folderOf(prefix)); err != nil {
			w.unknown(folderOf(prefix), ruleless(err))
			return prefix, nil
		}
		if w.excluded(prefix, isDir(item)) {
			return prefix, nil
		}
		if end < len(rel) && inStep(item) && !w.isUnmounted(item) {
			*entered = prefix
			continue
		}
		return prefix, w.decideTop(ctx, item, nil)
	}
	return rel, nil
}

// goOn decides what is left below the folder top.
func (w *walker) goOn(ctx context.Context, top string, at []Level) error {
	item, err := w.item(ctx, top)
	if err != nil || isIn(top, w.request.TempFolder) {
		return err
	}
	why, err := w.filter.WhyAnywhere(top, isDir(item))
	if err != nil {
		w.unknown(folderOf(top), ruleless(err))
	}
	if why != "" || err != nil {
		return nil
	}
	return w.decideTop(ctx, item, at)
}

func (w *walker) decideTop(ctx context.Context, item plan.Item, at []Level) error {
	w.levels = append(w.levels[:0], Level{Name: state.Text(item.Path)})
	clash, err := w.clash(ctx, item)
	if err != nil {
		return err
	}
	_, err = w.decideUnless(ctx, clash, item, nil, at)
	return err
}

func isDir(item plan.Item) bool {
	return item.Local.Entry.Kind == entry.Dir || item.Remote.Entry.Kind == entry.Dir
}

// inStep reports a folder that both sides have and the baseline knows.
func inStep(item plan.Item) bool {
	return item.Base != nil && item.Base.Local.Kind == entry.Dir && item.Local.Knowledge == plan.Seen &&
		item.Local.Entry.Kind == entry.Dir && item.Remote.Entry.Kind == entry.Dir
}

// item looks at one path on both sides.
func (w *walker) item(ctx context.Context, rel string) (plan.Item, error) {
	row, err := w.request.At(rel)
	if err != nil {
		return plan.Item{}, fmt.Errorf("read baseline: %w", err)
	}
	item := plan.Item{Path: rel, Base: baseOf(row)}
	local, err := w.statLocal(rel)
	if err != nil {
		w.unknown(rel, fmt.Sprintf("cannot look at the local side: %v", err))
	} else {
		item.Local = plan.Side{Knowledge: plan.Seen, Entry: local}
	}
	if w.remoteRoot == there {
		item.Doubt = w.sharesName(item)
		item.Remote, err = w.statItem(ctx, item)
		return item, err
	}
	item.Remote = side(nil, "", w.remoteRoot, item.Base, true)
	return item, nil
}
