package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// errTrash: a file could not be moved to the trash folder, so that it was not deleted either.
var errTrash = errors.New("nothing was deleted, as it could not be moved to the trash folder")

// trashed is where a deleted path goes, relative to the root of its side: the folder of the day, and the same path in it.
func (o *op) trashed(now time.Time) string {
	return path.Join(o.env.Sync.Trash, now.Format(time.DateOnly), o.Path)
}

// trashLocal and trashRemote move the path to the trash folder of its side and return its new name.
func (o *op) trashLocal() (string, error) {
	to, err := o.putAwayLocal(o.trashed(time.Now()))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errTrash, err)
	}
	return to, nil
}

func (o *op) trashRemote(ctx context.Context) (string, error) {
	to, err := o.putAwayRemote(ctx, o.target(), o.trashed(time.Now()))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errTrash, err)
	}
	return to, nil
}

// putAwayLocal and putAwayRemote move the file of this job, which is at from on the server, to a place that ends in its path and
// return its new name. A file that was put away before may stand where a folder is needed now: then the folder gets a number.
func (o *op) putAwayLocal(wanted string) (string, error) {
	to, err := o.freeFolders(path.Clean(wanted), func(rel string) (entry.Entry, error) { return scan.StatLocal(o.root, rel) })
	if err != nil {
		return "", err
	}
	return moveLocal(o.root, o.Path, to)
}

func (o *op) putAwayRemote(ctx context.Context, from, wanted string) (string, error) {
	wanted = path.Clean(wanted)
	if err := o.conn.MakeDirs(ctx, o.remote.Path(path.Dir(wanted))); err != nil {
		if !o.conn.Usable() {
			return "", err
		}
		free, freeErr := o.freeFolders(wanted, func(rel string) (entry.Entry, error) { return o.statRemote(ctx, o.remote.Path(rel)) })
		if freeErr != nil || free == wanted {
			return "", errors.Join(err, freeErr)
		}
		wanted = free
	}
	return o.moveRemote(ctx, from, o.remote.Path(wanted))
}

// freeFolders numbers those folders of a path that ends in the one of this job in whose place something else is, but for what is
// before: the trash itself and the folder of the day.
func (o *op) freeFolders(rel string, look func(rel string) (entry.Entry, error)) (string, error) {
	if rel != o.Path && !strings.HasSuffix(rel, "/"+o.Path) {
		return rel, nil
	}
	before := len(rel) - len(o.Path)
	names := strings.Split(o.Path, "/")
	folder := path.Clean(rel[:before])
	for _, name := range names[:len(names)-1] {
		n := 1
		for ; n <= mostNumbers; n++ {
			found, err := look(path.Join(folder, plan.Numbered(name, n)))
			if err != nil {
				return "", err
			}
			if found.Kind == entry.Absent || found.Kind == entry.Dir {
				break
			}
		}
		if n > mostNumbers {
			return "", errNoFreeName
		}
		folder = path.Join(folder, plan.Numbered(name, n))
	}
	return path.Join(folder, names[len(names)-1]), nil
}

// mostPurged bounds how much of the trash one job removes; another one goes on.
const mostPurged = 5000

// errEnough ends a job that has removed mostPurged.
var errEnough = errors.New("enough for one job")

// purging removes what has been in the trash of one side for long enough: the folders of days that are over for longer than
// keep, and nothing else, whatever is there.
type purging struct {
	now     time.Time
	keep    time.Duration
	removed int
	// left is how many things could not be removed.
	left int
	// refused is the first reason why something had to stay. It is tried again another day.
	refused error
}

// over reports whether a name in the trash folder is that of a day that is over for long enough.
func (p *purging) over(name string) bool {
	day, err := time.ParseInLocation(time.DateOnly, name, p.now.Location())
	return err == nil && len(name) == len(time.DateOnly) && !p.now.Add(-p.keep).Before(day.AddDate(0, 0, 1))
}

// count takes the end of one removal. Its own error is one that ends the job.
func (p *purging) count(err error, goesOn bool) error {
	switch {
	case err != nil && !goesOn:
		return err
	case err != nil:
		if p.refused == nil {
			p.refused = err
		}
		if p.left++; p.left >= mostPurged {
			return errEnough // a server may show folders without end
		}
		return nil
	}
	if p.removed++; p.removed >= mostPurged {
		return errEnough
	}
	return nil
}

