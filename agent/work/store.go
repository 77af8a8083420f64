package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// stored is what an upload has come to.
type stored struct {
	name   string // absolute
	offset int64  // how much of it an earlier attempt had sent
	result ftpclient.Result
	// unseen: the server shows nobody what is there, and its word is all there is.
	unseen bool
}

// total is how many bytes the file has to have.
func (s stored) total() int64 { return s.offset + s.result.Bytes }

// wrote adds the name to an outcome.
func (s stored) wrote(o Outcome) Outcome { return wrote(s.name, o) }

func (s stored) remark() string {
	if s.offset == 0 {
		return ""
	}
	return fmt.Sprintf("went on after %d bytes", s.offset)
}

// store uploads the file of so many bytes under the temporary name or, with Upload.Direct, under the final one.
func (o *op) store(ctx context.Context, file *os.File, size int64, resumes bool) (s stored, err error) {
	var transfer *ftpclient.Transfer
	if resumes {
		transfer, s.offset, err = o.resume(ctx, file, size)
		s.name = o.temp()
	}
	if err == nil && transfer == nil {
		transfer, s.name, err = o.startStore(ctx)
	}
	if err != nil {
		return s, err
	}
	o.half = o.env.Sync.Direct
	o.env.Live.set(transfer, size, s.offset)
	content, err := o.content(ctx, file, s.offset, size)
	if err != nil {
		transfer.Abort(ctx)
		return s, err
	}
	// An error of the copy is in Finish's verdict, together with the server's reason for it.
	transfer.ReadFrom(content)
	s.result, err = transfer.Finish(ctx)
	return s, err
}

// content is what is to be sent of the file, from offset on.
func (o *op) content(ctx context.Context, file *os.File, offset, size int64) (io.Reader, error) {
	if o.growth == nil {
		_, err := file.Seek(offset, io.SeekStart)
		return file, err
	}
	if err := o.growth.sent.upTo(ctx, file, offset); err != nil {
		return nil, err
	}
	return o.growth.from(file, offset, size), nil
}

// startStore starts an upload from the beginning. Two refusals have a cure: the folder is missing
// (its own job may come later or run at the same time), or leading dots are not allowed.
func (o *op) startStore(ctx context.Context) (transfer *ftpclient.Transfer, name string, err error) {
	if name = o.temp(); o.env.Sync.Direct {
		name = o.target()
	}
	transfer, err = o.conn.Store(ctx, name, 0)
	if refusedName(err) {
		if dirErr := o.conn.MakeDirs(ctx, path.Dir(name)); dirErr != nil {
			return nil, name, dirErr
		}
		transfer, err = o.conn.Store(ctx, name, 0)
	}
	if plain := o.plain(name); refusedName(err) && plain != name && !o.env.Sync.Direct {
		var second error
		if transfer, second = o.conn.Store(ctx, plain, 0); second == nil {
			o.conn.LearnNoDotNames()
			return transfer, plain, nil
		}
	}
	return transfer, name, err
}

// refusedName reports a refusal that may be about the name or the folder it is in.
func refusedName(err error) bool {
	var e *ftpclient.Error
	class := ftpclient.Classify(err)
	return errors.As(err, &e) && e.Code != 0 && (class == ftpclient.ClassParents || class == ftpclient.ClassPermanent)
}

// giveUp leaves a part of a big file that was cut off for the next attempt to go on with, and removes what is of no use. What
// is at the final name is left alone: the next attempt replaces it.
func (o *op) giveUp(ctx context.Context, s stored, local entry.Entry, cause error) {
	if o.env.Sync.Direct && !errors.Is(cause, errContent) && !errors.Is(cause, errSize) || local.Size >= resumeFrom && wasCutOff(cause) {
		return
	}
	o.discard(ctx, s.name)
}

// wasCutOff tells an upload that can go on from one that is wrong or not wanted.
func wasCutOff(err error) bool {
	switch ftpclient.Classify(err) {
	case ftpclient.ClassConnection, ftpclient.ClassUnavailable, ftpclient.ClassBusy, ftpclient.ClassRetry, ftpclient.ClassCancelled:
		return !errors.Is(err, ftpclient.ErrMismatch)
	}
	return false
}

// discard removes the temporary file if that is still possible; if not, the next attempt
// does, or the sweep.
func (o *op) discard(ctx context.Context, temp string) {
	if ctx.Err() == nil && o.conn.Usable() {
		if err := o.conn.Remove(ctx, temp); err != nil {
			o.env.Logger.Debug("temporary file stays for now", "path", temp, "error", err)
		}
	}
}

// removeTemp removes what so many attempts before may have left: one that the agent went down in has removed nothing of those
// before it.
func (o *op) removeTemp(ctx context.Context, attempts int) error {
	return o.removeTemps(ctx, o.job.Claims-1, attempts)
}

// removeTemps removes what an attempt may have left, and those before it, so many of them in all, in both forms of the name. What cannot
// be removed now, because the server still holds it, a full scan sweeps up later, but for what listings hide.
func (o *op) removeTemps(ctx context.Context, newest, attempts int) error {
	for attempt := newest; attempt > max(0, newest-attempts); attempt-- {
		last := o.tempOf(attempt)
		for _, name := range slices.Compact([]string{last, o.plain(last)}) {
			if err := o.conn.Remove(ctx, name); err != nil && !o.conn.Usable() {
				return err
			}
		}
	}
	return nil
}
