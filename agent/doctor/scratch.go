package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// scratchName is one that agents leave alone: ftpclient.IsProbe knows it.
func scratchName() string { return fmt.Sprintf("ftpferry-probe-%08x", rand.Uint32()) }

// cleaning is how long the end may take, in which the server is left as it was found.
const cleaning = 30 * time.Second

// folder is where to work: the scratch folder, or that of the login.
func (e *examination) folder() string {
	if e.scratch != "" {
		return e.scratch
	}
	return e.conn.Home()
}

func (e *examination) path(name string) string { return path.Join(e.scratch, name) }

// makeScratch makes the scratch folder, in the first folder that lets it.
func (e *examination) makeScratch(ctx context.Context) {
	report := &Scratch{}
	e.report.Scratch = report
	name := scratchName()
	var notes []string
	for _, folder := range e.Folders {
		conn, err := e.alive(ctx)
		if err != nil || ctx.Err() != nil {
			return
		}
		made := path.Join(conn.Absolute(folder), name)
		e.Progress("the folder " + made)
		err = conn.MakeDir(ctx, made)
		var refused *ftpclient.Error
		if err != nil && errors.As(err, &refused) && refused.Code >= 400 {
			report.Error = clean(err.Error())
			if !errors.Is(err, fs.ErrNotExist) { // the agent makes it
				notes = append(notes, fmt.Sprintf("no folder can be made in %s, so that another one was examined: %s", path.Dir(made), shortReply(err)))
			}
			continue
		}
		for _, note := range notes {
			e.note("%s", note)
		}
		// Without an answer it may be there all the same.
		e.scratch, report.Folder, report.Made, report.Error = made, clean(made), err == nil, ""
		if err != nil {
			report.Error = clean(err.Error())
		}
		return
	}
	if e.Writes {
		e.problem(NeedsPerson, "no folder can be made: "+report.Error,
			"a sync that goes up writes to this server: give the login the rights, or name a folder that it may write to by --folder")
	} else {
		e.note("no folder can be made, so that much could not be tried: %s", report.Error)
	}
}

// proveScratch looks whether the new folder is empty. A server may say so of any name that it can go
// there, and show another folder: nothing is put there then, and nothing removed.
func (e *examination) proveScratch(ctx context.Context) {
	if e.scratch == "" || !e.data || ctx.Err() != nil {
		return
	}
	conn, err := e.alive(ctx)
	if err != nil {
		return
	}
	listed, err := conn.List(ctx, e.scratch)
	switch {
	case err != nil:
		e.report.Scratch.Error = clean("it cannot be listed: " + err.Error())
	case len(listed.Entries) > 0 || len(listed.Unparsed) > 0:
		e.report.Scratch.Error = "it was made and is not empty: nothing is tried in it"
	default:
		e.ours = true
	}
}

// removeScratch leaves the server as it was found, even where ctx has ended.
func (e *examination) removeScratch(ctx context.Context) {
	if e.scratch == "" {
		return
	}
	e.Progress("cleaning up")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	report := e.report.Scratch
	var err error
	for range 3 {
		if err = e.sweep(ctx, e.scratch, 3); err == nil {
			report.Removed, report.Error = true, ""
			return
		}
		if e.conn.Usable() {
			break
		}
	}
	report.Error = clean(err.Error())
	e.problem(NeedsPerson, "the folder "+e.scratch+" could not be removed: "+err.Error(), "remove it by hand, with all that is in it")
}

// sweep removes a folder of ours and all that is in it, down to depth.
func (e *examination) sweep(ctx context.Context, folder string, depth int) error {
	conn, err := e.cleaner(ctx)
	if err != nil {
		return err
	}
	removed := conn.RemoveDir(ctx, folder)
	if removed == nil || errors.Is(removed, fs.ErrNotExist) {
		return nil
	}
	if depth == 0 || !conn.Usable() {
		return removed
	}
	if _, err := conn.Stat(ctx, folder); errors.Is(err, fs.ErrNotExist) {
		return nil // some servers do not tell that by RMD
	}
	if !e.ours {
		return removed
	}
	listed, err := conn.List(ctx, folder)
	if err != nil {
		return errors.Join(removed, err)
	}
	for _, entry := range listed.Entries {
		within := path.Join(folder, entry.Name)
		if entry.Type == list.Dir {
			err = e.sweep(ctx, within, depth-1)
		} else {
			err = conn.Remove(ctx, within)
		}
		if err != nil && !conn.Usable() {
			return err
		}
	}
	err = conn.RemoveDir(ctx, folder)
	if err != nil && conn.Usable() && conn.Remove(ctx, path.Join(folder, dotName)) == nil { // it may be there and not be listed
		err = conn.RemoveDir(ctx, folder)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// cleaner is alive, however many connections were lost before.
func (e *examination) cleaner(ctx context.Context) (*ftpclient.Conn, error) {
	e.lives = max(e.lives, 1)
	return e.alive(ctx)
}

// put stores a file in the scratch folder and looks whether it has arrived.
func put(ctx context.Context, conn *ftpclient.Conn, p string, content []byte) (ftpclient.Result, error) {
	t, err := conn.Store(ctx, p, 0)
	if err != nil {
		return ftpclient.Result{}, err
	}
	result, err := send(ctx, t, content)
	if err != nil {
		return result, err
	}
	size, err := sizeOf(ctx, conn, p)
	if err == nil && size != int64(len(content)) {
		err = fmt.Errorf("%w: %d bytes were sent, and the server has %d", ftpclient.ErrMismatch, len(content), size)
	}
	return result, err
}

// sizeOf asks for the size of a file of ours, by the listing where the server has no SIZE.
func sizeOf(ctx context.Context, conn *ftpclient.Conn, p string) (int64, error) {
	size, err := conn.Size(ctx, p)
	if err == nil || !conn.Usable() {
		return size, err
	}
	entry, found, statErr := conn.StatFile(ctx, p)
	if statErr != nil || !found {
		return 0, errors.Join(err, statErr)
	}
	return entry.Size, nil
}

// send ends an upload with content.
func send(ctx context.Context, t *ftpclient.Transfer, content []byte) (ftpclient.Result, error) {
	_, writing := t.ReadFrom(bytes.NewReader(content))
	result, err := t.Finish(ctx)
	if err == nil {
		err = writing
	}
	return result, err
}

// get retrieves a file from offset on. It is one of ours, and small.
func get(ctx context.Context, conn *ftpclient.Conn, p string, offset int64) ([]byte, ftpclient.Result, error) {
	t, err := conn.Retrieve(ctx, p, offset)
	if err != nil {
		return nil, ftpclient.Result{}, err
	}
	content, reading := io.ReadAll(io.LimitReader(t, 1<<20))
	result, err := t.Finish(ctx)
	if err == nil {
		err = reading
	}
	return content, result, err
}
