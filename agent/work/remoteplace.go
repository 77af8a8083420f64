package work

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/ftpferry/ftpferry/agent/plan"
)

// moveRemote renames the absolute remote path from to the first free one of to and its numbered names, whose folder is made. A
// server that cannot tell whether a name is free moves nothing: most of them would replace what is there.
func (o *op) moveRemote(ctx context.Context, from, to string) (string, error) {
	made := false
	for n := 1; n <= mostNumbers; n++ {
		name := plan.Numbered(to, n)
		_, err := o.conn.Stat(ctx, name)
		if err == nil {
			continue
		}
		if !IsAbsent(err) {
			return "", fmt.Errorf("is the name %q free? %w", path.Base(name), err)
		}
		if !made && path.Dir(to) != path.Dir(from) {
			if err := o.conn.MakeDirs(ctx, path.Dir(to)); err != nil {
				return "", err
			}
			made = true
		}
		return name, o.renameRemote(ctx, from, name)
	}
	return "", errNoFreeName
}

// renameRemote renames a file on the server. If the reply is lost, it has worked when the old name is gone and the new one there.
func (o *op) renameRemote(ctx context.Context, from, to string) error {
	err := o.conn.Rename(ctx, from, to)
	if err == nil || o.conn.Usable() {
		return err
	}
	if lost := o.reconnect(ctx, err); lost != nil {
		return lost
	}
	_, fromErr := o.conn.Stat(ctx, from)
	_, toErr := o.conn.Stat(ctx, to)
	switch {
	case IsAbsent(fromErr) && toErr == nil:
		return nil
	case fromErr == nil && IsAbsent(toErr):
		return o.conn.Rename(ctx, from, to)
	}
	return errors.Join(err, fromErr, toErr)
}
