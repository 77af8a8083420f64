package trigger

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// fake stands for fsnotify on a real tree, in a bubble. The test may touch its fields whenever the Watch is
// idle.
type fake struct {
	mu sync.Mutex // see sleep

	t      *testing.T
	root   string
	refuse func(rel string) error // answer of Add
	fail   error                  // answer of open

	opened int
	added  []string        // since the last open, relative
	list   map[string]bool // what is watched, absolute
	events chan fsnotify.Event
	errors chan error
	log    bytes.Buffer
	got    []Event
	health []Health
	ready  int

	poll   time.Duration
	canary string
	follow bool
	odd    map[string]string // what remoteFilesystem says, by relative path
	mounts map[string]string // what mountsBelow says
}

// sleep lets the Watch run for d. The race detector needs the lock and Wait to see that the test and the
// Watch take turns.
func (f *fake) sleep(d time.Duration) {
	f.turn()
	time.Sleep(d)
	synctest.Wait()
}

func (f *fake) turn() {
	f.mu.Lock()
	defer f.mu.Unlock()
}

func (f *fake) rel(path string) string {
	rel, err := filepath.Rel(f.root, path)
	if err != nil {
		f.t.Error(err)
	}
	return filepath.ToSlash(rel)
}

func (f *fake) Add(path string) error {
	f.turn()
	if f.refuse != nil {
		if err := f.refuse(f.rel(path)); err != nil {
			return err
		}
	}
	f.added = append(f.added, f.rel(path))
	f.list[path] = true
	return nil
}

func (f *fake) Remove(path string) error {
	f.turn()
	delete(f.list, path)
	return nil
}

func (f *fake) WatchList() []string {
	f.turn()
	return slices.Collect(maps.Keys(f.list))
}

func (f *fake) Close() error { return nil }

func (f *fake) open() (feed, error) {
	f.turn()
	if f.fail != nil {
		return feed{}, f.fail
	}
	f.opened++
	f.added, f.list = nil, map[string]bool{}
	return feed{f, f.events, f.errors}, nil
}

// inBubble runs a Watch with a fake, and act once the fake is ready.
func inBubble(t *testing.T, prepare func(*fake), act func(*fake)) {
	root, err := filepath.EvalSymlinks(smallTree(t))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, root: root, events: make(chan fsnotify.Event), errors: make(chan error)}
		if prepare != nil {
			prepare(f)
		}
		w := Watch{Sync: "s", Root: root, Poll: f.poll, Canary: f.canary, Follow: f.follow, Skip: func(rel string, _ bool) bool { return rel == "skip" }, open: f.open, remote: func(path string) string { return f.odd[f.rel(path)] },
			mounts: func(string) map[string]string { f.turn(); return f.mounts },
			Health: func(h Health) { f.turn(); f.health = append(f.health, h) }, Logger: slog.New(slog.NewTextHandler(&f.log, nil)), Ready: func() { f.ready++ }}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			err := w.Run(ctx, func(_ context.Context, e Event) error {
				f.turn()
				f.got = append(f.got, e)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if f.ready != 1 {
			t.Errorf("Ready was called %d times", f.ready)
		}
		act(f)
		f.turn()
		cancel()
		done.Wait()
		if f.ready != 1 {
			t.Errorf("Ready was called %d times in the end", f.ready)
		}
	})
}

// wantHealth checks what was told last.
func (f *fake) wantHealth(what string, state HealthState, every time.Duration, reason, cure string) {
	f.t.Helper()
	h := f.health[len(f.health)-1]
	if h.State != state || h.Every != every || h.Reason != reason || !strings.Contains(h.Cure, cure) || (cure == "") != (h.Cure == "") {
		f.t.Errorf("%s: %+v", what, h)
	}
}

