//go:build !unix

package scan

import "io/fs"

// errNotDir is what a path below a file gives; here the system says "not there" at once.
var errNotDir = fs.ErrNotExist
