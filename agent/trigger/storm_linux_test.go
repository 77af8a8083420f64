package trigger

import (
	"flag"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
)

// stormFiles: "-run TestWatchOfAStorm -storm 50000" is the full size.
var stormFiles = flag.Int("storm", 800, "how many files TestWatchOfAStorm makes")

// TestWatchSurvivesTheOverflowOfItsQueue makes more events, while nobody reads, than wait for anybody. Everything is looked at, and
// then each folder is watched again.
func TestWatchSurvivesTheOverflowOfItsQueue(t *testing.T) {
	const storm = 3 * maxWaiting
	block, stuck, release := make(chan bool, 1), make(chan struct{}), make(chan struct{})
	r := record(t, Watch{Root: smallTree(t), Skip: func(string, bool) bool {
		select {
		case <-block:
			close(stuck)
			<-release
		default:
		}
		return false
	}})
	block <- true
	r.write("d/one")
	<-stuck
	r.write("d/two")
	for i := range storm / 2 { // the kernel joins events that are the same
		for _, file := range []string{"d/one", "d/two"} {
			r.must(os.Chmod(r.path(file), os.FileMode(0o600|i&0o077)))
		}
	}
	r.mkdir("new/in/the storm")
	r.must(os.Rename(r.path("a"), r.path("new/a")))
	close(release)
	r.because("watch overflow")
	r.watched("new/in/the storm")
	r.watched("new/a/b/c")
	r.watched("d")
}

// TestWatchOfAStorm makes folders and files as fast as several programs can. Each file is reported after it was there.
func TestWatchOfAStorm(t *testing.T) {
	const writers = 4
	files := max(20, *stormFiles/500)
	folders := *stormFiles / writers / files
	r := record(t, Watch{Root: smallTree(t)})
	var done sync.WaitGroup
	var mu sync.Mutex
	var names []string
	for w := range writers {
		done.Go(func() {
			for i := range folders {
				folder := fmt.Sprintf("w%d/%d/%s", w, i%3, strings.Repeat("deep/", i%4)+fmt.Sprint(i))
				if err := os.MkdirAll(r.path(folder), 0o700); err != nil {
					t.Error(err)
				}
				for f := range files {
					rel := fmt.Sprintf("%s/%d", folder, f)
					if err := os.WriteFile(r.path(rel), nil, 0o600); err != nil {
						t.Error(err)
					}
					mu.Lock()
					names = append(names, rel)
					mu.Unlock()
				}
			}
		})
	}
	done.Wait()
	for _, rel := range names {
		r.covered(rel)
	}
	r.watched(path.Dir(names[len(names)-1]))
	whys := map[string]int{}
	for _, e := range r.all() {
		whys[e.Why]++
	}
	t.Logf("%d files, %d folders, Events by reason: %v", len(names), writers*folders, whys)
}
