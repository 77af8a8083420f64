package scan

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

type step = ftptest.Step

// session is a scripted server from the greeting to the farewell, with the features given.
func session(features string, steps ...[]step) []step {
	return append(unfinished(features, steps...), step{Expect: "QUIT", Send: "221 Bye."})
}

func unfinished(features string, steps ...[]step) []step {
	feat := "502 No."
	if features != "" {
		feat = "211-Features\n " + features + "\n211 End"
	}
	login := []step{{Send: "220 Hello."}, {Expect: "USER u", Send: "230 Come in."}, {Expect: "FEAT", Send: feat}}
	if features == "" { // the form of listings has to be guessed
		login = append(login, step{Expect: "SYST", Send: "215 UNIX Type: L8"})
	}
	login = append(login, step{Expect: "PWD", Send: `257 "/"`}, step{Expect: "TYPE I", Send: "200 Binary."})
	return slices.Concat(append([][]step{login}, steps...)...)
}

// lists is the listing of a folder with the final reply.
func lists(verb, folder, text, final string) []step {
	return []step{
		{Expect: "CWD " + folder, Send: "250 Here."},
		{Expect: "EPSV", Passive: true},
		{Expect: verb, Send: "150 Listing.", Data: &ftptest.Data{Send: text, End: ftptest.Close}},
		{Send: final},
	}
}

const (
	mlst     = "MLST type*;size*;modify*;"
	isFolder = "250-Facts\n type=dir; /site\n250 End"
	fine     = "226 Done."
)

