package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
)

// mostFiles bounds the tree of a churn.
const mostFiles = 40

// churn changes the files below root, and knows every content that each path ever had. Names in ".bin" are written in one
// step, as a program that cares for its readers does: what is torn there is not the source's doing. Those in ".log" are
// written in place.
//
// No two versions of a file have the same size, and what is moved gets a name that was never used: so each transfer in the
// history can be told from all others, and two versions in one second from each other.
type churn struct {
	t       *testing.T
	root    string
	random  *rand.Rand
	version int
	files   map[string]string // what is there: the digest of its content, "" if it is written in place
	steps   int
	writers sync.WaitGroup

	mu    sync.Mutex
	seen  map[string]map[string]bool
	whole map[string]bool // contents that were complete somewhere
}

func newChurn(t *testing.T, root string, random *rand.Rand) *churn {
	return &churn{t: t, root: root, random: random, files: map[string]string{}, seen: map[string]map[string]bool{}, whole: map[string]bool{}}
}

// begin changes something every few milliseconds until end is called, which also waits for what is written slowly.
func (c *churn) begin() (end func()) {
	for range mostFiles / 2 {
		c.create()
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(c.random.Int64N(int64(60 * time.Millisecond)))):
				c.step()
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		c.writers.Wait()
	}
}

func (c *churn) step() {
	c.steps++
	if len(c.files) > mostFiles {
		c.remove(c.anyFile())
	}
	switch n := c.random.IntN(20); {
	case len(c.files) < mostFiles/4, n < 8:
		c.create()
	case n < 11:
		c.writeInPlace()
	case n < 14:
		c.remove(c.anyFile())
	case n < 17:
		c.moveFile()
	case n < 19:
		c.moveFolder()
	default:
		c.removeFolder()
	}
}

func (c *churn) anyFile() string {
	names := slices.Sorted(maps.Keys(c.files))
	return names[c.random.IntN(len(names))]
}

func (c *churn) path(rel string) string { return filepath.Join(c.root, filepath.FromSlash(rel)) }

func (c *churn) check(err error) {
	if err != nil {
		c.t.Errorf("churn: %v", err)
	}
}

// appear notes that a content is about to be there.
func (c *churn) appear(rel, digest string) {
	c.files[rel] = digest
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[rel] == nil {
		c.seen[rel] = map[string]bool{}
	}
	c.seen[rel][digest] = true
	c.whole[digest] = true
}

func (c *churn) newPath(ending string) string {
	return fmt.Sprintf("f%d/g%d/file %d.%s", c.random.IntN(3), c.random.IntN(3), c.random.IntN(8), ending)
}

// create makes a file or replaces it in one step.
func (c *churn) create() {
	rel := c.newPath("bin")
	c.version++
	sizes := []int{0, 1000, 20_000, 100_000, 3_000_000, 3_000_000}
	text := strings.Repeat(fmt.Sprintf("%08d", c.version), sizes[c.random.IntN(len(sizes))]/8) + strings.Repeat(".", c.version)
	c.check(os.MkdirAll(filepath.Dir(c.path(rel)), 0o777))
	draft := filepath.Join(filepath.Dir(c.root), "draft")
	c.check(os.WriteFile(draft, []byte(text), 0o666))
	c.appear(rel, digest([]byte(text)))
	c.check(os.Rename(draft, c.path(rel)))
}

// writeInPlace writes a file anew, or appends to it, slowly. It goes on while other things happen, to the file itself too.
func (c *churn) writeInPlace() {
	rel := c.newPath("log")
	c.version++
	c.check(os.MkdirAll(filepath.Dir(c.path(rel)), 0o777))
	flag := os.O_TRUNC
	if c.random.IntN(2) == 0 {
		flag = os.O_APPEND
	}
	file, err := os.OpenFile(c.path(rel), os.O_CREATE|os.O_WRONLY|flag, 0o666)
	if err != nil {
		c.check(err)
		return
	}
	c.files[rel] = ""
	chunk := strings.Repeat(fmt.Sprintf("%08d", c.version), 512)
	chunks, tail := 5+c.random.IntN(20), strings.Repeat(".", c.version)
	pause := time.Duration(c.random.Int64N(int64(40 * time.Millisecond)))
	c.writers.Go(func() {
		defer file.Close()
		for range chunks {
			file.WriteString(chunk)
			time.Sleep(pause)
		}
		file.WriteString(tail)
	})
}

