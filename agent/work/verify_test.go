package work

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestVerification alters a byte of what was sent, at the moment when the server is asked for it: size, hash and content have
// to tell what they can.
func TestVerification(t *testing.T) {
	content := noise(300_000, 4)
	for name, o := range map[string]ftptest.RealOptions{
		"vsftpd": {}, "pure-ftpd": {}, "pyftpdlib": {}, "proftpd": {Modules: []string{"digest"}},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, o, func(t *testing.T, first *bench) {
				hashed := "size (no hash offered)"
				if name == "proftpd" {
					hashed = "sha-512"
				}
				for _, row := range []struct {
					verify Verify
					want   string
					finds  bool
				}{{VerifySize, "size", false}, {"", "size", false}, {VerifyHash, hashed, name == "proftpd"}, {VerifyReread, "reread", true}} {
					b := first.again(t)
					b.sync.Verify = row.verify
					b.write("a.bin", content)
					if o := b.mustUpload("a.bin", 1); o.Verified != row.want {
						t.Errorf("%q: verified by %q, want %q", row.verify, o.Verified, row.want)
					}
					if !row.finds {
						continue
					}
					b.write("a.bin", content+"!")
					b.mu.Lock()
					b.hear = func(command string) {
						if verb, _, _ := strings.Cut(command, " "); verb == "HASH" || strings.HasPrefix(verb, "XSHA") || verb == "RETR" {
							spoil(t, b.remote)
							b.hear = nil
						}
					}
					b.mu.Unlock()
					if o := b.upload(t.Context(), "a.bin", 1); o.Result != Failed || !errors.Is(o.Err, errContent) {
						t.Errorf("%q: %v (%v)", row.verify, o.Result, o.Err)
					}
					holds(t, b.remote, map[string]string{"a.bin": content})
					b.mustUpload("a.bin", 2)
					holds(t, b.remote, map[string]string{"a.bin": content + "!"})
				}
			}, name)
		})
	}
}

// spoil alters the last byte of the temporary files in a folder.
func spoil(t *testing.T, folder string) {
	found, err := filepath.Glob(filepath.Join(folder, ".*.ftpferry-*"))
	if err != nil || len(found) != 1 {
		t.Errorf("temporary files: %q (%v)", found, err)
		return
	}
	text, err := os.ReadFile(found[0])
	if err == nil {
		text[len(text)-1]++
		err = os.WriteFile(found[0], text, 0o666)
	}
	if err == nil { // ProFTPD remembers the hashes of what it has received as long as the time stays
		err = os.Chtimes(found[0], stamped, stamped)
	}
	if err != nil {
		t.Error(err)
	}
}
