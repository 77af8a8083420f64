package scan

import (
	"path"
	"slices"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// unmounted is how it is said that a folder may be the one that a disk is to be mounted on.
const unmounted = "the local folder is empty, and it is another one than the one that was in step and was here before that: " +
	"is a disk not mounted? If all is as it should be, put a file in it or remove it"

// isUnmounted reports whether a disk that was mounted on a local folder within the tree seems to be gone: the folder is empty, has
// another number than when it was in step, and is older than that. One that was made anew is younger.
func (w *walker) isUnmounted(item plan.Item) bool {
	here, base := item.Local.Entry, item.Base
	if item.Local.Knowledge != plan.Seen || here.Kind != entry.Dir || here.ID == 0 || w.request.Local == nil ||
		base == nil || base.Unreadable || base.When.IsZero() || base.Local.Kind != entry.Dir || base.Local.ID == 0 || base.Local.ID == here.ID {
		return false
	}
	at := born(w.request.Local, item.Path)
	if at.IsZero() || at.After(base.When) {
		return false
	}
	found := w.local.Read(item.Path)
	return found.Unknown == "" && !slices.ContainsFunc(found.Names, func(n Named) bool {
		return w.takesPart(path.Join(item.Path, n.Name), n.Kind == entry.Dir)
	})
}
