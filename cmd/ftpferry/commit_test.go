package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAFailedCommitEndsTheProcess has the n-th flush of the state fail, as a broken disk does.
// Nobody knows then what is true: the program must end with an error, and the next start must
// go on without harm.
func TestAFailedCommitEndsTheProcess(t *testing.T) {
	ftptest.Need(t, "strace")
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	failures := 0
	for n := 4; n <= 16; n += 3 {
		dir := t.TempDir()
		folder := fmt.Sprintf("n%d", n)
		remote := filepath.Join(server.Root, folder)
		if err := os.MkdirAll(remote, 0o777); err != nil {
			t.Fatal(err)
		}
		local := filepath.Join(dir, "local")
		for i := range 5 {
			path := filepath.Join(local, fmt.Sprintf("folder/file %d", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, path, strings.Repeat("content", i))
		}
		config := filepath.Join(dir, "agent.toml")
		write(t, config, fmt.Sprintf(configuration, server.Addr, server.User, `tls = "none"`, "/"+folder, "up", true))
		environment := append(os.Environ(), asProgram+"=1", "FERRY_PASSWORD="+server.Password)

		broken := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=fdatasync",
			"-e", fmt.Sprintf("inject=fdatasync:error=EIO:when=%d+", n), self, "-c", config, "once")
		broken.Env = environment
		out, err := broken.CombinedOutput()
		if err != nil {
			failures++
			if code := broken.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "input/output error") {
				t.Errorf("flush %d fails: exit code %d, want 1 and the reason:\n%s", n, code, out)
			}
		}
		again := exec.Command(self, "-c", config, "once")
		again.Env = environment
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("the start after flush %d failed: %v\n%s", n, err, out)
		}
		if diff := cmp.Diff(hashes(t, local), hashes(t, remote)); diff != "" {
			t.Errorf("after flush %d failed: local (-) and remote (+) differ:\n%s", n, diff)
		}
	}
	if failures == 0 {
		t.Error("no flush failed: the test shows nothing")
	}
}
