package agent_test

import (
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestADiskThatIsMountedAgain a moment later: below it the folder is empty, and neither a person is needed nor is anything deleted.
func TestADiskThatIsMountedAgain(t *testing.T) {
	t.Parallel()
	ftptest.Need(t, "tmpfs")
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", "watch = true")
	r.patient = true
	disk := ftptest.Tmpfs(t, 1<<20, false)
	attach := func() {
		t.Helper()
		if err := syscall.Mount(disk, r.local, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	detach := func() error { return syscall.Unmount(r.local, syscall.MNT_DETACH) }
	attach()
	t.Cleanup(func() { detach() })
	fill(t, r.local, drillTree)
	r.mustBeInStep("at first")
	before := len(tree(t, r.remote))
	seen := &diary{}
	saw := func(kind agent.ActivityKind) bool {
		return seen.has(func(a agent.Activity) bool { return a.Kind == kind })
	}
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(*agent.Agent) {
		eventually(t, "the watch stands", func() bool { return saw(agent.ActivityScanned) })
		if err := detach(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is noticed", func() bool { return saw(agent.ActivityPutOff) || saw(agent.ActivityHalted) })
		attach()
		fill(t, disk, map[string]string{"new": "made on the disk"})
		eventually(t, "the wait is over", func() bool { return saw(agent.ActivityAverted) || saw(agent.ActivityHalted) })
		if saw(agent.ActivityHalted) {
			t.Fatal("it has halted")
		}
		eventually(t, "both sides are equal", r.equal)
	})
	if after := len(tree(t, r.remote)); after != before+1 {
		t.Errorf("%d files and folders are on the server, want %d", after, before+1)
	}
	r.mustBeInStep("afterwards")
}
