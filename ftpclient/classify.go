package ftpclient

import (
	"context"
	"errors"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Class says what a caller can do about an error.
type Class uint8

const (
	// ClassNone: no error.
	ClassNone Class = iota
	// ClassRetry: try again later on the same connection.
	ClassRetry
	// ClassConnection: the connection is gone or not to be trusted; try again on a new one.
	ClassConnection
	// ClassUnavailable: the server cannot be reached or does not take logins now.
	ClassUnavailable
	// ClassBusy: too many connections; use fewer.
	ClassBusy
	// ClassLater: no space or quota on the server; trying soon is pointless.
	ClassLater
	// ClassPermanent: trying again without a change is pointless.
	ClassPermanent
	// ClassAuthentication: the login was refused. Trying again may lock the account.
	ClassAuthentication
	// ClassSetup: TLS or data channels do not work with this configuration.
	ClassSetup
	// ClassCancelled: the caller's context was cancelled. One whose deadline passed makes
	// errors like those of a server that is too slow.
	ClassCancelled
)

var classNames = [...]string{"none", "retry", "connection", "unavailable", "busy", "later", "permanent",
	"authentication", "setup", "cancelled"}

// String returns the class as a word.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// rule is one row of the table that reads replies. Zero fields match everything.
type rule struct {
	op    string
	code  int
	text  []string
	class Class
}

// rules are tried in order; the first match decides. Codes alone mislead: servers in use
// send permanent failures as 4yz and passing ones as 5yz.
var rules = []rule{
	{code: 530, text: []string{"too many", "maximum", "limit", "try again later"}, class: ClassBusy},
	{code: 421, text: []string{"too many", "maximum"}, class: ClassBusy},
	{op: "connect", code: 421, text: []string{"limit"}, class: ClassBusy}, // later, it is that of the time
	{op: "login", code: 421, text: []string{"limit"}, class: ClassBusy},
	{op: "connect", code: 421, class: ClassUnavailable},
	{op: "login", code: 421, class: ClassUnavailable},
	{code: 421, class: ClassConnection},
	{op: "login", code: 530, class: ClassAuthentication},
	{op: "login", code: 332, class: ClassAuthentication},
	{op: "login", code: 532, class: ClassAuthentication},
	{code: 530, class: ClassConnection}, // after the login: the session is lost
	{text: []string{"session reuse", "session resume", "not resumed"}, class: ClassSetup},
	{code: 522, class: ClassSetup},
	{code: 534, class: ClassSetup},
	{code: 536, class: ClassSetup},
	{text: []string{"quota", "no space", "disk full", "insufficient storage", "exceeded storage"}, class: ClassLater},
	{code: 452, class: ClassLater},
	{code: 552, class: ClassLater},
	{text: []string{"used by another", "in use by", "file busy", "try again later", "temporarily"}, class: ClassRetry},
	{code: 450, text: []string{"no such file", "not found"}, class: ClassPermanent},
	{code: 451, text: []string{"no such file", "not permitted"}, class: ClassPermanent},
	{code: 425, class: ClassConnection},
	{code: 426, class: ClassConnection},
}

// Classify is the one place that reads errors of this package for what to do next.
func Classify(err error) Class {
	if err == nil {
		return ClassNone
	}
	if errors.Is(err, context.Canceled) {
		return ClassCancelled
	}
	if errors.Is(err, ErrUnsendable) || errors.Is(err, ErrUnsupported) {
		return ClassPermanent
	}
	if errors.Is(err, ErrInsecure) || errors.Is(err, ErrOptions) || errors.Is(err, ErrCertificate) {
		return ClassSetup
	}
	var e *Error
	if !errors.As(err, &e) {
		return ClassConnection
	}
	if e.Code == 0 {
		return classifyConnection(e)
	}
	for _, r := range rules {
		if r.matches(e) {
			return r.class
		}
	}
	if e.Code >= 500 {
		return ClassPermanent
	}
	return ClassRetry
}

func (r rule) matches(e *Error) bool {
	return (r.op == "" || r.op == e.Op) && (r.code == 0 || r.code == e.Code) && (len(r.text) == 0 || e.says(r.text...))
}

func classifyConnection(e *Error) Class {
	if errors.Is(e, ErrIncomplete) {
		return ClassRetry
	}
	var noData *DataError
	if errors.As(e, &noData) {
		return noData.class()
	}
	if e.Op == "connect" || e.Op == "login" {
		return ClassUnavailable
	}
	return ClassConnection
}

// class is that of the setup, unless the server said that it cannot make a data connection
// now: it may have run out of ports.
func (e *DataError) class() Class {
	for _, a := range e.Attempts {
		var refusal *data.ReplyError
		if errors.As(a.Err, &refusal) && refusal.Reply.Code < 500 {
			return ClassConnection
		}
	}
	return ClassSetup
}
