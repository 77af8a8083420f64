package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// node is a file or folder. Only regular files have size and digest.
type node struct {
	kind   fs.FileMode // type bits
	size   int64
	digest [sha256.Size]byte
}

// tree maps slash separated paths to what is there. The root itself is not in it.
type tree map[string]node

// readTree reads what is below root. Without content, digests stay zero.
func readTree(root string, withContent bool) (tree, error) {
	found := tree{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		n := node{kind: info.Mode().Type()}
		if info.Mode().IsRegular() {
			n.size = info.Size()
			if withContent {
				if n.digest, err = digest(name); err != nil {
					return err
				}
			}
		}
		rel, err := filepath.Rel(root, name)
		found[filepath.ToSlash(rel)] = n
		return err
	})
	return found, err
}

func digest(name string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return [sha256.Size]byte(hash.Sum(nil)), err
}

// paths returns the paths of both trees, each once, what is in a folder right after it.
func paths(local, server tree) []string {
	all := maps.Clone(local)
	maps.Copy(all, server)
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
}

// differences returns a line for each path that is not the same on both sides.
func differences(local, server tree) []string {
	var found []string
	for _, p := range paths(local, server) {
		l, here := local[p]
		s, there := server[p]
		reason := ""
		switch {
		case !there:
			reason = "is not on the server"
		case !here:
			reason = "is only on the server"
		case l.kind != s.kind:
			reason = "is not of the same kind"
		case l.size != s.size:
			reason = fmt.Sprintf("has %d bytes here and %d on the server", l.size, s.size)
		case l.digest != s.digest:
			reason = "has the same size but other content"
		default:
			continue
		}
		found = append(found, printable(p)+" "+reason)
	}
	return found
}

// sideBySide returns lines that show both trees, with "=" between what is equal and "!" between what is not.
func sideBySide(local, server tree) []string {
	const half = 40 // columns
	row := func(left, mark, right string) string {
		return strings.TrimRight(fmt.Sprintf("  %s  %s  %s", padded(left, half), mark, right), " ")
	}
	lines := []string{row("local/", " ", "server/")}
	for _, p := range paths(local, server) {
		l, here := local[p]
		s, there := server[p]
		mark := "!"
		if here && there && l == s {
			mark = "="
		}
		lines = append(lines, row(cell(p, l, here), mark, cell(p, s, there)))
	}
	return lines
}

// cell is one path as one side of sideBySide shows it.
func cell(p string, n node, present bool) string {
	if !present {
		return ""
	}
	indent := strings.Repeat("  ", 1+strings.Count(p, "/"))
	name := indent + printable(path.Base(p))
	switch {
	case n.kind.IsDir():
		return name + "/"
	case n.kind != 0:
		return name + " (no regular file)"
	}
	return padded(name, 28) + " " + bytesText(n.size)
}
