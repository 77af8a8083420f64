package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// timeFormat is the time-val of RFC 3659 section 2.3, in UTC.
const timeFormat = "20060102150405"

// coarsest is the unit of time of FAT, the coarsest of the file systems in use.
const coarsest = 2 * time.Second

// clocksDiffer is how far the clock of a server may be off while its zone is still seen.
const clocksDiffer = 5 * time.Minute

// timeSetter is a command that sets the modification time of a file.
type timeSetter struct {
	name string // in Facts.TimeSetter
	line func(stamp string) line
	// asks: to servers that do not set times by it, it is a question about a file of another
	// name, so that refusing it says nothing about this file.
	asks bool
}

var timeSetters = []timeSetter{
	{name: "MFMT", line: func(t string) line { return line{verb: "MFMT", before: t + " "} }},
	{name: "MFF", line: func(t string) line { return line{verb: "MFF", before: "Modify=" + t + "; "} }},
	{name: "SITE UTIME", line: func(t string) line {
		return line{verb: "SITE UTIME", after: " " + t + " " + t + " " + t + " UTC"} // accessed, modified, made
	}},
	{name: "SITE UTIME 2", line: func(t string) line { return line{verb: "SITE UTIME", before: t + " "} }},
	{name: "MDTM", line: func(t string) line { return line{verb: "MDTM", before: t + " "} }, asks: true},
}

// timeSetters is what to try on a server, best first. vsftpd and IIS set times by MDTM and
// do not say so.
func (f Features) timeSetters() []timeSetter {
	listed := map[string]bool{
		"MFMT": f.Has("MFMT"), "MFF": f.says("MFF", "modify"), "MDTM": true,
		"SITE UTIME": f.says("SITE", "utime"), "SITE UTIME 2": f.says("SITE", "utime"),
	}
	var setters []timeSetter
	for _, s := range timeSetters {
		if listed[s.name] {
			setters = append(setters, s)
		}
	}
	return setters
}

// says reports whether the parameters of a feature have a word in them.
func (f Features) says(name, word string) bool {
	for _, parameters := range f[name] {
		if strings.Contains(strings.ToLower(parameters), word) {
			return true
		}
	}
	return false
}

// SetModTime sets the modification time of the file p to t, in whole seconds. Which command
// the server understands is learned once, with a look at what came of it. ErrUnsupported means
// that it has none.
func (c *Conn) SetModTime(ctx context.Context, p string, t time.Time) error {
	t = t.UTC().Truncate(time.Second)
	if c.facts.TimeSetter == "none" {
		return &Error{Op: "set time", Path: p, Err: ErrUnsupported}
	}
	for _, s := range timeSetters {
		if s.name == c.facts.TimeSetter {
			_, refusal, err := c.trySetter(ctx, p, t, s)
			return errors.Join(err, refusal)
		}
	}
	learned, general, refusal, err := c.trySetters(ctx, p, t, c.features.timeSetters())
	if err != nil || learned {
		return err
	}
	if general {
		// A refusal for a missing file says nothing about the commands.
		if _, err := c.Size(ctx, p); err != nil {
			return err
		}
		learned, general, err = c.tryUnlisted(ctx, p, t)
		if err != nil || learned {
			return err
		}
	}
	if general {
		c.facts.TimeSetter = "none"
	}
	return errors.Join(&Error{Op: "set time", Path: p, Err: ErrUnsupported}, refusal)
}

// tryUnlisted tries SITE UTIME where FEAT is silent and SITE HELP is not: servers older than
// FEAT tell there what SITE does.
func (c *Conn) tryUnlisted(ctx context.Context, p string, t time.Time) (learned, general bool, err error) {
	if c.features.says("SITE", "utime") {
		return false, true, nil
	}
	help, err := c.do(ctx, "set time", p, "SITE", "HELP")
	if err != nil || !help.Completed() || !saysAny(help.Text(), "utime") {
		return false, true, err
	}
	var setters []timeSetter
	for _, s := range timeSetters {
		if s.line("").verb == "SITE UTIME" {
			setters = append(setters, s)
		}
	}
	learned, general, _, err = c.trySetters(ctx, p, t, setters)
	return learned, general, err
}

// trySetters tries one setter after the other. general means that no refusal can be about
// this file alone.
func (c *Conn) trySetters(ctx context.Context, p string, t time.Time, setters []timeSetter) (learned, general bool, refusal, err error) {
	general = true
	for _, s := range setters {
		done, refused, err := c.trySetter(ctx, p, t, s)
		switch {
		case err != nil:
			return false, false, nil, err
		case refused != nil:
			refusal = refused
			general = general && (s.asks || refusedCommand(refused))
		case done:
			return true, general, nil, nil
		}
	}
	return false, general, refusal, nil
}

