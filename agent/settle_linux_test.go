package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// writer is a program that writes a file of the sync. It returns the versions of it that may be sent.
type writer func(t *testing.T, path string) (versions []string)

const (
	// writing is how long each program writes, and settle what the sync waits.
	writing = 2 * time.Second
	settle  = 700 * time.Millisecond
	pause   = 100 * time.Millisecond
)

// TestFilesThatAreBeingWritten by real programs. Somebody at the server's disk looks at the final names all the time: there is
// nothing, or a version that its program has left alone for the settle time.
func TestFilesThatAreBeingWritten(t *testing.T) {
	t.Parallel()
	var enough atomic.Bool
	defer enough.Store(true)
	writers := map[string]writer{
		"appended for ever": func(t *testing.T, path string) []string {
			goesOn := forAWhile()
			return bursts(t, path, func() bool { return goesOn() || !enough.Load() }, func(string) {})
		},
		"slowly":                       slowly,
		"in bursts":                    inBursts,
		"in bursts with its time kept": keepingItsTime,
		"replaced":                     replacing,
		"mapped":                       mappedWriter,
		"held open":                    heldOpen,
	}
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", "watch = true", `exclude = ["*.next"]`)
	r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Settle = settle }
	var mu sync.Mutex
	seen := map[string]map[string]bool{}
	look := func() {
		for name := range writers {
			content, err := os.ReadFile(filepath.Join(r.remote, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			if seen[name] == nil {
				seen[name] = map[string]bool{}
			}
			seen[name][string(content)] = true
			mu.Unlock()
		}
	}
	versions := map[string][]string{}
	r.with(agent.Options{Triggers: true}, func(a *agent.Agent) {
		var programs sync.WaitGroup
		for name, write := range writers {
			programs.Go(func() {
				allowed := write(t, filepath.Join(r.local, name))
				mu.Lock()
				defer mu.Unlock()
				versions[name] = allowed
			})
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					look()
				}
			}
		}()
		eventually(t, "status and explain say who has the file open", func() bool {
			held := heldOf(t, a)
			e, err := a.Explain(t.Context(), "s", "held open")
			return err == nil && held["held open"] == scan.Written && strings.Contains(e.Next, scan.Written)
		})
		eventually(t, "status says that a file grows", func() bool { return heldOf(t, a)["appended for ever"] == scan.Growing })
		enough.Store(true)
		programs.Wait()
		for name := range writers {
			last := versions[name][len(versions[name])-1]
			eventually(t, name+": the last version arrives", func() bool {
				content, _ := os.ReadFile(filepath.Join(r.remote, name))
				return string(content) == last
			})
		}
		close(stop)
		<-stopped
		eventually(t, "nothing is held any more", func() bool { return len(heldOf(t, a)) == 0 })
	})
	for name, contents := range seen {
		for content := range contents {
			if !slices.Contains(versions[name], content) {
				t.Errorf("%s: the server had %d bytes, %.40q..., that nobody had left alone", name, len(content), content)
			}
		}
	}
}

