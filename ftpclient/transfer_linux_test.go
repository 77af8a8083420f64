package ftpclient_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestADiskThatIsFullIsToldAsSuch downloads to a device that is always full, which knows no splice.
func TestADiskThatIsFullIsToldAsSuch(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	row{name: "without a word of the server",
		script: steps{{Expect: "RETR /f", Send: "150 go"}, {Data: &ftptest.Data{Send: large[:1000]}}}.then(aborted...),
		want:   outcome{is: syscall.ENOSPC, class: ftpclient.ClassUnknown}}.run(t, func(conn *ftpclient.Conn) error {
		file, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		transfer, err := conn.Retrieve(t.Context(), "/f", 0)
		if err != nil {
			return err
		}
		if n, err := transfer.WriteTo(file); n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d, %v", n, err)
		}
		_, err = transfer.Finish(t.Context())
		return err
	})
}

// TestAFileThatChangesItsSizeWhileItIsSent counts what was sent, whatever the file was before.
func TestAFileThatChangesItsSizeWhileItIsSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, server := connect(t, session("", steps{passive, {Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 100}},
		{Call: func() { os.Truncate(path, 10<<20) }, Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}, {Send: "226 done"}}))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	result, err := put(t.Context(), conn, "/f", file)
	if err != nil || result.Bytes != int64(len(server.Received())) || result.Bytes < 1<<20 {
		t.Errorf("%d bytes arrived: %+v, %v", len(server.Received()), result, err)
	}
}