// stamp is a time as the setters take it.
func (c *Conn) stamp(t time.Time) string {
	return t.Add(time.Duration(c.facts.SetterOffset) * time.Second).UTC().Format(timeFormat)
}

// trySetter sets a time by one command. The first success is checked: done is false when
// nothing came of it. refusal is what the server said, err is the end of the connection.
func (c *Conn) trySetter(ctx context.Context, p string, t time.Time, s timeSetter) (done bool, refusal, err error) {
	reply, err := c.doLine(ctx, "set time", p, s.line(c.stamp(t)))
	if err != nil {
		return false, nil, err
	}
	if !reply.Completed() {
		return false, c.refusal("set time", p, s.line("").verb, reply), nil
	}
	if c.facts.TimeSetter == s.name {
		return true, nil, nil
	}
	got, err := c.ModTime(ctx, p)
	if err != nil {
		if !c.Usable() {
			return false, nil, err
		}
		return !s.asks, nil, nil // nothing to check with
	}
	off := got.Sub(t)
	if offset, ok := zoneOffset(off, coarsest); ok && offset != 0 {
		switch {
		case c.facts.MDTMZone.Known && c.facts.SetterOffset == 0:
			c.facts.SetterOffset = -int(offset / time.Second)
			if done, refusal, err = c.trySetter(ctx, p, t, s); !done {
				c.facts.SetterOffset = 0
			}
			return done, refusal, err
		case !c.facts.MDTMZone.Known && !s.asks:
			// Set in UTC and told in local time, as by IIS and some storage boxes.
			c.learnMDTM(offset)
			off -= offset
		}
	}
	if off.Abs() > coarsest {
		return false, nil, nil
	}
	c.facts.TimeSetter = s.name
	return true, nil, nil
}

// LearnTimeZone compares the time that MDTM tells of the file p with the time at which it was
// written, just now by an upload: a difference of a time zone is that of MDTM, and ModTime
// allows for it from then on. It should be called once per server, after its first upload and
// before SetModTime, which cannot tell whether a server that sets and tells times in the same
// zone means UTC. Summer time makes times of the other half of the year an hour wrong.
func (c *Conn) LearnTimeZone(ctx context.Context, p string, written time.Time) error {
	if c.facts.MDTMZone.Known {
		return nil
	}
	told, err := c.ModTime(ctx, p)
	if err != nil {
		return err
	}
	return c.learnZoneOf(p, told, written)
}

// learnZoneOf is LearnTimeZone, with the time that was told.
func (c *Conn) learnZoneOf(p string, told, written time.Time) error {
	offset, ok := zoneOffset(told.Sub(written), clocksDiffer)
	if !ok {
		return &Error{Op: "time", Path: p, Err: fmt.Errorf("%w: the zone of its times cannot be told, its clock is %s ahead", ErrUnsupported, told.Sub(written))}
	}
	c.learnMDTM(offset)
	return nil
}

// learnMDTM notes how far MDTM is ahead of UTC. What was learned by comparing LIST with it is
// off by as much.
func (c *Conn) learnMDTM(offset time.Duration) {
	seconds := int(offset / time.Second)
	if c.facts.ListZone.Month != "" {
		c.facts.ListZone.Offset += seconds - c.facts.MDTMZone.Offset
	}
	c.facts.MDTMZone.Offset, c.facts.MDTMZone.Known = seconds, true
}

// precisionMDTM is that of times told by MDTM: in local time, those of the other half of the
// year may be an hour off.
func (c *Conn) precisionMDTM() list.Precision {
	if c.facts.MDTMZone.Offset != 0 {
		return time.Second + summerTime
	}
	return time.Second
}

// ModTime returns the modification time of the file p as the server tells it (MDTM), in UTC
// and whole seconds.
func (c *Conn) ModTime(ctx context.Context, p string) (time.Time, error) {
	reply, err := c.doPath(ctx, "time", p, "MDTM", "")
	if err != nil {
		return time.Time{}, err
	}
	return c.readTime(p, reply)
}

// readTime reads the reply to MDTM.
func (c *Conn) readTime(p string, reply control.Reply) (time.Time, error) {
	if !reply.Completed() {
		return time.Time{}, c.refusal("time", p, "MDTM", reply)
	}
	t, err := c.parseTime(reply.Last())
	if err != nil {
		return t, &Error{Op: "time", Path: p, Err: err}
	}
	return t, nil
}

// parseTime reads the text of a reply to MDTM. Fractions of seconds are cut off.
func (c *Conn) parseTime(text string) (time.Time, error) {
	stamp, _, _ := strings.Cut(strings.TrimSpace(text), " ") // some repeat the name behind it
	t, _, ok := list.ParseTime(stamp)
	if !ok {
		return time.Time{}, fmt.Errorf("%w: no time in %q", ErrProtocol, text)
	}
	return t.Truncate(time.Second).Add(-time.Duration(c.facts.MDTMZone.Offset) * time.Second), nil
}
