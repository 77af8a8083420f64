package ftpclient_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

func unixLine(name string) string {
	return "-rw-r--r--   1 ferry ferry  5 Jan 02  2024 " + name + "\r\n"
}

func mlsdLine(name string) string { return "type=file;size=5;modify=20240102030405; " + name + "\r\n" }

var cwd = ftptest.Step{Expect: "CWD /d", Send: "250 ok"}

// sent is EPSV and a listing by command.
func sent(command string, lines ...string) steps {
	return download(command, strings.Join(lines, ""), "226 done")
}

func TestList(t *testing.T) {
	itself := "drwxr-xr-x   2 ferry ferry  5 Jan 02  2024 .\r\ndrwxr-xr-x   2 ferry ferry  5 Jan 02  2024 ..\r\n"
	a, b, hidden := unixLine("a"), unixLine("b"), unixLine(".h")
	known := func(all string) func(*ftpclient.Options) {
		return func(o *ftpclient.Options) { o.Facts.ListAll = all }
	}
	server := func(kind string) func(*ftpclient.Options) {
		return func(o *ftpclient.Options) { o.Facts.Server = kind }
	}
	epsv := ftpclient.Facts{Channels: remembered("passive EPSV")}
	with := func(change func(*ftpclient.Facts)) ftpclient.Facts {
		f := epsv
		change(&f)
		return f
	}
	listsAll := with(func(f *ftpclient.Facts) { f.ListAll = "yes" })
	listsSome := with(func(f *ftpclient.Facts) { f.ListAll = "no" })
	broken := with(func(f *ftpclient.Facts) { f.MLSDBroken, f.ListAll = true, "no" })
	tests := []struct {
		name       string
		features   string
		script     steps
		change     func(*ftpclient.Options)
		want       outcome
		names      []string
		unparsed   []string
		incomplete string // a part of it
		hidden     bool
		facts      ftpclient.Facts
	}{
		{name: "MLSD is taken where it is listed", features: "MLST type*;size*;modify*",
			script: steps{cwd}.then(sent("MLSD", mlsdLine("a"), mlsdLine("b c"))...),
			names:  []string{"a", "b c"}, facts: epsv},
		{name: "an empty folder is empty", features: "MLSD", script: steps{cwd}.then(sent("MLSD")...), facts: epsv},
		{name: "a folder that cannot be entered is not listed",
			script: talk("CWD /d", "550 no"), want: outcome{code: 550, class: ftpclient.ClassPermanent}},
		{name: "MLSD that is refused gives way to LIST, for good", features: "MLST", change: known("no"),
			script: steps{cwd, passive}.then(talk("MLSD", "502 what?")...).then(sent("LIST", a)...),
			names:  []string{"a"}, facts: broken},
		{name: "MLSD that nobody can read gives way to LIST, for good", features: "MLST", change: known("no"),
			script: steps{cwd}.then(sent("MLSD", "what's this\r\n")...).then(sent("LIST", a)...),
			names:  []string{"a"}, facts: broken},
		{name: "MLSD of a folder that has gone by now says nothing about MLSD", features: "MLST", change: server("pyftpdlib"),
			script: steps{cwd, passive}.then(talk("MLSD", "501 No such directory.")...), want: outcome{is: fs.ErrNotExist, code: 501, class: ftpclient.ClassPermanent}},
		{name: "MLSD that is refused as LIST is may be about the folder", features: "MLST", change: known("no"),
			script: steps{cwd, passive}.then(talk("MLSD", "501 no")...).then(passive).then(talk("LIST", "550 no")...),
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}, facts: listsSome},
		{name: "a name that cannot be says nothing about MLSD", features: "MLST",
			script: steps{cwd}.then(sent("MLSD", "type=file;size=1; a/b\r\n")...), unparsed: []string{"type=file;size=1; a/b"}, incomplete: "1 lines", facts: epsv},
		{name: "MLSD without rights is an error where LIST shows nothing", features: "MLST", change: known("no"),
			script: steps{cwd, passive}.then(talk("MLSD", "550 Permission denied")...).then(sent("LIST")...),
			want:   outcome{is: fs.ErrPermission, code: 550, class: ftpclient.ClassPermanent}, facts: listsSome},
		{name: "MLSD without rights is an error where LIST is one", features: "MLST", change: known("no"),
			script: steps{cwd, passive}.then(talk("MLSD", "550 Permission denied")...).then(passive).then(talk("LIST", "450 later")...),
			want:   outcome{is: fs.ErrPermission, code: 550, class: ftpclient.ClassPermanent}, facts: listsSome},
		{name: "MLSD that is forbidden gives way to LIST that shows something, for good", features: "MLST", change: known("no"),
			script: steps{cwd, passive}.then(talk("MLSD", "550 Unable to handle command")...).then(sent("LIST", a)...),
			names:  []string{"a"}, facts: broken},
		{name: "MLSD that is forbidden gives way to LIST that shows the folder itself", features: "MLST", change: known("yes"),
			script: steps{cwd, passive}.then(talk("MLSD", "550 Operation not permitted")...).then(sent("LIST -a", itself)...), hidden: true,
			facts: with(func(f *ftpclient.Facts) { f.MLSDBroken, f.ListAll = true, "yes" })},
		{name: "MLSD of a folder that has gone by now is an error", features: "MLST",
			script: steps{cwd, passive}.then(talk("MLSD", "550 /d: No such file or directory")...),
			want:   outcome{is: fs.ErrNotExist, code: 550, class: ftpclient.ClassPermanent}},
		{name: "LIST -a shows more and is taken from then on",
			script: steps{cwd}.then(sent("LIST", "total 3\r\n", a)...).then(sent("LIST -a", hidden, a)...),
			names:  []string{".h", "a"}, hidden: true, facts: listsAll},
		{name: "LIST -a that is known to work is taken at once", change: known("yes"),
			script: steps{cwd}.then(sent("LIST -a", hidden, a)...), names: []string{".h", "a"}, hidden: true, facts: listsAll},
		{name: "LIST -a that is refused though it worked is another server's", change: known("yes"),
			script: steps{cwd, passive}.then(talk("LIST -a", "550 -a: No such file or directory")...).then(sent("LIST", a)...), names: []string{"a"}, facts: epsv},
		{name: "LIST -a that shows nothing though it worked is another server's", change: known("yes"),
			script: steps{cwd}.then(sent("LIST -a")...).then(sent("LIST", a)...), names: []string{"a"}, facts: epsv},
		{name: "LIST -a that shows nothing, as LIST does", change: known("yes"),
			script: steps{cwd}.then(sent("LIST -a")...).then(sent("LIST")...), facts: listsAll},
		{name: "LIST -a that shows the folder itself shows all", change: known("yes"),
			script: steps{cwd}.then(sent("LIST -a", itself)...), hidden: true, facts: listsAll},
		{name: "LIST -a shows all of an empty folder if it shows the folder itself",
			script: steps{cwd}.then(sent("LIST")...).then(sent("LIST -a", itself)...), hidden: true, facts: epsv},
		{name: "a folder with a dot at its end is not the folder itself", change: known("no"), script: steps{cwd}.
			then(sent("LIST", "drwxr-xr-x   2 ferry ferry  5 Jan 02  2024 a .\r\n")...), names: []string{"a ."}, facts: listsSome},
		{name: "LIST -a and LIST that are both refused", change: known("yes"),
			script: steps{cwd, passive}.then(talk("LIST -a", "550 -a: No such file or directory")...).then(passive).then(talk("LIST", "451 disk error")...),
			want:   outcome{code: 451, class: ftpclient.ClassRetry}},
		{name: "LIST -a that is known not to work is not taken", change: known("no"),
			script: steps{cwd}.then(sent("LIST", a)...), names: []string{"a"}, facts: listsSome},
		{name: "LIST -a that shows nothing is given up",
			script: steps{cwd}.then(sent("LIST", a, b)...).then(sent("LIST -a")...), names: []string{"a", "b"}, facts: listsSome},
		{name: "LIST -a that is refused is given up",
			script: steps{cwd}.then(sent("LIST", a)...).then(passive).then(talk("LIST -a", "550 -a: no such file")...),
			names:  []string{"a"}, facts: listsSome},
		{name: "LIST -a that fails for the moment proves nothing",
			script: steps{cwd}.then(sent("LIST", a)...).then(passive).then(talk("LIST -a", "450 later")...),
			names:  []string{"a"}, facts: epsv},
		{name: "LIST -a that lacks a name proves nothing: it may have gone",
			script: steps{cwd}.then(sent("LIST", a, b)...).then(sent("LIST -a", hidden, b)...), names: []string{"a", "b"}, facts: epsv},
		{name: "an empty folder proves nothing about LIST -a",
			script: steps{cwd}.then(sent("LIST")...).then(sent("LIST -a")...), facts: epsv},
		{name: "lines that nobody can read make a listing incomplete and are kept", change: known("no"),
			script: steps{cwd}.then(sent("LIST", a, "ls: d: Input/output error\r\n", b)...), names: []string{"a", "b"},
			unparsed: []string{"ls: d: Input/output error"}, incomplete: "1 lines cannot be read", facts: listsSome},
		{name: "MLSD lines that nobody can read make a listing incomplete and are kept", features: "MLST",
			script: steps{cwd}.then(sent("MLSD", mlsdLine("a"), "type=file; ../x\r\n")...), names: []string{"a"},
			unparsed: []string{"type=file; ../x"}, incomplete: "1 lines", facts: epsv},
		{name: "a server that cuts a listing short says so", change: known("no"),
			script: steps{cwd}.then(download("LIST", a, "226-Options: -l\n226 Output truncated to 1 matches")...),
			names:  []string{"a"}, incomplete: "cut it short", facts: listsSome},
		{name: "a listing that breaks off is none, and the server says why", change: known("no"),
			script: steps{cwd, passive, {Expect: "LIST", Send: "150 go", Data: &ftptest.Data{Send: a, End: ftptest.Reset}}, {Send: "451 disk error"}},
			want:   outcome{code: 451, class: ftpclient.ClassRetry}},
		{name: "an empty folder may be a refusal", script: steps{cwd, passive}.then(talk("LIST", "550 No files found.")...), facts: ftpclient.Facts{ListAll: "no"}, change: known("no")},
		{name: "an empty folder may be a passing refusal", change: known("no"),
			script: steps{cwd, passive}.then(talk("LIST", "450 No files found")...), facts: ftpclient.Facts{ListAll: "no"}},
		{name: "an empty folder may be a refusal after the beginning", change: known("no"),
			script: steps{cwd}.then(download("LIST", "", "550 No members found.")...), facts: ftpclient.Facts{ListAll: "no"}},
		{name: "an empty folder is not one that showed something", change: known("no"),
			script: steps{cwd}.then(download("LIST", a, "550 No files found.")...), want: outcome{code: 550, class: ftpclient.ClassPermanent}},
		{name: "an empty folder is not one whose data were cut", change: known("no"),
			script: steps{cwd, passive, {Expect: "LIST", Send: "150 go", Data: &ftptest.Data{End: ftptest.Reset}}, {Send: "550 No files found."}},
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}},
		{name: "a refusal that leaves it open proves nothing", change: known("no"),
			script: steps{cwd, passive}.then(talk("LIST", "550 No files found or invalid directory or permission problem")...),
			want:   outcome{code: 550, class: ftpclient.ClassPermanent}},
		{name: "a refusal of something else is no empty folder", change: known("no"),
			script: steps{cwd, passive}.then(talk("LIST", "550 The system cannot find the file specified.")...),
			want:   outcome{is: fs.ErrNotExist, code: 550, class: ftpclient.ClassPermanent}},
		{name: "only ls has options", script: steps{cwd}.then(sent("LIST", "01-02-24  03:04AM  5 a\r\n")...), facts: listsSome, names: []string{"a"}},
		{name: "a listing that the server calls failed is none", change: known("no"),
			script: steps{cwd}.then(download("LIST", a, "426 cut")...), want: outcome{code: 426, class: ftpclient.ClassConnection}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.change == nil {
				test.change = func(*ftpclient.Options) {}
			}
			conn, _ := connect(t, session(test.features, test.script), test.change)
			l, err := conn.List(t.Context(), "/d")
			test.want.check(t, err)
			if err != nil {
				return
			}
			if diff := cmp.Diff(append([]string{}, test.names...), namesOf(l)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.unparsed, l.Unparsed); diff != "" {
				t.Errorf("unparsed (-want +got):\n%s", diff)
			}
			if test.incomplete == "" != (l.Incomplete == "") || !strings.Contains(l.Incomplete, test.incomplete) {
				t.Errorf("incomplete: %q, want %q", l.Incomplete, test.incomplete)
			}
			if l.Hidden != test.hidden {
				t.Errorf("hidden names: %v", l.Hidden)
			}
			if diff := cmp.Diff(test.facts, conn.Facts(), anyTime()); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAListingOverTheLimitIsGivenUp(t *testing.T) {
	endless := &ftptest.Data{Send: strings.Repeat(unixLine("a"), 10)}
	conn, _ := connect(t, session("", steps{cwd, passive, {Expect: "LIST", Send: "150 go", Data: endless}}.then(aborted...)))
	conn.LimitListing(100)
	_, err := conn.List(t.Context(), "/d")
	outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}.check(t, err)
	if !conn.Usable() {
		t.Error("the connection is lost")
	}
}

