//go:build !linux

package work

import "os"

// renameNew renames from to to, never over something: then the error is fs.ErrExist.
func renameNew(root *os.Root, from, to string) error { return lookThenRename(root, from, to) }
