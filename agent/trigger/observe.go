package trigger

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	lookAtRoot = 2 * time.Second // how often the root folder is checked
	checkEvery = time.Minute     // how often it is checked that no watch was lost
	retryMax   = time.Minute     // longest wait before a failed watcher is set up again
	readBatch  = 1024            // folder entries read at once, so that a huge folder needs no huge memory
)

// observer keeps a watch on every folder of a tree and reports what changes. Only folders are watched:
// a watch on a file is lost when an editor replaces the file.
type observer struct {
	root   string
	skip   func(rel string, isDir bool) bool
	open   func() (feed, error)
	poll   time.Duration
	follow bool
	remote func(path string) string // see remoteFilesystem
	mounts func(base string) map[string]string
	ready  func() // nil once called
	log    *slog.Logger
	report func(change)
	unread func(more bool) // told when that changes; see Coalescer
	more   bool            // what it was told last

	feed     feed        // zero while nothing can be watched
	identity fs.FileInfo // of the root that is watched; nil while it is missing
	base     string      // the root with links resolved: kqueue names events by the target
	watched  tree
	lost     bool    // the watch on the root ended: renamed or deleted
	pending  []visit // folders to be watched and listed, last first
	why      string  // reason to report everything when pending is empty; "" for none

	// A folder that moves takes its inotify watch along. Until the Rename event is handled, Add for the new
	// path yields the old watch, which names events by the old path and then ends with it. So after
	// such an event, and once a minute in case of an unmount, it is checked that no watch is missing.
	moved   bool
	checked time.Time

	complete  bool              // every folder has had its visit
	unwatched []string          // folders whose watch could not be set, to be tried again
	trouble   error             // why that is so, or why there is no feed
	limited   bool              // that has been logged
	device    uint64            // of the root
	mounted   map[string]string // see mountsBelow, when that was looked at last
	odd       map[string]string // folders on other filesystems than a watch sees through, with the names of those, and links (behindLink)
	oddWhy    string            // what Health says about those; "" if that is not known
	canary    canary

	tell   func(Health) // may be nil
	told   Health       // last
	toldAt time.Time

	opened  time.Time
	delay   time.Duration // before the next attempt to open a feed
	retryAt time.Time
}

// visit is a folder to be watched; report is set if it or something in it may be new, and regular if nothing tells of that.
type visit struct {
	rel             string
	report, regular bool
}

func (w Watch) observer(report func(change)) *observer {
	o := &observer{root: w.Root, skip: w.Skip, open: w.open, ready: w.Ready, report: report, tell: w.Health, canary: canary{rel: w.Canary},
		poll: cmp.Or(w.Poll, DefaultPoll), follow: w.Follow, remote: w.remote, mounts: w.mounts,
		log: orDiscard(w.Logger).With("sync", w.Sync, "root", w.Root)}
	if o.skip == nil {
		o.skip = func(string, bool) bool { return false }
	}
	if o.open == nil {
		o.open = openFeed
	}
	if o.remote == nil {
		o.remote = remoteFilesystem
	}
	if o.mounts == nil {
		o.mounts = mountsBelow
	}
	return o
}

// run observes until ctx is done. Setting watches alternates with reading events, so that neither a huge
// new folder nor a stream of changes holds up the other.
func (o *observer) run(ctx context.Context, look time.Duration) {
	ticker, polls := time.NewTicker(look), time.NewTicker(o.poll)
	defer ticker.Stop()
	defer polls.Stop()
	defer o.detach()
	work := make(chan struct{})
	close(work)

	o.identity, _ = rootInfo(o.root)
	if o.identity == nil {
		o.log.Warn("root folder is missing, waiting for it")
	} else {
		o.attach(time.Now(), "")
	}
	for ctx.Err() == nil {
		if len(o.pending) == 0 {
			o.settled(time.Now())
		}
		o.publish(time.Now())
		if more := len(o.pending) > 0; more != o.more {
			o.more = more
			o.unread(more)
		}
		var more <-chan struct{}
		if len(o.pending) > 0 {
			more = work
		}
		select {
		case <-ctx.Done():
		case <-more:
			last := len(o.pending) - 1
			next := o.pending[last]
			o.pending = o.pending[:last]
			o.visit(next)
		case e := <-o.feed.events:
			o.handle(e)
		case err := <-o.feed.errors:
			o.failed(time.Now(), err)
		case <-ticker.C:
			o.tick(time.Now())
		case <-polls.C:
			o.lookAnyway()
		}
	}
}

