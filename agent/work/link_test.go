package work

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

func link(t *testing.T, target string, elements ...string) {
	t.Helper()
	name := filepath.Join(elements...)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func pointsTo(t *testing.T, want string, elements ...string) {
	t.Helper()
	if got, err := os.Readlink(filepath.Join(elements...)); got != want || err != nil {
		t.Errorf("%s points to %q (%v), want %q", elements[len(elements)-1], got, err, want)
	}
}

func (b *bench) linked(action plan.Action, name string) plan.Op {
	op := plan.Op{Action: action, Path: name, Local: b.here(name), Remote: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Link}}}
	if action == plan.LinkRemote {
		op.Remote = plan.Side{Knowledge: plan.Unknown}
	}
	return op
}

// TestLinksComeDown as links, and only if they stay within the folder.
func TestLinksComeDown(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Rules.Direction = plan.Down
		b.offer("d/a.txt", "one")
		link(t, "a.txt", b.remote, "d/link")
		link(t, "../d/a.txt", b.remote, "e/up")
		b.offer("e/x", "x") // opens the folder
		outside := t.TempDir()
		link(t, outside, b.remote, "d/absolute")
		link(t, "../../d/a.txt", b.remote, "d/out")
		link(t, "x/../../../y", b.remote, "d/hidden out")
		b.write("d/a.txt", "one")
		for name, want := range map[string]string{"d/link": "a.txt", "e/up": "../d/a.txt"} {
			o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkLocal, name), 1))
			pointsTo(t, want, b.local, name)
			if o.Base == nil || o.Base.Local.Target != want || o.Base.Remote.Target != want {
				t.Errorf("%s: base %+v", name, o.Base)
			}
		}
		for _, name := range []string{"d/absolute", "d/out", "d/hidden out"} {
			o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkLocal, name), 1))
			if o.Base == nil || o.Base.Local.Kind != entry.Absent || o.Base.Remote.Kind != entry.Link || o.Base.Left == "" {
				t.Errorf("%s: %+v", name, o.Base)
			}
			if _, err := os.Lstat(filepath.Join(b.local, name)); err == nil {
				t.Errorf("%s was made", name)
			}
		}
		// Its target has changed; and something else is in the place of another.
		os.Remove(filepath.Join(b.remote, "d/link"))
		link(t, "../e/x", b.remote, "d/link")
		mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkLocal, "d/link"), 1))
		pointsTo(t, "../e/x", b.local, "d/link")
		if o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkLocal, "d/link"), 2)); o.Reason != "was there already" {
			t.Errorf("the second time: %q", o.Reason)
		}
		os.Remove(filepath.Join(b.local, "e/up"))
		b.write("e/up", "a file")
		mustBe(t, Stale, b.do(t.Context(), b.linked(plan.LinkLocal, "e/up"), 1))
		if left, _ := filepath.Glob(filepath.Join(b.local, "*", ".*ftpferry*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestLinksGoUp where the server makes links, and are told elsewhere.
func TestLinksGoUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"site_misc"}}))
	for _, name := range []string{"a.txt", "with blank.txt", `q"uote\.txt`, "other\vblank\fs.txt"} {
		b.offer("d/"+name, name)
		link(t, name, b.local, "d", "link to "+name)
		o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, "d/link to "+name), 1))
		if o.Base == nil || o.Base.Remote.Kind != entry.Link {
			t.Fatalf("%q: base %+v, %s", name, o.Base, o.Reason)
		}
		if content, err := os.ReadFile(filepath.Join(b.server.Root, strings.TrimPrefix(o.Base.Remote.Target, "/"))); string(content) != name {
			t.Errorf("%q: the link on the server leads to %q, which holds %q (%v)", name, o.Base.Remote.Target, content, err)
		}
		if o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, "d/link to "+name), 2)); o.Reason != "was there already" {
			t.Errorf("%q, the second time: %q", name, o.Reason)
		}
	}
	os.Remove(filepath.Join(b.local, "d/link to a.txt"))
	link(t, "with blank.txt", b.local, "d", "link to a.txt")
	if o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, "d/link to a.txt"), 1)); !strings.HasSuffix(o.Base.Remote.Target, "/with blank.txt") {
		t.Errorf("the target has changed: %+v", o.Base)
	}
	link(t, "a.txt", b.local, "d", "in the way")
	b.offer("d/in the way", "a file")
	mustBe(t, Stale, b.do(t.Context(), b.linked(plan.LinkRemote, "d/in the way"), 1))
	if content, _ := os.ReadFile(filepath.Join(b.remote, "d/in the way")); string(content) != "a file" {
		t.Error("a file gave way to a link")
	}
}