// paths returns what was reported, sorted and each once; "" stands for everything.
func (f *fake) paths() []string {
	var paths []string
	for _, e := range f.got {
		if len(e.Paths) == 0 {
			paths = append(paths, "")
		}
		paths = append(paths, e.Paths...)
	}
	f.got = nil
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (f *fake) wantPaths(what string, want ...string) {
	f.t.Helper()
	if got := f.paths(); !slices.Equal(got, want) {
		f.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (f *fake) whys() []string {
	var whys []string
	for _, e := range f.got {
		if len(e.Paths) > 0 {
			f.t.Errorf("unexpected %+v", e)
		}
		whys = append(whys, e.Why)
	}
	f.got = nil
	return whys
}

func (f *fake) wantWhys(what string, want ...string) {
	f.t.Helper()
	if got := f.whys(); !slices.Equal(got, want) {
		f.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

var allFolders = []string{".", "a", "a/b", "a/b/c", "d", "d/e"}

func (f *fake) wantAdded(what string, want []string) {
	f.t.Helper()
	slices.Sort(f.added)
	if !slices.Equal(f.added, want) {
		f.t.Errorf("%s: watches %q, want %q", what, f.added, want)
	}
	f.added = nil
}

func TestWatchIsReadyWhenEveryFolderIsWatched(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		f.wantAdded("at start", allFolders)
		f.sleep(time.Hour)
		f.wantWhys("nothing happened")
	})
}

func TestWatchStartsOverAfterAnOverflow(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		f.errors <- fsnotify.ErrEventOverflow
		f.sleep(time.Second)
		f.wantWhys("after an overflow", "watch overflow")
		f.wantAdded("after an overflow", allFolders)
		if f.opened != 2 {
			t.Errorf("opened %d times", f.opened)
		}
		if log := f.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "sysctl fs.inotify.max_queued_events=") {
			t.Errorf("want one line with the cure, got:\n%s", log)
		}
		f.sleep(time.Hour)
		f.wantWhys("later")
		f.errors <- errors.New("read failed")
		f.sleep(time.Second)
		f.wantWhys("after another error", "watch error")
	})
}

func TestWatchStartsOverMoreSlowlyEachTime(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Hour)
		defer cancel()
		for ctx.Err() == nil {
			select {
			case f.errors <- fsnotify.ErrEventOverflow:
			case <-ctx.Done():
			}
			synctest.Wait()
		}
		if f.opened > 100 {
			t.Errorf("opened %d times in an hour of failures", f.opened)
		}
		f.sleep(2 * time.Minute)
		f.got, f.opened = nil, 0
		f.errors <- fsnotify.ErrEventOverflow
		f.sleep(time.Second)
		if f.opened != 1 {
			t.Error("not at once after a time without failures")
		}
	})
}

func TestWatchPollsWithoutAWatcher(t *testing.T) {
	inBubble(t, func(f *fake) { f.fail = syscall.EMFILE }, func(f *fake) {
		f.sleep(3*time.Minute + time.Second)
		f.wantWhys("three minutes", "watch incomplete", "watch incomplete", "watch incomplete")
		f.wantHealth("meanwhile", HealthPolling, time.Minute, "the folder cannot be watched: "+syscall.EMFILE.Error(), "max_user_instances")
		if log := f.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "max_user_instances") {
			t.Errorf("want one line with the cure, got:\n%s", log)
		}
		f.fail = nil
		f.sleep(90 * time.Second)
		f.got = nil
		f.wantAdded("when it can", allFolders)
		f.wantHealth("when it can", HealthWatching, 0, "", "")
		f.sleep(time.Hour)
		f.wantWhys("an hour later")
	})
}

func TestWatchAtTheLimitOfWatches(t *testing.T) {
	limit := func(rel string) error {
		if strings.HasPrefix(rel, "a") {
			return syscall.ENOSPC
		}
		return nil
	}
	inBubble(t, func(f *fake) { f.refuse = limit }, func(f *fake) {
		f.wantAdded("as far as it goes", []string{".", "d", "d/e"})
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "d", "e", "old"), Op: fsnotify.Write}
		f.sleep(time.Second)
		if len(f.got) != 1 || !slices.Equal(f.got[0].Paths, []string{"d/e/old"}) {
			t.Errorf("the watches that are there: got %+v", f.got)
		}
		f.got = nil
		f.sleep(3 * time.Minute)
		if len(f.got) != 3 {
			t.Errorf("looks in three minutes: %+v", f.got)
		}
		f.wantPaths("only where there is no watch", "a")
		f.wantHealth("meanwhile", HealthDegraded, time.Minute, `"a" cannot be watched: the system's limit of watches is reached`, "fs.inotify.max_user_watches")
		for _, h := range f.health[1:] {
			if h.State == HealthWatching {
				t.Errorf("it was never %+v", h)
			}
		}
		if log := f.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "fs.inotify.max_user_watches") {
			t.Errorf("want one line with the cure, got:\n%s", log)
		}
		f.refuse = nil
		f.sleep(90 * time.Second)
		f.got = nil
		f.wantAdded("when the limit was raised", []string{"a", "a/b", "a/b/c"})
		f.wantHealth("when the limit was raised", HealthWatching, 0, "", "")
		f.sleep(time.Hour)
		f.wantWhys("an hour later")
	})
}

