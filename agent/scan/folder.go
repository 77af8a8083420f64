package scan

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is a folder of a local side that is kept open: each look at what is in it takes one call of the system, and not one more for each
// name on the way there.
type Folder struct {
	rel  string
	root *os.Root
	is   fs.FileInfo
}

// OpenFolder opens the folder rel, "" for the root. Whoever opens it closes it.
func (l Local) OpenFolder(rel string) (*Folder, error) {
	root, err := l.Root.OpenRoot(osPath(rel))
	if err != nil {
		return nil, err
	}
	is, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Folder{rel: rel, root: root, is: is}, nil
}

// Rel is the path of the folder, relative to the root of its side.
func (f *Folder) Rel() string { return f.rel }

// Close closes the folder. What still has it goes by the root of its side.
func (f *Folder) Close() error { return f.root.Close() }

// IsInPlace reports whether the folder still is what is at its path.
func (f *Folder) IsInPlace(l Local) bool {
	now, err := os.Stat(l.full(f.rel))
	return err == nil && os.SameFile(f.is, now)
}

// By is the same side with a folder of it that is open. What cannot be done by that is done by the root.
func (l Local) By(f *Folder) Local {
	l.folder = f
	return l
}

// lstat looks at rel without following a link at its end.
func (l Local) lstat(rel string) (fs.FileInfo, error) {
	if name, ok := l.folder.name(rel); ok {
		if info, err := l.folder.root.Lstat(name); err == nil {
			return info, nil
		}
	}
	return l.Root.Lstat(osPath(rel))
}

// open opens rel for reading, see OpenLocal.
func (l Local) open(rel string) (*os.File, error) {
	if name, ok := l.folder.name(rel); ok {
		if file, err := OpenLocal(l.folder.root, name); err == nil {
			return file, nil
		}
	}
	return OpenLocal(l.Root, rel)
}

// name is the name of rel in the folder, if that is where it is.
func (f *Folder) name(rel string) (string, bool) {
	if f == nil {
		return "", false
	}
	name := rel
	if f.rel != "" {
		var below bool
		if name, below = strings.CutPrefix(rel[min(len(f.rel), len(rel)):], "/"); !below || rel[:len(f.rel)] != f.rel {
			return "", false
		}
	}
	return name, name != "" && !strings.ContainsRune(name, '/') && filepath.IsLocal(name)
}
