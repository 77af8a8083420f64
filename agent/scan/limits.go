package scan

import (
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// gone reports a path that at least one side does not have any more.
func gone(item plan.Item) bool {
	return item.Local.Knowledge == plan.Seen && item.Local.Entry.Kind == entry.Absent ||
		item.Remote.Knowledge == plan.Seen && item.Remote.Entry.Kind == entry.Absent
}

// HasLimits reports whether the size or the age of a file may keep it out of the sync.
func (f Filter) HasLimits() bool {
	o := f.options
	return o.MinSize > 0 || o.MaxSize > 0 || o.MinAge > 0 || o.MaxAge > 0
}

// limited reports whether the size or the age of a file keeps it out of the sync for now.
func (f *Filtering) limited(direction plan.Direction, item plan.Item) bool {
	if !f.filter.HasLimits() {
		return false
	}
	return slices.ContainsFunc(judged(direction, item), f.beyond)
}

// oldEnough is when a file is old enough that only its youth keeps out of the sync; zero: it is no such file.
func (f *Filtering) oldEnough(direction plan.Direction, item plan.Item) (at time.Time) {
	least := f.filter.options.MinAge
	if least <= 0 || !f.limited(direction, item) {
		return time.Time{}
	}
	then := *f
	for _, e := range judged(direction, item) {
		if ripe := e.ModTime.Add(least); e.Kind == entry.File && !e.ModTime.IsZero() && !e.ModTime.After(f.now) && ripe.After(at) {
			at = ripe
		}
	}
	if then.now = at; !at.After(f.now) || then.limited(direction, item) {
		return time.Time{}
	}
	return at
}

// LimitedForGood reports whether the size or the age of a file that stays as it is keeps it out of the sync: it is not only too young.
func (f *Filtering) LimitedForGood(direction plan.Direction, item plan.Item) bool {
	return f.limited(direction, item) && f.oldEnough(direction, item).IsZero()
}

// TooYoung begins what is said of a file that is not old enough.
const TooYoung = "too young until "

// young is the note of a file that is out of the sync for its youth alone, nil for any other.
func (w *walker) young(item plan.Item) *plan.Note {
	direction := w.request.Rules.Direction
	at := w.filter.oldEnough(direction, item)
	here, there := direction != plan.Down && item.Local.Entry.Kind == entry.File, direction != plan.Up && item.Remote.Entry.Kind == entry.File
	if at.IsZero() || !here && !there {
		return nil
	}
	layout := "15:04"
	if at.Local().Format(time.DateOnly) != w.began.Local().Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	return &plan.Note{Path: item.Path, Held: true, Until: at, Text: TooYoung + at.Local().Format(layout)}
}

// judged are the files whose size and age count: the source, which is both sides where both are. What is in step is as old as the
// older one of its two files: a server may have given its own the time of the transfer. A size or time that is not known is within
// all limits.
func judged(direction plan.Direction, item plan.Item) (all []entry.Entry) {
	judge := func(side plan.Side, was func(*plan.Base) entry.Entry) {
		switch {
		case side.Entry.Kind != entry.File:
		case item.Base != nil && entry.Same(side.Entry, was(item.Base)):
			all = append(all, origin(*item.Base))
		default:
			all = append(all, side.Entry)
		}
	}
	if direction != plan.Down {
		judge(item.Local, func(b *plan.Base) entry.Entry { return b.Local })
	}
	if direction != plan.Up {
		judge(item.Remote, func(b *plan.Base) entry.Entry { return b.Remote })
	}
	switch {
	case len(all) > 0:
	case item.Base != nil && item.Base.Local.Kind == entry.File:
		all = append(all, origin(*item.Base))
	case direction == plan.Down:
		all = append(all, item.Local.Entry)
	default:
		all = append(all, item.Remote.Entry)
	}
	return all
}

// origin is the file that both sides agreed on, with the older one of its times.
func origin(b plan.Base) entry.Entry {
	e := b.Local
	if other := b.Remote.ModTime; !other.IsZero() && (e.ModTime.IsZero() || other.Before(e.ModTime)) {
		e.ModTime = other
	}
	return e
}

// beyond reports whether a file is too small or large, too new or too old. A time in the future tells nothing about its age.
func (f *Filtering) beyond(e entry.Entry) bool {
	o := f.filter.options
	if e.Kind != entry.File {
		return false
	}
	if e.Size >= 0 && (e.Size < o.MinSize || o.MaxSize > 0 && e.Size > o.MaxSize) {
		return true
	}
	age := f.now.Sub(e.ModTime)
	return !e.ModTime.IsZero() && age >= 0 && (age < o.MinAge || o.MaxAge > 0 && age > o.MaxAge)
}
