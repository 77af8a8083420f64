package ftpclient

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// naming is what a connection knows about how paths go over the wire.
type naming struct {
	codec codec
	home  string // where the login landed, for the caller
	// opaque is the text of PWD after the login, where that is no Unix path: DISK$X:[ANON],
	// 'USER.', QGPL, C:\. Paths of such servers are not composed: the client goes home by this
	// text and down by one element at a time. "" with Unix paths.
	opaque string
	// here is the path of the current folder on a server with opaque paths, "" when it is not
	// known. It is never asked for: behind links PWD tells another name. Only there does it
	// spare a CWD: the current folder is a prefix of names to those servers. To others it is
	// an open folder, which follows renames by other clients, so that the same name may mean
	// another folder a moment later.
	here string
}

// arrive takes note of the reply to PWD and of FEAT after the login.
func (c *Conn) arrive(pwd string) error {
	name := c.options.Encoding
	if name == "" {
		if known := c.facts.Encoding; c.features.Has("UTF8") {
			c.facts.Encoding = utf8Name
		} else if known != utf8Name && known != fallbackName {
			c.facts.Encoding = ""
		}
		name = c.facts.Encoding
	}
	var err error
	if c.naming.codec, err = newCodec(name); err != nil {
		return &Error{Op: "login", Err: err}
	}
	if !strings.HasPrefix(pwd, "/") {
		c.naming.opaque, c.naming.here, c.naming.home = pwd, "/", "/"
		return nil
	}
	c.learnEncoding(func(yield func(string) bool) { yield(pwd) })
	home, ok := c.naming.codec.decodePath(pwd)
	if !ok {
		return &Error{Op: "login", Err: fmt.Errorf("the folder %q is not written in %s", pwd, name)}
	}
	c.naming.home = path.Clean(home)
	return nil
}

// learnEncoding lets the first names that are not ASCII decide how names are read, for good,
// unless that is known.
func (c *Conn) learnEncoding(names func(yield func(string) bool)) {
	if c.options.Encoding == "" && c.facts.Encoding == "" {
		c.adoptEncoding(detect(names))
	}
}

// learnTaken is learnEncoding for a name by which the server has just made something: as long as
// the encoding is not known, names go over the wire as they are. Without it, names that were sent
// as UTF-8 would be sent in another encoding, as those of other files, once a listing shows one that is none.
func (c *Conn) learnTaken(p string) {
	if !isASCII(p) {
		c.adoptEncoding(utf8Name)
	}
}

// adoptEncoding takes the word of others for the encoding ("" for none), unless it is known.
func (c *Conn) adoptEncoding(name string) {
	if c.options.Encoding == "" && c.facts.Encoding == "" && name != "" {
		c.facts.Encoding = name
		c.naming.codec, _ = newCodec(name) // one of the two that are sure to be there
	}
}

// Listed returns what listings of this connection call the file that is asked for by name, a
// single one: a name that is not UTF-8 is the bytes of the wire, which may be those of a name in UTF-8, too.
func (c *Conn) Listed(name string) string {
	if raw, err := c.naming.codec.encode(name); err == nil {
		if listed, ok := c.naming.codec.decode(raw); ok {
			return listed
		}
	}
	return name
}

// Bytes returns a path in the bytes of its names on the wire, which is another path to the same file; p if it cannot be sent.
func (c *Conn) Bytes(p string) string {
	if raw, err := c.naming.codec.encodePath(p); err == nil {
		return raw
	}
	return p
}

// wantsUTF8 tells whether the server may be asked to speak UTF-8.
func (o Options) wantsUTF8() bool {
	return o.Encoding == "" || strings.EqualFold(o.Encoding, utf8Name) || strings.EqualFold(o.Encoding, "utf8")
}

// Home returns the folder the login landed in: "/" on servers whose own paths do not look like
// those of Unix. There, all paths begin at the folder of the login, and their elements are
// the names of folders one below the other.
func (c *Conn) Home() string { return c.naming.home }

// Absolute returns p as an absolute path, without "." and ".." and a slash at its end.
// Relative paths begin at Home, and "" is Home. Every method takes both kinds.
func (c *Conn) Absolute(p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join("/", c.naming.home, p)
}

// wire returns p, absolute or a single name, as it goes over the wire.
func (c *Conn) wire(p string) (string, error) {
	raw, err := c.naming.codec.encodePath(p)
	if err == nil && c.facts.Server == "proftpd" {
		// It takes 0xFF for the beginning of a telnet command, other servers for a character.
		raw = strings.ReplaceAll(raw, "\xff", "\xff\xff")
	}
	return raw, err
}

// line is a command about a path, apart from the path.
type line struct{ verb, before, after string }

// direct is the command for the absolute path p in one piece. fits is false when only a CWD
// makes room for it.
func (c *Conn) direct(l line, p string) (command control.Command, fits bool, err error) {
	raw, err := c.wire(p)
	if err != nil {
		return command, false, err
	}
	if strings.ContainsAny(raw, "\r\n\x00") {
		return command, false, fmt.Errorf("%w: %q holds a line end or NUL", ErrUnsendable, p)
	}
	if c.naming.opaque != "" || !c.fits(l, raw) {
		return command, false, nil
	}
	command, err = control.NewCommand(l.verb, l.before+raw+l.after)
	return command, err == nil, err
}

