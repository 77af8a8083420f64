package manual

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Put copies files and, with Options.Recursive, folders to the server. dest is a folder that is there, or is to be made as it ends
// with a slash, or the new name of a single source; "" is where the login leads to. What came of it is told to Report.
func (s *Server) Put(ctx context.Context, sources []string, dest string, o Options) {
	c := &copier{Server: s, Options: o}
	far, into, err := c.remoteDest(ctx, dest, o.Direct)
	if err == nil && len(sources) > 1 && !into {
		err = fmt.Errorf("%s: %w", far, ErrNoFolder)
	}
	if err != nil {
		c.tell(Result{From: sources[0], To: dest, Size: -1, Err: err})
		return
	}
	c.run(ctx, func(ctx context.Context, add func(task) error) error {
		for _, source := range sources {
			if err := c.findLocal(ctx, source, far, into, add); err != nil {
				return err
			}
		}
		return nil
	})
}

// remoteDest tells the absolute path of dest, and whether things are put into it. With direct it is the name of a file where the server does
// not let it look.
func (s *Server) remoteDest(ctx context.Context, dest string, direct bool) (far string, into bool, err error) {
	err = s.on(ctx, func(conn *ftpclient.Conn) error {
		far = conn.Absolute(dest)
		if into = dest == "" || far == "/" || strings.HasSuffix(dest, "/"); into {
			return nil
		}
		is, err := conn.Stat(ctx, far)
		if work.IsAbsent(err) || direct && refuses(conn, err) {
			return nil
		}
		if err == nil && is.Type != list.Dir && is.Type != list.File {
			// A link to a folder is a folder to who enters it.
			_, listErr := conn.List(ctx, far)
			into = listErr == nil
			return unless(!conn.Usable(), listErr)
		}
		into = err == nil && is.Type == list.Dir
		return err
	})
	return far, into, err
}

// findLocal finds the files of one source. Errors are those that end the search altogether.
func (c *copier) findLocal(ctx context.Context, source, dest string, into bool, add func(task) error) error {
	far := dest
	real, err := filepath.Abs(source)
	if err == nil && into {
		far = path.Join(dest, filepath.Base(real))
	}
	if err == nil {
		real, err = filepath.EvalSymlinks(real) // who names a link means what is behind it
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(real)
	}
	switch {
	case err != nil:
	case info.IsDir() && !c.Recursive:
		err = ErrFolder
	case !info.IsDir() && !info.Mode().IsRegular():
		err = ErrNotFile
	}
	if err != nil {
		c.tell(Result{From: source, To: far, Size: -1, Err: err})
		return nil
	}
	if info.IsDir() {
		return c.walkLocal(ctx, real, far, add)
	}
	return add(task{plan.Upload, filepath.Dir(real), filepath.Base(real), path.Dir(far), path.Base(far)})
}

// walkLocal finds the files of a folder, and makes its folders on the server.
func (c *copier) walkLocal(ctx context.Context, source, dest string, add func(task) error) error {
	root, err := os.OpenRoot(source)
	if err != nil {
		c.tell(Result{From: source, To: dest, Size: -1, Err: err})
		return nil
	}
	defer root.Close()
	stack := []string{""}
	for len(stack) > 0 {
		rel := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		at := Result{From: filepath.Join(source, filepath.FromSlash(rel)), To: path.Join(dest, rel), Size: -1}
		err := c.on(ctx, func(conn *ftpclient.Conn) error {
			err := conn.MakeDirs(ctx, at.To)
			return unless(!c.Direct || !refuses(conn, err), err) // it may be there
		})
		found := scan.ReadLocal(root, rel)
		if err == nil && found.Unknown != "" {
			err = errors.New(found.Unknown)
		}
		if err != nil {
			at.Err = err
			c.tell(at)
			if ends(err) {
				return err
			}
			if found.Unknown == "" {
				continue // there is no folder for it
			}
		}
		folders, err := c.sortOut(found.Names, rel, at, func(rel string) error { return add(task{plan.Upload, source, rel, dest, rel}) })
		if err != nil {
			return err
		}
		stack = append(stack, folders...)
	}
	return nil
}
