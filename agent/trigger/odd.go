package trigger

import (
	"fmt"
	"io/fs"
	"strings"
)

// behindLink is in the place of the name of a filesystem for a symbolic link that is followed.
const behindLink = "behind a symbolic link"

// isOdd: events cannot be relied on for a path or for a folder that it is in.
func (o *observer) isOdd(rel string) bool {
	for ; ; rel = parent(rel) {
		if _, ok := o.odd[rel]; ok || rel == "" {
			return ok
		}
	}
}

// noteLink keeps in mind whether there is a symbolic link, since what changes behind one makes no events.
func (o *observer) noteLink(rel string, mode fs.FileMode) {
	if o.odd[rel] == behindLink {
		delete(o.odd, rel)
		o.oddWhy = ""
	}
	// Where it leads to is not asked, so that nothing can hang; it may be a file or a folder.
	if o.follow && mode&fs.ModeSymlink != 0 && !o.isOdd(rel) && (!o.skip(rel, false) || !o.skip(rel, true)) {
		o.odd[rel], o.oddWhy = behindLink, ""
	}
}

// oddReason says where in the root events cannot be relied on. There may be many links, and so that is not found out each time.
func (o *observer) oddReason() string {
	if o.oddWhy != "" {
		return o.oddWhy
	}
	var folder, link string // the first of each
	links := 0
	for rel, name := range o.odd {
		first := &folder
		if name == behindLink {
			first = &link
			links++
		}
		if *first == "" || rel < *first {
			*first = rel
		}
	}
	var reasons []string
	if folder != "" {
		reasons = append(reasons, fmt.Sprintf("%s: %s does not tell of every change; what is changed from here is seen at once", some(folder, len(o.odd)-links), o.odd[folder]))
	}
	if link != "" {
		reasons = append(reasons, some(link, links)+": events do not tell what changes behind symbolic links")
	}
	o.oddWhy = strings.Join(reasons, "; ")
	return o.oddWhy
}
