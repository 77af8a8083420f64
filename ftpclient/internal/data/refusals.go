package data

import "errors"

// What is refused for safety, each for its own reason (RFC 2577 section 3).
var (
	// ErrPrivilegedPort: the server names a port below 1024 for data, where other services live.
	ErrPrivilegedPort = errors.New("the server names a privileged port for data")
	// ErrThirdHost: the reply to PASV names another host than the control connection's, and
	// connecting there is not allowed.
	ErrThirdHost = errors.New("the server names another host for data")
	// ErrEPSVAddress: the reply to EPSV holds an address, which RFC 2428 section 3 leaves out.
	ErrEPSVAddress = errors.New("the reply to EPSV names an address")
	// ErrStranger: only others than the server connected.
	ErrStranger = errors.New("another host than the server connected")
	// ErrNotCalled: the server did not connect in time.
	ErrNotCalled = errors.New("the server did not connect")
)
