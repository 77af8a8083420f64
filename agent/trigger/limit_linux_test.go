package trigger

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// limited tells the test binary that it runs in a user namespace of its own, which has limits of its own.
const limited = "FTPFERRY_TEST_LIMITED"

// TestWatchBeyondTheLimitsOfTheSystem has the kernel refuse watches, and then a watcher. What is beyond is polled, with the cure told;
// when the limit is raised, all is watched again. No change is missed at any time.
func TestWatchBeyondTheLimitsOfTheSystem(t *testing.T) {
	if os.Getenv(limited) == "" {
		ftptest.Need(t, "namespaces")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "2m")
		command.Env = append(os.Environ(), limited+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
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
	t.Run("watches", func(t *testing.T) {
		r := limitedWatch(t, "watches", 20, HealthDegraded, "limit of watches is reached", "fs.inotify.max_user_watches")
		r.limit("watches", 1000)
		r.covered(r.changed())
		r.healthy(HealthWatching)
		for _, folder := range []string{"", "0", "49", "49/sub"} {
			r.watched(folder)
		}
	})
	t.Run("watchers", func(t *testing.T) {
		r := limitedWatch(t, "instances", 0, HealthPolling, syscall.EMFILE.Error(), "fs.inotify.max_user_instances")
		r.limit("instances", 100)
		r.covered(r.changed())
		r.healthy(HealthWatching)
		r.watched("49/sub")
	})
}

type limitedRig struct {
	*recorder
	made int

	mu   sync.Mutex // guards told
	told Health
}

func (r *limitedRig) limit(what string, n int) {
	r.t.Helper()
	r.must(os.WriteFile("/proc/sys/user/max_inotify_"+what, fmt.Append(nil, n), 0))
}

// limitedWatch runs a Watch of 101 folders with such a limit, which is raised in the end.
func limitedWatch(t *testing.T, what string, n int, state HealthState, reason, cure string) *limitedRig {
	r := &limitedRig{}
	w := Watch{Root: t.TempDir(), Poll: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Health: func(h Health) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = h
	}}
	for i := range 50 {
		if err := os.MkdirAll(fmt.Sprintf("%s/%d/sub", w.Root, i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	(&limitedRig{recorder: &recorder{t: t}}).limit(what, n)
	r.recorder = record(t, w)
	t.Cleanup(func() { r.limit(what, 1000) })
	r.healthy(state)
	if h := r.health(); !strings.Contains(h.Reason, reason) || !strings.Contains(h.Cure, cure) || h.Every != w.Poll {
		t.Errorf("health: %+v", h)
	}
	for range 3 {
		r.covered(r.changed())
	}
	return r
}

func (r *limitedRig) health() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

func (r *limitedRig) healthy(state HealthState) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); r.health().State != state; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not %s, only %+v", state, r.health())
		}
	}
}

// changed makes a file in the last folder, about which nothing was told before.
func (r *limitedRig) changed() (rel string) {
	r.forget()
	r.made++
	rel = fmt.Sprintf("49/sub/file %d", r.made)
	r.write(rel)
	return rel
}
