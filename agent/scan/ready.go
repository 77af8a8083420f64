package scan

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Ready is how the file is called that says of another one in its folder that it is complete. The zero value is none. It is safe
// for concurrent use.
type Ready struct {
	text           string
	prefix, suffix string         // of all names that text may stand for
	is             *regexp.Regexp // matches those names
}

// NewReady reads a template of {name}, {stem} and {ext}; "" is none. A name without any of them is that for all files of a folder.
func NewReady(text string) Ready {
	if text == "" {
		return Ready{}
	}
	text = strings.ToValidUTF8(text, "_") // as everything in a configuration is
	pattern := strings.NewReplacer(`\{name\}`, ".+", `\{stem\}`, ".+", `\{ext\}`, `(\.[^.]*)?`).Replace(regexp.QuoteMeta(text))
	r := Ready{text: text, prefix: text, suffix: text, is: regexp.MustCompile("(?s)^" + pattern + "$")}
	if first, last := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}'); first >= 0 && last > first {
		r.prefix, r.suffix = text[:first], text[last+1:]
	}
	return r
}

// IsZero reports that there is none.
func (r Ready) IsZero() bool { return r.text == "" }

// Of is the path of the file that says that rel is complete.
func (r Ready) Of(rel string) string {
	folder, name := path.Split(rel)
	stem, ext := SplitName(name)
	return folder + strings.NewReplacer("{name}", name, "{stem}", stem, "{ext}", ext).Replace(r.text)
}

// Is reports whether rel has the name of such a file.
func (r Ready) Is(rel string) bool {
	name := rel[strings.LastIndexByte(rel, '/')+1:]
	return r.text != "" && strings.HasPrefix(name, r.prefix) && strings.HasSuffix(name, r.suffix) && r.is.MatchString(name)
}

// Shared reports whether one such file may be about several files.
func (r Ready) Shared() bool {
	return !strings.Contains(r.text, "{name}") && !(strings.Contains(r.text, "{stem}") && strings.Contains(r.text, "{ext}"))
}

// SplitName cuts the extension off. Dots at the begin make a name hidden, not an extension.
func SplitName(name string) (stem, ext string) {
	hidden := len(name) - len(strings.TrimLeft(name, "."))
	ext = path.Ext(name[hidden:])
	return strings.TrimSuffix(name, ext), ext
}

// waitsFor says what a file waits for that is there and would be transferred, "" for nothing. What was in step as it is was
// complete then.
func (w *walker) waitsFor(ctx context.Context, item plan.Item, source entry.Entry, remote bool) (string, error) {
	ready := w.request.Filter.options.Ready
	if ready.IsZero() || item.Base != nil && entry.Same(source, baseSide(*item.Base, remote)) {
		return "", nil
	}
	name := path.Base(ready.Of(item.Path))
	var says entry.Entry
	if remote {
		far, err := w.farBeside(ctx, item, path.Base(ready.Of(w.farRel(item))))
		if err != nil {
			return "", err
		}
		if far.Knowledge == plan.Unknown {
			return fmt.Sprintf("nobody can see whether %s is there", name), nil
		}
		says = far.Entry
	} else {
		var err error
		if says, err = w.statLocal(ready.Of(item.Path)); err != nil {
			return fmt.Sprintf("nobody can see whether %s is there: %v", name, err), nil
		}
	}
	switch {
	case says.Kind != entry.File:
		return "waiting for " + name, nil
	case isOlder(says, source):
		return fmt.Sprintf("waiting for a new %s: the one that is there is older than the file", name), nil
	}
	return "", nil
}

func baseSide(b plan.Base, remote bool) entry.Entry {
	if remote {
		return b.Remote
	}
	return b.Local
}

// isOlder reports that a was certainly changed before b.
func isOlder(a, b entry.Entry) bool {
	if a.ModTime.IsZero() || b.ModTime.IsZero() {
		return false
	}
	return b.ModTime.Sub(a.ModTime) >= max(a.Precision, b.Precision, time.Nanosecond)
}

// farBeside looks at a name beside a file on the server: in the listing, if the file comes from one that shows the name.
func (w *walker) farBeside(ctx context.Context, item plan.Item, name string) (plan.Side, error) {
	if n := len(w.above); n > 0 {
		names := w.above[n-1].names
		if i, found := slices.BinarySearchFunc(names, Named{Name: name}, byName); found {
			return plan.Side{Knowledge: plan.Seen, Entry: names[i].Entry}, nil
		}
		if !strings.HasPrefix(name, ".") {
			return plan.Side{Knowledge: plan.Seen}, nil
		}
	}
	return w.statRemote(ctx, path.Join(folderOf(w.farRel(item)), name))
}

// readyFor are the local files that one with the name of rel says something about, as far as they are there.
func (w *walker) readyFor(rel string) (about []string) {
	ready := w.request.Filter.options.Ready
	if !ready.Is(rel) || w.request.Local == nil {
		return nil
	}
	if name := path.Base(rel); strings.Count(ready.text, "{") == 1 && !ready.Shared() { // {name} alone
		names := []string{name[len(ready.prefix) : len(name)-len(ready.suffix)]}
		return w.filesOf(folderOf(rel), names)
	}
	if folder := folderOf(rel); w.beside.folder != folder || w.beside.names == nil {
		w.beside.folder, w.beside.names = folder, map[string][]string{}
		for _, found := range w.local.Read(folder).Names {
			if found.Kind == entry.File && !ready.Is(found.Name) {
				of := ready.Of(found.Name)
				w.beside.names[of] = append(w.beside.names[of], found.Name)
			}
		}
	}
	return w.filesOf(folderOf(rel), w.beside.names[path.Base(rel)])
}

// beside are the files of a folder by the name of the one that says that they are complete.
type beside struct {
	folder string
	names  map[string][]string
}

func (w *walker) filesOf(folder string, names []string) (files []string) {
	for _, name := range names {
		rel := within(folder, name)
		if found, err := w.statLocal(rel); err == nil && found.Kind == entry.File {
			files = append(files, rel)
		}
	}
	return files
}
