package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
)

// include adds the tables of the included files to those of the main one.
func (l *loader) include(tables map[string]any) {
	written, stands := tables["include"]
	if !stands {
		return
	}
	var patterns stringOrList
	at := key{"include"}
	l.decode(reflect.ValueOf(&patterns).Elem(), written, at)
	read := []string{l.sources[0].path}
	for _, pattern := range patterns {
		for _, path := range l.included(at, pattern) {
			if slices.Contains(read, path) {
				continue
			}
			read = append(read, path)
			before := l.locations
			l.locations = locations{}
			more, err := l.read(path, l.called(path))
			found := l.locations
			l.locations = before
			if err != nil {
				l.fail(at, "%q cannot be read: %s", path, reason(err))
				continue
			}
			l.merge(tables, more, found)
		}
	}
}

// special are the characters of patterns.
const special = "*?["

// included returns the files of one pattern, sorted. A name without a pattern is returned as it is: it has to exist.
func (l *loader) included(at key, pattern string) []string {
	if pattern == "" {
		l.fail(at, `holds an empty name: write files such as "conf.d/*.toml"`)
		return nil
	}
	whole := l.path(at, pattern)
	if whole == "" || !strings.ContainsAny(whole, special) {
		return slices.DeleteFunc([]string{whole}, func(path string) bool { return path == "" })
	}
	l.folders = append(l.folders, filepath.Dir(whole))
	l.see(filepath.Dir(whole))
	folder, inside := l.source(at).folder, filepath.Clean(filepath.FromSlash(pattern)) // what is special in the folder's own name is not
	if filepath.IsAbs(inside) || os.IsPathSeparator(inside[0]) {
		folder = filepath.VolumeName(whole) + string(filepath.Separator)
		inside = strings.TrimPrefix(whole, folder)
	}
	if _, err := filepath.Match(inside, ""); err != nil {
		l.fail(at, `the pattern %q does not work (%s): write one such as "conf.d/*.toml"`, pattern, err)
		return nil
	}
	found, err := matching(folder, inside)
	if err != nil {
		l.fail(at, "%q cannot be looked for: %s", pattern, oneLine(err))
	}
	if _, err := os.Stat(filepath.Dir(whole)); errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(filepath.Dir(whole), special) {
		l.warn(at, "there is no folder %q, so nothing is included from there", filepath.Dir(whole))
	}
	return slices.DeleteFunc(found, func(path string) bool { // as in a shell; editors keep such files beside theirs
		return strings.HasPrefix(filepath.Base(path), ".") && !strings.HasPrefix(filepath.Base(whole), ".")
	})
}

// matching is filepath.Glob below a folder, with the errors that that one passes over: what stands in files of a folder that cannot
// be read must not be gone as if somebody had taken it out of the configuration.
func matching(folder, pattern string) (found []string, err error) {
	first, rest, isDeeper := strings.Cut(pattern, string(filepath.Separator))
	names := []string{first}
	if strings.ContainsAny(first, special) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, unlessAbsent(err)
		}
		names = nil
		for _, entry := range entries {
			if fits, err := filepath.Match(first, entry.Name()); err == nil && fits {
				names = append(names, entry.Name())
			}
		}
	}
	for _, name := range names {
		path := filepath.Join(folder, name)
		more := []string{path}
		if isDeeper {
			more, err = matching(path, rest)
		} else if _, err = os.Lstat(path); err != nil {
			more, err = nil, unlessAbsent(err)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// unlessAbsent is the error of something that may be there.
func unlessAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// called is what people call an included file: from where they are, if that is how they called the main one.
func (l *loader) called(path string) string {
	main := l.sources[0]
	if relative, err := filepath.Rel(main.folder, path); err == nil && !filepath.IsAbs(main.name) && filepath.IsLocal(relative) {
		return filepath.Join(filepath.Dir(main.name), relative)
	}
	return path
}

// merge adds the tables of a file, whose keys stand where found says. Two files may add to one table, but not the same key of
// it: so a server, a sync, and each key of [agent] is defined once.
func (l *loader) merge(tables, more map[string]any, found locations) {
	second := func(k key) {
		at := found.of(k)
		l.problems = append(l.problems, definedTwice(k, at, l.locations.of(k), at.source))
		for id := range found {
			if id == k.id() || strings.HasPrefix(id, k.id()+"\x00") {
				delete(found, id)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		table, isTable := more[name].(map[string]any)
		there, isThere := tables[name].(map[string]any)
		switch {
		case name == "include":
			at := found.of(key{name})
			l.problems = append(l.problems, Problem{at.source.name, at.line, at.column, name,
				"is for the main file, " + l.sources[0].name + ": name all files there"})
			delete(found, name)
		case tables[name] == nil:
			tables[name] = more[name]
		case !isTable || !isThere:
			second(key{name})
		default:
			for _, inner := range slices.Sorted(maps.Keys(table)) {
				if _, taken := there[inner]; taken {
					second(key{name, inner})
				} else {
					there[inner] = table[inner]
				}
			}
		}
	}
	maps.Copy(found, l.locations)
	l.locations = found
}
