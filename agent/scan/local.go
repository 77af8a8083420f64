package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// Entries is the content of one folder on one side, sorted by name. Names that are not in it are known to be
// absent only if Unknown is empty; otherwise Unknown says why nobody can tell.
type Entries struct {
	Names   []Named
	Unknown string
	// Refused: it is unknown because the server would not list it.
	Refused bool
	// Mixed: names on the server are in two encodings, see ftpclient.Listing.
	Mixed bool
	// Unread: there are lines on the server's side that nobody can read, or not in the encoding of the others.
	Unread bool
	// Permissions: the server has shown those of folders, see FolderTimes.
	Permissions bool
}

// Named is what is at a name.
type Named struct {
	Name string
	entry.Entry
	// Told is the time of a folder on the server, in milliseconds of Unix time; 0 if that is not told, or means nothing.
	Told int64
}

func byName(a, b Named) int { return strings.Compare(a.Name, b.Name) }

// LocalEntry describes what Lstat saw. Times beyond the years that FTP and JSON can write are
// taken for the last or first of those.
func LocalEntry(info fs.FileInfo) entry.Entry {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return entry.Entry{Kind: entry.File, Size: info.Size(), ModTime: writable(info.ModTime().UTC()), Precision: time.Nanosecond, ID: localID(info)}
	case mode.IsDir():
		return entry.Entry{Kind: entry.Dir, ID: localID(info)}
	case mode&fs.ModeSymlink != 0:
		return entry.Entry{Kind: entry.Link}
	}
	return entry.Entry{Kind: entry.Other}
}

var (
	firstTime = time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

func writable(t time.Time) time.Time {
	if t.Before(firstTime) {
		return firstTime
	}
	if t.After(lastTime) {
		return lastTime
	}
	return t
}

// OpenLocal opens rel below root for reading. It does not wait where something else has taken
// the place of a file, such as a pipe that nobody writes to.
func OpenLocal(root *os.Root, rel string) (*os.File, error) {
	return root.OpenFile(osPath(rel), os.O_RDONLY|openWithoutWaiting, 0)
}

// StatLocal looks at one path below root without following a link at its end. What is not
// there is an entry of kind Absent; an error means that nobody can tell.
func StatLocal(root *os.Root, rel string) (entry.Entry, error) {
	return seen(root.Lstat(osPath(rel)))
}

// seen is what Lstat has told.
func seen(info fs.FileInfo, err error) (entry.Entry, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return entry.Entry{}, nil
	}
	if err != nil {
		return entry.Entry{}, err
	}
	return LocalEntry(info), nil
}

// ReadLocal lists the folder rel below root without following a link in it. A folder that cannot be read is unknown.
func ReadLocal(root *os.Root, rel string) Entries { return Local{Root: root}.Read(rel) }

// Read lists the folder rel. A folder that cannot be read is unknown.
func (l Local) Read(rel string) Entries {
	dir, err := l.Open(rel)
	if err != nil {
		return Entries{Unknown: fmt.Sprintf("cannot read local folder: %v", err)}
	}
	defer dir.Close()
	names, unseen, err := lookInto(dir)
	if err != nil {
		return Entries{Unknown: fmt.Sprintf("cannot read local folder: %v", err)}
	}
	e := Entries{Names: names}
	if unseen != nil {
		e.Unknown = fmt.Sprintf("cannot look at what is in %q: %v", rel, unseen)
	}
	for i, found := range names {
		if found.Kind == entry.Link {
			names[i].Entry = l.named(path.Join(rel, found.Name), found.Entry)
		}
	}
	if !slices.IsSortedFunc(names, byName) {
		slices.SortFunc(names, byName)
	}
	return e
}

func osPath(rel string) string {
	if rel == "" {
		return "."
	}
	return filepath.FromSlash(rel)
}

// sendable says why a local name cannot go over FTP, "" if it can.
func sendable(name string) string {
	if strings.ContainsAny(name, "\r\n\x00") {
		return "the name holds a line end, which FTP cannot carry"
	}
	return ""
}

// storable says why a name from a server cannot be created here, "" if it can.
func storable(name string) string {
	if why := unstorable(name, runtime.GOOS); why != "" {
		return why
	}
	if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
		return "the name is not allowed on this system: rename it on the server"
	}
	return ""
}
