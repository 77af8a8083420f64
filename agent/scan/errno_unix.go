//go:build unix

package scan

import "syscall"

// openWithoutWaiting keeps the opening of a pipe from blocking.
const openWithoutWaiting = syscall.O_NONBLOCK

// errNotDir is what a path below a file gives: there is nothing there.
var errNotDir error = syscall.ENOTDIR
