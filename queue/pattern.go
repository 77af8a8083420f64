package queue

import (
	"fmt"
	"path"
	"strings"
)

// MatchPath reports whether pattern chooses path, which is relative to the root of a sync. A
// pattern chooses a path that it matches as a whole, and all that is below such a path:
//
//	in/docs         that path, and all below it; in/docs/ and /in/docs are the same
//	docs            without a slash: whatever has that name in any folder, and all below it
//	/docs  docs/    only the one at the root
//	*.html          a name in any folder; *, ? and [...] are those of path.Match
//	in/**/*.html    ** is any number of folders, also none
//	in/**           all below, but not in itself
//
// A path is always matched by the very same text, even if that would mean something else as a
// pattern. What ValidPattern refuses matches nothing but that. "" and "/" match everything.
func MatchPath(pattern, path string) bool { return parsePattern(pattern).matches(path) }

// ValidPattern says what is wrong with a pattern for MatchPath, nil if nothing is.
func ValidPattern(pattern string) error {
	for part := range strings.SplitSeq(pattern, "/") {
		if _, err := path.Match(part, ""); err != nil {
			return fmt.Errorf(`pattern %q: %q is not right (a "[" needs its "]" before the next slash, and a "\" something to follow; \[ and \\ stand for themselves): %w`,
				pattern, part, err)
		}
	}
	return nil
}

// pathPattern is a pattern taken apart once for many paths.
type pathPattern struct {
	literal string
	parts   []string
}

func parsePattern(pattern string) pathPattern {
	p := pathPattern{literal: strings.Trim(pattern, "/")}
	if p.literal == "" {
		return p
	}
	if ValidPattern(p.literal) != nil {
		return p
	}
	if !strings.Contains(pattern, "/") {
		p.parts = append(p.parts, "**")
	}
	p.parts = append(p.parts, strings.Split(p.literal, "/")...)
	return p
}

func (p pathPattern) matches(path string) bool {
	if rest, ok := strings.CutPrefix(path, p.literal); ok && (p.literal == "" || rest == "" || rest[0] == '/') {
		return true
	}
	return len(p.parts) > 0 && path != "" && matchParts(p.parts, strings.Split(path, "/"))
}

// matchParts reports whether the parts of a pattern match the first names of a path. What follows
// one ** up to the next is tried at each place in turn; the first place that fits is as good as
// any later one, so there is no way back beyond the last **, and the time is bounded by the
// product of the lengths.
func matchParts(parts, names []string) bool {
	star, from := -1, 0 // the last ** and the first name that it does not cover
	for i, n := 0, 0; ; {
		switch {
		case i == len(parts):
			return true
		case parts[i] == "**":
			if i == len(parts)-1 {
				return n < len(names) // below is not the folder itself
			}
			star, from = i, n
			i++
		case n < len(names) && matchName(parts[i], names[n]):
			i, n = i+1, n+1
		case star < 0 || from >= len(names):
			return false
		default:
			from++
			i, n = star+1, from
		}
	}
}

func matchName(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
