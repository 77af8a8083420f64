package trigger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// withMounts tells the test binary that it runs in a mount namespace of its own.
const withMounts = "FTPFERRY_TEST_MOUNTS"

// TestWatchPollsFUSE from the start, as whoever serves it may change it without the kernel.
func TestWatchPollsFUSE(t *testing.T) {
	if os.Getenv(withMounts) == "" {
		ftptest.Need(t, "namespaces")
		ftptest.Need(t, "fuse")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "5m")
		command.Env = append(os.Environ(), withMounts+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	root := t.TempDir()
	serveFUSE(t, root)
	var mu sync.Mutex
	var told []Health
	record(t, Watch{Root: root, Poll: time.Hour, Canary: ".canary", Health: func(h Health) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, h)
	}})
	mu.Lock()
	defer mu.Unlock()
	for _, h := range told {
		if h.State != HealthPolling || h.Every != time.Hour || !strings.HasPrefix(h.Reason, "FUSE does not tell") {
			t.Errorf("told %+v", h)
		}
	}
	if len(told) == 0 {
		t.Error("nothing was told")
	}
}

// serveFUSE mounts an empty folder that this process serves, by the protocol of fuse(4) and the kernel's include/uapi/linux/fuse.h.
func serveFUSE(t *testing.T, folder string) {
	t.Helper()
	device, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	if err := syscall.Mount("test", folder, "fuse", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		request := make([]byte, 1<<20)
		for {
			n, err := syscall.Read(device, request)
			if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EAGAIN) {
				continue // given up by whoever asked
			}
			if err != nil || n < 40 {
				return // unmounted
			}
			if reply := answerFUSE(binary.NativeEndian.Uint32(request[4:]), binary.NativeEndian.Uint64(request[8:])); reply != nil {
				syscall.Write(device, reply)
			}
		}
	})
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
		serving.Wait()
		syscall.Close(device)
	})
}

// answerFUSE is the reply to a request, nil for those that have none.
func answerFUSE(opcode uint32, unique uint64) []byte {
	const (
		lookup, forget, getattr, statfs, initialize, opendir, readdir, releasedir, interrupt, destroy, batchForget = 1, 2, 3, 17, 26, 27, 28, 29, 36, 38, 42
	)
	var failure syscall.Errno
	var body []byte
	put := func(offset int, value uint32) { binary.NativeEndian.PutUint32(body[offset:], value) }
	switch opcode {
	case forget, interrupt, batchForget:
		return nil
	case initialize:
		body = make([]byte, 64)
		put(0, 7)
		put(4, 31)
		put(20, 64<<10) // the longest write
	case getattr:
		body = make([]byte, 104)
		put(16, 1)                     // inode
		put(76, syscall.S_IFDIR|0o755) // mode
		put(80, 2)                     // links
	case statfs:
		body = make([]byte, 80)
	case opendir:
		body = make([]byte, 16)
	case readdir, releasedir, destroy:
	case lookup:
		failure = syscall.ENOENT
	default:
		failure = syscall.ENOSYS
	}
	header := make([]byte, 16)
	binary.NativeEndian.PutUint32(header, uint32(len(header)+len(body)))
	binary.NativeEndian.PutUint32(header[4:], uint32(-int32(failure)))
	binary.NativeEndian.PutUint64(header[8:], unique)
	return append(header, body...)
}
