package scan

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// FolderTimes lets a scan go by the times that the server tells of folders, where those are known to follow every change of what is in
// them. On a Unix filesystem they do not: a file that is overwritten leaves the time of its folder as it was. So that has to be
// learned, from what one scan sees after another.
type FolderTimes struct {
	// Spare: a folder whose time is what it was, and in which both sides are known to have been in step then, is not listed.
	Spare bool
	// Known returns what was written down of a folder.
	Known func(rel string) (f state.Folder, known bool, err error)
	// Room is how many more folders may be written down.
	Room int
}

// ListedFolder is what is to be written down of one.
type ListedFolder struct {
	Path string
	state.Folder
}

const (
	// settledTime is for how long a time has to have been told before a folder is listed that is to be spared later. Times may be cut
	// to the minute, and what changes within that does not show.
	settledTime = 90 * time.Second
	// timeSlack is by how much a file may be newer than its folder without having been changed after it.
	timeSlack = 2 * time.Second
)

// unixTimes is why the times of a server that shows permissions are not even watched.
const unixTimes = "the server has a Unix filesystem, where a file that is overwritten leaves the time of its folder as it was"

// verdict is what two listings of a folder say about its time.
type verdict uint8

const (
	undecided verdict = iota
	follows           // a file was written in place, and the time followed
	lags              // something changed, and it did not
	older             // there is a file in it that was changed after it
)

// judge compares a listing of a folder that holds files alone with what was written down of the one before, if known; base are the
// rows of the folder. That the time moved with a new name proves nothing, since it does so everywhere. What a file was before is only
// known if both sides were in step at the listing before.
func judge(was state.Folder, known bool, now state.Folder, names []Named, base []state.Baseline) verdict {
	for _, found := range names {
		if found.ModTime.UnixMilli() > now.Told+timeSlack.Milliseconds() {
			return older
		}
	}
	switch {
	case !known || !was.Settled || was.Sum == now.Sum:
		return undecided
	case now.Told == was.Told:
		return lags
	case now.Told > was.Told && wereInStep(was, base) && writtenInPlace(was.Told, now.Told, names, base):
		return follows
	}
	return undecided
}

// wereInStep reports whether all that was listed in a folder is what is known of it: files that are the same on both sides.
func wereInStep(was state.Folder, base []state.Baseline) bool {
	s := folderSum(0)
	for i := range base {
		row := &base[i]
		if row.Bad != "" || row.Left != "" || row.Local.Kind != entry.File || row.Remote.Kind != entry.File {
			return false
		}
		s.add(path.Base(row.Path), &row.Remote)
	}
	return uint64(s) == was.Sum
}

// writtenInPlace reports whether all names are still the same files, and those of them that changed did so between two times of their
// folder. A change of a time zone moves all times alike.
func writtenInPlace(from, to int64, names []Named, base []state.Baseline) bool {
	if len(names) != len(base) || (to-from)%shiftUnit.Milliseconds() == 0 {
		return false
	}
	changes := 0
	for i := range names {
		now, was := &names[i], &base[i].Remote
		if now.Name != path.Base(base[i].Path) || now.ID == 0 || now.ID != was.ID {
			return false
		}
		if now.Size == was.Size && now.ModTime.Equal(was.ModTime) {
			continue
		}
		if at := now.ModTime.UnixMilli(); at < from || at > to+timeSlack.Milliseconds() {
			return false
		}
		changes++
	}
	return changes > 0
}

// shiftUnit: time zones differ by multiples of a quarter of an hour.
const shiftUnit = 15 * time.Minute

// folderSum is a sum over files, to be taken in the order of their names.
type folderSum uint64

func (s *folderSum) add(name string, e *entry.Entry) {
	sum := sumOne(uint64(*s), name, *e)
	const prime = 1099511628211 // FNV-1a
	for shift := 0; shift < 64; shift += 8 {
		sum = (sum ^ e.ID>>shift&0xff) * prime
	}
	*s = folderSum(sum)
}

// sumOfFiles returns the sum over a listing, and whether there are files alone in it and all of them are known.
func sumOfFiles(far Entries) (sum uint64, only bool) {
	if far.Unknown != "" {
		return 0, false
	}
	s := folderSum(0)
	for i := range far.Names {
		if far.Names[i].Kind != entry.File {
			return 0, false
		}
		s.add(far.Names[i].Name, &far.Names[i].Entry)
	}
	return uint64(s), true
}

