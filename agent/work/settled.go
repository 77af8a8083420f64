package work

import (
	"os"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// unsettled says why the source is not complete yet, "" if it is: it was quiet for long enough, and nobody writes to it. The plan
// has waited for that, but the file may have changed since. A time in the future tells nothing.
func (o *op) unsettled(source entry.Entry) string {
	settle := o.env.Sync.Settle
	quiet := func(since time.Time) bool {
		past := time.Since(since)
		return since.IsZero() || past < 0 || past >= settle
	}
	local := o.Action != plan.Download
	switch {
	case settle <= 0:
		return ""
	case !o.Ready && (!quiet(source.ModTime) || local && !quiet(o.touched)):
		return scan.Changing
	case local && o.source().IsWritten(o.Path):
		return scan.Written
	}
	return ""
}

// lastTouched is when an open source was touched last, for disturbed; zero if that waits for nothing.
func (o *op) lastTouched(file *os.File) time.Time {
	if o.env.Sync.Settle <= 0 {
		return time.Time{}
	}
	return scan.LastTouched(file)
}

// disturbed says why what was just read may be torn though size and time of the file are as before, "" if it is not: a program may
// set times back, and what is written to a file that is mapped into memory need not show in them.
func (o *op) disturbed(file *os.File, touched time.Time) string {
	switch {
	case o.env.Sync.Settle <= 0 || o.growth != nil:
		return ""
	case !o.source().LastTouched(o.Path).Equal(touched):
		return scan.Changing
	case scan.Writers(file):
		return scan.Written
	}
	return ""
}

// moving is stale for a source that was before and is now another one.
func moving(reason string, before, now entry.Entry) Outcome {
	o := stale(reason)
	if now.Kind == entry.File {
		o.Held = scan.Moving(before, now)
	}
	return o
}
