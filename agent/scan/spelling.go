package scan

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
)

// spelling is what is to be known about the names in one folder to tell those apart that may be the same on the server.
type spelling struct {
	// mixed: the target has names in two encodings, and at least one that nobody knows the file of.
	mixed bool
	// twins are the names here that the server cannot tell from others here, which they map to.
	twins map[string]string
}

// spell gives what the server listed the names that it has here. A name that is not UTF-8 goes over the wire as it is, so that
// a listing whose names are read in some encoding shows the same file under another name: neither of them is missing, or a stranger.
// What is here counts before what is remembered.
func (w *walker) spell(here []Named, far *Entries, base []state.Baseline) spelling {
	s := spelling{twins: map[string]string{}}
	if w.request.Remote == nil {
		return s
	}
	names := map[int]string{} // by their places in far
	claim := func(name string, taken func(listed string) bool) {
		if utf8.ValidString(name) {
			return
		}
		listed := w.request.Remote.Conn.Listed(name)
		if listed == name || taken(listed) {
			return
		}
		if i, found := find(far.Names, listed); found {
			names[i] = name
		}
	}
	for _, found := range here {
		claim(found.Name, func(listed string) bool {
			_, both := find(here, listed)
			if both {
				s.twins[found.Name] = listed
			}
			return both
		})
	}
	for _, row := range base {
		claim(path.Base(row.Path), func(listed string) bool {
			_, isHere := find(here, listed)
			return isHere || knows(base, listed)
		})
	}
	for i, name := range names {
		far.Names[i].Name = name
	}
	if len(names) > 0 {
		slices.SortFunc(far.Names, byName)
	}
	s.mixed = w.request.Rules.Direction != plan.Down && far.Mixed && (far.Unread || slices.ContainsFunc(far.Names, func(n Named) bool {
		_, isHere := find(here, n.Name)
		return !utf8.ValidString(n.Name) && !isHere && !knows(base, n.Name) && !IsTemp(n.Name)
	}))
	return s
}

func find(names []Named, name string) (int, bool) {
	return slices.BinarySearchFunc(names, Named{Name: name}, byName)
}

// knows reports whether one of the rows, which are those of a folder in their order, has the name.
func knows(base []state.Baseline, name string) bool {
	_, found := slices.BinarySearchFunc(base, name, func(row state.Baseline, name string) int { return strings.Compare(path.Base(row.Path), name) })
	return found
}

// doubt says why nothing may be done about a name, "" if that is not so.
func (s spelling) doubt(found one) string {
	if twin, ok := s.twins[found.name]; ok {
		return fmt.Sprintf("the name is the same as %q on the server: rename one of them", twin)
	}
	shown, stranger := found.far != nil, found.here == nil && found.base == nil
	if s.mixed && (!shown || stranger) && !ascii(found.name) {
		return "names on the server are in two encodings, and it may be there under another name: set the encoding of the server"
	}
	return ""
}

func ascii(name string) bool {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
