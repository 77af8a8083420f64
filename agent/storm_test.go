package agent_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// stormFiles: "-run TestStorms -storm 50000" is the full size.
var stormFiles = flag.Int("storm", 120, "how many files TestStorms makes")

// TestStorms has several programs make, rename, replace and remove files and folders as fast as they can while the agent watches and
// works. Both sides end equal without anybody asking for it.
func TestStorms(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", "watch = true", `max_delete = "100%"`)
	fill(t, r.local, map[string]string{"before": "the storm"})
	r.with(agent.Options{Triggers: true}, func(*agent.Agent) {
		eventually(t, "the agent works", r.equal)
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				if err := storm(filepath.Join(r.local, fmt.Sprint("writer ", w)), *stormFiles/4); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		stormIsOver(t, r)
		// Once more, and now with all that is known.
		for w := range 4 {
			writer := filepath.Join(r.local, fmt.Sprint("writer ", w))
			if err := os.Rename(writer, filepath.Join(r.local, fmt.Sprint("again ", w))); err != nil {
				t.Fatal(err)
			}
			if err := storm(writer, *stormFiles/40); err != nil {
				t.Error(err)
			}
			if err := os.RemoveAll(filepath.Join(r.local, fmt.Sprint("again ", w), "1")); err != nil {
				t.Fatal(err)
			}
		}
		stormIsOver(t, r)
	})
	r.mustBeInStep("afterwards")
}

func stormIsOver(t *testing.T, r *rig) {
	t.Helper()
	for end := time.Now().Add(patience + time.Duration(*stormFiles)*10*time.Millisecond); !r.equal(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the two sides do not become equal")
		}
	}
}

// storm makes files in nested folders, renames every third of those with all that is in it, and removes and makes anew
// every fourth; some files are replaced as editors do it.
func storm(root string, files int) error {
	each := max(4, files/125) // in each folder
	for i := range (files + each - 1) / each {
		folder := filepath.Join(root, fmt.Sprint(i%7), filepath.FromSlash(strings.Repeat("nested/", i%5)), fmt.Sprint(i))
		if i%4 == 3 {
			if err := makeFiles(folder, each, "to be removed"); err != nil {
				return err
			}
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
		}
		if err := makeFiles(folder, min(each, files-i*each), fmt.Sprint("folder ", i)); err != nil {
			return err
		}
		if i%3 == 2 {
			if err := os.Rename(folder, filepath.Join(root, fmt.Sprint("renamed ", i))); err != nil {
				return err
			}
			continue
		}
		saved := filepath.Join(folder, "0")
		if err := os.WriteFile(saved+".new", []byte("saved"), 0o666); err != nil {
			return err
		}
		if err := os.Rename(saved+".new", saved); err != nil {
			return err
		}
	}
	return nil
}

func makeFiles(folder string, n int, text string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), fmt.Append(nil, text, " file ", i), 0o666); err != nil {
			return err
		}
	}
	return nil
}