// slowly writes a few bytes at a time, and has the file open all the while.
func slowly(t *testing.T, path string) []string {
	file, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return nil
	}
	content := ""
	for began := time.Now(); time.Since(began) < writing; time.Sleep(pause) {
		content += "some bytes\n"
		if _, err := file.WriteString("some bytes\n"); err != nil {
			t.Error(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	return []string{content}
}

// heldOpen writes half of the file, and the rest much later than what is taken for quiet.
func heldOpen(t *testing.T, path string) []string {
	file, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer file.Close()
	for i, half := range []string{"one half, ", "the other half"} {
		if i > 0 {
			time.Sleep(writing + 2*settle)
		}
		if _, err := file.WriteString(half); err != nil {
			t.Error(err)
		}
	}
	return []string{"one half, the other half"}
}

// inBursts opens the file anew each time. What was left alone for longer than meant, on a slow machine, counts as a version.
func inBursts(t *testing.T, path string) []string {
	return bursts(t, path, forAWhile(), func(string) {})
}

// forAWhile tells a program for how long it goes on.
func forAWhile() (goesOn func() bool) {
	end := time.Now().Add(writing)
	return func() bool { return time.Now().Before(end) }
}

// keepingItsTime is a program that sets the time of the file to that of its first version, each time.
func keepingItsTime(t *testing.T, path string) []string {
	old := time.Now().Add(-time.Hour)
	return bursts(t, path, forAWhile(), func(path string) {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Error(err)
		}
	})
}

func bursts(t *testing.T, path string, goesOn func() bool, after func(path string)) (versions []string) {
	var content string
	ended := time.Time{}
	for ; goesOn(); time.Sleep(pause) {
		if !ended.IsZero() && time.Since(ended) > settle/2 {
			versions = append(versions, content)
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
		if err != nil {
			t.Error(err)
			return nil
		}
		for range 5 {
			content += "a burst\n"
			if _, err := file.WriteString("a burst\n"); err != nil {
				t.Error(err)
			}
		}
		file.Close()
		after(path)
		ended = time.Now()
	}
	return append(versions, content)
}

// replacing writes each version under another name first; each of them is complete, and may be sent.
func replacing(t *testing.T, path string) (versions []string) {
	for began := time.Now(); time.Since(began) < writing; time.Sleep(pause) {
		version := strings.Repeat(fmt.Sprint("version ", len(versions), "\n"), 1000)
		versions = append(versions, version)
		if err := os.WriteFile(path+".next", []byte(version), 0o666); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Error(err)
		}
	}
	return versions
}

// mappedWriter writes through memory, slowly, and has closed the file. Its time may not move with what is written so.
func mappedWriter(t *testing.T, path string) []string {
	const pages = 8
	file, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return nil
	}
	err = file.Truncate(pages * 4096)
	if err != nil {
		t.Error(err)
		return nil
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, pages*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Error(err)
		return nil
	}
	file.Close()
	for page := range pages {
		copy(memory[page*4096:], bytes.Repeat([]byte("x"), 4096))
		time.Sleep((writing + 2*settle) / pages)
	}
	if err := unix.Munmap(memory); err != nil {
		t.Error(err)
	}
	return []string{strings.Repeat("x", pages*4096)}
}

// TestWhatHappensToAFileDuringItsUpload: the server says that it takes the file, and then something becomes of that. Nothing torn is
// ever at the final name, and no temporary file is left.
func TestWhatHappensToAFileDuringItsUpload(t *testing.T) {
	const before, after = "as it was planned", "as it is after that"
	for i, row := range []struct {
		sentence string
		happens  func(t *testing.T, path string)
		want     string
	}{
		{"it is deleted", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}, ""},
		{"it is written anew, and its time set back", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err == nil {
				err = os.WriteFile(path, []byte(after[:len(before)]), 0o666)
			}
			if err == nil {
				err = os.Chtimes(path, info.ModTime(), info.ModTime())
			}
			if err != nil {
				t.Error(err)
			}
		}, after[:len(before)]},
		{"it is replaced", func(t *testing.T, path string) {
			if err := errors.Join(os.WriteFile(path+".next", []byte(after), 0o666), os.Rename(path+".next", path)); err != nil {
				t.Error(err)
			}
		}, after},
	} {
		name := ftptest.RealServers[i]
		t.Run(name+": "+row.sentence, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up", `exclude = ["*.next"]`)
			r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Settle = 100 * time.Millisecond }
			path := filepath.Join(r.local, "a")
			if err := os.WriteFile(path, []byte(before), 0o666); err != nil {
				t.Fatal(err)
			}
			relay := r.behind()
			var happened, torn atomic.Bool
			relay.cut = func(reply string) bool {
				if strings.HasPrefix(reply, "226") && uploading(r.remote) && happened.CompareAndSwap(false, true) {
					row.happens(t, path)
				}
				if content, err := os.ReadFile(filepath.Join(r.remote, "a")); err == nil && string(content) != row.want {
					torn.Store(true)
				}
				return false
			}
			r.once()
			if !happened.Load() {
				t.Error("no upload was under way")
			}
			if torn.Load() {
				t.Error("the server had something else at the final name")
			}
			r.mustBeInStep("in the end")
			if content, _ := os.ReadFile(filepath.Join(r.remote, "a")); string(content) != row.want {
				t.Errorf("the server has %q", content)
			}
			if uploading(r.remote) {
				t.Error("a temporary file is left")
			}
		})
	}
}

// uploading reports whether there is a temporary file.
func uploading(folder string) bool {
	entries, _ := os.ReadDir(folder)
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return scan.IsTemp(e.Name()) })
}