// scripted is a rig with a scripted server. It returns the way to scan once.
func scripted(t *testing.T, direction plan.Direction, facts ftpclient.Facts, steps []step) *rig {
	t.Helper()
	server := ftptest.NewScript(t, steps...)
	conn, err := ftpclient.Dial(t.Context(), server.Addr, ftpclient.Options{User: "u", Password: "p", TLS: ftpclient.TLSNone, Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := newRig(t, direction)
	r.remote = &Remote{Conn: conn, Root: "/site"}
	return r
}

func root() []step { return []step{{Expect: "MLST /site", Send: isFolder}} }

// fact is a line of MLSD about a file as fill makes it, or about a folder.
func fact(name string) string {
	if folder, ok := cutSlash(name); ok {
		return "type=dir; " + folder + "\r\n"
	}
	return "type=file;size=" + string(rune('0'+len(filepath.Base(name)))) + ";modify=20200229123456; " + filepath.Base(name) + "\r\n"
}

func cutSlash(name string) (string, bool) {
	if name[len(name)-1] == '/' {
		return name[:len(name)-1], true
	}
	return name, false
}

// TestListingsThatCannotBeTrusted: what they do not show is not absent.
func TestListingsThatCannotBeTrusted(t *testing.T) {
	known := []string{"a", "b", "d/1"}
	rest := lists("MLSD", "/site/d", "type=file;size=3;modify=20200229123456; 1\r\n", fine)
	for _, test := range []struct {
		name  string
		steps [][]step
	}{
		{"a line that nobody understands", [][]step{lists("MLSD", "/site", fact("a")+"?? what b is ??\r\n"+fact("d/"), fine), rest}},
		{"cut short, and the server says so in passing", [][]step{lists("MLSD", "/site", fact("a")+fact("d/"), "226 Output truncated to 2 matches"), rest}},
		{"a name that is there twice", [][]step{lists("MLSD", "/site", fact("a")+fact("b/")+fact("d/")+fact("b"), fine), rest}},
		{"refused", [][]step{{{Expect: "CWD /site", Send: "550 Not now."}}}},
		{"broken off", [][]step{lists("MLSD", "/site", fact("a"), "426 Broken off.")}},
		{"gone between two commands", [][]step{{{Expect: "CWD /site", Send: "550 No such directory."}, {Expect: "MLST /site", Send: "550 No such file or directory."}}}},
		{"shown, but not to be entered", [][]step{{{Expect: "CWD /site", Send: "550 The system cannot find the file."}, {Expect: "MLST /site", Send: isFolder}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := scripted(t, plan.Down, ftpclient.Facts{}, session(mlst, root(), slices.Concat(test.steps...)))
			r.inStep(known...)
			want := "unknown "
			if test.name == "gone between two commands" {
				want = "again "
			}
			r.want(r.scan(), want)
		})
	}
}

// TestSubfolderOfGarbage: only it is unknown.
func TestSubfolderOfGarbage(t *testing.T) {
	r := scripted(t, plan.Down, ftpclient.Facts{}, session(mlst, root(),
		lists("MLSD", "/site", fact("d/")+fact("e/"), fine),
		lists("MLSD", "/site/d", "<html>It works!</html>\r\n", fine),
		// MLSD gave nothing but garbage, so LIST has its turn.
		[]step{
			{Expect: "EPSV", Passive: true}, {Expect: "LIST", Send: "150 Listing.", Data: &ftptest.Data{Send: "<html>It works!</html>\r\n", End: ftptest.Close}}, {Send: fine},
			{Expect: "EPSV", Passive: true}, {Expect: "LIST -a", Send: "150 Listing.", Data: &ftptest.Data{Send: "<html>It works!</html>\r\n", End: ftptest.Close}}, {Send: fine},
			{Expect: "CWD /site/e", Send: "250 Here."},
			{Expect: "EPSV", Passive: true}, {Expect: "LIST*", Send: "150 Listing.", Data: &ftptest.Data{End: ftptest.Close}}, {Send: fine},
			{Expect: "EPSV", Passive: true}, {Expect: "LIST*", Send: "150 Listing.", Data: &ftptest.Data{End: ftptest.Close}}, {Send: fine},
		}))
	r.inStep("d/1", "d/sub/2", "e/gone", "f")
	result, err := r.run()
	if err != nil {
		t.Fatal(err)
	}
	r.want(result, "delete_local e/gone", "delete_local f", "unknown d")
}

// TestEmptyHandedFolder: nothing is known of what is in it, and so it stays.
func TestEmptyHandedFolder(t *testing.T) {
	r := scripted(t, plan.Up, ftpclient.Facts{}, session(mlst, root(),
		lists("MLSD", "/site", fact("d/"), fine), []step{{Expect: "CWD /site/d", Send: "550 Not now."}}))
	r.remember("d/")
	r.want(r.scan(), "skip d", "unknown d")
}

// TestSizeThatTheListingCannotTell: servers that count with 32 bits print large sizes as
// negative numbers. Whether the file changed, its exact time tells.
func TestSizeThatTheListingCannotTell(t *testing.T) {
	for answer, want := range map[string][]string{"213 20200229123456": nil, "213 20200301123456": {"download a"}} {
		r := scripted(t, plan.Down, ftpclient.Facts{ListAll: "yes"}, session("",
			[]step{{Expect: "SIZE /site", Send: "550 Not a file."}, {Expect: "CWD /site", Send: "250 Here."}},
			lists("LIST -a", "/site", "-rw-r--r-- 1 u u -294967296 2020-02-29 14:34 a\r\n", fine), []step{{Expect: "MDTM /site/a", Send: answer}}))
		r.inStep("a")
		row := r.base["a"]
		row.Remote.Size = 4_000_000_000
		r.base["a"] = row
		r.want(r.scan(), want...)
	}
}

// TestConnectionThatDies: nothing can be said about the sync, so there is no plan to act on.
func TestConnectionThatDies(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps [][]step
		paths []string
	}{
		{"at the first question", [][]step{{{Expect: "MLST /site", End: ftptest.Reset}}}, nil},
		{"in the middle of the walk", [][]step{root(), lists("MLSD", "/site", fact(".h")+fact("d/"), fine), {{Expect: "CWD /site/d", End: ftptest.Reset}}}, nil},
		{"at the exact time of a file", [][]step{root(), lists("MLSD", "/site", fact(".h")+"type=file;size=1; a\r\n", fine), {{Expect: "MDTM /site/a", End: ftptest.Reset}}}, nil},
		{"at a name that listings may hide", [][]step{root(), lists("MLSD", "/site", "", fine), {{Expect: "MLST /site/.h", End: ftptest.Reset}}}, nil},
		{"at a single path", [][]step{root(), lists("MLSD", "/site", fact("a"), fine), {{Expect: "MLST /site/a", End: ftptest.Reset}}}, []string{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := scripted(t, plan.Down, ftpclient.Facts{}, unfinished(mlst, slices.Concat(test.steps...)))
			r.inStep("d/1", ".h", "a")
			if _, err := r.run(test.paths...); err == nil || !r.lost() {
				t.Errorf("error %v", err)
			}
		})
	}
}

// lost reports whether the rig's connection is gone.
func (r *rig) lost() bool { return !r.remote.Conn.Usable() }

// TestNamesThatListingsHide: servers may leave out names with a leading dot.
func TestNamesThatListingsHide(t *testing.T) {
	for _, test := range []struct {
		name   string
		listed string
		answer string
		root   plan.Root
		want   []string
	}{
		{"it is there, as it was", fact("a"), "250-Facts\n type=file;size=2;modify=20200229123456; /site/.h\n250 End", plan.RootFilled, nil},
		{"it is there, and all that is there", "", "250-Facts\n type=file;size=2;modify=20200229123456; /site/.h\n250 End", plan.RootFilled, []string{"delete_local a"}},
		{"it is truly gone", fact("a"), "550 No such file.", plan.RootFilled, []string{"delete_local .h"}},
		{"all is truly gone", "", "550 No such file.", plan.RootEmpty, []string{"delete_local .h", "delete_local a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := scripted(t, plan.Down, ftpclient.Facts{}, session(mlst, root(), lists("MLSD", "/site", test.listed, fine),
				[]step{{Expect: "MLST /site/.h", Send: test.answer}}))
			r.inStep("a", ".h")
			// Nobody asks for what does not take part.
			fill(t, r.local, ".git/config", ".x.ftpferry-0badcafe-1")
			r.filter = NewFilter(FilterOptions{Exclude: []string{".git/"}})
			result := r.scan()
			r.want(result, test.want...)
			if result.Totals.Remote != test.root {
				t.Errorf("the far root is %d, want %d", result.Totals.Remote, test.root)
			}
		})
	}
}

