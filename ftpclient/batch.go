package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Batch collects questions and changes that do not depend on each other's answers. They go to the server in the order in which they were
// added, many of them in one round trip where that is proven to work (see Conn.StatFiles), one by one elsewhere: by Do, or in the
// same write as the beginning of a transfer (Conn.StoreAhead, Conn.RetrieveAhead). The answers count after that. A Batch
// is for one connection and goes once; an empty one is nothing, and a nil one is empty.
type Batch struct {
	conn  *Conn
	steps []*step
}

// step is one question or change.
type step struct {
	op string
	// commands are those that it takes, none if it has to go alone.
	commands []control.Command
	// read takes the replies to commands. sure is false if alone has to ask once more.
	read func(replies []control.Reply) (sure bool)
	// alone does it by the method of Conn; what that said is in the answer.
	alone func(ctx context.Context) error
}

// Answer is what came of one change. Err is nil if it was made; until the Batch was sent it is ErrUnanswered. Reply is what the server
// said last to that, as for Conn.LastReply. ModTime is, of SetModTime, which time the server says that it has
// set; zero if it does not. Many only repeat what they were told, and the file system may keep another one.
type Answer struct {
	Err     error
	Reply   string
	ModTime time.Time
}

// StatAnswer is what StatFile would have said.
type StatAnswer struct {
	Entry list.Entry
	Found bool
	Err   error // ErrUnanswered until the Batch was sent
}

// ErrUnanswered: a Batch was not sent, or not answered up to here. Whether it was carried out is not known if the connection
// was lost meanwhile.
var ErrUnanswered = errors.New("not answered")

// NewBatch returns an empty one.
func (c *Conn) NewBatch() *Batch { return &Batch{conn: c} }

// Len is how many questions and changes there are.
func (b *Batch) Len() int {
	if b == nil {
		return 0
	}
	return len(b.steps)
}

// StatFile asks for the file p, as Conn.StatFile does.
func (b *Batch) StatFile(p string) *StatAnswer {
	s, answer := b.stat(p)
	if batch := b.conn.statBatch([]string{p}); len(batch) == 1 {
		s.commands = batch[0]
	}
	return answer
}

// stat adds the question for the file p, without commands.
func (b *Batch) stat(p string) (*step, *StatAnswer) {
	c, answer := b.conn, &StatAnswer{Err: ErrUnanswered}
	s := &step{op: "stat"}
	s.read = func(replies []control.Reply) (sure bool) {
		if answer.Entry, answer.Found, sure = c.readStat(p, replies); sure {
			answer.Err = nil
		}
		return sure
	}
	s.alone = func(ctx context.Context) error {
		answer.Entry, answer.Found, answer.Err = c.StatFile(ctx, p)
		return answer.Err
	}
	b.steps = append(b.steps, s)
	return s, answer
}

// FindFile is StatFile for a file that is most likely not there: that is asked by SIZE alone, the cheapest question for a server, as long as
// its refusal proves absence. Where it did not, MLST is asked in the same write, too: what neither shows is taken for absent as by Conn.StatFile.
func (b *Batch) FindFile(p string) *StatAnswer {
	c := b.conn
	s, answer := b.stat(p)
	size, fits, err := c.direct(line{verb: "SIZE"}, c.Absolute(p))
	if err != nil || !fits { // it goes alone
		return answer
	}
	absent := func(is bool) bool {
		if is {
			answer.Entry, answer.Found, answer.Err = list.Entry{}, false, nil
		}
		return is
	}
	if c.hasMLST() && c.sizeIsVague {
		look, fits, err := c.direct(line{verb: "MLST"}, c.Absolute(p))
		if err != nil || !fits {
			return answer
		}
		stat := s.read
		s.commands = []control.Command{look, size}
		s.read = func(replies []control.Reply) bool {
			if look := replies[0]; !look.Completed() {
				return absent(replies[1].Code == 550 || errors.Is(c.refusal("stat", p, "MLST", look), fs.ErrNotExist))
			}
			return stat(replies[:1])
		}
		return answer
	}
	s.commands = []control.Command{size}
	s.read = func(replies []control.Reply) bool {
		refused := replies[0].Code == 550
		proven := refused && (!c.hasMLST() || errors.Is(c.refusal("stat", p, "SIZE", replies[0]), fs.ErrNotExist) && c.sureOf(p))
		c.sizeIsVague = c.sizeIsVague || refused && !proven
		return absent(proven)
	}
	return answer
}

