package scan

import (
	"iter"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// FilterOptions says what takes part in a sync.
type FilterOptions struct {
	// Include and Exclude are rules in the manner of gitignore; an empty Include includes everything.
	Include, Exclude []string
	// IgnoreFile is the name of files in local folders that hold further rules for what is in the folder; "" for none.
	IgnoreFile string
	// Defaults: what version control, editors and desktops keep for themselves is left out, unless a rule asks for it.
	Defaults bool
	// IgnoreCase: rules match names in any mixture of upper and lower case.
	IgnoreCase bool
	// MinSize and MaxSize are limits for files in bytes, both inclusive, and MinAge and MaxAge for the time since they were
	// modified. 0 is no limit.
	MinSize, MaxSize int64
	MinAge, MaxAge   time.Duration
}

// Filter says which paths take part in a sync. The zero Filter takes everything.
type Filter struct {
	include, exclude []pattern
}

type pattern struct {
	glob     string
	dirsOnly bool
}

// NewFilter reads patterns in the manner of gitignore: "*.tmp" matches a name in any folder,
// a slash at the start or within ties the pattern to the root of the sync, one at the end
// restricts it to folders, "**" crosses folders. A path takes part if no exclude pattern
// matches it or a folder above it and, for files, an include pattern matches.
func NewFilter(o FilterOptions) Filter {
	return Filter{include: patterns(o.Include), exclude: patterns(o.Exclude)}
}

func patterns(texts []string) []pattern {
	var all []pattern
	for _, text := range texts {
		p := pattern{dirsOnly: strings.HasSuffix(text, "/")}
		glob := strings.TrimSuffix(text, "/")
		switch {
		case strings.HasPrefix(glob, "/"):
			glob = glob[1:]
		case !strings.Contains(glob, "/"):
			glob = "**/" + glob
		}
		p.glob = glob
		all = append(all, p)
	}
	return all
}

func (p pattern) matches(rel string, isDir bool) bool {
	return (isDir || !p.dirsOnly) && doublestar.MatchUnvalidated(p.glob, rel)
}

// Excluded reports whether rel itself is left out. The folders above it are not looked at:
// a walk does not enter an excluded folder.
func (f Filter) Excluded(rel string, isDir bool) bool {
	for _, p := range f.exclude {
		if p.matches(rel, isDir) {
			return true
		}
	}
	if isDir || len(f.include) == 0 {
		return false
	}
	for _, p := range f.include {
		if p.matches(rel, false) || p.matchesAbove(rel) {
			return false
		}
	}
	return true
}

// matchesAbove serves include patterns that name a folder: they mean everything in it.
func (p pattern) matchesAbove(rel string) bool {
	for dir := range above(rel) {
		if p.matches(dir, true) {
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

// ExcludedAnywhere reports whether rel or a folder above it is left out, for paths that were
// not found by walking down.
func (f Filter) ExcludedAnywhere(rel string, isDir bool) bool {
	for dir := range above(rel) {
		if f.Excluded(dir, true) {
			return true
		}
	}
	return f.Excluded(rel, isDir)
}
