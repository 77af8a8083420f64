package manual

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
)

// Item is what is at one path of a server.
type Item struct {
	// Path is absolute.
	Path state.Text `json:"path"`
	// Kind is file, dir, link or other.
	Kind string `json:"kind"`
	// Size is in bytes, -1 if the server does not tell it.
	Size int64 `json:"size"`
	// Modified is in UTC, zero if the server does not tell it, and Precision how exactly it is known, in seconds. ZoneUnknown: it
	// is in the time zone of the server, of which nobody knows how far it is from UTC.
	Modified    time.Time `json:"modified,omitzero"`
	Precision   float64   `json:"precision_seconds,omitempty"`
	ZoneUnknown bool      `json:"zone_unknown,omitempty"`
	// Mode are the permissions in octal, Perm what the login may do with it (RFC 3659 section 7.5.5); "" if the server does not tell.
	Mode string `json:"mode,omitempty"`
	Perm string `json:"perm,omitempty"`
	// Target is what a link points at, as far as the server tells.
	Target state.Text `json:"target,omitempty"`
}

// Name is the last element of the path.
func (i Item) Name() string { return path.Base(string(i.Path)) }

// Folder is a listing. One of a single file is that file in itself.
type Folder struct {
	// Path is absolute.
	Path string
	// Items are sorted by name.
	Items []Item
	// Incomplete says why something may be missing, "" if nothing is; Unparsed are the lines that nobody can read.
	Incomplete string
	Unparsed   []string
	// Err is why the folder could not be listed.
	Err error
}

// List calls each for what is at p, absolute or relative to where the login leads to: its listing if that is a folder, else itself. With
// recursive come the folders below, each behind the one that it is in; links are not followed. One listing is in memory at a time.
// Errors are those after which nothing more can be listed; those of folders below are in Folder.Err.
func (s *Server) List(ctx context.Context, p string, recursive bool, each func(Folder) error) error {
	var stack []string
	first := true
	for {
		var found Folder
		err := s.on(ctx, func(conn *ftpclient.Conn) (err error) {
			if first {
				found, err = s.listAny(ctx, conn, conn.Absolute(p))
			} else {
				found, err = s.list(ctx, conn, stack[len(stack)-1])
			}
			return err
		})
		if !first {
			found.Path = stack[len(stack)-1]
			stack = stack[:len(stack)-1]
		}
		if err != nil && (first || ends(err) || ctx.Err() != nil) {
			return err
		}
		first, found.Err = false, err
		if err := each(found); err != nil || !recursive {
			return err
		}
		for _, item := range slices.Backward(found.Items) {
			if item.Kind == list.Dir.String() && string(item.Path) != found.Path {
				stack = append(stack, string(item.Path))
			}
		}
		if len(stack) == 0 {
			return nil
		}
	}
}

// listAny lists a folder, or looks at what is none.
func (s *Server) listAny(ctx context.Context, conn *ftpclient.Conn, p string) (Folder, error) {
	found, err := s.list(ctx, conn, p)
	if err == nil || !conn.Usable() || ctx.Err() != nil || errors.As(err, new(*ftpclient.DataError)) {
		return found, err
	}
	single, statErr := conn.Stat(ctx, p)
	if statErr != nil || single.Type == list.Dir {
		if statErr != nil && work.IsAbsent(statErr) {
			err = statErr
		}
		return Folder{Path: p}, err
	}
	return Folder{Path: p, Items: []Item{itemOf(p, single)}}, nil
}

func (s *Server) list(ctx context.Context, conn *ftpclient.Conn, p string) (Folder, error) {
	l, err := conn.List(ctx, p)
	if err != nil {
		return Folder{Path: p}, err
	}
	f := Folder{Path: p, Incomplete: l.Incomplete, Unparsed: l.Unparsed, Items: make([]Item, 0, len(l.Entries))}
	unknown := l.Format != "mlsd" && !s.ZoneKnown && conn.Facts().ListZone.Month == ""
	for _, e := range l.Entries {
		item := itemOf(path.Join(p, e.Name), e)
		item.ZoneUnknown = unknown && !item.Modified.IsZero()
		f.Items = append(f.Items, item)
	}
	slices.SortStableFunc(f.Items, func(a, b Item) int { return cmp.Compare(a.Path, b.Path) })
	return f, nil
}

// itemOf copies what it needs: strings of a listing hold on to all of its text.
func itemOf(p string, e list.Entry) Item {
	item := Item{
		Path: state.Text(p), Kind: e.Type.String(), Size: e.Size, Modified: e.ModTime, Precision: time.Duration(e.Precision).Seconds(),
		Perm: strings.Clone(e.Perm), Target: state.Text(strings.Clone(e.Target)),
	}
	if e.Type == list.Dir {
		item.Size = -1 // it means anything
	}
	if e.HasMode {
		item.Mode = fmt.Sprintf("%04o", unixMode(e))
	}
	return item
}

// unixMode has the bits where Unix has them.
func unixMode(e list.Entry) uint32 {
	mode := uint32(e.Mode.Perm())
	for _, special := range []struct {
		is   bool
		bits uint32
	}{{e.Mode&fs.ModeSetuid != 0, 0o4000}, {e.Mode&fs.ModeSetgid != 0, 0o2000}, {e.Mode&fs.ModeSticky != 0, 0o1000}} {
		if special.is {
			mode |= special.bits
		}
	}
	return mode
}
