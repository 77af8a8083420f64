package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledBackupsAreCleanedUp: what one that was killed has left goes, what another writes now and what is not ours stays.
func TestKilledBackupsAreCleanedUp(t *testing.T) {
	folder := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{
		".ftpferry-backup-1/backup.7.partial": time.Hour,
		".ftpferry-backup-2/backup":           time.Minute,
		"mine/backup":                         time.Hour,
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{path, filepath.Dir(path)} {
			if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
	}
	removeAbandoned(folder, now)
	for name, stays := range map[string]bool{".ftpferry-backup-1": false, ".ftpferry-backup-2": true, "mine": true} {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != stays {
			t.Errorf("%s: %v, stays: %v", name, err, stays)
		}
	}
}
