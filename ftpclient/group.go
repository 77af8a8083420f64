package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Bounds of what goes in one write: a server that does not read on before its reply is taken
// must still find room for the rest.
const (
	groupCommands = 16
	groupBytes    = 2048
)

// orderly are kinds of servers that are known to answer groups of commands in order.
var orderly = map[string]bool{"proftpd": true, "vsftpd": true, "pure-ftpd": true, "pyftpdlib": true}

// FileStat is the answer about one path of StatFiles.
type FileStat struct {
	Path string
	// Entry and Found are those of StatFile.
	Entry list.Entry
	Found bool
	// Err is what stands against asking for this path; the others are not concerned.
	Err error
}

// StatFiles asks for many files as StatFile does for one, many of them in one round trip where
// the server is proven to answer that in order. The proof is made here, once per server; if it
// fails the connection is lost, and the next one, with the Facts of this one, goes one by one.
// The error is that of the connection; the answers before it are good.
func (c *Conn) StatFiles(ctx context.Context, paths []string) ([]FileStat, error) {
	answers := make([]FileStat, 0, len(paths))
	grouped, err := c.groups(ctx, len(paths))
	if err != nil {
		return answers, err
	}
	for len(paths) > 0 {
		n := 1
		var batch [][]control.Command
		if grouped {
			batch = c.statBatch(paths)
			n = max(1, len(batch))
		}
		found, err := c.statGroup(ctx, paths[:n], batch)
		answers = append(answers, found...)
		if err != nil {
			return answers, err
		}
		paths = paths[n:]
	}
	return answers, nil
}

// groups reports whether so many questions are asked in groups; for two the proof is not worth it.
func (c *Conn) groups(ctx context.Context, questions int) (bool, error) {
	if questions < 2 || questions == 2 && c.facts.Pipelining == "" && !orderly[c.facts.Server] {
		return false, nil
	}
	return c.pipelines(ctx)
}

// FileTime is the answer about one path of ModTimes.
type FileTime struct {
	ModTime time.Time
	// Err is what stands against asking for this path; the others are not concerned.
	Err error
}

// ModTimes asks for the times of many files as ModTime does for one, in groups as StatFiles does. There is an answer for
// each path unless the error is not nil, which is that of the connection; the answers before it are good.
func (c *Conn) ModTimes(ctx context.Context, paths []string) ([]FileTime, error) {
	answers := make([]FileTime, 0, len(paths))
	grouped, err := c.groups(ctx, len(paths))
	if err != nil {
		return answers, err
	}
	for len(paths) > 0 {
		var batch [][]control.Command
		if grouped {
			batch = c.questions(paths, "MDTM")
		}
		if len(batch) < 2 {
			at, err := c.ModTime(ctx, paths[0])
			if err != nil && !c.Usable() {
				return answers, err
			}
			answers, paths = append(answers, FileTime{at, err}), paths[1:]
			continue
		}
		replies, err := c.doGroup(ctx, "time", slices.Concat(batch...))
		if err != nil {
			return answers, err
		}
		for i, reply := range replies {
			at, err := c.readTime(paths[i], reply)
			answers = append(answers, FileTime{at, err})
		}
		paths = paths[len(replies):]
	}
	return answers, nil
}

// statBatch is the questions of StatFiles about the first paths.
func (c *Conn) statBatch(paths []string) [][]control.Command {
	if c.hasMLST() {
		return c.questions(paths, "MLST")
	}
	return c.questions(paths, "SIZE", "MDTM")
}

// questions are those about the first paths, as many as make a group; none if the first
// one cannot be in one.
func (c *Conn) questions(paths []string, verbs ...string) (batch [][]control.Command) {
	commands, bytes := 0, 0
	for _, p := range paths {
		var about []control.Command
		for _, verb := range verbs {
			command, fits, err := c.direct(line{verb: verb}, c.Absolute(p))
			if err != nil || !fits {
				return batch
			}
			about = append(about, command)
			bytes += len(command.String()) + len("\r\n")
		}
		if commands += len(verbs); len(batch) > 0 && (commands > groupCommands || bytes > groupBytes) {
			return batch
		}
		batch = append(batch, about)
	}
	return batch
}

