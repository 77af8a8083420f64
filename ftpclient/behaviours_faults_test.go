package ftpclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// usable sees to it that p has a connection that is in step, after one that may have been given up.
func (p *place) usable(t *testing.T) {
	t.Helper()
	if !p.conn.Usable() {
		p.redial(t)
	}
	// A reply that went astray would be the answer to one of these.
	if err := p.conn.Noop(t.Context()); err != nil {
		t.Error(err)
	}
	if size, err := p.conn.Size(t.Context(), p.remote("large")); err != nil || size != largeSize {
		t.Errorf("out of step: %d, %v", size, err)
	}
	p.store(t, "after", []byte("after all"))
	if got, _ := p.retrieve(t, "after", 0); string(got) != "after all" {
		t.Errorf("the next file: %q", got)
	}
}

// largeSize is more than fits into the buffers on the way, so that a transfer of the file large has a middle.
const largeSize = 12 << 20

func abortDownload(t *testing.T, p *place) {
	p.put(t, "large", nil)
	if err := os.Truncate(filepath.Join(p.disk, "large"), largeSize); err != nil {
		t.Fatal(err)
	}
	transfer := beginDownload(t, p, "large")
	transfer.Abort(t.Context())
	if _, err := transfer.Finish(t.Context()); err == nil {
		t.Error("a broken-off download was finished")
	}
	keptByAbort(t, p)
}

func keptByAbort(t *testing.T, p *place) {
	t.Helper()
	p.keptOrReplaced(t)
	p.usable(t)
}

// keptOrReplaced is for a connection on which a transfer was broken off: it is still good, or the server is one that may
// have ended it.
func (p *place) keptOrReplaced(t *testing.T) {
	t.Helper()
	if !p.conn.Usable() && !(p.profile().abortEnds && p.security.version != 0) {
		t.Error("the connection was given up")
	}
	p.repair(t)
}

