package ftpclient_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// judged is what an error has to be taken for.
type judged struct {
	class ftpclient.Class
	is    error
}

// What goes wrong on a server with /file, /folder/inside and the folder /locked, in which
// nobody may write.
var mishaps = []struct {
	name string
	do   func(context.Context, *ftpclient.Conn) error
	// want is in the order of ftptest.RealServers.
	want [4]judged
}{
	{"a missing file is retrieved",
		func(ctx context.Context, c *ftpclient.Conn) error { _, _, err := get(ctx, c, "/none"); return err },
		[4]judged{silent, absent, absent, absent}},
	{"a folder is retrieved",
		func(ctx context.Context, c *ftpclient.Conn) error { _, _, err := get(ctx, c, "/folder"); return err },
		[4]judged{silent, silent, silent, silent}},
	{"the size of a missing file is asked for",
		func(ctx context.Context, c *ftpclient.Conn) error { _, err := c.Size(ctx, "/none"); return err },
		[4]judged{silent, absent, silent, silent}},
	{"a missing file is looked for",
		func(ctx context.Context, c *ftpclient.Conn) error { _, err := c.Stat(ctx, "/none"); return err },
		[4]judged{absent, absent, absent, absent}},
	{"a file goes into a missing folder",
		func(ctx context.Context, c *ftpclient.Conn) error {
			_, err := put(ctx, c, "/none/x", strings.NewReader("x"))
			return err
		},
		[4]judged{silent, parents, parents, parents}},
	{"a file goes where it may not",
		func(ctx context.Context, c *ftpclient.Conn) error {
			_, err := put(ctx, c, "/locked/x", strings.NewReader("x"))
			return err
		},
		[4]judged{silent, denied, denied, {}}}, // pyftpdlib here has the rights of root
	{"a file goes over a folder",
		func(ctx context.Context, c *ftpclient.Conn) error {
			_, err := put(ctx, c, "/folder", strings.NewReader("x"))
			return err
		},
		[4]judged{silent, silent, silent, silent}},
	{"a file with a name of 300 bytes",
		func(ctx context.Context, c *ftpclient.Conn) error {
			_, err := put(ctx, c, "/"+strings.Repeat("n", 300), strings.NewReader("x"))
			return err
		},
		[4]judged{silent, silent, silent, silent}},
	{"a folder is made in a missing folder",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.MakeDir(ctx, "/none/x") },
		[4]judged{silent, parents, parents, parents}},
	{"a folder is made over a file",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.MakeDir(ctx, "/file") },
		[4]judged{silent, exists, exists, exists}},
	{"a missing folder is listed",
		func(ctx context.Context, c *ftpclient.Conn) error { _, err := c.List(ctx, "/none"); return err },
		[4]judged{silent, absent, absent, absent}},
	{"a file is listed",
		func(ctx context.Context, c *ftpclient.Conn) error { _, err := c.List(ctx, "/file"); return err },
		[4]judged{silent, silent, silent, silent}},
	{"a missing file is renamed",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.Rename(ctx, "/none", "/x") },
		[4]judged{silent, absent, silent, absent}},
	{"a file is renamed into a missing folder",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.Rename(ctx, "/file", "/none/x") },
		[4]judged{silent, parents, parents, parents}},
	{"a file is renamed over a folder",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.Rename(ctx, "/file", "/folder") },
		[4]judged{silent, denied, silent, silent}}, // ProFTPD says EPERM
	{"a missing file is removed",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.Remove(ctx, "/none") },
		[4]judged{silent, absent, absent, absent}},
	{"a missing folder is removed",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.RemoveDir(ctx, "/none") },
		[4]judged{silent, absent, absent, absent}},
	{"a folder with files is removed",
		func(ctx context.Context, c *ftpclient.Conn) error { return c.RemoveDir(ctx, "/folder") },
		[4]judged{silent, silent, silent, silent}},
}

var (
	silent  = judged{class: ftpclient.ClassPermanent} // no cause is told, or none of io/fs
	absent  = judged{ftpclient.ClassPermanent, fs.ErrNotExist}
	parents = judged{ftpclient.ClassParents, fs.ErrNotExist}
	exists  = judged{ftpclient.ClassPermanent, fs.ErrExist}
	denied  = judged{ftpclient.ClassPermanent, fs.ErrPermission}
)

func TestErrorsOfRealServers(t *testing.T) {
	t.Parallel()
	for i, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			furnish(t, server.Root)
			o := ftpclient.Options{User: server.User, Password: server.Password, TLS: ftpclient.TLSNone}
			conn := dial(t, t.Context(), server.Addr, o)
			for _, mishap := range mishaps {
				t.Run(mishap.name, func(t *testing.T) {
					err := mishap.do(t.Context(), conn)
					mishap.want[i].check(t, err)
					if !conn.Usable() {
						t.Fatal("the connection is lost")
					}
				})
			}
			wrong := o
			wrong.Password = "wrong"
			_, err := ftpclient.Dial(t.Context(), server.Addr, wrong)
			judged{class: ftpclient.ClassAuthentication}.check(t, err)
			server.Stop()
			judged{class: ftpclient.ClassConnection}.check(t, conn.Noop(t.Context()))
			_, err = ftpclient.Dial(t.Context(), server.Addr, o)
			judged{class: ftpclient.ClassUnavailable}.check(t, err)
		})
		t.Run(name+" without TLS where that is a must", func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			_, err := ftpclient.Dial(t.Context(), server.Addr, ftpclient.Options{User: server.User, Password: server.Password, TLS: ftpclient.TLSNone})
			judged{class: ftpclient.ClassSetup}.check(t, err)
		})
		t.Run(name+" with as many clients as it takes", func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{MaxClients: 1})
			o := ftpclient.Options{User: server.User, Password: server.Password, TLS: ftpclient.TLSNone}
			first, err := ftpclient.Dial(t.Context(), server.Addr, o)
			for ftpclient.Classify(err) == ftpclient.ClassBusy { // vsftpd still counts who saw that it greets
				first, err = ftpclient.Dial(t.Context(), server.Addr, o)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			_, err = ftpclient.Dial(t.Context(), server.Addr, o)
			judged{class: ftpclient.ClassBusy}.check(t, err)
		})
	}
}

func (j judged) check(t *testing.T, err error) {
	t.Helper()
	t.Log(err)
	if got := ftpclient.Classify(err); got != j.class {
		t.Errorf("%v is classified %s, want %s", err, got, j.class)
	}
	for _, target := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
		if errors.Is(err, target) != (target == j.is) {
			t.Errorf("%v is %v: %v", err, target, target != j.is)
		}
	}
}

func furnish(t *testing.T, root string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(root, name) }
	err := errors.Join(
		os.WriteFile(at("file"), []byte("content"), 0o666),
		os.Mkdir(at("folder"), 0o777),
		os.WriteFile(at("folder/inside"), nil, 0o666),
		os.Mkdir(at("locked"), 0o555),
	)
	if err != nil {
		t.Fatal(err)
	}
}
