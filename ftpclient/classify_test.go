package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

func TestClassify(t *testing.T) {
	reply := func(op string, code int, text string) error {
		return &Error{Op: op, Path: "/f", Code: code, Text: text}
	}
	refusedMode := func(code int) error {
		return &Error{Op: "store", Err: &DataError{Attempts: []data.Attempt{
			{Way: DataWay{Method: data.Passive, Command: EPSV}, Err: errors.New("connection refused")},
			{Way: DataWay{Method: data.Passive, Command: PASV}, Err: &data.ReplyError{Reply: control.Reply{Code: code}}},
		}}}
	}
	tests := []struct {
		name string
		err  error
		want Class
	}{
		{"no error", nil, ClassNone},
		{"a name that cannot be sent", &Error{Op: "store", Err: fmt.Errorf("%w: x", ErrUnsendable)}, ClassPermanent},
		{"no such command at the server", errors.Join(&Error{Op: "set time", Err: ErrUnsupported}, reply("set time", 550, "no")), ClassPermanent},
		{"no protection", &Error{Op: "connect", Code: 502, Err: ErrInsecure}, ClassSetup},
		{"no trust", &Error{Op: "connect", Err: fmt.Errorf("%w: expired", ErrCertificate)}, ClassSetup},
		{"no data channel", refusedMode(500), ClassSetup},
		{"no data channel for the moment", refusedMode(425), ClassConnection},
		{"no mode is allowed", &Error{Op: "store", Err: &DataError{}}, ClassSetup},
		{"an incomplete listing", &Error{Op: "stat", Err: ErrIncomplete}, ClassRetry},
		{"nobody is there", &Error{Op: "connect", Err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}}, ClassUnavailable},
		{"the login breaks off", &Error{Op: "login", Err: io.EOF}, ClassUnavailable},
		{"the connection breaks off", &Error{Op: "store", Err: io.ErrUnexpectedEOF}, ClassConnection},
		{"no reply in time", &Error{Op: "store", Err: ErrTimeout}, ClassConnection},
		{"replies out of step", &Error{Op: "store", Err: ErrDesync}, ClassConnection},
		{"a disk here that is full, in the middle of a transfer", &Error{Op: "retrieve", Err: localError{&fs.PathError{Op: "write", Err: syscall.ENOSPC}}}, ClassUnknown},
		{"the caller's own error in the middle of a transfer", &Error{Op: "store", Err: localError{errors.New("?")}}, ClassUnknown},
		{"a stalled transfer", &Error{Op: "store", Err: ErrStalled}, ClassConnection},
		{"the TLS session is never resumed", &Error{Op: "store", Code: 522, Err: ErrNotResumed}, ClassSetup},
		{"the TLS session is too old", &Error{Op: "store", Code: 522, Err: ErrTicketExpired}, ClassConnection},
		{"the server holds other bytes than were sent", &Error{Op: "verify", Err: ErrMismatch}, ClassRetry},
		{"a read that the network ended", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, ClassConnection},
		{"a read of a transfer that stalled", fmt.Errorf("read: %w", ErrStalled), ClassConnection},
		{"a write into a connection that is closed", net.ErrClosed, ClassConnection},
		{"a deadline of the caller", context.DeadlineExceeded, ClassConnection},
		{"a stranger among errors", errors.New("?"), ClassUnknown},
		{"an error of a disk here", &fs.PathError{Op: "read", Err: io.ErrShortBuffer}, ClassUnknown},
		{"a cancelled context", &Error{Op: "store", Err: context.Canceled}, ClassCancelled},
		{"a cancelled context in the middle of a refusal", errors.Join(reply("store", 550, "no"), &Error{Err: context.Canceled}), ClassCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Classify(test.err); got != test.want {
				t.Errorf("%v is classified %s, want %s", test.err, got, test.want)
			}
		})
	}
}

func TestClassesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for c := ClassNone; c <= ClassUnknown; c++ {
		if name := c.String(); name == "" || seen[name] {
			t.Errorf("class %d is called %q", c, name)
		} else {
			seen[name] = true
		}
	}
	if got := (ClassUnknown + 1).String(); got != "unknown" {
		t.Error(got)
	}
}

