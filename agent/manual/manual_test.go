package manual

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// far is a server with a folder of its own, and one on this side.
type far struct {
	*Server
	t            *testing.T
	here, there  string // the folders, and there as the client calls it
	onDisk       string
	server       *ftptest.RealServer
	releaseConns func()
}

func newFar(t *testing.T, kind string) *far {
	t.Helper()
	server := ftptest.Real(t, kind, ftptest.RealOptions{})
	f := &far{t: t, here: t.TempDir(), there: server.RemoteRoot, onDisk: server.Root, server: server}
	f.connect(0)
	t.Cleanup(func() { f.releaseConns() })
	return f
}

// connect makes a new pool, over which so many bytes go and hardly any more; 0 for no limit.
func (f *far) connect(most int) {
	if f.releaseConns != nil {
		f.releaseConns()
	}
	o := ftpclient.Options{User: f.server.User, Password: f.server.Password, TLS: ftpclient.TLSNone}
	if most > 0 {
		o.UploadLimiter, o.DownloadLimiter = rate.NewLimiter(1, most), rate.NewLimiter(1, most)
	}
	pool := ftpclient.NewAddresses([]string{f.server.Addr}, o, nil, ftpclient.PoolOptions{Max: 2})
	f.Server = &Server{Name: "real", Pool: pool, Connections: 2, Logger: slog.New(slog.DiscardHandler)}
	f.releaseConns = func() { pool.Close() }
}

func (f *far) write(p string, content []byte) {
	f.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.Chmod(filepath.Dir(p), 0o777), os.WriteFile(p, content, 0o666)); err != nil {
		f.t.Fatal(err)
	}
}

// got runs get or put, and returns the results in the order of the sources.
func (f *far) got(o Options, do func(Options)) []Result {
	f.t.Helper()
	var results []Result
	o.Report = func(r Result) { results = append(results, r) }
	do(o)
	slices.SortFunc(results, func(a, b Result) int { return strings.Compare(a.From, b.From) })
	return results
}

func holds(t *testing.T, p string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, want %d (%v)", filepath.Base(p), len(got), len(want), err)
	}
}

// names lists a folder on disk.
func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// content is so long, and nowhere like anywhere else in it.
func content(length int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i>>16) ^ byte(i>>8)*31 ^ byte(i)*7
	}
	return b
}

// TestThereAndBack copies a tree to each server and back.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, kind := range ftptest.RealServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, kind)
			modified := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
			for name, text := range map[string]string{"a.txt": "hello", "sub/b.txt": "", "sub/deep/ü.txt": "deep"} {
				f.write(filepath.Join(f.here, "tree", name), []byte(text))
				if err := os.Chtimes(filepath.Join(f.here, "tree", name), modified, modified); err != nil {
					t.Fatal(err)
				}
			}
			for _, again := range []bool{false, true} {
				results := f.got(Options{Recursive: true}, func(o Options) {
					f.Put(t.Context(), []string{filepath.Join(f.here, "tree")}, path.Join(f.there, "in/new")+"/", o)
				})
				for _, r := range results {
					if r.Err != nil || r.Already != again {
						t.Errorf("put, again is %v: %+v", again, r)
					}
				}
				if len(results) != 3 {
					t.Errorf("%d results", len(results))
				}
			}
			results := f.got(Options{Recursive: true, Verify: true}, func(o Options) {
				f.Get(t.Context(), []string{path.Join(f.there, "in/new/tree")}, filepath.Join(f.here, "back"), o)
			})
			for _, r := range results {
				if r.Err != nil || r.Already {
					t.Errorf("get: %+v", r)
				}
			}
			holds(t, filepath.Join(f.here, "back", "sub", "deep", "ü.txt"), []byte("deep"))
			holds(t, filepath.Join(f.here, "back", "sub", "b.txt"), nil)
			info, err := os.Stat(filepath.Join(f.here, "back", "a.txt"))
			if err != nil || !info.ModTime().Equal(modified) {
				t.Errorf("%v, %v", info, err)
			}
			var listed []string
			if err := f.List(t.Context(), path.Join(f.there, "in"), true, func(folder Folder) error {
				for _, item := range folder.Items {
					listed = append(listed, item.Kind+" "+strings.TrimPrefix(string(item.Path), path.Join(f.there, "in")))
				}
				return folder.Err
			}); err != nil {
				t.Fatal(err)
			}
			want := "dir /new, dir /new/tree, file /new/tree/a.txt, dir /new/tree/sub, file /new/tree/sub/b.txt, dir /new/tree/sub/deep, file /new/tree/sub/deep/ü.txt"
			if got := strings.Join(listed, ", "); got != want {
				t.Errorf("listed %s", got)
			}
		})
	}
}

// breaksAfter is how many bytes go over a connection that is to break.
const breaksAfter = 600_000

