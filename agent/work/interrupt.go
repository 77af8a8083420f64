package work

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// steadyKey is that of the context behind the one that can be interrupted.
type steadyKey struct{}

// Interruptible returns a context for Do that interrupt ends before ctx does. With ftpclient.ErrInterrupted in its cause the
// connection goes on. What must not be left half-done, such as the renaming of what was transferred, goes on too, until ctx ends.
func Interruptible(ctx context.Context) (interruptible context.Context, interrupt context.CancelCauseFunc) {
	return context.WithCancelCause(context.WithValue(ctx, steadyKey{}, ctx))
}

// steady is the context for what must not be left half-done.
func steady(ctx context.Context) context.Context {
	if steady, ok := ctx.Value(steadyKey{}).(context.Context); ok {
		return steady
	}
	return ctx
}

// CanBeInterrupted reports the kinds of jobs that may take long and of which nothing counts before they are done: transfers, looks,
// comparisons, and the purging of the trash, which only goes on another day. What deletes, renames or makes a folder is over soon, and cannot be
// taken back: that ends by itself.
func CanBeInterrupted(kind string) bool {
	switch kind {
	case string(plan.Upload), string(plan.Download), KindVerify, KindPurgeLocal, KindPurgeRemote:
		return true
	}
	return IsScan(kind)
}

// takeBackPatience bounds how long it may take to remove what an attempt has left that is not tried again, with the time for another
// connection where the server has not kept this one in step.
const takeBackPatience = 30 * time.Second

// takeBack removes what this attempt and those before have left on either side, as no other one goes on with it. What cannot be removed
// now goes with a full scan: there is no job to it any more.
func (o *op) takeBack(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, takeBackPatience, ftpclient.ErrTimeout)
	defer cancel()
	var err error
	switch o.Action {
	case plan.Upload:
		err = errors.Join(o.endParting(), o.takeBackUpload(ctx))
	case plan.Download:
		o.discardLocal()
		err = o.takeBackClaim(ctx)
	}
	if err != nil {
		o.env.Logger.Warn("what a dropped transfer has left stays until a full scan finds it", "path", o.Path, "error", err)
	}
}

func (o *op) takeBackUpload(ctx context.Context) error {
	if o.onlyCopy || o.env.Sync.Direct && !o.half {
		return nil
	}
	if err := o.connected(ctx); err != nil {
		return err
	}
	if o.half {
		return o.conn.Remove(ctx, o.target())
	}
	return o.removeTemps(ctx, o.job.Claims, lastParts+1)
}

// takeBackClaim gives a file that this job has claimed its own name again.
func (o *op) takeBackClaim(ctx context.Context) error {
	if !o.env.Sync.Claim && !o.env.Sync.Download.After.acts() {
		return nil
	}
	if err := o.connected(ctx); err != nil {
		return err
	}
	from, found, err := o.claimed(ctx)
	if err == nil && found {
		_, err = o.giveBack(ctx, from)
	}
	return err
}

// connected makes sure that there is a connection to take something back by.
func (o *op) connected(ctx context.Context) error {
	conn, err := o.env.Connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to take back what was begun: %w", err)
	}
	o.conn, o.remote.Conn = conn, conn
	return nil
}
