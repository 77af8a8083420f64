package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Listing is the content of one folder. If Incomplete is not empty it says why something
// may be missing: then no conclusion may be drawn from the absence of a name.
type Listing struct {
	list.Listing
	Incomplete string
	// Hidden says whether names with a leading dot would be here: a listing by LIST may
	// leave them out.
	Hidden bool
}

// maxListing bounds the memory that a hostile listing can take, in bytes.
const maxListing = 256 << 20

// List lists the folder p, by MLSD where the server has it and by LIST elsewhere. It enters
// the folder first: servers answer the listing of a missing folder with success and nothing.
func (c *Conn) List(ctx context.Context, p string) (Listing, error) {
	if _, err := c.require(ctx, "list", p, "CWD", p); err != nil {
		return Listing{}, err
	}
	if c.hasMLSD() {
		l, err := c.listWith(ctx, p, "MLSD", "", "mlsd")
		if err == nil && (len(l.Entries) > 0 || len(l.Unparsed) == 0) {
			// Whether MLSD shows hidden names is an option of the server that it does not tell.
			l.Hidden = false
			return l, nil
		}
		if err != nil && !refusedCommand(err) {
			return Listing{}, err
		}
		c.facts.MLSDBroken = true
	}
	return c.listLines(ctx, p)
}

func (c *Conn) hasMLSD() bool {
	return !c.facts.MLSDBroken && (c.features.Has("MLST") || c.features.Has("MLSD"))
}

func refusedCommand(err error) bool {
	e, ok := err.(*Error)
	return ok && (e.Code == 500 || e.Code == 501 || e.Code == 502 || e.Code == 504)
}

// listLines lists by LIST. Many servers leave hidden names out and show them on LIST -a;
// others take -a for the name of a file. So the first folder is listed both ways, and -a is
// used only if it shows everything that the plain listing shows.
func (c *Conn) listLines(ctx context.Context, p string) (Listing, error) {
	if c.facts.ListAll == "yes" {
		l, err := c.listWith(ctx, p, "LIST", "-a", "")
		l.Hidden = true
		return l, err
	}
	plain, err := c.listWith(ctx, p, "LIST", "", "")
	if err != nil || c.facts.ListAll == "no" {
		return plain, err
	}
	all, err := c.listWith(ctx, p, "LIST", "-a", "")
	if err != nil {
		if !c.Usable() || ctx.Err() != nil {
			return Listing{}, err
		}
		if e, ok := err.(*Error); ok && e.Code >= 500 {
			c.facts.ListAll = "no"
		}
		return plain, nil
	}
	if missing := missing(all, plain); missing > 0 || all.Incomplete != "" && plain.Incomplete == "" {
		if missing == len(plain.Entries) { // else names may have gone in between
			c.facts.ListAll = "no"
		}
		return plain, nil
	}
	if len(plain.Entries) > 0 {
		c.facts.ListAll = "yes"
	}
	all.Hidden = c.facts.ListAll == "yes"
	return all, nil
}

// missing is how many entries of plain are not in all.
func missing(all, plain Listing) int {
	names := make(map[string]bool, len(all.Entries))
	for _, e := range all.Entries {
		names[e.Name] = true
	}
	count := 0
	for _, e := range plain.Entries {
		if !names[e.Name] {
			count++
		}
	}
	return count
}

func (c *Conn) listWith(ctx context.Context, p, verb, argument, format string) (Listing, error) {
	transfer, err := c.start(ctx, request{op: "list", path: p, verb: verb, argument: argument})
	if err != nil {
		return Listing{}, err
	}
	text, err := io.ReadAll(io.LimitReader(transfer, c.listingLimit+1))
	if err == nil && int64(len(text)) > c.listingLimit {
		transfer.Abort(ctx)
		return Listing{}, &Error{Op: "list", Path: p, Err: fmt.Errorf("%w: more than %d bytes", ErrIncomplete, c.listingLimit)}
	}
	result, err := transfer.Finish(ctx) // tells the server's reason for an error of reading, too
	if err != nil {
		return Listing{}, err
	}
	l := Listing{Listing: list.Parse(text, list.Options{Now: time.Now(), Format: format})}
	l.Incomplete = incomplete(l.Listing, result, c.facts.CloseNotify)
	if c.tls != nil && result.CleanEnd {
		c.facts.CloseNotify = true
	}
	return l, nil
}

// incomplete says why a listing cannot be trusted to be whole, "" if it can.
func incomplete(l list.Listing, r Result, endsClean bool) string {
	switch {
	case endsClean && !r.CleanEnd:
		return "the data connection ended without the close_notify that this server sends"
	case len(l.Unparsed) > 0:
		return fmt.Sprintf("%d lines cannot be read, the first is %q", len(l.Unparsed), l.Unparsed[0])
	case saysAny(r.Text, "truncated", "too many matches", "limit reached"):
		// Pure-FTPd ends a folder of more than its limit with "226 Output truncated to N matches".
		return "the server cut it short: " + r.Text
	}
	return ""
}

