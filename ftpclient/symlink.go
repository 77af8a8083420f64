package ftpclient

import (
	"context"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// Symlink makes p a symbolic link to target, which is relative to the folder of p or absolute, by SITE SYMLINK. Servers make the
// target absolute, and want it to exist. ErrUnsupported means that the server makes no links.
func (c *Conn) Symlink(ctx context.Context, target, p string) error {
	at := c.Absolute(p)
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(at), target)
	}
	from, err := c.wire(target)
	if err != nil {
		return &Error{Op: "link", Path: p, Err: err}
	}
	to, err := c.wire(at)
	if err != nil {
		return &Error{Op: "link", Path: p, Err: err}
	}
	command, err := control.NewCommand("SITE SYMLINK", quoteWord(from)+" "+quoteWord(to))
	if err != nil {
		return &Error{Op: "link", Path: p, Err: err}
	}
	reply, err := c.doCommand(ctx, "link", p, command)
	if err != nil || reply.Completed() {
		return err
	}
	refusal := c.refusal("link", p, "SITE SYMLINK", reply)
	if refusedCommand(refusal) {
		refusal.Err = ErrUnsupported
	}
	return refusal
}

// quoteWord makes one argument of a path for servers that split arguments at blanks and know quotes (ProFTPD).
func quoteWord(p string) string {
	if !strings.ContainsAny(p, " \t\"\\") {
		return p
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `"`
}
