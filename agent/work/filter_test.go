package work

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
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
