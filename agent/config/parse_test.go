package config

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const quoted = `stands in quotes; in "..." a backslash is written \\, in '...' it is itself`

// brokenTable: what nobody can read, and what is said about it, with line and column.
var brokenTable = []struct{ sentence, text, want string }{
	{"a secret of alerts without quotes is not repeated",
		"[alert.x.webhook]\nurl = https://chat.example.com/truesecret\nsecret = truesecret\n",
		"agent.toml:2:7: not valid TOML: the url " + quoted + "\nagent.toml:3:10: not valid TOML: the secret " + quoted},
	{"a heartbeat without quotes is not repeated",
		"[agent]\nheartbeat = { url = truesecret }\n",
		"agent.toml:2:21: not valid TOML: the url " + quoted},
	{"a value of a key that nobody knows is not repeated: it may be a password",
		server + "passwd = truesecret\nPassword = truesecret\n# no more\npin = 99999999999999999999\n",
		"agent.toml:3:10: not valid TOML: a text " + quoted + "\nagent.toml:4:12: not valid TOML: a text " + quoted +
			"\nagent.toml:6:7: not valid TOML: a text " + quoted},
	{"nor is one that stands on another line than its key",
		server + "password = { command = [\"x\",\n truesecret] }\n",
		"agent.toml:4:2: not valid TOML: the password " + quoted},
	{"a string without an end is told where it begins, once",
		server + "user = \"\"\"a\nb\n" + "[sync.a]\nserver = \"acme\"\n",
		"agent.toml:3:1: not valid TOML: what begins here has no end: a quote or a bracket is missing"},
	{"UTF-16, little end first", "\xff\xfe[\x00a\x00]\x00", utf16Problem},
	{"UTF-16, big end first", "\xfe\xff\x00[\x00a\x00]", utf16Problem},
	{"UTF-16 without a mark", "[\x00a\x00]\x00", utf16Problem},
	{"the mark of UTF-16 in front of something else", "\xff\xfea = 1", utf16Problem},
	{"Latin-1", server + "user = \"b\xfcro\"\n",
		"agent.toml:3:9: not valid TOML: a byte that is not UTF-8: have the editor save the file as UTF-8"},
	{"a mark at the beginning counts for no column", "\ufeffservers = 1 1\n",
		"agent.toml:1:12: not valid TOML: expected a top-level item to end with a newline, comment, or EOF, but got '1' instead"},
	{"an alert that cannot be read says whom to tell, for all that is known",
		"[alert.x]\nwebhook = { url = x }\n",
		"agent.toml:2:19: not valid TOML: the url " + quoted},
	{"lists in lists", "a = " + strings.Repeat("[", 1<<19), "agent.toml:1:37: is nested deeper than the 32 tables and lists that are read"},
	{"tables in tables", "a = " + strings.Repeat("{ b = ", 1<<17), "agent.toml:1:197: is nested deeper than the 32 tables and lists that are read"},
	{"a key with many parts", "a" + strings.Repeat(".a", 1<<18) + " = 1", "agent.toml:1:67: is nested deeper than the 32 tables and lists that are read"},
	{"many keys on one line", "a = {" + manyKeys(1<<16) + "}", `agent.toml:1:1: unknown key "a" (known here: agent, alert, include, server, sync)`},
}

const utf16Problem = "agent.toml:1:1: not valid TOML: this is UTF-16 or no text at all: have the editor save the file as UTF-8"

func manyKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d = 1", i)
	}
	return strings.Join(keys, ", ")
}

// TestWhatCannotBeRead has an answer come to anything, before all tests together take too long.
func TestWhatCannotBeRead(t *testing.T) {
	for _, c := range brokenTable {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := load(t, c.text, nil)
			if err == nil || err.Error() != c.want {
				t.Errorf("got:\n%.1000v\nwant:\n%s", err, c.want)
			}
			if strings.Contains(err.Error(), "truesecret") || strings.Contains(err.Error(), "9999") {
				t.Errorf("a secret is repeated: %v", err)
			}
		})
	}
}

// TestSecretKeys has them be found by themselves, wherever a secret is added.
func TestSecretKeys(t *testing.T) {
	if want := []string{"account", "listen_token", "password", "proxy", "secret", "url"}; !slices.Equal(secretKeys, want) {
		t.Error(cmp.Diff(want, secretKeys))
	}
}

