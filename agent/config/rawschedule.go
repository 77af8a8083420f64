package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rawSchedules are the lines of schedule: cron lines, and tables with one.
type rawSchedules []rawSchedule

// rawSchedule has the words of one line, by their keys. A cron line alone is a table with nothing else.
type rawSchedule struct {
	words map[string]string
	// durations are those that were written; their keys are not in words.
	durations map[string]time.Duration
}

// The keys of a schedule.
const (
	scheduleCron    = "cron"
	scheduleDo      = "do"
	scheduleZone    = "time_zone"
	scheduleMissed  = "missed"
	scheduleGrace   = "grace"
	scheduleOverlap = "overlap"
	scheduleJitter  = "jitter"
)

var scheduleKeys = []string{scheduleCron, scheduleDo, scheduleZone, scheduleMissed, scheduleGrace, scheduleOverlap, scheduleJitter}

// scheduleWords are what keys of a schedule may say, the default first.
var scheduleWords = map[string][]string{
	scheduleDo:      {DoSync, DoScan, DoVerify, DoPurge},
	scheduleMissed:  {MissedOnce, MissedSkip, MissedAll},
	scheduleOverlap: {OverlapSkip, OverlapQueue, OverlapCancel},
}

func (s *rawSchedules) set(value any) string {
	const form = `a cron line such as "0 3 * * *", a table such as { cron = "0 3 * * *", do = "verify" }, or a list of such`
	lines := []any{value}
	switch v := value.(type) {
	case []any:
		lines = v
	case []map[string]any:
		lines = nil
		for _, table := range v {
			lines = append(lines, table)
		}
	}
	*s = nil
	for _, line := range lines {
		switch v := line.(type) {
		case string:
			*s = append(*s, rawSchedule{words: map[string]string{scheduleCron: v}})
		case map[string]any:
			schedule, problem := readSchedule(v)
			if problem != "" {
				return problem
			}
			*s = append(*s, schedule)
		default:
			return fmt.Sprintf("must be %s, not %s", form, kindOf(value))
		}
	}
	return ""
}

// readSchedule returns what is wrong with a table, or "".
func readSchedule(table map[string]any) (rawSchedule, string) {
	s := rawSchedule{words: map[string]string{}, durations: map[string]time.Duration{}}
	cron, ok := table[scheduleCron].(string)
	if !ok {
		return s, `a table without its line: write { cron = "0 3 * * *" } and what else there is to say`
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		switch {
		case name == scheduleGrace || name == scheduleJitter:
			var d duration
			if problem := d.set(table[name]); problem != "" {
				return s, fmt.Sprintf("%q: %s %s", cron, name, problem)
			}
			if s.durations[name] = time.Duration(d); d <= 0 {
				return s, fmt.Sprintf("%q: %s is not more than zero: leave it out, or write one such as %q", cron, name, "30s")
			}
		case !slices.Contains(scheduleKeys, name):
			text := fmt.Sprintf("%q: unknown key %q", cron, name)
			if near := nearest(name, scheduleKeys); near != "" {
				return s, text + fmt.Sprintf(" (did you mean %q?)", near)
			}
			return s, text + " (known here: " + strings.Join(scheduleKeys, ", ") + ")"
		default:
			word, isWord := table[name].(string)
			if !isWord {
				return s, fmt.Sprintf("%q: %s must be a string in quotes, not %s", cron, name, kindOf(table[name]))
			}
			if words := scheduleWords[name]; words != nil && !slices.Contains(words, word) {
				last := len(words) - 1
				return s, fmt.Sprintf(`%q: %s = %q is not known: write "%s" or %q`, cron, name, word, strings.Join(words[:last], `", "`), words[last])
			}
			s.words[name] = word
		}
	}
	return s, ""
}

// schedules checks the lines of a sync, whose zone is that of lines that name none.
func (l *loader) schedules(at key, lines rawSchedules, zone *time.Location) []Schedule {
	var schedules []Schedule
	for _, line := range lines {
		in := zone
		if name := line.words[scheduleZone]; name != "" {
			if in = l.zone(at.child(scheduleZone), name); in == nil {
				continue
			}
		}
		schedule, err := line.schedule(in)
		if err != nil {
			l.fail(at, "%s", err)
			continue
		}
		if slices.ContainsFunc(schedules, func(other Schedule) bool { return other.Name == schedule.Name }) {
			l.fail(at, "%q is in the list twice: keep one of them", schedule.Name)
			continue
		}
		schedules = append(schedules, schedule)
	}
	return schedules
}

func (r rawSchedule) schedule(zone *time.Location) (Schedule, error) {
	s, err := ParseSchedule(r.words[scheduleCron], zone)
	if err != nil {
		return s, err
	}
	for key, target := range map[string]*string{scheduleDo: &s.Do, scheduleMissed: &s.Missed, scheduleOverlap: &s.Overlap} {
		if word := r.words[key]; word != "" {
			*target = word
		}
	}
	s.Grace, s.Jitter = r.durations[scheduleGrace], r.durations[scheduleJitter]
	if s.Do != DoSync {
		s.Name = s.Do + " " + s.Name
	}
	if name := r.words[scheduleZone]; name != "" {
		s.Name += " " + name
	}
	shortest := s.shortest()
	switch {
	case s.Grace > 0 && s.Missed == MissedSkip:
		return s, fmt.Errorf(`%q: grace has no meaning with missed = "skip", which makes up for nothing: remove one of them`, s.Spec)
	case s.Jitter >= shortest:
		return s, fmt.Errorf("%q: jitter is %s, and the next run may be due after %s: write a shorter one", s.Spec, s.Jitter, shortest)
	}
	return s, nil
}
