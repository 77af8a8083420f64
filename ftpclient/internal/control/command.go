package control

import (
	"errors"
	"fmt"
	"strings"
)

// MaxCommand is the longest command line sent, line end included. Longer ones are cut,
// answered twice or not answered at all by servers in use.
const MaxCommand = 4096

// ErrUnsendable is wrapped by the errors of NewCommand: the argument cannot be sent as part
// of an FTP command, and no byte of it was sent.
var ErrUnsendable = errors.New("name cannot be sent over FTP")

// Role says how the replies to a command are matched.
type Role uint8

const (
	// Simple commands get one final reply, in order.
	Simple Role = iota
	// Transfer commands get a preliminary reply, and the final one when the data
	// connection has ended.
	Transfer
	// Abort is ABOR: its reply follows the one of the transfer that it ends.
	Abort
)

// Command is one line for the server. Only NewCommand makes one, so that no file name can
// carry a second command.
type Command struct {
	verb, argument string
	role           Role
	secret         bool
}

// NewCommand builds a command. It refuses CR, LF and NUL (a name that holds one could
// inject a command of its own) and lines longer than MaxCommand.
func NewCommand(verb, argument string) (Command, error) {
	c := Command{verb: verb, argument: argument}
	for _, part := range []string{verb, argument} {
		if i := strings.IndexAny(part, "\r\n\x00"); i >= 0 {
			return Command{}, fmt.Errorf("%w: %q holds a line end or NUL", ErrUnsendable, part)
		}
	}
	if c.Len() > MaxCommand {
		return Command{}, fmt.Errorf("%w: command of %d bytes, the limit is %d", ErrUnsendable, c.Len(), MaxCommand)
	}
	return c, nil
}

// As returns the command with another role.
func (c Command) As(role Role) Command {
	c.role = role
	return c
}

// Secret returns the command with its argument hidden from logs.
func (c Command) Secret() Command {
	c.secret = true
	return c
}

// Verb is the command without its argument.
func (c Command) Verb() string { return c.verb }

// Len is the length of the command line in bytes, with its line end.
func (c Command) Len() int {
	if c.argument == "" {
		return len(c.verb) + len("\r\n")
	}
	return len(c.verb) + len(" ") + len(c.argument) + len("\r\n")
}

// appendTo adds the command line to lines.
func (c Command) appendTo(lines []byte) []byte {
	lines = append(lines, c.verb...)
	if c.argument != "" {
		lines = append(lines, ' ')
		lines = append(lines, c.argument...)
	}
	return append(lines, "\r\n"...)
}

// String returns the command as logs may show it.
func (c Command) String() string {
	switch {
	case c.argument == "":
		return c.verb
	case c.secret:
		return c.verb + " ***"
	}
	return c.verb + " " + c.argument
}
