package scan

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/agent/plan"
)

func newLocal(t *testing.T) (Local, string) {
	t.Helper()
	return newLocalIn(t, t.TempDir())
}

// TestWhoHasAFileOpen uses real files, on whatever disk the tests have: one without leases tells nothing.
func TestWhoHasAFileOpen(t *testing.T) {
	for sentence, row := range map[string]struct {
		open func(t *testing.T, path string) (closing func())
		want bool
	}{
		"nobody": {func(*testing.T, string) func() { return func() {} }, false},
		"somebody reads": {func(t *testing.T, path string) func() {
			file, err := os.Open(path)
			return done(t, file, err)
		}, false},
		"somebody writes": {func(t *testing.T, path string) func() {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			return done(t, file, err)
		}, true},
		"somebody writes under another name of it": {func(t *testing.T, path string) func() {
			if err := os.Link(path, path+".link"); err != nil {
				t.Fatal(err)
			}
			file, err := os.OpenFile(path+".link", os.O_RDWR, 0)
			return done(t, file, err)
		}, true},
		"somebody has mapped it, and closed it": {func(t *testing.T, path string) func() { return mapped(t, path, unix.MAP_SHARED) }, true},
		"what somebody has mapped is read":      {func(t *testing.T, path string) func() { return mapped(t, path, unix.MAP_PRIVATE) }, false},
		"another process writes": {func(t *testing.T, path string) func() {
			// It says that it has opened the file, and closes it when its input ends.
			writer := exec.Command("sh", "-c", `exec 3>>"$1"; echo open; read line`, "sh", path)
			input, _ := writer.StdinPipe()
			output, _ := writer.StdoutPipe()
			if err := writer.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(output, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			return func() {
				input.Close()
				writer.Wait()
			}
		}, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			local, path := newLocal(t)
			if err := os.WriteFile(path, make([]byte, 8192), 0o600); err != nil {
				t.Fatal(err)
			}
			closing := row.open(t, path)
			if got := local.IsWritten("a"); got != row.want {
				t.Errorf("open for writing: %v, want %v", got, row.want)
			}
			closing()
			if local.IsWritten("a") {
				t.Error("still open for writing when all was closed")
			}
		})
	}
}

func done(t *testing.T, file *os.File, err error) func() {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return func() { file.Close() }
}

// mapped maps a file into memory and closes it.
func mapped(t *testing.T, path string, flags int) func() {
	t.Helper()
	mode := os.O_RDWR
	if flags == unix.MAP_PRIVATE {
		mode = os.O_RDONLY
	}
	file, err := os.OpenFile(path, mode, 0)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	return func() { unix.Munmap(memory) }
}

// TestNobodyTellsOfOthersFiles: who does not own a file gets no lease on it, and the file goes as on other systems.
func TestNobodyTellsOfOthersFiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can give a file away; nothing is tested here")
		return
	}
	_, path := newLocal(t)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	writing, err := os.OpenFile(path, os.O_WRONLY, 0)
	defer done(t, writing, err)()
	reading, err := os.Open(path)
	defer done(t, reading, err)()
	ended := make(chan bool)
	go func() { // the thread with other rights ends with the goroutine that does not unlock it
		defer close(ended)
		if err := asOther(); err != nil {
			t.Error(err)
			return
		}
		ended <- Writers(reading)
	}()
	if <-ended {
		t.Error("a file of somebody else is told to be open for writing")
	}
}

func TestWhenAFileWasTouched(t *testing.T) {
	local, path := newLocal(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Minute)
	if at := local.LastTouched("a"); at.Before(before) || at.After(time.Now().Add(time.Minute)) {
		t.Errorf("touched at %v, though its time was set back just now", at)
	}
	if at := local.LastTouched("b"); !at.IsZero() {
		t.Errorf("what is not there was touched at %v", at)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if at, stat := touched(info), info.Sys().(*syscall.Stat_t); !at.Equal(time.Unix(stat.Ctim.Unix())) {
		t.Errorf("touched at %v", at)
	}
}

// asOther makes this thread somebody who owns nothing and may do nothing special. Only the raw call changes one thread.
func asOther() error {
	runtime.LockOSThread()
	if _, _, err := unix.RawSyscall(unix.SYS_SETRESUID, 23456, 23456, 23456); err != 0 {
		return err
	}
	return nil
}

// TestAFileThatSomebodyHasOpenIsHeld by a look at it. A scan of all leaves that to the jobs, and files that only ever grow are never
// held, nor any without a settle time.
func TestAFileThatSomebodyHasOpenIsHeld(t *testing.T) {
	for sentence, row := range map[string]struct {
		settling Settling
		paths    []string
		held     bool
	}{
		"a look":                               {Settling{Quiet: time.Second}, []string{"a"}, true},
		"a scan of all":                        {Settling{Quiet: time.Second}, nil, false},
		"nothing is waited for":                {Settling{}, []string{"a"}, false},
		"the file is one that only ever grows": {Settling{Quiet: time.Second, Grows: func(rel string) bool { return rel == "a" }}, []string{"a"}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := newRig(t, plan.Up)
			r.change = func(request *Request) { request.Settling = row.settling }
			file, err := os.Create(filepath.Join(r.local, "a"))
			defer done(t, file, err)()
			found := r.scan(row.paths...).Plan
			if row.held {
				want := plan.Note{Path: "a", Held: true, Again: true, Text: Written}
				if len(found.Notes) == 1 {
					want.Local, want.Remote = found.Notes[0].Local, found.Notes[0].Remote
				}
				if len(found.Notes) != 1 || found.Notes[0] != want || hasUpload(found.Ops) {
					t.Errorf("%+v", found)
				}
				return
			}
			if len(found.Notes) != 0 || !hasUpload(found.Ops) {
				t.Errorf("%+v", found)
			}
		})
	}
}

func hasUpload(ops []plan.Op) bool {
	return slices.ContainsFunc(ops, func(op plan.Op) bool { return op.Action == plan.Upload })
}
