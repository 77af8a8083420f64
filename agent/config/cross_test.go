package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestSyncsAmongThemselves(t *testing.T) {
	// Every sync is one line: name, server, local, remote, direction.
	for _, c := range []struct {
		sentence string
		syncs    string
		errors   string
		warnings string
	}{
		{"one folder to two servers is fine", "a s1 x /r up, b s2 x /r up", "", ""},
		{"two folders with one prefix are not nested", "a s1 x /r up, b s1 xy /rr up", "", ""},
		{"two folders of one server to two local ones are fine", "a s1 x /r down, b s1 y /r down", "", ""},
		{"two sources to one remote folder", "a s1 x /r up, b s1 y /r/ up",
			"agent.toml:22: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"two sources to nested remote folders", "b s1 x /r/sub up, a s1 y /r up",
			"agent.toml:22: sync.a.remote: sync.b writes to the same folder or one inside the other: a target has one source only", ""},
		{"everything absolute is inside the root", "a s1 x / up, b s1 y /r up",
			"agent.toml:22: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"everything relative is inside the login folder", "a s1 x . up, b s1 y r up",
			"agent.toml:22: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"two names for one server are one server, by any address", "a s1 x /r up, b twin y /r up",
			"agent.toml:22: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"another user may have another root", "a s1 x /r up, b other y /r up", "", ""},
		{"two sources to one local folder", "a s1 x/sub /r down, b s2 x /r down",
			"agent.toml:21: sync.b.local: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"a symbolic link is the folder it points to", "a s1 x /r down, b s2 link /r down",
			"agent.toml:21: sync.b.local: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"up and down of the same two folders", "a s1 x /r up, b s1 x /r down",
			"agent.toml:19: sync.b: files would go round in a circle: sync.a, then sync.b, and again sync.a: give them folders apart, or disable one", ""},
		{"up and down of nested folders", "a s1 x/sub /r up, b s1 x /r/sub down",
			"agent.toml:19: sync.b: files would go round in a circle: sync.a, then sync.b, and again sync.a: give them folders apart, or disable one", ""},
		{"a circle of four", "a s1 x /r up, b s1 y /r down, c s2 y /r up, d s2 x /r down",
			"agent.toml:31: sync.d: files would go round in a circle: sync.a, then sync.b, then sync.c, then sync.d, and again sync.a: " +
				"give them folders apart, or disable one", ""},
		{"a relay is allowed and pointed out", "a s1 x /r down, b s2 x /r up", "",
			"agent.toml:19: sync.b: hands on what sync.a brings"},
		{"both directions of two folders are no circle", "a s1 x /r both", "", ""},
		{"both directions and a source for one folder", "a s1 x /r both, b s1 y /r/sub up",
			"agent.toml:22: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"both directions and another server for one folder", "a s1 x /r both, b s2 x/sub /r down",
			"agent.toml:21: sync.b.local: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"two syncs in both directions with the same folders", "a s1 x /r both, b twin x /r both",
			"agent.toml:21: sync.b.local: sync.a writes to the same folder or one inside the other: a target has one source only\n" +
				"agent.toml:22: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"what both directions bring may be handed on", "a s1 x /r both, b s2 x /r up", "",
			"agent.toml:19: sync.b: hands on what sync.a brings"},
		{"what both directions send may be handed on", "a s1 x /r both, b s1 y /r down", "",
			"agent.toml:19: sync.b: hands on what sync.a brings"},
		{"a circle through both directions", "a s1 x /r both, b s1 y /r down, c s2 y /q up, d s2 x/sub /q down",
			"agent.toml:33: sync.d.local: sync.a writes to the same folder or one inside the other: a target has one source only", ""},
		{"several servers", "a s1,s2 x /r up, b s2 y /r up",
			"agent.toml:22: sync.b.remote: sync.a@s2 writes to the same folder or one inside the other: a target has one source only", ""},
		{"several servers that are one", "a s1,twin x /r up",
			"agent.toml:16: sync.a.remote: sync.a@s1 writes to the same folder or one inside the other: a target has one source only", ""},
		{"several servers hand on what one brings", "a other y /r down, b s1,s2 y /r up", "", "agent.toml:19: sync.b: hands on what sync.a brings"},
		{"a disabled sync does not count", "a s1 x /r up, b s1 y /r off", "", ""},
		{"the state inside a folder", "a s1 . /r up",
			"agent.toml:15: sync.a.local: contains state_dir (HERE/state), which changes all the time: move one of them", ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, folder := range []string{"x/sub", "y", "xy"} {
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("x", "link"); err != nil {
				t.Fatal(err)
			}
			write(t, "agent.toml", crossFile(c.syncs), 0o600)
			cfg, err := Load("agent.toml", environment(nil))
			if c.errors != "" {
				expectProblems(t, err, c.errors)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			expectProblems(t, &Error{cfg.Warnings}, c.warnings)
		})
	}
}

// crossFile writes the syncs of a row behind twelve lines of servers; each takes six lines.
func crossFile(syncs string) string {
	text := "[agent]\nstate_dir = \"state\"\n[server.s1]\naddress = \"one\"\n[server.s2]\naddress = \"two\"\n" +
		"[server.twin]\naddress = [\"three\", \"ONE:21\"]\n[server.other]\naddress = \"one\"\nuser = \"other\"\n\n"
	for _, line := range strings.Split(syncs, ", ") {
		field := strings.Fields(line)
		direction, extra := field[4], `schedule = "@daily"`
		if direction == "off" {
			direction, extra = "up", "enabled = false"
		}
		text += fmt.Sprintf("[sync.%s]\nserver = [\"%s\"]\nlocal = %q\nremote = %q\ndirection = %q\n%s\n",
			field[0], strings.ReplaceAll(field[1], ",", `","`), field[2], field[3], direction, extra)
	}
	return text
}

func TestVirtualHostsAreServersOfTheirOwn(t *testing.T) {
	const two = "[server.a]\naddress = \"h\"\nvirtual_host = \"a.example.com\"\n[server.b]\naddress = \"h\"\nvirtual_host = %q\n" +
		"[sync.a]\nserver = \"a\"\nlocal = \".\"\nremote = \"r\"\ndirection = \"up\"\nwatch = true\n" +
		"[sync.b]\nserver = \"b\"\nlocal = \".\"\nremote = \"r\"\ndirection = \"up\"\nwatch = true\n"
	if _, err := load(t, fmt.Sprintf(two, "b.example.com"), nil); err != nil {
		t.Errorf("one address, two sites: %v", err)
	}
	_, err := load(t, fmt.Sprintf(two, "A.example.com"), nil)
	expectProblems(t, err, "agent.toml:16: sync.b.remote: sync.a writes to the same folder or one inside the other: a target has one source only")
}
