package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Local reads the local side of a sync, with its symbolic links as they are to be taken. It never writes.
type Local struct {
	Root *os.Root
	// follow: what is told of a link is what it points at, wherever that is. A link that leads nowhere, or to a folder
	// which it is in, stays a link.
	follow bool
	// targets: a link is told with what it points at.
	targets bool
	// folder, if not nil, is open, see By.
	folder *Folder
}

// NewLocal returns the local side of a sync. Links are followed where it is a source only: what is written stays in the folder.
func NewLocal(root *os.Root, rules plan.Rules) Local {
	return Local{
		Root:   root,
		follow: rules.Links == plan.LinksFollow && rules.Direction != plan.Down, targets: rules.Links == plan.LinksPreserve,
	}
}

// Stat looks at one path. What is not there is an entry of kind Absent; an error means that nobody can tell.
func (l Local) Stat(rel string) (entry.Entry, error) {
	e, err := seen(l.lstat(rel))
	switch {
	case l.follow && (err != nil || e.Kind == entry.Link):
		return l.followed(rel)
	case err == nil && e.Kind == entry.Link:
		return l.withTarget(rel, e), nil
	}
	return e, err
}

// Open opens rel for reading, see OpenLocal.
func (l Local) Open(rel string) (*os.File, error) {
	file, err := l.open(rel)
	if err == nil || !l.follow || errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	return os.OpenFile(l.full(rel), os.O_RDONLY|openWithoutWaiting, 0) // a link leads out of the folder
}

func (l Local) full(rel string) string { return filepath.Join(l.Root.Name(), filepath.FromSlash(rel)) }

// named gives the entry of a link in a listed folder what the link says.
func (l Local) named(rel string, e entry.Entry) entry.Entry {
	if !l.follow {
		return l.withTarget(rel, e)
	}
	if behind, err := l.followed(rel); err == nil && behind.Kind != entry.Absent {
		return behind
	}
	return e
}

func (l Local) withTarget(rel string, e entry.Entry) entry.Entry {
	if e.Kind == entry.Link && l.targets {
		if target, err := l.Root.Readlink(osPath(rel)); err == nil {
			e.Target = filepath.ToSlash(target)
		}
	}
	return e
}

// followed looks at what is at rel, or behind it, wherever the links on the way lead.
func (l Local) followed(rel string) (entry.Entry, error) {
	is, err := os.Lstat(l.full(rel))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return entry.Entry{}, nil
	}
	if err != nil || is.Mode()&fs.ModeSymlink == 0 {
		if err != nil {
			return entry.Entry{}, err
		}
		return LocalEntry(is), nil
	}
	if behind, why := l.behind(rel); why == "" {
		return LocalEntry(behind), nil
	}
	return LocalEntry(is), nil
}

// behind looks at what the link rel points at; why says why it cannot be taken in place of the link.
func (l Local) behind(rel string) (info fs.FileInfo, why string) {
	info, err := os.Stat(l.full(rel))
	if err != nil {
		return nil, fmt.Sprintf("the symbolic link leads nowhere: %v", reasonOf(err))
	}
	if !info.IsDir() {
		return info, ""
	}
	// Each way round a loop comes by a link to a folder that is above it on the way.
	for dir := rel; dir != "."; {
		dir = path.Dir(dir)
		if above, err := os.Stat(l.full(dir)); err == nil && os.SameFile(above, info) {
			return nil, "the symbolic link leads to a folder that it is in"
		}
	}
	return info, ""
}

