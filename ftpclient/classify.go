package ftpclient

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
)

// Class says what a caller can do about an error.
type Class uint8

const (
	// ClassNone: no error.
	ClassNone Class = iota
	// ClassRetry: try again later, on the same connection if that is still usable.
	ClassRetry
	// ClassConnection: the connection is gone or not to be trusted; try again on a new one.
	// What became of the last command is unknown.
	ClassConnection
	// ClassUnavailable: the server cannot be reached or does not take logins now.
	ClassUnavailable
	// ClassBusy: too many connections or transfers at a time; use fewer.
	ClassBusy
	// ClassLater: no space or quota on the server; trying soon is pointless.
	ClassLater
	// ClassPermanent: trying again without a change is pointless.
	ClassPermanent
	// ClassParents: a folder on the way to the new name is missing; make it and try again.
	ClassParents
	// ClassOffset: the server does not go on from this offset; look at the size again, or start
	// over from zero.
	ClassOffset
	// ClassSetup: TLS or data channels do not work with this configuration.
	ClassSetup
	// ClassAuthentication: the login was refused. Trying again may lock the account.
	ClassAuthentication
	// ClassCancelled: the caller's context was cancelled. One whose deadline passed makes
	// errors like those of a server that is too slow.
	ClassCancelled
	// ClassUnknown: not an error of this package, nor one of the network: of a disk, of the
	// source of an upload, of a caller's own code.
	ClassUnknown
)

var classNames = [...]string{"none", "retry", "connection", "unavailable", "busy", "later", "permanent", "parents",
	"offset", "setup", "authentication", "cancelled", "unknown"}

// String returns the class as a word.
func (c Class) String() string { return classNames[min(c, ClassUnknown)] }

// Classify is the one place that reads errors of this package for what to do next. It looks
// at the connection first, then at what was asked (the command), then at the server's words,
// and at the code of the reply last. Codes that no rule knows go by their first digit: 4yz is
// ClassRetry, 5yz is ClassPermanent (RFC 1123 section 4.1.2.11).
func Classify(err error) Class {
	if err == nil {
		return ClassNone
	}
	for _, s := range sentinels {
		if errors.Is(err, s.is) {
			return s.class
		}
	}
	var e *Error
	switch {
	case !errors.As(err, &e):
		return classifyStranger(err)
	case e.Code == 0:
		return classifyConnection(e)
	}
	if i := e.rule(); i >= 0 {
		return rules[i].class
	}
	return ClassConnection // a success where none can be: replies and commands are out of step
}

// rule is the index of the rule that decides, -1 without one.
func (e *Error) rule() int {
	meaning := e.meaning()
	return slices.IndexFunc(rules, func(r rule) bool {
		return (r.is == nil || r.is == meaning) && e.fits(r.replies)
	})
}

// sentinels are the errors that need no reply to be understood; the first one counts.
var sentinels = []struct {
	is    error
	class Class
}{
	{context.Canceled, ClassCancelled},
	{ErrPoolClosed, ClassCancelled},
	{ErrUnsendable, ClassPermanent},
	{ErrUnsupported, ClassPermanent},
	{ErrNameChanged, ClassPermanent},
	{ErrOverwrite, ClassPermanent},
	{ErrTransferring, ClassPermanent},
	{ErrMismatch, ClassRetry}, // the connection did its part
	{ErrTicketExpired, ClassConnection},
	{ErrNotResumed, ClassSetup},
	{ErrInsecure, ClassSetup},
	{ErrOptions, ClassSetup},
	{ErrCertificate, ClassSetup},
}

// classifyStranger reads errors that are no *Error: those of Transfer.Read and Write are what
// the network said.
func classifyStranger(err error) Class {
	var network net.Error
	if errors.As(err, &network) {
		return ClassConnection
	}
	for _, sentinel := range []error{ErrClosing, ErrDesync, ErrProtocol, ErrStalled, ErrTimeout,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded} {
		if errors.Is(err, sentinel) {
			return ClassConnection
		}
	}
	return ClassUnknown
}

// classifyConnection reads errors without a reply.
func classifyConnection(e *Error) Class {
	if errors.Is(e.Err, ErrIncomplete) {
		return ClassRetry
	}
	var here localError
	if errors.As(e.Err, &here) {
		return ClassUnknown
	}
	var noData *DataError
	if errors.As(e.Err, &noData) {
		return noData.class()
	}
	var none *AddressesError
	if errors.As(e.Err, &none) {
		return none.class()
	}
	if e.came(dialling) {
		return ClassUnavailable
	}
	return ClassConnection
}

// localError is one of the source of an upload or of where a download goes to (a disk that is
// full): no fault of the server, and none that another connection cures.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }
