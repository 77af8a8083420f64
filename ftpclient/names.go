package ftpclient

import (
	"context"
	"fmt"
	"path"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// pathCommand is the command verb for the path p, which is sent behind what stands before it
// ("" for most commands). It goes to the folder of p where the server wants that.
func (c *Conn) pathCommand(ctx context.Context, op, p, verb, before string) (control.Command, error) {
	command, refused, err := c.place(ctx, op, p, line{verb: verb, before: before})
	if err == nil && refused.Code != 0 {
		err = c.refusal(op, p, "CWD", refused)
	}
	return command, err
}

// place is pathCommand with the refusal to enter the folder of p as a reply.
func (c *Conn) place(ctx context.Context, op, p string, l line) (command control.Command, refused control.Reply, err error) {
	absolute := c.Absolute(p)
	command, fits, err := c.direct(l, absolute)
	if err == nil && !fits {
		folder, name := c.split(absolute)
		if command, err = c.relative(l, name); err == nil { // before anything is sent
			refused, err = c.reach(ctx, op, folder)
			return command, refused, err
		}
	}
	if err != nil {
		err = &Error{Op: op, Path: p, Err: err}
	}
	return command, refused, err
}

// split returns the folder of the absolute path p and its name there. The name of the top
// folder is what the server calls it.
func (c *Conn) split(p string) (folder, name string) {
	if p == "/" {
		return p, c.naming.opaque
	}
	return path.Dir(p), path.Base(p)
}

// doPath is do for a command about the path p.
func (c *Conn) doPath(ctx context.Context, op, p, verb, before string) (control.Reply, error) {
	return c.doLine(ctx, op, p, line{verb: verb, before: before})
}

func (c *Conn) doLine(ctx context.Context, op, p string, l line) (control.Reply, error) {
	command, refused, err := c.place(ctx, op, p, l)
	if err != nil || refused.Code != 0 {
		return refused, err // what cannot be reached is refused, whatever was asked of it
	}
	return c.doCommand(ctx, op, p, command)
}

// requirePath is doPath with a 2yz reply demanded.
func (c *Conn) requirePath(ctx context.Context, op, p, verb string) (control.Reply, error) {
	reply, err := c.doPath(ctx, op, p, verb, "")
	if err == nil && !reply.Completed() {
		err = c.refusal(op, p, verb, reply)
	}
	return reply, err
}

// renameCommands are RNFR and RNTO, which must follow each other: both names are seen from
// one folder, and nothing is sent if one of them cannot be.
func (c *Conn) renameCommands(ctx context.Context, from, to string) (rnfr, rnto control.Command, err error) {
	from, to = c.Absolute(from), c.Absolute(to)
	if from == "/" || to == "/" {
		return rnfr, rnto, &Error{Op: "rename", Path: from, Err: fmt.Errorf("%w: the top folder has no name", ErrUnsendable)}
	}
	a, b := line{verb: "RNFR"}, line{verb: "RNTO"}
	rnfr, fitsFrom, err := c.direct(a, from)
	if err != nil {
		return rnfr, rnto, &Error{Op: "rename", Path: from, Err: err}
	}
	rnto, fitsTo, err := c.direct(b, to)
	if err != nil {
		return rnfr, rnto, &Error{Op: "rename", Path: to, Err: err}
	}
	if fitsFrom && fitsTo {
		return rnfr, rnto, nil
	}
	folder := commonFolder(from, to)
	if c.naming.opaque != "" && (path.Dir(from) != folder || path.Dir(to) != folder) {
		return rnfr, rnto, &Error{Op: "rename", Path: to, Err: errOpaqueMove}
	}
	if rnfr, err = c.relative(a, below(folder, from)); err != nil {
		return rnfr, rnto, &Error{Op: "rename", Path: from, Err: err}
	}
	if rnto, err = c.relative(b, below(folder, to)); err != nil {
		return rnfr, rnto, &Error{Op: "rename", Path: to, Err: err}
	}
	refused, err := c.reach(ctx, "rename", folder)
	if err == nil && refused.Code != 0 {
		err = c.refusal("rename", folder, "CWD", refused)
	}
	return rnfr, rnto, err
}

// commonFolder is the deepest folder that both absolute paths are in.
func commonFolder(a, b string) string {
	folder := path.Dir(a)
	for folder != "/" && below(folder, b) == "" {
		folder = path.Dir(folder)
	}
	return folder
}

// below is the rest of p in the folder, "" if p is not in it.
func below(folder, p string) string {
	if folder != "/" {
		folder += "/"
	}
	if len(p) > len(folder) && p[:len(folder)] == folder {
		return p[len(folder):]
	}
	return ""
}
