package data

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// narrow returns both ends of a connection with a large buffer to send from and a small one
// to receive into.
func narrow(t *testing.T) (client *net.TCPConn, server net.Conn) {
	t.Helper()
	one, server := connectedTCP(t)
	client = one.(*net.TCPConn)
	if err := client.SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// full is a connection whose first write meets a full buffer, and a peer that reads some of
// that meanwhile. Systems let a writer go on only when much of it has become free.
type full struct {
	*net.TCPConn
	peer  net.Conn
	reads int
	met   bool
}

func (f *full) Write(p []byte) (int, error) {
	if f.met {
		return f.TCPConn.Write(p)
	}
	f.met = true
	before, _ := Guard(f.TCPConn, stall).Unsent()
	io.ReadFull(f.peer, make([]byte, f.reads))
	for f.reads > 0 {
		if now, _ := Guard(f.TCPConn, stall).Unsent(); now < before {
			break // the acknowledgement is here
		}
	}
	return 0, os.ErrDeadlineExceeded
}

func (f *full) ReadFrom(r io.Reader) (int64, error) {
	all, err := io.ReadAll(r)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	n, err := f.Write(all)
	return int64(n), err
}

func TestABufferThatIsSentSlowlyIsNoStall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(*Guarded) (int64, error){
		"written": func(g *Guarded) (int64, error) {
			n, err := g.Write([]byte("hello"))
			return int64(n), err
		},
		"by sendfile": func(g *Guarded) (int64, error) {
			file, err := os.Open(path)
			if err != nil {
				return 0, err
			}
			defer file.Close()
			return g.SendFile(file, func() []byte {
				t.Error("made a buffer that sendfile has no use for")
				return newBuffer()
			}, func(int64) {})
		},
	}
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			client, server := narrow(t)
			client.Write(make([]byte, 400<<10))
			if n, err := send(Guard(&full{TCPConn: client, peer: server, reads: 200 << 10}, stall)); n != 5 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
		t.Run(name+", where nobody reads", func(t *testing.T) {
			client, server := narrow(t)
			client.Write(make([]byte, 400<<10))
			for last := -1; ; { // what fits into the peer's buffer may still be on its way
				now, _ := Guard(client, stall).Unsent()
				if now == last {
					break
				}
				last = now
				time.Sleep(20 * time.Millisecond)
			}
			if n, err := send(Guard(&full{TCPConn: client, peer: server}, stall)); n != 0 || !errors.Is(err, ErrStalled) {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
}

func TestUnsent(t *testing.T) {
	client, server := narrow(t)
	g := Guard(client, stall)
	if n, known := g.Unsent(); n != 0 || !known {
		t.Errorf("at the start: %d, %v", n, known)
	}
	if _, err := g.Write(make([]byte, 400<<10)); err != nil {
		t.Fatal(err)
	}
	if n, known := g.Unsent(); n == 0 || !known {
		t.Errorf("with nobody reading: %d, %v", n, known)
	}
	g.CloseWrite()
	io.Copy(io.Discard, server)
	for n := -1; n != 0; { // the last acknowledgement is on its way
		n, _ = g.Unsent()
	}
	g.Close()
	if _, known := g.Unsent(); known {
		t.Error("known of a closed connection")
	}
}
