package scan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
)

// latin1 is a connection that reads names as latin1.
type latin1 struct{ Conn }

func (latin1) Listed(name string) string {
	runes := make([]rune, len(name))
	for i := range len(name) {
		runes[i] = rune(name[i])
	}
	return string(runes)
}

func TestSpelling(t *testing.T) {
	for _, test := range []struct {
		name            string
		here, base, far string // names
		mixed, unread   bool
		want            string // how far is called then
		doubted         string // names
	}{
		{name: "UTF-8 stays", here: "ü", far: "ä ü", want: "ä ü"},
		{name: "bytes here are what is listed", here: "\xfc", far: "a ü", want: "a \xfc"},
		{name: "bytes in the baseline, too", base: "\xfc", far: "ü", want: "\xfc"},
		{name: "text here counts before bytes in the baseline", here: "ü", base: "\xfc", far: "ü", want: "ü"},
		{name: "bytes here count before text in the baseline", here: "\xfc", base: "ü", far: "ü", want: "\xfc"},
		{name: "text in the baseline counts before bytes there", base: "ü \xfc", far: "ü", want: "ü"},
		{name: "the order is kept", here: "\xe4 \xfc", far: "a ä z ü", want: "a z \xe4 \xfc"},
		{name: "text and bytes here are one on the server", here: "ü \xfc", far: "ü", want: "ü", doubted: "\xfc"},
		{name: "not there yet, either", here: "ü \xfc", doubted: "\xfc"},
		{name: "names in two encodings that are all known", mixed: true, here: "\xfc", far: "\xfc", want: "\xfc"},
		{name: "names in two encodings with a stranger", mixed: true, here: "a ä", base: "a", far: "a \xfc", want: "a \xfc", doubted: "ä \xfc"},
		{name: "names in two encodings, some not shown", mixed: true, unread: true, here: "ä", doubted: "ä"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var base []state.Baseline
			for _, name := range strings.Fields(test.base) {
				base = append(base, state.Baseline{Path: "sub/" + name})
			}
			here, far := named(test.here), Entries{Names: named(test.far), Mixed: test.mixed, Unread: test.unread}
			w := walker{request: Request{Remote: &Remote{Conn: latin1{}}, Rules: plan.Rules{Direction: plan.Up}}}
			s := w.spell(here, &far, base)
			var got []string
			for _, n := range far.Names {
				got = append(got, n.Name)
			}
			if diff := cmp.Diff(strings.Fields(test.want), got); diff != "" && len(got)+len(test.want) > 0 {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			for found := range union("sub", here, far.Names, base, "") {
				if want := slices.Contains(strings.Fields(test.doubted), found.name); want != (s.doubt(found) != "") {
					t.Errorf("%q: %q", found.name, s.doubt(found))
				}
			}
		})
	}
}

func named(names string) (found []Named) {
	for name := range strings.FieldsSeq(names) {
		found = append(found, Named{Name: name})
	}
	slices.SortFunc(found, byName)
	return found
}
