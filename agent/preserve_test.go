package agent_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func pointLink(t *testing.T, target, root, rel string) {
	t.Helper()
	name := filepath.Join(root, filepath.FromSlash(rel))
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// linkedTree is tree with links as what they point at, relative to the folder they are in.
func linkedTree(t *testing.T, server *ftptest.RealServer, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if path.IsAbs(target) { // servers make them so
				within, _ := filepath.EvalSymlinks(filepath.Dir(name))
				target, _ = filepath.Rel(within, filepath.Join(server.Root, strings.TrimPrefix(target, server.Root)))
			}
			found[rel] = "-> " + target
			return err
		case d.IsDir():
			found[rel+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(name)
		found[rel] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLinksArePreserved makes links, lets them point at something else and deletes them. ProFTPD shows links in listings, and
// answers questions about one path with what is behind it.
func TestLinksArePreserved(t *testing.T) {
	for _, direction := range []string{"up", "both"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"site_misc"}})
			r := newRig(t, server, direction, `symlinks = "preserve"`)
			inStep := func(what string, want map[string]string) {
				t.Helper()
				report := r.once()
				if code := (control.Report{Syncs: []control.SyncReport{report}}).ExitCode(); code != 0 {
					t.Fatalf("%s: %+v", what, report)
				}
				for side, root := range map[string]string{"local": r.local, "remote": r.remote} {
					if diff := cmp.Diff(want, linkedTree(t, server, root)); diff != "" {
						t.Fatalf("%s: %s: wanted -, got +:\n%s", what, side, diff)
					}
				}
				if again := r.once(); again.Transferred+again.Deleted+again.Folders+again.Adopted+len(again.Conflicts)+len(again.Dead) > 0 {
					t.Fatalf("%s: a second pass did something: %+v", what, again)
				}
			}
			want := map[string]string{"a": "a", "b": "b", "d/": "", "d/in": "in d", "e/": "", "e/in": "in e"}
			fill(t, r.local, want)
			inStep("files", want)

			pointLink(t, "a", r.local, "to file")
			pointLink(t, "d", r.local, "to folder")
			pointLink(t, "../b", r.local, "d/up")
			maps.Copy(want, map[string]string{"to file": "-> a", "to folder": "-> d", "d/up": "-> ../b"})
			inStep("links", want)

			pointLink(t, "b", r.local, "to file")
			pointLink(t, "e", r.local, "to folder")
			maps.Copy(want, map[string]string{"to file": "-> b", "to folder": "-> e"})
			inStep("other targets", want)

			gone := []string{"to file", "to folder", "d/up"}
			if direction == "both" {
				pointLink(t, "a", r.remote, "to file")
				want["to file"] = "-> a"
				inStep("another target on the server", want)
				remove(t, r.remote, "to folder", "d/up")
				delete(want, "to folder")
				delete(want, "d/up")
				inStep("deleted on the server", want)
				pointLink(t, "d", r.local, "to folder")
				want["to folder"] = "-> d"
				inStep("there again", want)
				gone = []string{"to file", "to folder"}
			}
			remove(t, r.local, gone...)
			for _, name := range gone {
				delete(want, name)
			}
			inStep("deleted here", want)
		})
	}
}

// TestALinkToWhatIsNotSentEndsThePass: it is for a person then, and a link to what comes does not suffer.
func TestALinkToWhatIsNotSentEndsThePass(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"site_misc"}}), "up", "symlinks = \"preserve\"\nmax_size = \"10B\"")
	fill(t, r.local, map[string]string{"a": "a", "large": "more than ten bytes"})
	pointLink(t, "a", r.local, "to a")
	pointLink(t, "large", r.local, "to large")
	report := r.once()
	if len(report.Dead) != 1 || report.Dead[0].Path != "to large" || !strings.Contains(report.Dead[0].Reason, "limits of size") {
		t.Errorf("%+v", report.Dead)
	}
	if diff := cmp.Diff(map[string]string{"a": "a", "to a": "-> a"}, linkedTree(t, r.server, r.remote)); diff != "" {
		t.Error(diff)
	}
}

