package agent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// limited tells the test binary that it runs in a user namespace of its own, which has limits of its own, and what the server is.
const limited = "FTPFERRY_TEST_LIMITED_SERVER"

// TestASyncBeyondTheLimitsOfTheSystem has the kernel refuse most of the watches of an agent. It says so, with the cure, and both sides
// end equal without anybody asking for it, wherever the changes are.
func TestASyncBeyondTheLimitsOfTheSystem(t *testing.T) {
	if os.Getenv(limited) == "" {
		t.Parallel()
		ftptest.Need(t, "namespaces")
		real := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
		server, err := json.Marshal(ftptest.RealServer{Addr: real.Addr, User: real.User, Password: real.Password, Root: real.Root, RemoteRoot: real.RemoteRoot})
		if err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "10m")
		command.Env = append(os.Environ(), limited+"="+string(server), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var server ftptest.RealServer
	if err := json.Unmarshal([]byte(os.Getenv(limited)), &server); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/user/max_inotify_watches", []byte("10"), 0); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, &server, "up", "watch = true", `max_delete = "100%"`)
	r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].WatchPoll = 200 * time.Millisecond }
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("%d/sub/a", i)] = "there from the start"
	}
	fill(t, r.local, files)
	box := newMailbox(t)
	r.alertsTo(box, "")
	r.with(withAlerts, func(a *agent.Agent) {
		eventually(t, "status says what is the matter", func() bool {
			overview, err := a.Status(t.Context(), control.StatusFilter{})
			list := overview.Syncs
			if err != nil {
				t.Fatal(err)
			}
			watch := list[0].Watch
			return watch != nil && watch.State == control.WatchDegraded && strings.Contains(watch.Cure, "fs.inotify.max_user_watches")
		})
		box.waitFor(t, alert.Watch, "problem")
		if item := box.last(alert.Watch); !strings.Contains(item.String(), "not every change is noticed when it happens: ") || !strings.Contains(item.Cure, "fs.inotify.max_user_watches") {
			t.Errorf("told: %s", item)
		}
		eventually(t, "all is there", r.equal)
		for name := range files {
			edit(t, r.local, name, "edited, and most of that is told by no event")
		}
		eventually(t, "all edits arrive", r.equal)
		for name, text := range map[string]string{"0/sub/a": "edited", "29/sub/new": "new", "29/sub/deep/new": "in a new folder"} {
			edit(t, r.local, name, text)
		}
		for _, gone := range []string{"1", "28"} {
			if err := os.RemoveAll(filepath.Join(r.local, gone)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(filepath.Join(r.local, "2"), filepath.Join(r.local, "27", "moved")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the changes arrive", r.equal)
		if err := os.WriteFile("/proc/sys/user/max_inotify_watches", []byte("1000"), 0); err != nil {
			t.Fatal(err)
		}
		box.waitFor(t, alert.Watch, "problem", "recovered")
		overview, err := a.Status(t.Context(), control.StatusFilter{})
		if err != nil || overview.Syncs[0].Watch.State != control.WatchWorks || len(overview.Problems) > 0 {
			t.Errorf("when there are enough watches: %+v, %v", overview, err)
		}
	})
	r.mustBeInStep("afterwards")
}

// edit writes a file and touches nothing else: where a folder has no watch, the one above it would tell of a change of its mode.
func edit(t *testing.T, root, rel, text string) {
	t.Helper()
	full := filepath.Join(root, rel)
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