// rootInfo follows a link, since the root may be one.
func rootInfo(root string) (fs.FileInfo, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "watch", Path: root, Err: syscall.ENOTDIR}
	}
	return info, nil
}

// tick looks for what no event tells: a root that comes, goes or is another one now (a mount, a link that
// was changed, a renamed parent), and the time to try again what failed.
func (o *observer) tick(now time.Time) {
	before := o.identity
	info, err := rootInfo(o.root)
	o.identity = info
	switch {
	case info == nil && before == nil:
		return
	case info == nil:
		o.log.Warn("root folder is gone, waiting for it", "error", err)
		o.detach()
		o.report(change{why: "watch root gone"})
		return
	case before == nil || o.lost || !os.SameFile(before, info):
		o.log.Info("root folder is back, watching it")
		o.detach()
		o.attach(now, "watch root back")
	case o.feed.watcher == nil && !now.Before(o.retryAt):
		o.attach(now, "watch error")
	}
	if o.feed.watcher != nil && len(o.pending) == 0 && (o.moved || now.Sub(o.checked) >= checkEvery) {
		o.moved, o.checked = false, now
		o.check()
	}
	if o.canary.tick(now) {
		o.log.Warn("no event came for a file that was made in the root folder, looking at everything now and then", "every", o.poll)
	}
}

// lookAnyway reports what changes without events: everything, or the folders concerned.
func (o *observer) lookAnyway() {
	switch {
	case o.identity == nil:
		return // that was told
	case o.feed.watcher == nil:
		o.report(change{why: "watch incomplete", regular: true})
	case o.odd[""] != "", o.canary.state == canarySilent:
		o.report(change{why: "watch poll", regular: true})
	case len(o.odd)+len(o.unwatched) == 0:
		return
	default:
		if all := slices.Collect(maps.Keys(o.odd)); len(all) > 0 {
			o.report(change{path: all[0], more: all[1:], why: "watch poll", regular: true})
		}
	}
	for _, rel := range o.unwatched {
		o.pending = append(o.pending, visit{rel, true, true})
	}
	o.unwatched = nil
}

// attach begins to watch the tree; why, if set, is reported when all watches are in place.
func (o *observer) attach(now time.Time, why string) {
	f, err := o.open()
	if err != nil {
		o.postpone(now)
		o.complain(err)
		return
	}
	o.base = o.root
	if resolved, err := filepath.EvalSymlinks(o.root); err == nil { // some Windows volumes refuse, and need it not
		o.base = resolved
	}
	o.feed, o.watched, o.opened, o.checked = f, tree{}, now, now
	o.pending, o.why = []visit{{}}, why
	o.complete, o.odd, o.oddWhy, o.device = false, map[string]string{}, "", deviceOf(o.identity)
	o.canary.state = canaryHome
	o.mounted = o.mounts(o.base)
	o.examine("")
}

// examine finds out whether changes in a folder may go without events.
func (o *observer) examine(rel string) {
	if o.isOdd(rel) {
		return
	}
	if name := o.remote(o.full(rel)); name != "" {
		o.odd[rel], o.oddWhy = name, ""
		o.log.Warn("changes on this filesystem may go without events, looking at everything there now and then",
			"path", rel, "filesystem", name, "every", o.poll)
	}
}

