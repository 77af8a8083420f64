package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func packagingFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// contentsOf returns the files that a package is made of, without the program, and its scripts.
func contentsOf(text string) (lines []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		isContent := strings.HasPrefix(line, "- {src: ") && strings.Contains(line, "dst: /") && !strings.Contains(line, "/usr/bin/")
		if isContent || strings.Contains(line, "install: .packaging/") || strings.Contains(line, "remove: .packaging/") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestPackagesAreMadeOfWhatThereIs and of the same in both ways to make them.
func TestPackagesAreMadeOfWhatThereIs(t *testing.T) {
	t.Parallel()
	alone, release := contentsOf(packagingFile(t, ".packaging/nfpm.yaml")), contentsOf(packagingFile(t, ".goreleaser.yaml"))
	if diff := cmp.Diff(alone, release); diff != "" || len(alone) < 13 {
		t.Errorf("nfpm.yaml (-) and .goreleaser.yaml (+):\n%s", diff)
	}
	source := regexp.MustCompile(`src: ([^,]+),|(?:install|remove): (\S+)`)
	for _, line := range alone {
		found := source.FindStringSubmatch(line)
		path := found[1] + found[2]
		if strings.HasPrefix(path, ".packaging/out/") {
			continue // made by .packaging/generate
		}
		if there, err := filepath.Glob(filepath.Join("..", "..", path)); err != nil || len(there) == 0 {
			t.Errorf("%s: there is none; %v", line, err)
		}
	}
	if !strings.Contains(strings.Join(alone, "\n"), "dst: /etc/ftpferry/agent.toml, type: config|noreplace") {
		t.Error("an upgrade would replace the configuration")
	}
}

// TestTheImageIsMadeOfAllSource: every folder with source is copied into it, and is not ignored.
func TestTheImageIsMadeOfAllSource(t *testing.T) {
	t.Parallel()
	recipe, ignored, release := packagingFile(t, ".packaging/Dockerfile"), packagingFile(t, ".dockerignore"), packagingFile(t, ".goreleaser.yaml")
	for _, folder := range []string{"agent", "cmd", "ftpclient", "queue", "state"} {
		if !strings.Contains(recipe, "\nCOPY "+folder+" "+folder+"\n") {
			t.Errorf("the Dockerfile does not copy %s", folder)
		}
		if !strings.Contains(ignored, "\n!"+folder+"\n") {
			t.Errorf(".dockerignore leaves out %s", folder)
		}
		if !regexp.MustCompile(`extra_files: \[.*\b` + folder + `\b`).MatchString(release) {
			t.Errorf(".goreleaser.yaml does not hand over %s", folder)
		}
	}
}
