package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatIsFetchedIsInStepNoMore: a file that has gone from the server after its transfer waits for nothing.
func TestWhatIsFetchedIsInStepNoMore(t *testing.T) {
	here := control.Explanation{Path: "a", Local: entry.Entry{Kind: entry.File}}
	for want, fetched := range map[string]bool{"the next look at it decides": false, "nothing, unless a file of that name is on the server": true} {
		if got := nextStep(here, false, fetched, false, time.Now()); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
