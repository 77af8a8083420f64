package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func newBothRig(t *testing.T, server *ftptest.RealServer, more ...string) *rig {
	t.Helper()
	return newRig(t, server, "both", more...)
}

// TestBothDirections changes both sides by hand between passes. Each pass makes them equal, and another one finds nothing to do.
func TestBothDirections(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newBothRig(t, ftptest.Real(t, name, ftptest.RealOptions{}))
			inStep := func(what string, want map[string]string) {
				t.Helper()
				r.mustBeInStep(what)
				if diff := cmp.Diff(want, tree(t, r.local)); diff != "" {
					t.Fatalf("%s: wanted -, got +:\n%s", what, diff)
				}
			}
			fill(t, r.local, map[string]string{"here/a": "a", "same": "same", "empty here/": ""})
			fill(t, r.remote, map[string]string{"there/b": "b", "same": "same", "empty there/": "", "-dash": "-"})
			for _, root := range []string{r.local, r.remote} {
				setTime(t, root, "same", time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC))
			}
			inStep("first contact", map[string]string{
				"here/": "", "here/a": "a", "there/": "", "there/b": "b", "same": "same", "empty here/": "", "empty there/": "", "-dash": "-",
			})

			fill(t, r.local, map[string]string{"here/a": "a edited here", "new/here": "1"})
			fill(t, r.remote, map[string]string{"there/b": "b edited there", "new/there": "22"})
			remove(t, r.local, "same")
			remove(t, r.remote, "-dash", "empty here")
			inStep("created, edited and deleted on either side", map[string]string{
				"here/": "", "here/a": "a edited here", "there/": "", "there/b": "b edited there", "new/": "", "new/here": "1", "new/there": "22",
				"empty there/": "",
			})

			remove(t, r.local, "here", "empty there")
			remove(t, r.remote, "there")
			fill(t, r.remote, map[string]string{"here/a": "edited while it was deleted here"})
			fill(t, r.local, map[string]string{"there/more": "new while its folder was deleted there"})
			inStep("deleted on one side and changed on the other", map[string]string{
				"here/": "", "here/a": "edited while it was deleted here", "there/": "", "there/more": "new while its folder was deleted there",
				"new/": "", "new/here": "1", "new/there": "22",
			})

			remove(t, r.local, "new/here")
			fill(t, r.local, map[string]string{"new/here/in/it": "a folder now"})
			remove(t, r.remote, "new/there")
			fill(t, r.remote, map[string]string{"new/there/in/it": "a folder now"})
			inStep("folders took the places of files", map[string]string{
				"here/": "", "here/a": "edited while it was deleted here", "there/": "", "there/more": "new while its folder was deleted there",
				"new/": "", "new/here/": "", "new/here/in/": "", "new/here/in/it": "a folder now",
				"new/there/": "", "new/there/in/": "", "new/there/in/it": "a folder now",
			})

			fill(t, r.local, map[string]string{"here/a": "changed here"})
			fill(t, r.remote, map[string]string{"here/a": "changed there too"})
			setTime(t, r.remote, "here/a", time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC))
			r.mustBeInStep("changed on both sides")
			got := map[string]int{}
			for name, content := range tree(t, r.local) {
				if strings.HasPrefix(name, "here/a") {
					got[content]++
				}
			}
			if diff := cmp.Diff(map[string]int{"changed here": 1, "changed there too": 1}, got); diff != "" {
				t.Errorf("of two versions there are: %s", diff)
			}
		})
	}
}

// TestBothSidesMayBeMissingAtFirst: what was never filled is made, but not if there is nothing on either side.
func TestBothSidesMayBeMissingAtFirst(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	r := newBothRig(t, server)
	remove(t, r.local, ".")
	remove(t, r.remote, ".")
	if report := r.once(); !strings.Contains(fmt.Sprint(report), "source folder does not exist") {
		t.Errorf("both are missing: %+v", report)
	}
	fill(t, r.local, map[string]string{"f/": "", "f/a": "a"})
	r.mustBeInStep("the far side is made")

	other := newBothRig(t, server)
	remove(t, other.local, ".")
	fill(t, other.remote, map[string]string{"b": "b"})
	other.mustBeInStep("the near side is made")
	remove(t, other.remote, ".")
	if report := other.once(); !strings.Contains(report.Halt, "the remote folder is gone") || report.Deleted > 0 {
		t.Errorf("what was filled is gone: %+v", report)
	}
}

func setTime(t *testing.T, root, rel string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(root, rel), at, at); err != nil {
		t.Fatal(err)
	}
}
