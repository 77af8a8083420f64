package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestABackupThatFindsNoRoom is for a person, who picks another place, and leaves nothing behind.
func TestABackupThatFindsNoRoom(t *testing.T) {
	dir := t.TempDir()
	full := ftptest.Tmpfs(t, 16<<10, false)
	db, err := state.Open(filepath.Join(dir, "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(config, []byte("[agent]\nstate_dir = \".\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run([]string{"-c", config, "state", "backup", filepath.Join(full, "copy")}, func(string) string { return "" }, &stdout, &stderr)
	if code != 1 || !bytes.Contains(stderr.Bytes(), []byte("no space left on device")) {
		t.Errorf("exit code %d, want 1: %s%s", code, stdout.String(), stderr.String())
	}
	if left, err := os.ReadDir(full); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
