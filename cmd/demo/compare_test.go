package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	one := node{kind: file, size: 3, digest: "1111111111"}
	two := node{kind: file, size: 3, digest: "2222222222"}
	dir := node{kind: folder}
	for _, test := range []struct {
		name          string
		local, server tree
		want          []string
	}{
		{"two empty trees are equal", nil, nil, nil},
		{"the same files and folders are equal", tree{"d": dir, "d/f": one}, tree{"d": dir, "d/f": one}, nil},
		{"a file is missing", tree{"f": one}, nil, []string{"  ! f is 3 B (11111111) here, not there on the server"}},
		{"a folder is too many", nil, tree{"d": dir}, []string{"  ! d is not there here, a folder on the server"}},
		{"the content differs", tree{"f": one}, tree{"f": two}, []string{"  ! f is 3 B (11111111) here, 3 B (22222222) on the server"}},
		{"a folder is not an empty file", tree{"f": dir}, tree{"f": {kind: file}}, []string{"  ! f is a folder here, 0 B () on the server"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, differ := compare(test.local, test.server)
			if diff := cmp.Diff(test.want, differ); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSideBySide(t *testing.T) {
	file := node{kind: file, size: 2048, digest: "0123456789"}
	view, _ := compare(
		tree{"a": {kind: folder}, "a/f": file, "a b": file, "only here": file},
		tree{"a": {kind: folder}, "a/f": file, "a b": {kind: other}},
	)
	want := []string{
		"  a/                                               = a/",
		"    f                           2.0 KiB  01234567  =   f                           2.0 KiB  01234567",
		"  a b                           2.0 KiB  01234567  ! a b (something else)",
		"  only here                     2.0 KiB  01234567  !",
	}
	if diff := cmp.Diff(want, view); diff != "" {
		t.Error(diff)
	}
}

func TestReadTree(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "d", "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "d", "f"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	want := tree{"d": {kind: folder}, "d/empty": {kind: folder}, "d/f": {
		kind: file, size: 3, digest: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(node{})); diff != "" {
		t.Error(diff)
	}
	if _, err := readTree(filepath.Join(root, "missing")); err == nil {
		t.Error("a missing folder is read without an error")
	}
}