// TestServerWithoutExactTimes has LIST and nothing else: no loop, and no file taken for equal
// that was not seen to be.
func TestServerWithoutExactTimes(t *testing.T) {
	const line = "-rw-r--r-- 1 u u 1 Feb 29  2020 a\r\n-rw-r--r-- 1 u u 9 Feb 29  2020 b\r\n"
	r := scripted(t, plan.Up, ftpclient.Facts{ListAll: "yes"}, session("",
		[]step{{Expect: "SIZE /site", Send: "550 Not a file."}, {Expect: "CWD /site", Send: "250 Here."}},
		lists("LIST -a", "/site", line, fine), []step{{Expect: "MDTM /site/a", Send: "502 What?"}},
		[]step{{Expect: "SIZE /site", Send: "550 Not a file."}, {Expect: "CWD /site", Send: "250 Here."}},
		lists("LIST -a", "/site", line, fine)))
	fill(t, r.local, "a", "b")
	// Size and day agree for a, the size of b differs.
	first := r.scan()
	r.want(first, "upload b", "agree a")
	r.settle(first)
	r.remember("b")
	row := r.base["b"]
	row.Remote.Size, row.Remote.ModTime = 9, time.Time{} // as that server reports what was sent
	r.base["b"] = row
	r.want(r.scan())
}

// TestTimesAreAskedForTogether: one round trip for each of ten thousand old files would make a scan of an hour. Nobody asks
// about what does not take part, or is another file whatever its time is.
func TestTimesAreAskedForTogether(t *testing.T) {
	lines := ""
	for _, name := range []string{"a", "b", "c", "d", "larger", "left.out", ".x.ftpferry-0123abcd-1.1"} {
		lines += "-rw-r--r-- 1 u u 1 Feb 29  2020 " + name + "\r\n"
	}
	const exact, other = "213 20200229123456", "213 20200229010101"
	asked := []step{{Expect: "MDTM /site/a"}, {Expect: "MDTM /site/b"}, {Expect: "MDTM /site/c"},
		{Expect: "MDTM /site/d", Raw: exact + "\r\n550 No.\r\n" + other + "\r\n" + exact + "\r\n"}}
	r := scripted(t, plan.Up, ftpclient.Facts{ListAll: "yes", Pipelining: "yes", LoginAtOnce: "broke"}, session("",
		[]step{{Expect: "SIZE /site", Send: "550 Not a file."}, {Expect: "CWD /site", Send: "250 Here."}},
		[]step{{Expect: "EPSV", Passive: true}, {Expect: "CWD /site", Send: "250 Here."},
			{Expect: "LIST -a", Send: "150 Listing.", Data: &ftptest.Data{Send: lines, End: ftptest.Close}}, {Send: fine}}, asked))
	r.filter = NewFilter(FilterOptions{Exclude: []string{"left.out"}})
	fill(t, r.local, "a", "b", "c", "d", "larger", "left.out")
	r.want(r.scan(), "upload c", "upload larger", "agree a", "agree b", "agree d")
}

// TestListingWithoutTimes: such a listing shows no change, so the time is asked for.
func TestListingWithoutTimes(t *testing.T) {
	for _, test := range []struct {
		name, time string
		want       []string
	}{
		{"unchanged", "213 20200229123456", nil},
		{"changed to the same size", "213 20200301000000", []string{"download a"}},
		{"a server that will not tell", "550 No.", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := scripted(t, plan.Down, ftpclient.Facts{}, session(mlst, root(),
				lists("MLSD", "/site", "type=file;size=1; a\r\n", fine), []step{{Expect: "MDTM /site/a", Send: test.time}}))
			r.inStep("a")
			r.want(r.scan(), test.want...)
		})
	}
}

func TestCancelEndsAScanOfTheServer(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	r := scripted(t, plan.Down, ftpclient.Facts{}, unfinished(mlst, root(), []step{{Expect: "CWD /site"}, {Call: func() { cancel(stop) }, Hold: hold}}))
	dir, err := os.OpenRoot(r.local)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	_, err = Run(ctx, Request{Rules: r.rules, Local: dir, Remote: r.remote, Children: r.base.Children, At: r.base.At})
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want the reason of the end", err)
	}
}
