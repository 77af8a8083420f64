//go:build !linux

package ftptest

import (
	"errors"
	"os/exec"
)

// loginID is the user and group id of logins on servers that run in their own namespaces.
const loginID = 64000

func isolate(map[string]string, ...string) *exec.Cmd {
	panic("ftptest: namespaces are there on Linux only; Need comes first")
}

func probeNamespaces() error {
	return errors.New("there on Linux only; run the tests there to include it")
}
