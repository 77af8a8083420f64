//go:build unix

package scan

import "syscall"

// errNotDir is what a path below a file gives: there is nothing there.
var errNotDir error = syscall.ENOTDIR
