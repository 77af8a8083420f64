package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ftpferry/ftpferry/"

// ours is what each package may import of the project; imports run downwards only.
var ours = map[string][]string{
	"state/fields":               nil,
	"state/fields/fieldstest":    nil,
	"state/entry":                {"state/fields"},
	"state":                      {"state/entry", "state/fields"},
	"queue":                      {"state", "state/fields"},
	"ftpclient/list":             nil,
	"ftpclient/ftptest":          nil,
	"ftpclient/internal/control": nil,
	"ftpclient/extip":            nil,
	"ftpclient/internal/data":    {"ftpclient/extip", "ftpclient/internal/control"},
	"ftpclient":                  {"ftpclient/extip", "ftpclient/list", "ftpclient/internal/control", "ftpclient/internal/data"},
	"agent/config":               {"agent/scan", "ftpclient", "ftpclient/extip"},
	"agent/trigger":              nil,
	"agent/plan":                 {"state/entry", "state/fields"},
	"agent/scan":                 {"agent/plan", "ftpclient", "ftpclient/list", "state", "state/entry"},
	"agent/work":                 {"agent/plan", "agent/scan", "ftpclient", "ftpclient/list", "queue", "state", "state/entry"},
	"agent/manual":               {"agent/plan", "agent/scan", "agent/work", "ftpclient", "ftpclient/list", "queue", "state", "state/entry"},
	"agent/control":              {"agent/plan", "state", "state/entry"},
	"agent/service":              nil,
	"agent/alert":                {"agent/config"},
	"agent/doctor":               {"agent/config", "ftpclient", "ftpclient/extip", "ftpclient/list"},
	"agent": {"agent/alert", "agent/config", "agent/control", "agent/plan", "agent/scan", "agent/trigger", "agent/work",
		"ftpclient", "ftpclient/extip", "queue", "state", "state/entry"},
	"cmd/ftpferry": {"agent", "agent/alert", "agent/config", "agent/control", "agent/doctor", "agent/manual", "agent/service", "state", "state/entry"},
	"cmd/demo":     {"agent", "agent/config", "agent/control", "agent/plan", "state"},
	// It starts what tests start, to measure it.
	"cmd/ferrybench": {"agent/config", "agent/control", "ftpclient/ftptest"},
}

// theirs is which packages may import a library; no others may.
var theirs = map[string][]string{
	"go.etcd.io/bbolt":                  {"state"},
	"github.com/fsnotify/fsnotify":      {"agent/trigger"},
	"github.com/robfig/cron/v3":         {"agent/config", "agent/trigger"},
	"github.com/BurntSushi/toml":        {"agent/config"},
	"github.com/spf13/cobra":            {"cmd/ftpferry"},
	"github.com/vbauerster/mpb/v8":      {"cmd/ftpferry"},
	"github.com/zalando/go-keyring":     {"agent/config"},
	"github.com/kardianos/service":      {"agent/service"},
	"github.com/wneessen/go-mail":       {"agent/alert"},
	"github.com/spf13/afero":            {"cmd/demo"},
	"github.com/fclairamb/ftpserverlib": {"cmd/demo"},
	"golang.org/x/net/proxy":            {"ftpclient"},
	"github.com/prometheus":             {"agent"},
	"testing":                           {"cmd/ferrybench", "ftpclient/ftptest", "state/fields/fieldstest"},
}

// pure packages decide; they must not be able to touch anything.
var pure = map[string][]string{
	"agent/plan":     {"os", "net", "log", "log/slog", "io/fs", "syscall", "context"},
	"ftpclient/list": {"os", "net", "log", "log/slog", "syscall", "context"},
	"state/fields":   {"os", "net", "log", "log/slog", "syscall", "context"},
	"state/entry":    {"os", "net", "log", "log/slog", "syscall", "context"},
}

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// packages lists every package of the module, for each system that has files of its own.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	all := map[string]listed{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		command := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "../...")
		command.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
			var p listed
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(p.ImportPath, module)
			known := all[name]
			p.Imports = append(p.Imports, known.Imports...)
			all[name] = p
		}
	}
	return all
}

func within(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

func TestImportsRunDownwards(t *testing.T) {
	for name, p := range packages(t) {
		allowed, known := ours[name]
		if !known {
			t.Errorf("package %s is not in the table of this test: where does it stand?", name)
		}
		for _, path := range p.Imports {
			if internal, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, internal) {
				t.Errorf("%s imports %s", name, internal)
			}
			for library, users := range theirs {
				if within(path, library) && !slices.Contains(users, name) {
					t.Errorf("%s imports %s, which only %q may", name, path, users)
				}
			}
			if slices.Contains(pure[name], path) {
				t.Errorf("%s imports %s and is to be pure", name, path)
			}
		}
	}
}

// TestSourceRules checks what no linter does: nobody makes a context of his own, and no file
// has grown out of its idea.
func TestSourceRules(t *testing.T) {
	const tooLong = 800
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if lines := bytes.Count(source, []byte("\n")); lines > tooLong {
			t.Errorf("%s has %d lines, the limit is %d", path, lines, tooLong)
		}
		if strings.HasSuffix(path, "_test.go") || within(filepath.ToSlash(path), "../cmd") || strings.Contains(path, "ftptest") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := call.X.(*ast.Ident); ok && x.Name == "context" && (call.Sel.Name == "Background" || call.Sel.Name == "TODO") {
				t.Errorf("%s: a context out of nowhere; take the caller's", files.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
