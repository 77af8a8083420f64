package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
)

// largestFile bounds what is read of any file, in bytes: a wrong path must not fill the memory.
const largestFile = 1 << 20

// loader gathers the problems of one file.
type loader struct {
	file      string // as the user named it
	folder    string // absolute; relative paths start here
	env       func(string) string
	isShared  bool            // others than the owner can read the file
	faults    map[string]bool // key.id of what has been reported already, so that nothing follows from it
	positions *positions
	problems  []Problem
	warnings  []Problem
}

// Load reads and validates the file. Relative paths in it are relative to its folder. env gives environment variables
// ("" for those not set), for passwords and for the default of state_dir. An error is always an [*Error]; what is odd
// but allowed is in [Config.Warnings].
func Load(path string, env func(string) string) (*Config, error) {
	l := &loader{file: path, env: env, faults: map[string]bool{}, positions: &positions{}}
	text, err := l.read(path)
	if err != nil {
		return nil, &Error{[]Problem{{File: path, Text: "cannot be read: " + reason(err)}}}
	}
	cfg := &Config{Path: path}
	if file := l.parse(string(text)); file != nil {
		cfg.Agent = l.agent(file.Agent)
		cfg.Servers = l.servers(file.Server)
		cfg.Syncs = l.syncs(file.Sync, file.Server)
		l.crossCheck(cfg)
	}
	sortProblems(l.problems)
	sortProblems(l.warnings)
	if len(l.problems) > 0 {
		return nil, &Error{l.problems}
	}
	cfg.Warnings = slices.Compact(l.warnings) // each server of a sync adds its own
	return cfg, nil
}

func (l *loader) read(path string) ([]byte, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l.folder = filepath.Dir(absolute)
	text, shared, err := readSmall(absolute)
	l.isShared = shared
	return text, err
}

// readSmall reads a regular file and reports whether others than its owner can read it, which on Windows is not known.
func readSmall(path string) (content []byte, isShared bool, err error) {
	// Looked at before it is opened: opening a FIFO waits for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() {
		return nil, false, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	content, err = io.ReadAll(io.LimitReader(file, largestFile+1))
	if err == nil && len(content) > largestFile {
		err = fmt.Errorf("larger than %d bytes", largestFile)
	}
	return content, runtime.GOOS != "windows" && info.Mode().Perm()&0o044 != 0, err
}

// reason is the error without the operation and the path that package os puts in front.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	return err.Error()
}

// faulty is fail for what keeps the value from being used; later checks of the same key stay silent.
func (l *loader) faulty(at key, format string, args ...any) {
	l.fail(at, format, args...)
	l.faults[at.id()] = true
}

// fail records an error, unless the value has been found faulty before.
func (l *loader) fail(at key, format string, args ...any) {
	if !l.faults[at.id()] {
		l.problems = append(l.problems, Problem{l.file, l.positions.of(at), at.String(), fmt.Sprintf(format, args...)})
	}
}

func (l *loader) warn(at key, format string, args ...any) {
	l.warnings = append(l.warnings, Problem{l.file, l.positions.of(at), at.String(), fmt.Sprintf(format, args...)})
}

// path makes a path of the file absolute. An empty one stays empty, a wrong one becomes so.
func (l *loader) path(at key, path string) string {
	switch {
	case path == "":
		return ""
	case hasControl(path):
		l.fail(at, "%q contains a control character", path)
		return ""
	case path[0] == '~':
		l.fail(at, `"~" is not expanded in %q: write the whole path (or "./~..." for a name that begins so)`, path)
		return ""
	case path[0] == '$' || path[0] == '%':
		l.fail(at, `variables are not expanded in %q: write the whole path (or "./%c..." for a name that begins so)`, path, path[0])
		return ""
	}
	path = filepath.FromSlash(path)
	switch {
	case filepath.IsAbs(path):
	case os.IsPathSeparator(path[0]): // on Windows "/srv" is on the drive of the file
		path = filepath.VolumeName(l.folder) + path
	default:
		path = filepath.Join(l.folder, path)
	}
	return filepath.Clean(path)
}

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
