package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// maxIgnoreFile is how large a file of rules may be in bytes, and maxRules how many patterns it may stand for.
	maxIgnoreFile = 1 << 20
	maxRules      = 100_000
)

// Filtering is a Filter with the ignore files of a local folder, each of which is read once as long as the paths that are asked
// for are below its folder or above, and with the time by which files are too new or too old. It is not safe for concurrent use.
type Filtering struct {
	filter Filter
	local  Local
	now    time.Time
	levels []ignored // the root, and the folders on the way to the path that was asked for last
	known  int       // how many there are with those behind levels, which were asked for before
}

// ignored is what the ignore file of a folder says, or why that is not known.
type ignored struct {
	folder string
	rules  rules
	err    error
}

// In is the filter with the ignore files of a local side, whose root may be nil, at the time now.
func (f Filter) In(local Local, now time.Time) *Filtering {
	return &Filtering{filter: f, local: local, now: now}
}

// IgnoreError says why the rules for a folder are not known. Nothing in it must be touched then.
type IgnoreError struct {
	Path string // of the ignore file, or the option that holds the rule
	Line int    // 0 if none is to blame
	Err  error
}

func (e *IgnoreError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s, line %d: %v", e.Path, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}

func (e *IgnoreError) Unwrap() error { return e.Err }

// Rules makes sure that the rules for what is in a folder are known. An error is an *IgnoreError, of the topmost file that
// nobody can read or understand.
func (f *Filtering) Rules(folder string) error {
	if f.filter.err != nil || f.filter.options.IgnoreFile == "" || f.local.Root == nil {
		return f.filter.err
	}
	for len(f.levels) > 0 && !isBelow(folder, f.levels[len(f.levels)-1].folder) {
		f.levels = f.levels[:len(f.levels)-1]
	}
	for {
		next := ""
		if n := len(f.levels); n > 0 {
			last := f.levels[n-1]
			if last.err != nil || last.folder == folder {
				return last.err
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(folder[len(last.folder):], "/"), "/")
			next = path.Join(last.folder, name)
		}
		if n := len(f.levels); n < f.known && f.levels[:n+1][n].folder == next {
			f.levels = f.levels[:n+1]
			continue
		}
		found, err := f.read(next)
		f.levels = append(f.levels, ignored{folder: next, rules: found, err: err})
		f.known = len(f.levels)
	}
}

// isBelow is as isIn, for which the root is no folder.
func isBelow(rel, folder string) bool { return folder == "" || isIn(rel, folder) }

// Why says what leaves out rel itself, "" for nothing: a walk does not enter an excluded folder. What an ignore file says that
// nobody understands does not count; Rules tells that.
func (f *Filtering) Why(rel string, isDir bool) string {
	name, options := nameOf(rel), &f.filter.options
	if rel != "" && name == options.IgnoreFile {
		return "a file of rules takes no part itself"
	}
	if !isDir && !options.Ready.IsZero() && options.Ready.Is(rel) {
		return "a file that says that others are complete (ready) takes no part itself"
	}
	if why := f.filter.why(rel, name, isDir); why != "" || rel == "" {
		return why
	}
	if options.IgnoreFile == "" {
		return ""
	}
	if err := f.Rules(rel[:max(len(rel)-len(name)-1, 0)]); err != nil {
		return ""
	}
	for i := len(f.levels) - 1; i >= 0; i-- {
		level := &f.levels[i]
		below := rel
		if level.folder != "" {
			below = rel[len(level.folder)+1:]
		}
		if r := level.rules.last(below, name, isDir); r != nil {
			if r.negated {
				return ""
			}
			return r.why()
		}
	}
	return ""
}

// Excluded reports whether rel itself is left out, see Why.
func (f *Filtering) Excluded(rel string, isDir bool) bool { return f.Why(rel, isDir) != "" }

// WhyAnywhere says what leaves out rel or a folder above it, for paths that were not found by walking down. An error is that of
// Rules.
func (f *Filtering) WhyAnywhere(rel string, isDir bool) (string, error) {
	for end := range len(rel) {
		if rel[end] != '/' {
			continue
		}
		if err := f.Rules(folderOf(rel[:end])); err != nil {
			return "", err
		}
		if why := f.Why(rel[:end], true); why != "" {
			return why, nil
		}
	}
	if err := f.Rules(folderOf(rel)); err != nil {
		return "", err
	}
	return f.Why(rel, isDir), nil
}

// leads reports whether what is at rel may get another name on the other side too: it takes part, and if it is a folder, no rule is
// about something in it by its name. What such a rule leaves out would go along, and take part from then on.
func (f *Filtering) leads(rel string, isDir bool) bool {
	if why, err := f.WhyAnywhere(rel, isDir); why != "" || err != nil {
		return false
	}
	if !isDir {
		return true
	}
	for _, all := range []rules{f.filter.exclude, f.filter.include} {
		if all.mention(rel) {
			return false
		}
	}
	for _, level := range f.levels {
		below := rel
		if level.folder != "" {
			below = rel[len(level.folder)+1:]
		}
		if level.rules.mention(below) {
			return false
		}
	}
	return true
}

// mention reports whether a rule names something in a folder by the path of that.
func (all rules) mention(folder string) bool {
	return slices.ContainsFunc(all, func(r rule) bool {
		return strings.HasPrefix(strings.ToLower(strings.TrimLeft(r.text, "!/")), strings.ToLower(folder)+"/")
	})
}

// Overrules says why nothing may be done about a path that was planned for before, "" if it may.
func (f *Filtering) Overrules(direction plan.Direction, item plan.Item) string {
	why, err := f.WhyAnywhere(item.Path, isDir(item))
	switch {
	case err != nil:
		return ruleless(err)
	case why == "" && f.limited(direction, item):
		return "the file is beyond the limits of size or age"
	}
	return why
}

// ruleless is how it is said that the rules for a folder are not known.
func ruleless(err error) string {
	return fmt.Sprintf("nothing in it is touched, because its rules are not known: %v", err)
}

// read reads the ignore file of a folder; none is no rules.
func (f *Filtering) read(folder string) (rules, error) {
	rel := path.Join(folder, f.filter.options.IgnoreFile)
	text, err := readSmall(f.local, rel)
	if err != nil {
		return nil, &IgnoreError{Path: rel, Err: err}
	}
	return parseRules(text, rel, f.filter.options.IgnoreCase)
}

// readSmall reads a file of at most maxIgnoreFile bytes; what is not there is nothing.
func readSmall(local Local, rel string) ([]byte, error) {
	if e, err := local.Stat(rel); err != nil || e.Kind == entry.Absent {
		return nil, err
	}
	file, err := local.Open(rel)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file: rename it, or give rules another name (ignore_file)")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxIgnoreFile+1))
	if err == nil && len(text) > maxIgnoreFile {
		err = fmt.Errorf("it is larger than %d bytes", maxIgnoreFile)
	}
	return text, err
}

// parseRules reads the lines of an ignore file, as gitignore(5) has them.
func parseRules(text []byte, rel string, fold bool) (all rules, err error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	number := 0
	for line := range bytes.Lines(text) {
		number++
		rule := lineOf(string(line))
		if rule == "" {
			continue
		}
		parsed, err := parseRule(rule, fold)
		if err == nil && len(all)+len(parsed) > maxRules {
			err = fmt.Errorf("the file holds more than %d patterns", maxRules)
		}
		if err == nil && strings.ContainsRune(rule, 0) {
			err = errors.New("the line holds a zero byte: this is no text file, or one in UTF-16")
		}
		if err != nil {
			return nil, &IgnoreError{Path: rel, Line: number, Err: err}
		}
		all = append(all, parsed.from(fmt.Sprintf("%s, line %d", rel, number))...)
	}
	return all, nil
}

// lineOf is the rule in a line, "" if that is empty or a comment. Blanks at its end count only behind a "\".
func lineOf(line string) string {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if strings.HasPrefix(line, "#") {
		return ""
	}
	end := 0
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
		} else if line[i] == ' ' {
			continue
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}
