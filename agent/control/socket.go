//go:build unix

package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
)

// ways: a socket has the rights of a file, so that nothing secret is needed.
var ways = []way{{"socket", listenSocket, socketTransport}, loopback}

// maxSocketPath is what every system takes as the path of a Unix socket.
const maxSocketPath = 100

// socketPath is where the agent with this state folder listens. A path that would be too long
// for a socket is replaced by one in the system's folder for temporary files.
func socketPath(stateDir string) string {
	path := filepath.Join(stateDir, "control.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(os.TempDir(), fmt.Sprintf("ftpferry-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8])), "control.sock")
}

func listenSocket(stateDir string) (*Listener, error) {
	path := socketPath(stateDir)
	if err := checkFallback(path, stateDir); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Listener{Listener: listener}, nil
}

func socketTransport(stateDir string) (http.RoundTripper, error) {
	path := socketPath(stateDir)
	if err := checkFallback(path, stateDir); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialPatience}
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
	}, nil
}

// checkFallback makes sure that nobody else can stand at the socket outside the state folder.
func checkFallback(path, stateDir string) error {
	if filepath.Dir(path) == filepath.Clean(stateDir) {
		return nil
	}
	return privateDir(filepath.Dir(path))
}

// privateDir makes a folder that nobody else may enter, and refuses one that somebody else
// may have prepared.
func privateDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	isOurs := ok && int(stat.Uid) == os.Geteuid()
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !isOurs {
		return fmt.Errorf("control socket: %s is not this user's alone", path)
	}
	return nil
}
