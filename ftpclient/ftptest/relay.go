package ftptest

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Ears hear the lines of one control connection, each with its end, before they are passed on. The two may be called at a time.
type Ears struct {
	// Command returns what is answered in place of the server, or "" to pass the line on; with more false the connection
	// ends before it. An answer that ends with \n is no answer, but what the server gets in place of the line: so its replies
	// stay in their order, however many commands are under way.
	Command func(line string) (answer string, more bool)
	// Reply returns whether the line is passed on; if not, the connection ends before it.
	Reply func(line string) (more bool)
	// Rewrite returns what is passed on in place of a line of the server; nil for the line itself.
	Rewrite func(line string) string
}

// Relay stands between clients and the server at target on control connections, as a firewall does, until the end of the
// test, and returns its own address. Data connections go past it. Connect is called for each connection, from one goroutine.
func Relay(t testing.TB, target string, connect func() Ears) (address string) {
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
			ears := connect()
			connections.Go(func() { relay(client, target, ears) })
		}
	})
	return listener.Addr().String()
}

func relay(client net.Conn, target string, ears Ears) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var replies sync.WaitGroup
	replies.Go(func() {
		defer client.Close()
		for reader := bufio.NewReader(server); ; {
			line, err := reader.ReadString('\n')
			if err != nil || !ears.Reply(line) {
				return
			}
			if ears.Rewrite != nil {
				line = ears.Rewrite(line)
			}
			if _, err := io.WriteString(client, line); err != nil {
				return
			}
		}
	})
	defer replies.Wait()
	defer server.Close()              // ends the replies
	passed := bufio.NewWriter(server) // what came in one write goes on in one: servers do not handle it alike otherwise
	defer passed.Flush()
	for reader := bufio.NewReader(client); ; {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		answer, more := ears.Command(line)
		if !more {
			return
		}
		if answer != "" && !strings.HasSuffix(answer, "\n") {
			_, err = io.WriteString(client, answer+"\r\n")
		} else {
			_, err = passed.WriteString(cmp.Or(answer, line))
		}
		if rest, _ := reader.Peek(reader.Buffered()); err == nil && !bytes.Contains(rest, []byte("\n")) {
			err = passed.Flush()
		}
		if err != nil {
			return
		}
	}
}