func TestWatchPollsAFilesystemThatDoesNotTell(t *testing.T) {
	inBubble(t, func(f *fake) { f.odd, f.poll, f.canary = map[string]string{".": "NFS"}, 5*time.Minute, ".canary" }, func(f *fake) {
		f.wantAdded("changes from here make events all the same", allFolders)
		f.wantHealth("from the start", HealthPolling, 5*time.Minute, "NFS does not tell of every change; what is changed from here is seen at once", "")
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "d", "e", "old"), Op: fsnotify.Write}
		f.sleep(time.Second)
		f.wantPaths("a change from here, at once", "d/e/old")
		f.sleep(10 * time.Minute)
		for _, e := range f.got {
			if !e.Regular || !e.Local {
				t.Errorf("nothing has happened: %+v", e)
			}
		}
		f.wantWhys("ten minutes", "watch poll", "watch poll")
		if len(f.health) > 2 {
			t.Errorf("told %+v", f.health)
		}
	})
}

// TestWatchPollsBesideWhatHappens: it is time to look while a change is held, and that stays what it is.
func TestWatchPollsBesideWhatHappens(t *testing.T) {
	inBubble(t, func(f *fake) { f.odd, f.poll = map[string]string{".": "NFS"}, 5*time.Minute }, func(f *fake) {
		f.sleep(5*time.Minute - 100*time.Millisecond)
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "d", "e", "old"), Op: fsnotify.Write}
		f.sleep(time.Second)
		if len(f.got) != 2 || !f.got[0].Regular || f.got[1].Regular || !slices.Equal(f.got[1].Paths, []string{"d/e/old"}) {
			t.Errorf("got %+v", f.got)
		}
	})
}

