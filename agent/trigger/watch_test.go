package trigger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder runs a Watch on a real folder and remembers its Events.
type recorder struct {
	t    *testing.T
	root string

	mu     sync.Mutex // guards following
	events []Event
}

func record(t *testing.T, w Watch) *recorder {
	t.Helper()
	r := &recorder{t: t, root: w.Root}
	ready := make(chan struct{})
	w.Sync, w.Quiet, w.Gone, w.look = "s", 10*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	w.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		err := w.Run(ctx, func(_ context.Context, e Event) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
			return nil
		})
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	<-ready
	return r
}

func (r *recorder) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// patience is for what has to come: as long as the machine may be busy with other things.
const patience = 5 * time.Minute

// until waits for an Event that satisfies ok.
func (r *recorder) until(what string, ok func(Event) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !slices.ContainsFunc(r.all(), ok); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("no Event for %s, only %+v", what, r.all())
		}
	}
}

// covered waits until rel was reported, by itself or as part of a folder.
func (r *recorder) covered(rel string) {
	r.t.Helper()
	r.until(rel, func(e Event) bool {
		return len(e.Paths) == 0 || slices.ContainsFunc(e.Paths, func(p string) bool { return p == rel || below(rel, p) })
	})
}

func (r *recorder) because(why string) {
	r.t.Helper()
	r.until(why, func(e Event) bool { return e.Why == why && len(e.Paths) == 0 })
}

// watched waits until a new file in folder is reported as such, which proves a watch on that very folder. It
// writes more than one file, because the first may be reported as part of a folder that was just found.
func (r *recorder) watched(folder string) {
	r.t.Helper()
	began := time.Now()
	for try := 0; time.Since(began) < patience; try++ {
		rel := strings.TrimPrefix(fmt.Sprintf("%s/probe%d", folder, try), "/")
		r.write(rel)
		for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if slices.ContainsFunc(r.all(), func(e Event) bool { return slices.Contains(e.Paths, rel) }) {
				return
			}
		}
	}
	r.t.Fatalf("%q is not watched, only %+v", folder, r.all())
}

func (r *recorder) path(rel string) string { return filepath.Join(r.root, filepath.FromSlash(rel)) }

func (r *recorder) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *recorder) write(rel string) {
	r.t.Helper()
	r.must(os.WriteFile(r.path(rel), []byte(rel), 0o600))
}

func (r *recorder) mkdir(rel string) {
	r.t.Helper()
	r.must(os.MkdirAll(r.path(rel), 0o700))
}

// tree makes a root with a few folders and files.
func smallTree(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	for _, folder := range []string{"a/b/c", "d/e"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, folder, "old"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWatchReportsChangesAndNothingElse(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t)})
	r.write("a/b/c/old")
	r.covered("a/b/c/old")
	r.write("top")
	r.covered("top")
	for _, e := range r.all() {
		other := slices.ContainsFunc(e.Paths, func(p string) bool { return p != "a/b/c/old" && p != "top" })
		if e.Sync != "s" || !e.Local || e.Why != "watch" || len(e.Paths) == 0 || other {
			t.Errorf("got %+v", e)
		}
	}
	r.must(os.Chtimes(r.path("d/e/old"), noon, noon))
	r.covered("d/e/old")
	r.forget()
	r.must(os.Remove(r.path("d/e/old")))
	r.covered("d/e/old")
}

func TestWatchFollowsNewFolders(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t)})
	r.mkdir("x/y/z")
	r.write("x/y/z/file")
	r.covered("x/y/z/file")
	r.watched("x/y/z")
	r.watched("x/y")
}

func TestWatchMissesNoFileOfANewTree(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t)})
	var files []string
	for i := range 200 {
		folder := fmt.Sprintf("new/%d/%d", i%5, i%20)
		r.mkdir(folder)
		files = append(files, fmt.Sprintf("%s/file%d", folder, i))
		r.write(files[i])
	}
	for _, f := range files {
		r.covered(f)
	}
	r.watched("new/4/19")
}

func TestWatchFollowsARenamedFolder(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t)})
	r.must(os.Rename(r.path("a"), r.path("d/moved")))
	r.covered("a")
	r.covered("d/moved")
	r.watched("d/moved/b/c")
	r.must(os.Rename(r.path("d/moved"), r.path("a")))
	r.watched("a/b/c")
	r.watched("a/b")
	for _, e := range r.all() {
		if slices.ContainsFunc(e.Paths, func(p string) bool {
			return strings.HasPrefix(p, "d/moved/b/probe")
		}) {
			t.Errorf("%+v names a file by the folder's former name", e)
		}
	}
}

