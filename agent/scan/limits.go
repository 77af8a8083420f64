package scan

import (
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

// limited reports whether the size or the age of a file keeps it out of the sync for now. It is the source that counts, which is
// both sides where both are. What is in step is as old as the older one of its two files: a server may have given its own the
// time of the transfer. A size or time that is not known is within all limits.
func (f *Filtering) limited(direction plan.Direction, item plan.Item) bool {
	if !f.filter.HasLimits() {
		return false
	}
	var judged []entry.Entry
	judge := func(side plan.Side, was func(*plan.Base) entry.Entry) {
		switch {
		case side.Entry.Kind != entry.File:
		case item.Base != nil && entry.Same(side.Entry, was(item.Base)):
			judged = append(judged, origin(*item.Base))
		default:
			judged = append(judged, side.Entry)
		}
	}
	if direction != plan.Down {
		judge(item.Local, func(b *plan.Base) entry.Entry { return b.Local })
	}
	if direction != plan.Up {
		judge(item.Remote, func(b *plan.Base) entry.Entry { return b.Remote })
	}
	switch {
	case len(judged) > 0:
	case item.Base != nil && item.Base.Local.Kind == entry.File:
		judged = append(judged, origin(*item.Base))
	case direction == plan.Down:
		judged = append(judged, item.Local.Entry)
	default:
		judged = append(judged, item.Remote.Entry)
	}
	for _, e := range judged {
		if e.Kind == entry.File && f.beyond(e) {
			return true
		}
	}
	return false
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
	if e.Size >= 0 && (e.Size < o.MinSize || o.MaxSize > 0 && e.Size > o.MaxSize) {
		return true
	}
	age := f.now.Sub(e.ModTime)
	return !e.ModTime.IsZero() && age >= 0 && (age < o.MinAge || o.MaxAge > 0 && age > o.MaxAge)
}