// folderTime is the time that a server tells of a folder, in milliseconds of Unix time; 0 if it does not.
func folderTime(e list.Entry) int64 {
	if e.Type != list.Dir || e.ModTime.IsZero() {
		return 0
	}
	return e.ModTime.UnixMilli()
}

// learn takes in the listing of the folder rel, of which the listing of its parent told a time. Only the end of the connection is an
// error.
func (w *walker) learn(ctx context.Context, rel string, told int64, far Entries, base []state.Baseline) error {
	f := w.request.Folders
	switch {
	case f == nil:
		return nil
	case far.Permissions:
		w.distrust(unixTimes)
		return nil
	}
	sum, only := sumOfFiles(far)
	if told == 0 || !only {
		return nil
	}
	was, known, err := f.Known(rel)
	if err != nil {
		return fmt.Errorf("read what is known of folders: %w", err)
	}
	now := state.Folder{Told: told, First: time.Now().UnixMilli(), Sum: sum}
	if known && was.Told == told && was.First <= w.began.UnixMilli() {
		now.First = was.First
		now.Settled = was.Settled || w.began.UnixMilli()-was.First >= settledTime.Milliseconds()
	}
	switch judge(was, known, now, far.Names, base) {
	case lags:
		return w.suspect(ctx, rel, told, fmt.Sprintf("something in %q changed, and the time of the folder did not", rel))
	case older:
		return w.suspect(ctx, rel, told, fmt.Sprintf("something in %q changed after the time of the folder", rel))
	case follows:
		w.result.Follows = true
	}
	if now == was || !known && f.Room <= 0 {
		return nil
	}
	if !known {
		f.Room--
	}
	w.result.Folders = append(w.result.Folders, ListedFolder{rel, now})
	return nil
}

// suspect asks for the time of a folder once more before it counts against the server: between the listing of its parent, which has
// told it, and its own, something may have changed.
func (w *walker) suspect(ctx context.Context, rel string, told int64, why string) error {
	remote := w.request.Remote
	now, err := remote.Conn.Stat(ctx, remote.Path(rel))
	if err != nil && !remote.Conn.Usable() {
		return err
	}
	if err != nil || folderTime(now) == told {
		w.distrust(why)
	}
	return nil
}

// distrust ends learning and sparing at once.
func (w *walker) distrust(why string) {
	w.result.Against, w.request.Folders = why, nil
}

// spares reports whether the folder rel need not be listed: its time, as the listing of its parent has told it, is what it was, and
// everything in it was in step then and is still the same here.
func (w *walker) spares(rel string, told int64, here Entries, base []state.Baseline) (bool, error) {
	f := w.request.Folders
	if f == nil || !f.Spare || told == 0 || here.Unknown != "" {
		return false, nil
	}
	was, known, err := f.Known(rel)
	if err != nil {
		return false, fmt.Errorf("read what is known of folders: %w", err)
	}
	if !known || !was.Settled || was.Told != told || !wereInStep(was, base) || w.filter.Rules(rel) != nil {
		return false, nil
	}
	for found := range union(rel, here.Names, nil, base, "") {
		here, rel := found.here, within(rel, found.name)
		switch {
		case found.base == nil && w.takesPart(rel, here.Kind == entry.Dir), found.base != nil && here == nil:
			return false, nil
		case found.base != nil && (!w.takesPart(rel, false) || !entry.Same(*here, found.base.Local)):
			return false, nil
		}
	}
	return true, nil
}

// spare counts what is in a folder that is not listed, as if it had been: the guard sees the same numbers. It returns what folder does.
func (w *walker) spare(rel string, here Entries, base []state.Baseline) (keeps bool) {
	for found := range union(rel, here.Names, nil, base, "") {
		if found.base == nil {
			continue
		}
		known := baseOf(found.base)
		w.result.Looked++
		w.result.Totals.Count(plan.Item{
			Path: found.base.Path, Base: known,
			Local:  plan.Side{Knowledge: plan.Seen, Entry: *found.here},
			Remote: plan.Side{Knowledge: plan.Seen, Entry: known.Remote},
		}, plan.Decision{})
	}
	w.result.Spared++
	return len(base) > 0
}
