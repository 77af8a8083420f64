package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
)

// TestAConfigurationThatChanges is noticed once, when nobody writes it any more.
func TestAConfigurationThatChanges(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	included := filepath.Join(folder, "conf.d")
	main, one := filepath.Join(folder, "agent.toml"), filepath.Join(included, "one.toml")
	if err := os.Mkdir(included, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, main, "")
	write(t, one, "")
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(included, long, long); err != nil {
		t.Fatal(err)
	}
	files := newSettled(&config.Config{Files: []string{main, one}, Folders: []string{included}})
	files.look()
	now := time.Now()
	text := ""
	for _, step := range []struct {
		sentence string
		do       func()
		want     bool
	}{
		{"nothing has happened", func() {}, false},
		{"a file is written", func() { text += "x"; write(t, main, text) }, false},
		{"and written", func() { text += "x"; write(t, main, text) }, false},
		{"it stays for a second", func() {}, false},
		{"it stays for two", func() {}, true},
		{"that was told", func() {}, false},
		{"an included file goes", func() { os.Remove(one) }, false},
		{"it is away for a second", func() {}, false},
		{"and for two", func() {}, true},
		{"there is one more", func() { write(t, filepath.Join(included, "two.toml"), "x") }, false},
		{"for a second", func() {}, false},
		{"for two", func() {}, true},
		{"a file is written that somebody reads at once", func() { write(t, main, "xyz"); files.look() }, false},
		{"that is one second ago", func() {}, false},
		{"and that two", func() {}, false},
	} {
		step.do()
		if got := files.changed(now); got != step.want {
			t.Errorf("%s: changed %v", step.sentence, got)
		}
		now = now.Add(settledLook)
	}
}

// TestAConfigurationThatChangesWhileItIsRead is another one than what was read: programs may take long to tell its secrets.
func TestAConfigurationThatChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	for sentence, row := range map[string]struct {
		name string // what changes, below the folder
		want bool
	}{
		"nothing changes":         {"", false},
		"the main file does":      {"agent.toml", true},
		"an included file does":   {filepath.Join("conf.d", "one.toml"), true},
		"there is one file more":  {filepath.Join("conf.d", "two.toml"), true},
		"something else is there": {"notes", false},
	} {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "agent.toml"), "include = \"conf.d/*.toml\"\n[agent]\nstate_dir = \"state\"\n")
		if err := os.Mkdir(filepath.Join(folder, "conf.d"), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "conf.d", "one.toml"), "[server.acme]\naddress = \"127.0.0.1:1\"\nuser = \"u\"\npassword = { env = \"SECRET\" }\ntls = \"none\"\n")
		long := time.Now().Add(-time.Hour)
		for _, path := range []string{"conf.d/one.toml", "conf.d", "agent.toml"} {
			if err := os.Chtimes(filepath.Join(folder, path), long, long); err != nil {
				t.Fatal(err)
			}
		}
		cfg, err := config.Load(filepath.Join(folder, "agent.toml"), func(name string) string {
			if name == "SECRET" && row.name != "" {
				write(t, filepath.Join(folder, row.name), "# changed")
			}
			return "secret"
		})
		if err != nil {
			t.Fatal(err)
		}
		files, now, changes := newSettled(cfg), time.Now(), 0
		for range 6 {
			if files.changed(now) {
				changes++
			}
			now = now.Add(settledLook)
		}
		if changes > 1 || changes == 1 != row.want {
			t.Errorf("%s: noticed %d times", sentence, changes)
		}
	}
}
