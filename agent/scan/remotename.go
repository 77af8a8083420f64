package scan

import (
	"fmt"
	"path"
	"slices"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// farRel is where a path is on the server, relative to the root.
func (w *walker) farRel(item plan.Item) string {
	local := item.Local.Entry
	if local.Kind == entry.Absent && item.Base != nil {
		local = item.Base.Local
	}
	return w.farName(item.Path, local)
}

// farName is farRel of what is here. Folders keep their names.
func (w *walker) farName(rel string, local entry.Entry) string {
	if w.request.RemoteName == nil || local.Kind != entry.File {
		return rel
	}
	return w.request.RemoteName(rel, local.ModTime)
}

// asHere gives what a folder on the server holds the names that it has here. What has none is not of this sync. It returns the
// names here that share one there with another, by name.
func (w *walker) asHere(folder string, here []Named, far *Entries, base []state.Baseline) (twins map[string]string) {
	if w.request.RemoteName == nil {
		return nil
	}
	var known []Named
	add := func(name string, local entry.Entry) {
		there := path.Base(w.farName(path.Join(folder, name), local))
		if i, found := find(far.Names, there); found {
			known = append(known, Named{Name: name, Entry: far.Names[i].Entry})
		}
	}
	for _, found := range here {
		add(found.Name, found.Entry)
	}
	for _, row := range base {
		name := path.Base(row.Path)
		if _, both := find(here, name); !both {
			add(name, row.Local)
		}
	}
	for _, found := range far.Names { // what was left behind is swept
		if IsTemp(found.Name) {
			known = append(known, found)
		}
	}
	slices.SortStableFunc(known, byName)
	far.Names = slices.CompactFunc(known, func(a, b Named) bool { return a.Name == b.Name })
	return w.sharing(folder, here)
}

// sharing finds the names in a local folder that are the same on the server, each with another one.
func (w *walker) sharing(folder string, here []Named) (twins map[string]string) {
	first := map[string]string{}
	for _, found := range here {
		rel := path.Join(folder, found.Name)
		if IsTemp(found.Name) || w.excluded(rel, found.Kind == entry.Dir) {
			continue
		}
		there := w.farName(rel, found.Entry)
		other, taken := first[there]
		if !taken {
			first[there] = found.Name
			continue
		}
		if twins == nil {
			twins = map[string]string{}
		}
		twins[found.Name] = other
		if twins[other] == "" {
			twins[other] = found.Name
		}
	}
	return twins
}

// sharesName is sharing for one path. The last folder is kept, as several names of one are often looked at.
func (w *walker) sharesName(item plan.Item) string {
	if w.request.RemoteName == nil || item.Local.Entry.Kind == entry.Absent {
		return ""
	}
	folder := folderOf(item.Path)
	if w.shared == nil || w.shared.folder != folder {
		w.shared = &sharedNames{folder, w.sharing(folder, w.local.Read(folder).Names)}
	}
	return twinDoubt(w.shared.twins[path.Base(item.Path)])
}

// sharedNames are the names of one folder that are the same on the server.
type sharedNames struct {
	folder string
	twins  map[string]string
}

func twinDoubt(twin string) string {
	if twin == "" {
		return ""
	}
	return fmt.Sprintf("%q would have the same name on the server", twin)
}
