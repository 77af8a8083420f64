package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

// blind is a server that may not tell upper and lower case apart.
type blind struct {
	model
	fact string
}

func (b blind) Facts() ftpclient.Facts { return ftpclient.Facts{CaseInsensitive: b.fact} }

const nfc, nfd = "\u00fc", "u\u0308"

func TestClashes(t *testing.T) {
	for _, test := range []struct {
		name      string
		direction plan.Direction
		cases     string // what is known of the server
		here, far []string
		paths     []string
		want      []string
	}{
		{"names in other case go to a server that tells them apart", plan.Up, "no", []string{"a", "A", "z"}, []string{"z"}, nil,
			[]string{"upload A", "upload a"}},
		{"none of them goes to one that does not", plan.Up, "yes", []string{"a", "A", "B", "z"}, []string{"z"}, nil,
			[]string{"upload B", "conflict A", "conflict a"}},
		{"the other name is on the server only", plan.Up, "yes", []string{"a", "z"}, []string{"A", "z"}, nil, []string{"conflict A", "conflict a"}},
		{"three of them", plan.Up, "yes", []string{"aB", "ab", "z"}, []string{"Ab", "z"}, nil, []string{"conflict Ab", "conflict aB", "conflict ab"}},
		{"folders, with all that is in them", plan.Up, "yes", []string{"d/1", "D/2", "z"}, []string{"z"}, nil, []string{"conflict D", "conflict d"}},
		{"letters beyond ASCII", plan.Up, "yes", []string{"Ä", "ä", "z"}, []string{"z"}, nil, []string{"conflict Ä", "conflict ä"}},
		{"the server is asked for what is there in other case", plan.Up, "", []string{"a", "A", "z"}, []string{"z"}, nil, []string{"upload A", "upload a"}},
		{"nothing is known, and nothing is there: the first one goes", plan.Up, "", []string{"a", "A"}, nil, nil, []string{"upload A", "conflict a"}},
		{"on their way here the local side counts", plan.Down, "yes", []string{"z"}, []string{"a", "A", "z"}, nil, []string{"download A", "download a"}},

		{"both forms of Unicode here", plan.Up, "no", []string{nfc, nfd, "z"}, []string{"z"}, nil, []string{"conflict " + nfd, "conflict " + nfc}},
		{"both forms on the server", plan.Down, "no", []string{"z"}, []string{nfc, nfd, "z"}, nil, []string{"conflict " + nfd, "conflict " + nfc}},
		{"one form here and the other one there", plan.Up, "no", []string{nfd, "z"}, []string{nfc, "z"}, nil, []string{"conflict " + nfd, "conflict " + nfc}},
		{"the same form on both sides", plan.Up, "no", []string{nfd, "z"}, []string{nfd, "z"}, nil, []string{"agree " + nfd}},

		{"a single path in other case", plan.Up, "yes", []string{"a", "A", "z"}, []string{"z"}, []string{"a"}, []string{"conflict a"}},
		{"a single path with capitals", plan.Up, "yes", []string{"a", "A", "z"}, []string{"z"}, []string{"A"}, []string{"conflict A"}},
		{"a single path without a namesake", plan.Up, "yes", []string{"a", "B", "z"}, []string{"z"}, []string{"a"}, []string{"upload a"}},
		{"a single path in another form of Unicode", plan.Up, "no", []string{nfd, "z"}, []string{nfc, "z"}, []string{nfd}, []string{"conflict " + nfd}},
		{"a single path in the form that is there", plan.Up, "no", []string{nfd, nfc, "z"}, []string{nfc, "z"}, []string{nfc}, []string{"conflict " + nfc}},
		{"a single path that is gone and lives on in the other form", plan.Up, "no", []string{nfc, "z"}, []string{nfd, "z"}, []string{nfd}, []string{"conflict " + nfd}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, test.direction)
			fill(t, r.local, test.here...)
			far := blind{model{}, test.cases}
			for _, name := range test.far {
				far.model[name] = entry.Entry{Kind: entry.File, Size: int64(len(name)), ModTime: longAgo}
			}
			r.remote = &Remote{Conn: far, Root: "/"}
			r.remember("z")
			result := r.scan(test.paths...)
			got := slices.DeleteFunc(said(result), func(word string) bool { return strings.HasSuffix(word, " z") })
			if !slices.Equal(got, test.want) {
				t.Errorf("%q", got)
			}
			for _, n := range result.Plan.Notes {
				if !strings.Contains(n.Text, "rename") && !strings.Contains(n.Text, "doctor") {
					t.Errorf("no cure in %q", n.Text)
				}
			}
		})
	}
}

// TestClashesOfWhatTakesPartOnly: a name that is left out harms none.
func TestClashesOfWhatTakesPartOnly(t *testing.T) {
	r := newRig(t, plan.Up)
	r.filter = NewFilter(FilterOptions{Exclude: []string{"A"}})
	fill(t, r.local, "a", "A")
	r.remote = &Remote{Conn: blind{model{}, "yes"}, Root: "/"}
	r.want(r.scan(), "upload a")
}

// TestKnownNamesThatClash are not deleted either, and what is known of them stays.
func TestKnownNamesThatClash(t *testing.T) {
	r := newRig(t, plan.Up)
	far := blind{model{}, "no"}
	for _, name := range []string{nfc, "z"} {
		r.inStep(name)
		far.model[name] = r.base[name].Remote
	}
	r.remote = &Remote{Conn: far, Root: "/"}
	if err := os.Rename(filepath.Join(r.local, nfc), filepath.Join(r.local, nfd)); err != nil {
		t.Fatal(err)
	}
	r.want(r.scan(), "conflict "+nfd, "conflict "+nfc)
	r.remote = nil
	r.want(r.scan(), "conflict "+nfd, "conflict "+nfc)
	r.want(r.scan(nfc), "conflict "+nfc)
	r.want(r.scan(nfd), "conflict "+nfd)
}

