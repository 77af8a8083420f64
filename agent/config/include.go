package config

import (
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
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

// included returns the files of one pattern, sorted. A name without a pattern is returned as it is: it has to exist.
func (l *loader) included(at key, pattern string) []string {
	const special = "*?["
	if pattern == "" {
		l.fail(at, `holds an empty name: write files such as "conf.d/*.toml"`)
		return nil
	}
	whole := l.path(at, pattern)
	if whole == "" || !strings.ContainsAny(pattern, special) {
		return slices.DeleteFunc([]string{whole}, func(path string) bool { return path == "" })
	}
	l.folders = append(l.folders, filepath.Dir(whole))
	if !filepath.IsAbs(filepath.FromSlash(pattern)) && runtime.GOOS != "windows" { // what is special in the folder's own name is not
		whole = filepath.Join(literalPath.Replace(l.source(at).folder), filepath.FromSlash(pattern))
	}
	found, err := filepath.Glob(whole)
	if err != nil {
		l.fail(at, `the pattern %q does not work (%s): write one such as "conf.d/*.toml"`, pattern, err)
	}
	return slices.DeleteFunc(found, func(path string) bool { // as in a shell; editors keep such files beside theirs
		return strings.HasPrefix(filepath.Base(path), ".") && !strings.HasPrefix(filepath.Base(whole), ".")
	})
}

var literalPath = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

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
