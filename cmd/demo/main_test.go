package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ftpferry/ftpferry/agent/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is what the program prints. When a line contains trigger, it calls act, once, while the
// program waits.
type output struct {
	bytes.Buffer
	trigger string
	act     func()
}

func (o *output) Write(p []byte) (int, error) {
	if o.act != nil && bytes.Contains(p, []byte(o.trigger)) {
		o.act()
		o.act = nil
	}
	return o.Buffer.Write(p)
}

func noEnv(string) string { return "" }

// temporary returns a folder of a short path: that of a socket must not be long.
func temporary(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func mustBeGone(t *testing.T, printed string) {
	t.Helper()
	found := regexp.MustCompile(`over FTP, as (.+) says:`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatal("the output does not say where the configuration is")
	}
	if _, err := os.Stat(filepath.Dir(found[1])); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

func TestTheWholeShow(t *testing.T) {
	var stdout, stderr output
	if code := run(t.Context(), []string{"-once"}, noEnv, &stdout, &stderr, theShow); code != control.ExitDone {
		t.Fatalf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
	rest := stdout.String()
	for _, line := range []string{
		`\[sync\.site\]`,
		`== 1\. Files and folders are dropped`,
		`  watch    site/notes\.txt +changed`,
		`  queued   site/notes\.txt +upload: new`,
		`  sent     site/[^ ]+ +.* over EPSV, size verified, renamed into place`,
		`  => 7 made, 9 sent, .* both sides are equal`,
		`  queued   site/notes\.txt +upload: changed`,
		`  renamed  site/photos of 2026 +`,
		`  => 2 renamed in .* both sides are equal`,
		`  => 7 deleted in .* both sides are equal`,
		`  fetched  inbox/letter\.txt .* over EPSV`,
		`Stop!`,
		`on the server: \.film\.bin\.ftpferry-.* 2\.0 MiB`,
		`  sent     site/film\.bin +.* \(went on after \d+ bytes\)`,
		`  halted   site/ +6 files of 17 known paths would be deleted`,
		`on the server: 6\.txt`,
		`  deleted  site/invoices +`,
		`== Both sides`,
		`    film\.bin +6\.0 MiB  [0-9a-f]{8} += +film\.bin +6\.0 MiB`,
		`  => equal`,
	} {
		found := regexp.MustCompile(line).FindStringIndex(rest)
		if found == nil {
			t.Fatalf("no line %q, or not in its place, in:\n%s\n%s", line, &stdout, &stderr)
		}
		rest = rest[found[1]:]
	}
	if strings.Contains(stdout.String(), "\x1b") {
		t.Error("colours, though this is no terminal")
	}
	mustBeGone(t, stdout.String())
}

func TestDifferenceMakesItExitWithOne(t *testing.T) {
	dir := filepath.Join(temporary(t), "new")
	var stderr output
	stdout := output{trigger: "  => ", act: func() {
		if err := os.WriteFile(filepath.Join(dir, "server", "site", "notes.txt"), []byte("tampered"), 0o600); err != nil {
			t.Error(err)
		}
	}}
	write := stage{headline: "one file", do: func(ctx context.Context, d *demo) error {
		return errors.Join(d.startAgent(ctx), d.write("local/site/notes.txt", "original"))
	}}
	if code := run(t.Context(), []string{"-once", "-dir", dir}, noEnv, &stdout, &stderr, []stage{write}); code != control.ExitNeedsPerson {
		t.Errorf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
	if want := "! site/notes.txt is 8 B (0682c5f2) here, 8 B (d121be31) on the server"; !strings.Contains(stdout.String(), want) {
		t.Errorf("no line %q in:\n%s", want, &stdout)
	}
	if !strings.Contains(stderr.String(), "the two sides differ in 1 path") {
		t.Errorf("standard error: %s", &stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "local", "site", "notes.txt")); err != nil {
		t.Errorf("-dir is to be kept: %v", err)
	}
}

func TestInterruptEndsIt(t *testing.T) {
	for _, test := range []struct {
		name, trigger string
		arguments     []string
		want          int
	}{
		{"while the user plays, that is how it ends", "Ctrl-C ends", nil, control.ExitDone},
		{"in the middle of the show, that is fine, too", "  watch ", nil, control.ExitDone},
		{"with -once nothing is proven then", "  watch ", []string{"-once"}, control.ExitNeedsPerson},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stderr output
			stdout := output{trigger: test.trigger, act: cancel}
			write := stage{headline: "one file", do: func(ctx context.Context, d *demo) error {
				return errors.Join(begin(ctx, d), d.write("local/site/notes.txt", "original"))
			}}
			if code := run(ctx, test.arguments, noEnv, &stdout, &stderr, []stage{write}); code != test.want {
				t.Errorf("exit code %d, want %d\n%s\n%s", code, test.want, &stdout, &stderr)
			}
			mustBeGone(t, stdout.String())
		})
	}
}

func TestCommandLine(t *testing.T) {
	full := temporary(t)
	file := filepath.Join(full, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		arguments []string
		want      int
		stderr    string
	}{
		{"help is no error", []string{"-help"}, control.ExitDone, "-once"},
		{"an unknown flag", []string{"-twice"}, control.ExitUsage, "not defined: -twice"},
		{"an argument that is no flag", []string{"-once", "folder"}, control.ExitUsage, `"folder" is not a flag`},
		{"a folder that is not empty", []string{"-once", "-dir", full}, control.ExitUsage, "is not empty"},
		{"a file in place of the folder", []string{"-once", "-dir", file}, control.ExitUsage, "-dir: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr output
			if code := run(t.Context(), test.arguments, noEnv, &stdout, &stderr, nil); code != test.want {
				t.Errorf("exit code %d, want %d", code, test.want)
			}
			if !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("standard error %q does not say %q", &stderr, test.stderr)
			}
			if stdout.Len() > 0 {
				t.Errorf("standard output: %s", &stdout)
			}
		})
	}
}
