package main

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestScopeCleansUpHoweverItEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, row := range map[string]struct {
		f       func(*scope) error
		want    string // "" for no error
		missing bool
	}{
		"in order":                      {func(*scope) error { return nil }, "", false},
		"with an error":                 {func(*scope) error { return broken }, "broken", false},
		"by what would fail a test":     {func(s *scope) error { s.Fatalf("no %s", "server"); return nil }, "no server", false},
		"by what is not here":           {func(s *scope) error { s.Skipf("need %s", "vsftpd"); return nil }, "need vsftpd", true},
		"by a panic":                    {func(*scope) error { panic("oh") }, "panic: oh", false},
		"by a panic while it cleans up": {func(s *scope) error { s.Cleanup(func() { panic("oh") }); return nil }, "clean up: oh", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var order []string
			err := within(t.Context(), dir, func(s *scope) error {
				s.Cleanup(func() { order = append(order, "first") })
				s.Cleanup(func() { order = append(order, "second") })
				if _, err := os.Stat(s.TempDir()); err != nil {
					t.Error(err)
				}
				return row.f(s)
			})
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error %v, want %q", err, row.want)
			}
			if reason, _ := errors.AsType[trouble](err); reason.missing != row.missing {
				t.Errorf("missing %v, want %v", reason.missing, row.missing)
			}
			if got := strings.Join(order, " "); got != "second first" {
				t.Errorf("cleaned up: %s", got)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

func TestScopeKeepsTroubleShort(t *testing.T) {
	t.Parallel()
	err := within(t.Context(), t.TempDir(), func(s *scope) error { s.Fatal("begin" + strings.Repeat("x", 1<<20) + "end"); return nil })
	if text := err.Error(); len(text) > longestTrouble+10 || !strings.HasPrefix(text, "begin") || !strings.HasSuffix(text, "end") {
		t.Errorf("%d bytes: %.20s", len(text), text)
	}
}
