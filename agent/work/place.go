package work

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// ErrUnsafe: a name, or a link in the way, leads out of the folder of the sync. Nothing was done.
var ErrUnsafe = errors.New("refused, as it leads out of the folder")

// inside refuses a path that is not plainly one below the root, on this system too.
func inside(rel string) error {
	if rel == "" {
		return nil
	}
	for name := range strings.SplitSeq(rel, "/") {
		if name == "." || name == ".." || !filepath.IsLocal(name) || filepath.Base(name) != name || strings.ContainsRune(name, 0) {
			return fmt.Errorf("%w: %q", ErrUnsafe, rel)
		}
	}
	return nil
}

// throughLink refuses a path with a link in the place of one of its folders: nothing is written, renamed or removed through
// links, wherever they lead.
func throughLink(root *os.Root, rel string) error {
	for at, c := range rel {
		if c != '/' {
			continue
		}
		info, err := root.Lstat(filepath.FromSlash(rel[:at]))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%w: there is a symbolic link in the place of the local folder %q, and nothing is written through links", ErrUnsafe, rel[:at])
		}
	}
	return nil
}

// plainFolder opens the folder rel below root, "" or "." for root itself, without going through a link at any step: what was
// looked at before may have been replaced by one since. The names in it are safe to change by it then, whatever becomes of
// the folders above. A link in the way is ErrUnsafe.
func plainFolder(root *os.Root, rel string) (*os.Root, error) {
	folder, err := root.OpenRoot(".")
	for name := range strings.SplitSeq(filepath.ToSlash(rel), "/") {
		if err != nil {
			return nil, err
		}
		if name == "" || name == "." {
			continue
		}
		var below *os.Root
		below, err = plainSubfolder(folder, name)
		folder.Close()
		folder = below
	}
	return folder, err
}

// plainSubfolder opens the folder name in folder, if that is one and no link to one.
func plainSubfolder(folder *os.Root, name string) (*os.Root, error) {
	seen, err := folder.Lstat(name)
	if err != nil {
		return nil, err
	}
	if seen.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%w: there is a symbolic link in the place of the local folder %q, and nothing is changed through links", ErrUnsafe, name)
	}
	below, err := folder.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	opened, err := below.Stat(".")
	if err == nil && !os.SameFile(seen, opened) {
		err = fmt.Errorf("%w: the local folder %q was replaced at this moment", ErrUnsafe, name)
	}
	if err != nil {
		below.Close()
		return nil, err
	}
	return below, nil
}

// removePlain removes a file, a link or an empty folder, and goes through no link to it.
func removePlain(root *os.Root, rel string) error {
	folder, err := plainFolder(root, path.Dir(rel))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Remove(path.Base(rel))
}

// localFolder makes the folder that the local path rel is in.
func localFolder(root *os.Root, rel string) error {
	if err := throughLink(root, rel); err != nil {
		return err
	}
	return root.MkdirAll(filepath.FromSlash(path.Dir(rel)), 0o777)
}

// withoutFolder is what came of a job for which a local folder could not be made. If a file is in the way, in the place of one of the
// folders that it is in too, both sides have to be looked at again.
func (o *op) withoutFolder(folder string, err error) Outcome {
	for at, c := range folder + "/" {
		if c != '/' || errors.Is(err, ErrUnsafe) {
			continue
		}
		if is, statErr := scan.StatLocal(o.root, folder[:at]); statErr == nil && is.Kind != entry.Dir && is.Kind != entry.Absent {
			return stale("a local file is in the way of the folder")
		}
	}
	return failed(err)
}

// mostNumbers is how many names are tried for a file that is put where another one may be.
const mostNumbers = 1000

var errNoFreeName = fmt.Errorf("%w: and so are %d names with a number", fs.ErrExist, mostNumbers)

// moveLocal renames from to the first free one of to and its numbered names, whose folder is made, and has both on disk. It
// returns the name.
func moveLocal(root *os.Root, from, to string) (string, error) {
	to = path.Clean(to)
	if err := errors.Join(inside(to), throughLink(root, from), localFolder(root, to)); err != nil {
		return "", err
	}
	for n := 1; n <= mostNumbers; n++ {
		name := plan.Numbered(to, n)
		err := renameNew(root, filepath.FromSlash(from), filepath.FromSlash(name))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return name, errors.Join(syncDir(root, filepath.FromSlash(path.Dir(name))), syncDir(root, filepath.FromSlash(path.Dir(from))))
	}
	return "", errNoFreeName
}

// lookThenRename is renameNew where the system has none: between the two, somebody might use the name.
func lookThenRename(root *os.Root, from, to string) error {
	if _, err := root.Lstat(to); err == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.Rename(from, to)
}

// alike reports whether something is what was seen before, and there.
func alike(now, before entry.Entry) bool { return now.Kind != entry.Absent && entry.Same(now, before) }
