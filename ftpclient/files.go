package ftpclient

import "context"

// Rename moves from to to (RNFR, RNTO), replacing a file that is there where the server
// does that.
func (c *Conn) Rename(ctx context.Context, from, to string) error {
	// Both names are looked at before anything is sent: a lone RNFR would be left pending.
	if _, err := c.pathCommand(ctx, "rename", to, "RNTO", ""); err != nil {
		return err
	}
	reply, err := c.doPath(ctx, "rename", from, "RNFR", "")
	if err != nil {
		return err
	}
	if !reply.Intermediate() && !reply.Completed() {
		return c.refusal("rename", from, "RNFR", reply)
	}
	_, err = c.requirePath(ctx, "rename", to, "RNTO")
	return err
}

// Remove deletes the file p.
func (c *Conn) Remove(ctx context.Context, p string) error {
	_, err := c.requirePath(ctx, "remove", p, "DELE")
	return err
}

// MakeDir creates the folder p; its parent must exist. A folder that exists already is no
// error: servers answer a MKD for one with texts that say nothing, so it is asked for.
func (c *Conn) MakeDir(ctx context.Context, p string) error {
	reply, err := c.doPath(ctx, "make folder", p, "MKD", "")
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

// RemoveDir deletes the empty folder p.
func (c *Conn) RemoveDir(ctx context.Context, p string) error {
	_, err := c.requirePath(ctx, "remove folder", p, "RMD")
	return err
}

// isDir proves that p is a folder by going there.
func (c *Conn) isDir(ctx context.Context, p string) (bool, error) {
	reply, err := c.doPath(ctx, "change folder", p, "CWD", "")
	return err == nil && reply.Completed(), err
}
