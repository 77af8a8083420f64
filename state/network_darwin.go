package state

import (
	"strings"

	"golang.org/x/sys/unix"
)

// networkNames holds the names in f_fstypename that mean a server at the other end.
var networkNames = map[string]bool{
	"nfs": true, "smbfs": true, "cifs": true, "afpfs": true, "webdav": true, "ftp": true,
	"acfs": true, "macfuse": true, "osxfuse": true, "fusefs": true, "fuse-t": true,
}

// networkFilesystem names the kind of network file system that path is on; "" if it is local.
func networkFilesystem(path string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return "", err
	}
	return networkName(unix.ByteSliceToString(stat.Fstypename[:])), nil
}

func networkName(kind string) string {
	if networkNames[strings.ToLower(kind)] {
		return kind
	}
	return ""
}