// detach gives up all watches.
func (o *observer) detach() {
	if o.feed.watcher != nil {
		if err := o.feed.watcher.Close(); err != nil {
			o.log.Warn("close watcher", "error", err)
		}
	}
	o.feed, o.watched = feed{}, nil
	o.pending, o.why, o.unwatched, o.odd = nil, "", nil, nil
	o.complete, o.canary.state = false, canaryHome
	o.moved, o.lost = false, false
}

func (o *observer) failed(now time.Time, err error) {
	why := "watch error"
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		why = "watch overflow"
	}
	o.log.Warn("watcher failed, looking at everything", "error", err, "cure", cure(err))
	o.trouble = err
	o.restart(now, why)
}

// check visits the folders that should have a watch and do not, and those on which something was mounted: their watches are for what
// is under that now.
func (o *observer) check() {
	mounted := o.mounts(o.base)
	for rel, id := range mounted {
		if _, known := o.watched[rel]; known && o.mounted[rel] != id {
			o.forget(rel)
			o.pending = append(o.pending, visit{rel: rel, report: true})
		}
	}
	o.mounted = mounted
	list := o.feed.watcher.WatchList()
	listed := make(map[string]struct{}, len(list))
	for _, full := range list {
		listed[full] = struct{}{}
	}
	for rel := range o.watched {
		if _, ok := listed[o.full(rel)]; !ok {
			o.pending = append(o.pending, visit{rel: rel, report: true})
		}
	}
}

func (o *observer) full(rel string) string { return filepath.Join(o.base, filepath.FromSlash(rel)) }

// restart sets all watches anew, since some may be missing or wrong: at once the first time, later with
// growing delays. Everything is reported before and after.
func (o *observer) restart(now time.Time, why string) {
	o.detach()
	o.report(change{why: why})
	if now.Sub(o.opened) > retryMax {
		o.delay = 0
	}
	if o.delay > 0 {
		o.postpone(now)
		return
	}
	o.delay = time.Second
	o.attach(now, why)
}

func (o *observer) postpone(now time.Time) {
	o.delay = max(o.delay, time.Second)
	o.retryAt = now.Add(o.delay)
	o.delay = min(2*o.delay, retryMax)
}

// visit watches a folder, and then lists it for its sub-folders. Only a look that comes after the watch
// leaves no gap, so that is when a new folder is reported.
func (o *observer) visit(v visit) {
	if _, known := o.watched[parent(v.rel)]; !known && v.rel != "" {
		return // the folder above went away meanwhile; if it comes back, so does this one
	}
	full := o.full(v.rel)
	if _, known := o.watched[v.rel]; known {
		v.report = true // for what happens between Remove and Add
		maps.DeleteFunc(o.odd, func(odd, name string) bool { return name == behindLink && parent(odd) == v.rel })
		o.oddWhy = ""
	}
	// Without Remove, fsnotify v1.10.1 mixes up its tables if another folder has the path by now, one that
	// still has a watch by its former path; a later Remove, even one of its own, then panics.
	_ = o.feed.watcher.Remove(full)
	err := o.feed.watcher.Add(full)
	if err == nil {
		o.watched.add(v.rel)
		err = o.list(v, full)
	}
	if v.report {
		o.reportVisit(v, err)
	}
	isRoot := v.rel == ""
	switch {
	case err == nil:
	case !isRoot && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		o.forget(v.rel) // the watch on the folder above tells what became of it
	case !isRoot && errors.Is(err, fs.ErrPermission):
		o.forget(v.rel) // as above, when its mode changes
		o.log.Warn("folder may not be read, not watching it", "path", v.rel, "error", err)
	default:
		o.unwatched = append(o.unwatched, v.rel)
		o.complain(err)
	}
}

// reportVisit reports a folder that was visited. That it is gone is news, whatever the visit was for.
func (o *observer) reportVisit(v visit, err error) {
	switch gone := errors.Is(err, fs.ErrNotExist); {
	case v.regular && !gone:
		o.report(change{path: v.rel, why: "watch poll", regular: true})
	default:
		o.report(change{path: v.rel, gone: gone})
	}
}

