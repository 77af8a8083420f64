package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

func TestStageOf(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)} }
	tests := []struct {
		name string
		err  error
		want Stage
	}{
		{"the server's refusal", fmt.Errorf("x: %w", &ReplyError{control.Reply{Code: 500}}), Refused},
		{"nonsense", fmt.Errorf("%w: y", ErrNonsense), Refused},
		{"an address in the reply to EPSV", ErrEPSVAddress, Refused},
		{"a privileged port", ErrPrivilegedPort, Unusable},
		{"a third host", ErrThirdHost, Unusable},
		{"a gateway that is silent", unusable{context.DeadlineExceeded}, Unusable},
		{"a closed port", dialError{dial(syscall.ECONNREFUSED)}, Rejected},
		{"a closed port, after a reply that named another host", errors.Join(dialError{dial(syscall.ECONNREFUSED)}, ErrThirdHost), Rejected},
		{"a host that cannot be reached, by someone else's dialling", dial(syscall.EHOSTUNREACH), Rejected},
		{"a proxy that cannot connect", dialError{errors.New("the proxy says no")}, Rejected},
		{"a time-out of the system", dialError{dial(syscall.ETIMEDOUT)}, Silent},
		{"a time-out of ours", dialError{dial(os.ErrDeadlineExceeded)}, Silent},
		{"the end of a context", dialError{context.DeadlineExceeded}, Silent},
		{"no call", ErrNotCalled, Silent},
		{"the call of a stranger", errors.Join(ErrNotCalled, ErrStranger), Silent},
		{"a reset in a handshake", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, Broken},
		{"an end in a handshake", io.EOF, Broken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := StageOf(test.err); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}
