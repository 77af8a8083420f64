package scan

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
)

// modeless is a server that does not show permissions.
type modeless struct{ Conn }

func (m modeless) List(ctx context.Context, path string) (ftpclient.Listing, error) {
	l, err := m.Conn.List(ctx, path)
	for i := range l.Entries {
		l.Entries[i].HasMode = false
	}
	return l, err
}

func (m modeless) Stat(ctx context.Context, path string) (list.Entry, error) {
	e, err := m.Conn.Stat(ctx, path)
	e.HasMode = false
	return e, err
}

// TestRealServersAreFoundOutByTheirListings, too, if they show no permissions: files that are overwritten in place speak against them,
// and what moves the time of a folder everywhere does not speak for them.
func TestRealServersAreFoundOutByTheirListings(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"proftpd", "pure-ftpd", "pyftpdlib"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newFarRig(t, ftptest.Real(t, kind, ftptest.RealOptions{}), plan.Down)
			fill(t, r.local, "folder/a", "folder/b")
			fill(t, r.far, "folder/a", "folder/b")
			r.remote.Conn = modeless{r.remote.Conn}
			rows := map[string]state.Folder{}
			r.change = func(request *Request) {
				request.Folders = &FolderTimes{Spare: true, Room: 10, Known: func(rel string) (state.Folder, bool, error) {
					row, known := rows[rel]
					row.Settled = true // as if it were minutes ago
					return row, known, nil
				}}
			}
			look := func() *Result {
				t.Helper()
				result := r.scan()
				for _, listed := range result.Folders {
					rows[listed.Path] = listed.Folder
				}
				r.settle(result)
				return result
			}
			look()
			if len(rows) != 1 || rows["folder"].Told == 0 {
				t.Fatalf("written down: %v", rows)
			}
			if result := look(); result.Spared != 1 { // that it would be wrong is not known yet
				t.Fatalf("%+v", result)
			}
			anew := filepath.Join(r.far, "folder/c")
			write(t, anew, "other")
			if err := os.Rename(anew, filepath.Join(r.far, "folder/b")); err != nil {
				t.Fatal(err)
			}
			moved := time.Now().Add(67 * time.Minute) // not the second of before
			touch(t, filepath.Join(r.far, "folder"), moved)
			if result := look(); result.Follows || result.Against != "" || result.Spared != 0 {
				t.Fatalf("a file that was replaced: %+v", result)
			}
			r.change = unsparing(r.change)
			write(t, filepath.Join(r.far, "folder/a"), "in place")
			if result := look(); !strings.Contains(result.Against, `in "folder" changed, and`) || result.Follows {
				t.Errorf("a file that was overwritten in place: %+v", result)
			}
			write(t, filepath.Join(r.far, "folder/a"), "in place and later")
			touch(t, filepath.Join(r.far, "folder/a"), moved.Add(time.Hour))
			clear(rows)
			if result := look(); !strings.Contains(result.Against, "after the time of the folder") {
				t.Errorf("a file that is newer than its folder: %+v", result)
			}
		})
	}
}

func unsparing(change func(*Request)) func(*Request) {
	return func(request *Request) {
		change(request)
		request.Folders.Spare = false
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, name string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(name, when, when); err != nil {
		t.Fatal(err)
	}
}
