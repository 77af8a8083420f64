package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"unicode"
)

// largestFile bounds what is read of any file, in bytes: a wrong path must not fill the memory.
const largestFile = 1 << 20

// loader gathers the problems of one configuration.
type loader struct {
	env       func(string) string
	sources   []*source       // the main file is the first
	locations locations       // of all files
	faults    map[string]bool // key.id of what has been reported already, so that nothing follows from it
	problems  []Problem
	warnings  []Problem
	// withoutSecrets leaves those alone that do not stand in the file itself.
	withoutSecrets bool
	// secretVariables are those of the environment that hold secrets.
	secretVariables []string
	// folders are those in which the patterns of include look.
	folders []string
	// seen is how files and folders were before they were read.
	seen map[string]os.FileInfo
	// over, once it is closed, ends the wait for programs and for the keyring; nil if they are waited for.
	over <-chan struct{}
}

// Load reads and validates the file and those that it includes. Relative paths in a file are relative to its folder. env gives
// environment variables ("" for those not set), for passwords and for the default of state_dir. An error is always an [*Error];
// what is odd but allowed is in [Config.Warnings].
func Load(path string, env func(string) string) (*Config, error) {
	cfg, _, err := newLoader(env).load(path)
	return cfg, err
}

// LoadUntil is [Load] for those who may lose interest: where ctx ends, programs that tell secrets are ended, and the keyring is waited
// for no more. Then the error is of no interest either.
func LoadUntil(ctx context.Context, path string, env func(string) string) (*Config, error) {
	l := newLoader(env)
	l.over = ctx.Done()
	cfg, _, err := l.load(path)
	return cfg, err
}

// LoadWithoutSecrets is [Load] for those who do not connect to servers. Secrets that are elsewhere are not asked for, and empty:
// they may be out of reach, as credentials of systemd are for all but the service, or want somebody to unlock them.
func LoadWithoutSecrets(path string, env func(string) string) (*Config, error) {
	l := newLoader(env)
	l.withoutSecrets = true
	cfg, _, err := l.load(path)
	return cfg, err
}

func newLoader(env func(string) string) *loader {
	return &loader{env: env, faults: map[string]bool{}, locations: locations{}, seen: map[string]os.FileInfo{}}
}

// load returns the configuration and what it was made from.
func (l *loader) load(path string) (*Config, *raw, error) {
	tables, err := l.read(path, path)
	if err != nil {
		return nil, nil, &Error{[]Problem{{File: path, Text: "cannot be read: " + reason(err)}}}
	}
	cfg, file := l.make(path, tables)
	if len(l.problems) > 0 {
		return nil, nil, &Error{told(l.problems, l.sources)}
	}
	cfg.Warnings = slices.Compact(told(l.warnings, l.sources)) // each server of a sync adds its own
	for _, from := range l.sources {
		cfg.Files = append(cfg.Files, from.path)
	}
	cfg.Folders, cfg.Seen = l.folders, l.seen
	return cfg, file, nil
}

// make fills in a configuration; where something was wrong it is not complete. tables is nil where nothing could be made of a file.
func (l *loader) make(path string, tables map[string]any) (*Config, *raw) {
	cfg, file := &Config{Path: path, WithoutSecrets: l.withoutSecrets}, defaultRaw()
	if tables != nil {
		l.include(tables)
		l.decode(reflect.ValueOf(file).Elem(), tables, nil)
		l.secretVariables = secretVariables(reflect.ValueOf(file))
		cfg.Agent = l.agent(file.Agent)
		cfg.StateByDefault = file.Agent.StateDir == ""
		cfg.Servers = l.servers(file.Server)
		cfg.Syncs = l.syncs(file.Sync, file.Server)
		cfg.Alerts = l.alerts(file.Alert, cfg)
		l.crossCheck(cfg)
	}
	return cfg, file
}

// LoadRest returns what of a configuration that has errors is good for telling people so: the alerts without errors of their own, and the
// state folder, "" if that is wrong. It has nothing else, not even those where nothing can be read.
func LoadRest(path string, env func(string) string) *Config { return newLoader(env).loadRest(path) }

