package ftpclient_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// brokenLine is a proxy the control connections of which work, and the data connections of which break, until they are
// mended.
type brokenLine struct {
	*relay
	down, up int64         // how much still comes through that way, 0 for everything
	stalls   bool          // nothing more moves then; else the rest is lost, and the connection ends in order
	records  bool          // the cut is between two records of TLS
	over     chan struct{} // closed when the line is mended
	once     *sync.Once
}

func newBrokenLine(t *testing.T, server string, l brokenLine) *brokenLine {
	t.Helper()
	l.over, l.once = make(chan struct{}), &sync.Once{}
	l.relay = newRelayThat(t, "", connectHTTP, func(to, from net.Conn, reader io.Reader, up bool) {
		limit, onward := l.down, from
		if up {
			limit, onward = l.up, to
		}
		if onward.RemoteAddr().String() == server || l.mended() {
			carry(to, reader)
			return
		}
		if limit == 0 {
			carry(to, reader)
			if up && l.stalls {
				to.Close() // the client gives up, and the server hears of it
			}
			return
		}
		l.lose(to.(*net.TCPConn), reader, limit)
	})
	t.Cleanup(l.mend)
	return &l
}

// mend lets what comes from now on through, and ends what hangs.
func (l *brokenLine) mend() { l.once.Do(func() { close(l.over) }) }

func (l *brokenLine) mended() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// lose copies what comes through, to the end of a record if there are such.
func (l *brokenLine) lose(to *net.TCPConn, reader io.Reader, limit int64) {
	if l.records {
		copyRecords(to, reader, limit)
	} else {
		carry(to, io.LimitReader(reader, limit))
	}
	if l.stalls {
		<-l.over
		return
	}
	to.CloseWrite()
	io.Copy(io.Discard, reader)
	to.Close()
}

// copyRecords copies records of TLS until there were limit bytes of them or more.
func copyRecords(to io.Writer, reader io.Reader, limit int64) {
	const head = 5
	buffered := bufio.NewReader(reader)
	for limit > 0 {
		start, err := buffered.Peek(head)
		if err != nil {
			return
		}
		n, err := io.CopyN(to, buffered, head+int64(binary.BigEndian.Uint16(start[3:])))
		if err != nil {
			return
		}
		limit -= n
	}
}

// carry copies without splice, the pipes of which the system library keeps for later.
func carry(to io.Writer, reader io.Reader) {
	io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{reader})
}