// Rename is Conn.Rename.
func (b *Batch) Rename(from, to string) *Answer {
	c := b.conn
	return b.change("rename", []line{{verb: "RNFR"}, {verb: "RNTO"}}, []string{from, to}, func(replies []control.Reply) error {
		if rnfr := replies[0]; !rnfr.Intermediate() && !rnfr.Completed() {
			return c.refusal("rename", from, "RNFR", rnfr)
		}
		if rnto := replies[1]; !rnto.Completed() {
			return c.refusal("rename", to, "RNTO", rnto)
		}
		c.learnTaken(to)
		return nil
	}, func(ctx context.Context) error { return c.Rename(ctx, from, to) })
}

// SetModTime is Conn.SetModTime. It goes in a group once it is known which command does it, or with the question what came of it
// where there is one that most likely does. p must have been written just now, if the zone of the server's times is not known: see Conn.LearnTimeZone.
func (b *Batch) SetModTime(p string, t time.Time) *Answer {
	c := b.conn
	if c.facts.TimeSetter == "" && c.SetsTimesInBatches() {
		return b.trySetter(p, t)
	}
	alone := func(ctx context.Context) error { return c.SetModTime(ctx, p, t) }
	for _, setter := range timeSetters {
		if setter.name == c.facts.TimeSetter {
			l := setter.line(c.stamp(t))
			var answer *Answer
			answer = b.change("set time", []line{l}, []string{p}, func(replies []control.Reply) error {
				answer.ModTime = c.timeTold(replies[0])
				return c.unlessCompleted("set time", p, l.verb, replies[0])
			}, alone)
			return answer
		}
	}
	return b.change("set time", nil, nil, nil, alone)
}

// timeTold is the time in a reply to MFMT, such as "213 Modify=20240301120224; /f" (draft-somers-ftp-mfxx, section 3.1); zero if there is none.
// It counts where times are told as they are set.
func (c *Conn) timeTold(reply control.Reply) time.Time {
	fact, _, ok := strings.Cut(reply.Last(), ";")
	if name, value, isFact := strings.Cut(fact, "="); ok && isFact && reply.Code == 213 && strings.EqualFold(name, "modify") && c.facts.SetterOffset == 0 {
		if t, err := c.parseTime(value); err == nil {
			return t
		}
	}
	return time.Time{}
}

// SetsTimesInBatches reports whether it is known how to set times, or can be tried in a Batch. If not, Conn.SetModTime finds it out.
func (c *Conn) SetsTimesInBatches() bool {
	_, likely := c.likelySetter()
	return c.facts.TimeSetter != "" || likely
}

// likelySetter is the command that is tried first in a Batch, unless it was, and how to see what came of it is known.
func (c *Conn) likelySetter() (s timeSetter, likely bool) {
	name := "MFMT"
	if c.facts.Server == "vsftpd" && !c.features.Has(name) { // which lists none, and takes this one
		name = "MDTM"
	}
	i := slices.IndexFunc(timeSetters, func(s timeSetter) bool { return s.name == name })
	return timeSetters[i], c.features.Has(name) && c.features.Has("MDTM") && !c.failedSetter
}