func reasonOf(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// throughLink reports whether rel or a folder above it is a link.
func (l Local) throughLink(rel string) bool {
	for ; rel != "."; rel = path.Dir(rel) {
		if e, err := StatLocal(l.Root, rel); err == nil && e.Kind == entry.Link {
			return true
		}
	}
	return false
}

// linked says why nothing is done about a path that is a link which cannot be followed, "" if that is not so.
func (w *walker) linked(item plan.Item) string {
	if r := w.request.Remote; r != nil && r.Follow && item.Remote.Entry.Kind == entry.Link {
		return "the symbolic link on the server cannot be followed: it leads nowhere or to a folder that it is in, or the server does not say where"
	}
	if !w.local.follow || item.Local.Entry.Kind != entry.Link {
		return ""
	}
	if _, why := w.local.behind(item.Path); why != "" {
		return why
	}
	return "the symbolic link changed during the scan"
}

// farFolder is a folder on the server that is under way.
type farFolder struct {
	id    uint64
	names []Named
}

// enterFar is called with the contents of each folder, and what it returns when that is left.
func (w *walker) enterFar(far Entries) (leave func()) {
	w.above = append(w.above, farFolder{w.entered, far.Names})
	return func() { w.above = w.above[:len(w.above)-1] }
}

// loopsFar reports whether a folder on the server is one of those that it is in: some servers show a link as what it points
// at, by MLSD at least, and then such a tree has no end. Since there may be servers with one ID for everything, the names in it
// have to be the same, too.
func (w *walker) loopsFar(ctx context.Context, item plan.Item) (bool, error) {
	far := item.Remote.Entry
	if item.Remote.Knowledge != plan.Seen || far.Kind != entry.Dir || far.ID == 0 {
		return false, nil
	}
	for _, above := range w.above {
		if above.id != far.ID {
			continue
		}
		now, _, err := w.request.Remote.Read(ctx, w.farRel(item))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // the walk finds that out
		}
		if err != nil || slices.EqualFunc(now.Names, above.names, func(a, b Named) bool { return a.Name == b.Name }) {
			return err == nil, err
		}
	}
	return false, nil
}

// keepsBehindLinks takes back what would be written to what a link points at, or in place of the link.
func (w *walker) keepsBehindLinks(d plan.Decision) plan.Decision {
	if !w.local.follow || d.Op == nil || !w.local.throughLink(d.Op.Path) {
		return d
	}
	switch d.Op.Action {
	case plan.Download, plan.MakeLocalDir, plan.DeleteLocal, plan.SetAsideLocal, plan.MoveLocal, plan.LinkLocal:
		return plan.Decision{Keeps: true, Descend: d.Descend, Note: &plan.Note{
			Path: d.Op.Path, Conflict: true, Text: d.Op.Reason + ", but what is behind a symbolic link is only read",
		}}
	}
	return d
}

// Stat asks for one path. With Follow it tells what a link points at. The error is that of Conn.Stat.
func (r *Remote) Stat(ctx context.Context, rel string) (entry.Entry, error) {
	return r.Look(ctx, r.Path(rel))
}

// Look is Stat for an absolute path on the server.
func (r *Remote) Look(ctx context.Context, full string) (entry.Entry, error) {
	found, err := r.Conn.Stat(ctx, full)
	if err != nil || !r.Follow || found.Type != list.Link && found.Type != list.File {
		return RemoteEntry(found), err
	}
	behind, err := r.behind(ctx, full, found.Target)
	if err != nil || behind.Kind == entry.Absent {
		return RemoteEntry(found), err
	}
	if found.Type == list.File && entry.Same(behind, RemoteEntry(found)) {
		return RemoteEntry(found), nil
	}
	return behind, nil // MLST of ProFTPD calls a link a file, of the size and time of the link
}

// WithoutFollowing corrects what Look has told of the absolute path of what may be a link, where that is of interest. It costs a
// listing. What is not in that, though Look has told of it, has a name that listings do not show.
func (r *Remote) WithoutFollowing(ctx context.Context, full string, found entry.Entry, err error) (entry.Entry, error) {
	absent := errors.Is(err, fs.ErrNotExist)
	if !r.Targets || err != nil && !absent || found.Kind == entry.Link && found.Target != "" {
		return found, err
	}
	listed, listErr := r.Conn.ReadLink(ctx, full)
	switch {
	case listErr == nil && listed.Type == list.Link:
		return RemoteEntry(listed), nil
	case listErr == nil && absent:
		return found, fmt.Errorf("the server lists %q and says that it is not there", path.Base(full))
	case listErr == nil || errors.Is(listErr, fs.ErrNotExist):
		return found, err
	}
	return found, listErr
}

// mayBeLink reports whether what a question about one path has told may be what a link points at: unless that is as it was.
func mayBeLink(item plan.Item) bool {
	if item.Local.Entry.Kind == entry.Link || item.Base != nil && item.Base.Remote.Kind == entry.Link {
		return true
	}
	now := item.Remote.Entry
	return now.Kind != entry.Absent && (item.Base == nil || !entry.Same(now, item.Base.Remote))
}

