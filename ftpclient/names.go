package ftpclient

import (
	"context"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// pathCommand is the command verb for the path p, which is sent behind what stands before it
// ("" for most commands).
func (c *Conn) pathCommand(ctx context.Context, op, p, verb, before string) (control.Command, error) {
	command, err := control.NewCommand(verb, before+p)
	if err != nil {
		return command, &Error{Op: op, Path: p, Err: err}
	}
	return command, nil
}

// doPath is do for a command about the path p.
func (c *Conn) doPath(ctx context.Context, op, p, verb, before string) (control.Reply, error) {
	command, err := c.pathCommand(ctx, op, p, verb, before)
	if err != nil {
		return control.Reply{}, err
	}
	return c.doCommand(ctx, op, p, command)
}

// requirePath is doPath with a 2yz reply demanded.
func (c *Conn) requirePath(ctx context.Context, op, p, verb string) (control.Reply, error) {
	reply, err := c.doPath(ctx, op, p, verb, "")
	if err == nil && !reply.Completed() {
		err = c.refusal(op, p, verb, reply)
	}
	return reply, err
}
