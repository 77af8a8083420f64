package config

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func (l *loader) syncs(file map[string]*rawSync, servers map[string]*rawServer) map[string]*Sync {
	syncs := map[string]*Sync{}
	for name, raw := range file {
		at := key{"sync", name}
		if l.faults[at.id()] {
			continue
		}
		sync := l.sync(name, raw)
		for _, member := range l.members(at, sync, raw.Server, servers) {
			syncs[member.Name] = member
		}
	}
	return syncs
}

// members returns the sync, once for each of its servers.
func (l *loader) members(at key, sync *Sync, names []string, servers map[string]*rawServer) []*Sync {
	if len(names) == 0 || slices.Contains(names, "") {
		l.required(at, "server", "", "NAME of a [server.NAME]")
		return []*Sync{sync}
	}
	if len(names) > 1 && sync.Direction != Up && sync.Direction != "" {
		l.fail(at.child("server"), `several servers are for direction = "up": write one sync per server`)
		names = names[:1] // so that they are not told to collide
	}
	if len(names) > 1 && sync.AfterUpload != (After{}) {
		l.fail(at.child("after_upload"), `takes the file away from the other servers, once it is on one of them: write "keep", or one server`)
	}
	var members []*Sync
	for i, name := range names {
		switch {
		case slices.Contains(names[:i], name):
			l.fail(at.child("server"), "%q is in the list twice: keep one of them", name)
			continue
		case servers[name] == nil:
			l.fail(at.child("server"), "%s", noServer(name, servers))
		}
		if server := servers[name]; server != nil && sync.Transfers > int(server.Connections) && server.Connections > 0 {
			l.warn(at.child("transfers"), "has no effect: server.%s has %d connections", name, server.Connections)
		}
		member := *sync
		member.Server = name
		if len(names) > 1 {
			member.Name = sync.Family + "@" + name
		}
		members = append(members, &member)
	}
	return members
}

func noServer(name string, servers map[string]*rawServer) string {
	text := fmt.Sprintf("there is no [server.%s]", name)
	known := slices.Sorted(maps.Keys(servers))
	if near := nearest(name, known); near != "" {
		return text + fmt.Sprintf(" (did you mean %q?)", near)
	} else if len(known) > 0 {
		return text + " (known: " + strings.Join(known, ", ") + ")"
	}
	return text
}

const (
	defaultWatchPoll = duration(time.Minute)
	minWatchPoll     = time.Second
)

func (l *loader) sync(name string, file *rawSync) *Sync {
	at := key{"sync", name}
	zone := l.zone(at.child("time_zone"), file.TimeZone)
	if zone == nil {
		zone = time.Local
	}
	sync := &Sync{
		Name:      name,
		Family:    name,
		Local:     l.path(at.child("local"), l.required(at, "local", file.Local, "/srv/www")),
		Remote:    l.required(at, "remote", file.Remote, "/htdocs"),
		Direction: l.direction(at, file.Direction),
		Watch:     file.Watch,
		WatchPoll: l.duration(at.child("watch_poll"), file.WatchPoll, 0),
		Schedules: l.schedules(at.child("schedule"), file.Schedule, zone),
		Settle:    l.duration(at.child("settle"), file.Settle, 0),
		Ready:     l.ready(at.child("ready"), file.Ready),
		Marker:    file.Marker,
		Enabled:   file.Enabled,
	}
	l.choice(at, sync, file)
	l.differences(at, sync, file)
	l.transfer(at, sync, file)
	l.naming(at, sync, file, zone)
	l.pace(at, sync, file, zone)
	l.looks(at, sync, file)
	sync.Expects = l.expects(at.child("expect"), file.Expect, zone)
	l.contradictions(at, sync, file)
	// A file that was renamed has another remote name then, and one that is gone from the source was sent, not renamed.
	sync.Moves = file.Moves && sync.RemoteName.IsZero() && sync.AfterUpload == (After{}) && sync.AfterDownload == (After{})
	if hasControl(sync.Remote) {
		l.fail(at.child("remote"), "%q contains a control character", sync.Remote)
	}
	if sync.Remote != "" {
		sync.Remote = path.Clean(sync.Remote)
	}
	switch {
	case sync.WatchPoll < minWatchPoll && sync.WatchPoll >= 0:
		l.fail(at.child("watch_poll"), "%s is too often: the whole folder is looked at each time, so write at least %s", sync.WatchPoll, minWatchPoll)
	case !sync.Watch && file.WatchPoll != defaultWatchPoll:
		l.fail(at.child("watch_poll"), "has no meaning without watch: write watch = true, or remove it")
	}
	if file.Marker != "" && (!filepath.IsLocal(filepath.FromSlash(file.Marker)) || hasControl(file.Marker)) {
		l.fail(at.child("marker"), `%q is not below the local folder: write a file name relative to it, such as ".mounted"`, file.Marker)
	}
	if does := func(s Schedule) bool { return s.Do == DoSync }; sync.Enabled && !sync.Watch && sync.Poll == 0 && !slices.ContainsFunc(sync.Schedules, does) {
		if len(sync.Schedules) == 0 {
			l.warn(at, "has neither watch nor schedule: it runs only by \"ftpferry once %s\"", name)
		} else if !l.faults[at.child("schedule").id()] {
			l.warn(at, `has no watch, and no schedule that does "sync": files go only by "ftpferry once %s"`, name)
		}
	}
	for _, s := range sync.Schedules {
		if s.Do == DoPurge && sync.Trash == "" {
			l.warn(at.child("schedule"), `%q: there is no trash to empty without delete = "trash": only the history is trimmed`, s.Name)
		}
	}
	l.checkLocal(at.child("local"), sync)
	return sync
}