// list adds the sub-folders of a folder to pending.
func (o *observer) list(v visit, full string) error {
	dir, err := os.Open(full)
	if err != nil {
		return err
	}
	defer dir.Close()
	if info, err := dir.Stat(); err == nil && (deviceOf(info) != o.device || o.mounted[v.rel] != "") {
		o.examine(v.rel)
	}
	for {
		entries, err := dir.ReadDir(readBatch)
		for _, e := range entries {
			rel := path.Join(v.rel, e.Name())
			if e.IsDir() && !o.skip(rel, true) {
				o.pending = append(o.pending, visit{rel, v.report, v.regular})
			}
			o.noteLink(rel, e.Type())
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// settled says what had to wait until all folders are watched. It is called whenever pending is empty.
func (o *observer) settled(now time.Time) {
	if o.feed.watcher != nil && !o.complete {
		o.complete = true
		o.sendCanary(now)
	}
	if o.limited && o.feed.watcher != nil && len(o.unwatched) == 0 {
		o.limited = false
		o.log.Info("all folders are watched again")
	}
	if o.why != "" {
		o.report(change{why: o.why})
		o.why = ""
	}
	if o.ready != nil {
		o.ready()
		o.ready = nil
	}
}

// handle reports one change and keeps the watches in step with it. Watches of a folder that went away are
// removed here, before the next event is handled: if the folder was moved, that is the one for its new name.
func (o *observer) handle(e fsnotify.Event) {
	rel, err := filepath.Rel(o.base, e.Name)
	if err != nil {
		o.report(change{why: "watch error"})
		return
	}
	rel = filepath.ToSlash(rel)
	if o.canary.rel != "" && rel == o.canary.rel {
		o.canary.heard()
		return
	}
	gone := e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	if rel == "." {
		o.lost = o.lost || gone
		return
	}
	_, known := o.watched[rel]
	if gone {
		o.forget(rel)
		o.moved = o.moved || known && e.Has(fsnotify.Rename)
		if !o.skip(rel, known) {
			o.report(change{path: rel, gone: true})
		}
		return
	}
	info, err := os.Lstat(e.Name)
	isDir := err == nil && info.IsDir()
	if err == nil {
		o.noteLink(rel, info.Mode())
	}
	if o.skip(rel, isDir) {
		return
	}
	if !isDir {
		o.report(change{path: rel, gone: errors.Is(err, fs.ErrNotExist)})
	} else if !known || e.Has(fsnotify.Create) {
		o.pending = append(o.pending, visit{rel: rel, report: true})
	} // else a folder's own time or mode: what changed in it has its own event
}

func (o *observer) forget(rel string) {
	if _, folder := o.watched[rel]; folder {
		maps.DeleteFunc(o.odd, func(odd, _ string) bool { return below(odd, rel) })
		o.oddWhy = ""
	}
	if _, odd := o.odd[rel]; odd {
		delete(o.odd, rel)
		o.oddWhy = ""
	}
	o.watched.remove(rel, func(rel string) {
		// An error means that the watch is gone already.
		_ = o.feed.watcher.Remove(o.full(rel))
	})
}

// complain logs, once until all is well again, that folders are without a watch.
func (o *observer) complain(err error) {
	o.trouble = err
	if o.limited {
		return
	}
	o.limited = true
	o.log.Warn("some folders cannot be watched, looking at everything there now and then", "error", cause(err), "cure", cure(err), "every", o.poll)
}

func (o *observer) sendCanary(now time.Time) {
	_, watched := o.watched[""]
	if o.canary.rel == "" || !watched || o.odd[""] != "" {
		return
	}
	if err := o.canary.release(now, o.full(o.canary.rel)); err != nil {
		o.log.Debug("nobody can find out whether events come", "error", err)
	}
}
