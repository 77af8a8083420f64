package scan

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"
)

// FilterOptions says what takes part in a sync.
type FilterOptions struct {
	// Include and Exclude are rules in the manner of gitignore; an empty Include includes everything.
	Include, Exclude []string
	// IgnoreFile is the name of files in local folders that hold further rules for what is in the folder; "" for none.
	IgnoreFile string
	// Defaults: what version control, editors and desktops keep for themselves is left out, unless Exclude asks for it by "!".
	Defaults bool
	// IgnoreCase: rules match names in any mixture of upper and lower case.
	IgnoreCase bool
	// MinSize and MaxSize are limits for files in bytes, both inclusive, and MinAge and MaxAge for the time since they were
	// modified. 0 is no limit.
	MinSize, MaxSize int64
	MinAge, MaxAge   time.Duration
	// Ready tells the files that say of others that they are complete. They take no part themselves.
	Ready Ready
}

// Filter says which paths take part in a sync, as far as the configuration tells; Filtering knows the ignore files too. The
// zero Filter takes everything. It is safe for concurrent use.
type Filter struct {
	options FilterOptions
	exclude rules // the default ones first
	include rules
	// only: there is a rule that includes something, so what none of them matches is left out.
	only bool
	// err: what takes part is not known, because a rule cannot be read.
	err error
}

// rules are patterns of which the last one that matches counts.
type rules []rule

type rule struct {
	pattern
	negated   bool
	filesOnly bool
	// text is the rule as it was written, and from where.
	text, from string
}

// NewFilter reads rules in the manner of gitignore(5): "*.tmp" matches a name in any folder, a slash at the start or within
// ties the pattern to the root of the sync, one at the end restricts it to folders, "**" crosses folders, "!" takes back what
// the rules before it have said, and of several rules that match the last one counts. Beyond that {a,b} stands for a or b.
//
// A path takes part if Exclude does not leave out it or a folder above it, if, for files, Include matches it or a folder above
// it, and if no ignore file leaves it out. With a pattern that CheckPattern refuses nobody knows what
// takes part, and Filtering says so of every folder.
func NewFilter(o FilterOptions) Filter {
	f := Filter{options: o}
	if o.Defaults {
		f.exclude = defaultRules(o.IgnoreCase)
	}
	f.exclude = append(f.exclude, f.read(o.Exclude, "exclude")...)
	f.include = f.read(o.Include, "include")
	f.only = slices.ContainsFunc(f.include, func(r rule) bool { return !r.negated })
	return f
}

// CheckPattern says what is wrong with a rule of Include or Exclude; nil if it can match.
func CheckPattern(text string) error {
	_, err := parseRule(text, false)
	return err
}

func (f *Filter) read(texts []string, from string) (all rules) {
	for _, text := range texts {
		parsed, err := parseRule(text, f.options.IgnoreCase)
		if err != nil {
			f.err = &IgnoreError{Path: from, Err: err}
		}
		all = append(all, parsed.from(from)...)
	}
	return all
}

// parseRule reads a rule, which is several if it holds braces.
func parseRule(text string, fold bool) (rules, error) {
	bare, negated := strings.CutPrefix(text, "!")
	patterns, err := parsePattern(bare, fold)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q does not work: %w", text, err)
	}
	all := make(rules, len(patterns))
	for i, p := range patterns {
		all[i] = rule{pattern: p, negated: negated, text: text}
	}
	return all, nil
}

func (all rules) from(where string) rules {
	for i := range all {
		all[i].from = where
	}
	return all
}

// last returns the last rule that matches rel itself, nil if there is none. name is the last name of rel.
func (all rules) last(rel, name string, isDir bool) *rule {
	for i := len(all) - 1; i >= 0; i-- {
		r := &all[i]
		if isDir && r.filesOnly || !isDir && r.dirsOnly {
			continue
		}
		if r.matchesNamed(rel, name, isDir) {
			return r
		}
	}
	return nil
}

func nameOf(rel string) string { return rel[strings.LastIndexByte(rel, '/')+1:] }

// lastAnywhere is as last, for rules that mean what is in a folder when they name it.
func (all rules) lastAnywhere(rel string) *rule {
	for i := len(all) - 1; i >= 0; i-- {
		if r := &all[i]; r.matches(rel, false) || r.matchesAbove(rel) {
			return r
		}
	}
	return nil
}

func (r rule) matchesAbove(rel string) bool {
	for dir := range above(rel) {
		if r.matches(dir, true) {
			return true
		}
	}
	return false
}

// above yields the folders that rel is in, the nearest first, without the root.
func above(rel string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(rel, '/'); i > 0; i = strings.LastIndexByte(rel, '/') {
			if rel = rel[:i]; !yield(rel) {
				return
			}
		}
	}
}

// why says which rule leaves out rel itself, "" for none. The folders above it are not looked at, and neither are ignore files.
func (f *Filter) why(rel, name string, isDir bool) string {
	if r := f.exclude.last(rel, name, isDir); r != nil && !r.negated {
		return r.why()
	}
	if isDir || len(f.include) == 0 {
		return ""
	}
	r := f.include.lastAnywhere(rel)
	switch {
	case r == nil && !f.only, r != nil && !r.negated:
		return ""
	case r == nil:
		return "not included"
	}
	return r.why()
}

func (r rule) why() string { return fmt.Sprintf("left out by %q (%s)", r.text, r.from) }

// Excluded reports whether the configuration leaves out rel itself. The folders above it are not looked at: a walk does not
// enter an excluded folder.
func (f Filter) Excluded(rel string, isDir bool) bool { return f.why(rel, nameOf(rel), isDir) != "" }

// ExcludedAnywhere reports whether the configuration leaves out rel or a folder above it, for paths that were not found by
// walking down. What it leaves out no ignore file brings back. A file of rules, or one that says that others are complete, is not
// left out: its changes matter.
func (f Filter) ExcludedAnywhere(rel string, isDir bool) bool {
	for dir := range above(rel) {
		if f.Excluded(dir, true) {
			return true
		}
	}
	if !isDir && (f.IsIgnoreFile(rel) || f.options.Ready.Is(rel)) {
		return false // whatever the rules say of its name, what it is about takes part
	}
	return f.Excluded(rel, isDir)
}

// IsIgnoreFile reports whether rel is the name of a file of rules. A change of it concerns its folder as a whole, on both sides.
func (f Filter) IsIgnoreFile(rel string) bool {
	return f.options.IgnoreFile != "" && path.Base(rel) == f.options.IgnoreFile
}

// concerned is what has to be looked at because of a change of rel: the folder of an ignore file.
func (f Filter) concerned(rel string) string {
	if !f.IsIgnoreFile(rel) {
		return rel
	}
	return folderOf(rel)
}

// folderOf is the folder that rel is in, "" for the root of the sync.
func folderOf(rel string) string {
	i := max(strings.LastIndexByte(rel, '/'), 0)
	return rel[:i]
}
