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
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Get copies files and, with Options.Recursive, folders from the server. dest is a folder that is there, or is to be made as it ends
// with a slash, or the new name of a single source. What came of it is told to Report.
func (s *Server) Get(ctx context.Context, sources []string, dest string, o Options) {
	c := &copier{Server: s, Options: o}
	into := endsWithSlash(dest)
	if info, err := os.Stat(dest); err == nil {
		into = into || info.IsDir()
	}
	if len(sources) > 1 && !into {
		c.tell(Result{From: sources[0], To: dest, Size: -1, Err: fmt.Errorf("%s: %w", dest, ErrNoFolder)})
		return
	}
	c.run(ctx, func(ctx context.Context, add func(task) error) error {
		for _, source := range sources {
			if err := c.findRemote(ctx, source, dest, into, add); err != nil {
				return err
			}
		}
		return nil
	})
}

func endsWithSlash(p string) bool {
	return strings.HasSuffix(p, "/") || p != "" && os.IsPathSeparator(p[len(p)-1])
}

// findRemote finds the files of one source. Errors are those that end the search altogether.
func (c *copier) findRemote(ctx context.Context, source, dest string, into bool, add func(task) error) error {
	var is entry.Entry
	err := c.on(ctx, func(conn *ftpclient.Conn) (err error) {
		source = conn.Absolute(source)
		far := scan.Remote{Conn: conn, Root: path.Dir(source), Follow: true}
		if source == "/" {
			is = entry.Entry{Kind: entry.Dir}
			return nil
		}
		is, err = far.Look(ctx, source)
		return err
	})
	local := dest
	if into {
		local = filepath.Join(dest, path.Base(source)) // of "/" it is dest itself
	}
	switch {
	case err != nil:
	case is.Kind == entry.Dir && !c.Recursive:
		err = ErrFolder
	case is.Kind != entry.Dir && is.Kind != entry.File:
		err = ErrNotFile
	case into && source != "/" && !localName(path.Base(source)):
		err = fmt.Errorf("a file cannot be called %q here: give it another name", path.Base(source))
	}
	if err != nil {
		c.tell(Result{From: source, To: local, Size: -1, Err: err})
		return unless(ends(err), err)
	}
	if is.Kind == entry.Dir {
		return c.walkRemote(ctx, source, local, add)
	}
	return add(task{plan.Download, filepath.Dir(local), filepath.Base(local), path.Dir(source), path.Base(source)})
}

// localName reports whether a name is one element of a path here, too.
func localName(name string) bool {
	return filepath.IsLocal(name) && filepath.Base(name) == name && name != "."
}

// unless returns err if it ends the whole.
func unless(ends bool, err error) error {
	if ends {
		return err
	}
	return nil
}

// walkRemote finds the files of a folder, and makes its folders here.
func (c *copier) walkRemote(ctx context.Context, source, dest string, add func(task) error) error {
	stack := []string{""}
	for len(stack) > 0 {
		rel := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		at := Result{From: path.Join(source, rel), To: filepath.Join(dest, filepath.FromSlash(rel)), Size: -1}
		var found scan.Entries
		err := makeLocal(dest, rel)
		if err == nil {
			err = c.on(ctx, func(conn *ftpclient.Conn) (err error) {
				found, _, err = (&scan.Remote{Conn: conn, Root: source}).Read(ctx, rel)
				return err
			})
		}
		if err == nil && found.Unknown != "" {
			err = errors.New(found.Unknown)
		}
		if err != nil {
			at.Err = err
			c.tell(at)
			if ends(err) {
				return err
			}
		}
		folders, err := c.sortOut(found.Names, rel, at, func(rel string) error { return add(task{plan.Download, dest, rel, source, rel}) })
		if err != nil {
			return err
		}
		stack = append(stack, folders...)
	}
	return nil
}

// sortOut adds the files of a listing, tells what is none, and returns the folders, the first one last.
func (c *copier) sortOut(names []scan.Named, rel string, at Result, add func(rel string) error) (folders []string, err error) {
	for _, n := range names {
		below := path.Join(rel, n.Name)
		switch {
		case scan.IsTemp(n.Name): // of a transfer that is under way, or was broken off
		case n.Kind == entry.File:
			if err := add(below); err != nil {
				return nil, err
			}
		case n.Kind == entry.Dir:
			folders = append([]string{below}, folders...)
		default:
			what := "a symbolic link"
			if n.Kind != entry.Link {
				what = "neither a file nor a folder"
			}
			c.tell(Result{From: path.Join(filepath.ToSlash(at.From), n.Name), To: filepath.Join(at.To, n.Name), Size: -1, Skipped: what})
		}
	}
	return folders, nil
}

// makeLocal makes the folder rel below dest, and dest; nothing leads out of that.
func makeLocal(dest, rel string) error {
	if err := os.MkdirAll(dest, 0o777); err != nil || rel == "" {
		return err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.MkdirAll(filepath.FromSlash(rel), 0o777)
}
