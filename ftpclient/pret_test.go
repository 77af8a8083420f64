package ftpclient_test

import (
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestPRET is about drftpd, which wants to hear of a transfer before it opens a port.
func TestPRET(t *testing.T) {
	const wish = "503 You need to use a client supporting PRET (PRE Transfer) to use PASV"
	conn, _ := connect(t, session("", steps{{Expect: "EPSV", Send: wish}}.
		then(talk("PRET RETR /a", "200 OK, planning to use a slave")...).
		then(download("RETR /a", "hello", "226 done")...).
		then(talk("PRET RETR /gone", "550 File not found")...).
		then(talk("PRET RETR /b", "500 PRET not understood")...).
		then(download("RETR /b", "world", "226 done")...)))
	get := func(p string) (string, error) {
		transfer, err := conn.Retrieve(t.Context(), p, 0)
		if err != nil {
			return "", err
		}
		content, _ := io.ReadAll(transfer) // Finish tells the error
		_, err = transfer.Finish(t.Context())
		return string(content), err
	}
	if got, err := get("/a"); err != nil || got != "hello" || !conn.Facts().NeedsPRET {
		t.Errorf("%q, %v, learned %v", got, err, conn.Facts().NeedsPRET)
	}
	var refusal *ftpclient.Error
	if _, err := get("/gone"); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &refusal) || refusal.Command != "PRET" {
		t.Errorf("a file that is not there: %v", err)
	}
	if got, err := get("/b"); err != nil || got != "world" || conn.Facts().NeedsPRET || conn.Facts().EPSVRefused {
		t.Errorf("a server that does not know it any more: %q, %v, %+v", got, err, conn.Facts())
	}
}
