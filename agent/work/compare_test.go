package work

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestCompare changes nothing on either side, and says no more than what a hash proves of what the plan saw.
func TestCompare(t *testing.T) {
	first := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}}))
	none := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}))
	for _, row := range []struct {
		name        string
		on          *bench
		here, there string
		failed      int            // attempts before
		then        func(b *bench) // after the plan
		want        Result
		equal       bool
	}{
		{"equal", first, "content", "content", 0, nil, Done, true},
		{"empty", first, "", "", 0, nil, Done, true},
		{"different", first, "content", "another", 0, nil, Done, false},
		{"equal, behind a link that is followed", first, "content", "content", 0, func(b *bench) { b.behindLink("a.txt") }, Done, true},
		{"equal, and other rules decide by now", first, "content", "content", 0, func(b *bench) { b.sync.Rules.Conflict = plan.ResolveLocal }, Done, true},
		{"different, and other rules decide by now", first, "content", "another", 0, func(b *bench) { b.sync.Rules.Conflict = plan.ResolveLocal }, Stale, false},
		{"equal, and changed here a moment ago", first, "content", "content", 0, func(b *bench) { b.sync.Settle = time.Hour }, Stale, false},
		{"equal, and the server offers no hash any more", none, "content", "content", 0, nil, Done, false},
		{"equal, and changed here since", first, "content", "content", 0, func(b *bench) { b.write("a.txt", "changed"); b.age("a.txt", time.Hour) }, Stale, false},
		{"equal, and changed on the server since", first, "content", "content", 0, func(b *bench) { b.offer("a.txt", "longer content") }, Stale, false},
		{"equal, and the server has failed to tell", first, "content", "content", mostComparisons, nil, Done, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := row.on.again(t)
			b.sync.Rules = plan.Rules{Direction: plan.Both, Conflict: plan.ResolveAsk}
			b.write("a.txt", row.here)
			b.offer("a.txt", row.there)
			b.age("a.txt", 24*time.Hour)
			op := b.planned(plan.Compare, "a.txt")
			if row.then != nil {
				row.then(b)
			}
			b.failed = row.failed
			o := mustBe(t, row.want, b.do(t.Context(), op, 1))
			if row.want == Done && row.equal == (o.Base == nil) || (o.Conflict != nil) != (row.want == Done && !row.equal) || row.equal && !o.Already {
				t.Errorf("%+v", o)
			}
			if row.equal && (!entry.Same(o.Base.Local, op.Local.Entry) || !entry.Same(o.Base.Remote, op.Remote.Entry)) {
				t.Errorf("in step are %+v", o.Base)
			}
			if n := o.Conflict; n != nil && (!n.Compared || !strings.Contains(n.Text, "until a person")) {
				t.Errorf("%+v", n)
			}
			if asked := len(b.said("HASH")) + len(b.said("XSHA512")); asked > 0 && row.here == "" {
				t.Errorf("%d hashes of nothing", asked)
			}
			for _, verb := range []string{"STOR", "RETR", "RNFR", "DELE", "MFMT"} {
				if said := b.said(verb); len(said) > 0 {
					t.Errorf("said %q", said)
				}
			}
		})
	}
}

// TestCompareIsAboutWhatIsThere: nothing that changes while it is compared, or since an older comparison of the same session, is taken for
// what it was.
func TestCompareIsAboutWhatIsThere(t *testing.T) {
	b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}}))
	b.sync.Rules = plan.Rules{Direction: plan.Both, Conflict: plan.ResolveAsk}
	b.write("a.txt", "content")
	b.offer("a.txt", "another")
	b.age("a.txt", 24*time.Hour)
	if o := mustBe(t, Done, b.do(t.Context(), b.planned(plan.Compare, "a.txt"), 1)); o.Conflict == nil {
		t.Errorf("different: %+v", o)
	}
	there := filepath.Join(b.remote, "a.txt")
	for n, content := range []string{"content", "another"} {
		if err := os.WriteFile(there, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		at := stamped.Add(time.Duration(n+1) * time.Minute)
		if err := os.Chtimes(there, at, at); err != nil {
			t.Fatal(err)
		}
		if o := mustBe(t, Done, b.do(t.Context(), b.planned(plan.Compare, "a.txt"), 1)); (o.Base != nil) != (content == "content") {
			t.Errorf("%s: %+v", content, o)
		}
	}
	b.offer("a.txt", "content")
	for side, change := range map[string]func(){
		"here":          func() { b.age("a.txt", 48*time.Hour) },
		"on the server": func() { os.Chtimes(there, stamped, stamped.Add(-time.Hour)) },
	} {
		op := b.planned(plan.Compare, "a.txt")
		b.hear = func(command string) { // the server computes it after that
			if verb, _, _ := strings.Cut(command, " "); strings.HasPrefix(verb, "XSHA") || verb == "HASH" {
				change()
			}
		}
		if o := mustBe(t, Stale, b.do(t.Context(), op, 1)); o.Base != nil || o.Conflict != nil {
			t.Errorf("changed %s meanwhile: %+v", side, o)
		}
		b.hear = nil
	}
}

// behindLink moves a local file out of the folder, and has a link lead there that is followed.
func (b *bench) behindLink(name string) {
	b.t.Helper()
	b.sync.Rules = plan.Rules{Direction: plan.Up, Foreign: plan.ForeignKeep, Links: plan.LinksFollow}
	full, outside := filepath.Join(b.local, name), filepath.Join(b.t.TempDir(), name)
	if err := errors.Join(os.Rename(full, outside), os.Symlink(outside, full)); err != nil {
		b.t.Fatal(err)
	}
}

// age sets the time of a local file back.
func (b *bench) age(name string, by time.Duration) {
	b.t.Helper()
	at := stamped.Add(-by)
	if err := os.Chtimes(filepath.Join(b.local, name), at, at); err != nil {
		b.t.Fatal(err)
	}
}
