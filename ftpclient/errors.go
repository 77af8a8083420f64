package ftpclient

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Sentinels for errors.Is.
var (
	// ErrClosing: the server said 421 and closes the connection.
	ErrClosing = control.ErrClosing
	// ErrDesync: replies and commands are out of step; the connection is dead.
	ErrDesync = control.ErrDesync
	// ErrProtocol: the peer does not speak FTP.
	ErrProtocol = control.ErrProtocol
	// ErrUnsendable: the name cannot be part of an FTP command; nothing was sent.
	ErrUnsendable = control.ErrUnsendable
	// ErrStalled: no byte moved on the data connection for the stall time-out.
	ErrStalled = data.ErrStalled
	// ErrTimeout: the server did not reply in time.
	ErrTimeout = errors.New("no reply in time")
	// ErrUnsupported: the server has no command for what was asked.
	ErrUnsupported = errors.New("not supported by the server")
	// ErrInsecure: the server would not protect the connection as asked, or demands a
	// protection that was not asked for, or its data connection is not the one of the same
	// server.
	ErrInsecure = errors.New("no protected connection")
	// ErrCertificate: the server's certificate was not accepted.
	ErrCertificate = errors.New("certificate not accepted")
	// ErrIncomplete: a listing was cut short or holds lines that nobody understands.
	ErrIncomplete = errors.New("listing is incomplete")

	// ErrPrivilegedPort: the server names a port below 1024 for data, where other services live.
	ErrPrivilegedPort = data.ErrPrivilegedPort
	// ErrThirdHost: the reply to PASV names another host, and connecting there is not allowed.
	ErrThirdHost = data.ErrThirdHost
	// ErrEPSVAddress: the reply to EPSV names an address, which it must not.
	ErrEPSVAddress = data.ErrEPSVAddress
	// ErrStranger: only others than the server connected in active mode.
	ErrStranger = data.ErrStranger
	// ErrNotCalled: the server did not connect in active mode.
	ErrNotCalled = data.ErrNotCalled
)

// Error is the error of every operation. With a Code, the server said no; without, Err says
// what went wrong between us.
type Error struct {
	Op   string // "connect", "login", "list", "store", ...
	Path string
	Code int    // reply code, 0 without a reply
	Text string // text of the reply, or its beginning
	Err  error  // the cause, may stand beside a Code

	Command string // the command that was answered with Code, "" for the greeting and for replies unasked for
	Server  string // Facts.Server: what kind of server answered, "" when unknown

	// Facts is what a Dial that failed at the login has learned, for the next one; nil with
	// all other errors.
	Facts *Facts
}

// Error is one line, but for a DataError, which is a block.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, ": %d %s", e.Code, strings.ReplaceAll(e.Text, "\n", " / "))
	}
	if block, ok := e.Err.(*DataError); ok {
		return printable(b.String()) + ": " + block.Error()
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return printable(b.String())
}

// printable keeps bytes of the server from commanding the terminal that shows them, or from
// turning its text around.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return '?'
		}
		return r
	}, s)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is maps replies to the sentinels of io/fs, by the table of meanings. Code 550 alone says
// nothing, so only replies whose text names the cause match, and only texts that servers send
// for that cause alone: errors.Is(err, fs.ErrNotExist) is proof of absence. As with package
// os, what is absent may be a folder on the way: see ClassParents.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist, fs.ErrExist, fs.ErrPermission:
		return e.meaning() == target
	}
	return false
}

func saysAny(text string, patterns ...string) bool {
	text = strings.ToLower(text)
	for _, p := range patterns {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

func replyError(op, path, verb string, r control.Reply) *Error {
	return &Error{Op: op, Path: path, Command: verb, Code: r.Code, Text: shorten(r.Text())}
}

// maxText bounds the texts of replies that are kept: they end up in logs and histories.
const maxText = 2000

func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "..."
}
