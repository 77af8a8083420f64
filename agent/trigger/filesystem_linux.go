package trigger

import (
	"io/fs"
	"syscall"
)

// remoteFilesystems are those on which changes may go without events, by their number in statfs(2): somebody else may make them,
// on another machine, on the other side of a virtual one, in a process of its own, or in a layer below.
var remoteFilesystems = map[uint32]string{
	0x00006969: "NFS",
	0x0000517b: "SMB",
	0xfe534d42: "SMB",
	0xff534d42: "SMB (CIFS)",
	0x0000564c: "NCP",
	0x65735546: "FUSE",
	0x01021997: "9p",
	0x794c7630: "overlay",
	0x61756673: "aufs",
	0x786f4256: "a VirtualBox shared folder",
	0xbacbacbc: "a VMware shared folder",
	0x7c7c6673: "a Parallels shared folder",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x73757245: "Coda",
	0x00c36400: "Ceph",
	0x01161970: "GFS2",
	0x7461636f: "OCFS2",
	0x0bd00bd0: "Lustre",
	0x47504653: "GPFS",
	0x19830326: "BeeGFS",
	0x20030528: "OrangeFS",
	0xaad7aaea: "PanFS",
	0x00009fa0: "proc",
	0x62656572: "sysfs",
}

// remoteFilesystem returns the name of the filesystem of a folder if changes there may go without events, "" if not or if nobody
// can tell.
func remoteFilesystem(path string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return ""
	}
	return remoteFilesystems[uint32(stat.Type)] // the width differs between processors; the numbers have 32 bits
}

// deviceOf tells filesystems apart; 0 if nobody can tell.
func deviceOf(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Dev)
	}
	return 0
}
