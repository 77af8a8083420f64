package ftptest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// threadNamespace is the network namespace of the thread that looks.
const threadNamespace = "/proc/thread-self/ns/net"

func newNetworkNamespace() (space *os.File, err error) {
	err = inThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w", err)
		}
		space, err = os.Open(threadNamespace)
		return err
	})
	return space, err
}

func inNetworkNamespace(space *os.File, f func() error) error {
	return inThread(func() error {
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// inThread calls f in a thread of its own that nobody uses afterwards, whatever f did to it.
func inThread(f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // a thread that is still locked ends with its goroutine
		err := errors.New("the test ended inside a host")
		defer func() { ended <- err }()
		err = f()
	}()
	return <-ended
}

// mortal returns a command that ends with its standard input, and all that it has started with it; it has process and
// mount namespaces of its own, but the user's rights, unlike [isolate].
func mortal(overlays map[string]string, argv ...string) *exec.Cmd {
	command := exec.Command("/bin/sh", launchArguments(overlays, argv)...)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	return command
}

func probeNetworkNamespaces() error {
	if err := probeRoot(); err != nil {
		return err
	}
	space, err := newNetworkNamespace()
	if err != nil {
		return fmt.Errorf("not allowed here; run the tests outside of containers or in a privileged one (%w)", err)
	}
	return space.Close()
}
