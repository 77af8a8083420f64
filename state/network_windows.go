package state

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// networkFilesystem names the kind of network file system that path is on; "" if it is local.
func networkFilesystem(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if isShare(absolute) {
		return "a network share", nil
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(absolute) + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "a network drive", nil
	}
	return "", nil
}

// isShare reports whether an absolute path is of the form \\server\share or \\?\UNC\server\share.
// Other paths that start with \\?\ or \\.\ are local devices.
func isShare(path string) bool {
	path = strings.ReplaceAll(path, "/", `\`)
	if rest, ok := strings.CutPrefix(path, `\\?\`); ok {
		return len(rest) >= 4 && strings.EqualFold(rest[:4], `UNC\`)
	}
	return strings.HasPrefix(path, `\\`) && !strings.HasPrefix(path, `\\.\`)
}
