package agent_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// relay stands between agent and server on control connections, as a firewall does. Data connections go past it.
type relay struct {
	address string
	// refuse answers a command in place of the server; "" passes it on. cut says that the connection ends in place of this
	// line of the server. Both are called from several goroutines, one at a time.
	refuse func(verb string) string
	// instead, if not nil, returns the whole line that the server gets in place of one, "" to leave it.
	instead func(line string) string
	cut     func(reply string) bool

	mu    sync.Mutex
	verbs map[string]int
	names map[string]bool // arguments of STOR
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	r := &relay{verbs: map[string]int{}, names: map[string]bool{}}
	r.address = ftptest.Relay(t, target, func() ftptest.Ears { return ftptest.Ears{Command: r.command, Reply: r.reply} })
	return r
}

// count returns how often a command was sent. A second STOR to the same temporary name does not count: the first one was refused,
// as it got there before the job that makes the folder, which is done at the same time.
func (r *relay) count(verb string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verbs[verb]
}

func (r *relay) command(line string) (answer string, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	verb, name, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	if verb != "STOR" || !r.names[name] {
		r.verbs[verb]++
	}
	if verb == "STOR" {
		r.names[name] = true
	}
	if r.refuse != nil {
		answer = r.refuse(verb)
	}
	if answer == "" && r.instead != nil {
		answer = r.instead(line)
	}
	return answer, true
}

func (r *relay) reply(line string) (more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut == nil || !r.cut(line)
}