func TestWatchFollowsAFolderMovedIntoANewOne(t *testing.T) {
	// The new folder may be listed before the Rename event is read.
	r := record(t, Watch{Root: smallTree(t)})
	for i := range 30 {
		from, into := r.path("a"), fmt.Sprintf("new%d/deep", i)
		if i > 0 {
			from = r.path(fmt.Sprintf("new%d/deep/a", i-1))
		}
		r.mkdir(into)
		r.must(os.Rename(from, r.path(into+"/a")))
	}
	r.watched("new29/deep/a/b/c")
	r.watched("new29/deep/a")
}

func TestWatchKeepsUpWithAnything(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	random := rand.New(rand.NewPCG(1, 2))
	folder := func() string {
		names := make([]string, 1+random.IntN(3))
		for i := range names {
			names[i] = string(rune('a' + random.IntN(4)))
		}
		return strings.Join(names, "/")
	}
	for range 1000 {
		switch random.IntN(8) {
		case 0:
			r.must(os.RemoveAll(r.path(folder())))
		case 1, 2, 3:
			// May be impossible: into itself, onto a folder that is not empty.
			_ = os.Rename(r.path(folder()), r.path(folder()))
		default:
			r.mkdir(folder())
		}
	}
	for _, a := range []string{"", "a", "b", "c", "d"} {
		for _, b := range []string{"", "/a", "/b", "/c", "/d"} {
			if info, err := os.Stat(r.path(a + b)); err == nil && info.IsDir() {
				r.watched(strings.TrimPrefix(a+b, "/"))
			}
		}
	}
}

func TestWatchFollowsAFolderMadeAnew(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t)})
	for range 20 {
		r.must(os.RemoveAll(r.path("a")))
		r.mkdir("a/b/c")
	}
	r.watched("a/b/c")
	r.watched("a")
	r.must(os.RemoveAll(r.path("a")))
	r.forget()
	r.write("a") // now a file
	r.covered("a")
}

func TestWatchReportsAnAtomicSave(t *testing.T) {
	r := record(t, Watch{Root: smallTree(t)})
	for i := range 3 {
		r.forget()
		r.write("a/b/c/.old.tmp")
		r.must(os.Rename(r.path("a/b/c/.old.tmp"), r.path("a/b/c/old")))
		r.covered("a/b/c/old")
		if i == 2 {
			r.covered("a/b/c/.old.tmp")
		}
	}
}

func TestWatchOfARootThatComesAndGoes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "later")
	r := record(t, Watch{Root: root}) // Ready is called all the same
	r.mkdir("a/b")
	r.because("watch root back")
	r.watched("a/b")

	r.must(os.RemoveAll(root))
	r.because("watch root gone")
	r.forget()
	r.mkdir("a/b")
	r.because("watch root back")
	r.watched("a/b")

	r.forget()
	r.must(os.Rename(root, root+"2"))
	r.mkdir("c")
	r.because("watch root back")
	r.watched("c")
	r.forget()
	if err := os.WriteFile(root+"2/a/b/away", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.write("c/here")
	r.covered("c/here")
	for _, e := range r.all() {
		if slices.Contains(e.Paths, "a/b/away") {
			t.Error("the former root is still watched")
		}
	}
}

func TestWatchFollowsARootThatIsALinkAndNoOther(t *testing.T) {
	one, two := smallTree(t), smallTree(t)
	root := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(one, root); err != nil {
		t.Fatal(err)
	}
	r := record(t, Watch{Root: root})
	r.must(os.Symlink(two, r.path("inner")))
	r.covered("inner")
	r.must(os.WriteFile(filepath.Join(two, "d", "unseen"), nil, 0o600))
	r.watched("a/b")
	for _, e := range r.all() {
		if slices.ContainsFunc(e.Paths, func(p string) bool { return strings.HasPrefix(p, "inner/") }) {
			t.Errorf("followed a link: %+v", e)
		}
	}
	r.must(os.Remove(root))
	r.must(os.Symlink(two, root))
	r.because("watch root back")
	r.watched("d/e")
}

