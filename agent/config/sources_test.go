package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

// TestMain lets this test program stand for one that tells secrets.
func TestMain(m *testing.M) {
	switch os.Getenv("FERRY_TEST_SECRET") {
	case "tell":
		os.Stdout.WriteString("from command\n")
		os.Stderr.WriteString("a note that nobody is shown\n")
	case "lines":
		os.Stdout.WriteString("hunter2\nhunter3\n")
	case "endless":
		for { // until nobody listens any more
			if _, err := os.Stdout.WriteString("hunter2\n"); err != nil {
				os.Exit(1)
			}
		}
	case "nothing":
	case "fail":
		os.Stdout.WriteString("hunter2")
		os.Stderr.WriteString("hunter3")
		os.Exit(3)
	case "others":
		os.Stdout.WriteString("others:" + os.Getenv("FERRY_OTHER_SECRET") + ":" + os.Getenv("FERRY_NO_SECRET"))
	default:
		os.Exit(m.Run())
	}
	os.Exit(0)
}

const netrcText = "\ufeff" + `# of several programs
machine other.example.com login mirror password wrong
macdef init
machine ftp.example.com login mirror password no

machine FTP.example.com
	login somebody password wrong port 21
machine ftp.example.com login "mirror" account "acc \"t" password #from-netrc
default login anonymous password by-default
machine behind.example.com login mirror password never
`

