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
