package plan

import (
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/state/entry"
)

// TestNothingIsDoneAboutANameInDoubt: whatever would be done otherwise; what is in step stays so.
func TestNothingIsDoneAboutANameInDoubt(t *testing.T) {
	base := &Base{Local: sourceThen, Remote: targetThen}
	for _, test := range []struct {
		name string
		item Item
		note string
	}{
		{"a new file", Item{Local: seen(sourceNow)}, "new, but"},
		{"a changed file", Item{Local: seen(sourceNow), Base: base}, "changed, but"},
		{"a new folder", Item{Local: seen(dir)}, "new, but"},
		{"a stranger", Item{Local: seen(entry.Entry{}), Remote: seen(targetNow)}, "not here, but"},
		{"a folder of strangers", Item{Local: seen(entry.Entry{}), Remote: seen(dir)}, "not here, but"},
		{"a file that did not change", Item{Local: seen(sourceThen), Base: base}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.item.Doubt = "it may be another"
			d := Decide(Rules{Direction: Up, Delete: true}, test.item)
			if d.Op != nil || d.Forget || d.Descend || !d.Keeps {
				t.Errorf("%+v", d)
			}
			if (d.Note != nil) != (test.note != "") || d.Note != nil && (!d.Note.Conflict || !strings.HasPrefix(d.Note.Text, test.note)) {
				t.Errorf("%+v, want %q", d.Note, test.note)
			}
		})
	}
}