// TestWatchSendsOneEventAtATime: what is due waits for a receiver that is busy with a poll.
func TestWatchSendsOneEventAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		changes, unread, busy, most := make(chan change), make(chan bool), 0, 0
		var got []Event
		var done sync.WaitGroup
		done.Go(func() {
			err := Watch{Sync: "s"}.gather(ctx, changes, unread, func(_ context.Context, e Event) error {
				busy++
				most = max(most, busy)
				time.Sleep(time.Minute)
				busy--
				got = append(got, e)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		changes <- change{path: "a"}
		changes <- change{why: "watch poll", regular: true}
		time.Sleep(5 * time.Minute)
		cancel()
		done.Wait()
		if most != 1 || len(got) != 2 || !got[0].Regular || !slices.Equal(got[1].Paths, []string{"a"}) {
			t.Errorf("%d at a time: %+v", most, got)
		}
	})
}

func TestWatchPollsOnlyWhatIsMountedInTheFolder(t *testing.T) {
	root := smallTree(t)
	o := Watch{Root: root, remote: func(path string) string {
		if strings.HasPrefix(path, filepath.Join(root, "d")) {
			return "SMB"
		}
		return ""
	}}.observer(nil)
	o.base, o.odd = root, map[string]string{}
	for _, rel := range []string{"a", "d", "d/e"} {
		o.examine(rel)
	}
	o.identity, _ = rootInfo(root)
	var reported []string
	o.report = func(c change) { reported = append(reported, c.path) }
	o.feed.watcher = &fake{t: t, root: root, list: map[string]bool{}}
	o.lookAnyway()
	if !slices.Equal(reported, []string{"d"}) {
		t.Errorf("reported %q", reported)
	}
	if h := o.health(); h.State != HealthDegraded || h.Reason != `"d": SMB does not tell of every change; what is changed from here is seen at once` {
		t.Errorf("health: %+v", h)
	}
	o.watched = tree{}
	for _, rel := range []string{"", "d", "d/e"} {
		o.watched.add(rel)
	}
	o.forget("d")
	if len(o.odd) != 0 {
		t.Errorf("after it is gone: %v", o.odd)
	}
}

func TestWatchFollowsWhatIsMountedLater(t *testing.T) {
	inBubble(t, func(f *fake) { f.mounts = map[string]string{"d/e": "1"} }, func(f *fake) {
		f.sleep(5 * time.Minute)
		f.wantPaths("nothing new")
		f.added = nil
		f.mounts, f.odd = map[string]string{"d/e": "1", "a": "2", "unknown": "3"}, map[string]string{"a": "NFS"}
		f.sleep(time.Minute + time.Second)
		f.wantAdded("what is there now", []string{"a", "a/b", "a/b/c"})
		f.wantPaths("what is there now", "a")
		f.wantHealth("it tells of no changes", HealthDegraded, time.Minute, `"a": NFS does not tell of every change; what is changed from here is seen at once`, "")
	})
}

func TestWatchSendsACanary(t *testing.T) {
	canary := func(f *fake) { f.canary = ".canary" }
	sings := func(f *fake) {
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, ".canary"), Op: fsnotify.Create}
		f.sleep(time.Second)
	}
	gone := func(f *fake) {
		if _, err := os.Lstat(filepath.Join(f.root, ".canary")); !errors.Is(err, fs.ErrNotExist) {
			f.t.Errorf("the file is there: %v", err)
		}
	}
	t.Run("that sings", func(t *testing.T) {
		inBubble(t, canary, func(f *fake) {
			gone(f)
			f.wantHealth("before", HealthStarting, 0, "", "")
			sings(f)
			f.wantHealth("then", HealthWatching, 0, "", "")
			f.sleep(time.Hour)
			f.wantPaths("and is nobody's business")
		})
	})
	t.Run("that is silent, and sings late", func(t *testing.T) {
		inBubble(t, canary, func(f *fake) {
			f.sleep(canaryWait + 2*time.Second)
			f.wantHealth("without an event", HealthPolling, time.Minute, "no event came for a file that was made in the root folder", "")
			f.sleep(2 * time.Minute)
			f.wantWhys("two minutes", "watch poll", "watch poll")
			sings(f)
			f.wantHealth("late is better than never", HealthWatching, 0, "", "")
			f.sleep(time.Hour)
			f.wantPaths("an hour later")
		})
	})
	t.Run("that was left behind by a kill", func(t *testing.T) {
		inBubble(t, func(f *fake) {
			canary(f)
			if err := os.WriteFile(filepath.Join(f.root, ".canary"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, func(f *fake) {
			gone(f)
			f.wantHealth("before", HealthStarting, 0, "", "")
			sings(f)
			f.wantHealth("then", HealthWatching, 0, "", "")
		})
	})
	t.Run("that cannot be made", func(t *testing.T) {
		inBubble(t, func(f *fake) { f.canary = "no such folder/.canary" }, func(f *fake) {
			f.wantHealth("nothing is known", HealthWatching, 0, "", "")
		})
	})
}

func TestWatchTellsThatItsRootIsMissing(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		f.wantHealth("at first", HealthWatching, 0, "", "")
		since := f.health[len(f.health)-1].Since
		if folders := f.health[len(f.health)-1].Folders; folders != len(allFolders) {
			t.Errorf("%d folders", folders)
		}
		f.sleep(time.Minute)
		f.must(os.Rename(f.root, f.root+" away"))
		f.sleep(time.Minute)
		f.wantHealth("without it", HealthMissing, 0, "the local folder is not there", "")
		if now := f.health[len(f.health)-1].Since; now.Sub(since) < time.Minute {
			t.Errorf("since %v", now)
		}
		f.must(os.Rename(f.root+" away", f.root))
		f.sleep(time.Minute)
		f.wantHealth("when it is back", HealthWatching, 0, "", "")
	})
}

