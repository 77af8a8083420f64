package work

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatTakesNoPartAnyMoreIsNotSent, whatever was planned before.
func TestWhatTakesNoPartAnyMoreIsNotSent(t *testing.T) {
	b := newBench(t, ftptest.Real(t, "pure-ftpd", ftptest.RealOptions{}))
	b.write("d/x.txt", "content")
	for _, test := range []struct {
		name, lines string
		options     scan.FilterOptions
		want        string
	}{
		{"a rule of the configuration", "", scan.FilterOptions{Exclude: []string{"*.txt"}}, `"*.txt" (exclude)`},
		{"a folder above", "", scan.FilterOptions{Exclude: []string{"d/"}}, `"d/" (exclude)`},
		{"a file of rules", "# mine\n*.txt", scan.FilterOptions{IgnoreFile: ".ferryignore"}, `"*.txt" (d/.ferryignore, line 2)`},
		{"rules that nobody understands", "[", scan.FilterOptions{IgnoreFile: ".ferryignore"}, "d/.ferryignore, line 1"},
		{"its size", "", scan.FilterOptions{MaxSize: 3}, "size or age"},
		{"its age", "", scan.FilterOptions{MaxAge: time.Minute}, "size or age"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.write("d/.ferryignore", test.lines)
			b.sync.Filter = scan.NewFilter(test.options)
			if o := b.upload(t.Context(), "d/x.txt", 1); o.Result != Stale || !o.Replan || !strings.Contains(o.Reason, test.want) {
				t.Errorf("%v, %q, %v", o.Result, o.Reason, o.Err)
			}
			if sent := b.said("STOR"); len(sent) > 0 {
				t.Errorf("%q", sent)
			}
		})
	}
	b.sync.Filter = scan.NewFilter(scan.FilterOptions{IgnoreFile: ".ferryignore", MinSize: 1, MaxSize: 100, MinAge: time.Hour})
	b.write("d/.ferryignore", "*.tmp")
	b.place("d/other", "", 0o666) // the folder
	b.mustUpload("d/x.txt", 1)
}

// TestWhatTakesNoPartAnyMoreLeavesNothing: of what was cut off before a rule left the folder out, in which no scan looks for it then.
func TestWhatTakesNoPartAnyMoreLeavesNothing(t *testing.T) {
	temp := "d/" + scan.TempName("x.txt", instance, 7, 1)
	claimed := "d/" + scan.ClaimName("x.txt", instance, 7)
	excluded := scan.NewFilter(scan.FilterOptions{Exclude: []string{"d/"}})
	t.Run("upload", func(t *testing.T) {
		b := newBench(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}))
		b.sync.Filter = excluded
		b.write("d/x.txt", "content")
		b.offer(temp, "con")
		mustBe(t, Stale, b.upload(t.Context(), "d/x.txt", 30)) // the server was down for long
		if left := b.far(temp); left.Entry.Kind != entry.Absent {
			t.Error("the temporary file is left on the server")
		}
	})
	t.Run("upload after which the file goes", func(t *testing.T) {
		b := newBench(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}))
		b.sync.Filter, b.sync.Upload.After.Delete = excluded, true
		b.write("d/x.txt", "content")
		op := b.planned(plan.Upload, "d/x.txt")
		if err := os.Rename(filepath.Join(b.local, "d/x.txt"), filepath.Join(b.local, claimed)); err != nil {
			t.Fatal(err)
		}
		mustBe(t, Stale, b.do(t.Context(), op, 2))
		if left := b.here(claimed); left.Entry.Kind != entry.Absent {
			t.Error("the file that was sent is left under the name that it had before it was to go")
		}
	})
	t.Run("download", func(t *testing.T) {
		b := newBench(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}))
		b.sync.Filter, b.sync.Rules.Direction, b.sync.Download.Claim = excluded, plan.Down, true
		b.offer("d/x.txt", "content")
		op := b.planned(plan.Download, "d/x.txt")
		b.offer(claimed, "content")
		if err := os.Remove(filepath.Join(b.remote, "d/x.txt")); err != nil {
			t.Fatal(err)
		}
		b.write(temp, "con")
		mustBe(t, Stale, b.download(t.Context(), op, 30))
		if left := b.here(temp); left.Entry.Kind != entry.Absent {
			t.Error("the temporary file is left here")
		}
		if left := b.far(claimed); left.Entry.Kind != entry.Absent {
			t.Error("the file on the server still has the name of a claim")
		}
		if back := b.far("d/x.txt"); back.Entry.Kind != entry.File {
			t.Error("the file on the server has not got its name back")
		}
	})
}

// TestChangedRulesAreAboutBothSides: what they do not leave out any more may be on the server.
func TestChangedRulesAreAboutBothSides(t *testing.T) {
	s := marked{last: 3, marks: []state.Dirty{{Path: "d/.rules", Mark: 2}}}
	e, _ := scanEnv(t, s, "d/.rules")
	if o := Do(t.Context(), e, lookJob(t, nil)); errors.Is(o.Err, errNoServer) {
		t.Error("any file makes a look ask the server")
	}
	e.Sync.Filter = scan.NewFilter(scan.FilterOptions{IgnoreFile: ".rules"})
	if o := Do(t.Context(), e, lookJob(t, nil)); !errors.Is(o.Err, errNoServer) {
		t.Errorf("the server was not asked: %v", o.Err)
	}
}
