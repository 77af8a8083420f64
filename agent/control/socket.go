package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// maxSocketPath is what every system takes as the path of a Unix socket.
const maxSocketPath = 100

// SocketPath is where the agent with this state folder listens. A path that would be too long
// for a socket is replaced by one in the system's folder for temporary files.
func SocketPath(stateDir string) string {
	path := filepath.Join(stateDir, "control.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(os.TempDir(), fmt.Sprintf("ftpferry-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8])), "control.sock")
}

// Listen opens the socket of an agent that holds the lock of its state: whatever is left of
// an earlier one is removed. Only the agent's user can connect.
func Listen(stateDir string) (net.Listener, error) {
	path := SocketPath(stateDir)
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
	return listener, nil
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
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !isOurs(info) {
		return fmt.Errorf("control socket: %s is not this user's alone", path)
	}
	return nil
}

// dialPatience is long for a socket on the same machine.
const dialPatience = 3 * time.Second
