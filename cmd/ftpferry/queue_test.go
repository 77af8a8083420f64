package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/state"
)

// TestALocalPathChoosesInItsSync, as far as that is one.
func TestALocalPathChoosesInItsSync(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	at := func(rel string) string { return filepath.Join(base, filepath.FromSlash(rel)) }
	cfg := &config.Config{Syncs: map[string]*config.Sync{
		"web": {Name: "web", Local: at("web")}, "logs": {Name: "logs", Local: at("web/logs")},
		"set/a": {Name: "set/a", Family: "set", Local: at("a")}, "set/b": {Name: "set/b", Family: "set", Local: at("b")},
	}}
	for sentence, row := range map[string]struct{ sync, pattern, wantSync, wantPattern, fails string }{
		"a pattern":                          {"", "*.csv", "", "*.csv", ""},
		"a path in one sync":                 {"", at("web/x/y"), "web", "/x/y", ""},
		"a pattern in one sync":              {"", at("web/x/*.csv"), "web", "/x/*.csv", ""},
		"the folder itself":                  {"", at("web"), "web", "", ""},
		"a path in a sync of a family":       {"set", at("b/x"), "set/b", "/x", ""},
		"a path in two syncs":                {"", at("web/logs/x"), "", "", `["logs" "web"]`},
		"a path in two, and one is named":    {"web", at("web/logs/x"), "web", "/logs/x", ""},
		"a path beside":                      {"", at("webs/x"), "", at("webs/x"), ""},
		"one that begins at the sync's root": {"web", "/x", "web", "/x", ""},
		"a path in another than is named":    {"logs", at("a/x"), "logs", at("a/x"), ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			sync, pattern, err := localPattern(cfg, row.sync, state.Text(row.pattern))
			switch {
			case row.fails != "":
				if err == nil || !strings.Contains(err.Error(), row.fails) {
					t.Errorf("error %v, want %s", err, row.fails)
				}
			case err != nil || sync != row.wantSync || string(pattern) != row.wantPattern:
				t.Errorf("%q, %q, %v; want %q, %q", sync, pattern, err, row.wantSync, row.wantPattern)
			}
		})
	}
}
