package work

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// resumeFrom is the size from which on an upload that was cut off is gone on with. To send a smaller file anew costs
	// hardly more than to prove what is there of it.
	resumeFrom = 1 << 20
	// resumeBack is how many attempts back a part is looked for: those between may not have come as far as to rename it.
	resumeBack = 3
)

// resumes reports whether what earlier attempts may have left under temporary names can only be parts of the source as it
// is now: no transfer of another version of it was begun since the last one that was completed.
func (o *op) resumes(local entry.Entry) (bool, error) {
	if !o.retried() || o.env.Sync.Direct || local.Kind != entry.File || local.Size < resumeFrom || !o.continues(o.Local.Entry, local) {
		return false, nil
	}
	begun, err := o.env.State.Intents(o.Path)
	if err != nil || len(begun) == 0 {
		return false, err
	}
	for _, intent := range begun {
		if !intent.Down && !o.continues(intent.Source, local) {
			return false, nil
		}
	}
	return true, nil
}

// continues reports whether what was sent of one look at the source is a part of another one.
func (o *op) continues(was, now entry.Entry) bool {
	if o.growth != nil {
		return was.ID != 0 && o.isStill(now, was)
	}
	return unchanged(was, now)
}

// unchanged is entry.Same for a file that is also the same one as before, as far as that is known.
func unchanged(was, now entry.Entry) bool {
	return entry.Same(was, now) && (was.ID == 0 || now.ID == 0 || was.ID == now.ID)
}

// resume starts to upload the rest of the file after what the newest of the attempts before has left, which is renamed so
// that nobody takes it for left behind. ftpclient.ResumeStore proves that it is a beginning of this file; where it is
// not, offset is 0. transfer is nil if there is nothing to go on with, or the server does not want to: then nothing is left.
func (o *op) resume(ctx context.Context, file *os.File, size int64) (transfer *ftpclient.Transfer, offset int64, err error) {
	taken, err := o.takeOver(ctx)
	if err != nil {
		return nil, 0, err
	}
	if !taken {
		return nil, 0, o.removeTemp(ctx, lastParts)
	}
	transfer, offset, err = o.conn.ResumeStore(ctx, o.temp(), file, size)
	var refusal *ftpclient.Error
	if errors.As(err, &refusal) && refusal.Code != 0 && o.conn.Usable() {
		o.env.Logger.Info("upload starts anew, as it cannot go on", "path", o.Path, "error", err)
		o.discard(ctx, o.temp())
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("go on with an upload: %w", err)
	}
	if offset == 0 {
		o.env.Logger.Info("upload starts anew, as what an attempt before has left is no proven part of the file", "path", o.Path)
	} else {
		o.env.Logger.Info("upload goes on where it was cut off", "path", o.Path, "offset", offset, "size", size)
	}
	return transfer, offset, nil
}

// takeOver gives the newest part that there is the temporary name of this attempt.
func (o *op) takeOver(ctx context.Context) (taken bool, err error) {
	for attempt := o.job.Claims - 1; attempt >= max(1, o.job.Claims-resumeBack); attempt-- {
		part := o.tempOf(attempt)
		_, err := o.conn.Size(ctx, part)
		if err == nil {
			err = o.conn.Rename(ctx, part, o.temp())
		}
		if err == nil || !o.conn.Usable() {
			return err == nil, err
		}
	}
	return false, nil
}
