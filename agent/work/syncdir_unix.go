//go:build unix

package work

import "os"

// syncDir makes a rename in the folder survive a power loss.
func syncDir(root *os.Root, folder string) error {
	dir, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
