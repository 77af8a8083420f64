package work

import (
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
			for _, verb := range []string{"STOR", "RETR", "RNFR", "DELE", "MFMT"} {
				if said := b.said(verb); len(said) > 0 {
					t.Errorf("said %q", said)
				}
			}
		})
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
