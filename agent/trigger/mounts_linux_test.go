package trigger

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestMountsAreReadFromMountinfo(t *testing.T) {
	const text = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
31 22 0:5 / /srv/www rw - nfs server:/ rw
32 31 0:6 / /srv/www/in\040here/a\134b rw - tmpfs none rw
33 22 0:7 / /srv/www2 rw - tmpfs none rw
34 31 0:8 / /srv/www/twice rw - tmpfs none rw
35 31 0:9 / /srv/www/twice rw - tmpfs none rw
broken
`
	if diff := cmp.Diff(map[string]string{`in here/a\b`: "32", "twice": "35"}, parseMounts(text, "/srv/www")); diff != "" {
		t.Error(diff)
	}
}

func TestFilesystemsAreKnown(t *testing.T) {
	if name := remoteFilesystem("/proc"); name != "proc" {
		t.Errorf("/proc is %q", name)
	}
	if name := remoteFilesystem(t.TempDir() + "/no such folder"); name != "" {
		t.Errorf("nothing is %q", name)
	}
	ftptest.Need(t, "tmpfs")
	folder := ftptest.Tmpfs(t, 1<<20, true)
	if name := remoteFilesystem(folder); name != "" {
		t.Errorf("tmpfs is %q", name)
	}
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.Stat("/proc")
	if err != nil {
		t.Fatal(err)
	}
	if deviceOf(info) == 0 || deviceOf(info) == deviceOf(root) {
		t.Errorf("devices %d and %d", deviceOf(info), deviceOf(root))
	}
	// To which nothing can be written: whether events come nobody can find out, and that is no reason to poll.
	c := canary{rel: ".canary"}
	if err := c.release(noon, folder+"/.canary"); !errors.Is(err, syscall.EROFS) || c.state != canarySang {
		t.Errorf("canary: %v, %+v", err, c)
	}
}
