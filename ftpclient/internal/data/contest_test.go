package data

import (
	"bytes"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhichWayOfCopyingWins(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name             string
		sendfile, buffer float64 // bytes a second
		want             contestStage
	}{
		{"a line is the limit: the buffer is not even tried", 125 * mib, 10_000 * mib, sendfileWon},
		{"both are equally fast: what costs less", 2000 * mib, 2000 * mib, sendfileWon},
		{"the buffer is a little faster, as luck has it", 2000 * mib, 2150 * mib, sendfileWon},
		{"a receiver that suffers from cold pages", 1200 * mib, 2000 * mib, bufferWon},
		{"the buffer is slower", 3000 * mib, 1500 * mib, sendfileWon},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c contest
			now := time.Unix(0, 0)
			tried := false
			for range 200 {
				rate := test.sendfile
				if c.throughBuffer() {
					rate, tried = test.buffer, true
				}
				now = now.Add(time.Duration(float64(mib) / rate * float64(time.Second)))
				c.piece(mib, now)
			}
			if c.stage != test.want {
				t.Errorf("stage %d, want %d", c.stage, test.want)
			}
			if wantTried := test.sendfile >= contestRate; tried != wantTried {
				t.Errorf("buffer tried: %v, want %v", tried, wantTried)
			}
		})
	}
}

// The content is whole whatever way its parts go, and the count of them, too.
func TestSendFileTakesTheFasterWay(t *testing.T) {
	const size = 150<<20 + 12345
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at < size-4; at += 777_777 { // holes elsewhere
		if _, err := file.WriteAt([]byte{byte(at), byte(at >> 8), byte(at >> 16), 1}, at); err != nil {
			t.Fatal(err)
		}
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, file); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name            string
		sendfile, write time.Duration // of a piece
		atLeast, atMost int64         // bytes by sendfile
	}{
		{"sendfile is slow", 2 * time.Millisecond, 0, contestSettles + contestMeasures, contestSettles + contestMeasures + 2*mostPiece},
		{"sendfile is fast", 0, time.Millisecond, size - contestSettles - contestMeasures - 2*mostPiece, size - contestSettles - contestMeasures},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, err := file.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				conn := &twoWays{sum: crc32.NewIEEE(), sendfile: test.sendfile, write: test.write}
				counted := int64(0)
				g := Guard(conn, stall)
				sent, err := g.SendFile(file, newBuffer, func(n int64) { counted += n })
				if err != nil || sent != size || counted != size || g.Moved() != size {
					t.Errorf("sent %d, counted %d, moved %d, %v; want %d", sent, counted, g.Moved(), err, size)
				}
				if got := conn.sum; !bytes.Equal(got.Sum(nil), sum.Sum(nil)) {
					t.Error("other content arrived")
				}
				if conn.bySendfile < test.atLeast || conn.bySendfile > test.atMost {
					t.Errorf("%d bytes by sendfile, want %d to %d", conn.bySendfile, test.atLeast, test.atMost)
				}
			})
		})
	}
}

// twoWays takes files and buffers, each in its time.
type twoWays struct {
	net.Conn
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	sendfile, write time.Duration
	bySendfile      int64
}

func (*twoWays) SetWriteDeadline(time.Time) error { return nil }

func (c *twoWays) ReadFrom(r io.Reader) (int64, error) {
	time.Sleep(c.sendfile)
	n, err := io.Copy(c.sum, r)
	c.bySendfile += n
	return n, err
}

func (c *twoWays) Write(p []byte) (int, error) {
	time.Sleep(c.write)
	return c.sum.Write(p)
}
