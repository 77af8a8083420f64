package state

import "golang.org/x/sys/unix"

// networkMagics holds statfs types, by the list in coreutils' stat.c of what is remote. All of FUSE is in
// here: sshfs, rclone and virtiofs do not tell themselves apart from local ones.
var networkMagics = map[uint32]string{
	unix.NFS_SUPER_MAGIC:   "NFS",
	unix.SMB_SUPER_MAGIC:   "SMB",
	unix.SMB2_SUPER_MAGIC:  "SMB",
	unix.CIFS_SUPER_MAGIC:  "CIFS",
	unix.V9FS_MAGIC:        "9p",
	unix.FUSE_SUPER_MAGIC:  "FUSE",
	unix.AFS_SUPER_MAGIC:   "AFS",
	unix.AFS_FS_MAGIC:      "AFS",
	unix.CEPH_SUPER_MAGIC:  "Ceph",
	unix.CODA_SUPER_MAGIC:  "Coda",
	unix.NCP_SUPER_MAGIC:   "NCP",
	unix.OCFS2_SUPER_MAGIC: "OCFS2",
	0x01161970:             "GFS2",
	0x0bd00bd0:             "Lustre",
	0x47504653:             "GPFS",
	0x19830326:             "BeeGFS",
	0x013111a8:             "IBRIX",
	0x61636673:             "ACFS",
	0x7c7c6673:             "Parallels shared folders",
	0x786f4256:             "VirtualBox shared folders",
	0xaad7aaea:             "PanFS",
	0xbacbacbc:             "VMware shared folders",
	0xbeefdead:             "StorNext",
	0x20030528:             "OrangeFS",
}

// networkFilesystem names the kind of network file system that path is on; "" if it is local.
func networkFilesystem(path string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return "", err
	}
	// Type is signed on some architectures and 64 bits wide on others.
	return networkMagics[uint32(stat.Type)], nil
}