// TestCaseOnRealServers: they all tell upper and lower case apart, and so both names are sent.
func TestCaseOnRealServers(t *testing.T) {
	for _, name := range []string{"pure-ftpd", "vsftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFarRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), plan.Up)
			fill(t, r.local, "Makefile", "makefile", "d/X", "d/x")
			r.want(r.scan(), "upload Makefile", "make_remote_dir d", "upload d/X", "upload d/x", "upload makefile")
		})
	}
}

func TestLocalCase(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "file", "other")
	probe := filepath.Join(dir, "FILE")
	_, err := os.Stat(probe)
	w := &walker{request: Request{Local: openRoot(t, dir)}}
	if got := w.localIsBlind(siblings{here: []Named{{Name: "file"}}}); got != (err == nil) {
		t.Errorf("%v, and looking for %s: %v", got, probe, err)
	}
	if got := w.localIsBlind(siblings{}); got != (err == nil) {
		t.Errorf("%v by the name of the folder", got)
	}
	if os.Link(filepath.Join(dir, "file"), probe) == nil { // as it looks where both are one
		if !w.localIsBlind(siblings{here: []Named{{Name: "file"}}}) {
			t.Error("one file with two names is not seen")
		}
		if w.localIsBlind(siblings{here: []Named{{Name: "FILE"}, {Name: "file"}}}) {
			t.Error("both names are listed")
		}
	}
}

func TestUnstorableNames(t *testing.T) {
	long := strings.Repeat("ü", 130)
	for _, test := range []struct {
		name                   string
		linux, windows, darwin bool
	}{
		{"plain.txt", true, true, true},
		{"a:b", true, false, true}, {"a?", true, false, true}, {"*", true, false, true}, {`a"b`, true, false, true}, {"a|b", true, false, true},
		{"<", true, false, true}, {">", true, false, true}, {`a\b`, true, false, true}, {"a\x01", true, false, true},
		{"a.", true, false, true}, {"a ", true, false, true}, {" a", true, true, true}, {".a", true, true, true},
		{"CON", true, false, true}, {"con.txt", true, false, true}, {"Nul.tar.gz", true, false, true}, {"aux ", true, false, true}, {"aux .c", true, false, true},
		{"COM1", true, false, true}, {"lpt9.x", true, false, true}, {"com¹", true, false, true}, {"COM0", true, true, true}, {"COM10", true, true, true},
		{"console", true, true, true}, {"conin$", true, false, true}, {"prn", true, false, true}, {"com", true, true, true},
		{long, false, true, true}, {strings.Repeat("a", 255), true, true, true}, {strings.Repeat("a", 256), false, false, false},
		{strings.Repeat("😀", 128), false, false, false},
	} {
		for system, want := range map[string]bool{"linux": test.linux, "windows": test.windows, "darwin": test.darwin} {
			if why := unstorable(test.name, system); (why == "") != want || why != "" && !strings.Contains(why, "on the server") {
				t.Errorf("%q on %s: %q", test.name, system, why)
			}
		}
	}
}

// TestTooLongNames from a server are not fetched.
func TestTooLongNames(t *testing.T) {
	r := newRig(t, plan.Down)
	long := strings.Repeat("x", 256)
	r.remote = &Remote{Conn: model{long: {Kind: entry.File, ModTime: longAgo}, "y": {Kind: entry.File, ModTime: longAgo}}, Root: "/"}
	result := r.scan()
	r.want(result, "download y", "skip "+long)
	if text := tooLong(plan.Item{Path: "d/" + long, Local: plan.Side{Entry: entry.Entry{Kind: entry.File}}}); !strings.Contains(text, "256 bytes") {
		t.Errorf("on their way up: %q", text)
	}
}

func FuzzKeys(f *testing.F) {
	for _, name := range []string{"a", "A", nfc, nfd, "\xff", "İ", "ß", "ſ", "\u212b", "한글"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key := keyOf(name)
		if plainName(name) && key != name {
			t.Errorf("the key of %q is %q", name, key)
		}
		for _, same := range []string{norm.NFC.String(name), norm.NFD.String(name), swapCase(name)} {
			if other := keyOf(same); other != key {
				t.Errorf("%q and %q: keys %q and %q", name, same, key, other)
			}
		}
	})
}

func BenchmarkClashing(b *testing.B) {
	for name, form := range map[string]string{"lower case": "file-%06d.txt", "upper case": "IMG_%06d.JPG", "Unicode": "übung-%06d.txt"} {
		b.Run(name, func(b *testing.B) {
			names := make([]Named, 100_000)
			for i := range names {
				names[i].Name = fmt.Sprintf(form, i)
			}
			w := &walker{request: Request{Rules: plan.Rules{Direction: plan.Both}}}
			b.ReportAllocs()
			for b.Loop() {
				if found, err := w.clashing(b.Context(), siblings{here: names, far: names}); len(found) > 0 || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// TestPlainNamesCostNothing however many there are.
func TestPlainNamesCostNothing(t *testing.T) {
	names := []Named{{Name: "a"}, {Name: "b.txt"}, {Name: "c-1_2"}}
	w := &walker{}
	if n := testing.AllocsPerRun(100, func() { w.clashing(t.Context(), siblings{here: names, far: names}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
