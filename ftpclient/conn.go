package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Conn is one logged-in session. It does one thing at a time: its methods, and those of the
// Transfer it hands out, must not be called by two goroutines at once. Only Close may be
// called from anywhere; it ends whatever is going on.
type Conn struct {
	options  Options
	address  string
	control  *control.Conn
	endpoint data.Endpoints
	tls      *tls.Config
	leaf     []byte
	features Features
	facts    Facts
	home     string
	// unreachable are modes whose connection did not come to be in this session although
	// the server agreed.
	unreachable  []data.Attempt
	listingLimit int64 // bytes in one listing

	running running // what Close has to end
}

// running is the data connection in use, if there is one.
type running struct {
	mu      sync.Mutex
	guarded *data.Guarded
	closed  bool
}

// set notes a new data connection (or nil), and resets it if the Conn is closed already.
func (r *running) set(guarded *data.Guarded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guarded = guarded
	if r.closed && guarded != nil {
		guarded.Reset()
	}
}

func (r *running) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.guarded != nil {
		r.guarded.Reset()
	}
}

// Features returns what the server listed in FEAT after the login.
func (c *Conn) Features() Features { return c.features }

// Facts returns what is known about the server by now.
func (c *Conn) Facts() Facts { return c.facts }

// LearnNoDotNames notes that the server refuses names with a leading dot.
func (c *Conn) LearnNoDotNames() { c.facts.NoDotNames = true }

// Home returns the folder the login landed in.
func (c *Conn) Home() string { return c.home }

// Usable reports whether the connection lives and owes nobody a reply. While no transfer is
// going on, a connection that is not usable stays so.
func (c *Conn) Usable() bool { return c.control.Idle() }

// Absolute returns p as an absolute path: relative paths begin at Home. Absolute paths are
// what every method should get, since a name with a leading dash is safe in one.
func (c *Conn) Absolute(p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join("/", c.home, p)
}

// Close says QUIT when that is possible, closes the connection and waits until all of its
// goroutines are gone, a second at most. A transfer that is going on is reset.
func (c *Conn) Close() error {
	c.running.close()
	if c.control.Idle() {
		if quit, err := control.NewCommand("QUIT", ""); err == nil {
			if call, err := c.control.Send(quit); err == nil {
				select {
				case <-call.Finished():
				case <-time.After(quitPatience):
				}
			}
		}
	}
	return c.control.Close()
}

// kill gives the connection up: the reply to some command is not going to be read.
func (c *Conn) kill() { c.control.Close() }

// do sends a command and waits for its final reply, whatever its code. Errors are *Error,
// and mean that the connection is dead, unless they wrap ErrUnsendable.
func (c *Conn) do(ctx context.Context, op, p, verb, argument string) (control.Reply, error) {
	command, err := control.NewCommand(verb, argument)
	if err != nil {
		return control.Reply{}, &Error{Op: op, Path: p, Err: err}
	}
	return c.doCommand(ctx, op, p, command)
}

func (c *Conn) doSecret(ctx context.Context, op, verb, argument string) (control.Reply, error) {
	command, err := control.NewCommand(verb, argument)
	if err != nil {
		return control.Reply{}, &Error{Op: op, Err: fmt.Errorf("%w: the argument of %s holds a line end or is too long", ErrUnsendable, verb)}
	}
	return c.doCommand(ctx, op, "", command.Secret())
}

func (c *Conn) doCommand(ctx context.Context, op, p string, command control.Command) (control.Reply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.options.ReplyTimeout, ErrTimeout)
	defer cancel()
	if err := control.Ended(ctx); err != nil {
		return control.Reply{}, &Error{Op: op, Path: p, Err: err}
	}
	reply, err := c.control.Do(ctx, command)
	if err != nil {
		c.kill()
		return control.Reply{}, c.connectionError(op, p, err)
	}
	return reply, nil
}

// connectionError turns the end of the connection into an *Error; a 421 keeps its code, so
// that its text can be read for its cause.
func (c *Conn) connectionError(op, p string, err error) *Error {
	var closing *control.ClosingError
	if errors.As(err, &closing) {
		e := replyError(op, p, closing.Reply)
		e.Err = ErrClosing
		return e
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		// vsftpd tells its last words ("500 OOPS") in clear text.
		err = fmt.Errorf("%w: clear text %q in the protected connection: %w", ErrProtocol, record.RecordHeader[:], err)
	}
	return &Error{Op: op, Path: p, Err: err}
}

