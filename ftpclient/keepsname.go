package ftpclient

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
)

// What Facts.OddNames says.
const (
	oddKept    = "kept"
	oddChanged = "changed"
)

// KeepsName finds out whether the server keeps a name as odd as this one, see OddName. Each kind
// of oddity is tried once per server, before anything is stored under such a name: by an empty
// folder that is made in folder, looked for in its listing, and removed; folder itself is made if
// it is missing. The error is ErrNameChanged if the server changes or hides such names. Where no
// folder can be made nothing is learned, and that is no error.
func (c *Conn) KeepsName(ctx context.Context, folder, name string) error {
	for _, o := range oddities {
		if !o.in(name) {
			continue
		}
		if c.facts.fate(o) == "" {
			if err := c.tryOddity(ctx, folder, o); err != nil {
				return err
			}
		}
	}
	if what := c.facts.ChangesName(name); what != "" {
		return &Error{Op: "name", Path: path.Join(folder, name), Err: fmt.Errorf("%w of a folder made to try it, and %q %s as well: rename it", ErrNameChanged, name, what)}
	}
	return nil
}

func (c *Conn) tryOddity(ctx context.Context, folder string, o oddity) error {
	// Nobody else has this name, so that what is like it is it.
	probe := path.Join(c.Absolute(folder), o.adorn(fmt.Sprintf("%s%08x", probeMark, rand.Uint32())))
	if err := c.MakeDirs(ctx, probe); err != nil {
		return c.unlessRefused(err)
	}
	fate := oddKept
	now, err := c.StoredAs(ctx, probe)
	switch {
	case errors.Is(err, ErrNameChanged), errors.Is(err, fs.ErrNotExist):
		fate = oddChanged
	case err != nil:
		fate = "" // the listing does not tell
	}
	if now != "" {
		probe = path.Join(path.Dir(probe), now)
	}
	if removeErr := c.RemoveDir(ctx, probe); !c.Usable() {
		return errors.Join(err, removeErr)
	}
	if fate == "" {
		return c.unlessRefused(err)
	}
	if c.facts.OddNames != "" {
		c.facts.OddNames += "; "
	}
	c.facts.OddNames += o.what + "=" + fate
	return nil
}

// probeMark begins the name of a folder that KeepsName makes, but for what is odd about it.
const probeMark = "ftpferry-probe-"

// IsProbe reports whether a name is that of an empty folder which KeepsName makes, as it was sent
// or as a server may have changed it. Whoever dies in the middle leaves it behind.
func IsProbe(name string) bool {
	before, after, found := strings.Cut(name, probeMark)
	if !found || len(before) > 3 || len(after) < 8 || len(after) > 12 {
		return false
	}
	_, err := hex.DecodeString(after[:8])
	return err == nil
}

// ChangesName says what about a name makes the server change it, as far as that is known, "" for
// nothing.
func (f Facts) ChangesName(name string) string {
	for _, o := range oddities {
		if o.in(name) && f.fate(o) == oddChanged {
			return o.what
		}
	}
	return ""
}

// fate is what becomes of names with the oddity, "" when unknown.
func (f Facts) fate(o oddity) string {
	for fact := range strings.SplitSeq(f.OddNames, "; ") {
		if what, fate, _ := strings.Cut(fact, "="); what == o.what {
			return fate
		}
	}
	return ""
}