// trySetter sets a time and looks whether that is what came of it. If not, nothing is learned: SetModTime knows what else there is. Where only MDTM
// tells times, and in a zone that is not known, the time of what was written just now is asked for before.
func (b *Batch) trySetter(p string, t time.Time) *Answer {
	c := b.conn
	t = t.UTC().Truncate(time.Second)
	setter, _ := c.likelySetter()
	lines := []line{setter.line(c.stamp(t)), {verb: "MDTM"}}
	zone := !c.facts.MDTMZone.Known && !c.hasMLST()
	if zone {
		lines = slices.Insert(lines, 0, line{verb: "MDTM"})
	}
	written := time.Now()
	return b.change("set time", lines, slices.Repeat([]string{p}, len(lines)), func(replies []control.Reply) error {
		c.failedSetter = true
		if zone {
			if told, err := c.readTime(p, replies[0]); err != nil || c.learnZoneOf(p, told, written) != nil {
				return &Error{Op: "set time", Path: p, Err: fmt.Errorf("%w: the zone of the server's times is not known", ErrUnsupported)}
			}
			replies = replies[1:]
		}
		if !replies[0].Completed() {
			return c.refusal("set time", p, setter.line("").verb, replies[0])
		}
		got, err := c.readTime(p, replies[1])
		if err == nil && got.Sub(t).Abs() > coarsest {
			err = &Error{Op: "set time", Path: p, Err: fmt.Errorf("%w: %s is told after %s was set", ErrMismatch, got, t)}
		}
		if err == nil {
			c.facts.TimeSetter, c.failedSetter = setter.name, false
		}
		return err
	}, func(ctx context.Context) error { return c.SetModTime(ctx, p, t) })
}

// Remove is Conn.Remove.
func (b *Batch) Remove(p string) *Answer {
	c := b.conn
	alone := func(ctx context.Context) error { return c.Remove(ctx, p) }
	if c.facts.Server == "vms" { // which may want more than one command
		return b.change("remove", nil, nil, nil, alone)
	}
	return b.change("remove", []line{{verb: "DELE"}}, []string{p}, func(replies []control.Reply) error {
		return c.unlessCompleted("remove", p, "DELE", replies[0])
	}, alone)
}

// RemoveDir is Conn.RemoveDir.
func (b *Batch) RemoveDir(p string) *Answer {
	c := b.conn
	return b.change("remove folder", []line{{verb: "RMD"}}, []string{p}, func(replies []control.Reply) error {
		return c.unlessCompleted("remove folder", p, "RMD", replies[0])
	}, func(ctx context.Context) error { return c.RemoveDir(ctx, p) })
}

// MakeDir is Conn.MakeDir, but for that it does not ask what is there if the server refuses: that may be the folder.
func (b *Batch) MakeDir(p string) *Answer {
	c := b.conn
	return b.change("make folder", []line{{verb: "MKD"}}, []string{p}, func(replies []control.Reply) error {
		if replies[0].Completed() {
			c.learnTaken(p)
		}
		return c.unlessCompleted("make folder", p, "MKD", replies[0])
	}, func(ctx context.Context) error { return c.MakeDir(ctx, p) })
}

// enter makes the folder p the current one.
func (b *Batch) enter(p string) *Answer {
	c := b.conn
	return b.change("list", []line{{verb: "CWD"}}, []string{p}, func(replies []control.Reply) error {
		return c.unlessCompleted("list", p, "CWD", replies[0])
	}, func(ctx context.Context) error {
		reply, err := c.changeFolder(ctx, "list", c.Absolute(p))
		if err != nil {
			return err
		}
		return c.unlessCompleted("list", p, "CWD", reply)
	})
}

// change adds a change by one command for each of lines, about the path beside it.
func (b *Batch) change(op string, lines []line, paths []string, read func([]control.Reply) error, alone func(context.Context) error) *Answer {
	answer := &Answer{Err: ErrUnanswered}
	s := &step{op: op}
	for i, l := range lines {
		command, fits, err := b.conn.direct(l, b.conn.Absolute(paths[i]))
		if err != nil || !fits {
			s.commands = nil
			break
		}
		s.commands = append(s.commands, command)
	}
	s.read = func(replies []control.Reply) bool {
		answer.Err, answer.Reply = read(replies), shown(replies[len(replies)-1])
		return true
	}
	s.alone = func(ctx context.Context) error {
		answer.Err = alone(ctx)
		answer.Reply = b.conn.LastReply()
		return answer.Err
	}
	b.steps = append(b.steps, s)
	return answer
}

