package ftpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Listing is the content of one folder. If Incomplete is not empty it says why something
// may be missing: then no conclusion may be drawn from the absence of a name.
type Listing struct {
	list.Listing
	Incomplete string
	// Mixed: it is Incomplete because names are in two encodings. What has a name beyond ASCII
	// may have had another one in the listing of another connection.
	Mixed bool
	// Hidden says whether names with a leading dot would be here: a listing by LIST may
	// leave them out.
	Hidden bool
}

// doubt says why a name that is not in the listing may be in the folder all the same, "" if
// it cannot.
func (l Listing) doubt(name string) string {
	hides := l.Format == "" || l.Format == "unix" || l.Format == "mlsd"
	if l.Incomplete == "" && hides && !l.Hidden && strings.HasPrefix(name, ".") {
		return "names with a leading dot may be left out"
	}
	return l.Incomplete
}

// maxListing bounds the memory that a hostile listing can take, in bytes.
const maxListing = 256 << 20

// List lists the folder p, by MLSD where the server has it and by LIST elsewhere. It enters
// the folder first: servers answer the listing of a missing folder with success and nothing.
//
// What servers leave out without a word is not in it: ProFTPD and pyftpdlib dangling links
// (by MLSD), Pure-FTPd names with control characters.
func (c *Conn) List(ctx context.Context, p string) (Listing, error) {
	reply, err := c.changeFolder(ctx, "list", c.Absolute(p))
	if err == nil && !reply.Completed() {
		err = c.refusal("list", p, "CWD", reply)
	}
	if err != nil {
		return Listing{}, err
	}
	var refused error
	if c.hasMLSD() {
		l, err := c.listWith(ctx, p, "MLSD", "", "mlsd")
		if err == nil || !brokenMLSD(err) && !mayBreakMLSD(err) {
			return l, err
		}
		refused = err
	}
	l, err := c.listLines(ctx, func(argument string) (Listing, error) { return c.listWith(ctx, p, "LIST", argument, "") })
	switch {
	case refused != nil && !brokenMLSD(refused) && c.Usable() && ctx.Err() == nil && (err != nil || len(l.Entries) == 0 && !l.Hidden):
		// Servers show nothing by LIST of what may not be read: that proves nothing.
		return Listing{}, refused
	case err != nil:
		return Listing{}, err
	}
	c.facts.MLSDBroken = c.facts.MLSDBroken || refused != nil // and it is not the folder
	return l, c.fixTimes(ctx, c.Absolute(p), &l)
}

// brokenMLSD reports whether an error of MLSD is about the command. pyftpdlib says 501 of a
// folder that has gone in between, too.
func brokenMLSD(err error) bool {
	return errors.Is(err, errNoFacts) || refusedCommand(err) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)
}

// mayBreakMLSD reports whether an error of MLSD in a folder that is there may be about the command: a server may forbid it
// (<Limit MLSD> of ProFTPD, which goes on naming it in FEAT) in the words in which it keeps a folder from being read.
func mayBreakMLSD(err error) bool {
	e, ok := err.(*Error)
	return ok && (e.Code == 550 || refusedCommand(err)) && !errors.Is(err, fs.ErrNotExist)
}

// errNoFacts: what came by MLSD is none of its lines.
var errNoFacts = errors.New("no line of the listing has facts")

func (c *Conn) hasMLSD() bool {
	return !c.facts.MLSDBroken && (c.features.Has("MLST") || c.features.Has("MLSD"))
}

func refusedCommand(err error) bool {
	e, ok := err.(*Error)
	return ok && (e.Code == 500 || e.Code == 501 || e.Code == 502 || e.Code == 504)
}

// listLines lists by LIST. Many servers leave hidden names out and show them on LIST -a;
// others take -a for the name of a file. So the first folder is listed both ways, and -a is
// used only if it shows everything that the plain listing shows. by lists the folder by LIST with an argument.
func (c *Conn) listLines(ctx context.Context, by func(argument string) (Listing, error)) (Listing, error) {
	if c.facts.ListAll == "yes" {
		all, err := by("-a")
		if err == nil && (len(all.Entries) > 0 || all.Hidden) {
			all.Hidden = true
			return all, nil
		}
		if e, ok := err.(*Error); ok && e.Code == 0 || !c.Usable() || ctx.Err() != nil {
			return Listing{}, err
		}
		// Nothing, or a refusal that may be about "-a": another server may be there by now.
		plain, plainErr := by("")
		switch {
		case plainErr != nil:
			return Listing{}, plainErr
		case err != nil || len(plain.Entries) > 0:
			c.facts.ListAll = ""
			return plain, nil
		}
		return all, nil
	}
	plain, err := by("")
	if err != nil || c.facts.ListAll == "no" {
		return plain, err
	}
	if plain.Format != "" && plain.Format != "unix" {
		c.facts.ListAll = "no" // options are a matter of ls
		return plain, nil
	}
	all, err := by("-a")
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
	all.Hidden = all.Hidden || c.facts.ListAll == "yes"
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
		return Listing{}, emptyIsNoError(err, argument)
	}
	return c.readListing(ctx, transfer, format)
}