// outcome is that of the job. What was removed before an error stays removed: the next attempt goes on.
func (p *purging) outcome(err error) Outcome {
	if err != nil && !errors.Is(err, errEnough) {
		return failed(fmt.Errorf("purge the trash: %w", err))
	}
	done := Outcome{Result: Done, More: p.removed >= mostPurged, Reason: fmt.Sprintf("%d files and folders removed from the trash", p.removed)}
	if p.refused != nil {
		done.Reason += fmt.Sprintf("; not all could be: %v", p.refused)
	}
	return done
}

func purgeLocal(ctx context.Context, e Env, _ queue.Job) Outcome {
	p := &purging{now: time.Now(), keep: e.Sync.TrashKeep}
	if e.Sync.Trash == "" || p.keep <= 0 {
		return Outcome{Result: Done, Reason: "nothing is to be purged"}
	}
	root, err := openLocal(e)
	if err != nil {
		return failed(err)
	}
	defer root.Close()
	if err := errors.Join(inside(e.Sync.Trash), throughLink(root, e.Sync.Trash+"/")); err != nil {
		return failed(err)
	}
	trash, err := plainFolder(root, e.Sync.Trash)
	if errors.Is(err, fs.ErrNotExist) {
		return p.outcome(nil)
	}
	if err != nil {
		return failed(err)
	}
	defer trash.Close()
	for _, day := range scan.ReadLocal(trash, "").Names {
		if p.over(day.Name) && day.Kind == entry.Dir {
			if err = p.local(ctx, trash, day.Name); err != nil {
				break
			}
		}
	}
	return p.outcome(err)
}

// local removes the folder of a name in root with all that is in it. Links are removed and not followed, also one that somebody
// puts in the place of a folder at this moment.
func (p *purging) local(ctx context.Context, root *os.Root, folder string) error {
	sub, err := plainSubfolder(root, folder)
	if err != nil {
		return p.count(err, true)
	}
	defer sub.Close()
	found := scan.ReadLocal(sub, "")
	for _, n := range found.Names {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if n.Kind == entry.Dir {
			err = p.local(ctx, sub, n.Name)
		} else {
			err = p.count(sub.Remove(n.Name), true)
		}
		if err != nil {
			return err
		}
	}
	if found.Unknown != "" {
		return p.count(errors.New(found.Unknown), true)
	}
	return p.count(root.Remove(folder), true)
}

func purgeRemote(ctx context.Context, e Env, _ queue.Job) Outcome {
	p := &purging{now: time.Now(), keep: e.Sync.TrashKeep}
	if e.Sync.Trash == "" || p.keep <= 0 {
		return Outcome{Result: Done, Reason: "nothing is to be purged"}
	}
	conn, err := e.Connect(ctx)
	if err != nil {
		return failed(err)
	}
	trash := path.Join(conn.Absolute(e.Sync.Remote), e.Sync.Trash)
	days, err := conn.List(ctx, trash)
	if err != nil {
		if _, statErr := conn.Stat(ctx, trash); IsAbsent(statErr) {
			return p.outcome(nil)
		}
		return p.outcome(err)
	}
	for _, day := range days.Entries {
		if p.over(day.Name) && day.Type == list.Dir {
			if err = p.remote(ctx, conn, path.Join(trash, day.Name), 0); err != nil {
				break
			}
		}
	}
	return p.outcome(err)
}

// deepestTrash ends the way down into folders that contain themselves.
const deepestTrash = 100

// remote removes a folder with all that is in it. Servers show links to folders as folders, so each is first deleted as if it
// were a file, and then as if it were empty: one or the other removes a link, and servers refuse both of a folder that holds
// something. What goes all the same was in the trash, too.
func (p *purging) remote(ctx context.Context, conn *ftpclient.Conn, folder string, depth int) error {
	for _, remove := range []func(context.Context, string) error{conn.Remove, conn.RemoveDir} {
		if err := remove(ctx, folder); err == nil || !conn.Usable() {
			return p.count(err, false)
		}
	}
	found, err := conn.List(ctx, folder)
	if err != nil {
		return p.count(err, conn.Usable())
	}
	if depth++; depth > deepestTrash {
		return p.count(fmt.Errorf("%q is too deep", folder), true)
	}
	// Names that a server sends are single elements of a path (list.Parse).
	slices.SortFunc(found.Entries, func(a, b list.Entry) int { return strings.Compare(a.Name, b.Name) })
	for _, e := range found.Entries {
		at := path.Join(folder, e.Name)
		if e.Type == list.Dir {
			err = p.remote(ctx, conn, at, depth)
		} else {
			err = conn.Remove(ctx, at)
			err = p.count(err, conn.Usable())
		}
		if err != nil {
			return err
		}
	}
	// Servers that do not show links that lead nowhere refuse this of a folder with one.
	err = conn.RemoveDir(ctx, folder)
	return p.count(err, conn.Usable())
}
