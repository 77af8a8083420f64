package state

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetworkMagics(t *testing.T) {
	for _, test := range []struct {
		name  string
		magic uint32
		want  string
	}{
		{"NFS has no dependable locks", 0x6969, "NFS"},
		{"CIFS, negative where the type is signed", 0xff534d42, "CIFS"},
		{"SMB 2 and 3", 0xfe534d42, "SMB"},
		{"9p is what Windows drives are inside WSL", 0x01021997, "9p"},
		{"sshfs is FUSE", 0x65735546, "FUSE"},
		{"AFS of the kernel", 0x6b414653, "AFS"},
		{"Ceph", 0x00c36400, "Ceph"},
		{"Lustre", 0x0bd00bd0, "Lustre"},
		{"GFS2", 0x01161970, "GFS2"},
		{"OCFS2", 0x7461636f, "OCFS2"},
		{"ext4 is local", unix.EXT4_SUPER_MAGIC, ""},
		{"xfs is local", unix.XFS_SUPER_MAGIC, ""},
		{"btrfs is local", unix.BTRFS_SUPER_MAGIC, ""},
		{"tmpfs is local, and its number close to that of 9p", unix.TMPFS_MAGIC, ""},
		{"an overlay counts as local", unix.OVERLAYFS_SUPER_MAGIC, ""},
	} {
		if got := networkMagics[test.magic]; got != test.want {
			t.Errorf("%s: %#x = %q, want %q", test.name, test.magic, got, test.want)
		}
	}
}

// The file system of the test's own folder stands in for a network one.
func TestNetworkFilesystemIsRefused(t *testing.T) {
	folder := t.TempDir()
	var stat unix.Statfs_t
	check(t, unix.Statfs(folder, &stat))
	magic := uint32(stat.Type)
	before, had := networkMagics[magic]
	networkMagics[magic] = "Testing"
	defer func() {
		delete(networkMagics, magic)
		if had {
			networkMagics[magic] = before
		}
	}()
	path := filepath.Join(folder, "to", "be", "made", "agent.db")
	_, err := Open(path, Options{})
	if !errors.Is(err, ErrNetworkFilesystem) {
		t.Errorf("Open = %v, want ErrNetworkFilesystem", err)
	}
	wantText(t, err, "Testing", folder, "state_dir", "allow_network_state_dir = true")
	openFile(t, path) // allowed
}