func (f *fake) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestWatchOfAFolderThatMayNotBeRead(t *testing.T) {
	closed := func(rel string) error {
		if rel == "a" {
			return fs.ErrPermission
		}
		return nil
	}
	inBubble(t, func(f *fake) { f.refuse = closed }, func(f *fake) {
		f.wantAdded("without it", []string{".", "d", "d/e"})
		f.sleep(time.Hour)
		f.wantWhys("no reason to poll")
		f.refuse = nil
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "a"), Op: fsnotify.Chmod}
		f.sleep(time.Second)
		f.wantAdded("once its mode is changed", []string{"a", "a/b", "a/b/c"})
	})
}

func TestWatchStartsOverWhenItsRootIsMadeAnewWithTheSameInode(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		f.events <- fsnotify.Event{Name: f.root, Op: fsnotify.Remove}
		f.sleep(time.Minute)
		f.wantWhys("as soon as it is seen", "watch root back")
		f.wantAdded("anew", allFolders)
	})
}

func TestWatchIgnoresTheTimesOfFolders(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "a"), Op: fsnotify.Chmod}
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "a"), Op: fsnotify.Write}
		f.events <- fsnotify.Event{Name: f.root, Op: fsnotify.Write}
		f.sleep(time.Second)
		f.wantWhys("times and modes of watched folders")
	})
}

func TestWatchSetsAgainWhatWasLostUnseen(t *testing.T) {
	rename := func(f *fake) { f.events <- fsnotify.Event{Name: filepath.Join(f.root, "d"), Op: fsnotify.Rename} }
	tests := []struct {
		name   string
		happen func(*fake)
		within time.Duration
		want   []string // added
		paths  []string
	}{
		{"a folder was renamed", rename, 3 * time.Second, []string{"a/b", "a/b/c"}, []string{"a/b", "d"}},
		{"a file system was unmounted", func(*fake) {}, time.Minute, []string{"a/b", "a/b/c"}, []string{"a/b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, nil, func(f *fake) {
				f.sleep(time.Hour + time.Second)
				f.added = nil
				delete(f.list, filepath.Join(f.root, "a", "b"))
				test.happen(f)
				f.sleep(test.within)
				f.wantAdded("what was lost and what is below", test.want)
				var paths []string
				for _, e := range f.got {
					paths = append(paths, e.Paths...)
				}
				slices.Sort(paths)
				if !slices.Equal(paths, test.paths) || f.opened != 1 {
					t.Errorf("reported %q, want %q; opened %d times", paths, test.paths, f.opened)
				}
			})
		})
	}
}

func TestWatchRemovesTheWatchesOfARenamedFolder(t *testing.T) {
	inBubble(t, nil, func(f *fake) {
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, "a"), Op: fsnotify.Rename}
		f.sleep(time.Second)
		left := slices.Sorted(maps.Keys(f.list))
		if want := []string{f.root, filepath.Join(f.root, "d"), filepath.Join(f.root, "d", "e")}; !slices.Equal(left, want) {
			t.Errorf("still watches %q, want %q", left, want)
		}
	})
}

func TestPumpNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, errs := make(chan fsnotify.Event), make(chan error)
		to, failed := make(chan fsnotify.Event), make(chan error, 1)
		go pump(events, errs, to, failed)
		for range maxWaiting {
			events <- fsnotify.Event{Name: "early"}
		}
		if e := <-to; e.Name != "early" || len(failed) != 0 {
			t.Errorf("got %v, %d errors", e, len(failed))
		}
		events <- fsnotify.Event{Name: "last that fits"}
		events <- fsnotify.Event{Name: "late"}
		for range 2 {
			errs <- errors.New("one too many")
		}
		synctest.Wait()
		if err := <-failed; !errors.Is(err, fsnotify.ErrEventOverflow) {
			t.Errorf("one event too many: got %v", err)
		}
		if e := <-to; e.Name != "late" {
			t.Errorf("got %v, want what came after the overflow", e)
		}
		close(errs)
		close(events)
		synctest.Wait()
		if err := <-failed; !errors.Is(err, fsnotify.ErrClosed) {
			t.Errorf("at the end: got %v", err)
		}
	})
}