// TestListingsLeaveEachOtherAlone: what was read stays as it is while other texts are read into the same memory.
func TestListingsLeaveEachOtherAlone(t *testing.T) {
	const files = 500
	text := func(prefix string) (lines string) {
		for i := range files {
			lines += "modify=20240102030405;perm=adfrw;size=5;type=file;unique=801U1E0B;UNIX.group=65534;UNIX.groupname=nogroup;UNIX.mode=0644;" +
				fmt.Sprintf("UNIX.owner=106;UNIX.ownername=ftp; %s-%03d\r\n", prefix, i)
		}
		return lines
	}
	var script steps
	for _, prefix := range []string{"first", "second", "third"} {
		script = script.then(cwd).then(sent("MLSD", text(prefix))...)
	}
	conn, _ := connect(t, session("MLST type*;size*;modify*", script))
	var all []ftpclient.Listing
	for range 3 {
		l, err := conn.List(t.Context(), "/d")
		if err != nil || len(l.Entries) != files {
			t.Fatalf("%d entries, %v", len(l.Entries), err)
		}
		all = append(all, l)
	}
	for i, prefix := range []string{"first", "second", "third"} {
		if got, want := all[i].Entries[files-1].Name, fmt.Sprintf("%s-%03d", prefix, files-1); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTextsOfAListingThatIsCutShort(t *testing.T) {
	for _, text := range []string{"226 Output truncated to 2000 matches", "226 Listing incomplete", "250 Too many files, list limited to 1000",
		"226 Transfer complete. Limit exceeded."} {
		conn, _ := connect(t, session("", steps{cwd}.then(download("LIST", unixLine("a"), text)...)),
			func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
		if l, err := conn.List(t.Context(), "/d"); err != nil || l.Incomplete == "" {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
	}
}

func TestTheZoneOfListingsIsLearned(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Minute)
	local := func(at time.Time) string { return at.Add(-4 * time.Hour).Format("Jan 02 15:04") }
	told := now.Add(42 * time.Second).Format("20060102150405")
	line := func(name, date string) string { return "-rw-r--r--   1 ferry ferry  5 " + date + " " + name + "\r\n" }
	young, old := line("young", local(now)), line("old", local(now.AddDate(0, 0, -40)))
	month := now.Add(-4 * time.Hour).Format("2006-01")
	tests := []struct {
		name     string
		features string
		lines    []string
		script   steps
		change   func(*ftpclient.Options)
		ages     map[string]time.Duration // in the listing, beside those of the script
		coarse   map[string]bool          // told to an hour
		precise  map[string]time.Duration // the precision, where it is something else
		offset   int
		month    string
	}{
		{name: "the youngest file teaches, files of other months may be an hour off", features: "MDTM", lines: []string{old, young},
			script: talk("MDTM /d/young", "213 "+told), ages: map[string]time.Duration{"young": 0, "old": 40 * 24 * time.Hour},
			coarse: map[string]bool{"old": true}, offset: -14400, month: month},
		{name: "without MDTM times are taken for UTC", lines: []string{young}, ages: map[string]time.Duration{"young": 4 * time.Hour},
			precise: map[string]time.Duration{"young": time.Minute}},
		{name: "a file that is gone teaches nothing", features: "MDTM", lines: []string{young}, script: talk("MDTM /d/young", "550 no"),
			ages: map[string]time.Duration{"young": 4 * time.Hour}, precise: map[string]time.Duration{"young": 14*time.Hour + time.Minute}},
		{name: "a file that is fifteen hours off teaches nothing", features: "MDTM", lines: []string{young},
			script: talk("MDTM /d/young", "213 "+now.Add(11*time.Hour).Format("20060102150405")), ages: map[string]time.Duration{"young": 4 * time.Hour}},
		{name: "a date without a time is moved so that the whole day is less than a day off", features: "MDTM", lines: []string{young, unixLine("dated")},
			script: talk("MDTM /d/young", "213 "+told), offset: -14400, month: month, precise: map[string]time.Duration{"dated": list.Day},
			ages: map[string]time.Duration{"young": 0, "dated": now.Sub(time.Date(2024, 1, 2, 5, 0, 0, 0, time.UTC))}},
		{name: "a date without a time stays in the east", features: "MDTM", lines: []string{unixLine("dated")}, offset: 14400, month: month,
			change: func(o *ftpclient.Options) { o.Facts.ListZone.Offset, o.Facts.ListZone.Month = 14400, month },
			ages:   map[string]time.Duration{"dated": now.Sub(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC))}},
		{name: "a time of no zone teaches nothing", features: "MDTM", lines: []string{young},
			script: talk("MDTM /d/young", "213 "+now.Add(7*time.Minute).Format("20060102150405")), ages: map[string]time.Duration{"young": 4 * time.Hour}},
		{name: "folders and dates without a time teach nothing", features: "MDTM",
			lines: []string{unixLine("a"), "d" + young[1:]}, ages: map[string]time.Duration{"young": 4 * time.Hour}},
		{name: "what was learned this month is not asked again", features: "MDTM", lines: []string{young},
			change: func(o *ftpclient.Options) { o.Facts.ListZone.Offset, o.Facts.ListZone.Month = -14400, month },
			ages:   map[string]time.Duration{"young": 0}, offset: -14400, month: month},
		{name: "what was learned another month is learned again", features: "MDTM", lines: []string{young}, script: talk("MDTM /d/young", "213 "+told),
			change: func(o *ftpclient.Options) { o.Facts.ListZone.Offset, o.Facts.ListZone.Month = -18000, "2001-01" },
			ages:   map[string]time.Duration{"young": 0}, offset: -14400, month: month},
		{name: "a location says it all", features: "MDTM", lines: []string{old, young},
			change: func(o *ftpclient.Options) { o.ListLocation = time.FixedZone("", -14400) },
			ages:   map[string]time.Duration{"young": 0, "old": 40 * 24 * time.Hour}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, steps{cwd}.then(sent("LIST", test.lines...)...).then(test.script...)),
				func(o *ftpclient.Options) { o.Facts.ListAll = "no" }, func(o *ftpclient.Options) {
					if test.change != nil {
						test.change(o)
					}
				})
			l, err := conn.List(t.Context(), "/d")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range l.Entries {
				age, ok := test.ages[e.Name]
				if ok && !e.ModTime.Equal(now.Add(-age)) {
					t.Errorf("%s is of %v, %v ago, want %v", e.Name, e.ModTime, now.Sub(e.ModTime), age)
				}
				if width, ok := test.precise[e.Name]; ok && e.Precision != width {
					t.Errorf("%s: precision %v, want %v", e.Name, e.Precision, width)
				}
				if coarse := e.Precision == time.Hour+time.Minute; ok && coarse != test.coarse[e.Name] {
					t.Errorf("%s: precision %v", e.Name, e.Precision)
				}
			}
			if f := conn.Facts(); f.ListZone.Offset != test.offset || f.ListZone.Month != test.month {
				t.Errorf("learned %d in %q, want %d in %q", f.ListZone.Offset, f.ListZone.Month, test.offset, test.month)
			}
		})
	}
}

