//go:build unix

package control

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestADoorOfSomebodyElse, in a folder in which everybody may make files, is not gone through.
func TestADoorOfSomebodyElse(t *testing.T) {
	t.Parallel()
	ftptest.Need(t, "root")
	dir, _ := opened(t)
	const somebody = 1234
	if err := os.Chown(doorPath(dir), somebody, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t.Context(), loopback, dir); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("%v, want ErrNotRunning", err)
	}
	if err := os.Chown(dir, somebody, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t.Context(), loopback, dir); err != nil {
		t.Errorf("root asks the agent of another user: %v", err)
	}
}
