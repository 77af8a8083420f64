package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// clashes are the names of a folder that cannot all be had on both sides, with what is to be said about each. Nobody knows which
// one is meant, so none of them is sent or deleted.
type clashes map[string]string

// siblings are the names of one folder on both sides, sorted.
type siblings struct {
	folder    string
	here, far []Named
}

// clashing finds the names of one folder that are one name in two forms of Unicode, and those that differ in case only where a
// side that would have to hold both does not tell them apart. Names in lower case ASCII are their own keys and cost nothing.
func (w *walker) clashing(ctx context.Context, s siblings) (clashes, error) {
	var first map[string]string // by key, the first name that is not its own key
	var groups map[string][]string
	blind, rest := w.mayBeBlind(), s.here
	for side, names := range [][]Named{s.here, s.far} {
		for _, n := range names {
			if plainName(n.Name) || !blind && ascii(n.Name) {
				continue
			}
			for side > 0 && len(rest) > 0 && rest[0].Name < n.Name {
				rest = rest[1:]
			}
			if side > 0 && len(rest) > 0 && rest[0].Name == n.Name {
				continue // it was seen on the other side
			}
			if first == nil {
				first, groups = map[string]string{}, map[string][]string{}
			}
			key := keyOf(n.Name)
			other, seen := first[key]
			if !seen {
				first[key] = n.Name
				if plainName(key) && s.has(key) {
					groups[key] = []string{key, n.Name}
				}
				continue
			}
			if group := groups[key]; len(group) == 0 && other != n.Name {
				groups[key] = []string{other, n.Name}
			} else if len(group) > 0 && !slices.Contains(group, n.Name) {
				groups[key] = append(group, n.Name)
			}
		}
	}
	if len(groups) == 0 {
		return nil, nil
	}
	found := clashes{}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		if err := w.tell(ctx, s, groups[key], found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// mayClash reports whether clashing might find something: whether two names in a folder, as both sides have them, may have the same key.
// It is asked about every folder, so it keeps no names.
func (w *walker) mayClash(folder string, here, far []Named, base []state.Baseline, remote presence) bool {
	blind := w.mayBeBlind()
	harmless := func(name string) bool { return plainName(name) || !blind && ascii(name) }
	unharmed := func(names []Named) bool {
		return !slices.ContainsFunc(names, func(n Named) bool { return !harmless(n.Name) })
	}
	if remote != assumed {
		base = nil
	}
	if unharmed(here) && unharmed(far) && !slices.ContainsFunc(base, func(row state.Baseline) bool { return !harmless(nameOf(row.Path)) }) {
		return false
	}
	w.keys = w.keys[:0]
	for found := range union(folder, here, far, base, "") {
		w.keys = append(w.keys, keySum(found.name))
	}
	slices.Sort(w.keys)
	return len(slices.Compact(w.keys)) < len(w.keys)
}

// keySum is a sum over the key of a name.
func keySum(name string) uint64 {
	if !ascii(name) {
		name = keyOf(name)
	}
	const start, prime = 14695981039346656037, 1099511628211 // FNV-1a
	sum := uint64(start)
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		sum = (sum ^ uint64(c)) * prime
	}
	return sum
}

// mayBeBlind reports whether names that differ in case only have to be looked for at all.
func (w *walker) mayBeBlind() bool {
	if w.request.Rules.Direction != plan.Up {
		return true
	}
	remote := w.request.Remote
	return remote != nil && w.cases != "no" && remote.Conn.Facts().CaseInsensitive != "no"
}

// tell finds out whether names that may clash do, and says so.
func (w *walker) tell(ctx context.Context, s siblings, group []string, found clashes) error {
	group = slices.DeleteFunc(group, func(name string) bool { return IsTemp(name) || w.excluded(path.Join(s.folder, name), s.isDir(name)) })
	slices.Sort(group)
	cases := map[string]string{} // one name of each normal form
	for _, name := range group {
		form := norm.NFC.String(name)
		other, seen := cases[form]
		if !seen {
			cases[form] = name
			continue
		}
		for _, one := range [][2]string{{name, other}, {other, name}} {
			found[one[0]] = fmt.Sprintf("%+q is the same name as %+q %s in another form of Unicode (NFC, NFD): rename or remove one of them",
				one[0], one[1], s.where(one[1]))
		}
	}
	if len(cases) < 2 {
		return nil
	}
	side, doubt, err := w.blindToCase(ctx, s)
	if err != nil || side == "" {
		return err
	}
	for i, name := range group {
		other := group[(i+1)%len(group)]
		switch {
		case found[name] != "":
		case !doubt:
			found[name] = fmt.Sprintf("the name differs from %q %s in case only, and %s does not tell such names apart: rename one of them",
				other, s.where(other), side)
		case i > 0: // the first one does no harm, and shows what the server makes of the others
			found[name] = fmt.Sprintf("the name differs from %q %s in case only, and it is not known yet whether %s tells such names apart: "+
				"it is tried once another file is there, and \"ftpferry doctor\" finds out", group[0], s.where(group[0]), side)
		}
	}
	return nil
}

func (s siblings) has(name string) bool { return s.at(s.here, name) != nil || s.at(s.far, name) != nil }

func (s siblings) at(names []Named, name string) *entry.Entry {
	if i, found := find(names, name); found {
		return &names[i].Entry
	}
	return nil
}

func (s siblings) isDir(name string) bool {
	here, far := s.at(s.here, name), s.at(s.far, name)
	return here != nil && here.Kind == entry.Dir || far != nil && far.Kind == entry.Dir
}

func (s siblings) where(name string) string {
	switch here, far := s.at(s.here, name), s.at(s.far, name); {
	case here != nil && far != nil:
		return "on both sides"
	case far != nil:
		return "on the server"
	}
	return "here"
}

// plainName reports a name that is its own key.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// keyOf is the same for all names that some file system takes for one.
func keyOf(name string) string {
	if ascii(name) {
		return strings.ToLower(name)
	}
	name = norm.NFC.String(name)
	var key strings.Builder
	key.Grow(len(name))
	for i := 0; i < len(name); {
		r, width := nextRune(name[i:])
		if r > utf8.MaxRune {
			key.WriteByte(name[i])
		} else {
			key.WriteRune(foldRune(r))
		}
		i += width
	}
	return key.String()
}

// blindToCase says which side would have to hold names that it cannot tell apart, "" for none. In doubt it may be able to.
func (w *walker) blindToCase(ctx context.Context, s siblings) (side string, doubt bool, err error) {
	if w.request.Rules.Direction != plan.Up && w.localIsBlind(s) {
		return "this machine", false, nil
	}
	if w.request.Rules.Direction == plan.Down || w.request.Remote == nil {
		return "", false, nil // whoever uploads looks whether the name is taken
	}
	if w.cases == "" {
		if w.cases = w.request.Remote.Conn.Facts().CaseInsensitive; w.cases == "" {
			w.cases, err = w.askForCase(ctx, s)
		}
	}
	if err != nil || w.cases == "no" {
		return "", false, err
	}
	return "the server", w.cases == "", nil
}

// askForCase finds out whether the server answers to a name in other case, "yes", "no" or "". An error ends the connection.
func (w *walker) askForCase(ctx context.Context, s siblings) (string, error) {
	for _, n := range s.far {
		swapped := swapCase(n.Name)
		if swapped == n.Name || s.at(s.far, swapped) != nil || sendable(swapped) != "" {
			continue
		}
		there, err := w.serverHas(ctx, w.request.Remote.Path(path.Join(s.folder, swapped)))
		return there, err
	}
	root := w.request.Remote.Root
	swapped := path.Join(path.Dir(root), swapCase(path.Base(root)))
	if swapped == root {
		return "", nil
	}
	there, err := w.serverHas(ctx, swapped)
	if there == "yes" {
		there = "" // both may be there
	}
	return there, err
}

func (w *walker) serverHas(ctx context.Context, full string) (string, error) {
	switch _, err := w.request.Remote.Conn.Stat(ctx, full); {
	case err == nil:
		return "yes", nil
	case errors.Is(err, fs.ErrNotExist):
		return "no", nil
	case !w.request.Remote.Conn.Usable():
		return "", err
	}
	return "", nil
}

// localIsBlind reports whether the local file system takes names for one that differ in case only: a file in the folder then
// answers to both, or the folder of the sync does.
func (w *walker) localIsBlind(s siblings) bool {
	root := w.request.Local
	if root == nil {
		return blindSystem
	}
	same := func(a, b fs.FileInfo, errs ...error) bool { return errors.Join(errs...) == nil && os.SameFile(a, b) }
	for _, n := range s.here {
		if swapped := swapCase(n.Name); swapped != n.Name && s.at(s.here, swapped) == nil {
			a, err := root.Lstat(osPath(path.Join(s.folder, n.Name)))
			b, err2 := root.Lstat(osPath(path.Join(s.folder, swapped)))
			return same(a, b, err, err2)
		}
	}
	name := filepath.Clean(root.Name())
	if swapped := filepath.Join(filepath.Dir(name), swapCase(filepath.Base(name))); swapped != name {
		a, err := os.Lstat(name)
		b, err2 := os.Lstat(swapped)
		return same(a, b, err, err2)
	}
	return blindSystem
}

// blindSystem: file systems of this system do not tell upper and lower case apart, as far as one can say without a look.
const blindSystem = runtime.GOOS == "windows" || runtime.GOOS == "darwin"

// swapCase changes the case of all ASCII letters.
func swapCase(name string) string {
	swapped := []byte(name)
	for i, c := range swapped {
		if isLetter(rune(c)) {
			swapped[i] = c ^ ' '
		}
	}
	return string(swapped)
}

// farNames are the names on the far side, as the baseline has them if nobody looks there.
func farNames(far []Named, base []state.Baseline, p presence) []Named {
	if p != assumed {
		return far
	}
	var names []Named
	for _, row := range base {
		if row.Remote.Kind != entry.Absent {
			names = append(names, Named{Name: path.Base(row.Path), Entry: row.Remote})
		}
	}
	return names
}

// clash says what a path that was not found by walking down clashes with, "" for nothing. Names in other case are looked for here
// only, and only if somebody looks at the server too.
func (w *walker) clash(ctx context.Context, item plan.Item) (string, error) {
	folder, name := folderOf(item.Path), path.Base(item.Path)
	s := siblings{folder: folder}
	addFar := func(name string, e entry.Entry) {
		if e.Kind != entry.Absent {
			s.far = append(s.far, Named{Name: name, Entry: e})
		}
	}
	if !ascii(name) {
		for _, form := range []string{norm.NFC.String(name), norm.NFD.String(name)} {
			if form == name {
				continue
			}
			other, err := w.item(ctx, path.Join(folder, form))
			if err != nil {
				return "", err
			}
			if here := other.Local.Entry; here.Kind != entry.Absent && !w.sameFile(item.Path, other.Path) {
				s.here = append(s.here, Named{Name: form, Entry: here})
			}
			addFar(form, other.Remote.Entry)
		}
	}
	if w.remoteRoot == there && w.request.Local != nil {
		for _, other := range w.namesakes(folder, name) {
			if e, err := w.statLocal(path.Join(folder, other)); err == nil && e.Kind != entry.Absent && !hasName(s.here, other) {
				s.here = append(s.here, Named{Name: other, Entry: e})
			}
		}
	}
	if len(s.here)+len(s.far) == 0 {
		return "", nil
	}
	if item.Local.Entry.Kind != entry.Absent {
		s.here = append(s.here, Named{Name: name, Entry: item.Local.Entry})
	}
	addFar(name, item.Remote.Entry)
	slices.SortFunc(s.here, byName)
	slices.SortFunc(s.far, byName)
	found, err := w.clashing(ctx, s)
	return found[name], err
}

func hasName(names []Named, name string) bool {
	return slices.ContainsFunc(names, func(n Named) bool { return n.Name == name })
}

func (w *walker) sameFile(a, b string) bool {
	if w.request.Local == nil {
		return false
	}
	one, err := w.request.Local.Lstat(osPath(a))
	other, err2 := w.request.Local.Lstat(osPath(b))
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// namesakes are the other names in a local folder that have the same key. What was read last is kept, for there are often
// several names of one folder to decide about.
func (w *walker) namesakes(folder, name string) (others []string) {
	if w.byKey == nil || w.keyed != folder {
		w.keyed, w.byKey = folder, map[string][]string{}
		dir, err := w.local.Open(folder)
		if err != nil {
			return nil // the look at the path itself tells
		}
		defer dir.Close()
		names, _ := dir.Readdirnames(-1)
		for _, n := range names {
			if !plainName(n) {
				key := keyOf(n)
				w.byKey[key] = append(w.byKey[key], n)
			}
		}
	}
	key := keyOf(name)
	others = slices.DeleteFunc(slices.Clone(w.byKey[key]), func(other string) bool { return other == name })
	if key != name && plainName(key) && !w.sameFile(path.Join(folder, key), path.Join(folder, name)) {
		others = append(others, key)
	}
	return others
}

// noWindowsName are characters that no name may hold there, besides those that control.
const noWindowsName = `<>:"|?*\`

// unstorable says why no file may have a name on a system, as Go calls it; "" if one may.
func unstorable(name, system string) string {
	length := len(name)
	if system == "windows" || system == "darwin" {
		length = 0
		for _, r := range name {
			length += 1 + int(min(r/0x10000, 1))
		}
	}
	switch device, _, _ := strings.Cut(name, "."); {
	case length > maxName:
		return fmt.Sprintf("the name is longer than the %d bytes that are allowed here: give it a shorter one on the server", maxName)
	case system != "windows":
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || strings.ContainsRune(noWindowsName, r) }):
		return `the name holds a character that Windows does not allow (one of <>:"|?*\ or a control character): rename it on the server`
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return "the name ends with a dot or a blank, which Windows takes away: rename it on the server"
	case isDevice(strings.ToUpper(strings.TrimRight(device, " "))):
		return "the name is that of a device of Windows: rename it on the server"
	}
	return ""
}

func isDevice(name string) bool {
	switch name {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	rest, found := strings.CutPrefix(name, "COM")
	if !found {
		rest, found = strings.CutPrefix(name, "LPT")
	}
	return found && utf8.RuneCountInString(rest) == 1 && strings.Contains("123456789¹²³", rest)
}

// tooLong says why a local name cannot be sent, "" if it can. What is on the server already is not too long for it.
func tooLong(item plan.Item) string {
	if name := path.Base(item.Path); len(name) > maxName && item.Local.Entry.Kind != entry.Absent && item.Remote.Entry.Kind == entry.Absent {
		return fmt.Sprintf("the name has %d bytes, and servers take no more than %d: give it a shorter one", len(name), maxName)
	}
	return ""
}