// require is do with a 2yz reply demanded.
func (c *Conn) require(ctx context.Context, op, p, verb, argument string) (control.Reply, error) {
	reply, err := c.do(ctx, op, p, verb, argument)
	if err != nil {
		return reply, err
	}
	if !reply.Completed() {
		return reply, replyError(op, p, reply)
	}
	return reply, nil
}

// Noop asks the server whether it is still there.
func (c *Conn) Noop(ctx context.Context) error {
	_, err := c.require(ctx, "noop", "", "NOOP", "")
	return err
}

// Rename moves from to to (RNFR, RNTO), replacing a file that is there where the server
// does that.
func (c *Conn) Rename(ctx context.Context, from, to string) error {
	if _, err := control.NewCommand("RNTO", to); err != nil {
		return &Error{Op: "rename", Path: to, Err: err}
	}
	reply, err := c.do(ctx, "rename", from, "RNFR", from)
	if err != nil {
		return err
	}
	if !reply.Intermediate() && !reply.Completed() {
		return replyError("rename", from, reply)
	}
	_, err = c.require(ctx, "rename", to, "RNTO", to)
	return err
}

// Remove deletes the file p.
func (c *Conn) Remove(ctx context.Context, p string) error {
	_, err := c.require(ctx, "remove", p, "DELE", p)
	return err
}

// MakeDir creates the folder p; its parent must exist. A folder that exists already is no
// error: servers answer a MKD for one with texts that say nothing, so it is asked for.
func (c *Conn) MakeDir(ctx context.Context, p string) error {
	reply, err := c.do(ctx, "make folder", p, "MKD", p)
	if err != nil || reply.Completed() {
		return err
	}
	refusal := replyError("make folder", p, reply)
	exists, err := c.isDir(ctx, p)
	if err != nil {
		return err
	}
	if exists {
		return nil
	}
	return refusal
}

// RemoveDir deletes the empty folder p.
func (c *Conn) RemoveDir(ctx context.Context, p string) error {
	_, err := c.require(ctx, "remove folder", p, "RMD", p)
	return err
}

// isDir proves that p is a folder by going there.
func (c *Conn) isDir(ctx context.Context, p string) (bool, error) {
	reply, err := c.do(ctx, "change folder", p, "CWD", p)
	return err == nil && reply.Completed(), err
}

// timeFormat is the time-val of RFC 3659 section 2.3, in UTC.
const timeFormat = "20060102150405"

// SetModTime sets the modification time of the file p to t, in whole seconds. Which command
// the server understands is learned once. ErrUnsupported means that it has none.
func (c *Conn) SetModTime(ctx context.Context, p string, t time.Time) error {
	stamp := t.UTC().Format(timeFormat)
	setters := []string{c.facts.TimeSetter}
	if c.facts.TimeSetter == "" {
		setters = []string{"MDTM"} // vsftpd and IIS set times by MDTM and do not say so
		if c.features.Has("MFMT") {
			setters = []string{"MFMT", "MDTM"}
		}
	}
	var refusal error
	general := true // no refusal can be about this file alone
	for _, verb := range setters {
		if verb == "none" {
			break
		}
		reply, err := c.do(ctx, "set time", p, verb, stamp+" "+p)
		if err != nil {
			return err
		}
		if !reply.Completed() {
			refusal = replyError("set time", p, reply)
			general = general && (verb == "MDTM" || refusedCommand(refusal))
			continue
		}
		if c.facts.TimeSetter == "" {
			// A server may take the two-argument MDTM for a question about a file with a
			// strange name, so the first success is checked.
			if got, err := c.ModTime(ctx, p); err == nil && got.Equal(t.UTC().Truncate(time.Second)) {
				c.facts.TimeSetter = verb
			} else if verb == "MDTM" {
				continue
			}
		}
		return nil
	}
	if c.facts.TimeSetter != "" && c.facts.TimeSetter != "none" {
		return refusal // it works on other files: this one is the problem
	}
	if general {
		if err := c.learnNoTimeSetter(ctx, p); err != nil {
			return err
		}
	}
	return errors.Join(&Error{Op: "set time", Path: p, Err: ErrUnsupported}, refusal)
}

// learnNoTimeSetter notes that no command sets times, if the file is there: a refusal for a
// missing file says nothing about the command.
func (c *Conn) learnNoTimeSetter(ctx context.Context, p string) error {
	if c.facts.TimeSetter == "none" {
		return nil
	}
	if _, err := c.Size(ctx, p); err != nil {
		return err
	}
	c.facts.TimeSetter = "none"
	return nil
}
