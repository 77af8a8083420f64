package trigger

import (
	"io/fs"
	"strings"
	"syscall"
)

// remoteFilesystems are those on which somebody else may make changes, by their name in statfs(2).
var remoteFilesystems = map[string]string{
	"nfs": "NFS", "smbfs": "SMB", "afpfs": "AFP", "webdav": "WebDAV", "ftp": "FTP", "virtiofs": "virtiofs", "9p": "9p",
	"macfuse": "FUSE", "osxfuse": "FUSE", "fusefs": "FUSE", "prl_fs": "a Parallels shared folder", "vmhgfs": "a VMware shared folder",
}

// remoteFilesystem returns the name of the filesystem of a folder if changes there may go without events, "" if not or if nobody
// can tell.
func remoteFilesystem(path string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return ""
	}
	var name strings.Builder
	for _, c := range stat.Fstypename {
		if c == 0 {
			break
		}
		name.WriteByte(byte(c))
	}
	return remoteFilesystems[name.String()]
}

// deviceOf tells filesystems apart; 0 if nobody can tell.
func deviceOf(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Dev)
	}
	return 0
}
