package config

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
)

// NameTemplate makes names out of names and times. The zero template is none.
type NameTemplate struct {
	text string
	zone *time.Location // of the times in it
}

// The placeholders of templates; those that end with a colon have a layout behind it.
const (
	placeName  = "name"
	placeStem  = "stem"
	placeExt   = "ext"
	placeDate  = "date"
	placeTime  = "time"
	placeMTime = "mtime:"
	placeNow   = "now:"
)

const (
	dateLayout = "2006-01-02"
	timeLayout = "150405"
)

// placeholders are all of them.
var placeholders = []string{placeName, placeStem, placeExt, placeDate, placeTime, placeMTime, placeNow}

// ParseNameTemplate reads a template. Placeholders are {name}, {stem} and {ext} of the file (a dot at the begin is part of
// the stem), {date} and {time} as YYYY-MM-DD and HHMMSS and {now:LAYOUT} of the moment, and {mtime:LAYOUT} of the file's
// modification, each in zone, with layouts of package time.
func ParseNameTemplate(text string, zone *time.Location) (NameTemplate, error) {
	if hasControl(text) {
		return NameTemplate{}, fmt.Errorf("%q contains a control character", text)
	}
	for rest := text; rest != ""; {
		literal, placeholder, after, err := nextPlaceholder(rest)
		if err != nil {
			return NameTemplate{}, fmt.Errorf("%q: %w", text, err)
		}
		if strings.Contains(literal, "}") {
			return NameTemplate{}, fmt.Errorf(`%q has a "}" without a "{" before it`, text)
		}
		if err := checkPlaceholder(placeholder); placeholder != "" && err != nil {
			return NameTemplate{}, fmt.Errorf("%q: %w", text, err)
		}
		rest = after
	}
	return NameTemplate{text, zone}, nil
}

