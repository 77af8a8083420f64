package work

import (
	"context"
	"io/fs"

	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// usualMode is what most servers give to new files.
const usualMode fs.FileMode = 0o644

// setMode sets the permissions of what has just been uploaded: those asked for, or those of the old file that it is about to
// replace, if they are known and not the usual ones. A server that refuses is no failure: the remark tells. An error is the
// loss of the connection.
func (o *op) setMode(ctx context.Context, name string, old *list.Entry) (remark string, err error) {
	mode := o.env.Sync.Mode
	if mode == 0 {
		if o.env.Sync.Direct || !hasUnusualMode(old) {
			return "", nil // what is overwritten keeps its permissions
		}
		mode = old.Mode
	}
	known := o.conn.Facts().NoChmod
	err = o.conn.SetMode(ctx, name, mode)
	if err == nil || !o.conn.Usable() {
		return "", err
	}
	if known {
		return "", nil // it was told before
	}
	o.env.Logger.Warn("the server does not set permissions", "path", o.Path, "mode", mode.String(), "error", err)
	return "permissions not set: " + err.Error(), nil
}

// hasUnusualMode reports whether a file, if there is one, has other permissions than most.
func hasUnusualMode(old *list.Entry) bool { return old != nil && old.HasMode && old.Mode != usualMode }

// restoreMode gives a file that has replaced another one the permissions of that, where both are told.
func (o *op) restoreMode(ctx context.Context, now list.Entry, old *list.Entry) error {
	if !o.wantsMode(now, old) {
		return nil
	}
	if err := o.conn.SetMode(ctx, o.target(), old.Mode); err != nil {
		o.env.Logger.Info("the file has other permissions than the one that it replaces", "path", o.Path, "error", err)
		if !o.conn.Usable() {
			return err
		}
	}
	return nil
}

// wantsMode reports whether restoreMode has anything to do.
func (o *op) wantsMode(now list.Entry, old *list.Entry) bool {
	return o.env.Sync.Mode == 0 && old != nil && old.HasMode && now.HasMode && now.Mode != old.Mode && !o.conn.Facts().NoChmod
}
