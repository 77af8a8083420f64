package control

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosing is wrapped when the server said 421: it closes the connection.
var ErrClosing = errors.New("server closes the connection")

// ClosingError is a 421; it is ErrClosing.
type ClosingError struct{ Reply Reply }

func (e *ClosingError) Error() string { return ErrClosing.Error() + ": " + e.Reply.String() }

// Unwrap returns ErrClosing.
func (e *ClosingError) Unwrap() error { return ErrClosing }

// ErrDesync is wrapped when a reply arrived that no command can have caused. Which reply
// belongs to which command is not known any more, so the connection cannot be used.
var ErrDesync = errors.New("replies and commands are out of step")

// Delivery is one reply for the command with number Command.
type Delivery struct {
	Command uint64
	Reply   Reply
	Final   bool
	// Unanswered says that the command with number Without gets no reply of its own: the
	// server answered an ABOR and the transfer that it ended with one reply.
	Unanswered bool
	Without    uint64
}

// Matcher gives each reply to the command that caused it. FTP has no tags: replies come in
// the order of the commands, but for those around a running transfer. It is pure: no I/O,
// no time. The zero value is ready.
type Matcher struct {
	waiting  []slot
	transfer *slot // has had its preliminary reply; the data connection is in use
}

type slot struct {
	command uint64
	role    Role
	verb    string
}

// Push notes that a command has been sent. Numbers must be unique.
func (m *Matcher) Push(command uint64, c Command) {
	m.waiting = append(m.waiting, slot{command, c.role, c.verb})
}

// Owed is the number of commands without a final reply.
func (m *Matcher) Owed() int {
	if m.transfer != nil {
		return len(m.waiting) + 1
	}
	return len(m.waiting)
}

// Deliver says who gets reply r. An error means that the connection is not usable any more
// (ErrClosing, ErrDesync); everybody still waiting has to be told.
func (m *Matcher) Deliver(r Reply) (Delivery, error) {
	if r.Code == 421 {
		return Delivery{}, &ClosingError{r}
	}
	if r.Preliminary() {
		return m.deliverPreliminary(r)
	}
	if m.marked(r) {
		abort, marker := m.waiting[0], m.waiting[1]
		m.waiting = m.waiting[2:]
		return Delivery{Command: marker.command, Reply: r, Final: true, Unanswered: true, Without: abort.command}, nil
	}
	if m.transfer != nil && (len(m.waiting) == 0 || endsTransfer(m.waiting[0], r.Code)) {
		return m.finishTransfer(r), nil
	}
	if len(m.waiting) == 0 {
		return Delivery{}, fmt.Errorf("%w: unexpected %s", ErrDesync, r)
	}
	head := m.waiting[0]
	m.waiting = m.waiting[1:]
	return Delivery{Command: head.command, Reply: r, Final: true}, nil
}

// marked reports whether r answers a NOOP that stands right behind an ABOR. ABOR is never
// answered with 200, so where the 200 comes first, the server has answered the ABOR and the
// transfer with one reply, as pyftpdlib does for uploads ("225 ABOR command successful"). A
// server that does say "200 ABOR ..." keeps the order.
func (m *Matcher) marked(r Reply) bool {
	return r.Code == 200 && len(m.waiting) > 1 && m.waiting[0].role == Abort && m.waiting[1].verb == "NOOP" &&
		!strings.Contains(strings.ToUpper(r.Text()), "ABOR")
}

func (m *Matcher) deliverPreliminary(r Reply) (Delivery, error) {
	if m.transfer != nil {
		return Delivery{Command: m.transfer.command, Reply: r}, nil
	}
	if len(m.waiting) == 0 {
		return Delivery{}, fmt.Errorf("%w: unexpected %s", ErrDesync, r)
	}
	head := m.waiting[0]
	if head.role == Transfer {
		m.waiting = m.waiting[1:]
		m.transfer = &head
	}
	return Delivery{Command: head.command, Reply: r}, nil
}

func (m *Matcher) finishTransfer(r Reply) Delivery {
	d := Delivery{Command: m.transfer.command, Reply: r, Final: true}
	m.transfer = nil
	return d
}

// endsTransfer decides, while a transfer runs and command next has been sent behind it,
// whether a reply with this code ends the transfer. ABOR is answered after the transfer it
// ends, but at once by servers that do not know it. Servers answer STAT and NOOP at once or
// after the transfer, in either order, but with codes that a transfer does not end with.
func endsTransfer(next slot, code int) bool {
	switch {
	case code == 202 || code >= 500 && code <= 504: // not known, or not now
		return false
	case next.role == Abort:
		return true
	case code >= 500:
		return code != 530
	case code >= 400:
		return true
	}
	return code == 226 || code == 250
}
