//go:build unix

package work

import (
	"context"
	"os/exec"
	"syscall"
)

// hookCommand is a command in a process group of its own, all of which ends with ctx.
func hookCommand(ctx context.Context, argv []string, shell bool) *exec.Cmd {
	if shell {
		argv = append([]string{"sh", "-c"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
