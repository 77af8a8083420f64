package data

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// What is refused for safety, each for its own reason (RFC 2577 section 3).
var (
	// ErrPrivilegedPort: the server names a port below 1024 for data, where other services live.
	ErrPrivilegedPort = errors.New("the server names a privileged port for data")
	// ErrThirdHost: the reply to PASV names another host than the control connection's, and
	// connecting there is not allowed.
	ErrThirdHost = errors.New("the server names another host for data")
	// ErrEPSVAddress: the reply to EPSV holds an address, which RFC 2428 section 3 leaves out.
	ErrEPSVAddress = errors.New("the reply to EPSV names an address")
	// ErrNonsense: the reply to EPSV or PASV agrees and names no port.
	ErrNonsense = errors.New("the reply names no port for data")
	// ErrStranger: only others than the server connected.
	ErrStranger = errors.New("another host than the server connected")
	// ErrPortsBusy: all ports that may be listened on are in use.
	ErrPortsBusy = errors.New("all ports are in use")
	// ErrNotCalled: the server did not connect in time.
	ErrNotCalled = errors.New("the server did not connect")
)

// ReplyError is the server's refusal of EPSV, PASV, EPRT or PORT.
type ReplyError struct{ Reply control.Reply }

func (e *ReplyError) Error() string { return e.Reply.String() }

// controlError marks an error of the control connection.
type controlError struct{ error }

func (e controlError) Unwrap() error { return e.error }

// Fatal reports that err came from the control connection, so that no other mode can help.
func Fatal(err error) bool {
	var ce controlError
	return errors.As(err, &ce)
}

// unusable marks the lack of something to dial or to announce.
type unusable struct{ error }

func (e unusable) Unwrap() error { return e.error }

// StageOf tells how far an attempt got that ended with err, an error of Prepare or Open. What
// it does not know from there came after the connection was made, and is Broken.
func StageOf(err error) Stage {
	var refusal *ReplyError
	var nothing unusable
	var network *net.OpError
	var dialled dialError
	switch {
	case errors.As(err, &refusal), errors.Is(err, ErrNonsense), errors.Is(err, ErrEPSVAddress):
		return Refused
	case errors.As(err, &nothing), errors.Is(err, ErrPrivilegedPort):
		return Unusable
	case errors.Is(err, ErrNotCalled), timedOut(err):
		return Silent
	case errors.As(err, &dialled), errors.As(err, &network) && network.Op == "dial":
		return Rejected // by whatever name the system has for it
	case errors.Is(err, ErrThirdHost):
		return Unusable
	}
	return Broken
}

// dialError marks an error of dialling, which by its kind is a time-out or a rejection.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// timedOut knows time-outs of this program and those of the system.
func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	var number syscall.Errno
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() ||
		// Package syscall does not count it there.
		runtime.GOOS == "windows" && errors.As(err, &number) && number == windowsTimedOut
}

// inUse knows the error of listening on a port that another socket has.
func inUse(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, syscall.Errno(windowsInUse))
}

// What package syscall has no names for: WSAETIMEDOUT, WSAEADDRINUSE.
const (
	windowsTimedOut = 10060
	windowsInUse    = 10048
)
