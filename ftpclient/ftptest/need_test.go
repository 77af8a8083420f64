package ftptest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// verdict notes how a test would have ended.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Helper() {}

func (v *verdict) Fatalf(format string, args ...any) {
	v.said = "fatal: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (v *verdict) Skipf(format string, args ...any) {
	v.said = "skip: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestMissingNeedsAreSkipsUnlessRequired(t *testing.T) {
	tests := []struct{ required, want string }{
		{"", "skip"}, {"all", "fatal"}, {"vsftpd", "fatal"}, {"strace,vsftpd", "fatal"}, {"strace", "skip"},
		{"vsftpd-2", "skip"},
	}
	for _, test := range tests {
		t.Run("FTPFERRY_REQUIRE="+test.required, func(t *testing.T) {
			v := &verdict{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				missing(v, "vsftpd", errors.New("not found"), test.required)
			}()
			<-done
			if want := test.want + ": need vsftpd: not found"; v.said != want {
				t.Errorf("got %q, want %q", v.said, want)
			}
		})
	}
}

func TestUnpackedServersAreFoundWithTheirLibraries(t *testing.T) {
	Need(t, "sh") // for its mode bits
	folder := t.TempDir()
	t.Setenv(ServersVariable, folder)
	binary := filepath.Join(folder, "example", "usr", "sbin", "example")
	libraries := filepath.Join(folder, "example", "usr", "lib", "x86_64-linux-gnu")
	for _, path := range []string{filepath.Dir(binary), libraries} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := findProgram("example"); err == nil || !strings.Contains(err.Error(), `"bash .ci/run deps" fetches it`) {
		t.Errorf("before it is there: got %v", err)
	}
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := findProgram("example")
	if want := (program{path: binary, libraries: libraries}); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
