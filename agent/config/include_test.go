package config

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tree writes files in a new folder, which becomes the current one.
func tree(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, name, text, 0o600)
	}
}

func loadTree(t *testing.T, files map[string]string) (*Config, error) {
	t.Helper()
	tree(t, files)
	return Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": filepath.Join(t.TempDir(), "state"), "ProgramData": t.TempDir()}))
}

func TestIncludedFilesAddTheirTables(t *testing.T) {
	cfg, err := loadTree(t, map[string]string{
		"agent.toml":           "include = [\"conf.d/*.toml\", \"none.d/*.toml\", \"extra/one.toml\", \"conf.d/b.toml\"]\n[agent]\nshutdown_grace = \"5s\"\n" + server,
		"conf.d/b.toml":        sync("web", "local = \"www\"\nremote = \"r\"\ndirection = \"down\"\nschedule = \"@daily\"\n"),
		"conf.d/a.toml":        "[agent]\nhistory.rows = 7\n[server.other]\naddress = \"o\"\n",
		"conf.d/.#a.toml":      "what an editor leaves beside a file",
		"conf.d/a.toml~":       "here too",
		"conf.d/sub/deep.toml": "a star stands for no folder",
		"extra/one.toml":       "[server.third]\naddress = \"t\"\npassword = { file = \"secret\" }\n",
		"extra/secret":         "hunter2\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, file := range cfg.Files {
		relative, err := filepath.Rel(here, file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, filepath.ToSlash(relative))
	}
	if want := []string{"agent.toml", "conf.d/a.toml", "conf.d/b.toml", "extra/one.toml"}; !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	if cfg.Agent.History.Rows != 7 || cfg.Agent.ShutdownGrace.Seconds() != 5 || len(cfg.Servers) != 3 || cfg.Servers["third"].Password.Reveal() != "hunter2" {
		t.Errorf("%+v", cfg)
	}
	if want := filepath.Join(here, "conf.d", "www"); cfg.Syncs["web"].Local != want {
		t.Errorf("a path of an included file is %q, want %q", cfg.Syncs["web"].Local, want)
	}
}

func TestAFolderWhoseNameLooksLikeAPattern(t *testing.T) {
	tree(t, map[string]string{"a[b]c/agent.toml": "include = \"*.toml\"\n" + server, "a[b]c/more.toml": sync("web", up)})
	cfg, err := Load(filepath.Join("a[b]c", "agent.toml"), environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere"}))
	if err != nil || cfg.Syncs["web"] == nil {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestProblemsOfIncludes(t *testing.T) {
	for _, c := range []struct {
		sentence string
		files    map[string]string
		want     string
	}{
		{"what stands in two files is told with both places, and all else of all files in one go", map[string]string{
			"agent.toml": "include = \"conf.d/*.toml\"\n[agent]\nlog = { level = \"loud\" }\n" + server + sync("web", up),
			"conf.d/1.toml": "[agent]\n  log.format = \"json\"\n[server.acme]\naddress = \"x\"\ncolour = 1\n" +
				"[server.b]\naddress = \"b\"\nusr = \"u\"\n",
			"conf.d/2.toml": sync("web", up) + "[sync.two]\nserver = \"bc\"\n" + up,
		}, `agent.toml:3:9: agent.log.level: "loud" is not known: write "debug", "info", "warn" or "error"
conf.d/1.toml:2:3: agent.log: defined a second time (first at agent.toml:3:1)
conf.d/1.toml:3:1: server.acme: defined a second time (first at agent.toml:4:1)
conf.d/1.toml:8:1: server.b: unknown key "usr" (did you mean "user"?)
conf.d/2.toml:1:1: sync.web: defined a second time (first at agent.toml:6:1)
conf.d/2.toml:8:1: sync.two.server: there is no [server.bc] (known: acme, b)`},
		{"two included files", map[string]string{
			"agent.toml": "include = [\"b\", \"a\"]\n", "a": server, "b": server,
		}, `a:1:1: server.acme: defined a second time (first at b:1:1)`},
		{"files that are not TOML do not hide those that are", map[string]string{
			"agent.toml": "include = [\"a\", \"b\"]\n[agent]\nlogs = 1\n", "a": "[server.x\n", "b": "[server.y]\naddress = h\nuser = 5\n",
		}, `agent.toml:3:1: agent: unknown key "logs" (did you mean "log"?)
a:1:10: not valid TOML: expected '.' or ']' to end table name, but got '\n' instead
b:2:11: not valid TOML: expected value but found "h" instead
b:3:1: server.y.user: must be a string in quotes, not a whole number`},
		{"names have to exist, and includes do not nest", map[string]string{
			"agent.toml": "include = [\"none.toml\", \"a\", \"\", \"[\", \"~/x\"]\n", "a": "include = \"b\"\n", "b": "",
		}, `agent.toml:1:1: include: "HERE/none.toml" cannot be read: no such file or directory
agent.toml:1:1: include: "~" is not expanded in "~/x": write the whole path (or "./~..." for a name that begins so)
agent.toml:1:1: include: holds an empty name: write files such as "conf.d/*.toml"
agent.toml:1:1: include: the pattern "[" does not work (syntax error in pattern): write one such as "conf.d/*.toml"
a:1:1: include: is for the main file, agent.toml: name all files there`},
		{"the wrong type and the wrong place", map[string]string{"agent.toml": "include = 5\n[agent]\ninclude = \"x\"\n"},
			`agent.toml:1:1: include: must be a string or a list of strings, not a whole number
agent.toml:3:1: agent: unknown key "include" (it stands at the top of the file, above [agent])`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := loadTree(t, c.files)
			if err == nil {
				t.Fatal("no error")
			}
			here, workingErr := os.Getwd()
			if workingErr != nil {
				t.Fatal(workingErr)
			}
			if got := strings.ReplaceAll(err.Error(), here, "HERE"); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestAllProblemsOfOneFileAtOnce(t *testing.T) {
	_, err := load(t, "[agent]\nshutdown_grace = 5\n[server.acme]\naddress = h\nuser = \"é\" oops\n"+
		"[server.acme]\naddress = \"second\"\n[sync.a]\nserver = \"acme\"\nremote = \"é\"\nlocal = \".\"\ndirection = \"up\"\nwatch = true\n"+
		"max_delete = 1\nmax_delete = 2\ntrash = { folder = \"é\", kep = \"1d\" }\n", nil)
	expectProblems(t, err, `agent.toml:2:1: agent.shutdown_grace: 5 has no unit: write "5s" if seconds are meant
agent.toml:4:11: not valid TOML: expected value but found "h" instead
agent.toml:5:11: not valid TOML: expected a top-level item to end with a newline, comment, or EOF, but got 'o' instead
agent.toml:6:1: server.acme: defined a second time (first on line 3)
agent.toml:15:1: sync.a.max_delete: defined a second time (first on line 14)
agent.toml:16:25: sync.a.trash: unknown key "kep" (did you mean "keep"?)`)
}

// TestAFolderThatCannotBeReadIsNotEmpty: else the syncs in there would be gone at the next reload.
func TestAFolderThatCannotBeReadIsNotEmpty(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // not everybody may make links there
	}
	for _, pattern := range []string{"conf.d/*.toml", "*.d/*.toml", "*/sub/x.toml", "conf.d/sub/*.toml", "conf.[d]/x.toml"} {
		tree(t, map[string]string{"agent.toml": "include = \"" + pattern + "\"\n"})
		if err := os.Symlink("conf.d", "conf.d"); err != nil { // a loop: also root cannot look into it
			t.Fatal(err)
		}
		_, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
		if err == nil || !strings.Contains(err.Error(), "agent.toml:1:1: include: ") || !strings.Contains(err.Error(), "cannot be looked for: ") {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestPatternsOfIncludedFiles(t *testing.T) {
	for pattern, want := range map[string][]string{
		"conf.d/*.toml":      {"conf.d/a.toml", "conf.d/b.toml"},
		"./conf.d//*.toml":   {"conf.d/a.toml", "conf.d/b.toml"},
		"conf.d/sub/*.toml":  {"conf.d/sub/c.toml"},
		"conf.d/*/*.toml":    {"conf.d/sub/c.toml"},
		"*/[ab].toml":        {"conf.d/a.toml", "conf.d/b.toml"},
		"*/sub/c.toml":       {"conf.d/sub/c.toml"},
		"*/none.toml":        {},
		"HERE/conf.d/?.toml": {"conf.d/a.toml", "conf.d/b.toml"},
		"HERE/*.d/a.tom?":    {"conf.d/a.toml"},
		"agent.toml/*.toml":  {},
	} {
		tree(t, map[string]string{"conf.d/a.toml": "", "conf.d/b.toml": "", "conf.d/.c.toml": "no", "conf.d/sub/c.toml": "", "conf.d/x": "no"})
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		write(t, "agent.toml", "include = '"+strings.ReplaceAll(pattern, "HERE", here)+"'\n", 0o600)
		cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": here}))
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		got := []string{}
		for _, file := range cfg.Files[1:] {
			relative, err := filepath.Rel(here, file)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(relative))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
	tree(t, map[string]string{"agent.toml": "include = 'conf.d/*.toml'\n"})
	cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere"}))
	if err != nil || len(cfg.Warnings) == 0 || !strings.Contains(cfg.Warnings[len(cfg.Warnings)-1].Text, "there is no folder") {
		t.Errorf("of a folder that is not there: %v, %v", cfg, err)
	}
}
