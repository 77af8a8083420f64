package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestWhatHappensWhileTheProgramIsDead is found when it is started again, although it was killed with changes on their way each time.
func TestWhatHappensWhileTheProgramIsDead(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	g := newPair(t, server, plot{direction: "up", rules: "max_delete = \"100%\"\nwatch = true\n"})
	put := func(content string, names ...string) {
		t.Helper()
		for _, name := range names {
			path := filepath.Join(g.local, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, path, content)
		}
	}
	for i := range 40 {
		put("first", fmt.Sprintf("folder%d/file%d", i%5, i))
	}
	g.mustRun(0, nil, "once")
	for round := range 3 {
		program := g.start("run")
		put(fmt.Sprint("while it runs ", round), fmt.Sprintf("folder%d/file%d", round, round), fmt.Sprintf("new%d", round))
		time.Sleep(time.Duration(round) * 300 * time.Millisecond) // anywhere between its start and the end of that work
		program.kill()
		put(fmt.Sprint("while it is dead ", round), fmt.Sprintf("folder%d/file%d", round+1, round+1), fmt.Sprintf("dead%d/a/b", round))
		if err := os.RemoveAll(filepath.Join(g.local, fmt.Sprintf("folder%d/file%d", round, round+20))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(g.local, "folder4"), filepath.Join(g.local, "renamed")); err != nil {
		t.Fatal(err)
	}
	program := g.start("run")
	defer program.kill()
	for deadline := time.Now().Add(patience); !cmp.Equal(hashes(t, g.local), hashes(t, g.remote)); {
		if time.Now().After(deadline) {
			g.mustBeEqual("after the last start")
		}
		time.Sleep(100 * time.Millisecond)
	}
}
