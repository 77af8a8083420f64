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

// node is what is at a path, nothing if zero. Only files have a size and a digest.
type node struct {
	kind   string
	size   int64
	digest string
}

const (
	file   = "file"
	folder = "folder"
	other  = "something else"
)

// tree maps slash separated paths to what is there. The root itself is not in it.
type tree map[string]node

// readTree reads what is below root.
func readTree(root string) (tree, error) {
	found := tree{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		n := node{kind: other}
		if entry.IsDir() {
			n.kind = folder
		} else if entry.Type().IsRegular() {
			if n, err = readFile(name); err != nil {
				return err
			}
		}
		rel, err := filepath.Rel(root, name)
		found[filepath.ToSlash(rel)] = n
		return err
	})
	return found, err
}

func readFile(name string) (node, error) {
	f, err := os.Open(name)
	if err != nil {
		return node{}, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	return node{kind: file, size: size, digest: fmt.Sprintf("%x", hash.Sum(nil))}, err
}

// compare returns lines that show both trees side by side, and a line for each path that differs.
func compare(local, server tree) (view, differ []string) {
	all := tree{}
	maps.Copy(all, local)
	maps.Copy(all, server)
	for _, p := range slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) // a folder, then what is in it
	}) {
		l, s, mark := local[p], server[p], "="
		if l != s {
			mark = "!"
			differ = append(differ, fmt.Sprintf("  ! %s is %s here, %s on the server", printable(p), l, s))
		}
		view = append(view, strings.TrimRight(fmt.Sprintf("  %-48s %s %s", l.cell(p), mark, s.cell(p)), " "))
	}
	return view, differ
}

// String describes a node; the zero value is none.
func (n node) String() string {
	switch n.kind {
	case "":
		return "not there"
	case file:
		return fmt.Sprintf("%s (%.8s)", bytesText(n.size), n.digest)
	}
	return "a " + n.kind
}

// cell shows a node in a column.
func (n node) cell(p string) string {
	name := strings.Repeat("  ", strings.Count(p, "/")) + printable(path.Base(p))
	switch n.kind {
	case "":
		return ""
	case file:
		return fmt.Sprintf("%-28s%9s  %.8s", name, bytesText(n.size), n.digest)
	case folder:
		return name + "/"
	}
	return name + " (" + n.kind + ")"
}
