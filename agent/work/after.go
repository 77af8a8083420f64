package work

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
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

// mostTwins is how many files of one name a folder may have before that is called an error.
const mostTwins = 10_000

// moveLocal renames the file from below root to the name to, or one like it if there is something already, and makes the
// folders on the way. It never replaces anything.
func moveLocal(root *os.Root, from, to string) (name string, err error) {
	if to = path.Clean(to); !filepath.IsLocal(filepath.FromSlash(to)) || to == "." {
		return "", fmt.Errorf("%q leads out of the sync's folder", to)
	}
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(to)), 0o777); err != nil {
		return "", err
	}
	source, err := root.Lstat(filepath.FromSlash(from))
	if err != nil {
		return "", err
	}
	for n := 1; n < mostTwins; n++ {
		name = twin(to, n)
		there, err := root.Lstat(filepath.FromSlash(name))
		if err == nil && os.SameFile(source, there) {
			// A hard link that was made before a crash, see below.
			return name, root.Remove(filepath.FromSlash(from))
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		// A rename would replace what somebody puts there at this moment; a link does not.
		err = root.Link(filepath.FromSlash(from), filepath.FromSlash(name))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = root.Remove(filepath.FromSlash(from))
		} else {
			err = root.Rename(filepath.FromSlash(from), filepath.FromSlash(name)) // no links on this filesystem
		}
		if err == nil {
			err = syncDir(root, filepath.FromSlash(path.Dir(name)))
		}
		return name, err
	}
	return "", fmt.Errorf("%q and %d more are taken", to, mostTwins)
}

// twin is the nth name like this one: "a.txt", "a 2.txt", "a 3.txt".
func twin(name string, n int) string {
	if n == 1 {
		return name
	}
	folder, base := path.Split(name)
	extension := path.Ext(base)
	if extension == base { // a hidden file
		extension = ""
	}
	return fmt.Sprintf("%s%s %d%s", folder, strings.TrimSuffix(base, extension), n, extension)
}
