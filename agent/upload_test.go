package agent_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// edit replaces a line of the configuration.
func (r *rig) edit(old, new string) {
	r.t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		r.t.Fatalf("no %q in the configuration", old)
	}
	if err := os.WriteFile(r.config, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func exit(report control.SyncReport) int {
	return control.Report{Syncs: []control.SyncReport{report}}.ExitCode()
}

// TestADropBoxGetsEachFileOnce sends to servers that show nobody what they have, in three passes.
func TestADropBoxGetsEachFileOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"proftpd", "vsftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{WriteOnly: true}), "up", `upload = { atomic = false }`)
			r.edit("delete = true", "delete = false")
			fill(t, r.local, map[string]string{"one": "1", "two": "22"})
			first := r.once()
			if first.Transferred != 2 || exit(first) != 0 {
				t.Errorf("first pass: %+v", first)
			}
			for _, what := range []string{"second", "third"} {
				if again := r.once(); again.Transferred != 0 || exit(again) != 0 {
					t.Errorf("%s pass: %+v", what, again)
				}
			}
			fill(t, r.local, map[string]string{"two": "changed", "three": "new"})
			if last := r.once(); last.Transferred != 2 || exit(last) != 0 {
				t.Errorf("after changes: %+v", last)
			}
			if diff := cmp.Diff(tree(t, r.local), tree(t, r.remote)); diff != "" {
				t.Errorf("local (-) and remote (+) differ:\n%s", diff)
			}
		})
	}
}

// TestSourcesGoAfterTheirUpload: what has arrived is deleted or moved here, forgotten, and never deleted there.
func TestSourcesGoAfterTheirUpload(t *testing.T) {
	t.Parallel()
	for server, after := range map[string]string{"vsftpd": `"delete"`, "pyftpdlib": `{ move = "done/{now:2006}" }`} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), "up", "after_upload = "+after)
			r.edit("delete = true", "delete = false")
			arrived := map[string]string{}
			for i, content := range []map[string]string{{"a.txt": "first", "in/b.txt": "b"}, {"a.txt": "other"}, {}} {
				fill(t, r.local, content)
				report := r.once()
				if report.Transferred != len(content) || exit(report) != 0 {
					t.Errorf("pass %d: %+v", i+1, report)
				}
				maps.Copy(arrived, content)
				far := tree(t, r.remote)
				delete(far, "in/")
				if diff := cmp.Diff(arrived, far); diff != "" {
					t.Errorf("pass %d: want (-) and remote (+) differ:\n%s", i+1, diff)
				}
			}
			year := "done/" + time.Now().Format("2006") + "/"
			want := map[string]string{"in/": ""}
			if server == "pyftpdlib" {
				want = map[string]string{"in/": "", "done/": "", year: "", year + "in/": "", year + "a.txt": "first", year + "a 2.txt": "other", year + "in/b.txt": "b"}
			}
			if diff := cmp.Diff(want, tree(t, r.local)); diff != "" {
				t.Errorf("want (-) and local (+) differ:\n%s", diff)
			}
		})
	}
}

// TestSourcesGoAfterTheirDownload: what has arrived is deleted or moved on the server, forgotten, and stays here; with a claim
// before it, what another agent has claimed is left to it.
func TestSourcesGoAfterTheirDownload(t *testing.T) {
	t.Parallel()
	for server, after := range map[string]string{"vsftpd": `"delete"`, "proftpd": `{ move = "done/{now:2006}" }`, "pure-ftpd": `{ move = "done" }`} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), "down", "claim = true", "after_download = "+after)
			r.edit("delete = true", "delete = false")
			const others = ".c.txt.ftpferry-claim-0badcafe-7"
			fill(t, r.remote, map[string]string{others: "c"})
			arrived := map[string]string{}
			for i, content := range []map[string]string{{"a.txt": "first", "in/b.txt": "b"}, {"a.txt": "other"}, {}} {
				fill(t, r.remote, content)
				report := r.once()
				if report.Transferred != len(content) || exit(report) != 0 {
					t.Errorf("pass %d: %+v", i+1, report)
				}
				maps.Copy(arrived, content)
				here := tree(t, r.local)
				delete(here, "in/")
				if diff := cmp.Diff(arrived, here); diff != "" {
					t.Errorf("pass %d: want (-) and local (+) differ:\n%s", i+1, diff)
				}
			}
			want := map[string]string{"in/": "", others: "c"}
			if folder := map[string]string{"proftpd": "done/" + time.Now().Format("2006") + "/", "pure-ftpd": "done/"}[server]; folder != "" {
				maps.Copy(want, map[string]string{
					"done/": "", folder: "", folder + "in/": "", folder + "a.txt": "first", folder + "a 2.txt": "other", folder + "in/b.txt": "b",
				})
			}
			if diff := cmp.Diff(want, tree(t, r.remote)); diff != "" {
				t.Errorf("want (-) and remote (+) differ:\n%s", diff)
			}
		})
	}
}

// TestFilesUnderAnotherName are in step under that name, and are sent once.
func TestFilesUnderAnotherName(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"vsftpd", "proftpd"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), "up", `remote_name = "{stem}_{mtime:20060102}{ext}"`)
			r.edit("delete = true", "delete = false")
			fill(t, r.local, map[string]string{"in/a.txt": "first"})
			old := time.Date(2020, 2, 29, 12, 34, 56, 0, time.Local)
			if err := os.Chtimes(filepath.Join(r.local, "in", "a.txt"), old, old); err != nil {
				t.Fatal(err)
			}
			for i, sent := range []int{1, 0, 0} {
				if report := r.once(); report.Transferred != sent || exit(report) != 0 {
					t.Errorf("pass %d: %+v", i+1, report)
				}
			}
			if diff := cmp.Diff(map[string]string{"in/": "", "in/a_20200229.txt": "first"}, tree(t, r.remote)); diff != "" {
				t.Errorf("want (-) and remote (+) differ:\n%s", diff)
			}
		})
	}
}
