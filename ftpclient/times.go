package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// timeFormat is the time-val of RFC 3659 section 2.3, in UTC.
const timeFormat = "20060102150405"

// SetModTime sets the modification time of the file p to t, in whole seconds. Which command
// the server understands is learned once. ErrUnsupported means that it has none.
func (c *Conn) SetModTime(ctx context.Context, p string, t time.Time) error {
	stamp := t.UTC().Format(timeFormat)
	setters := []string{c.facts.TimeSetter}
	if c.facts.TimeSetter == "" {
		setters = []string{"MDTM"} // vsftpd and IIS set times by MDTM and do not say so
		if c.features.Has("MFMT") {
			setters = []string{"MFMT", "MDTM"}
		}
	}
	var refusal error
	general := true // no refusal can be about this file alone
	for _, verb := range setters {
		if verb == "none" {
			break
		}
		reply, err := c.doPath(ctx, "set time", p, verb, stamp+" ")
		if err != nil {
			return err
		}
		if !reply.Completed() {
			refusal = c.refusal("set time", p, verb, reply)
			general = general && (verb == "MDTM" || refusedCommand(refusal))
			continue
		}
		if c.facts.TimeSetter == "" {
			// A server may take the two-argument MDTM for a question about a file with a
			// strange name, so the first success is checked.
			if got, err := c.ModTime(ctx, p); err == nil && got.Equal(t.UTC().Truncate(time.Second)) {
				c.facts.TimeSetter = verb
			} else if verb == "MDTM" {
				continue
			}
		}
		return nil
	}
	if c.facts.TimeSetter != "" && c.facts.TimeSetter != "none" {
		return refusal // it works on other files: this one is the problem
	}
	if general {
		if err := c.learnNoTimeSetter(ctx, p); err != nil {
			return err
		}
	}
	return errors.Join(&Error{Op: "set time", Path: p, Err: ErrUnsupported}, refusal)
}

// learnNoTimeSetter notes that no command sets times, if the file is there: a refusal for a
// missing file says nothing about the command.
func (c *Conn) learnNoTimeSetter(ctx context.Context, p string) error {
	if c.facts.TimeSetter == "none" {
		return nil
	}
	if _, err := c.Size(ctx, p); err != nil {
		return err
	}
	c.facts.TimeSetter = "none"
	return nil
}

// ModTime returns the modification time of the file p as the server tells it (MDTM), in UTC
// and whole seconds.
func (c *Conn) ModTime(ctx context.Context, p string) (time.Time, error) {
	reply, err := c.requirePath(ctx, "time", p, "MDTM")
	if err != nil {
		return time.Time{}, err
	}
	text := strings.TrimSpace(reply.Last())
	if len(text) < len(timeFormat) {
		return time.Time{}, &Error{Op: "time", Path: p, Err: fmt.Errorf("%w: no time in %q", ErrProtocol, text)}
	}
	t, err := time.ParseInLocation(timeFormat, text[:len(timeFormat)], time.UTC)
	if err != nil {
		return time.Time{}, &Error{Op: "time", Path: p, Err: fmt.Errorf("%w: no time in %q", ErrProtocol, text)}
	}
	return t, nil
}
