package work

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// line is what data connections go through. It carries so many bytes each way, and holds on to the rest: so a transfer cannot be over
// before it is cut, however late that is.
type line struct {
	t       *testing.T
	host    string // of the server
	carries int64
	full    chan struct{} // gets something for each connection of which it carries no more
	speed   *rate.Limiter // of all that goes to the client together, if not nil

	pumps sync.WaitGroup
	mu    sync.Mutex
	ends  []io.Closer
	isCut bool
}

// holds remembers what has to be closed when the line is cut.
func (l *line) holds(end io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, end)
	if l.isCut {
		end.Close()
	}
}

// cut ends all that goes through the line.
func (l *line) cut() {
	l.mu.Lock()
	l.isCut = true
	for _, end := range l.ends {
		end.Close()
	}
	l.mu.Unlock()
	l.pumps.Wait()
}

// passive leads the client to this end of the line: it returns what is said in place of a reply to EPSV.
func (l *line) passive(reply string) string {
	before, rest, _ := strings.Cut(reply, "(|||")
	port, after, found := strings.Cut(rest, "|)")
	if !found || !strings.HasPrefix(reply, "229") {
		return reply
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Error(err)
		return reply
	}
	l.holds(listener)
	l.pumps.Go(func() {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		l.holds(client)
		server, err := net.Dial("tcp", net.JoinHostPort(l.host, port))
		if err != nil {
			client.Close()
			return
		}
		l.holds(server)
		var up sync.WaitGroup
		up.Go(func() { l.carry(server, client) })
		l.carry(client, l.slowly(server))
		up.Wait()
	})
	_, here, _ := net.SplitHostPort(listener.Addr().String()) // the address of a listener is well formed
	return before + "(|||" + here + "|)" + after
}

// slowly is a connection that is read at the speed of the line.
func (l *line) slowly(conn net.Conn) net.Conn {
	if l.speed == nil {
		return conn
	}
	return slow{conn, l.speed}
}

type slow struct {
	net.Conn
	speed *rate.Limiter
}

// Read implements io.Reader.
func (s slow) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:min(len(p), s.speed.Burst())])
	s.speed.WaitN(context.Background(), n)
	return n, err
}

func (l *line) carry(to, from net.Conn) {
	if n, _ := io.CopyN(to, from, l.carries); n < l.carries { // it was closed at one end
		to.Close()
		from.Close()
		return
	}
	l.full <- struct{}{}
}

// cutAfter makes the next transfer stop once so many bytes have moved. When they are all in the file, the server ends, or the program
// where its own end is what is tested (pyftpdlib). mend, to be called when the transfer has failed, brings everything back.
func (b *bench) cutAfter(bytes int64, file string) (ctx context.Context, mend func()) {
	b.t.Helper()
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	before := size()
	host, _, err := net.SplitHostPort(b.server.Addr)
	if err != nil {
		b.t.Fatal(err)
	}
	through := &line{t: b.t, host: host, carries: bytes + 1<<20, full: make(chan struct{}, 10)} // more than has to arrive: a server may hold on to the last of it
	b.goThrough(through)
	ctx, cancel := context.WithTimeout(b.t.Context(), 8*time.Minute)
	arrived, failed, ended := false, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-failed:
			return
		case <-through.full:
		}
		for size() < before+bytes {
			select {
			case <-failed:
				return
			case <-time.After(time.Millisecond):
			}
		}
		arrived = true
		if b.server.Name == "pyftpdlib" {
			cancel()
		} else {
			b.server.Stop()
			through.cut()
		}
	}()
	return ctx, func() {
		b.t.Helper()
		close(failed)
		<-ended
		cancel()
		through.cut()
		b.goThrough(nil)
		if !arrived {
			b.t.Fatalf("the transfer was over before %d bytes were there", bytes)
		}
		if b.server.Name != "pyftpdlib" {
			b.server.Start()
		} else if strings.HasPrefix(file, b.remote) {
			// It writes what it has got, whoever is gone; of what is under way when the line is cut, some may be lost.
			last, since := size(), time.Now()
			for last < before+through.carries && time.Since(since) < 2*time.Second {
				time.Sleep(time.Millisecond)
				if now := size(); now != last {
					last, since = now, time.Now()
				}
			}
		}
		b.conn.Close()
	}
}

// goThrough leads all data connections from now on through a line, or past all lines.
func (b *bench) goThrough(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = l
}