func TestAnErrorWithoutACodeHasItsCause(t *testing.T) {
	if err := (&Error{Err: fs.ErrNotExist}); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a refusal", &Error{Op: "store", Path: "/f", Code: 550, Text: "no"}, "store /f: 550 no"},
		{"a refusal of many lines", &Error{Op: "login", Code: 530, Text: "no\nand no"}, "login: 530 no / and no"},
		{"a cause", &Error{Op: "noop", Err: io.EOF}, "noop: EOF"},
		{"a refusal and a cause", &Error{Op: "noop", Code: 421, Text: "bye", Err: ErrClosing}, "noop: 421 bye: server closes the connection"},
		{"words for the terminal", &Error{Op: "list", Path: "/\x1b[2J", Code: 550, Text: "\a\r"}, "list /?[2J: 550 ??"},
		{"words that turn the text around", &Error{Op: "list", Path: "/\u202etxt.exe\u2028", Err: io.EOF}, "list /?txt.exe?: EOF"},
		{"words of other languages", &Error{Op: "list", Path: "/नमस्\u200dते", Err: io.EOF}, "list /नमस्\u200dते: EOF"},
		{"no data channels", &DataError{}, "no data channel: the options allow no way that could work"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	long := replyError("list", "/", "", control.Reply{Code: 550, Lines: []string{strings.Repeat("é", 1<<20)}})
	if len(long.Error()) > 2*maxText {
		t.Errorf("an error of %d bytes", len(long.Error()))
	}
}

func TestParsePWD(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"the form of the standard", `"/home/ferry" is the current directory`, "/home/ferry"},
		{"nothing behind it", `"/"`, "/"},
		{"doubled quotes", `"/a""b" is current`, `/a"b`},
		{"doubled quotes at the end", `"/a""" is current`, `/a"`},
		{"quotes that are not doubled", `"/a"b" is current`, `/a"b`},
		{"words in front", `Current directory is "/a b"`, "/a b"},
		{"no quotes", "/home/ferry is current", "/home/ferry"},
		{"no quotes, on VMS", "DISK$USER:[FERRY.SUB] is current directory", "DISK$USER:[FERRY.SUB]"},
		{"no quotes and no folder", "you are here", "/"},
		{"a data set of MVS", `"'FERRY.'" is the working directory name prefix.`, "'FERRY.'"},
		{"a folder of VMS", `"DISK:[ANON]" is current directory`, "DISK:[ANON]"},
		{"a library of OS/400", `"QGPL" is current library.`, "QGPL"},
		{"one quote", `"/home`, "/"},
		{"nothing", "", "/"},
		{"nothing within", `""`, "/"},
	} {
		if got := parsePWD(control.Reply{Code: 257, Lines: []string{test.text}}); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := parsePWD(control.Reply{Code: 550, Lines: []string{`"/x": no`}}); got != "/" {
		t.Errorf("a refusal: %q", got)
	}
}

func FuzzParsePWD(f *testing.F) {
	f.Add(`"/a""b" is "current"`)
	f.Fuzz(func(t *testing.T, text string) {
		if parsePWD(control.Reply{Code: 257, Lines: []string{text}}) == "" {
			t.Errorf("%q gives nothing", text)
		}
	})
}

func TestParseFeatures(t *testing.T) {
	features := parseFeatures([]string{"Features", " MDTM", "\tRest STREAM", "211-UTF8", " SITE A", " SITE B", "", "End"})
	for _, name := range []string{"MDTM", "mdtm", "REST", "UTF8", "SITE"} {
		if !features.Has(name) {
			t.Errorf("%s is missing in %v", name, features)
		}
	}
	if features.Has("FEATURES") || features.Has("END") || len(features) != 4 || len(features["SITE"]) != 2 || features["REST"][0] != "STREAM" {
		t.Errorf("%v", features)
	}
	for _, none := range [][]string{nil, {"no features"}, {"Features", "End"}} {
		if got := parseFeatures(none); len(got) != 0 {
			t.Errorf("%q: %v", none, got)
		}
	}
}

func TestAbsolute(t *testing.T) {
	c := &Conn{naming: naming{home: "/home/ferry"}}
	for p, want := range map[string]string{
		"/a/../b/": "/b", "x": "/home/ferry/x", "": "/home/ferry", "-r": "/home/ferry/-r", "../x": "/home/x", "../../../x": "/x",
	} {
		if got := c.Absolute(p); got != want {
			t.Errorf("%q: %q, want %q", p, got, want)
		}
	}
}
