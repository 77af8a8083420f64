package agent_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// relay stands between agent and server on control connections, as a firewall does. Data connections go past it.
type relay struct {
	address string
	target  string
	// refuse answers a command in place of the server; "" passes it on. cut says that the connection ends in place of this
	// line of the server. Both are called from several goroutines, one at a time.
	refuse func(verb string) string
	cut    func(reply string) bool

	mu    sync.Mutex
	verbs map[string]int
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: listener.Addr().String(), target: target, verbs: map[string]int{}}
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
			connections.Go(func() { r.serve(client) })
		}
	})
	return r
}

// count returns how often a command was sent.
func (r *relay) count(verb string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verbs[verb]
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer server.Close()
	var replies sync.WaitGroup
	defer replies.Wait()
	replies.Go(func() {
		defer client.Close()
		r.lines(server, func(line string) bool {
			if r.cut != nil && r.cut(line) {
				return false
			}
			_, err := io.WriteString(client, line)
			return err == nil
		})
		server.Close()
	})
	r.lines(client, func(line string) bool {
		verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		r.verbs[verb]++
		if r.refuse != nil {
			if answer := r.refuse(verb); answer != "" {
				_, err := io.WriteString(client, answer+"\r\n")
				return err == nil
			}
		}
		_, err := io.WriteString(server, line)
		return err == nil
	})
	server.Close()
}

// lines hands over what comes, line by line, until take has enough.
func (r *relay) lines(from net.Conn, take func(line string) bool) {
	for reader := bufio.NewReader(from); ; {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		r.mu.Lock()
		more := take(line)
		r.mu.Unlock()
		if !more {
			return
		}
	}
}