// brokenOff runs do with a context that ends when something has moved.
func brokenOff(t *testing.T, o Options, do func(context.Context, Options)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	var watched chan struct{}
	o.Begin = func(_ string, size int64, live *Live) func() {
		watched = make(chan struct{})
		go func() {
			defer close(watched)
			for ticker := time.NewTicker(5 * time.Millisecond); ; {
				select {
				case <-ticker.C:
					if now, ok := live.At(time.Now()); ok && now.Done > now.Resumed+breaksAfter/4 {
						cancel()
						return
					}
				case <-over:
					return
				}
			}
		}()
		return func() {}
	}
	do(ctx, o)
	close(over)
	if watched == nil {
		t.Fatal("nothing was begun")
	}
	<-watched
}

// TestWhatIsBrokenOff leaves nothing, or a part that is gone on with.
func TestWhatIsBrokenOff(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"vsftpd", "proftpd", "pyftpdlib"} {
		for _, up := range []bool{true, false} {
			t.Run(kind+map[bool]string{true: " put", false: " get"}[up], func(t *testing.T) {
				t.Parallel()
				f := newFar(t, kind)
				big := content(3 << 20)
				source, target := filepath.Join(f.here, "big"), filepath.Join(f.onDisk, "in", "big")
				run := func(ctx context.Context, o Options) { f.Put(ctx, []string{source}, path.Join(f.there, "in/big"), o) }
				if !up {
					source, target = filepath.Join(f.onDisk, "out", "big"), filepath.Join(f.here, "in", "big")
					run = func(ctx context.Context, o Options) { f.Get(ctx, []string{path.Join(f.there, "out/big")}, target, o) }
				}
				f.write(source, big)
				f.write(filepath.Join(filepath.Dir(target), "other"), nil)
				for _, resume := range []bool{false, true, true} {
					f.connect(breaksAfter)
					results := f.got(Options{Resume: resume}, func(o Options) { brokenOff(t, o, run) })
					if len(results) != 1 || !errors.Is(results[0].Err, context.Canceled) || Judge(results[0].Err) != Unfinished ||
						results[0].Resumable != resume || (results[0].Left != "") != resume {
						t.Fatalf("resume is %v: %+v", resume, results)
					}
					left := names(t, filepath.Dir(target))
					if want := map[bool]int{false: 1, true: 2}[resume]; len(left) != want {
						t.Fatalf("resume is %v: %q", resume, left)
					}
				}
				f.connect(0)
				results := f.got(Options{Resume: true}, func(o Options) { run(t.Context(), o) })
				if len(results) != 1 || results[0].Err != nil || results[0].Moved >= int64(len(big)) || results[0].Moved == 0 {
					t.Fatalf("%+v", results)
				}
				holds(t, target, big)
				if left := names(t, filepath.Dir(target)); len(left) != 2 {
					t.Errorf("left: %q", left)
				}
			})
		}
	}
}

// TestAPartOfAnotherVersionIsNotGoneOnWith, even if its end is the same.
func TestAPartOfAnotherVersionIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	f := newFar(t, "vsftpd")
	f.connect(breaksAfter)
	big, source := content(3<<20), filepath.Join(f.here, "big")
	f.write(source, big)
	run := func(ctx context.Context, o Options) { f.Put(ctx, []string{source}, path.Join(f.there, "in/big"), o) }
	f.got(Options{Resume: true}, func(o Options) { brokenOff(t, o, run) })
	big[0]++
	f.write(source, big)
	f.connect(0)
	results := f.got(Options{Resume: true}, func(o Options) { run(t.Context(), o) })
	if len(results) != 1 || results[0].Err != nil || results[0].Moved != int64(len(big)) {
		t.Fatalf("%+v", results)
	}
	holds(t, filepath.Join(f.onDisk, "in", "big"), big)
}

