package config

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestNobodyWaitsForAConfiguration any more: no program is asked for a secret, nor the keyring.
func TestNobodyWaitsForAConfiguration(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tree(t, map[string]string{"agent.toml": strings.Replace(minimal, "[sync.web]", "user = \"u\"\npassword = { command = ['"+self+"', '-test.run', 'none'] }\n[sync.web]", 1)})
	ctx, stop := context.WithCancel(t.Context())
	env := environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere"})
	if _, err := LoadUntil(ctx, "agent.toml", env); err != nil && strings.Contains(err.Error(), "is not waited for") {
		t.Errorf("somebody waits: %v", err)
	}
	stop()
	if _, err := LoadUntil(ctx, "agent.toml", env); err == nil || !strings.Contains(err.Error(), "is not waited for") {
		t.Errorf("nobody waits: %v", err)
	}
}
