package work

import (
	"context"
	"os/exec"
	"syscall"
)

// hookCommand is a command that ends with ctx. A shell gets its command as it is: cmd has rules of its own for quotes.
func hookCommand(ctx context.Context, argv []string, shell bool) *exec.Cmd {
	if !shell {
		return exec.CommandContext(ctx, argv[0], argv[1:]...)
	}
	cmd := exec.CommandContext(ctx, "cmd")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd /S /C "` + argv[0] + `"`}
	return cmd
}
