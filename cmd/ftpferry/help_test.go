package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everyCommand calls each for the program and all that is below it.
func everyCommand(c *cobra.Command, each func(*cobra.Command)) {
	each(c)
	for _, child := range c.Commands() {
		everyCommand(child, each)
	}
}

// TestEveryCommandExplainsItself in one line and in full, with its options and, if it is more than a group of commands, an example.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	p := &program{}
	known := map[string]bool{}
	root := p.command()
	everyCommand(root, func(c *cobra.Command) {
		path := c.CommandPath()
		known[path] = true
		switch {
		case c.Short == "" || strings.HasSuffix(c.Short, "."):
			t.Errorf("%s: one line without a full stop is to say what it does, not %q", path, c.Short)
		case c.HasSubCommands() || path == "ftpferry version":
		case c.Long == "":
			t.Errorf("%s: no description", path)
		case c.Example == "":
			t.Errorf("%s: no example", path)
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if c.Example != "" && !strings.Contains(line, c.Name()) && path != "ftpferry man" && path != "ftpferry" {
				t.Errorf("%s: the example %q is about something else", path, line)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s says nothing", path, f.Name)
			}
		})
	})
	for path := range examples {
		if !known[path] {
			t.Errorf("an example for %q, which is no command", path)
		}
	}
}

func TestManualPages(t *testing.T) {
	t.Parallel()
	pages := func(date string) map[string]string {
		folder := filepath.Join(t.TempDir(), "man1")
		var told bytes.Buffer
		env := func(name string) string { return map[string]string{"SOURCE_DATE_EPOCH": date}[name] }
		if code := run([]string{"man", folder}, env, &told, &told); code != 0 {
			t.Fatalf("exit code %d: %s", code, &told)
		}
		all := map[string]string{}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] = string(text)
		}
		return all
	}
	first := pages("1000000000")
	for _, page := range []string{"ftpferry.1", "ftpferry-queue-retry.1", "ftpferry-service-install.1", "ftpferry-completion-zsh.1"} {
		if !strings.Contains(first[page], "Sep 2001") {
			t.Errorf("%s is missing or of another date than asked for: %.200s", page, first[page])
		}
	}
	for page, text := range pages("1000000000") {
		if text != first[page] {
			t.Errorf("%s is not the same when made again", page)
		}
	}
	var told bytes.Buffer
	if code := run([]string{"man", t.TempDir()}, func(string) string { return "yesterday" }, &told, &told); code != 64 || !strings.Contains(told.String(), "SOURCE_DATE_EPOCH") {
		t.Errorf("a date that is none: exit code %d: %s", code, &told)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "agent.toml")
	write(t, config, `
[server.acme]
address = "a.example"
password = { env = "NOT_SET_IN_A_SHELL" }
[server.backup]
address = "b.example"
[sync.docs]
server = "acme"
local = "docs"
remote = "/docs"
direction = "up"
[sync.website]
server = ["acme", "backup"]
local = "www"
remote = "/htdocs"
direction = "up"
`)
	const syncs = "docs website website@acme website@backup"
	const noFiles, files, path = ":4", ":0", ":6"
	for _, row := range []struct{ line, want string }{
		{"once|", syncs + " " + noFiles},
		{"once|docs|", "website website@acme website@backup " + noFiles},
		{"approve|", syncs + " " + noFiles},
		{"approve|docs|", noFiles},
		{"explain|docs|", files},
		{"doctor|", "acme backup " + noFiles},
		{"doctor|acme|", "backup " + noFiles},
		{"history|--sync|", syncs + " " + noFiles},
		{"queue|--state|", "dead running due waiting " + noFiles},
		{"queue|list|--server|", "acme backup " + noFiles},
		{"queue|retry|", noFiles}, // no agent runs
		{"state|backup|", files},
		{"check|", noFiles},
		{"ls|", "acme: backup: " + path},
		{"get|", "acme: backup: " + path},
		{"get|acme:x|", files},
		{"put|", files},
		{"put|x|", "acme: backup: " + path},
	} {
		var out, told bytes.Buffer
		arguments := append([]string{"__complete", "-c", config}, strings.Split(row.line, "|")...)
		if code := run(arguments, func(string) string { return "" }, &out, &told); code != 0 {
			t.Errorf("%s: exit code %d: %s", row.line, code, &told)
		}
		if got := strings.Join(strings.Fields(out.String()), " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.line, got, row.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out bytes.Buffer
		if code := run([]string{"completion", shell}, func(string) string { return "" }, &out, &out); code != 0 || !strings.Contains(out.String(), "__complete") {
			t.Errorf("%s: exit code %d: %.200s", shell, code, &out)
		}
	}
}
