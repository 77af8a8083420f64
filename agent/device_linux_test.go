package agent_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestDiskThatIsNotMounted: what is in the folder that it was mounted on is something else, however many files it holds. Nothing is
// deleted for that, until a person says that this is the folder now.
func TestDiskThatIsNotMounted(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", `max_delete = "100%"`)
	r.local = ftptest.Tmpfs(t, 1<<20, false)
	r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Local = r.local }
	fill(t, r.local, map[string]string{"left from before the disk": "x"})
	if err := syscall.Mount("disk", r.local, "tmpfs", 0, "size=1m,mode=0777"); err != nil {
		t.Fatal(err)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			syscall.Unmount(r.local, syscall.MNT_DETACH)
		}
	})
	fill(t, r.local, map[string]string{"a": "a", "b/c": "c"})
	r.mustBeInStep("with the disk")
	if err := syscall.Unmount(r.local, 0); err != nil {
		t.Fatal(err)
	}
	mounted = false
	report := r.once()
	if !strings.Contains(report.Halt, "another filesystem") || report.Deleted > 0 {
		t.Errorf("without the disk: %+v", report)
	}
	if far := tree(t, r.remote); far["a"] != "a" || far["b/c"] != "c" {
		t.Errorf("on the server there is only %v", far)
	}
	r.with(agent.Options{}, func(a *agent.Agent) {
		if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
	})
	r.mustBeInStep("approved")
}

// TestDiskWithinTheFolderThatIsNotMounted: the rest of the folder is there, so that no other guard has a reason to stop anything.
func TestDiskWithinTheFolderThatIsNotMounted(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	for _, direction := range []string{"up", "both"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), direction, `max_delete = "100%"`)
			fill(t, r.local, map[string]string{"a": "a", "disk/": ""})
			disk := filepath.Join(r.local, "disk")
			mount := func() {
				t.Helper()
				if err := syscall.Mount("disk", disk, "tmpfs", 0, "size=1m,mode=0777"); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
			mount()
			fill(t, r.local, map[string]string{"disk/b": "b", "disk/c/d": "d"})
			r.mustBeInStep("with the disk")
			if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if report := r.once(); report.Deleted > 0 || len(report.Unknown) == 0 {
					t.Errorf("without the disk: %+v", report)
				}
			}
			if far := tree(t, r.remote); far["disk/b"] != "b" || far["disk/c/d"] != "d" {
				t.Errorf("on the server there is only %v", far)
			}
		})
	}
}
