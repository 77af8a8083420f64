package agent_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// spellings are files whose names are UTF-8, and others whose names are not.
var spellings = map[string]string{"plain": "p", "bytes\xff\xfe": "odd", "raw \xe4/": "", "raw \xe4/in \xf6": "deep", "sub/": "", "sub/grüße.txt": "utf", "top grüße": "1"}

func (r *rig) set(old, new string) {
	r.t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.config, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mustIdle(what string) (report control.SyncReport) {
	r.t.Helper()
	before := len(r.history(control.HistoryFilter{}))
	for range 3 {
		if report = r.once(); report.Transferred+report.Deleted+report.Folders+report.Adopted+report.Unfinished+len(report.Dead) > 0 {
			r.t.Errorf("%s: a pass did something: %+v", what, report)
		}
	}
	if after := len(r.history(control.HistoryFilter{})); after != before {
		r.t.Errorf("%s: %d rows in the history, %d before", what, after, before)
	}
	return report
}

// TestNamesInTwoEncodings: names that are UTF-8 beside others that are not come over as they are, each once, and stay.
func TestNamesInTwoEncodings(t *testing.T) {
	for _, server := range []string{"vsftpd", "proftpd"} {
		for _, direction := range []string{"up", "down"} {
			for _, encoding := range []string{"auto", "latin1"} {
				if direction == "down" && encoding == "latin1" {
					continue // all names become UTF-8 here: see below
				}
				for _, deletes := range []string{"true", "false"} {
					t.Run(strings.Join([]string{server, direction, encoding, "delete " + deletes}, " "), func(t *testing.T) {
						t.Parallel()
						r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), direction)
						r.set("delete = true", "delete = "+deletes)
						r.set("[sync.s]", "encoding = \""+encoding+"\"\n[sync.s]")
						from, to := r.local, r.remote
						if direction == "down" {
							from, to = to, from
						}
						all := maps.Clone(spellings)
						must := func(what string) {
							t.Helper()
							want := all
							if encoding == "latin1" {
								want = map[string]string{}
								for name, content := range all {
									if !strings.Contains(name, "\xff") && !strings.Contains(name, "raw") {
										name = strings.NewReplacer("ü", "\xfc", "ß", "\xdf", "ö", "\xf6").Replace(name)
									}
									want[name] = content
								}
							}
							if report := r.once(); len(report.Conflicts)+len(report.Dead)+report.Unfinished > 0 {
								t.Errorf("%s: %+v", what, report)
							}
							r.mustIdle(what)
							if diff := cmp.Diff(want, tree(t, to)); diff != "" {
								t.Errorf("%s (-want +got):\n%s", what, diff)
							}
							if diff := cmp.Diff(all, tree(t, from)); diff != "" {
								t.Errorf("%s, source (-want +got):\n%s", what, diff)
							}
						}
						fill(t, from, all)
						must("first")
						more := map[string]string{"more ö": "later", "sub/more ö": "later", "bytes\xff\xfe": "changed", "top grüße": "changed"}
						maps.Copy(all, more)
						fill(t, from, more)
						must("new and changed files")
						if deletes == "true" && (server != "vsftpd" || direction != "down") { // there, nobody can tell what is missing
							for _, name := range []string{"bytes\xff\xfe", "top grüße"} {
								delete(all, name)
								if err := os.Remove(filepath.Join(from, name)); err != nil {
									t.Fatal(err)
								}
							}
							must("deleted files")
						}
					})
				}
			}
		}
	}
}

// TestTheEncodingThatIsReadChanges: what has another name by that is neither deleted nor sent again.
func TestTheEncodingThatIsReadChanges(t *testing.T) {
	for _, server := range []string{"vsftpd", "proftpd"} {
		for _, direction := range []string{"up", "down"} {
			t.Run(server+" "+direction, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), direction)
				r.set("[sync.s]", "encoding = \"auto\"\n[sync.s]")
				all := map[string]string{"plain": "p", "bytes\xff\xfe": "odd", "raw \xe4/": "", "raw \xe4/in \xf6": "deep"}
				from := map[string]string{"up": r.local, "down": r.remote}[direction]
				fill(t, from, all)
				if direction == "down" {
					fill(t, from, map[string]string{"ü": "utf-8"})
					r.once()
					if err := os.Remove(filepath.Join(from, "ü")); err != nil {
						t.Fatal(err)
					}
				}
				r.once()
				r.set(`"auto"`, `"latin1"`)
				if direction == "down" {
					r.once() // now it is sure that "ü" is gone
				}
				r.mustIdle("read as latin1")
				for _, root := range []string{r.local, r.remote} {
					if diff := cmp.Diff(all, tree(t, root)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				}
			})
		}
	}
}

// TestStrangersInAnotherEncoding: what may be a file of ours under another name is neither deleted nor gets company.
func TestStrangersInAnotherEncoding(t *testing.T) {
	for _, row := range []struct{ name, first, listed, local string }{
		{"UTF-8 first", "ü", "gr\xfcn", "grün"},
		{"latin1 first", "\xfc", "grün", "grün"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up")
			fill(t, r.local, map[string]string{"a/ü": "1"})
			fill(t, r.remote, map[string]string{"a/" + row.first: "1"})
			r.once() // decides
			before := tree(t, r.remote)
			fill(t, r.remote, map[string]string{"b/" + row.listed: "theirs"})
			fill(t, r.local, map[string]string{"b/" + row.local: "ours", "b/plain": "p"})
			r.once()
			report := r.mustIdle("a stranger")
			if len(report.Conflicts) == 0 || !strings.Contains(report.Conflicts[0].Reason, "two encodings") {
				t.Errorf("%+v", report)
			}
			maps.Copy(before, map[string]string{"b/": "", "b/" + row.listed: "theirs", "b/plain": "p"})
			if diff := cmp.Diff(before, tree(t, r.remote)); diff != "" {
				t.Errorf("on the server (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNamesThatAreOneOnTheServer: of two names here that go over the wire as the same bytes, one is sent.
func TestNamesThatAreOneOnTheServer(t *testing.T) {
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up")
	r.set("[sync.s]", "encoding = \"latin1\"\n[sync.s]")
	fill(t, r.local, map[string]string{"ü": "text", "\xfc": "bytes"})
	r.once()
	report := r.mustIdle("twins")
	if len(report.Conflicts) != 1 || !strings.Contains(report.Conflicts[0].Reason, "rename one") {
		t.Errorf("%+v", report)
	}
	if diff := cmp.Diff(map[string]string{"\xfc": "text"}, tree(t, r.remote)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
