package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Stat asks for one path. What a link is told as is up to the server: a link, a file with the
// size of the link's own text, or what it points to; Size tells that of the content.
//
// An error that is fs.ErrNotExist is proof that nothing is there, or at most a link that leads
// nowhere, which ProFTPD and pyftpdlib do not show: where the server's words leave a doubt, the
// parent's listing decides.
func (c *Conn) Stat(ctx context.Context, p string) (list.Entry, error) {
	if c.hasMLST() {
		reply, err := c.doPath(ctx, "stat", p, "MLST", "")
		if err != nil {
			return list.Entry{}, err
		}
		if entry, sure, err := c.readMLST(p, reply); sure {
			return entry, err
		}
	}
	entry, found, err := c.statBySize(ctx, p)
	if err != nil || found {
		return entry, err
	}
	reply, err := c.changeFolder(ctx, "stat", c.Absolute(p))
	if err != nil {
		return list.Entry{}, err
	}
	if reply.Completed() {
		return list.Entry{Name: c.base(p), Type: list.Dir, Size: -1}, nil
	}
	if refusal := c.refusal("stat", p, "CWD", reply); errors.Is(refusal, fs.ErrNotExist) && c.sureOf(p) {
		return list.Entry{}, refusal
	}
	return c.statInParent(ctx, p)
}

// readMLST is what Stat says after that reply to MLST, unless it has to ask on.
func (c *Conn) readMLST(p string, reply control.Reply) (entry list.Entry, sure bool, err error) {
	if entry, ok := c.parseMLST(reply, p); ok {
		return entry, true, nil
	}
	refusal := c.refusal("stat", p, "MLST", reply)
	return list.Entry{}, errors.Is(refusal, fs.ErrNotExist) && c.sureOf(p), refusal
}

// sureOf reports whether the bytes by which p was asked for are those of its name: before the
// encoding is known, a listing has to show it first.
func (c *Conn) sureOf(p string) bool {
	return c.options.Encoding != "" || c.facts.Encoding != "" || isASCII(p) || !utf8.ValidString(p)
}

// StatFile asks for the file p and nothing else: by MLST where the server has it, so that size
// and time are those of its listings, by SIZE and MDTM elsewhere. found is false when the
// server shows no file of that name, which may also mean a folder: it is no proof of absence.
func (c *Conn) StatFile(ctx context.Context, p string) (entry list.Entry, found bool, err error) {
	if c.hasMLST() {
		reply, err := c.doPath(ctx, "stat", p, "MLST", "")
		if err != nil {
			return list.Entry{}, false, err
		}
		if entry, ok := c.parseMLST(reply, p); ok && tells(entry) {
			return entry, entry.Type == list.File, nil
		}
		if !reply.Completed() && errors.Is(c.refusal("stat", p, "MLST", reply), fs.ErrNotExist) {
			return list.Entry{}, false, nil // any other refusal may be of the command itself
		}
	}
	return c.statBySize(ctx, p)
}

// tells reports whether an entry of MLST says whether it is a file, and of which size.
func tells(e list.Entry) bool { return e.Size >= 0 || e.Type == list.Dir }

func (c *Conn) statBySize(ctx context.Context, p string) (entry list.Entry, found bool, err error) {
	reply, err := c.doPath(ctx, "stat", p, "SIZE", "")
	if err != nil {
		return list.Entry{}, false, err
	}
	if !reply.Completed() {
		if reply.Code >= 500 && reply.Code < 505 {
			entry, err := c.statInParent(ctx, p) // no SIZE at all
			return entry, err == nil && entry.Type == list.File, notExistIsNoError(err)
		}
		return list.Entry{}, false, nil
	}
	entry = list.Entry{Name: c.base(p), Type: list.File}
	if entry.Size, err = parseSize(reply); err != nil {
		return list.Entry{}, false, &Error{Op: "stat", Path: p, Err: err}
	}
	if entry.ModTime, err = c.ModTime(ctx, p); err != nil && !c.Usable() {
		return list.Entry{}, false, err
	}
	if !entry.ModTime.IsZero() {
		entry.Precision = c.precisionMDTM()
	}
	return entry, true, nil
}

func (c *Conn) statInParent(ctx context.Context, p string) (list.Entry, error) {
	p = c.Absolute(p)
	absent := &Error{Op: "stat", Path: p, Code: 550, Text: "not in the listing of its parent", Err: fs.ErrNotExist}
	parent := path.Dir(p)
	if parent == p {
		return list.Entry{}, &Error{Op: "stat", Path: p, Err: errors.New("the top folder cannot be entered")}
	}
	l, err := c.List(ctx, parent)
	if err != nil {
		if !c.Usable() {
			return list.Entry{}, err
		}
		above, parentErr := c.Stat(ctx, parent)
		if parentErr == nil && above.Type == list.File && !c.hasMLST() {
			above, parentErr = c.statInParent(ctx, parent) // there are servers with sizes of folders
		}
		if errors.Is(parentErr, fs.ErrNotExist) || parentErr == nil && above.Type == list.File {
			return list.Entry{}, absent
		}
		return list.Entry{}, err
	}
	for _, entry := range l.Entries {
		if entry.Name == path.Base(p) || c.facts.CaseInsensitive == "yes" && strings.EqualFold(entry.Name, path.Base(p)) {
			return entry, nil
		}
	}
	if reason := l.doubt(path.Base(p)); reason != "" {
		return list.Entry{}, &Error{Op: "stat", Path: p, Err: fmt.Errorf("%w: %s", ErrIncomplete, reason)}
	}
	return list.Entry{}, absent
}

func (c *Conn) hasMLST() bool { return c.features.Has("MLST") && !c.facts.MLSDBroken }

// Size returns the size of the file p in bytes. Sizes are asked by SIZE and never by MLST,
// which some servers answer with the size of a link.
func (c *Conn) Size(ctx context.Context, p string) (int64, error) {
	reply, err := c.requirePath(ctx, "size", p, "SIZE")
	if err != nil {
		return 0, err
	}
	size, err := parseSize(reply)
	if err != nil {
		return 0, &Error{Op: "size", Path: p, Err: err}
	}
	return size, nil
}

// parseMLST reads the fact line of a 250 reply (RFC 3659 section 7). The name in it may be a
// path and is replaced by the last element of what was asked.
func (c *Conn) parseMLST(reply control.Reply, p string) (list.Entry, bool) {
	if reply.Code != 250 || len(reply.Lines) < 3 {
		return list.Entry{}, false
	}
	entry, ok := list.ParseFacts(reply.Lines[1])
	entry.Name = c.base(p)
	entry.Target = c.target(entry.Target)
	return entry, ok
}

// base is the last element of p; of Home, too, if p is "".
func (c *Conn) base(p string) string { return path.Base(c.Absolute(p)) }

func notExistIsNoError(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Code == 550 {
		return nil
	}
	return err
}

func parseSize(reply control.Reply) (int64, error) {
	size, err := strconv.ParseInt(strings.TrimSpace(reply.Last()), 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("%w: no size in %q", ErrProtocol, reply.Last())
	}
	return size, nil
}