func TestSourcesOfSecrets(t *testing.T) {
	keyring.MockInit()
	for _, stored := range []struct{ service, user, value string }{{"acme", "mirror", "from keyring"}, {"acme", "other", "of another"}, {"empty", "mirror", ""}} {
		if err := keyring.Set(stored.service, stored.user, stored.value); err != nil {
			t.Fatal(err)
		}
	}
	program := Quote(os.Args[0])
	tree(t, map[string]string{
		"netrc": netrcText, "secret": "from file\r\n", "marked": "\ufefffrom file\r\n", "utf16": "\xff\xfef\x00\r\x00\n\x00", "two": "from\nfile\n", "empty": "\n", "credentials/acme": "from systemd\n", "credentials/empty": "",
	})
	t.Setenv("FERRY_OTHER_SECRET", "hunter2")
	t.Setenv("FERRY_NO_SECRET", "free")
	const acme = "[server.acme]\naddress = \"ftp.example.com:2121\"\nuser = \"mirror\"\n"
	for _, c := range []struct{ sentence, text, tell, want string }{
		{"a variable", acme + `password = { env = "ACME" }`, "", "from environment"},
		{"a file, with a line end of Windows", acme + `password = { file = "secret" }`, "", "from file"},
		{"a file of two lines", acme + `password = { file = "two" }`, "", "the password contains a control character"},
		{"a credential of systemd", acme + `password = { credential = "acme" }`, "", "from systemd"},
		{"a credential that is not there", acme + `password = { credential = "none" }`, "", `none" cannot be read: no such file or directory`},
		{"an empty credential", acme + `password = { credential = "empty" }`, "", `empty" is empty`},
		{"a credential elsewhere", acme + `password = { credential = "../secret" }`, "", `"../secret" is not the name of a credential`},
		{"a program", acme + `password = { command = [` + program + `, "x"] }`, "tell", "from command"},
		{"a program that fails", acme + `password = { command = ` + program + ` }`, "fail", "has failed (exit status 3): run it by hand"},
		{"a program with more to say", acme + `password = { command = ` + program + ` }`, "lines", "prints more than one line"},
		{"a program that never ends to say it is not waited for", acme + `password = { command = ` + program + ` }`, "endless", "prints more than any secret has"},
		{"a file with the mark of an editor", acme + `password = { file = "marked" }`, "", "from file"},
		{"a file as PowerShell writes it", acme + `password = { file = "utf16" }`, "", "is UTF-16 or no text at all: save it as UTF-8"},
		{"a program with nothing to say", acme + `password = { command = ` + program + ` }`, "nothing", "prints nothing"},
		{"a program does not get the secrets of others", acme + `password = { command = ` + program + " }\naccount = { env = \"FERRY_OTHER_SECRET\" }", "others", "others::free"},
		{"an entry of .netrc, by host and user", acme + `password = { netrc = true }`, "", "#from-netrc"},
		{"the default of .netrc, for another host", strings.ReplaceAll(strings.ReplaceAll(acme, "ftp.", "no."), "user = \"mirror\"\n", "") + `password = { netrc = true }`, "", "by-default"},
		{"a user that .netrc does not know", strings.ReplaceAll(acme, "mirror", "nobody") + `password = { netrc = true }`, "",
			`has no entry for this server: add "machine ftp.example.com" with login nobody and password, or a default`},
		{"no proxy comes from .netrc", acme + `proxy = { netrc = true }`, "", "a .netrc holds no proxies"},
		{"the keyring, for the user of the server", acme + `password = { keyring = "acme" }`, "", "from keyring"},
		{"the keyring, for another user", acme + `password = { keyring = "acme", user = "other" }`, "", "of another"},
		{"the keyring does not know it", acme + `password = { keyring = "none" }`, "",
			`the keyring has no password of service "none" and user "mirror": on Linux put it there by "secret-tool store --label=ftpferry service none username mirror"`},
		{"the keyring has an empty one", acme + `password = { keyring = "empty" }`, "", "is empty"},
		{"a user without a keyring", acme + `password = { file = "secret", user = "x" }`, "", "belongs to keyring alone"},
		{"two places", acme + `password = { netrc = true, keyring = "x" }`, "", "has both netrc and keyring: keep one of them"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			write(t, "agent.toml", c.text+"\n", 0o600)
			t.Setenv("FERRY_TEST_SECRET", c.tell)
			cfg, err := Load("agent.toml", environment(map[string]string{"ACME": "from environment", "STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere",
				"FERRY_OTHER_SECRET": "hunter2", "NETRC": "netrc", "CREDENTIALS_DIRECTORY": "credentials"}))
			if err == nil && cfg.Servers["acme"].Password.Reveal() == c.want {
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want %s", cfg, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

func TestNetrcNamesTheUserToo(t *testing.T) {
	tree(t, map[string]string{
		".netrc":     "machine h login somebody password p account a\n",
		"agent.toml": "[server.acme]\naddress = \"h\"\npassword = { netrc = true }\naccount = { netrc = true }\n",
	})
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		if err := os.Rename(".netrc", "_netrc"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(here, ".netrc"), 0o644); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	cfg, err := Load("agent.toml", environment(map[string]string{"HOME": here, "USERPROFILE": here, "ProgramData": here}))
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.Servers["acme"]; s.User != "somebody" || s.Password.Reveal() != "p" || s.Account.Reveal() != "a" {
		t.Errorf("%q %q %q", s.User, s.Password.Reveal(), s.Account.Reveal())
	}
	if runtime.GOOS != "windows" && !strings.Contains((&Error{cfg.Warnings}).Error(), "group or others can read the passwords in "+filepath.Join(here, ".netrc")) {
		t.Errorf("warnings %v", cfg.Warnings)
	}
}

// TestNoKeyring: on a server there is none, and the message says what to do instead.
func TestNoKeyring(t *testing.T) {
	keyring.MockInitWithError(os.ErrPermission)
	_, err := load(t, server+"password = { keyring = \"acme\" }\n", nil)
	expectProblems(t, err, `agent.toml:3: server.acme.password: the keyring of the system does not answer (permission denied): it is there in the session of a desktop; `+
		`on a server without one use { file = ... } or { credential = ... }`)
}

func FuzzNetrc(f *testing.F) {
	f.Add(netrcText)
	f.Add("macdef x\n\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		for _, entry := range parseNetrc(text) {
			if len(entry.password) > len(text) {
				t.Errorf("%q has a password %q", text, entry.password)
			}
		}
	})
}

func TestLookingAsksForNoSecrets(t *testing.T) {
	_, err := load(t, server+"password = { env = \"UNSET\" }\nproxy = { command = \"no-such-program\" }\n", nil)
	if err == nil {
		t.Fatal("loaded")
	}
	cfg, err := LoadWithoutSecrets("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere", "ProgramData": "/nowhere"}))
	if err != nil || !cfg.WithoutSecrets || cfg.Servers["acme"].Password.Reveal() != "" {
		t.Errorf("%v, %v", cfg, err)
	}
}
