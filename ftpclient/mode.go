package ftpclient

import (
	"context"
	"fmt"
	"io/fs"
)

// SetMode sets the permission bits of p, with setuid, setgid and sticky, by SITE CHMOD.
// ErrUnsupported means that the server has no such command.
func (c *Conn) SetMode(ctx context.Context, p string, mode fs.FileMode) error {
	if c.facts.NoChmod {
		return &Error{Op: "set mode", Path: p, Err: ErrUnsupported}
	}
	bits := uint32(mode.Perm())
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	reply, err := c.doPath(ctx, "set mode", p, "SITE CHMOD", fmt.Sprintf("%03o ", bits))
	if err != nil || reply.Completed() {
		return err
	}
	refusal := c.refusal("set mode", p, "SITE CHMOD", reply)
	if refusedCommand(refusal) && reply.Code != 501 { // which may be about the name
		c.facts.NoChmod = true
		refusal.Err = ErrUnsupported
	}
	return refusal
}
