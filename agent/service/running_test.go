package service

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatSystemdShows(t *testing.T) {
	t.Parallel()
	const loaded = "LoadState=loaded\n"
	for _, row := range []struct {
		sentence, shown string
		running         bool
		reason          string
		err             error
	}{
		{"it runs", loaded + "ActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n", true, "", nil},
		{"it runs again", loaded + "ActiveState=active\nSubState=running\nResult=success\nNRestarts=3\n", true, "times: 3", nil},
		{"it reads its configuration again", loaded + "ActiveState=reloading\nSubState=reload\n", true, "", nil},
		{"it is not ready yet", loaded + "ActiveState=activating\nSubState=start\n", true, "it is starting", nil},
		{"transfers come to their end", loaded + "ActiveState=deactivating\nSubState=stop-sigterm\n", true, "it is stopping", nil},
		{"it was stopped", loaded + "ActiveState=inactive\nSubState=dead\nResult=success\n", false, "", nil},
		{"it was killed and waits to be started anew", loaded + "ActiveState=activating\nSubState=auto-restart\nResult=signal\nExecMainStatus=9\n", false,
			"(signal, exit code 9): see journalctl -u ftpferry; systemd is about to start it anew", nil},
		{"its configuration is wrong", loaded + "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78\n", false, "(exit-code, exit code 78)", nil},
		{"there is none", "LoadState=not-found\nActiveState=inactive\nSubState=dead\n", false, "", ErrNotInstalled},
		{"it was removed while it runs", "LoadState=not-found\nActiveState=active\nSubState=running\n", false, "", ErrNotInstalled},
		{"somebody has forbidden it", "LoadState=masked\nActiveState=inactive\nSubState=dead\n", false, "its unit is masked", nil},
	} {
		running, reason, err := standingOf(row.shown)
		if running != row.running || !errors.Is(err, row.err) || !strings.Contains(reason, row.reason) || (reason == "") != (row.reason == "") {
			t.Errorf("%s: %t, %q, %v", row.sentence, running, reason, err)
		}
	}
}
