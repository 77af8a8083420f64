package state

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// holderVariable makes the test binary a second process that holds a state file open.
const holderVariable = "FTPFERRY_TEST_HOLD_STATE"

// compactVariable makes it one that opens a state file, compacts it, and kills itself before the step in stepVariable.
const (
	compactVariable = "FTPFERRY_TEST_COMPACT_STATE"
	stepVariable    = "FTPFERRY_TEST_STEP"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(compactVariable); path != "" {
		os.Exit(compactAndDie(path, os.Getenv(stepVariable)))
	}
	if path := os.Getenv(holderVariable); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

// hold opens the file, says so, and keeps it until its standard input ends.
func hold(path string) int {
	db, err := Open(path, Options{AllowNetworkFilesystem: true})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	if err := db.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func compactAndDie(path, step string) int {
	_, err := Open(path, Options{AllowNetworkFilesystem: true, compactFrom: 1, step: func(name string) {
		if name != step {
			return
		}
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		fmt.Println(err)
		select {} // until the signal is there
	}})
	fmt.Println("still alive:", err)
	return 1
}

func openFile(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path, Options{AllowNetworkFilesystem: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openNew(t *testing.T) *DB {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "agent.db"))
}

func update(t *testing.T, db *DB, fn func(*Tx) error) {
	t.Helper()
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, db *DB, fn func(*Tx) error) {
	t.Helper()
	if err := db.View(fn); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error = %v, want %q in it", err, part)
		}
	}
}
