package ftpclient

import (
	"context"
	"fmt"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

func (c *Conn) login(ctx context.Context, loggedIn bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*c.options.ReplyTimeout, ErrTimeout)
	defer cancel()
	if !loggedIn {
		if err := c.authenticate(ctx); err != nil {
			return err
		}
	}
	if err := c.readFeatures(ctx); err != nil {
		return err
	}
	if c.tls != nil {
		if err := c.protectData(ctx); err != nil {
			return err
		}
	}
	reply, err := c.do(ctx, "login", "", "PWD", "")
	if err != nil {
		return err
	}
	if err := c.arrive(parsePWD(reply)); err != nil {
		return err
	}
	reply, err = c.do(ctx, "login", "", "TYPE", "I")
	if err != nil {
		return err
	}
	if !reply.Completed() {
		return c.refusal("login", "", "TYPE", reply)
	}
	return nil
}

// authenticate sends USER and PASS. Servers may be content after USER (230, 232).
func (c *Conn) authenticate(ctx context.Context) error {
	verb := "USER"
	reply, err := c.do(ctx, "login", "", verb, c.options.User)
	if err != nil {
		return err
	}
	if reply.Code == 331 {
		verb = "PASS"
		reply, err = c.doSecret(ctx, "login", verb, c.options.Password)
		if err != nil {
			return err
		}
	}
	if !reply.Completed() {
		return c.refusal("login", "", verb, reply)
	}
	return nil
}

// readFeatures asks FEAT after the login, because servers change the list with it, and
// switches names to UTF-8 where that has to be asked for.
func (c *Conn) readFeatures(ctx context.Context) error {
	reply, err := c.do(ctx, "login", "", "FEAT", "")
	if err != nil {
		return err
	}
	c.features = Features{}
	if reply.Completed() {
		c.features = parseFeatures(reply.Lines)
	}
	if c.features.Has("UTF8") && c.options.wantsUTF8() {
		// Refusals are fine: two of the servers in use have UTF-8 on and refuse the command.
		if _, err := c.do(ctx, "login", "", "OPTS", "UTF8 ON"); err != nil {
			return err
		}
	}
	return nil
}

// protectData demands encrypted data connections (RFC 4217 sections 8 and 9).
func (c *Conn) protectData(ctx context.Context) error {
	if _, err := c.do(ctx, "login", "", "PBSZ", "0"); err != nil {
		return err
	}
	reply, err := c.do(ctx, "login", "", "PROT", "P")
	if err != nil {
		return err
	}
	if !reply.Completed() {
		e := c.refusal("login", "", "PROT", reply)
		e.Err = fmt.Errorf("%w: the server refuses PROT P", ErrInsecure)
		return e
	}
	return nil
}

// parsePWD takes the folder out of 257 "folder" text. Quotes in the name are doubled by
// most servers and not by all, so an odd reading ends at the last quote of the line.
func parsePWD(reply control.Reply) string {
	text := reply.Last()
	open := strings.IndexByte(text, '"')
	if !reply.Completed() || open < 0 {
		return "/"
	}
	rest := text[open+1:]
	for i := 0; i < len(rest); i++ {
		if rest[i] != '"' {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '"' {
			i++
			continue
		}
		if i > 0 && (i+1 == len(rest) || rest[i+1] == ' ') {
			return strings.ReplaceAll(rest[:i], `""`, `"`)
		}
		break
	}
	if last := strings.LastIndexByte(rest, '"'); last > 0 {
		return rest[:last]
	}
	return "/"
}