// statGroup answers for paths, from the replies to a batch about all of them if there is one.
func (c *Conn) statGroup(ctx context.Context, paths []string, batch [][]control.Command) ([]FileStat, error) {
	var commands []control.Command
	for _, questions := range batch {
		commands = append(commands, questions...)
	}
	replies, err := c.doGroup(ctx, "stat", commands)
	if err != nil {
		return nil, err
	}
	var answers []FileStat
	for i, p := range paths {
		a := FileStat{Path: p}
		sure := false
		if i < len(batch) {
			a.Entry, a.Found, sure = c.readStat(p, replies[:len(batch[i])])
			replies = replies[len(batch[i]):]
		}
		if !sure {
			a.Entry, a.Found, a.Err = c.StatFile(ctx, p)
			if a.Err != nil && !c.Usable() {
				return answers, a.Err
			}
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// readStat reads the replies to MLST, or to SIZE and MDTM. sure is false when StatFile would
// ask on.
func (c *Conn) readStat(p string, replies []control.Reply) (entry list.Entry, found, sure bool) {
	if len(replies) == 1 {
		entry, ok := c.parseMLST(replies[0], p)
		if ok && tells(entry) {
			return entry, entry.Type == list.File, true
		}
		return list.Entry{}, false, replies[0].Code == 550
	}
	size, modified := replies[0], replies[1]
	if !size.Completed() {
		return list.Entry{}, false, size.Code == 550
	}
	entry = list.Entry{Name: c.base(p), Type: list.File}
	var err error
	if entry.Size, err = parseSize(size); err != nil {
		return list.Entry{}, false, false
	}
	if modified.Completed() {
		if entry.ModTime, err = c.parseTime(modified.Last()); err == nil {
			entry.Precision = c.precisionMDTM()
		}
	}
	return entry, true, true
}

// pipelines reports whether the server answers a group of commands in order, and finds out
// by one that does no harm if nobody knows.
func (c *Conn) pipelines(ctx context.Context) (bool, error) {
	if c.facts.Pipelining == "" && orderly[c.facts.Server] {
		c.facts.Pipelining = "yes"
	}
	if c.facts.Pipelining != "" {
		return c.facts.Pipelining == "yes", nil
	}
	var commands []control.Command
	for _, verb := range []string{"PWD", "NOOP", "PWD"} {
		command, err := control.NewCommand(verb, "")
		if err != nil {
			return false, &Error{Op: "pipelining", Err: err}
		}
		commands = append(commands, command)
	}
	if _, err := c.doGroup(ctx, "pipelining", commands); err != nil {
		return false, err
	}
	c.facts.Pipelining = "yes"
	return true, nil
}

// doGroup sends commands in one write and waits for their replies, each as long as for that of
// a single command. A reply that cannot be one to its command ends the connection, and all
// groups on this server.
func (c *Conn) doGroup(ctx context.Context, op string, commands []control.Command) ([]control.Reply, error) {
	if len(commands) == 0 {
		return nil, nil
	}
	if err := c.free(ctx); err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	calls, err := c.control.SendGroup(ctx, commands)
	if err != nil {
		c.kill()
		return nil, c.connectionError(op, "", err)
	}
	replies := make([]control.Reply, len(calls))
	for i, call := range calls {
		if replies[i], err = c.awaitCall(ctx, call); err != nil {
			// It answered a shorter group, or another one: what broke this one would break the
			// next one, too. A server that says good-bye instead of the first reply did so anyway.
			if ctx.Err() == nil && (i > 0 || !errors.Is(err, ErrClosing)) {
				c.facts.Pipelining = "no"
			}
			c.kill()
			return nil, c.connectionError(op, "", err)
		}
		if verb := commands[i].Verb(); !answers(verb, replies[i]) {
			c.facts.Pipelining = "no"
			c.kill()
			return nil, &Error{Op: op, Err: fmt.Errorf("%w: %s was answered with %s", ErrDesync, verb, replies[i])}
		}
	}
	return replies, nil
}

func (c *Conn) awaitCall(ctx context.Context, call *control.Call) (control.Reply, error) {
	return await(ctx, call, c.options.ReplyTimeout)
}

// answers reports whether a reply can be one to the command verb. Refusals can be to any.
func answers(verb string, r control.Reply) bool {
	switch verb {
	case "PWD":
		return r.Code == 257
	case "SIZE", "MDTM":
		return r.Code == 213 || r.Code >= 400
	case "MLST":
		return r.Code == 250 || r.Code >= 400
	case "REST":
		return r.Intermediate() || r.Code >= 400
	case "RNFR":
		return r.Intermediate() || r.Completed() || r.Code >= 400
	case "EPSV":
		return r.Code == 229 || r.Code >= 400
	case "PASV":
		return r.Code == 227 || r.Code >= 400
	case "NOOP":
		return r.Completed() && r.Code != 257 || r.Code >= 400
	}
	return r.Completed() || r.Code >= 400
}

// MakeDirs creates the folder p and those of its parents that are missing. A folder that
// exists is no error.
func (c *Conn) MakeDirs(ctx context.Context, p string) error {
	reply, err := c.doPath(ctx, "make folder", p, "MKD", "")
	if err == nil && reply.Completed() {
		c.learnTaken(p)
	}
	if err != nil || reply.Completed() {
		return err
	}
	exists, err := c.isDir(ctx, p)
	if err != nil || exists {
		return err
	}
	refusal, err := c.makeParents(ctx, c.parents(p))
	if err != nil {
		return err
	}
	if err := c.MakeDir(ctx, p); err != nil {
		// That of the parent may be the cause, or say no more than that it is there.
		if refusal != nil && c.Usable() {
			return fmt.Errorf("%w (%w)", err, refusal)
		}
		return err
	}
	return nil
}

// parents are the folders above p, the topmost one first, without those that Home is in.
func (c *Conn) parents(p string) []string {
	var parents []string
	for p = path.Dir(c.Absolute(p)); p != "/" && p != c.Home() && below(p, c.Home()) == ""; p = path.Dir(p) {
		parents = append([]string{p}, parents...)
	}
	return parents
}

// makeParents asks for one folder after the other, in few round trips where that is proven.
// refusal is what the server said about the last one, which may be there already.
func (c *Conn) makeParents(ctx context.Context, parents []string) (refusal, err error) {
	grouped := false
	if len(parents) > 2 {
		if grouped, err = c.pipelines(ctx); err != nil {
			return nil, err
		}
	}
	mkd := line{verb: "MKD"}
	for len(parents) > 0 {
		var commands []control.Command
		for _, p := range parents[:min(len(parents), groupCommands)] {
			command, fits, err := c.direct(mkd, p)
			if !grouped || err != nil || !fits {
				break
			}
			commands = append(commands, command)
		}
		n := max(1, len(commands))
		replies, err := c.doGroup(ctx, "make folder", commands)
		if err == nil && len(commands) == 0 {
			var reply control.Reply
			reply, err = c.doPath(ctx, "make folder", parents[0], "MKD", "")
			replies = append(replies, reply)
		}
		if err != nil {
			return nil, err
		}
		refusal = nil
		if last := replies[n-1]; !last.Completed() {
			refusal = c.refusal("make folder", parents[n-1], "MKD", last)
		}
		parents = parents[n:]
	}
	return refusal, nil
}
