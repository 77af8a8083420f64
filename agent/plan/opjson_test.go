package plan

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

// TestNamesSurviveTheStateFile: a link whose target is no text would seem to have changed ever since it was planned.
func TestNamesSurviveTheStateFile(t *testing.T) {
	link := func(target string) Side { return Side{Seen, entry.Entry{Kind: entry.Link, Target: target}} }
	for what, op := range map[string]Op{
		"text":  {Action: LinkRemote, Path: "p", From: "f\u00e9", To: "t", Local: link("a"), Remote: link("b"), Reason: "new"},
		"bytes": {Action: LinkRemote, Path: "p", From: "f\xe9", To: "t\xe9", Local: link("a\xe9"), Remote: link("b\xe9"), Reason: "new"},
		"none":  {Action: Upload, Path: "p", Reason: "new"},
	} {
		data, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		var back Op
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(op, back); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}
