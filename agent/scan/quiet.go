package scan

import (
	"context"
	"os"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Why a file is not transferred yet, for people. Growing and Changing end by themselves when it was quiet for long enough; of
// Written nothing tells when it ends.
const (
	Growing  = "still growing"
	Changing = "still changing"
	Written  = "open for writing by another program"
)

// Moving is why a file that was looked at twice is not transferred yet.
func Moving(before, now entry.Entry) string {
	if before.Kind == entry.File && before.Size >= 0 && now.Size > before.Size {
		return Growing
	}
	return Changing
}

// Settling says when files of a sync are complete.
type Settling struct {
	// Quiet is how long nothing must have happened to a file; 0: nothing is waited for, and nobody asks who has it open.
	Quiet time.Duration
	// Grows tells the files that only ever grow and are sent while they do; nil: there are none.
	Grows func(rel string) bool
}

// LastTouched is when the file at rel, its permissions or its name were changed last, as far as the system notes that. Unlike the
// time of modification nobody can set it back. Zero: it is not known.
func (l Local) LastTouched(rel string) time.Time {
	info, err := l.lstat(rel)
	if l.follow && (err != nil || info.Mode()&os.ModeSymlink != 0) {
		info, err = os.Stat(l.full(rel))
	}
	if err != nil {
		return time.Time{}
	}
	return touched(info)
}

// LastTouched is Local.LastTouched of an open file.
func LastTouched(file *os.File) time.Time {
	info, err := file.Stat()
	if err != nil {
		return time.Time{}
	}
	return touched(info)
}

// IsWritten reports whether some program has the file at rel open for writing, or mapped into its memory for that. Where that
// cannot be found out it is false: only Linux tells, of files on its own disks and to their owner.
func (l Local) IsWritten(rel string) bool {
	file, err := l.Open(rel)
	if err != nil {
		return false
	}
	defer file.Close()
	return Writers(file)
}

// hold takes back the transfer of a file that is not complete yet, and says why. Whether it has been quiet for long enough is for
// whoever carries it out: that changes by the second.
func (w *walker) hold(ctx context.Context, item plan.Item, d plan.Decision) (plan.Decision, error) {
	if d.Op == nil {
		return d, nil
	}
	source, remote := item.Local, false
	switch d.Op.Action {
	case plan.Upload, plan.SetAsideLocal:
	case plan.Download:
		source, remote = item.Remote, true
	case plan.Compare: // of what is taken from one side only, a file beside it says there that it is complete
		if w.request.Rules.Direction == plan.Down {
			source, remote = item.Remote, true
		}
	default:
		return d, nil
	}
	if source.Knowledge != plan.Seen || source.Entry.Kind != entry.File {
		return d, nil
	}
	why, err := w.waitsFor(ctx, item, source.Entry, remote)
	if err != nil || why != "" {
		return held(item, d, why, false), err
	}
	d.Op.Ready = !w.request.Filter.options.Ready.IsZero()
	settling := w.request.Settling
	if remote || settling.Quiet <= 0 || settling.Grows != nil && settling.Grows(item.Path) {
		return d, nil
	}
	d.Op.Touched = w.local.LastTouched(item.Path)
	// A scan of all leaves it to the jobs to find out who has a file open: they come one after the other.
	if w.request.Paths != nil && w.local.IsWritten(item.Path) {
		return held(item, d, Written, true), nil
	}
	return d, nil
}

func held(item plan.Item, d plan.Decision, why string, again bool) plan.Decision {
	return plan.Decision{Note: &plan.Note{Path: item.Path, Held: true, Again: again, Text: why}, Keeps: true, Descend: d.Descend}
}
