//go:build !unix

package scan

import "io/fs"

// openWithoutWaiting: there are no pipes in folders here.
const openWithoutWaiting = 0

// errNotDir is what a path below a file gives; here the system says "not there" at once.
var errNotDir = fs.ErrNotExist