// TestStreams: what comes from a source that fails is not there.
func TestStreams(t *testing.T) {
	t.Parallel()
	for _, kind := range ftptest.RealServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, kind)
			p, onDisk := path.Join(f.there, "new/a.txt"), filepath.Join(f.onDisk, "new", "a.txt")
			lost := errors.New("lost")
			for _, row := range []struct {
				name    string
				content string
				fails   error
				force   bool
				want    error
				there   string
			}{
				{"a source that breaks off leaves nothing", "hel", lost, false, lost, ""},
				{"a source that ends is there", "hello", nil, false, nil, "hello"},
				{"a second one is not, without force", "again", nil, false, ErrExists, "hello"},
				{"and with it", "again and again", nil, true, nil, "again and again"},
			} {
				source := io.Reader(strings.NewReader(row.content))
				if row.fails != nil {
					source = io.MultiReader(source, failing{row.fails})
				}
				r := f.PutFrom(t.Context(), source, p, Options{Force: row.force})
				if !errors.Is(r.Err, row.want) || (r.Err == nil) != (row.want == nil) || r.Left != "" {
					t.Fatalf("%s: %+v", row.name, r)
				}
				want := 1
				if row.there == "" {
					want = 0
				} else {
					holds(t, onDisk, []byte(row.there))
				}
				if left := names(t, filepath.Dir(onDisk)); len(left) != want {
					t.Errorf("%s: %q", row.name, left)
				}
			}
			var out bytes.Buffer
			if r := f.GetTo(t.Context(), p, &out, Options{}); r.Err != nil || out.String() != "again and again" {
				t.Errorf("%+v %q", r, &out)
			}
			if r := f.GetTo(t.Context(), path.Join(f.there, "none"), &out, Options{}); r.Err == nil || Judge(r.Err) != NeedsPerson {
				t.Errorf("%+v", r)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestAllOnOneConnection: the search for files takes turns with the transfers.
func TestAllOnOneConnection(t *testing.T) {
	t.Parallel()
	f := newFar(t, "vsftpd")
	f.releaseConns()
	o := ftpclient.Options{User: f.server.User, Password: f.server.Password, TLS: ftpclient.TLSNone}
	f.Pool = ftpclient.NewAddresses([]string{f.server.Addr}, o, nil, ftpclient.PoolOptions{Max: 1})
	f.releaseConns = func() { f.Pool.Close() }
	for _, name := range []string{"a/1", "a/2", "b/c/3", "b/4", "5"} {
		f.write(filepath.Join(f.onDisk, "tree", name), []byte(name))
	}
	results := f.got(Options{Recursive: true}, func(o Options) { f.Get(t.Context(), []string{path.Join(f.there, "tree")}, f.here, o) })
	if len(results) != 5 {
		t.Fatalf("%+v", results)
	}
	holds(t, filepath.Join(f.here, "tree", "b", "c", "3"), []byte("b/c/3"))
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		err  error
		want Verdict
	}{
		{"nothing is wrong", nil, Done},
		{"a person has stopped it", errors.Join(context.Canceled, errors.New("x")), Unfinished},
		{"a source that changes", ErrMoving, Unfinished},
		{"another file is in the way", ErrExists, NeedsPerson},
		{"a file that is not here", os.ErrNotExist, NeedsPerson},
		{"a refusal", &ftpclient.Error{Op: "store", Code: 553, Text: "no"}, NeedsPerson},
		{"a refused login", &ftpclient.Error{Op: "login", Command: "PASS", Code: 530, Text: "Login incorrect"}, NeedsPerson},
		{"a full disk there", &ftpclient.Error{Op: "store", Code: 452, Text: "no space"}, Unfinished},
		{"a lost connection", &ftpclient.Error{Op: "store", Err: io.ErrUnexpectedEOF}, Unfinished},
	} {
		if got := Judge(row.err); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

// TestADropBoxTakesFilesDirectly: what shows nobody what it has, and what lets nobody rename.
func TestADropBoxTakesFilesDirectly(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"proftpd", "vsftpd", "pyftpdlib"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := &far{t: t, here: t.TempDir(), server: ftptest.Real(t, kind, ftptest.RealOptions{WriteOnly: true})}
			f.there, f.onDisk = f.server.RemoteRoot, f.server.Root
			f.connect(0)
			t.Cleanup(func() { f.releaseConns() })
			f.write(filepath.Join(f.here, "tree/a"), content(1000))
			f.write(filepath.Join(f.here, "b"), content(2000))
			f.write(filepath.Join(f.onDisk, "tree/there"), nil) // vsftpd lets nobody make folders then
			put := func(direct bool) (all []error) {
				o := Options{Recursive: true, Direct: direct}
				results := f.got(o, func(o Options) {
					f.Put(t.Context(), []string{filepath.Join(f.here, "tree"), filepath.Join(f.here, "b")}, f.there+"/", o)
					f.Put(t.Context(), []string{filepath.Join(f.here, "b")}, path.Join(f.there, "named"), o)
					o.Report(f.PutFrom(t.Context(), bytes.NewReader(content(3000)), path.Join(f.there, "streamed"), o))
				})
				for _, r := range results {
					all = append(all, r.Err)
				}
				return all
			}
			if results := put(false); !slices.ContainsFunc(results, func(err error) bool { return err != nil }) {
				t.Errorf("a drop box took files under temporary names: %v", results)
			}
			if results := put(true); len(results) != 4 || errors.Join(results...) != nil {
				t.Errorf("directly: %v", results)
			}
			for name, length := range map[string]int{"tree/a": 1000, "b": 2000, "named": 2000, "streamed": 3000} {
				holds(t, filepath.Join(f.onDisk, name), content(length))
			}
		})
	}
}
