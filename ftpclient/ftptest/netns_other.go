//go:build !linux

package ftptest

import (
	"errors"
	"os"
	"os/exec"
)

const noHosts = "ftptest: network namespaces are there on Linux only; Need comes first"

func newNetworkNamespace() (*os.File, error)          { panic(noHosts) }
func inNetworkNamespace(*os.File, func() error) error { panic(noHosts) }
func mortal(map[string]string, ...string) *exec.Cmd   { panic(noHosts) }

func probeNetworkNamespaces() error {
	return errors.New("there on Linux only; run the tests there to include it")
}
