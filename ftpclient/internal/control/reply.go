// Package control speaks the control connection of FTP: commands out, replies in, and the
// bookkeeping of which reply belongs to which command (RFC 959 section 4.2).
package control

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of what is accepted from a server. They are far above anything a server in use
// sends and keep a hostile one from filling the memory.
const (
	MaxLine  = 64 << 10 // bytes in one line of a reply
	MaxReply = 4 << 20  // bytes in one reply

	// lineCost is what a line takes in memory beside its text: lines without any are not free.
	lineCost = 16

	maxShown = 1000 // bytes of a reply in an error
)

// ErrProtocol is wrapped by every error that says that the peer does not speak FTP (any
// more). The connection cannot be used after it.
var ErrProtocol = errors.New("FTP protocol violation")

// Reply is one complete reply. Lines holds the text of each line as the server sent it,
// without line ends; the reply code is cut from the first and the last line. The bytes of
// file names in it may be in any encoding.
type Reply struct {
	Code  int
	Lines []string
}

// Text joins the lines of the reply for people and for pattern matching.
func (r Reply) Text() string { return strings.Join(r.Lines, "\n") }

// Last returns the last line, which is the one that a single-line reply consists of.
func (r Reply) Last() string {
	if len(r.Lines) == 0 {
		return ""
	}
	return r.Lines[len(r.Lines)-1]
}

// String returns the reply in one line, for errors: not all of a long one.
func (r Reply) String() string {
	text := strings.Join(r.Lines, " / ")
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "..."
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, text))
}

// Preliminary reports a 1yz reply: another one follows.
func (r Reply) Preliminary() bool { return r.Code >= 100 && r.Code < 200 }

// Completed reports a 2yz reply.
func (r Reply) Completed() bool { return r.Code >= 200 && r.Code < 300 }

// Intermediate reports a 3yz reply: the server waits for the next command of a sequence.
func (r Reply) Intermediate() bool { return r.Code >= 300 && r.Code < 400 }

// ReadReply reads one reply. It accepts what servers in use send beyond the standard: bare
// LF and doubled CR as line ends, a bare code without text, inner lines of any form, telnet
// negotiation or the mark of UTF-8 in front of the code. Errors of br are returned as they are; everything else wraps ErrProtocol.
func ReadReply(br *bufio.Reader) (Reply, error) {
	line, err := readLine(br)
	if err != nil {
		return Reply{}, err
	}
	code, separator, ok := splitCode(line)
	if !ok {
		garbage := line
		if line = cutPrelude(line); line != garbage {
			code, separator, ok = splitCode(line)
		}
		if !ok {
			return Reply{}, fmt.Errorf("%w: %s", ErrProtocol, describeGarbage(garbage))
		}
	}
	reply := Reply{Code: code, Lines: []string{textAfterCode(line)}}
	if separator != '-' {
		return reply, nil
	}
	total := len(line) + lineCost
	for {
		line, err = readLine(br)
		if errors.Is(err, io.EOF) {
			return Reply{}, io.ErrUnexpectedEOF
		}
		if err != nil {
			return Reply{}, err
		}
		if total += len(line) + lineCost; total > MaxReply {
			return Reply{}, fmt.Errorf("%w: reply of more than %d bytes", ErrProtocol, MaxReply)
		}
		inner, separator, ok := splitCode(line)
		if ok && inner == code && separator != '-' {
			reply.Lines = append(reply.Lines, textAfterCode(line))
			return reply, nil
		}
		reply.Lines = append(reply.Lines, line)
	}
}

func readLine(br *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		if line == nil {
			line = part[:len(part):len(part)] // no more is read before it is copied, unless the line goes on
		} else {
			line = append(line, part...)
		}
		if len(line) > MaxLine {
			return "", fmt.Errorf("%w: line of more than %d bytes", ErrProtocol, MaxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			line = bytes.Clone(line)
			continue
		}
		if err != nil {
			if len(line) > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if isTLSRecord(line) { // an alert, which has no line end
				return "", fmt.Errorf("%w: %s", ErrProtocol, describeGarbage(string(line)))
			}
			return "", err
		}
		break
	}
	text := strings.TrimRight(string(line), "\r\n")
	if isTLSRecord(line) {
		return "", fmt.Errorf("%w: %s", ErrProtocol, describeGarbage(text))
	}
	if strings.IndexByte(text, 0) >= 0 {
		if len(text) == 4 {
			return "", fmt.Errorf("%w: NUL byte in a reply: %s", ErrProtocol, describeGarbage(text))
		}
		return "", fmt.Errorf("%w: NUL byte in a reply", ErrProtocol)
	}
	return text, nil
}

// splitCode takes the three digits at the start of a line and the byte behind them (0 when
// the line ends there).
func splitCode(line string) (code int, separator byte, ok bool) {
	if len(line) < 3 {
		return 0, 0, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, 0, false
		}
		code = code*10 + int(line[i]-'0')
	}
	if code < 100 || code > 699 {
		return 0, 0, false
	}
	if len(line) == 3 {
		return code, 0, true
	}
	separator = line[3]
	return code, separator, separator == ' ' || separator == '-' || separator == '\t'
}

// cutPrelude takes away what some servers write in front of a reply although it is none of
// the text: commands of telnet (RFC 854), of which those from WILL to DONT have an option
// behind them, and the byte order mark.
func cutPrelude(line string) string {
	line = strings.TrimPrefix(line, "\ufeff")
	for len(line) > 1 && line[0] == 0xff && line[1] >= 0xf0 && line[1] < 0xff {
		length := 2
		if line[1] >= 0xfb {
			length = min(3, len(line))
		}
		line = line[length:]
	}
	return line
}

func textAfterCode(line string) string {
	if len(line) <= 4 {
		return ""
	}
	return line[4:]
}

func isTLSRecord(line []byte) bool {
	return len(line) > 1 && (line[0] == 0x15 || line[0] == 0x16) && line[1] == 3
}

// describeGarbage recognises what people connect to by mistake.
func describeGarbage(line string) string {
	switch {
	case strings.HasPrefix(line, "SSH-"):
		return "this is an SSH server; SFTP is another protocol than FTP"
	case strings.HasPrefix(line, "HTTP/") || strings.HasPrefix(line, "<"):
		return "this is a web server"
	case strings.HasPrefix(line, "+OK") || strings.HasPrefix(line, "* OK"):
		return "this is a mail server (POP3 or IMAP)"
	case strings.HasPrefix(line, "RFB "):
		return "this is a VNC server"
	case strings.HasPrefix(line, "@RSYNCD:"):
		return "this is an rsync server"
	case len(line) > 1 && line[0] == 0xff && line[1] >= 0xf0:
		return "this is a telnet server"
	case isTLSRecord([]byte(line)):
		return `the server speaks TLS from the first byte; use tls = "implicit"`
	case len(line) == 4 && line[3] == 0: // length and number of a packet, and version 10, which is LF
		return "this is a MySQL server"
	}
	const shown = 60
	if len(line) > shown {
		line = line[:shown] + "..."
	}
	return fmt.Sprintf("no reply code in %q", line)
}
