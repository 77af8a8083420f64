package main

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatExplainShowsOfBothSides: as they are here, as they were seen last, as they agreed, and what each job goes by, on 80 columns.
func TestWhatExplainShowsOfBothSides(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.Local)
	file := func(size int64) entry.Entry { return entry.Entry{Kind: entry.File, Size: size, ModTime: noon} }
	seen := func(size int64, by string, after time.Duration) *control.Seen {
		return &control.Seen{Entry: file(size), By: by, When: noon.Add(after)}
	}
	agreed := &control.Agreed{Local: file(1), Remote: file(1), When: noon}
	for sentence, row := range map[string]struct {
		e    control.Explanation
		want string
	}{
		"nobody has looked": {control.Explanation{}, `
  last seen:        nothing is known of the server's side
`},
		"in step": {control.Explanation{Agreed: agreed, LastSeen: control.LastSeen{Local: seen(1, control.SeenAgreed, 0), Remote: seen(1, control.SeenAgreed, 0)}}, `
  last seen:        2026-06-01 12:00:00, when both agreed
`},
		"a conflict": {control.Explanation{Agreed: agreed, LastSeen: control.LastSeen{Local: seen(2, control.SeenNoted, time.Hour), Remote: seen(3, control.SeenNoted, time.Hour)}}, `
  last seen:        2026-06-01 13:00:00, when it was left alone
    here:           file, 2 bytes, of 2026-06-01 12:00:00
    on the server:  file, 3 bytes, of 2026-06-01 12:00:00
`},
		"a job": {control.Explanation{
			Agreed: agreed, LastSeen: control.LastSeen{Local: seen(2, control.SeenPlanned, time.Hour), Remote: seen(1, control.SeenAgreed, 0)},
			Jobs: []control.Job{{ID: 7, Kind: "upload", State: "due", Why: "changed", Planned: &control.PlannedSides{
				Local:  control.PlannedSide{Knowledge: control.PlannedSeen, Entry: file(2)},
				Remote: control.PlannedSide{Knowledge: control.PlannedAssumed, Entry: file(999_999_999_999)}, When: noon.Add(time.Hour),
			}}},
		}, `
  last seen:        2026-06-01 13:00:00, when a job was planned
    here:           file, 2 bytes, of 2026-06-01 12:00:00
  last seen:        2026-06-01 12:00:00, when both agreed
    on the server:  file, 1 bytes, of 2026-06-01 12:00:00
  jobs:
    7 upload due now, 0 tries: changed
      planned on 2026-06-01 13:00:00, going by
      here: file, 2 bytes, of 2026-06-01 12:00:00
      on the server: as agreed, file, 999999999999 bytes, of 2026-06-01 12:00:00
`},
		"a job for what nobody has seen there": {control.Explanation{Jobs: []control.Job{{ID: 7, Kind: "upload", State: "due", Why: "new", Planned: &control.PlannedSides{
			Local: control.PlannedSide{Knowledge: control.PlannedSeen, Entry: file(2)}, Remote: control.PlannedSide{Knowledge: control.PlannedUnknown},
		}}}}, `
      planned, going by
      here: file, 2 bytes, of 2026-06-01 12:00:00
      on the server: unknown
`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			w := bufio.NewWriter(&out)
			row.e.Sync, row.e.Local, row.e.Next = "web", file(2), "nothing"
			printExplanation(&jobList{out: w, now: noon}, row.e)
			w.Flush()
			if !strings.Contains(out.String(), row.want) {
				t.Errorf("got %s\nwant in it %s", out.String(), row.want)
			}
			for line := range strings.Lines(out.String()) {
				if columnsOf(strings.TrimRight(line, "\n")) > screen {
					t.Errorf("wider than the screen: %s", line)
				}
			}
		})
	}
}
