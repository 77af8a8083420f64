//go:build !linux

package work

import "os"

// dropCache does nothing: this system has no such wish.
func dropCache(*os.File) {}
