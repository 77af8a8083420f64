package data

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func only(l *rate.Limiter) []*rate.Limiter { return []*rate.Limiter{l} }

func TestPace(t *testing.T) {
	const size, perSecond = 1000, 10 // slower than the stall time-out allows for the whole
	near := func(t *testing.T, began time.Time, want time.Duration) {
		t.Helper()
		if took := time.Since(began); took < want*9/10 || took > want*11/10 {
			t.Errorf("took %s, want about %s", took, want)
		}
	}
	t.Run("a write takes its time and does not stall", func(t *testing.T) {
		guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
			g.Pace(nil, only(NewLimiter(perSecond)))
			go io.Copy(io.Discard, peer)
			began := time.Now()
			if n, err := g.Write(make([]byte, size)); n != size || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			near(t, began, size/perSecond*time.Second)
		})
	})
	t.Run("so does reading", func(t *testing.T) {
		guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
			g.Pace(only(NewLimiter(perSecond)), nil)
			go peer.Write(make([]byte, size))
			began := time.Now()
			if n, err := io.ReadFull(g, make([]byte, size)); n != size || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			near(t, began, size/perSecond*time.Second)
		})
	})
	t.Run("the slower of two limits counts, and a shared one is shared", func(t *testing.T) {
		guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
			shared := NewLimiter(perSecond)
			g.Pace(nil, []*rate.Limiter{NewLimiter(1e6), shared})
			go io.Copy(io.Discard, peer)
			other, otherPeer := net.Pipe()
			defer other.Close()
			go io.Copy(io.Discard, otherPeer)
			second := Guard(other, stall)
			second.Pace(nil, only(shared))
			done := make(chan struct{})
			go func() {
				defer close(done)
				second.Write(make([]byte, size))
			}()
			began := time.Now()
			g.Write(make([]byte, size))
			<-done
			near(t, began, 2*size/perSecond*time.Second)
		})
	})
	t.Run("a peer that does not read still stalls", func(t *testing.T) {
		guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
			g.Pace(nil, only(NewLimiter(perSecond)))
			if _, err := g.Write(make([]byte, size)); !errors.Is(err, ErrStalled) {
				t.Errorf("%v", err)
			}
		})
	})
	for name, end := range map[string]func(*Guarded){"Reset": (*Guarded).Reset, "Close": func(g *Guarded) { g.Close() }} {
		t.Run(name+" ends the wait", func(t *testing.T) {
			guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
				g.Pace(nil, only(NewLimiter(1)))
				go io.Copy(io.Discard, peer)
				time.AfterFunc(1500*time.Millisecond, func() { end(g) })
				began := time.Now()
				if n, err := g.Write(make([]byte, size)); n != 3 || !errors.Is(err, net.ErrClosed) {
					t.Errorf("%d, %v", n, err)
				}
				near(t, began, 1500*time.Millisecond)
			})
		})
	}
	t.Run("a limiter that lets nothing through is an error", func(t *testing.T) {
		guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
			g.Pace(nil, only(rate.NewLimiter(1, 0)))
			go io.Copy(io.Discard, peer)
			if _, err := g.Write(make([]byte, size)); !errors.Is(err, ErrRate) {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("one without a limit is none", func(t *testing.T) {
		guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
			g.Pace(nil, only(rate.NewLimiter(rate.Inf, 0)))
			go io.Copy(io.Discard, peer)
			began := time.Now()
			if n, err := g.Write(make([]byte, size)); n != size || err != nil || time.Since(began) > 0 {
				t.Errorf("%d, %v", n, err)
			}
		})
	})
}

// TestFilesAreSentAndReceivedAtAPace is about sendfile and splice, which move large pieces
// when nobody stops them.
func TestFilesAreSentAndReceivedAtAPace(t *testing.T) {
	const size, perSecond = 600_000, 2_000_000
	want := bytes.Repeat([]byte("0123456789"), size/10)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, want, 0o600); err != nil {
		t.Fatal(err)
	}
	client, server := connectedTCP(t)
	in, err := os.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(source + ".copy")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	sender, receiver := Guard(client, stall), Guard(server, stall)
	sender.Pace(nil, only(NewLimiter(perSecond)))
	began := time.Now()
	sent := make(chan error)
	go func() {
		_, err := sender.SendFile(in, newBuffer, func(int64) {})
		client.Close()
		sent <- err
	}()
	n, err := receiver.ReceiveFile(out, math.MaxInt64, func(int64) {})
	if took := time.Since(began); n != size || err != nil || took < 100*time.Millisecond {
		t.Errorf("%d bytes, %v, in %s", n, err, took)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if !receiver.SawEOF() || receiver.Moved() != size || sender.Moved() != size {
		t.Errorf("EOF: %v, moved %d and %d", receiver.SawEOF(), receiver.Moved(), sender.Moved())
	}
	if got, err := os.ReadFile(source + ".copy"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestReceiveFileThatStalls(t *testing.T) {
	client, server := connectedTCP(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	io.WriteString(server, "part")
	n, err := Guard(client, 50*time.Millisecond).ReceiveFile(out, math.MaxInt64, func(int64) {})
	if n != 4 || !errors.Is(err, ErrStalled) {
		t.Errorf("%d, %v", n, err)
	}
}