func TestWatchSkips(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	r := record(t, Watch{Root: smallTree(t), Skip: func(rel string, isDir bool) bool {
		mu.Lock()
		defer mu.Unlock()
		asked[rel] = isDir
		return rel == "a" && isDir || strings.HasSuffix(rel, ".tmp")
	}})
	r.mkdir("d/e/new")
	r.write("a/b/c/unseen")
	r.write("a/unseen")
	r.write("d/unseen.tmp")
	r.watched("d/e/new")
	for _, e := range r.all() {
		for _, p := range e.Paths {
			if strings.HasPrefix(p, "a/") || strings.HasSuffix(p, ".tmp") {
				t.Errorf("not skipped: %+v", e)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if _, ok := asked["a/b"]; ok || !asked["d/e/new"] || asked["d/unseen.tmp"] {
		t.Errorf("asked for %v", asked)
	}
}

// gatherInBubble feeds a Watch's gather from a channel.
func gatherInBubble(t *testing.T, emit Emit, act func(changes chan<- change, unread chan<- bool)) error {
	t.Helper()
	changes, unread := make(chan change), make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- Watch{Sync: "s"}.gather(ctx, changes, unread, emit) }()
	act(changes, unread)
	cancel()
	return <-result
}

func TestGatherEmitsWhatIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var got []string
		emit := func(_ context.Context, e Event) error {
			got = append(got, fmt.Sprintf("%v %v %s", time.Since(began), e.Paths, e.Why))
			return nil
		}
		err := gatherInBubble(t, emit, func(changes chan<- change, _ chan<- bool) {
			changes <- change{path: "b"}
			changes <- change{path: "a"}
			time.Sleep(time.Second)
			for range 60 { // never quiet, for 6 s
				changes <- change{path: "log"}
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Second)
			changes <- change{path: "c"}
			changes <- change{why: "watch overflow"}
			time.Sleep(time.Minute)
			changes <- change{path: ""}
			time.Sleep(time.Minute)
		})
		want := []string{"200ms [a b] watch", "6s [log] watch", "7.1s [log] watch", "8.2s [] watch overflow", "1m8.2s [] watch"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v\nwant %q", got, err, want)
		}
	})
}

func TestGatherHoldsBackTheOldNameUntilTheNewOneIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var got []string
		emit := func(_ context.Context, e Event) error {
			got = append(got, fmt.Sprintf("%v %v", time.Since(began), e.Paths))
			return nil
		}
		err := gatherInBubble(t, emit, func(changes chan<- change, unread chan<- bool) {
			changes <- change{path: "old", gone: true}
			unread <- true
			time.Sleep(3 * time.Second)
			changes <- change{path: "new"}
			unread <- false
			time.Sleep(2 * time.Second)
			changes <- change{path: "alone", gone: true}
			time.Sleep(500 * time.Millisecond)
			changes <- change{path: "later"}
			time.Sleep(500 * time.Millisecond)
			changes <- change{path: "alone", gone: true}
			time.Sleep(2 * time.Second)
			unread <- true
			changes <- change{path: "read at last", gone: true}
			time.Sleep(2 * time.Second)
			unread <- false
			time.Sleep(time.Minute)
		})
		want := []string{"3.2s [new old]", "5.7s [alone later]", "7s [alone]", "10s [read at last]"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v\nwant %q", got, err, want)
		}
	})
}

func TestGatherGoesOnReadingWhileTheReceiverIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []Event
		release := make(chan struct{})
		emit := func(_ context.Context, e Event) error {
			events = append(events, e)
			<-release
			return nil
		}
		err := gatherInBubble(t, emit, func(changes chan<- change, _ chan<- bool) {
			changes <- change{path: "first"}
			time.Sleep(time.Second)
			for i := range 100_000 {
				changes <- change{path: fmt.Sprintf("%d/%d", i%1000, i)}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if len(events) != 1 {
				t.Errorf("emitted %d Events at a time", len(events))
			}
			close(release)
			synctest.Wait()
		})
		if err != nil || len(events) != 2 || len(events[1].Paths) != 0 {
			t.Errorf("got %+v, %v, want one Event for all that came meanwhile", events, err)
		}
	})
}

func TestGatherStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := func(ctx context.Context, _ Event) error { <-ctx.Done(); return ctx.Err() }
		err := gatherInBubble(t, waits, func(changes chan<- change, _ chan<- bool) {
			changes <- change{path: "a"}
			time.Sleep(time.Second)
		})
		if err != nil {
			t.Errorf("stopped while the receiver is busy: %v", err)
		}
		refused := errors.New("refused")
		err = gatherInBubble(t, func(context.Context, Event) error { return refused }, func(changes chan<- change, _ chan<- bool) {
			changes <- change{path: "a"}
			time.Sleep(time.Second)
		})
		if !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
	})
}
