package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(document)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(text), minimal, optionsFile, strings.ReplaceAll(optionsFile, "web", "drop"), "\ufeffa = 1", "[[a]]\nb = [{ c = 1 }, { c = 2 }]\n", "a.\"b\\u0041\".'c' = \"\"\"x\n\"\"\"\"\"\n", "[a", "a = {",
		"[sync.a.b]\n[sync.\"\"]\n[sync]\nc = { d = [[1], ['''\n''']] }", "[server.a]\npassword = { command = [1] }\naddress = \"[::1]:x\"",
		"[server.a]\naddress = \"h\"\nproxy = \"socks5://u:%40@[::1%25x]\"\ntls_pin = [\"sha256//x\", \"00:11\"]\nencoding = \"big5\"\n",
		"[agent]\naddress_sources = { stun = [\"h\"], https = [\"https://h:1/?a\"] }\n[server.a]\naddress = \"h\"\n" +
			"data = { active_ports = \"50000-50001\", announced_ports = \"51000-51001\", data_peer = [\"192.0.2.0/24\", \"::1\"] }\n",
	} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "agent.toml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(path, environment(map[string]string{"A": "value"}))
		lines := strings.Count(text, "\n") + 1
		if err == nil {
			checkConfig(t, cfg, lines)
			return
		}
		problems, ok := errors.AsType[*Error](err)
		if !ok || len(problems.Problems) == 0 || cfg != nil {
			t.Fatalf("config %v with error %#v", cfg, err)
		}
		checkLines(t, problems.Problems, lines)
	})
}

func checkConfig(t *testing.T, cfg *Config, lines int) {
	t.Helper()
	checkLines(t, cfg.Warnings, lines)
	for name, sync := range cfg.Syncs {
		checkOptions(t, sync)
		if cfg.Servers[sync.Server] == nil || sync.Name != name || !filepath.IsAbs(sync.Local) || sync.Remote == "" ||
			sync.Direction != Up && sync.Direction != Down && sync.Direction != Both || len(sync.Include) == 0 || sync.Settle < 0 {
			t.Errorf("sync %q is not valid: %+v", name, sync)
		}
	}
	for name, server := range cfg.Servers {
		active, announced := server.Data.ActivePorts, server.Data.AnnouncedPorts
		if announced != (PortRange{}) && (announced.First < leastActivePort || announced.Last-announced.First != active.Last-active.First) {
			t.Errorf("server %q has ports %v for %v", name, announced, active)
		}
		if server.Name != name || server.Connections < 1 || server.Connections > maxConnections || server.ReplyTimeout <= 0 ||
			server.CommandLimit < leastCommandLimit || server.CommandLimit > mostCommandLimit || len(server.TLSPins) > 0 && !server.TLSVerify ||
			server.Proxy.Reveal() != "" && (server.ProxyURL().Port() == "" || server.Data.Mode == DataActive) ||
			hasControl(server.User+server.Password.Reveal()+server.Account.Reveal()+server.Address+server.VirtualHost+server.Encoding) {
			t.Errorf("server %q is not valid: %+v", name, server)
		}
	}
}

func checkOptions(t *testing.T, s *Sync) {
	t.Helper()
	consumes := s.AfterUpload != After{} || s.AfterDownload != After{}
	if s.Trash != "" && !s.Delete || consumes && s.Delete || !s.RemoteName.IsZero() && (s.Delete || s.Direction != Up) ||
		s.AfterUpload != (After{}) && s.Direction != Up || s.AfterDownload != (After{}) && s.Direction != Down ||
		s.Claim && s.Direction != Down || s.Name != s.Family && (s.Name != s.Family+"@"+s.Server || s.Direction != Up) ||
		s.MinAge < 0 || s.MaxAge < 0 || s.TrashKeep < 0 || s.Hooks.Timeout <= 0 || s.Transfers < 0 || s.Mode != s.Mode.Perm() {
		t.Errorf("sync %q contradicts itself: %+v", s.Name, s)
	}
	for _, folder := range append(s.Hidden, s.TempFolder, s.Trash) {
		if folder != "" && !filepath.IsLocal(folder) || folder == "." {
			t.Errorf("sync %q has a folder %q that is not below its own", s.Name, folder)
		}
	}
}

func checkLines(t *testing.T, problems []Problem, lines int) {
	t.Helper()
	for _, problem := range problems {
		if problem.Line < 0 || problem.Line > lines || problem.Line > 0 && problem.Column < 1 || strings.Contains(problem.String(), "\n") || problem.Text == "" {
			t.Errorf("problem %q of %d lines", problem, lines)
		}
	}
}

// FuzzPositions expects a line for every key that the decoder sees outside of lists.
func FuzzPositions(f *testing.F) {
	for _, seed := range []string{
		minimal, "a.\"b\\u0041\".'c' = \"\"\"x\\\"\"\"\"\"\"\nd = 1", "[ a . b ] # c\n'x' = { y.z = [1, # c\n 2], w = '''\n''' }\n[c]", "a = [[1], [{ b = 2 }]]\nc = 1",
		"\xff\xfea = 1", "\ufeffa = 1", "a = " + strings.Repeat("[", 40), "a" + strings.Repeat(".a", 40) + " = 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text, isUTF8 := withoutMark(text)
		found := findPositions(text, &source{}) // must end for any text
		var tables map[string]any
		if _, err := toml.Decode(text, &tables); err != nil || !isUTF8 || found.tooDeep != nil {
			return
		}
		expectLines(t, found, tables, nil)
	})
}

func expectLines(t *testing.T, found *positions, table map[string]any, at key) {
	t.Helper()
	for name, value := range table {
		if found.locations[at.child(name).id()].line == 0 {
			t.Errorf("%v has no line", at.child(name))
		}
		if inner, ok := value.(map[string]any); ok {
			expectLines(t, found, inner, at.child(name))
		}
	}
}
