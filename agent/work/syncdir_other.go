//go:build !unix

package work

import "os"

// syncDir does nothing: this system does not sync folders.
func syncDir(*os.Root, string) error { return nil }
