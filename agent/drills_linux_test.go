package agent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// mount puts a disk on a folder, until unmount is called or the test ends.
func mount(t *testing.T, folder string) (unmount func()) {
	t.Helper()
	if err := syscall.Mount("disk", folder, "tmpfs", 0, "size=1m,mode=0777"); err != nil {
		t.Fatal(err)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			syscall.Unmount(folder, syscall.MNT_DETACH)
		}
	})
	return func() {
		t.Helper()
		for {
			err := syscall.Unmount(folder, 0)
			if err == nil {
				break
			}
			// A session of a server that has been ended is not gone at once.
			if !errors.Is(err, syscall.EBUSY) || t.Context().Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		mounted = false
	}
}

// TestALocalDiskThatIsNotMounted: the folder below it is empty, or holds what somebody has left there, and that many files
// may be deleted. An approval covers what a person has been shown: what shows only then is asked about once more.
func TestALocalDiskThatIsNotMounted(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	for i, below := range []map[string]string{nil, strangers} {
		for j, direction := range []string{"up", "down", "both"} {
			name := ftptest.RealServers[(i+j)%len(ftptest.RealServers)]
			t.Run(fmt.Sprintf("%d files below/%s/%s", len(below), direction, name), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction, `max_delete = "100%"`)
				r.local = ftptest.Tmpfs(t, 1<<20, false)
				r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Local = r.local }
				fill(t, r.local, below)
				unmount := mount(t, r.local)
				from := r.local
				if direction == "down" {
					from = r.remote
				}
				fill(t, from, drillTree)
				r.mustBeInStep("with the disk")
				unmount()
				const reason = "the local folder is on another filesystem than last time"
				r.mustHalt("without the disk", plan.HaltOtherDevice, reason)
				r.mustHalt("without the disk, after a restart", plan.HaltOtherDevice, reason)
				r.approve()
				switch {
				case below == nil:
					r.mustHalt("approved, and it is empty", plan.HaltRootEmpty, "the local folder is empty, but 18 paths were in step before")
					r.approve()
				case direction != "up": // there it is the source, of which any number may be deleted
					r.mustHalt("approved, and it holds something else", plan.HaltOtherContent, "the local folder holds none of the 14 files")
					r.approve()
				}
				r.mustBeInStep("approved: this is the folder now")
			})
		}
	}
}

// TestAServerWithoutItsDisk: it has been started again, and the disk is not mounted.
func TestAServerWithoutItsDisk(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	for i, below := range []map[string]string{nil, strangers} {
		for j, direction := range []string{"up", "down", "both"} {
			name := ftptest.RealServers[(i+j)%len(ftptest.RealServers)]
			t.Run(fmt.Sprintf("%d files below/%s/%s", len(below), direction, name), func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{})
				r := newRig(t, server, direction)
				fill(t, r.remote, below)
				server.Stop()
				unmount := mount(t, r.remote)
				server.Start()
				from := r.local
				if direction == "down" {
					from = r.remote
				}
				fill(t, from, drillTree)
				r.mustBeInStep("with the disk")
				whole := r.sides()
				server.Stop()
				disk := t.TempDir()
				if err := syscall.Mount(r.remote, disk, "", syscall.MS_BIND, ""); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
				unmount()
				server.Start()
				code, reason := plan.HaltRootEmpty, "the remote folder is empty"
				if below != nil {
					code, reason = plan.HaltOtherContent, "the remote folder holds none of the 14 files"
					if direction == "down" {
						code, reason = plan.HaltMaxDelete, "13 files of 18 known paths would be deleted"
					}
				}
				r.mustHalt("without the disk", code, reason)
				r.mustHalt("without the disk, after a restart", code, reason)

				server.Stop()
				if err := syscall.Mount(disk, r.remote, "", syscall.MS_BIND, ""); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { syscall.Unmount(r.remote, syscall.MNT_DETACH) })
				server.Start()
				r.approve()
				if report := r.mustBeInStep("with the disk again"); report.Deleted+report.Transferred > 0 {
					t.Errorf("%+v", report)
				}
				if diff := cmp.Diff(whole, r.sides()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// asUser makes a pass by an agent that may do no more than the modes of files say, and returns its exit code and what it says.
func (r *rig) asUser() (code int, says string) {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), asAgent+"="+r.config, asAgentBound+"=1000", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	const id = 64001
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getgid(), Size: 1}},
		Credential:  &syscall.Credential{Uid: id, Gid: id, NoSetGroups: true},
	}
	out, err := command.CombinedOutput()
	if failure, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || failure.ExitCode() < 0) {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// TestPermissionLost on a folder, or on all of a side: what is in there is unknown, and nothing is deleted for it on either
// side, nor done in it, while all else goes on.
func TestPermissionLost(t *testing.T) {
	ftptest.Need(t, "namespaces")
	for i, lost := range []string{"b", ""} {
		for j, side := range []string{"local", "remote"} {
			for k, direction := range []string{"up", "down", "both"} {
				name := ftptest.RealServers[(i+j+k)%len(ftptest.RealServers)]
				if name == "pyftpdlib" && side == "remote" {
					name = "vsftpd" // pyftpdlib is the user that runs the tests
				}
				t.Run(fmt.Sprintf("%q/%s/%s/%s", lost, side, direction, name), func(t *testing.T) {
					t.Parallel()
					r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction, `recheck = "0s"`)
					from, to := r.local, r.remote
					if direction == "down" {
						from, to = to, from
					}
					fill(t, from, drillTree)
					r.mustBeInStep("at first")
					folder := filepath.Join(*r.side(side), lost)
					t.Cleanup(func() { os.Chmod(folder, 0o777) })
					if err := os.Chmod(folder, 0); err != nil {
						t.Fatal(err)
					}
					fill(t, filepath.Join(from, "a"), map[string]string{"new": "new"})
					remove(t, from, "a/1")
					want := r.sides()
					if lost != "" {
						want["local"] = tree(t, from)
						want["remote"] = want["local"]
					}
					for range 2 {
						code, says := r.asUser()
						if code != control.ExitNeedsPerson || !strings.Contains(says, "Unknown:[{") {
							t.Errorf("exit code %d:\n%s", code, says)
						}
						if diff := cmp.Diff(want, r.sides()); diff != "" {
							t.Fatalf("without permission:\n%s", diff)
						}
					}
					r.stopped(func(a *agent.Agent, _ *state.DB) {
						overview, err := a.Status(t.Context(), control.StatusFilter{})
						list := overview.Syncs
						blind := lost == "" && list[0].Jobs.Retrying == 1 // it tries again to look at all
						if err != nil || list[0].State != control.StatePerson && !blind {
							t.Errorf("status: %+v, %v", list, err)
						}
						if lost != "" && (len(list[0].Notes) != 1 || string(list[0].Notes[0].Path) != lost || list[0].Notes[0].Kind != "unknown") {
							t.Errorf("status: %+v", list)
						}
					})
					if err := os.Chmod(folder, 0o777); err != nil {
						t.Fatal(err)
					}
					if report := r.mustBeInStep("with permission again"); lost != "" && report.Deleted+report.Transferred > 0 {
						t.Errorf("with permission again: %+v", report)
					}
					if diff := cmp.Diff(tree(t, from), tree(t, to)); diff != "" || len(tree(t, to)) != 18 {
						t.Error(diff)
					}
				})
			}
		}
	}
}
