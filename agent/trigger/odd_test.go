package trigger

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestWatchLooksBehindLinksThatAreFollowed now and then: a watch ends at a link.
func TestWatchLooksBehindLinksThatAreFollowed(t *testing.T) {
	link := func(f *fake, rel string) { f.must(os.Symlink(f.t.TempDir(), filepath.Join(f.root, rel))) }
	event := func(f *fake, rel string, op fsnotify.Op) {
		f.events <- fsnotify.Event{Name: filepath.Join(f.root, rel), Op: op}
		f.sleep(2 * time.Second)
	}
	remove := func(f *fake, rel string) {
		f.must(os.RemoveAll(filepath.Join(f.root, rel)))
		event(f, rel, fsnotify.Remove)
	}
	behind := func(what string) string { return what + ": events do not tell what changes behind symbolic links" }
	tests := map[string]struct {
		prepare func(*fake)
		happen  func(*fake)
		want    []string // reported every minute
		reason  string
	}{
		"links at the start":            {func(f *fake) { link(f, "d/one"); link(f, "two") }, nil, []string{"d/one", "two"}, behind(`"d/one" and 1 more`)},
		"a link that leads nowhere yet": {func(f *fake) { f.must(os.Symlink("nowhere", filepath.Join(f.root, "two"))) }, nil, []string{"two"}, behind(`"two"`)},
		"links that are not followed":   {func(f *fake) { f.follow = false; link(f, "two") }, nil, nil, ""},
		"a link that is of no interest": {func(f *fake) { link(f, "skip") }, nil, nil, ""},
		"a link that is made":           {nil, func(f *fake) { link(f, "d/new"); event(f, "d/new", fsnotify.Create) }, []string{"d/new"}, behind(`"d/new"`)},
		"a link in a new folder": {nil, func(f *fake) {
			f.must(os.Mkdir(filepath.Join(f.root, "n"), 0o700))
			link(f, "n/l")
			event(f, "n", fsnotify.Create)
		}, []string{"n/l"}, behind(`"n/l"`)},
		"a link that is gone":         {func(f *fake) { link(f, "two") }, func(f *fake) { remove(f, "two") }, nil, ""},
		"a link whose folder is gone": {func(f *fake) { link(f, "a/b/l"); link(f, "two") }, func(f *fake) { remove(f, "a") }, []string{"two"}, behind(`"two"`)},
		"a file is moved to the name of it": {func(f *fake) { link(f, "two") }, func(f *fake) {
			f.must(os.Rename(filepath.Join(f.root, "d/e/old"), filepath.Join(f.root, "two")))
			event(f, "two", fsnotify.Create)
		}, nil, ""},
		"it is gone when its folder is read again": {func(f *fake) { link(f, "d/e/l"); link(f, "two") }, func(f *fake) {
			f.must(os.Remove(filepath.Join(f.root, "d/e/l")))
			event(f, "d/e", fsnotify.Create)
		}, []string{"two"}, behind(`"two"`)},
		"on a filesystem that does not tell either": {func(f *fake) {
			link(f, "d/e/l")
			f.odd, f.mounts = map[string]string{"d": "NFS"}, map[string]string{"d": "1"}
		}, nil,
			[]string{"d"}, `"d": NFS does not tell of every change; what is changed from here is seen at once`},
		"both": {func(f *fake) {
			link(f, "a/l")
			f.odd, f.mounts = map[string]string{"d": "NFS"}, map[string]string{"d": "1"}
		}, nil,
			[]string{"a/l", "d"}, `"d": NFS does not tell of every change; what is changed from here is seen at once; "a/l": events do not tell what changes behind symbolic links`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			prepare := func(f *fake) {
				f.follow = true
				if test.prepare != nil {
					test.prepare(f)
				}
			}
			inBubble(t, prepare, func(f *fake) {
				if test.happen != nil {
					f.sleep(time.Second)
					test.happen(f)
				}
				f.got = nil
				f.sleep(3*time.Minute + time.Second)
				if len(f.got) != 3*min(1, len(test.want)) {
					t.Errorf("looks in three minutes: %+v", f.got)
				}
				f.wantPaths("now and then", test.want...)
				if test.want == nil {
					f.wantHealth("nothing is missed", HealthWatching, 0, "", "")
				} else {
					f.wantHealth("meanwhile", HealthDegraded, time.Minute, test.reason, "")
				}
			})
		})
	}
}

// TestWatchPollsAsOftenAsItSays also where that is more often than the root is checked, or is no multiple of that.
func TestWatchPollsAsOftenAsItSays(t *testing.T) {
	for _, poll := range []time.Duration{time.Second, 1500 * time.Millisecond, 3 * time.Second, 5 * time.Minute} {
		t.Run(poll.String(), func(t *testing.T) {
			prepare := func(f *fake) {
				f.poll, f.follow = poll, true
				f.must(os.Symlink("nowhere", filepath.Join(f.root, "link")))
			}
			inBubble(t, prepare, func(f *fake) {
				f.sleep(20*poll + 999*time.Millisecond)
				if len(f.got) != 20 {
					t.Errorf("%d looks in the time of 20", len(f.got))
				}
			})
		})
	}
}
