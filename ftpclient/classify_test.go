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
			{Mode: EPSV, Err: errors.New("connection refused")},
			{Mode: PASV, Err: &data.ReplyError{Reply: control.Reply{Code: code}}},
		}}}
	}
	tests := []struct {
		name string
		err  error
		want Class
	}{
		{"no error", nil, ClassNone},
		{"vsftpd is full", reply("connect", 421, "There are too many connected users, please try later."), ClassBusy},
		{"Pure-FTPd is full", reply("connect", 421, "10 users (the maximum) are already logged in, sorry"), ClassBusy},
		{"pyftpdlib is full", reply("connect", 421, "Too many connections. Service temporarily unavailable."), ClassBusy},
		{"ProFTPD is full", reply("login", 530, "Sorry, the maximum number of clients (2) for this user are already connected."), ClassBusy},
		{"a limit at the login", reply("login", 421, "Connection limit reached"), ClassBusy},
		{"a limit of time later", reply("noop", 421, "Idle time limit reached"), ClassConnection},
		{"the server goes down", reply("connect", 421, "Service not available"), ClassUnavailable},
		{"the server goes down in the middle of the login", reply("login", 421, "Service not available"), ClassUnavailable},
		{"the server goes down later", reply("store", 421, "Timeout."), ClassConnection},
		{"a wrong password", reply("login", 530, "Login incorrect."), ClassAuthentication},
		{"an account is needed", reply("login", 332, "Need account"), ClassAuthentication},
		{"an account is needed to store", reply("login", 532, "Need account for storing files"), ClassAuthentication},
		{"the session is lost", reply("store", 530, "Please login with USER and PASS."), ClassConnection},
		{"vsftpd wants the TLS session", reply("store", 522, "SSL connection failed: session reuse required"), ClassSetup},
		{"FileZilla Server wants the TLS session", reply("store", 425, "Unable to build data connection: TLS session of data connection not resumed."), ClassSetup},
		{"a policy of TLS", reply("store", 534, "Policy requires SSL"), ClassSetup},
		{"no data connection", reply("store", 425, "Failed to establish connection."), ClassConnection},
		{"a cut transfer", reply("store", 426, "Failure reading network stream."), ClassConnection},
		{"a full quota", reply("store", 550, "Quota exceeded"), ClassLater},
		{"a full disk", reply("store", 451, "write: No space left on device"), ClassLater},
		{"no storage", reply("store", 452, "Error writing file."), ClassLater},
		{"no allocation", reply("store", 552, "Requested file action aborted."), ClassLater},
		{"IIS has the file open", reply("store", 550, "The process cannot access the file because it is being used by another process."), ClassRetry},
		{"a busy file", reply("store", 450, "File busy"), ClassRetry},
		{"a passing error", reply("store", 451, "Local error in processing"), ClassRetry},
		{"ProFTPD misses a file with 450", reply("list", 450, "/f: No such file or directory"), ClassPermanent},
		{"Pure-FTPd misses a file with 451", reply("rename", 451, "Rename/move failure: No such file or directory"), ClassPermanent},
		{"ProFTPD does not allow to go on", reply("store", 451, "/f: Append/Restart not permitted, try again"), ClassPermanent},
		{"a missing file", reply("retrieve", 550, "No such file or directory."), ClassPermanent},
		{"a bad name", reply("store", 553, "Prohibited file name"), ClassPermanent},
		{"an unknown command", reply("set time", 500, "Unknown command."), ClassPermanent},
		{"a code nobody knows", reply("store", 599, "?"), ClassPermanent},
		{"the path speaks of a quota, the server does not",
			&Error{Op: "store", Path: "/quota exceeded.txt", Code: 550, Text: "/quota exceeded.txt: Permission denied"}, ClassPermanent},
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
		{"a stalled transfer", &Error{Op: "store", Err: ErrStalled}, ClassConnection},
		{"a stranger among errors", errors.New("?"), ClassConnection},
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
	for c := ClassNone; c <= ClassCancelled; c++ {
		if name := c.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("class %d is called %q", c, name)
		} else {
			seen[name] = true
		}
	}
	if got := (ClassCancelled + 1).String(); got != "unknown" {
		t.Error(got)
	}
}

func TestErrorIs(t *testing.T) {
	tests := []struct {
		name string
		err  *Error
		want error // nil for none of those of io/fs
	}{
		{"vsftpd says nothing", &Error{Code: 550, Text: "Failed to open file."}, nil},
		{"a code is no reason", &Error{Code: 550, Text: "no"}, nil},
		{"no such file", &Error{Code: 550, Path: "/f", Text: "/f: No such file or directory"}, fs.ErrNotExist},
		{"IIS has no such file", &Error{Code: 550, Text: "The system cannot find the file specified."}, fs.ErrNotExist},
		{"not found", &Error{Code: 550, Text: "File not found"}, fs.ErrNotExist},
		{"it exists", &Error{Code: 550, Text: "/d: File exists"}, fs.ErrExist},
		{"it already exists", &Error{Code: 521, Text: "Directory already exists"}, fs.ErrExist},
		{"no rights", &Error{Code: 550, Text: "/f: Permission denied"}, fs.ErrPermission},
		{"IIS gives no rights", &Error{Code: 550, Text: "Access is denied."}, fs.ErrPermission},
		{"a success says nothing", &Error{Code: 226, Text: "file not found in the cache, sent from disk"}, nil},
		{"a path says nothing", &Error{Code: 550, Path: "/x/Not Found/page", Text: "/x/not found/page: Permission denied"}, fs.ErrPermission},
		{"an error without a code has its cause", &Error{Err: fs.ErrNotExist}, fs.ErrNotExist},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, target := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
				if got := errors.Is(fmt.Errorf("wrapped: %w", test.err), target); got != (target == test.want) {
					t.Errorf("%v is %v: %v", test.err, target, got)
				}
			}
		})
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
		{"data channels", &Error{Op: "list", Err: &DataError{Attempts: []data.Attempt{
			{Mode: EPSV, Err: errors.New("refused")}, {Mode: PORT, Target: "192.0.2.1:5", Err: errors.New("nobody came")}}}},
			"list: no data channel: EPSV: refused; PORT 192.0.2.1:5: nobody came"},
		{"no data channels", &DataError{}, "no data channel: no mode is allowed for this server"},
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
	c := &Conn{home: "/home/ferry"}
	for p, want := range map[string]string{
		"/a/../b/": "/b", "x": "/home/ferry/x", "": "/home/ferry", "-r": "/home/ferry/-r", "../x": "/home/x", "../../../x": "/x",
	} {
		if got := c.Absolute(p); got != want {
			t.Errorf("%q: %q, want %q", p, got, want)
		}
	}
}