// readListing is the listing that comes by a transfer, which it ends.
func (c *Conn) readListing(ctx context.Context, transfer *Transfer, format string) (Listing, error) {
	p, argument := transfer.request.path, transfer.request.argument
	buffer := listingPool.Get().(*bytes.Buffer) // nothing of it is kept
	defer giveBack(buffer)
	_, err := buffer.ReadFrom(io.LimitReader(transfer, c.listingLimit+1))
	text := buffer.Bytes()
	if err == nil && int64(len(text)) > c.listingLimit {
		transfer.Abort(ctx)
		return Listing{}, &Error{Op: "list", Path: p, Err: fmt.Errorf("%w: more than %d bytes", ErrIncomplete, c.listingLimit)}
	}
	whole := err == nil
	result, err := transfer.Finish(ctx) // tells the server's reason for an error of reading, too
	if err != nil {
		if whole && len(text) == 0 {
			err = emptyIsNoError(err, argument)
		}
		return Listing{}, err
	}
	l := Listing{Listing: list.Parse(text, list.Options{
		Now: time.Now(), Location: c.options.ListLocation, System: c.system, Format: format,
	})}
	if format == "mlsd" && len(l.Entries) == 0 && len(l.Unparsed) > 0 && !slices.ContainsFunc(l.Unparsed, hasFacts) {
		return Listing{}, &Error{Op: "list", Path: p, Err: errNoFacts}
	}
	// Whether MLSD shows hidden names is an option of the server that it does not tell.
	l.Hidden = format == "" && showsItself(text)
	conflict := c.decodeNames(&l)
	if l.Incomplete = incomplete(l.Listing, text, result, c.facts.CloseNotify); conflict != "" {
		l.Incomplete, l.Mixed = conflict, true
	}
	if c.tls != nil && result.CleanEnd {
		c.facts.CloseNotify = true
	}
	return l, nil
}

// listingPool holds buffers for the text of a listing, which are as large as a folder of some hundred files needs.
var listingPool = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 64<<10)) }}

// mostPooled is the size of a buffer that is kept for another listing.
const mostPooled = 1 << 20

func giveBack(buffer *bytes.Buffer) {
	if buffer.Cap() <= mostPooled {
		buffer.Reset()
		listingPool.Put(buffer)
	}
}

func hasFacts(line string) bool {
	_, ok := list.ParseFacts(line)
	return ok
}

// showsItself reports whether a listing in the form of ls has the folder itself and its parent
// in it, which ls leaves out together with all names with a leading dot.
func showsItself(text []byte) bool {
	itself, parent := false, false
	for line := range bytes.Lines(text) {
		if len(line) > 0 && line[0] == 'd' {
			line = bytes.TrimRight(line, "\r\n")
			itself = itself || bytes.HasSuffix(line, []byte(" ."))
			parent = parent || bytes.HasSuffix(line, []byte(" .."))
		}
	}
	return itself && parent
}

// incomplete says why a listing cannot be trusted to be whole, "" if it can.
func incomplete(l list.Listing, text []byte, r Result, endsClean bool) string {
	switch {
	case endsClean && !r.CleanEnd:
		return "the data connection ended without the close_notify that this server sends"
	case (l.Format == "mlsd" || l.Format == "unix") && len(text) > 0 && text[len(text)-1] != '\n':
		// RFC 3659 section 7.2 ends each line, and so does each ls: the connection went down before the server knew it.
		return "it ends in the middle of a line"
	case len(l.Unparsed) > 0:
		return fmt.Sprintf("%d lines cannot be read, the first is %q", len(l.Unparsed), l.Unparsed[0])
	case saysAny(r.Text, "truncated", "too many matches", "too many files", "too many entries", "limit reached",
		"limit exceeded", "listing limited", "list limited", "incomplete", "aborted"):
		// Pure-FTPd ends a folder of more than its limit with "226 Output truncated to N matches".
		return "the server cut it short: " + r.Text
	}
	return ""
}

// emptyIsNoError takes a refusal to list for an empty folder where its text says that. z/OS,
// IIS and others refuse to list nothing; that the folder is there has been proven by CWD. With
// an argument, the words may be about that. With a cause beside the words, nobody saw whether
// something came with them.
func emptyIsNoError(err error, argument string) error {
	e, ok := err.(*Error)
	if ok && argument == "" && e.Err == nil && (e.Code == 450 || e.Code == 550) &&
		e.says("no files found", "no files match", "no members found", "no data sets found", "no datasets found",
			"directory is empty", "directory empty", "folder is empty", "empty directory") &&
		!saysAny(e.Text, "permission", "invalid", "denied", "not allowed", "authoriz", "privilege") {
		return nil
	}
	return err
}

// decodeNames turns the bytes of names and link targets into what callers see. Names that
// could not be sent back count as lines that nobody can read. conflict says which name is in
// another encoding than the one that was learned: the same file may have had another name in
// a listing of another connection, so that nothing may be concluded from names that are not
// there.
func (c *Conn) decodeNames(l *Listing) (conflict string) {
	c.learnEncoding(func(yield func(string) bool) {
		for i := range l.Entries {
			if !yield(l.Entries[i].Name) {
				return
			}
		}
	})
	kept := l.Entries[:0]
	for _, entry := range l.Entries {
		name, ok := c.naming.codec.decode(entry.Name)
		if c.contradicts(entry.Name) {
			ok = ok && c.facts.Encoding == utf8Name // the bytes as they are may be asked for
			conflict = fmt.Sprintf("the name %q is not written in %s as others are, Options.Encoding has to tell", entry.Name, c.facts.Encoding)
		}
		if !ok {
			l.Unparsed = append(l.Unparsed, entry.Name)
			continue
		}
		entry.Name, entry.Target = name, c.target(entry.Target)
		kept = append(kept, entry)
	}
	l.Entries = kept
	return conflict
}

// contradicts reports whether a name on the wire speaks against an encoding that was learned
// from names alone.
func (c *Conn) contradicts(raw string) bool {
	if c.options.Encoding != "" || c.features.Has("UTF8") || isASCII(raw) {
		return false
	}
	return utf8.ValidString(raw) != (c.facts.Encoding == utf8Name)
}

// target decodes the path that a link points to.
func (c *Conn) target(raw string) string {
	p, _ := c.naming.codec.decodePath(raw)
	return p
}