// TestCommandsDoNotSeeTheSecretsOfOthers: of alerts neither.
func TestCommandsDoNotSeeTheSecretsOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it has no sh
	}
	t.Setenv("FERRY_HOOK", "https://chat.example.com/truesecret")
	t.Setenv("FERRY_BEAT", "https://beat.example.com/truesecret")
	cfg := mustLoad(t, server+"password = { command = [\"sh\", \"-c\", \"echo seen: $FERRY_HOOK$FERRY_BEAT\"] }\n"+
		"[agent]\nheartbeat = { url = { env = \"FERRY_BEAT\" } }\n[alert.x]\nwebhook = { url = { env = \"FERRY_HOOK\" } }\n",
		map[string]string{"FERRY_HOOK": os.Getenv("FERRY_HOOK"), "FERRY_BEAT": os.Getenv("FERRY_BEAT")})
	if seen := cfg.Servers["acme"].Password.Reveal(); seen != "seen:" {
		t.Errorf("a command has %q", seen)
	}
}

// TestCredentialsInHostsAreNotRepeated: people write URLs with a password where a host or a name belongs.
func TestCredentialsInHostsAreNotRepeated(t *testing.T) {
	for _, text := range []string{
		"[server.a]\naddress = \"u:truesecret@h\"\n",
		"[server.a]\naddress = [\"h\", \"u:truesecret@h:21\"]\n",
		server + "virtual_host = \"ftp://u:truesecret@h/dir\"\n",
		server + "tls_server_name = \"u:true/secret@h\"\n",
		server + "tls_ca = \"ftp://u:truesecret@h\"\n",
		"[server.\"u:truesecret@h\"]\naddress = \"h\"\n",
		server + sync("web", "server = \"ftp://u:truesecret@h/dir\"\n"),
		server + "[sync.web]\nserver = \"ftp://u:truesecret@h/dir\"\n" + up,
		server + "[sync.web]\nserver = [\"acme\", \"u:truesecret@h\"]\n" + up,
		"[alert.x]\nemail = { server = \"smtp://u:truesecret@h\", from = \"a@b.c\", to = \"c@d.e\" }\n",
		"include = \"ftp://u:truesecret@h/x\"\n",
	} {
		_, err := load(t, text, nil)
		if err == nil || strings.Contains(err.Error(), "truesecret") || strings.Contains(err.Error(), "true/secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAUserThatHoldsAPasswordIsWarnedOf: traces and status show it.
func TestAUserThatHoldsAPasswordIsWarnedOf(t *testing.T) {
	for user, isOdd := range map[string]bool{"u:truesecret@h": true, "u@h": false, "u": false, "domain:u": false, `D\u`: false} {
		cfg := mustLoad(t, server+"user = \""+strings.ReplaceAll(user, `\`, `\\`)+"\"\npassword = \"x\"\n", nil)
		text := (&Error{cfg.Warnings}).Error()
		if strings.Contains(text, "agent.toml:3:1: server.acme.user: looks like") != isOdd || strings.Contains(text, "truesecret") {
			t.Errorf("%s: %s", user, text)
		}
	}
}

// TestWhatEverybodyCanWriteIsWarnedOf: who can write the configuration or in the state folder is the agent.
func TestWhatEverybodyCanWriteIsWarnedOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // file modes say nothing there
	}
	tree(t, map[string]string{"agent.toml": "include = \"more.toml\"\n[agent]\nstate_dir = \"state\"\n", "more.toml": "", "state/x": ""})
	for path, mode := range map[string]os.FileMode{"agent.toml": 0o646, "more.toml": 0o666, "state": 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load("agent.toml", environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	expectProblems(t, &Error{cfg.Warnings}, `agent.toml: everybody can write this file, and so have the agent run any program: chmod o-w agent.toml
agent.toml: there is no [sync.NAME]: nothing to do
agent.toml:3: agent.state_dir: everybody can write in "HERE/state", and so take the place of the agent: chmod 700 HERE/state
more.toml: everybody can write this file, and so have the agent run any program: chmod o-w more.toml`)
}
