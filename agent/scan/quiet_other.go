//go:build !linux && !darwin && !freebsd && !netbsd

package scan

import (
	"io/fs"
	"time"
)

// touched: nobody says.
func touched(fs.FileInfo) time.Time { return time.Time{} }
