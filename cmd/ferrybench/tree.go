package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// sample is one file of a tree.
type sample struct {
	Path string // relative, with slashes
	Size int64
}

// tree is what a workload moves. Two trees with one name are equal, byte by byte, on every machine.
type tree struct {
	name  string
	files []sample
}

// evenTree has files of one size, spread over folders.
func evenTree(name string, folders, files int, size int64) tree {
	t := tree{name: name}
	for i := range files {
		// Folder by folder, as programs find files that were written so.
		folder := i * folders / files
		t.files = append(t.files, sample{fmt.Sprintf("folder-%03d/file-%05d.dat", folder, i), size})
	}
	return t
}

// mixedTree is like the folders of people: files of all sizes, most of them small, some of them empty, three levels deep, with
// names that need quoting.
func mixedTree(name string, files int, largest int64) tree {
	t := tree{name: name}
	random := rand.New(rand.NewPCG(1, 2))
	folders := []string{"documents", "documents/letters 2024", "pictures", "pictures/été", "pictures/été/raw", "source", "source/lib", "source/lib/deep"}
	for i := range files {
		size := int64(math.Exp(random.Float64()*math.Log(float64(largest)))) - 1
		ending := []string{"txt", "jpg", "c", "tar.gz"}[random.IntN(4)]
		t.files = append(t.files, sample{path.Join(folders[random.IntN(len(folders))], fmt.Sprintf("item %d.%s", i, ending)), size})
	}
	slices.SortFunc(t.files, func(a, b sample) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return t
}

// bytes is the size of all files.
func (t tree) bytes() (sum int64) {
	for _, file := range t.files {
		sum += file.Size
	}
	return sum
}

// modified is the time of the first file; the others follow by seconds. It is long ago, so that no client waits for a file to
// become quiet.
var modified = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

// write makes the files below a folder. Their content does not compress and differs from path to path.
func (t tree) write(root string) error {
	for i, file := range t.files {
		if err := writeSample(filepath.Join(root, filepath.FromSlash(file.Path)), file, modified.Add(time.Duration(i)*time.Second)); err != nil {
			return fmt.Errorf("write tree %s: %w", t.name, err)
		}
	}
	return nil
}

func writeSample(name string, file sample, modified time.Time) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	to, err := os.Create(name)
	if err != nil {
		return err
	}
	content := rand.NewChaCha8(sha256.Sum256([]byte(file.Path)))
	_, err = io.CopyN(to, content, file.Size)
	if closing := to.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Chtimes(name, modified, modified)
}

// copyTree copies files with their times. The target must not exist.
func copyTree(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		return os.Chtimes(filepath.Join(to, rel), info.ModTime(), info.ModTime())
	})
}

// verify compares what a client has made with its source, byte by byte, and counts the files that have the time of their source (to
// the second). An error says in what they differ: what is missing, more than there should be, or other than it should be.
func verify(source, target string, files []sample) (timesKept int, err error) {
	expected := make(map[string]bool, len(files))
	for _, file := range files {
		expected[file.Path] = true
		same, err := sameFile(filepath.Join(source, filepath.FromSlash(file.Path)), filepath.Join(target, filepath.FromSlash(file.Path)))
		if err != nil {
			return 0, err
		}
		if same {
			timesKept++
		}
	}
	return timesKept, filepath.WalkDir(target, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(target, name)
		if err == nil && !expected[filepath.ToSlash(rel)] {
			err = fmt.Errorf("%q is there and not in the source", filepath.ToSlash(rel))
		}
		return err
	})
}

// sameFile returns an error unless both hold the same, and whether their times are equal.
func sameFile(source, target string) (sameTime bool, err error) {
	a, err := os.Open(source)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := os.Open(target)
	if err != nil {
		return false, err
	}
	defer b.Close()
	infoA, err := a.Stat()
	if err != nil {
		return false, err
	}
	infoB, err := b.Stat()
	if err != nil {
		return false, err
	}
	if infoA.Size() != infoB.Size() {
		return false, fmt.Errorf("%s has %d bytes, its source %d", filepath.Base(target), infoB.Size(), infoA.Size())
	}
	const block = 256 << 10
	bufferA, bufferB := make([]byte, min(block, infoA.Size())), make([]byte, min(block, infoA.Size()))
	for offset := int64(0); offset < infoA.Size(); offset += block {
		size := min(block, infoA.Size()-offset)
		if _, err := io.ReadFull(a, bufferA[:size]); err != nil {
			return false, err
		}
		if _, err := io.ReadFull(b, bufferB[:size]); err != nil {
			return false, err
		}
		if !bytes.Equal(bufferA[:size], bufferB[:size]) {
			return false, fmt.Errorf("%s differs from its source after %d bytes", filepath.Base(target), offset)
		}
	}
	return infoA.ModTime().Unix() == infoB.ModTime().Unix(), nil
}
