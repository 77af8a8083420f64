package agent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logMethods are those of slog.Logger and of what stands for it, with the place of the first attribute.
var logMethods = map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0}

// attributeForms are functions of slog that make an attribute.
var attributeForms = []string{"String", "Int", "Int64", "Uint64", "Float64", "Bool", "Duration", "Time", "Any", "Group"}

// TestLogAttributesAreInTheTable holds the names of attributes in the code against docs/LOG.md, in both directions: one name for one
// thing, so that logs can be searched.
func TestLogAttributesAreInTheTable(t *testing.T) {
	table, err := os.ReadFile("../docs/LOG.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(table), -1) {
		if documented[row[1]] {
			t.Errorf("%s is in docs/LOG.md twice", row[1])
		}
		documented[row[1]] = false
	}
	for _, folder := range []string{".", "../cmd/ftpferry", "../ftpclient", "../state", "../queue"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() && (entry.Name() == "ftptest" || entry.Name() == "testdata") {
				if err == nil {
					err = fs.SkipDir
				}
				return err
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for name := range documented { // some are in tables of their own
				documented[name] = documented[name] || strings.Contains(string(text), strconv.Quote(name))
			}
			for name, at := range attributesIn(t, path) {
				if _, known := documented[name]; !known {
					t.Errorf("%s: the log attribute %q is not in docs/LOG.md: take one that is, or add a row", at, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, used := range documented {
		if !used {
			t.Errorf("no log has the attribute %q of docs/LOG.md", name)
		}
	}
}

// attributesIn returns the names of attributes in a file, and where they are.
func attributesIn(t *testing.T, path string) map[string]token.Position {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]token.Position{}
	note := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if name, err := strconv.Unquote(literal.Value); err == nil {
				found[name] = files.Position(literal.Pos())
			}
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, isName := method.X.(*ast.Ident)
		if isName && of.Name == "slog" && slices.Contains(attributeForms, method.Sel.Name) && len(call.Args) > 0 {
			note(call.Args[0])
		}
		first, isLog := logMethods[method.Sel.Name]
		if method.Sel.Name == "later" { // of the dispatcher: the method of the logger comes first
			first, isLog = 2, true
		} else if !isLogger(method.X) {
			return true
		}
		if !isLog {
			return true
		}
		for i := first; i < len(call.Args); i += 2 {
			note(call.Args[i])
		}
		return true
	})
	return found
}

// isLogger reports expressions that end in logger or Logger.
func isLogger(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return strings.EqualFold(e.Name, "logger")
	case *ast.SelectorExpr:
		return isLogger(e.Sel)
	case *ast.CallExpr:
		if method, ok := e.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "With" {
			return isLogger(method.X)
		}
	}
	return false
}
