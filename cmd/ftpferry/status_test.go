package main

import (
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
)

func TestWhatStatusSaysOfASchedule(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.Local)
	for want, s := range map[string]control.Schedule{
		"schedule 0 3 * * *, sync: next in 15h, 2026-06-02 03:00:00; has not run yet": {
			Spec: "0 3 * * *", Do: "sync", Next: now.Add(15 * time.Hour)},
		"schedule @daily Asia/Tokyo, verify: next in 12h, 2026-06-02 00:00:00; last for 2026-06-01 00:00:00, 3 left out (2 in conflict)": {
			Spec: "@daily Asia/Tokyo", Do: "verify", Fired: now.Add(-12 * time.Hour), Result: "2 in conflict", Missed: 3, Next: now.Add(12 * time.Hour)},
		`schedule @daily, sync: last for 2026-06-01 00:00:00 (halted:  [2J)`: {
			Spec: "@daily", Do: "sync", Fired: now.Add(-12 * time.Hour), Result: "halted: \x1b[2J"},
	} {
		if got := scheduleText(s, now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