// TestALinkThatCannotBeMadeIsLeft: it is told in each pass, tried once, and made when it points at something else.
func TestALinkThatCannotBeMadeIsLeft(t *testing.T) {
	for _, direction := range []string{"up", "down", "both"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"site_misc"}})
			r := newRig(t, server, direction, `symlinks = "preserve"`)
			from, to := r.local, r.remote
			if direction == "down" {
				from, to = to, from
			}
			fill(t, from, map[string]string{"a": "a", "d/in": "in d"})
			fill(t, filepath.Dir(r.remote), map[string]string{"outside": "secret"}) // ProFTPD does not show links that lead nowhere
			pointLink(t, "../../outside", from, "d/out")
			for pass := range 3 {
				report := r.once()
				if code := (control.Report{Syncs: []control.SyncReport{report}}).ExitCode(); code != 0 {
					t.Fatalf("pass %d: %+v", pass, report)
				}
				if len(report.Skipped) != 1 || report.Skipped[0].Path != "d/out" || !strings.Contains(report.Skipped[0].Reason, "not in the folder") {
					t.Errorf("pass %d: skipped %+v", pass, report.Skipped)
				}
				if _, err := os.Lstat(filepath.Join(to, "d", "out")); !os.IsNotExist(err) {
					t.Errorf("pass %d: it was made (%v)", pass, err)
				}
			}
			pointLink(t, "in", from, "d/out")
			r.once()
			if report := r.once(); len(report.Skipped) > 0 {
				t.Errorf("still skipped: %+v", report.Skipped)
			}
			if got := linkedTree(t, server, to)["d/out"]; got != "-> in" {
				t.Errorf("the link is %q", got)
			}
		})
	}
}

// TestLinksOnAServerThatMakesNone are told, tried once each, and left, and what is on the server stays. Where there is nothing
// but such links the server's folder stays empty, and that is no reason for a halt.
func TestLinksOnAServerThatMakesNone(t *testing.T) {
	for _, row := range []struct {
		server, direction string
		files             map[string]string
	}{
		{"vsftpd", "up", map[string]string{"a": "a", "d/in": "in d"}},
		{"vsftpd", "up", nil},
		{"pure-ftpd", "up", nil},
		{"pure-ftpd", "both", map[string]string{"a": "a", "d/in": "in d"}},
		{"vsftpd", "both", nil},
	} {
		t.Run(fmt.Sprint(row.server, " ", row.direction, " ", len(row.files)), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row.server, ftptest.RealOptions{}), row.direction, `symlinks = "preserve"`)
			fill(t, r.local, row.files)
			want := tree(t, r.local)
			for _, name := range []string{"to a", "to b", "to c"} {
				pointLink(t, strings.TrimPrefix(name, "to "), r.local, name)
			}
			for pass := range 4 {
				if pass == 3 {
					fill(t, r.local, map[string]string{"late": "late"})
					want["late"] = "late"
				}
				report := r.once()
				if exit(report) != 0 || report.Deleted > 0 {
					t.Fatalf("pass %d: %+v", pass, report)
				}
				if planned := r.planned(); pass > 0 && (len(planned.Ops) > 0 || planned.Halt != nil || len(planned.Note) != 3) {
					t.Errorf("pass %d: the plan after it: %+v", pass, planned)
				}
				if did := report.Transferred + report.Folders + report.Adopted; pass > 0 && did != pass/3 {
					t.Errorf("pass %d did something: %+v", pass, report)
				}
				if pass > 0 && len(report.Skipped) != 3 {
					t.Errorf("pass %d: skipped %+v", pass, report.Skipped)
				}
				for _, skipped := range report.Skipped {
					if !strings.Contains(skipped.Reason, "not made as a link") {
						t.Errorf("pass %d: %+v", pass, skipped)
					}
				}
				if diff := cmp.Diff(want, tree(t, r.remote)); diff != "" {
					t.Errorf("pass %d: on the server: wanted -, got +:\n%s", pass, diff)
				}
			}
			if got := linkedTree(t, r.server, r.local); len(got) != len(want)+3 || got["to a"] != "-> a" {
				t.Errorf("here: %v", got)
			}
		})
	}
}

// TestLinksFromAServerThatLeadOut are the same with the sides exchanged: the folder here stays empty.
func TestLinksFromAServerThatLeadOut(t *testing.T) {
	for _, server := range []string{"proftpd", "vsftpd"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), "down", `symlinks = "preserve"`)
			fill(t, filepath.Dir(r.remote), map[string]string{"outside": "secret"})
			for _, name := range []string{"x", "y", "z"} {
				pointLink(t, "../outside", r.remote, name)
			}
			for pass := range 3 {
				report := r.once()
				if exit(report) != 0 || report.Transferred+report.Deleted+report.Folders+report.Adopted > 0 || pass > 0 && len(report.Skipped) != 3 {
					t.Fatalf("pass %d: %+v", pass, report)
				}
			}
			remove(t, r.remote, "x", "y", "z")
			if report := r.once(); !strings.Contains(report.Halt, "the remote folder is empty") {
				t.Errorf("the links were there, and are gone: %+v", report)
			}
		})
	}
}