// TestNoLinkOnTheServerLeadsOutOfTheFolder: whoever may write here has no right to the rest of the server by that.
func TestNoLinkOnTheServerLeadsOutOfTheFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"site_misc"}}))
	b.offer("a.txt", "inside")
	for name, target := range map[string]string{"d/up": "../..", "d/file": "../../secret", "top": "..", "late": "d/../../secret", "root": "/etc"} {
		link(t, target, b.local, filepath.FromSlash(name))
		o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, name), 1))
		if o.Base == nil || o.Base.Left == "" || o.Base.Remote.Kind != entry.Absent || !strings.HasPrefix(o.Reason, "skipped: ") {
			t.Errorf("%s -> %s: %+v", name, target, o)
		}
	}
	holds(t, b.remote, map[string]string{"a.txt": "inside"})
}

// TestALinkWaitsForWhatItPointsAt: servers make links only to what is there. What is still to be sent comes, however long that takes, and
// the link that it is to replace stays until then. What cannot come is for a person.
func TestALinkWaitsForWhatItPointsAt(t *testing.T) {
	t.Parallel()
	b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"site_misc"}}))
	b.offer("d/old.bin", "old")
	fill := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(b.local, "d", name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "old.bin", b.local, "d", "latest")
	fill("new.bin")
	mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, "d/latest"), 1))
	os.Remove(filepath.Join(b.local, "d/latest"))
	link(t, "new.bin", b.local, "d", "latest")
	link(t, "new.bin", b.local, "d", "another")
	for _, name := range []string{"d/latest", "d/another"} {
		o := mustBe(t, Failed, b.do(t.Context(), b.linked(plan.LinkRemote, name), 1))
		if awaited, ok := errors.AsType[*AwaitedError](o.Err); !ok || *awaited != (AwaitedError{Target: "new.bin", Path: "d/new.bin"}) {
			t.Errorf("%s: %v", name, o.Err)
		}
	}
	pointsTo(t, "/"+filepath.Base(b.remote)+"/d/old.bin", b.remote, "d", "latest")
	b.offer("d/new.bin", "new")
	for _, name := range []string{"d/latest", "d/another"} {
		mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, name), 2))
		pointsTo(t, "/"+filepath.Base(b.remote)+"/d/new.bin", b.remote, filepath.FromSlash(name))
	}

	b.sync.Filter = scan.NewFilter(scan.FilterOptions{Exclude: []string{"*.tmp"}, MaxSize: 10, MinAge: time.Hour})
	b.sync.RemoteName = func(rel string, _ time.Time) string { return strings.Replace(rel, "other", "another", 1) }
	hourAgo := time.Now().Add(-time.Hour)
	for _, name := range []string{"left.tmp", "too large.bin", "other"} {
		fill(name)
		if err := os.Chtimes(filepath.Join(b.local, "d", name), hourAgo, hourAgo); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct{ target, why string }{
		"nowhere": {"gone", ""}, "loop": {"loop", ""}, "takes no part": {"left.tmp", "*.tmp"}, "to what is too large": {"too large.bin", "limits of size"},
		"to another name": {"other", `called "another"`},
	} {
		link(t, test.target, b.local, "d", name)
		o := mustBe(t, Failed, b.do(t.Context(), b.linked(plan.LinkRemote, "d/"+name), 1))
		if !errors.Is(o.Err, ErrLeadsNowhere) || !strings.Contains(o.Err.Error(), "leave out the link") || !strings.Contains(o.Err.Error(), test.why) {
			t.Errorf("%s: %v", name, o.Err)
		}
	}
	fill("young")
	link(t, "young", b.local, "d", "to what is too young")
	o := mustBe(t, Failed, b.do(t.Context(), b.linked(plan.LinkRemote, "d/to what is too young"), 1))
	if _, ok := errors.AsType[*AwaitedError](o.Err); !ok {
		t.Errorf("too young: %v", o.Err)
	}
}

