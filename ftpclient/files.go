package ftpclient

import (
	"context"
	"fmt"
	"path"
	"strings"
)

// errOpaqueMove: RNFR and RNTO are said in one folder, and paths cannot be composed.
var errOpaqueMove = fmt.Errorf("%w: moving between folders, on servers whose paths are not those of Unix", ErrUnsupported)

// Rename moves from to to (RNFR, RNTO), replacing a file that is there where the server
// does that. If the reply is lost, it has worked when from is gone and to has its size.
func (c *Conn) Rename(ctx context.Context, from, to string) error {
	rnfr, rnto, err := c.renameCommands(ctx, from, to)
	if err != nil {
		return err
	}
	reply, err := c.doCommand(ctx, "rename", from, rnfr)
	if err != nil {
		return err
	}
	if !reply.Intermediate() && !reply.Completed() {
		return c.refusal("rename", from, "RNFR", reply)
	}
	reply, err = c.doCommand(ctx, "rename", to, rnto)
	if err == nil && !reply.Completed() {
		err = c.refusal("rename", to, "RNTO", reply)
	}
	if err == nil {
		c.learnTaken(to)
	}
	return err
}

// Remove deletes the file p, or a link. If the reply is lost, absence tells that it has
// worked. On OpenVMS, which keeps older versions of a file, the newest one goes and the one
// before it shows up; those of entries (list.Entry.Unique) can be named one by one.
func (c *Conn) Remove(ctx context.Context, p string) error {
	reply, err := c.doPath(ctx, "remove", p, "DELE", "")
	if err != nil || reply.Completed() {
		return err
	}
	refusal := c.refusal("remove", p, "DELE", reply)
	if c.facts.Server != "vms" || strings.Contains(path.Base(p), ";") || refusal.meaning() != nil {
		return refusal
	}
	// Of all commands, this one alone may demand a version; 0 is the newest.
	if reply, err = c.doLine(ctx, "remove", p, line{verb: "DELE", after: ";0"}); err == nil && !reply.Completed() {
		err = refusal
	}
	return err
}

// MakeDir creates the folder p; its parent must exist. A folder that exists already is no
// error: servers answer a MKD for one with texts that say nothing, so it is asked for. So
// calling it again is what to do when the reply is lost.
func (c *Conn) MakeDir(ctx context.Context, p string) error {
	reply, err := c.doPath(ctx, "make folder", p, "MKD", "")
	if err == nil && reply.Completed() {
		c.learnTaken(p)
	}
	if err != nil || reply.Completed() {
		return err
	}
	refusal := c.refusal("make folder", p, "MKD", reply)
	exists, err := c.isDir(ctx, p)
	if err != nil {
		return err
	}
	if exists {
		return nil
	}
	return refusal
}

// RemoveDir deletes the empty folder p. If the reply is lost, absence tells that it has
// worked.
func (c *Conn) RemoveDir(ctx context.Context, p string) error {
	_, err := c.requirePath(ctx, "remove folder", p, "RMD")
	return err
}

// isDir proves that p is a folder by going there.
func (c *Conn) isDir(ctx context.Context, p string) (bool, error) {
	reply, err := c.changeFolder(ctx, "change folder", c.Absolute(p))
	return err == nil && reply.Completed(), err
}
