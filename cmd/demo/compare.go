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

// node is a file or a folder; only files have a size and a digest.
type node struct {
	kind   fs.FileMode // type bits
	size   int64
	digest string
}

// tree maps slash separated paths to what is there. The root itself is not in it.
type tree map[string]node

// readTree reads what is below root.
func readTree(root string) (tree, error) {
	found := tree{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		n := node{kind: entry.Type()}
		if entry.Type().IsRegular() {
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
	file, err := os.Open(name)
	if err != nil {
		return node{}, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return node{size: size, digest: fmt.Sprintf("%x", hash.Sum(nil))}, err
}

// compare returns lines that show both trees side by side, and a line for each path that differs.
func compare(local, server tree) (view, differ []string) {
	all := maps.Clone(local)
	maps.Copy(all, server)
	for _, p := range slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) // a folder, then what is in it
	}) {
		l, here := local[p]
		s, there := server[p]
		mark := "="
		if reason := difference(l, s, here, there); reason != "" {
			mark = "!"
			differ = append(differ, "  ! "+printable(p)+" "+reason)
		}
		view = append(view, strings.TrimRight(fmt.Sprintf("  %s %s %s", cell("local/"+p, l, here), mark, cell("server/"+p, s, there)), " "))
	}
	return view, differ
}

func difference(local, server node, here, there bool) string {
	switch {
	case !there:
		return "is not on the server"
	case !here:
		return "is only on the server"
	case local.kind != server.kind:
		return "is not of the same kind"
	case local.size != server.size:
		return fmt.Sprintf("has %d bytes here and %d on the server", local.size, server.size)
	case local.digest != server.digest:
		return "has the same size but other content"
	}
	return ""
}

// cell shows one side of a path, in 48 columns.
func cell(p string, n node, present bool) string {
	name := strings.Repeat("  ", strings.Count(p, "/")-1) + printable(path.Base(p))
	switch {
	case !present:
		return padded("", 48)
	case n.kind != 0:
		return padded(name+"/", 48)
	}
	return padded(name, 28) + fmt.Sprintf("%9s  %.8s ", bytesText(n.size), n.digest)
}