// statItem is statRemote for the path of an item, which is not followed if it is a link and those are to be told.
func (w *walker) statItem(ctx context.Context, item plan.Item) (plan.Side, error) {
	rel := w.farRel(item)
	var err error
	item.Remote, err = w.statRemote(ctx, rel)
	r := w.request.Remote
	if err != nil || !r.Targets || item.Remote.Knowledge != plan.Seen || !mayBeLink(item) || sendable(rel) != "" {
		return item.Remote, err
	}
	told := error(nil)
	if item.Remote.Entry.Kind == entry.Absent {
		told = fs.ErrNotExist
	}
	found, err := r.WithoutFollowing(ctx, r.Path(rel), item.Remote.Entry, told)
	switch {
	case err == nil:
		item.Remote.Entry = found
	case !r.Conn.Usable():
		return plan.Side{}, err
	case !errors.Is(err, fs.ErrNotExist):
		w.unknown(rel, fmt.Sprintf("cannot look at the server: %v", err))
		return plan.Side{}, nil
	}
	return item.Remote, nil
}

// targets adds what links point at where the listing does not tell, as MLSD of most servers, and LIST does. An error ends the
// connection.
func (r *Remote) targets(ctx context.Context, rel string, found []Named) error {
	if !slices.ContainsFunc(found, func(n Named) bool { return n.Kind == entry.Link && n.Target == "" }) {
		return nil
	}
	lines, err := r.Conn.ReadLinks(ctx, r.Path(rel))
	if err != nil {
		return r.ended(err)
	}
	for _, told := range remoteEntries(lines).Names { // sorted, and without names that are there twice
		i, known := slices.BinarySearchFunc(found, told, byName)
		if known && found[i].Kind == entry.Link && told.Kind == entry.Link {
			found[i].Target = told.Target
		}
	}
	return nil
}

// followAll puts what links point at in their places, as far as the server tells. Errors end the connection.
func (r *Remote) followAll(ctx context.Context, rel string, found []Named) error {
	for i, link := range found {
		if link.Kind != entry.Link {
			continue
		}
		behind, err := r.behind(ctx, path.Join(r.Path(rel), link.Name), link.Target)
		if err != nil {
			return err
		}
		if behind.Kind != entry.Absent {
			found[i].Entry = behind
		}
	}
	return nil
}

// behind finds out what a link on the server points at: a file if the server tells its size, a folder if it lets one in. Of a
// folder it must be known where it is, since the link may be in it. Absent is what cannot be followed; errors end the connection.
func (r *Remote) behind(ctx context.Context, full, target string) (entry.Entry, error) {
	size, err := r.Conn.Size(ctx, full)
	if err == nil {
		e := entry.Entry{Kind: entry.File, Size: size}
		times, err := r.Conn.ModTimes(ctx, []string{full})
		if err == nil && times[0].Err == nil {
			e.ModTime, e.Precision = times[0].ModTime, time.Second
		}
		return e, err
	}
	if !r.Conn.Usable() {
		return entry.Entry{}, err
	}
	if target == "" { // MLSD does not tell
		link, err := r.Conn.ReadLink(ctx, full)
		if target = link.Target; target == "" {
			return entry.Entry{}, r.ended(err)
		}
	}
	leads := r.real(absolute(path.Join(r.real(path.Dir(full)), path.Base(full)), target))
	if leads == "/" || r.loops(full, leads) {
		return entry.Entry{}, nil
	}
	if _, err := r.Conn.List(ctx, full); err != nil {
		return entry.Entry{}, r.ended(err)
	}
	if r.links == nil {
		r.links = map[string]string{}
	}
	r.links[full] = leads
	return entry.Entry{Kind: entry.Dir}, nil
}

// ended is the error if that was the end of the connection.
func (r *Remote) ended(err error) error {
	if r.Conn.Usable() {
		return nil
	}
	return err
}

// mostLinks to folders are followed on the way to one path: where a server does not tell the truth about them, that ends a loop.
const mostLinks = 8

// real is the path of a folder without the links that were met on the way.
func (r *Remote) real(full string) string {
	for above := full; above != "/" && above != "."; above = path.Dir(above) {
		if leads, met := r.links[above]; met {
			return path.Join(leads, full[len(above):])
		}
	}
	return full
}

// loops reports whether a link leads to a folder that is on the way to it, or holds one of those.
func (r *Remote) loops(full, leads string) bool {
	links := 0
	for above := path.Dir(full); above != "/" && above != "."; above = path.Dir(above) {
		if _, met := r.links[above]; met {
			links++
		}
		if isIn(r.real(above), leads) || links >= mostLinks {
			return true
		}
	}
	return false
}

func absolute(link, target string) string {
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join(path.Dir(link), target)
}
