package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// scope stands in for a test: what starts servers and networks for tests does so here, and ends them with the scope.
type scope struct {
	testing.TB // for the method that keeps others from being one; all others that are called are below
	ctx        context.Context
	dir        string // for temporary folders
	cleanups   []func()
	failed     bool
}

// trouble is how a scope is left early.
type trouble struct {
	missing bool // something that is not on this machine
	text    string
}

func (t trouble) Error() string { return t.text }

// longestTrouble is how much is kept of what servers have to say, in bytes.
const longestTrouble = 2000

// within runs f in a scope of its own with a folder of its own below dir, and cleans up after it. What would fail a test is its
// error.
func within(ctx context.Context, dir string, f func(*scope) error) (err error) {
	folder, err := os.MkdirTemp(dir, "ferrybench-")
	if err != nil {
		return err
	}
	s := &scope{ctx: ctx, dir: folder}
	defer func() {
		if reason := recover(); reason != nil {
			t, ok := reason.(trouble)
			if !ok {
				t = trouble{text: fmt.Sprintf("panic: %v\n%s", reason, debug.Stack())}
			}
			err = errors.Join(err, t)
		}
		s.failed = false // whoever asks would print logs
		err = errors.Join(err, s.clean(), os.RemoveAll(folder))
	}()
	return f(s)
}

// clean calls what is left to do, the last one first.
func (s *scope) clean() (err error) {
	for _, cleanup := range slices.Backward(s.cleanups) {
		func() {
			defer func() {
				if reason := recover(); reason != nil {
					err = errors.Join(err, fmt.Errorf("clean up: %v", reason))
				}
			}()
			cleanup()
		}()
	}
	return err
}

func (s *scope) leave(missing bool, text string) {
	s.failed = true
	text = strings.TrimSpace(text)
	if len(text) > longestTrouble {
		text = text[:longestTrouble/2] + " ... " + text[len(text)-longestTrouble/2:]
	}
	panic(trouble{missing, text})
}

// The methods of a test that servers and networks use.

func (s *scope) Helper()                       {}
func (s *scope) Name() string                  { return "ferrybench" }
func (s *scope) Context() context.Context      { return s.ctx }
func (s *scope) Cleanup(f func())              { s.cleanups = append(s.cleanups, f) }
func (s *scope) Failed() bool                  { return s.failed }
func (s *scope) Fail()                         { s.failed = true }
func (s *scope) FailNow()                      { s.leave(false, "failed") }
func (s *scope) Log(...any)                    {}
func (s *scope) Logf(string, ...any)           {}
func (s *scope) Error(arguments ...any)        { s.Fatal(arguments...) }
func (s *scope) Errorf(f string, a ...any)     { s.Fatalf(f, a...) }
func (s *scope) Fatal(arguments ...any)        { s.leave(false, fmt.Sprintln(arguments...)) }
func (s *scope) Fatalf(f string, a ...any)     { s.leave(false, fmt.Sprintf(f, a...)) }
func (s *scope) Skip(arguments ...any)         { s.leave(true, fmt.Sprintln(arguments...)) }
func (s *scope) Skipf(format string, a ...any) { s.leave(true, fmt.Sprintf(format, a...)) }

// TempDir makes a folder that goes with the scope.
func (s *scope) TempDir() string {
	folder, err := os.MkdirTemp(s.dir, "")
	if err == nil {
		folder, err = filepath.Abs(folder)
	}
	if err != nil {
		s.Fatal(err)
	}
	return folder
}
