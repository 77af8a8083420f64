package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
)

// Expect is what has to have arrived by a certain time of the day.
type Expect struct {
	// Name is what it is called in messages and in the state; no other one of its sync has it.
	Name    string
	By      Schedule // when it has to be there
	AtLeast int      // files, >= 1
	Pattern string   // of the files; empty: any
	// Within is how long before By files count, and 0 stands for those since the time before.
	Within time.Duration
}

// Window returns the last time at or before now by which files had to be there, and from when on they count.
func (e Expect) Window(now time.Time) (from, by time.Time) {
	const enough = 16 * day // for two of a line that names one day of the week
	var before time.Time
	for next := e.By.Next(now.Add(-enough)); !next.IsZero() && !next.After(now); next = e.By.Next(next) {
		before, by = by, next
	}
	if e.Within > 0 {
		before = by.Add(-e.Within)
	}
	return before, by
}

// rawExpects are the tables of expect.
type rawExpects []rawExpect

type rawExpect struct {
	by, pattern string
	days        []string
	atLeast     int64
	within      time.Duration
}

// The keys of expect.
const (
	expectBy      = "by"
	expectDays    = "days"
	expectAtLeast = "at_least"
	expectPattern = "pattern"
	expectWithin  = "within"
)

var (
	expectKeys = []string{expectBy, expectDays, expectAtLeast, expectPattern, expectWithin}
	// weekdays are the words of days.
	weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

const (
	mostExpected  = 1_000_000
	longestWithin = 7 * day
)

func (e *rawExpects) set(value any) string {
	const form = `a table such as { by = "06:00", at_least = 1, pattern = "*.csv" }, or a list of such`
	var tables []map[string]any
	switch v := value.(type) {
	case map[string]any:
		tables = append(tables, v)
	case []map[string]any:
		tables = v
	case []any:
		for _, item := range v {
			table, ok := item.(map[string]any)
			if !ok {
				return fmt.Sprintf("must be %s, not %s", form, kindOf(value))
			}
			tables = append(tables, table)
		}
	default:
		return fmt.Sprintf("must be %s, not %s", form, kindOf(value))
	}
	*e = nil
	for _, table := range tables {
		one := rawExpect{atLeast: 1}
		if _, ok := table[expectBy].(string); !ok {
			return `needs the time of the day: write { by = "06:00" } and what else there is to say`
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if problem := one.setKey(name, table[name]); problem != "" {
				return problem
			}
		}
		*e = append(*e, one)
	}
	return ""
}

func (e *rawExpect) setKey(name string, value any) (problem string) {
	switch name {
	case expectBy:
		e.by, _ = value.(string) // it is one, or nothing of the table is read
	case expectPattern:
		pattern, ok := value.(string)
		if e.pattern = pattern; !ok {
			return fmt.Sprintf("%s must be a string in quotes, not %s", name, kindOf(value))
		}
	case expectAtLeast:
		n, ok := value.(int64)
		if e.atLeast = n; !ok || n < 1 || n > mostExpected {
			return fmt.Sprintf("%s must be a whole number from 1 to %d", name, mostExpected)
		}
	case expectDays:
		var days stringOrList
		if problem := days.set(value); problem != "" {
			return name + " " + problem
		}
		for _, word := range days {
			if !slices.Contains(weekdays, word) {
				return fmt.Sprintf(`%s: %q is not known: write some of "%s"`, name, word, strings.Join(weekdays, `", "`))
			}
		}
		e.days = days
	case expectWithin:
		var d duration
		if problem := d.set(value); problem != "" {
			return name + " " + problem
		}
		if e.within = time.Duration(d); d <= 0 || e.within > longestWithin {
			return fmt.Sprintf(`%s: %s is out of range: write more than zero, such as "6h", and at most "7d"`, name, e.within)
		}
	default:
		text := fmt.Sprintf("unknown key %q", name)
		if near := nearest(name, expectKeys); near != "" {
			return text + fmt.Sprintf(" (did you mean %q?)", near)
		}
		return text + " (known here: " + strings.Join(expectKeys, ", ") + ")"
	}
	return ""
}

func (e *rawExpects) shown() any {
	list := []any{}
	for _, one := range *e {
		t := table{{expectBy, one.by}, {expectAtLeast, one.atLeast}}
		if len(one.days) > 0 {
			t = append(t, entry{expectDays, anyList(one.days)})
		}
		if one.pattern != "" {
			t = append(t, entry{expectPattern, one.pattern})
		}
		if one.within > 0 {
			t = append(t, entry{expectWithin, (*duration)(&one.within).shown()})
		}
		list = append(list, t)
	}
	return list
}

func (*rawExpects) schema() schema {
	one := closed(schema{
		expectBy:      stringSchema,
		expectAtLeast: schema{"type": "integer", "minimum": 1, "maximum": mostExpected},
		expectPattern: stringSchema,
		expectDays:    eitherOf(schema{"enum": weekdays}, schema{"type": "array", "items": schema{"enum": weekdays}}),
		expectWithin:  new(duration).schema(),
	}, expectBy)
	return eitherOf(one, schema{"type": "array", "items": one})
}

func (l *loader) expects(at key, file rawExpects, zone *time.Location) (expects []Expect) {
	for _, raw := range file {
		clock, err := time.Parse("15:04", raw.by)
		if err != nil {
			l.fail(at, `by = %q is not a time of the day: write one such as "06:00"`, raw.by)
			continue
		}
		days := "*"
		if len(raw.days) > 0 {
			days = strings.Join(raw.days, ",")
		}
		by, err := ParseSchedule(fmt.Sprintf("%d %d * * %s", clock.Minute(), clock.Hour(), days), zone)
		if err != nil {
			l.fail(at, "%s", err)
			continue
		}
		if raw.pattern != "" {
			if err := scan.CheckPattern(raw.pattern); err != nil || hasControl(raw.pattern) || strings.HasPrefix(raw.pattern, "!") {
				l.fail(at, `pattern = %q does not work: write one such as "*.csv"`, raw.pattern)
				continue
			}
		}
		e := Expect{By: by, AtLeast: int(raw.atLeast), Pattern: raw.pattern, Within: raw.within, Name: "by " + raw.by}
		if len(raw.days) > 0 {
			e.Name += " on " + days
		}
		if raw.pattern != "" {
			e.Name = raw.pattern + " " + e.Name
		}
		if slices.ContainsFunc(expects, func(other Expect) bool { return other.Name == e.Name }) {
			l.fail(at, "%q is in the list twice: keep one of them", e.Name)
			continue
		}
		expects = append(expects, e)
	}
	return expects
}
