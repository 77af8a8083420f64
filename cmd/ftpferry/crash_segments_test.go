package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestAKilledSegmentedDownloadGoesOn kills the program while several streams bring parts of a file over a long line. What is left is a
// beginning of the file and nothing else, and the next start fetches the rest of it and no more.
func TestAKilledSegmentedDownloadGoesOn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"proftpd", "vsftpd", "pure-ftpd"} { // pyftpdlib holds nothing up for long
		for _, secured := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/TLS %t", name, secured), func(t *testing.T) {
				t.Parallel()
				const size = 40 << 20 // of that much, connections are opened beforehand
				server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: secured, Throttle: 2 << 20})
				g := newPair(t, server, plot{direction: "down", address: longLine(t, server.Addr, 20*time.Millisecond), settings: "connections = 4"})
				number(t, filepath.Join(g.source(), "file"), size)
				program := g.start("once", "-v")
				waitFor(t, "segments", func() bool { return strings.Contains(program.out.String(), "goes on in segments") })
				begun := sizes(g.target())
				waitFor(t, "more of the file", func() bool {
					for path, there := range sizes(g.target()) {
						return there > begun[path]+1<<20 // the others have come as far
					}
					return false
				})
				program.kill()
				left := sizes(g.target())
				if len(left) != 1 || len(temporary(g.target())) != 1 {
					t.Fatalf("left: %v", left)
				}
				if code, out := g.run("once", "-v"); code != 0 || !strings.Contains(out, "goes on in segments") {
					t.Errorf("exit code %d, or in one stream:\n%s", code, out)
				}
				g.mustBeInStep("after the next start")
				g.look(func(tx *state.Tx) error { return fetchedTheRest(t, tx, left, size) })
			})
		}
	}
}

// fetchedTheRest looks for the only download in the history: of no more than what was missing.
func fetchedTheRest(t *testing.T, tx *state.Tx, left map[string]int64, size int64) error {
	rows, _, err := state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
	downloads := 0
	for _, h := range rows {
		if h.Op != "download" || h.Result != "done" || h.Bytes == 0 { // a scan beside the transfer finds it missing, and then there
			continue
		}
		downloads++
		for _, there := range left {
			if at := fmt.Sprintf("segments, resumed at %d", there); h.Bytes != size-there || !strings.HasSuffix(h.Verified, at) {
				t.Errorf("%d bytes after %d of %d, verified: %s", h.Bytes, there, size, h.Verified)
			}
		}
	}
	if downloads != 1 {
		t.Errorf("%d downloads", downloads)
	}
	return err
}

// longLine stands between clients and the server at target on control connections: what the server says takes a while, in clear or by TLS.
func longLine(t *testing.T, target string, delay time.Duration) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		connections.Wait()
	})
	connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { holdUp(client, target, delay) })
		}
	})
	return listener.Addr().String()
}

func holdUp(client net.Conn, target string, delay time.Duration) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var replies sync.WaitGroup
	defer replies.Wait()
	defer server.Close() // ends the replies
	replies.Go(func() {
		defer client.Close()
		for buffer := make([]byte, 64<<10); ; {
			n, err := server.Read(buffer)
			time.Sleep(delay)
			if _, broken := client.Write(buffer[:n]); err != nil || broken != nil {
				return
			}
		}
	})
	io.Copy(server, client)
}