func (l *loader) checkLocal(at key, sync *Sync) {
	if sync.Local == "" {
		return
	}
	switch info, err := os.Stat(sync.Local); {
	case err == nil && !info.IsDir():
		l.fail(at, "%q is not a folder", sync.Local)
	case err != nil && sync.Direction == Up && sync.Enabled:
		l.warn(at, "%q cannot be read (%s): the sync halts until it appears", sync.Local, reason(err))
	}
}

func (l *loader) direction(at key, text string) Direction {
	if text == "" {
		l.required(at, "direction", "", "up")
		return ""
	}
	return Direction(text)
}

// choice is about which files take part.
func (l *loader) choice(at key, sync *Sync, file *rawSync) {
	sync.Include = l.patterns(at.child("include"), file.Include)
	sync.Exclude = l.patterns(at.child("exclude"), file.Exclude)
	sync.IgnoreFile, sync.DefaultExcludes, sync.IgnoreCase = file.IgnoreFile, file.DefaultExcludes, file.IgnoreCase
	sync.MinSize, sync.MaxSize = int64(file.MinSize), int64(file.MaxSize)
	sync.MinAge = l.duration(at.child("min_age"), duration(file.MinAge), 0)
	sync.MaxAge = l.duration(at.child("max_age"), duration(file.MaxAge), 0)
	sync.Links = file.Symlinks
	if !slices.ContainsFunc(file.Include, func(pattern string) bool { return !strings.HasPrefix(pattern, "!") }) &&
		!l.faults[at.child("include").id()] {
		l.fail(at.child("include"), `selects nothing: remove the line, or write ["**"] for all files`)
	}
	if file.IgnoreFile != "" && (!isName(file.IgnoreFile) || hasControl(file.IgnoreFile)) {
		l.fail(at.child("ignore_file"), `%q is not the name of a file: write one without slashes, such as ".ferryignore", or "" for none`, file.IgnoreFile)
	}
	if sync.MaxSize > 0 && sync.MinSize > sync.MaxSize {
		l.fail(at.child("min_size"), "is more than max_size: no file would take part")
	}
	switch {
	case sync.MaxAge <= 0:
	case sync.MinAge >= sync.MaxAge:
		l.fail(at.child("min_age"), "is not less than max_age: no file would take part")
	case sync.Settle >= sync.MaxAge:
		l.fail(at.child("max_age"), "is not more than settle (%s): a file would be too old when it may be sent", sync.Settle)
	}
}

// differences is about what happens to files that are not the same on both sides.
func (l *loader) differences(at key, sync *Sync, file *rawSync) {
	sync.OnForeignChange = file.OnForeignChange
	sync.Conflict = file.Conflict
	sync.Delete = file.Delete != deleteNever
	sync.MaxDelete = file.MaxDelete
	trash := l.below(at.child("trash").child("folder"), file.Trash.Folder, ".ferry-trash")
	sync.TrashKeep = l.duration(at.child("trash").child("keep"), file.Trash.Keep, 0)
	if trash != "" {
		sync.Hidden = append(sync.Hidden, trash)
	}
	if file.Delete == deleteTrash {
		sync.Trash = trash
	}
}

// below checks a folder that is relative to the root of the sync and returns it cleaned, or "" after an error.
func (l *loader) below(at key, folder, example string) string {
	switch clean := path.Clean(folder); {
	case folder == "":
		l.fail(at, "is empty: write a folder, such as %q", example)
	case hasControl(folder):
		l.fail(at, "%q contains a control character", folder)
	case strings.Contains(folder, `\`):
		l.fail(at, "%q contains a backslash: folders are separated by slashes", folder)
	case path.IsAbs(clean) || clean == "." || !filepath.IsLocal(filepath.FromSlash(clean)):
		l.fail(at, "%q is not below the folder of the sync: write a folder relative to it, such as %q", folder, example)
	default:
		return clean
	}
	return ""
}
