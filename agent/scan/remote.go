package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state/entry"
)

// RemoteEntry describes what a listing or a question about one path showed.
func RemoteEntry(e list.Entry) entry.Entry {
	switch e.Type {
	case list.File:
		return entry.Entry{Kind: entry.File, Size: e.Size, ModTime: e.ModTime, Precision: time.Duration(e.Precision), ID: remoteID(e.Unique)}
	case list.Dir:
		return entry.Entry{Kind: entry.Dir, ID: remoteID(e.Unique)}
	case list.Link:
		return entry.Entry{Kind: entry.Link, Target: e.Target}
	}
	return entry.Entry{Kind: entry.Other}
}

// Conn is what a scan asks of a connection; *ftpclient.Conn does it.
type Conn interface {
	List(ctx context.Context, path string) (ftpclient.Listing, error)
	Stat(ctx context.Context, path string) (list.Entry, error)
	ReadLink(ctx context.Context, path string) (list.Entry, error)
	ReadLinks(ctx context.Context, path string) (ftpclient.Listing, error)
	Size(ctx context.Context, path string) (int64, error)
	ModTimes(ctx context.Context, paths []string) ([]ftpclient.FileTime, error)
	// Usable reports whether the connection has survived its last command.
	Usable() bool
	Facts() ftpclient.Facts
	// Listed returns what List calls the file of a name.
	Listed(name string) string
}

// Remote looks at the far side of a sync. Its methods are not safe for concurrent use.
type Remote struct {
	Conn Conn
	// Root is the absolute path of the sync's folder on the server.
	Root string
	// Follow: of a symbolic link is told what it points at, as far as the server lets that be found out. It is for what is only
	// read: nothing may be deleted behind a link.
	Follow bool
	// Hashes: the server tells hashes of files, so that two versions can be compared without a transfer.
	Hashes bool
	// Targets: links are told as such, though most servers answer questions about one path with what is behind it.
	Targets bool
	// links are those to folders that were met, by their paths, with where they lead without another link on the way.
	links map[string]string
	ahead *readAhead // nil: nothing is listed ahead
}

// Path is the absolute path of rel on the server.
func (r Remote) Path(rel string) string { return path.Join(r.Root, rel) }

// Read lists the folder rel. A folder that the server would not list in full is unknown;
// errors are those after which the connection cannot be used, or a missing folder
// (fs.ErrNotExist), or the want of a data channel, which is not about this folder.
func (r *Remote) Read(ctx context.Context, rel string) (Entries, bool, error) {
	l, err := r.Conn.List(ctx, r.Path(rel))
	return r.read(ctx, rel, l, err)
}

// read is Read, with what came of the listing.
func (r *Remote) read(ctx context.Context, rel string, l ftpclient.Listing, err error) (Entries, bool, error) {
	if err != nil {
		_, noData := errors.AsType[*ftpclient.DataError](err)
		if r.Conn.Usable() && !noData && !errors.Is(err, fs.ErrNotExist) {
			return refused(err), false, nil
		}
		return Entries{}, false, err
	}
	found := remoteEntries(l)
	if r.Follow { // the time of a link is not that of the folder behind it
		for i := range found.Names {
			found.Names[i].Told = 0
		}
		err = r.followAll(ctx, rel, found.Names)
	}
	if r.Targets {
		err = r.targets(ctx, rel, found.Names)
	}
	return found, l.Hidden, err
}

func refused(err error) Entries {
	return Entries{Unknown: fmt.Sprintf("cannot list remote folder: %v", err), Refused: true}
}

// remoteEntries reads a listing. Nobody can tell which of two lines for one name is true, so
// such a name is unknown.
func remoteEntries(l ftpclient.Listing) Entries {
	e := Entries{Names: make([]Named, 0, len(l.Entries))}
	for _, found := range l.Entries {
		e.Names = append(e.Names, Named{Name: found.Name, Entry: RemoteEntry(found), Told: folderTime(found)})
		e.Permissions = e.Permissions || found.Type == list.Dir && found.HasMode
	}
	if l.Format != "mlsd" { // times of LIST are in minutes, and in a zone that nobody names
		e.Permissions = false
		for i := range e.Names {
			e.Names[i].Told = 0
		}
	}
	slices.SortFunc(e.Names, byName)
	once := e.Names[:0]
	for i := 0; i < len(e.Names); {
		n := i + 1
		for n < len(e.Names) && e.Names[n].Name == e.Names[i].Name {
			n++
		}
		if n == i+1 {
			once = append(once, e.Names[i])
		} else {
			e.Unknown = fmt.Sprintf("the remote listing names %q twice", e.Names[i].Name)
		}
		i = n
	}
	e.Names = once
	if l.Incomplete != "" {
		e.Unknown, e.Mixed = "remote listing: "+l.Incomplete, l.Mixed
		e.Unread = len(l.Unparsed) > 0
	}
	return e
}

// exists proves whether the sync's folder is there, and tells its ID; an error means that nobody can tell. listed says that it is listed
// next, which takes fewer round trips where the connection can ask for both.
func (r Remote) exists(ctx context.Context, listed bool) (id uint64, there bool, err error) {
	stat := r.Conn.Stat
	if ahead, ok := r.Conn.(interface {
		StatAhead(ctx context.Context, path string) (list.Entry, error)
	}); ok && listed {
		stat = ahead.StatAhead
	}
	e, err := stat(ctx, r.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if e.Type != list.Dir && e.Type != list.Link {
		return 0, false, fmt.Errorf("%s on the server is no folder", r.Root)
	}
	return remoteID(e.Unique), true, nil
}
