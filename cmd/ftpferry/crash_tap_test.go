package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// tap stands between the program and a server on control connections, and can hold up everything at a line of either side:
// so it is known which commands the server has got, and which replies the program. Data connections go past it.
type tap struct {
	address string

	mu     sync.Mutex
	stop   func(seen []line) bool // nil: nothing is held up
	seen   []line                 // since stopAt
	passed map[string]int         // commands that were passed on, by verb, since ever
	// commands are the same in their order.
	commands []string

	releasing sync.Mutex // goes before mu
	release   chan struct{}
}

// line is a command, or the last line of a reply to it.
type line struct {
	command string
	reply   string // "" for the command itself
}

func (l line) verb() string {
	verb, _, _ := strings.Cut(l.command, " ")
	return verb
}

// newTap listens in front of a server, until the end of the test.
func newTap(t *testing.T, target string) *tap {
	t.Helper()
	tap := &tap{passed: map[string]int{}}
	tap.address = ftptest.Relay(t, target, tap.connect)
	t.Cleanup(tap.goOn) // before the relay waits for its connections
	return tap
}

// stopAt has the tap hold up everything when stop says so of the lines that were seen from now on, the last of which was
// not passed on yet. The channel it returns is closed then.
func (t *tap) stopAt(stop func(seen []line) bool) <-chan struct{} {
	t.releasing.Lock()
	defer t.releasing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	stopped, release := make(chan struct{}), make(chan struct{})
	t.release, t.seen = release, nil
	t.stop = func(seen []line) bool {
		if !stop(seen) {
			return false
		}
		close(stopped)
		<-release // with the lock held: nobody else gets anything through
		return true
	}
	return stopped
}

// goOn passes on whatever comes from now on. What was held up is lost with its connection.
func (t *tap) goOn() {
	t.releasing.Lock()
	defer t.releasing.Unlock()
	if t.release != nil {
		close(t.release)
		t.release = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = nil
}

// count returns how often a command reached the server.
func (t *tap) count(verb string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.passed[verb]
}

// countAbout returns how often a command about something in a folder of the sync reached the server.
func (t *tap) countAbout(verb, folder string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, command := range t.commands {
		if strings.HasPrefix(command, verb+" ") && strings.Contains(command, "/"+folder+"/") {
			n++
		}
	}
	return n
}

// see notes a line and reports whether it is to be passed on.
func (t *tap) see(l line) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, l)
	if t.stop != nil && t.stop(t.seen) {
		t.stop = nil
		return false
	}
	if l.reply == "" {
		t.passed[l.verb()]++
		t.commands = append(t.commands, l.command)
	}
	return true
}

// connect returns the ears of a connection, which know the command that a reply belongs to.
func (t *tap) connect() ftptest.Ears {
	var mu sync.Mutex
	var asked []string // commands without their last reply
	return ftptest.Ears{
		Command: func(text string) (string, bool) {
			command := strings.TrimRight(text, "\r\n")
			mu.Lock()
			asked = append(asked, command)
			mu.Unlock()
			return "", t.see(line{command: command})
		},
		Reply: func(text string) bool {
			mu.Lock()
			command := ""
			// Last lines have a blank behind the code (RFC 959 section 4.2); after 1yz another reply follows.
			last := len(text) > 3 && text[3] == ' ' && text[0] >= '2' && text[0] <= '5' && strings.Trim(text[:3], "0123456789") == ""
			if last && len(asked) > 0 {
				command, asked = asked[0], asked[1:]
			}
			mu.Unlock()
			return command == "" || t.see(line{command, strings.TrimRight(text, "\r\n")})
		},
	}
}

// wait waits for what has to happen soon.
func wait(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

// waitFor looks until it is so.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
