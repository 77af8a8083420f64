package ftpclient_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestReceiveFile downloads one MiB into files that can be spliced to, and into some that cannot.
func TestReceiveFile(t *testing.T) {
	const cutShort = "a connection that is cut is no fault of the file"
	large := strings.Repeat("0123456789abcdef", 1<<16)
	temp := func(flags int) func(t *testing.T) *os.File {
		return func(t *testing.T) *os.File {
			file, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), flags|os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			return file
		}
	}
	whole := steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: large, End: ftptest.Close}}, {Send: "226 done"}}
	begun, received := make(chan struct{}), make(chan struct{})
	cut := steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: large[:1<<19]}},
		{Hold: begun, Data: &ftptest.Data{End: ftptest.Reset}}, {Hold: received, Send: "426 gone"}}
	tests := []struct {
		name   string
		file   func(t *testing.T) *os.File
		script steps
		limit  int64
		stop   bool  // what has come is enough
		ofFile error // nil: the error, if there is one, is not of the file
		fails  bool
	}{
		{name: "by splice", file: temp(0), script: whole, limit: 1<<20 + 1},
		{name: "a file that is appended to knows no splice", file: temp(os.O_APPEND), script: whole, limit: 1<<20 + 1},
		{name: "no byte more than the limit", file: temp(0), limit: 1 << 19, stop: true,
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: large}}}.then(aborted...)},
		{name: cutShort, file: temp(0), script: cut, limit: 1<<20 + 1, fails: true},
		{name: "a full disk is", limit: 1<<20 + 1, fails: true, ofFile: syscall.ENOSPC,
			script: steps{passive, {Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: large}}}.then(aborted...),
			file: func(t *testing.T) *os.File {
				file, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { file.Close() })
				return file
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, _ := connect(t, session("", test.script))
			transfer, err := conn.Retrieve(t.Context(), "/f", 0)
			if err != nil {
				t.Fatal(err)
			}
			file := test.file(t)
			if test.name == cutShort {
				close(begun)
			}
			n, err := transfer.ReceiveFile(file, test.limit)
			if test.name == cutShort {
				close(received)
			}
			var ofFile *fs.PathError
			switch {
			case (err != nil) != test.fails:
				t.Errorf("%d, %v", n, err)
			case test.fails && (test.ofFile != nil) != errors.As(err, &ofFile), test.ofFile != nil && !errors.Is(err, test.ofFile):
				t.Errorf("of the file: %v", err)
			}
			if test.fails {
				if _, err := transfer.Finish(t.Context()); err == nil {
					t.Error("Finish says that all is well")
				}
				return
			}
			finish := transfer.Finish
			if test.stop {
				finish = transfer.Stop
			}
			result, err := finish(t.Context())
			if err != nil || result.Bytes != n || n != min(test.limit, 1<<20) {
				t.Errorf("%d: %+v, %v", n, result, err)
			}
			got, err := os.ReadFile(file.Name())
			if err != nil || string(got) != large[:n] {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
