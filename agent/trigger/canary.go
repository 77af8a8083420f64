package trigger

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// canaryWait is how long the event of a canary may take.
const canaryWait = 10 * time.Second

// canary is a file that is made in the root, and removed at once, to see whether an event comes. No event means that there are
// none for anybody's changes. An event proves only that there are some for changes from here, so on a filesystem that others
// write to nobody asks.
type canary struct {
	rel   string // "": there is none
	state canaryState
	until time.Time // while it is out
}

type canaryState int

const (
	canaryHome   canaryState = iota // not sent out
	canaryOut                       // no event yet
	canarySang                      // events come, or nobody can find out
	canarySilent                    // none came in time
)

// release makes and removes the file. Where that is not possible nobody can find out whether events come, which is no reason to
// take them for missing.
func (c *canary) release(now time.Time, full string) error {
	err := touch(full)
	if errors.Is(err, fs.ErrExist) { // of a process that was killed
		err = os.Remove(full)
		if err == nil {
			err = touch(full)
		}
	}
	if err != nil {
		c.state = canarySang
		return err
	}
	c.state, c.until = canaryOut, now.Add(canaryWait)
	return os.Remove(full)
}

func touch(full string) error {
	f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// heard takes an event; late is better than never.
func (c *canary) heard() { c.state = canarySang }

// tick reports whether it is clear now, and was not before, that no event comes.
func (c *canary) tick(now time.Time) (silent bool) {
	if c.state != canaryOut || now.Before(c.until) {
		return false
	}
	c.state = canarySilent
	return true
}
