package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// ErrNameChanged: the server stored a file under another name than the one it was given.
var ErrNameChanged = errors.New("the server changed the name")

// OddName says what is odd about a single name, so that a server may change it without a word,
// "" if nothing is: StoredAs tells whether it did.
func OddName(name string) string {
	for _, o := range oddities {
		if o.in(name) {
			return o.what
		}
	}
	return ""
}

// oddity is something about names that some servers do not keep.
type oddity struct {
	what  string
	in    func(name string) bool
	adorn func(name string) string // makes a name that has it, and nothing else of the kind
}

var oddities = []oddity{
	{"is not valid UTF-8", func(n string) bool { return !utf8.ValidString(n) }, func(n string) string { return n + "\xff" }},
	{"has a control character", func(n string) bool { return strings.ContainsFunc(n, unicode.IsControl) }, func(n string) string { return n + "\x01x" }},
	{"begins with a blank", func(n string) bool { return strings.HasPrefix(n, " ") }, func(n string) string { return " " + n }},
	{"ends with a blank", func(n string) bool { return strings.HasSuffix(n, " ") }, func(n string) string { return n + " " }},
	{"ends with a dot", func(n string) bool { return strings.HasSuffix(n, ".") }, func(n string) string { return n + "." }},
}

// StoredAs returns the name under which the listing of its folder shows the file p that has
// just been uploaded. An error that is ErrNameChanged comes with the name it has now, "" if
// several may be it; one that is fs.ErrNotExist says that there is nothing like it.
func (c *Conn) StoredAs(ctx context.Context, p string) (string, error) {
	folder, name := path.Split(c.Absolute(p))
	l, err := c.List(ctx, folder)
	if err != nil {
		return "", err
	}
	// One name can be told in two ways, as text and as the bytes of the wire.
	name = c.Listed(name)
	now, found := storedAs(name, l.Entries)
	e := &Error{Op: "stored name", Path: p}
	switch {
	case found && now == name:
		return name, nil
	case found && now == "":
		e.Err = fmt.Errorf("%w from %q to one of several", ErrNameChanged, name)
	case found:
		e.Err = fmt.Errorf("%w from %q to %q", ErrNameChanged, name, now)
	case l.doubt(name) != "":
		e.Err = fmt.Errorf("%w: %s", ErrIncomplete, l.doubt(name))
	default:
		e.Code, e.Text, e.Err = 550, "nothing like it is in the listing of its folder", fs.ErrNotExist
	}
	return now, e
}

// storedAs finds name, or what a server may have made of it.
func storedAs(name string, entries []list.Entry) (now string, found bool) {
	wanted := skeleton(name)
	for _, entry := range entries {
		if entry.Name == name {
			return name, true
		}
		if skeleton(entry.Name) == wanted {
			if now = entry.Name; found {
				now = ""
			}
			found = true
		}
	}
	return now, found
}

// skeleton is what servers leave of a name: case, blanks, dots, the form of accents, and bytes
// that they cannot write come and go, or become a sign that stands for them.
func skeleton(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == utf8.RuneError, strings.ContainsRune(" ._?", r):
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFC.String(name))
}

// CaseInsensitive finds out whether names that differ in case only are the same to the server:
// by CSID where that is offered, else by asking for the file p, which must exist, in other
// case. What was found before is not asked again.
func (c *Conn) CaseInsensitive(ctx context.Context, p string) (bool, error) {
	if c.facts.CaseInsensitive == "" {
		insensitive, err := c.probeCase(ctx, p)
		if err != nil {
			return false, err
		}
		c.facts.CaseInsensitive = "no"
		if insensitive {
			c.facts.CaseInsensitive = "yes"
		}
	}
	return c.facts.CaseInsensitive == "yes", nil
}

func (c *Conn) probeCase(ctx context.Context, p string) (bool, error) {
	if c.features.Has("CSID") {
		reply, err := c.do(ctx, "case of names", "", "CSID", "Name=ftpferry;")
		if err != nil {
			return false, err
		}
		if _, value, ok := strings.Cut(strings.ToLower(reply.Text()), "casesensitive="); ok && reply.Completed() {
			return strings.HasPrefix(value, "0"), nil
		}
	}
	folder, name := path.Split(c.Absolute(p))
	swapped := strings.Map(swapCase, name)
	if swapped == name {
		return false, &Error{Op: "case of names", Path: p, Err: fmt.Errorf("%w: the name has no letters", ErrUnsupported)}
	}
	l, err := c.List(ctx, folder)
	if err != nil {
		return false, err
	}
	there := false
	for _, entry := range l.Entries {
		if entry.Name == swapped {
			return false, nil // both are there
		}
		there = there || entry.Name == name && entry.Type == list.File
	}
	if !there {
		return false, &Error{Op: "case of names", Path: p, Code: 550, Text: "not in the listing of its folder", Err: fs.ErrNotExist}
	}
	_, found, err := c.StatFile(ctx, folder+swapped)
	return found, err
}

func swapCase(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}