func (c *Conn) fits(l line, raw string) bool {
	return len(l.verb)+len(" ")+len(l.before)+len(raw)+len(l.after)+len("\r\n") <= c.options.CommandLimit
}

// relative is the command for a path below the current folder.
func (c *Conn) relative(l line, p string) (control.Command, error) {
	raw, err := c.wire(p)
	if err != nil {
		return control.Command{}, err
	}
	if c.naming.opaque == "" && raw != "" && strings.IndexByte("-~ ", raw[0]) >= 0 {
		raw = "./" + raw // no option, no home of anybody, no blank to skip
	}
	if !c.fits(l, raw) {
		return control.Command{}, fmt.Errorf("%w: %s with %q is longer than the limit of %d bytes", ErrUnsendable, l.verb, p, c.options.CommandLimit)
	}
	return control.NewCommand(l.verb, l.before+raw+l.after)
}

// way is the CWD commands that lead to the absolute folder p, from anywhere or, with opaque
// paths, from the folder from above it.
func (c *Conn) way(from, p string) ([]control.Command, error) {
	cwd := line{verb: "CWD"}
	if command, fits, err := c.direct(cwd, p); err != nil || fits {
		return []control.Command{command}, err
	}
	var commands []control.Command
	longest := 1 // elements in one command
	if c.naming.opaque == "" {
		longest = strings.Count(p, "/")
	} else if from == "" {
		home, err := control.NewCommand("CWD", c.naming.opaque)
		if err != nil {
			return nil, err
		}
		commands = append(commands, home)
	}
	elements := strings.FieldsFunc(strings.TrimPrefix(p, from), func(r rune) bool { return r == '/' })
	for len(elements) > 0 {
		n := c.fitting(cwd, elements[:min(longest, len(elements))])
		command, err := c.chunk(cwd, elements[:n], len(commands) == 0)
		for err != nil && n > 1 {
			n--
			command, err = c.chunk(cwd, elements[:n], len(commands) == 0)
		}
		if err != nil {
			return nil, err
		}
		commands, elements = append(commands, command), elements[n:]
	}
	return commands, nil
}

// fitting is how many of the elements make one command, or a few less: the first one always does.
func (c *Conn) fitting(l line, elements []string) int {
	size := len(l.verb) + len(" ") + len("\r\n")
	for n, element := range elements {
		raw, err := c.wire(element)
		if size += len("/") + len(raw); n > 0 && (err != nil || size > c.options.CommandLimit) {
			return n
		}
	}
	return len(elements)
}

// chunk is one CWD of a way: the first one is absolute where paths are those of Unix.
func (c *Conn) chunk(l line, elements []string, first bool) (control.Command, error) {
	p := strings.Join(elements, "/")
	if first && c.naming.opaque == "" {
		p = "/" + p
	}
	return c.relative(l, p)
}

// changeFolder enters the absolute folder p, which proves that it is one. The reply is that
// of the last CWD sent: the one that was refused, or that of p itself.
func (c *Conn) changeFolder(ctx context.Context, op, p string) (control.Reply, error) {
	return c.follow(ctx, op, p, "")
}

// reach makes the absolute folder p the current one, for a command about a name in it. The
// reply is zero but for a refusal.
func (c *Conn) reach(ctx context.Context, op, p string) (refused control.Reply, err error) {
	from := ""
	if here := c.naming.here; here == p {
		return refused, nil
	} else if here != "" && strings.HasPrefix(p, strings.TrimSuffix(here, "/")+"/") {
		from = here
	}
	reply, err := c.follow(ctx, op, p, from)
	if err != nil || !reply.Completed() {
		return reply, err
	}
	return refused, nil
}

// makeUp follows a refused CWD with one that is not, where that is of use: Pure-FTPd 1.0.50 waits with each refusal 100 ms longer than
// with the one before, without an end, until a folder is entered. To find out that ten files are gone would take five seconds.
func (c *Conn) makeUp(ctx context.Context, op, p string) error {
	if c.facts.Server != "pure-ftpd" {
		return nil
	}
	root, err := control.NewCommand("CWD", "/")
	if err == nil {
		refusal := c.last
		_, err = c.doCommand(ctx, op, p, root)
		c.last = refusal // nobody has asked for the other one
	}
	return err
}

func (c *Conn) follow(ctx context.Context, op, p, from string) (reply control.Reply, err error) {
	commands, err := c.way(from, p)
	if err != nil {
		return reply, &Error{Op: op, Path: p, Err: err}
	}
	c.naming.here = "" // wherever a refusal on the way leaves the server
	for _, command := range commands {
		reply, err = c.doCommand(ctx, op, p, command)
		if err == nil && !reply.Completed() {
			err = c.makeUp(ctx, op, p)
		}
		if err != nil || !reply.Completed() {
			return reply, err
		}
	}
	if c.naming.opaque != "" {
		c.naming.here = p
	}
	return reply, nil
}