func (c *Conn) unlessCompleted(op, p, verb string, reply control.Reply) error {
	if reply.Completed() {
		return nil
	}
	return c.refusal(op, p, verb, reply)
}

// Do sends what was collected and waits for the answers. The error is that of the connection, which is lost; refusals are in the
// answers.
func (b *Batch) Do(ctx context.Context) error {
	if b.Len() == 0 {
		return nil
	}
	grouped, err := b.conn.groups(ctx, b.size())
	if err != nil {
		return err
	}
	for len(b.steps) > 0 {
		n := 1
		if grouped {
			n = max(1, grouping(b.steps))
		}
		if err := b.send(ctx, b.steps[:n], grouped); err != nil {
			return err
		}
		b.steps = b.steps[n:]
	}
	return nil
}

// size is how many commands there are, at the least.
func (b *Batch) size() (commands int) {
	for _, s := range b.steps {
		commands += max(1, len(s.commands))
	}
	return commands
}

// grouping is how many of the first steps make one group.
func grouping(steps []*step) int {
	commands, bytes := 0, 0
	for n, s := range steps {
		for _, command := range s.commands {
			bytes += command.Len()
		}
		commands += len(s.commands)
		if len(s.commands) == 0 || n > 0 && (commands > groupCommands || bytes > groupBytes) {
			return n
		}
	}
	return len(steps)
}

// send has steps carried out, in one write if they go in a group.
func (b *Batch) send(ctx context.Context, steps []*step, grouped bool) error {
	if !grouped || len(steps[0].commands) == 0 {
		if err := steps[0].alone(ctx); err != nil && !b.conn.Usable() {
			return err
		}
		return nil
	}
	var commands []control.Command
	for _, s := range steps {
		commands = append(commands, s.commands...)
	}
	replies, err := b.conn.doGroup(ctx, steps[0].op, commands)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	return b.askAgain(ctx, take(steps, replies))
}

// group is all commands, if they can go in one write, nil otherwise; an empty one for none.
func (b *Batch) group() []control.Command {
	commands := []control.Command{}
	if b.Len() == 0 {
		return commands
	}
	if grouping(b.steps) < len(b.steps) {
		return nil
	}
	for _, s := range b.steps {
		commands = append(commands, s.commands...)
	}
	return commands
}

// take gives the replies to group to the steps, and asks once more where they do not tell.
func (b *Batch) take(ctx context.Context, replies []control.Reply) error {
	if b.Len() == 0 {
		return nil
	}
	unsure := take(b.steps, replies)
	b.steps = nil
	return b.askAgain(ctx, unsure)
}

// takeAhead gives the replies to group to the steps, as far as they came, and returns those that have to be asked once more.
func (b *Batch) takeAhead(replies []control.Reply) (unsure []*step) {
	if b.Len() == 0 {
		return nil
	}
	unsure, b.steps = take(b.steps, replies), nil
	return unsure
}

// take gives replies to steps, as far as they came, and returns those that they do not tell.
func take(steps []*step, replies []control.Reply) (unsure []*step) {
	for _, s := range steps {
		if len(replies) < len(s.commands) {
			break
		}
		if !s.read(replies[:len(s.commands)]) {
			unsure = append(unsure, s)
		}
		replies = replies[len(s.commands):]
	}
	return unsure
}

// askAgain does steps one by one. The error is that of the connection.
func (b *Batch) askAgain(ctx context.Context, steps []*step) error {
	for _, s := range steps {
		if err := s.alone(ctx); err != nil && !b.conn.Usable() {
			return err
		}
	}
	return nil
}