func abortUpload(t *testing.T, p *place) {
	transfer, err := p.conn.Store(t.Context(), p.remote("torn"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Write(content(4, 1<<20)); err != nil {
		t.Fatal(err)
	}
	transfer.Abort(t.Context())
	if _, err := transfer.Finish(t.Context()); err == nil {
		t.Error("a broken-off upload was finished")
	}
	keptByAbort(t, p)
}

// cancelling does something after some bytes have gone through it.
type cancelling struct {
	left   int
	cancel func()
}

func (c *cancelling) count(n int) {
	if c.left -= n; c.left <= 0 && c.left+n > 0 {
		c.cancel()
	}
}

func (c *cancelling) Write(p []byte) (int, error) {
	c.count(len(p))
	return len(p), nil
}

// Read gives zeros without an end: what there is of them on the server's disk is never the whole.
func (c *cancelling) Read(p []byte) (int, error) {
	clear(p)
	c.count(len(p))
	return len(p), nil
}

func cancelDownload(t *testing.T, p *place) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	transfer, err := p.conn.Retrieve(ctx, p.remote("large"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var cancelled time.Time
	io.Copy(&cancelling{100_000, func() { cancelled = time.Now(); cancel() }}, struct{ io.Reader }{transfer})
	_, err = transfer.Finish(ctx)
	checkCancelled(t, err, cancelled)
	p.usable(t)
}

func checkCancelled(t *testing.T, err error, at time.Time) {
	t.Helper()
	if took := time.Since(at); took > atOnce {
		t.Errorf("it took %s", took)
	}
	if !errors.Is(err, context.Canceled) || ftpclient.Classify(err) != ftpclient.ClassCancelled {
		t.Errorf("%v (%s)", err, ftpclient.Classify(err))
	}
}

func cancelUpload(t *testing.T, p *place) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	transfer, err := p.conn.Store(ctx, p.remote("cancelled"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var cancelled time.Time
	transfer.ReadFrom(&cancelling{1 << 20, func() { cancelled = time.Now(); cancel() }}) // its error is Finish's, too
	_, err = transfer.Finish(ctx)
	checkCancelled(t, err, cancelled)
	p.redial(t)

	// When all bytes are sent, and before Finish: who knows what the server has of them.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	if transfer, err = p.conn.Store(ctx, p.remote("cancelled"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Write([]byte("all")); err != nil {
		t.Fatal(err)
	}
	cancelled = time.Now()
	cancel()
	_, err = transfer.Finish(ctx)
	checkCancelled(t, err, cancelled)
	p.usable(t)
}

// behind is another connection of p, the data connections of which break.
func (p *place) behind(t *testing.T, l *brokenLine, change func(*ftpclient.Options)) *place {
	t.Helper()
	return p.again(t, func(o *ftpclient.Options) {
		o.Proxy = l.url("http", "")
		o.StallTimeout = testPatience
		change(o)
	})
}

const stall = time.Second

func stalledDownload(t *testing.T, p *place) {
	l := newBrokenLine(t, p.server.Addr, brokenLine{down: 200_000, stalls: true})
	slow := p.behind(t, l, func(*ftpclient.Options) {})
	slow.conn.SetPatience(ftpclient.Options{StallTimeout: stall})
	transfer, err := slow.conn.Retrieve(t.Context(), p.remote("large"), 0)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if n, err := io.Copy(io.Discard, transfer); !errors.Is(err, ftpclient.ErrStalled) || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	_, err = transfer.Finish(t.Context())
	checkStalled(t, err, start)
	l.mend()
	slow.conn.SetPatience(ftpclient.Options{StallTimeout: testPatience})
	slow.usable(t)
}

func checkStalled(t *testing.T, err error, since time.Time) {
	t.Helper()
	if took := time.Since(since); took < stall || took > atOnce {
		t.Errorf("it took %s", took)
	}
	if !errors.Is(err, ftpclient.ErrStalled) || ftpclient.Classify(err) != ftpclient.ClassConnection && ftpclient.Classify(err) != ftpclient.ClassRetry {
		t.Errorf("%v (%s)", err, ftpclient.Classify(err))
	}
}

func stalledUpload(t *testing.T, p *place) {
	l := newBrokenLine(t, p.server.Addr, brokenLine{up: 200_000, stalls: true})
	slow := p.behind(t, l, func(*ftpclient.Options) {})
	slow.conn.SetPatience(ftpclient.Options{StallTimeout: stall})
	transfer, err := slow.conn.Store(t.Context(), p.remote("stalled"), 0)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	transfer.ReadFrom(zeros{}) // its error is Finish's, too
	_, err = transfer.Finish(t.Context())
	checkStalled(t, err, start)
	if slow.conn.Usable() {
		t.Error("the connection is used while the server still waits for the file")
	}
	l.mend()
	slow.conn.SetPatience(ftpclient.Options{StallTimeout: testPatience})
	slow.usable(t)
}

// truncatedDownload is about a server that has sent all of a file and says so, and a line that loses the end of it,
// between two records of TLS.
func truncatedDownload(t *testing.T, p *place) {
	const size = 200_000
	p.put(t, "short", content(6, size))
	l := newBrokenLine(t, p.server.Addr, brokenLine{down: 100_000, records: p.security.version != 0})
	short := p.behind(t, l, func(*ftpclient.Options) {})
	got, result, err := get(t.Context(), short.conn, p.remote("short"))
	if len(got) >= size {
		t.Fatalf("%d bytes came", len(got))
	}
	t.Logf("%d bytes, %+v, %v", len(got), result, err)
	// Without TLS nobody but who knows the size can tell.
	if p.security.version != 0 && err == nil && result.CleanEnd {
		t.Errorf("%d bytes that end in order: %+v", len(got), result)
	}
	short.repair(t)
	transfer, _, err := short.conn.ResumeRetrieve(t.Context(), p.remote("short"), size, time.Time{}, bytes.NewReader(nil), 0)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, transfer)
	if _, err = transfer.Finish(t.Context()); !errors.Is(err, ftpclient.ErrMismatch) && (p.security.version == 0 || err == nil) {
		t.Errorf("a part of a file is taken for all of it: %v", err)
	}
	l.mend()
	short.usable(t)
}

// repair replaces a connection that was given up.
func (p *place) repair(t *testing.T) {
	t.Helper()
	if !p.conn.Usable() {
		p.redial(t)
	}
}

// truncatedUpload is about a line that loses the end of an upload: what the server makes of that is up to it.
func truncatedUpload(t *testing.T, p *place) {
	const size = 200_000
	verdict, silent := 226, false
	if p.security.version != 0 {
		verdict, silent = p.profile().cutUpload, p.profile().cutSilent
	}
	l := newBrokenLine(t, p.server.Addr, brokenLine{up: 100_000, records: p.security.version != 0})
	short := p.behind(t, l, func(o *ftpclient.Options) {
		if silent {
			o.FinalReplyTimeout = 3 * time.Second
		}
	})
	_, err := put(t.Context(), short.conn, p.remote("cut"), bytes.NewReader(content(7, size)))
	var e *ftpclient.Error
	switch {
	case silent && errors.Is(err, ftpclient.ErrUnconfirmed):
	case verdict == 226 && err == nil, verdict > 226 && errors.As(err, &e) && e.Code == verdict:
	default:
		t.Errorf("the verdict: %v, want %d", err, verdict)
	}
	short.repair(t)
	if err := short.conn.VerifySize(t.Context(), p.remote("cut"), size); !errors.Is(err, ftpclient.ErrMismatch) {
		t.Errorf("a part of a file is taken for all of it: %v", err)
	}
	l.mend()
	short.usable(t)
}

// oneClientTooMany is about a server that takes one at a time.
func oneClientTooMany(t *testing.T, p *place) {
	p.small.turn.Lock()
	defer p.small.turn.Unlock()
	address := p.small.real.Addr
	o := p.options
	o.TLSConfig = optionsFor(p.small.real, p.security).TLSConfig
	first := dialWhenFree(t, address, o)
	defer first.Close()
	_, err := ftpclient.Dial(t.Context(), address, o)
	t.Log(err)
	var e *ftpclient.Error
	if !errors.As(err, &e) || ftpclient.Classify(err) != ftpclient.ClassBusy || e.Op != p.profile().busyOp || e.Code != p.profile().busyCode {
		t.Errorf("%v (%s)", err, ftpclient.Classify(err))
	}
	if err := first.Noop(t.Context()); err != nil {
		t.Errorf("the first connection: %v", err)
	}
	first.Close()
	dialWhenFree(t, address, o).Close()
}

// dialWhenFree dials as long as the server still counts those who have gone.
func dialWhenFree(t *testing.T, address string, o ftpclient.Options) *ftpclient.Conn {
	t.Helper()
	for start := time.Now(); ; {
		conn, err := ftpclient.Dial(t.Context(), address, o)
		if err == nil {
			return conn
		}
		if ftpclient.Classify(err) != ftpclient.ClassBusy || time.Since(start) > patience {
			t.Fatal(err)
		}
	}
}
