package work

import (
	"sync/atomic"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// Live tells how far the transfer of a job has come. The job sets it, any goroutine may read it. On a nil *Live nothing is kept.
type Live struct{ transfer atomic.Pointer[liveTransfer] }

type liveTransfer struct {
	*ftpclient.Transfer
	size, resumed int64
	began         time.Time
	others        *atomic.Int64 // what came by other streams; nil for none
}

// LiveOf is that of a transfer which is under way, of size bytes or -1, from the beginning of the file.
func LiveOf(transfer *ftpclient.Transfer, size int64) *Live {
	l := new(Live)
	l.set(transfer, size, 0)
	return l
}

// LiveTransfer is how far a transfer has come at one moment.
type LiveTransfer struct {
	// Size is that of the file in bytes, -1 if nobody knows; Done is how many of them have moved, and Resumed those among them that
	// had before.
	Size, Done, Resumed int64
	Rate                float64 // bytes a second, over the last seconds
	Began               time.Time
	Flowed              time.Duration // from the beginning of the first stream until its last byte so far
	Method              string        // data channel
}

// set notes a transfer that begins at the offset resumed.
func (l *Live) set(transfer *ftpclient.Transfer, size, resumed int64) {
	if l != nil {
		l.transfer.Store(&liveTransfer{transfer, size, resumed, time.Now(), nil})
	}
}

// beside has counted what other streams bring of the same file.
func (l *Live) beside(moved *atomic.Int64) {
	if l == nil {
		return
	}
	if t := l.transfer.Load(); t != nil {
		with := *t
		with.others = moved
		l.transfer.Store(&with)
	}
}

// At returns how far the transfer has come; false if none was begun.
func (l *Live) At(now time.Time) (LiveTransfer, bool) {
	t := l.transfer.Load()
	if t == nil {
		return LiveTransfer{}, false
	}
	shown := LiveTransfer{
		Size: t.size, Done: t.resumed + t.Bytes(), Resumed: t.resumed, Rate: t.Rate(now), Began: t.began, Flowed: t.Flowed(),
		Method: t.Mode().String(),
	}
	if t.others != nil {
		shown.Done += t.others.Load()
	}
	if shown.Size >= 0 { // a file that grows meanwhile has a new size only when it is looked at again
		shown.Done = min(shown.Done, shown.Size)
	}
	return shown, true
}
