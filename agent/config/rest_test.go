package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWhatIsLeftOfAConfigurationWithErrors is what people can be told by.
func TestWhatIsLeftOfAConfigurationWithErrors(t *testing.T) {
	t.Parallel()
	const alerts = "[alert.good]\ncommand = [\"tell\"]\n[alert.bad]\nwebhook = { url = \"nowhere\" }\n[alert.far]\ncommand = [\"tell\"]\nservers = [\"acme\"]\n"
	for sentence, row := range map[string]struct {
		text   string
		alerts string
		dir    bool
	}{
		"errors elsewhere leave alerts": {
			"[agent]\nstate_dir = \"state\"\nheartbeat = { url = \"https://h/1\" }\nlisten = \"x\"\n[sync.web]\nup = true\n" + alerts, "far good", true},
		"those that are wrong themselves are not left": {
			"[agent]\nstate_dir = 5\nheartbeat = { url = \"ftp://h\" }\n" + alerts, "far good", false},
		"an error of syntax takes its line":                           {"[agent]\nstate_dir = \"state\"\n[server.acme]\naddress = \"x\n" + alerts, "far good", true},
		"a state folder whose line is no TOML is not the default one": {"[agent]\nstate_dir = \"state\n" + alerts, "far good", false},
		"one under a wrong name is not the default one":               {"[agent]\nstate_dri = \"state\"\n" + alerts, "far good", false},
		"one in a table that is there twice is not the default one":   {"[agent]\nreload = \"auto\"\n[agent]\nstate_dir = \"state\"\n" + alerts, "far good", false},
		"of what is no TOML nothing is left":                          {"\x00\x01\x02\n\x03\n\x04\n\x05\n\x06\n", "", false},
	} {
		path := filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		env := func(string) string { return "" }
		if _, err := Load(path, env); err == nil {
			t.Errorf("%s: there are none", sentence)
		}
		rest := LoadRest(path, env)
		if looked := LoadRestWithoutSecrets(path, env); looked.Agent.StateDir != rest.Agent.StateDir || !looked.WithoutSecrets {
			t.Errorf("%s: without secrets the state folder is %q", sentence, looked.Agent.StateDir)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(rest.Alerts)), " "); got != row.alerts {
			t.Errorf("%s: alerts %q, want %q", sentence, got, row.alerts)
		}
		if dir := rest.Agent.StateDir; !row.dir && dir != "" || (dir == filepath.Join(filepath.Dir(path), "state")) != row.dir {
			t.Errorf("%s: state folder %q", sentence, dir)
		}
	}
	if rest := LoadRest(filepath.Join(t.TempDir(), "none.toml"), os.Getenv); len(rest.Alerts) > 0 {
		t.Errorf("of a file that is not there: %v", rest.Alerts)
	}
}
