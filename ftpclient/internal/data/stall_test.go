package data

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const stall = time.Minute

func guardedPipe(t *testing.T, test func(t *testing.T, g *Guarded, peer net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		client, peer := net.Pipe()
		defer client.Close()
		defer peer.Close()
		test(t, Guard(client, stall), peer)
	})
}

func TestAReadThatStallsEnds(t *testing.T) {
	guardedPipe(t, func(t *testing.T, g *Guarded, _ net.Conn) {
		began := time.Now()
		if _, err := g.Read(make([]byte, 1)); !errors.Is(err, ErrStalled) || time.Since(began) != stall {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if g.SawEOF() {
			t.Error("a stall is no end")
		}
	})
}

func TestSlowReadsGoOn(t *testing.T) {
	guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
		go func() {
			for range 10 {
				time.Sleep(stall - time.Second)
				peer.Write([]byte("x"))
			}
			peer.Close()
		}()
		if got, err := io.ReadAll(g); len(got) != 10 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if !g.SawEOF() || g.Moved() != 10 {
			t.Errorf("EOF: %v, moved %d", g.SawEOF(), g.Moved())
		}
	})
}

// TestAWriteGoesOnWhereItStopped has a peer that takes one byte within each time-out: one
// Write takes ten of them and must not lose or repeat a byte.
func TestAWriteGoesOnWhereItStopped(t *testing.T) {
	guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
		got := make(chan []byte)
		go func() {
			var all []byte
			for range 10 {
				time.Sleep(stall - time.Second)
				b := make([]byte, 1)
				io.ReadFull(peer, b)
				all = append(all, b...)
			}
			got <- all
		}()
		if n, err := g.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if all := <-got; string(all) != "0123456789" || g.Moved() != 10 {
			t.Errorf("%q, moved %d", all, g.Moved())
		}
	})
}

func TestAWriteThatStallsEnds(t *testing.T) {
	guardedPipe(t, func(t *testing.T, g *Guarded, peer net.Conn) {
		go io.ReadFull(peer, make([]byte, 3))
		n, err := g.Write([]byte("0123456789"))
		if n != 3 || !errors.Is(err, ErrStalled) {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// connectedTCP returns both ends of a connection on loopback.
func connectedTCP(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := listenOn(t, "127.0.0.1")
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func TestHowThePeerSeesTheEnd(t *testing.T) {
	t.Run("CloseWrite is the end of the stream, and the peer can answer", func(t *testing.T) {
		client, server := connectedTCP(t)
		g := Guard(client, stall)
		if err := g.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(server); len(got) != 0 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		io.WriteString(server, "thanks")
		server.Close()
		if got, err := io.ReadAll(g); string(got) != "thanks" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("Reset is an error", func(t *testing.T) {
		client, server := connectedTCP(t)
		Guard(client, stall).Reset()
		if _, err := io.ReadAll(server); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v", err)
		}
	})
}

func TestSendFile(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 600_000) // more than one piece
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	const skip = 7 // what was read before is not sent
	tests := []struct {
		name string
		send func(t *testing.T, file *os.File) (sent int64, got []byte, err error)
	}{
		{"over TCP", func(t *testing.T, file *os.File) (int64, []byte, error) {
			client, server := connectedTCP(t)
			received := make(chan []byte)
			go func() {
				all, _ := io.ReadAll(server)
				received <- all
			}()
			sent, err := Guard(client, stall).SendFile(file, newBuffer, func(int64) {})
			client.Close()
			return sent, <-received, err
		}},
		{"over a connection without sendfile that often pauses", func(t *testing.T, file *os.File) (int64, []byte, error) {
			client := &stuttering{}
			sent, err := Guard(client, stall).SendFile(file, newBuffer, func(int64) {})
			return sent, client.got.Bytes(), err
		}},
		{"over a connection that reads more than it sends", func(t *testing.T, file *os.File) (int64, []byte, error) {
			client := &hasty{}
			sent, err := Guard(client, stall).SendFile(file, newBuffer, func(int64) {})
			return sent, client.got.Bytes(), err
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.Seek(skip, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			sent, got, err := test.send(t, file)
			if err != nil || sent != int64(len(want)-skip) || !bytes.Equal(got, want[skip:]) {
				t.Errorf("sent %d, arrived %d, %v; want the last %d bytes", sent, len(got), err, len(want)-skip)
			}
		})
	}
}

// stuttering takes a part of each write and then times out.
type stuttering struct {
	net.Conn
	got bytes.Buffer
}

func (*stuttering) SetWriteDeadline(time.Time) error { return nil }

func (s *stuttering) Write(p []byte) (int, error) {
	n := min(len(p), 100_000)
	s.got.Write(p[:n])
	if n < len(p) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

// hasty is a connection whose ReadFrom times out with bytes in hand that it did not send.
type hasty struct{ stuttering }

func (h *hasty) ReadFrom(r io.Reader) (int64, error) {
	buffer := make([]byte, 150_000)
	n, err := r.Read(buffer)
	if err != nil {
		return 0, nil // io.ReaderFrom has no io.EOF
	}
	written, err := h.Write(buffer[:n])
	return int64(written), err
}

// counting is a connection that counts how often it is given something to send.
type counting struct {
	stuttering
	times int
}

func (c *counting) ReadFrom(r io.Reader) (int64, error) {
	c.times++
	return io.Copy(io.Discard, r)
}

func TestASmallFileIsSentInOnePiece(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	client := &counting{}
	if sent, err := Guard(client, stall).SendFile(file, newBuffer, func(int64) {}); err != nil || sent != 5 || client.times != 1 {
		t.Errorf("%d bytes in %d pieces, %v", sent, client.times, err)
	}
}

// silent is a connection that the system gives up by itself.
type silent struct{ net.Conn }

func (silent) SetReadDeadline(time.Time) error  { return nil }
func (silent) SetWriteDeadline(time.Time) error { return nil }
func (silent) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
}
func (silent) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.ETIMEDOUT)}
}

func TestAConnectionThatTheSystemGivesUpHasStalled(t *testing.T) {
	g := Guard(silent{}, stall)
	_, readErr := g.Read(make([]byte, 1))
	_, writeErr := g.Write([]byte("x"))
	for _, err := range []error{readErr, writeErr} {
		if !errors.Is(err, ErrStalled) || !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("%v", err)
		}
	}
}

// newBuffer is the buffer of SendFile.
func newBuffer() []byte { return make([]byte, BufferSize) }
