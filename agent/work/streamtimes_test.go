package work

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
)

// newListedStream is one of downloads that a plan has seen in a listing with minutes.
func newListedStream(t *testing.T) *stream {
	s := newStream(t, dialects["without MLST"])
	s.sync.Rules.Direction, s.sync.Upload = plan.Down, Upload{}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.fetches(name, "", "of "+name)
	}
	for i, op := range s.ops {
		there := op.Remote.Entry
		there.ModTime, there.Precision = there.ModTime.Truncate(time.Minute), time.Minute
		s.ops[i].Remote.Entry = there
	}
	return s
}

// TestAStreamOfDownloadsLearnsTimes to the second, for what is written here and for what is remembered.
func TestAStreamOfDownloadsLearnsTimes(t *testing.T) {
	t.Parallel()
	s := newListedStream(t)
	for path, o := range s.streamed(1) {
		info, err := os.Stat(filepath.Join(s.local, path))
		if err != nil || o.Result != Done {
			t.Fatalf("%s: %s: %v %v", path, o.Result, o.Err, err)
		}
		if there := o.Base.Remote; !info.ModTime().Equal(stamped) || !there.ModTime.Equal(stamped) || there.Precision != time.Second {
			t.Errorf("%s: here %s, remembered %s to %s", path, info.ModTime(), there.ModTime, there.Precision)
		}
	}
}

// TestAChangeWithinTheMinuteOfAListing, during the download, is one.
func TestAChangeWithinTheMinuteOfAListing(t *testing.T) {
	t.Parallel()
	s := newListedStream(t)
	behind := false
	s.server.Before = func(line string) {
		if behind && line == "SIZE /site/b" {
			s.server.Put("/site/b", "to b", stamped.Add(time.Second))
		}
		behind = behind || line == "RETR /site/b"
	}
	for path, o := range s.streamed(1) {
		want, says := Done, ""
		if path == "b" {
			want, says = Stale, "changed during the download"
		}
		if o.Result != want || !strings.Contains(o.Reason, says) {
			t.Errorf("%s: %s, %q %v", path, o.Result, o.Reason, o.Err)
		}
	}
	if here := s.here(); here["b"] != "" {
		t.Errorf("b holds %q", here["b"])
	}
}

// TestWhatIsYoungerThanItsListingTells is not fetched in a stream either, before it has settled.
func TestWhatIsYoungerThanItsListingTells(t *testing.T) {
	t.Parallel()
	s := newListedStream(t)
	s.sync.Settle = time.Hour
	now := time.Now().Truncate(time.Second)
	s.server.Put("/site/b", "of b", now)
	b := &s.ops[1].Remote.Entry
	b.ModTime, b.Precision = now.Add(-90*time.Minute), 2*time.Hour
	for path, o := range s.streamed(1) {
		if want := map[bool]Result{true: Stale, false: Done}[path == "b"]; o.Result != want {
			t.Errorf("%s: %s, %q %v", path, o.Result, o.Reason, o.Err)
		}
	}
	if here := s.here(); here["b"] != "" {
		t.Errorf("b holds %q", here["b"])
	}
}