// ready checks the name of files that say of others that they are complete.
func (l *loader) ready(at key, text string) string {
	if text == "" {
		return ""
	}
	template, err := ParseNameTemplate(text, time.UTC)
	written := strings.NewReplacer("{"+placeName+"}", "", "{"+placeStem+"}", "", "{"+placeExt+"}", "").Replace(text)
	switch {
	case err != nil:
		l.fail(at, "%s", err)
	case strings.ContainsAny(text, `/\`):
		l.fail(at, `%q has a slash: write the name alone, such as "{name}.done", in the folder of the file that it is about`, text)
	case template.uses(placeDate, placeTime, placeNow, placeMTime):
		l.fail(at, `%q holds a time: the name is made of {name}, {stem} and {ext}, such as "{name}.done"`, text)
	case written == "" || written == text && !isName(text):
		l.fail(at, `%q would be the name of the files themselves: write more, such as "{name}.done"`, text)
	case template.uses(placeExt) && !template.uses(placeName, placeStem):
		l.fail(at, `%q does not say which file it is about: write {name} or {stem} too, or a name without any placeholder for all files of a folder`, text)
	default:
		return text
	}
	return ""
}

// nextPlaceholder splits what comes before the first placeholder, its content, and what follows it.
func nextPlaceholder(text string) (literal, placeholder, rest string, err error) {
	literal, rest, found := strings.Cut(text, "{")
	if !found {
		return literal, "", "", nil
	}
	placeholder, rest, found = strings.Cut(rest, "}")
	switch {
	case !found:
		return "", "", "", fmt.Errorf(`a "{" without a "}" behind it`)
	case placeholder == "":
		return "", "", "", fmt.Errorf("{} says nothing: write one of %s", placeholderList())
	}
	return literal, placeholder, rest, nil
}

func placeholderList() string {
	forms := make([]string, len(placeholders))
	for i, name := range placeholders {
		if strings.HasSuffix(name, ":") {
			name += dateLayout
		}
		forms[i] = "{" + name + "}"
	}
	return strings.Join(forms, ", ")
}

// checkPlaceholder says what is wrong with what stands between braces.
func checkPlaceholder(text string) error {
	name, layout, hasLayout := strings.Cut(text, ":")
	if hasLayout {
		name += ":"
	}
	if !slices.Contains(placeholders, name) {
		switch {
		case name == strings.TrimSuffix(placeMTime, ":") || name == strings.TrimSuffix(placeNow, ":"):
			return fmt.Errorf("{%s} needs a layout, such as {%s:%s}", name, name, dateLayout)
		case hasLayout && slices.Contains(placeholders, strings.TrimSuffix(name, ":")):
			return fmt.Errorf("{%s} has no layout: write {%s}, or {now:%s}", text, strings.TrimSuffix(name, ":"), layout)
		}
		if near := nearest(name, placeholders); near != "" {
			return fmt.Errorf("{%s} is not known (did you mean {%s}?)", text, strings.TrimSuffix(near, ":")+suffixIf(layout))
		}
		return fmt.Errorf("{%s} is not known: write one of %s", text, placeholderList())
	}
	if !hasLayout {
		return nil
	}
	// Two times that differ in everything: a layout that makes the same of both, such as YYYYMMDD, is none.
	first, second := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2018, 11, 24, 17, 38, 49, 0, time.UTC)
	if first.Format(layout) == second.Format(layout) {
		return fmt.Errorf("%q is not a layout: write 2006 for the year, 01 for the month, 02 for the day, 15 for the hour, "+
			"04 for the minute and 05 for the second, such as {%s%s}", layout, name, dateLayout)
	}
	return nil
}

func suffixIf(layout string) string {
	if layout == "" {
		return ""
	}
	return ":" + layout
}

// IsZero reports that there is no template.
func (t NameTemplate) IsZero() bool { return t.text == "" }

// String is the template as it was written.
func (t NameTemplate) String() string { return t.text }

// Equal reports whether both make the same names.
func (t NameTemplate) Equal(other NameTemplate) bool {
	return t.text == other.text && t.zone.String() == other.zone.String()
}

// Expand returns the name for a file: rel is its path, of which the last element counts. No element of what it returns is
// empty, "." or "..", and there is no slash in it unless there is one in the template or rel is empty. A time that is
// not known is left out of account: modified falls back to now.
func (t NameTemplate) Expand(rel string, modified, now time.Time) string {
	name := path.Base(rel)
	if modified.IsZero() {
		modified = now
	}
	zone := t.zone
	if zone == nil {
		zone = time.Local
	}
	stem, ext := scan.SplitName(name)
	var b strings.Builder
	for rest := t.text; rest != ""; {
		literal, placeholder, after, err := nextPlaceholder(rest)
		if err != nil { // ParseNameTemplate lets none through
			break
		}
		b.WriteString(literal)
		kind, layout, hasLayout := strings.Cut(placeholder, ":")
		if hasLayout {
			kind += ":"
		}
		switch kind {
		case placeName:
			b.WriteString(name)
		case placeStem:
			b.WriteString(stem)
		case placeExt:
			b.WriteString(ext)
		case placeDate:
			b.WriteString(now.In(zone).Format(dateLayout))
		case placeTime:
			b.WriteString(now.In(zone).Format(timeLayout))
		case placeNow:
			b.WriteString(now.In(zone).Format(layout))
		case placeMTime:
			b.WriteString(modified.In(zone).Format(layout))
		}
		rest = after
	}
	return harmless(b.String(), name)
}

// harmless replaces what would be no name of its own, or that of another folder.
func harmless(expanded, name string) string {
	if !isName(name) {
		name = "_"
	}
	var parts []string
	for part := range strings.SplitSeq(expanded, "/") {
		switch {
		case part == "":
		case isName(part):
			parts = append(parts, part)
		default:
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 {
		return name
	}
	return strings.Join(parts, "/")
}

func isName(part string) bool {
	return part != "" && part != "." && part != ".." && !strings.Contains(part, "/")
}

// uses reports whether one of the placeholders is in the template.
func (t NameTemplate) uses(kinds ...string) bool {
	for rest := t.text; rest != ""; {
		_, placeholder, after, err := nextPlaceholder(rest)
		if err != nil {
			return false
		}
		name, _, hasLayout := strings.Cut(placeholder, ":")
		if hasLayout {
			name += ":"
		}
		if slices.Contains(kinds, name) {
			return true
		}
		rest = after
	}
	return false
}
