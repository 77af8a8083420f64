//go:build unix

package control

import "os"

// createPrivate makes a file that only its owner may read.
func createPrivate(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