// TestALinkStaysUntilTheServerHasMadeTheNext, which is tried beside it: some servers make links to what is not there.
func TestALinkStaysUntilTheServerHasMadeTheNext(t *testing.T) {
	t.Parallel()
	here := []step{{Expect: "CWD /site", Send: "250 Here."}}
	plain := []step{{Expect: "EPSV", Passive: true}, {Expect: "LIST -a", Send: "501 No options."}}
	lists := func(target string) []step {
		line := "lrwxrwxrwx 1 u u 3 Jan 1 2024 a.txt -> " + target + "\r\n"
		return []step{{Expect: "EPSV", Passive: true}, {Expect: "LIST", Send: "150 Here.", Data: &ftptest.Data{Send: line, End: ftptest.Close}}, {Send: "226 Done."}}
	}
	try := func(reply string) []step {
		return []step{{Expect: "SITE SYMLINK /site/new /site/" + temp, Send: reply}}
	}
	for name, test := range map[string]struct {
		steps []step
		want  Result
		left  bool // both sides are as they are
	}{
		"where nothing is there yet": {slices.Concat(try("200 Made."), []step{{Expect: "DELE /site/" + temp, Send: "250 Gone."},
			{Expect: "DELE /site/a.txt", Send: "250 Gone."}, {Expect: "SITE SYMLINK /site/new /site/a.txt", Send: "200 Made."}}, here, lists("new")), Done, false},
		"on a server that makes only those to what is there": {slices.Concat(try("550 No such file."), absent("/site/new"), []step{{Expect: "CWD /site/new", Send: "550 No such folder."}}, here, lists("old")), Failed, false},
		"on a server that makes none":                        {try("500 Not understood."), Done, true},
		"on one that keeps the old one": {slices.Concat(try("200 Made."), []step{{Expect: "DELE /site/" + temp, Send: "250 Gone."},
			{Expect: "DELE /site/a.txt", Send: "550 Denied."}}), Failed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			link(t, "new", dir, "a.txt")
			if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			o := mustBe(t, test.want, do(t, dir, plan.Op{Action: plan.LinkRemote, Path: "a.txt"}, 1, nil, slices.Concat(here, lists("old"), plain, test.steps)...))
			if left := o.Base != nil && o.Base.Left != "" && o.Base.Remote.Target == "old"; left != test.left {
				t.Errorf("%+v", o.Base)
			}
		})
	}
}

func TestAServerThatMakesNoLinksIsTold(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		link(t, "a.txt", b.local, "link")
		o := mustBe(t, Done, b.do(t.Context(), b.linked(plan.LinkRemote, "link"), 1))
		if o.Base == nil || o.Base.Left == "" || !strings.HasPrefix(o.Reason, "skipped: ") {
			t.Errorf("base %+v, reason %q", o.Base, o.Reason)
		}
		holds(t, b.remote, nil)
	}, "vsftpd", "proftpd", "pure-ftpd", "pyftpdlib")
}

func TestWhereLinksLead(t *testing.T) {
	for _, row := range []struct {
		rel, target string
		inside      bool
	}{
		{"a", "b", true}, {"a", "b/c/", true}, {"a", "./b", true}, {"d/a", "../b", true}, {"d/e/a", "../../b", true},
		{"a", "", false}, {"a", "..", false}, {"a", "../b", false}, {"d/a", "../../b", false}, {"a", "/b", false},
		{"d/a", "b/../../..", false}, {"d/a", "b/..", false}, {"d/a", "b//c", false}, {"d/a", "b\x00", false},
	} {
		if err := staysInside(row.rel, row.target); (err == nil) != row.inside || err != nil && !errors.Is(err, ErrUnsafe) {
			t.Errorf("a link at %q to %q: %v", row.rel, row.target, err)
		}
	}
}