// The words for an empty folder count when somebody saw that nothing came with them.
func TestWordsForAnEmptyFolderBesideDataThatNobodySaw(t *testing.T) {
	t.Parallel()
	script := secureOpen(&ftptest.TLS{Config: certified(t, tls.VersionTLS12)}, steps{cwd, passive, {Expect: "LIST", Send: "150 go\n550 No files found."}}.
		then(talk("NOOP", "200 here", "QUIT", "221 bye")...))
	conn, _ := connect(t, script, secure, func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
	_, err := conn.List(t.Context(), "/d")
	if e, ok := err.(*ftpclient.Error); !ok || e.Code != 550 || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := conn.Noop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMLSDAndMLSTThatAreForbidden and still listed: what they would tell is asked for in other ways.
func TestMLSDAndMLSTThatAreForbidden(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "proftpd", ftptest.RealOptions{Deny: []string{"MLSD", "MLST"}})
	conn := dial(t, t.Context(), server.Addr, optionsFor(server, securities[0]))
	if !conn.Features().Has("MLST") {
		t.Fatal("MLST is not listed")
	}
	store := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(server.Root, name), []byte("five5"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	store("f")
	if entry, found, err := conn.StatFile(t.Context(), "/f"); err != nil || !found || entry.Size != 5 {
		t.Errorf("a file: %+v, %v, %v", entry, found, err)
	}
	if err := os.Mkdir(filepath.Join(server.Root, "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string][]string{"/empty": {}, "/": {"empty", "f"}} {
		l, err := conn.List(t.Context(), folder)
		if err != nil || l.Incomplete != "" {
			t.Errorf("%s: %v, %q", folder, err, l.Incomplete)
		}
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(namesOf(l)))); diff != "" && len(want)+len(l.Entries) > 0 {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
	if !conn.Facts().MLSDBroken {
		t.Error("that is not remembered")
	}
}