// LoadRestWithoutSecrets is [LoadRest] for those who only look for the running agent: see [LoadWithoutSecrets].
func LoadRestWithoutSecrets(path string, env func(string) string) *Config {
	l := newLoader(env)
	l.withoutSecrets = true
	return l.loadRest(path)
}

func (l *loader) loadRest(path string) *Config {
	tables, err := l.read(path, path)
	if err != nil || tables == nil {
		return &Config{Path: path, WithoutSecrets: l.withoutSecrets}
	}
	return l.rest(l.make(path, tables))
}

func (l *loader) rest(cfg *Config, file *raw) *Config {
	isWrong := func(at key, but ...string) bool {
		return slices.ContainsFunc(l.problems, func(p Problem) bool {
			below, isBelow := strings.CutPrefix(p.Key, at.String()+".")
			return p.Key == at.String() || isBelow && !slices.Contains(but, below)
		})
	}
	rest := &Config{Path: cfg.Path, WithoutSecrets: cfg.WithoutSecrets, Alerts: map[string]*Alert{}}
	rest.Agent.Log = cfg.Agent.Log
	stateDir, agent := key{"agent", "state_dir"}, key{"agent"}
	// Where it is not set, a table that is not what it was meant to be may have lost it: by default it would be that of somebody else.
	isLost := file.Agent.StateDir == "" && slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Key == agent.String() })
	if !isWrong(stateDir) && !l.faults[stateDir.id()] && !isLost {
		rest.Agent.StateDir = cfg.Agent.StateDir
	}
	for name, a := range cfg.Alerts {
		if !isWrong(key{"alert", name}, "syncs", "servers") { // those say of what it tells, and may be wrong since others are
			rest.Alerts[name] = a
		}
	}
	return rest
}

// read returns the tables of a file, nil where nothing can be made of it, and notes where its keys stand, unless they stand
// somewhere already. name is what people call it.
func (l *loader) read(path, name string) (map[string]any, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	l.see(absolute)
	text, isShared, err := readSmall(absolute)
	if err != nil {
		return nil, err
	}
	from := &source{name: name, path: absolute, folder: filepath.Dir(absolute), isShared: isShared, number: len(l.sources)}
	l.sources = append(l.sources, from)
	if isOpenToAll(absolute) {
		l.warnings = append(l.warnings, Problem{File: name, Text: "everybody can write this file, and so have the agent run any program: chmod o-w " + name})
	}
	return l.parse(string(text), from), nil
}

// see notes how a file or a folder is that is about to be read. What is read twice may have changed after the first time.
func (l *loader) see(path string) {
	if _, again := l.seen[path]; again {
		return
	}
	if info, err := os.Stat(path); err == nil {
		l.seen[path] = info
	}
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

// isOpenToAll reports whether everybody on this machine can write the file, or in the folder.
func isOpenToAll(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0
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
		l.problems = append(l.problems, l.problem(at, fmt.Sprintf(format, args...)))
	}
}

func (l *loader) warn(at key, format string, args ...any) {
	l.warnings = append(l.warnings, l.problem(at, fmt.Sprintf(format, args...)))
}

// problem is one about a key, which stands where its table does if it was not written.
func (l *loader) problem(at key, text string) Problem {
	found := l.locations.of(at)
	return Problem{l.source(at).name, found.line, found.column, at.String(), text}
}

// source is the file in which a key stands, and the main one for what stands nowhere.
func (l *loader) source(at key) *source {
	if from := l.locations.of(at).source; from != nil {
		return from
	}
	if len(l.sources) == 0 {
		return &source{}
	}
	return l.sources[0]
}

// path makes a path absolute, which is relative to the file that it stands in. An empty one stays empty, a wrong one becomes so.
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
		path = filepath.VolumeName(l.source(at).folder) + path
	default:
		path = filepath.Join(l.source(at).folder, path)
	}
	return filepath.Clean(path)
}

// oneLine is the text of an error of somebody else's.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
