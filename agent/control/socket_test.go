//go:build unix

package control

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketIsPrivate(t *testing.T) {
	dir := t.TempDir()
	serve(t, ways[0], dir, fake{})
	info, err := os.Stat(socketPath(dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket: %v, %v; want 0600", info.Mode(), err)
	}
}

func TestSocketOfALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := socketPath(dir)
	if len(path) > maxSocketPath || filepath.Dir(path) == dir {
		t.Fatalf("SocketPath: %d bytes, %s", len(path), path)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(path)) })
	serve(t, ways[0], dir, fake{})
	if _, err := Dial(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

func TestASocketLeftBehindIsReplaced(t *testing.T) {
	dir := t.TempDir()
	first, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	first.Listener.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	first.Close()
	serve(t, ways[0], dir, fake{})
	if _, err := Dial(t.Context(), dir); err != nil {
		t.Error(err)
	}
}
