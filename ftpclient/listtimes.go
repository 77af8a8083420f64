package ftpclient

import (
	"context"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/list"
)

const (
	// zoneStep divides all offsets of time zones, and zoneLimit is the largest one.
	zoneStep  = 15 * time.Minute
	zoneLimit = 14 * time.Hour
	// summerTime is how far an offset of another month may be off.
	summerTime = time.Hour
	monthForm  = "2006-01"
)

// fixTimes turns the times of a LIST listing of folder, which are in a zone that servers do
// not tell, into UTC. The zone is learned from one file per month, by MDTM: the youngest one
// whose time is known to the minute. In other months the offset may be that of summer time, so
// their times get a precision of more than an hour; in a month in which the clocks change, a
// time may be an hour off. Before anything was learned, they get that of all zones: the same
// file must not look changed by what is learned later. Options.ListLocation knows better.
//
// Dates without a time of day stay the same day, and are moved within it where its last hours
// are of the next day in UTC.
func (c *Conn) fixTimes(ctx context.Context, folder string, l *Listing) error {
	if c.options.ListLocation != nil || l.Format == "mlsd" {
		return nil
	}
	if err := c.learnListOffset(ctx, folder, l.Entries); err != nil {
		return err
	}
	if c.facts.ListZone.Month == "" && !c.features.Has("MDTM") {
		return nil // and never will be, so that times stay the same
	}
	west := -min(0, time.Duration(c.facts.ListZone.Offset)*time.Second)
	for i := range l.Entries {
		entry := &l.Entries[i]
		switch {
		case entry.ModTime.IsZero():
			continue
		case entry.Precision >= list.Day:
			if west > 0 {
				entry.ModTime = entry.ModTime.Add(west + summerTime) // so that all of the day is less than a day off
			}
			continue
		case c.facts.ListZone.Month == "":
			entry.Precision += zoneLimit // the next listing may know better
			continue
		}
		month := entry.ModTime.Format(monthForm)
		entry.ModTime = entry.ModTime.Add(-time.Duration(c.facts.ListZone.Offset) * time.Second)
		if month != c.facts.ListZone.Month {
			entry.Precision += summerTime
		}
	}
	return nil
}

// learnListOffset asks for the time of the youngest file of a listing if that is of a later
// month than the one that taught the offset. The error is one of the connection.
func (c *Conn) learnListOffset(ctx context.Context, folder string, entries []list.Entry) error {
	if !c.features.Has("MDTM") {
		return nil
	}
	latest := time.Now().Add(24*time.Hour + zoneLimit) // a file from the future must not end the learning
	var youngest *list.Entry
	for i := range entries {
		e := &entries[i]
		exact := e.Type == list.File && e.Precision > 0 && e.Precision <= time.Minute && e.ModTime.Before(latest)
		if exact && (youngest == nil || e.ModTime.After(youngest.ModTime)) {
			youngest = e
		}
	}
	if youngest == nil || youngest.ModTime.Format(monthForm) <= c.facts.ListZone.Month {
		return nil
	}
	exact, err := c.ModTime(ctx, path.Join(folder, youngest.Name))
	if err != nil {
		if c.Usable() && ctx.Err() == nil {
			return nil // this file may have gone; another listing will teach
		}
		return err
	}
	// LIST cuts the seconds off. What is left beyond a minute is a change in between.
	offset, ok := zoneOffset(youngest.ModTime.Sub(exact.Truncate(youngest.Precision)), time.Minute)
	if ok {
		c.facts.ListZone.Offset, c.facts.ListZone.Month = int(offset/time.Second), youngest.ModTime.Format(monthForm)
	}
	return nil
}

// zoneOffset reads a difference between two tellings of one time as the offset of a zone.
func zoneOffset(difference, tolerance time.Duration) (time.Duration, bool) {
	offset := difference.Round(zoneStep)
	return offset, (difference-offset).Abs() <= tolerance && offset.Abs() <= zoneLimit
}