// Stat asks for one path. An error that is fs.ErrNotExist is proof that nothing is there:
// where the server's words leave a doubt, the parent's listing decides.
func (c *Conn) Stat(ctx context.Context, p string) (list.Entry, error) {
	if c.features.Has("MLST") && !c.facts.MLSDBroken {
		reply, err := c.do(ctx, "stat", p, "MLST", p)
		if err != nil {
			return list.Entry{}, err
		}
		if entry, ok := parseMLST(reply, p); ok {
			return entry, nil
		}
		if refusal := replyError("stat", p, reply); errors.Is(refusal, fs.ErrNotExist) {
			return list.Entry{}, refusal
		}
	}
	entry, found, err := c.statBySize(ctx, p)
	if err != nil || found {
		return entry, err
	}
	reply, err := c.do(ctx, "stat", p, "CWD", p)
	if err != nil {
		return list.Entry{}, err
	}
	if reply.Completed() {
		return list.Entry{Name: path.Base(p), Type: list.Dir, Size: -1}, nil
	}
	// Another try would be costly: Pure-FTPd waits longer after each failed CWD.
	if refusal := replyError("stat", p, reply); errors.Is(refusal, fs.ErrNotExist) {
		return list.Entry{}, refusal
	}
	return c.statInParent(ctx, p)
}

// StatFile asks for the file p and nothing else: by MLST where the server has it, so that size
// and time are those of its listings, by SIZE and MDTM elsewhere. found is false when the
// server shows no file of that name, which may also mean a folder: it is no proof of absence.
func (c *Conn) StatFile(ctx context.Context, p string) (entry list.Entry, found bool, err error) {
	if c.features.Has("MLST") && !c.facts.MLSDBroken {
		reply, err := c.do(ctx, "stat", p, "MLST", p)
		if err != nil {
			return list.Entry{}, false, err
		}
		if entry, ok := parseMLST(reply, p); ok && entry.Size >= 0 || reply.Code == 550 {
			return entry, ok && entry.Type == list.File, nil
		}
	}
	return c.statBySize(ctx, p)
}

func (c *Conn) statBySize(ctx context.Context, p string) (entry list.Entry, found bool, err error) {
	reply, err := c.do(ctx, "stat", p, "SIZE", p)
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
	entry = list.Entry{Name: path.Base(p), Type: list.File}
	if entry.Size, err = parseSize(reply); err != nil {
		return list.Entry{}, false, &Error{Op: "stat", Path: p, Err: err}
	}
	if entry.ModTime, err = c.ModTime(ctx, p); err != nil && !c.Usable() {
		return list.Entry{}, false, err
	}
	if !entry.ModTime.IsZero() {
		entry.Precision = time.Second
	}
	return entry, true, nil
}

func (c *Conn) statInParent(ctx context.Context, p string) (list.Entry, error) {
	p = path.Clean(p)
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
		if errors.Is(parentErr, fs.ErrNotExist) || parentErr == nil && above.Type == list.File {
			return list.Entry{}, absent
		}
		return list.Entry{}, err
	}
	for _, entry := range l.Entries {
		if entry.Name == path.Base(p) {
			return entry, nil
		}
	}
	if l.Incomplete != "" {
		return list.Entry{}, &Error{Op: "stat", Path: p, Err: fmt.Errorf("%w: %s", ErrIncomplete, l.Incomplete)}
	}
	return list.Entry{}, absent
}

// Size returns the size of the file p in bytes. Sizes are asked by SIZE and never by MLST,
// which some servers answer with the size of a link.
func (c *Conn) Size(ctx context.Context, p string) (int64, error) {
	reply, err := c.require(ctx, "size", p, "SIZE", p)
	if err != nil {
		return 0, err
	}
	size, err := parseSize(reply)
	if err != nil {
		return 0, &Error{Op: "size", Path: p, Err: err}
	}
	return size, nil
}

// ModTime returns the modification time of the file p as the server tells it (MDTM), in UTC
// and whole seconds.
func (c *Conn) ModTime(ctx context.Context, p string) (time.Time, error) {
	reply, err := c.require(ctx, "time", p, "MDTM", p)
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

func parseSize(reply control.Reply) (int64, error) {
	size, err := strconv.ParseInt(strings.TrimSpace(reply.Last()), 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("%w: no size in %q", ErrProtocol, reply.Last())
	}
	return size, nil
}

// parseMLST reads the fact line of a 250 reply (RFC 3659 section 7). The name in it may be a
// path and is replaced by the last element of what was asked.
func parseMLST(reply control.Reply, p string) (list.Entry, bool) {
	if reply.Code != 250 || len(reply.Lines) < 3 {
		return list.Entry{}, false
	}
	entry, ok := list.ParseFacts(reply.Lines[1])
	entry.Name = path.Base(p)
	return entry, ok
}

func notExistIsNoError(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Code == 550 {
		return nil
	}
	return err
}
