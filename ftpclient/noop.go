package ftpclient

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// beats is the ticker of Options.NoopDuringTransfer, nil without.
func (o Options) beats() (beat <-chan time.Time, stop func()) {
	if o.NoopDuringTransfer <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(o.NoopDuringTransfer)
	return ticker.C, ticker.Stop
}

// beat sends NOOP while the transfer runs, one at a time: servers that answer only after the
// transfer are not sent a heap of them. That the connection is lost shows elsewhere.
func (t *Transfer) beat(ctx context.Context) {
	if t.owesBeat() {
		return
	}
	if call, err := t.send(ctx, "NOOP", control.Simple); err == nil {
		t.noop = call
	}
}

func (t *Transfer) owesBeat() bool {
	if t.noop == nil {
		return false
	}
	select {
	case <-t.noop.Finished():
		return false
	default:
		return true
	}
}

// settle waits for the reply to the last NOOP, which vsftpd and ProFTPD send behind that of
// the transfer. Without it the connection is out of step.
func (t *Transfer) settle(ctx context.Context) {
	if t.noop == nil {
		return
	}
	waiting, stop := context.WithTimeoutCause(ctx, t.conn.options.ReplyTimeout, ErrTimeout)
	defer stop()
	if _, err := t.noop.Wait(waiting); err != nil {
		t.conn.kill()
	}
}
