package ftpclient

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/list"
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
	command, err := control.NewCommand("SITE SYMLINK", twoWords(from, to))
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

// twoWords makes one argument of two paths for servers that split it at white space and know quotes. ProFTPD takes a blank behind a
// closing quote for an empty word, so that none is there.
func twoWords(a, b string) string {
	if quoted := quoteWord(a); quoted != a {
		return quoted + quoteWord(b)
	}
	return a + " " + quoteWord(b)
}

func quoteWord(p string) string {
	if !strings.ContainsAny(p, " \t\v\f\"\\") {
		return p
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `"`
}

// ReadLink returns what the link p points at, as the server tells it, and what p is. It reads the listing of the folder by LIST:
// MLSD has no targets, and on some servers shows the file that a link leads to. An error that is fs.ErrNotExist says that the
// listing is whole and has no such name.
func (c *Conn) ReadLink(ctx context.Context, p string) (list.Entry, error) {
	at := c.Absolute(p)
	l, err := c.ReadLinks(ctx, path.Dir(at))
	if err != nil {
		return list.Entry{}, err
	}
	for _, e := range l.Entries {
		if e.Name == path.Base(at) {
			return e, nil
		}
	}
	if reason := l.doubt(path.Base(at)); reason != "" {
		return list.Entry{}, &Error{Op: "read link", Path: p, Err: fmt.Errorf("%w: %s", ErrIncomplete, reason)}
	}
	return list.Entry{}, &Error{Op: "read link", Path: p, Err: fs.ErrNotExist}
}

// ReadLinks lists the folder p by LIST, for what the links in it point at.
func (c *Conn) ReadLinks(ctx context.Context, p string) (Listing, error) {
	at := c.Absolute(p)
	reply, err := c.changeFolder(ctx, "read link", at) // as in List
	if err == nil && !reply.Completed() {
		err = c.refusal("read link", p, "CWD", reply)
	}
	if err != nil {
		return Listing{}, err
	}
	return c.listLines(ctx, func(argument string) (Listing, error) { return c.listWith(ctx, at, "LIST", argument, "") })
}
