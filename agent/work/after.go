package work

import (
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// acts reports whether anything becomes of a source.
func (a After) acts() bool { return a.Delete || a.Move != nil }

// consume lets the local file go whose upload has ended well, if the sync wants that. Then the path is forgotten. Only the
// file that was sent goes: one that has changed since is kept and looked at again.
func (o *op) consume(done Outcome) Outcome {
	after := o.env.Sync.Upload.After
	if !after.acts() {
		return done
	}
	now, err := scan.StatLocal(o.root, o.Path)
	if err == nil && now.Kind != entry.Absent && !unchanged(done.Base.Local, now) {
		done.Reason, done.Replan = join(done.Reason, "the local file changed since it was sent: kept"), true
		return done
	}
	what := "gone here already"
	switch {
	case err != nil || now.Kind == entry.Absent:
	case after.Delete:
		what, err = "deleted here", o.root.Remove(filepath.FromSlash(o.Path))
	default:
		var to string
		to, err = moveLocal(o.root, o.Path, after.Move(o.Path, time.Now()))
		what = "moved to " + to
	}
	if err == nil {
		err = syncDir(o.root, filepath.FromSlash(path.Dir(o.Path)))
	}
	if err != nil {
		done.Result, done.Base, done.Err = Failed, nil, fmt.Errorf("all was sent, but the local file has to stay: %w", err)
		return done
	}
	done.Base, done.Forget, done.Reason = nil, true, join(done.Reason, what)
	return done
}