// inherit notes that what was seen under a name may be seen under another one: a file that is renamed is renamed at the target,
// too, with the content that it has there by then.
func (c *churn) inherit(from, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.seen[to], c.seen[from])
}

func (c *churn) remove(rel string) {
	c.check(os.Remove(c.path(rel)))
	delete(c.files, rel)
}

func (c *churn) moveFile() {
	rel := c.anyFile()
	c.version++
	to := fmt.Sprintf("f%d/moved %d%s", c.random.IntN(3), c.version, filepath.Ext(rel))
	c.check(os.MkdirAll(filepath.Dir(c.path(to)), 0o777))
	c.appear(to, c.files[rel])
	c.inherit(rel, to)
	c.check(os.Rename(c.path(rel), c.path(to)))
	delete(c.files, rel)
}

// folder is one that has a file in it, at any depth.
func (c *churn) folder() string {
	parts := strings.Split(c.anyFile(), "/")
	return strings.Join(parts[:1+c.random.IntN(len(parts)-1)], "/")
}

func (c *churn) moveFolder() {
	from := c.folder()
	c.version++
	to := fmt.Sprintf("moved folder %d", c.version)
	if c.random.IntN(2) == 0 {
		to = fmt.Sprintf("f%d/%s", c.random.IntN(3), to)
	}
	if strings.HasPrefix(to, from+"/") {
		return
	}
	c.check(os.MkdirAll(filepath.Dir(c.path(to)), 0o777))
	for rel, digest := range maps.Clone(c.files) {
		if rest, inside := strings.CutPrefix(rel, from+"/"); inside {
			c.appear(to+"/"+rest, digest)
			c.inherit(rel, to+"/"+rest)
			delete(c.files, rel)
		}
	}
	c.check(os.Rename(c.path(from), c.path(to)))
}

func (c *churn) removeFolder() {
	folder := c.folder()
	inside := 0
	for rel := range c.files {
		if strings.HasPrefix(rel, folder+"/") {
			inside++
		}
	}
	if inside > len(c.files)/2 {
		return // an empty root would halt the sync
	}
	c.check(os.RemoveAll(c.path(folder)))
	for rel := range maps.Clone(c.files) {
		if strings.HasPrefix(rel, folder+"/") {
			delete(c.files, rel)
		}
	}
}

// observe reads every final name below root over and over until end is called: none may ever have a content that its
// source did not have. end returns how many different contents it has read.
func (c *churn) observe(root string) (end func() int) {
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		read, known := 0, map[string]fs.FileInfo{}
		for {
			select {
			case <-stop:
				stopped <- read + c.lookAt(root, known)
				return
			case <-time.After(20 * time.Millisecond):
				read += c.lookAt(root, known)
			}
		}
	}()
	return func() int {
		close(stop)
		return <-stopped
	}
}

// lookAt reads what looks other than before.
func (c *churn) lookAt(root string, known map[string]fs.FileInfo) (read int) {
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(root, path)
		if errors.Join(err, relErr) != nil || d.IsDir() || !strings.HasSuffix(rel, ".bin") || scan.IsTemp(filepath.ToSlash(rel)) {
			return nil // gone meanwhile, or none of ours
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if was := known[rel]; was != nil && os.SameFile(was, info) && was.Size() == info.Size() && was.ModTime().Equal(info.ModTime()) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		read++
		known[rel] = info
		sum := digest(content)
		c.mu.Lock()
		defer c.mu.Unlock()
		// A folder that is renamed may take along for a moment what has just come into it under its old name.
		if !c.seen[filepath.ToSlash(rel)][sum] && !c.whole[sum] {
			c.t.Errorf("%s: %d bytes at the target that it never had at the source", rel, len(content))
		}
		return nil
	})
	return read
}
