package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// roles of the verbs in this test; others are Simple.
var roles = map[string]Role{"STOR": Transfer, "RETR": Transfer, "LIST": Transfer, "ABOR": Abort}

func testCommand(t testing.TB, verb string) Command {
	t.Helper()
	c, err := NewCommand(verb, "")
	if err != nil {
		t.Fatal(err)
	}
	return c.As(roles[verb])
}

// TestMatcher plays what goes over the line: "send VERB", "CODE VERB" (a preliminary reply
// for it), "CODE ends VERB" (the final one), "CODE ends VERB without VERB", "CODE/TEXT ..." with a text, "CODE closing", "CODE desync", "owed N".
func TestMatcher(t *testing.T) {
	tests := []struct{ name, line string }{
		{"replies go to the commands in their order", "send PWD, send NOOP, owed 2, 257 ends PWD, 200 ends NOOP, owed 0"},
		{"a preliminary reply is not the end", "send STAT, 120 STAT, owed 1, 211 ends STAT, owed 0"},
		{"a transfer has two replies", "send STOR, 150 STOR, owed 1, 226 ends STOR, owed 0"},
		{"a transfer may have only the second one", "send STOR, 226 ends STOR, owed 0"},
		{"a transfer may be refused", "send STOR, 550 ends STOR, owed 0"},
		{"a transfer may have two preliminary replies", "send STOR, 125 STOR, 150 STOR, 226 ends STOR"},
		{"commands before a transfer are answered first", "send TYPE, send STOR, 200 ends TYPE, 150 STOR, 226 ends STOR"},
		{"STAT is answered in the middle of a transfer", "send RETR, 150 RETR, send STAT, 213 ends STAT, 226 ends RETR, owed 0"},
		{"STAT is answered after a transfer", "send RETR, 150 RETR, send STAT, 226 ends RETR, 211 ends STAT, owed 0"},
		{"STAT is answered before the end of a transfer that fails", "send RETR, 150 RETR, send STAT, 212 ends STAT, 426 ends RETR"},
		{"NOOP is answered in the middle of a transfer", "send RETR, 150 RETR, send NOOP, 200 ends NOOP, 226 ends RETR"},
		{"NOOP is not known in the middle of a transfer", "send RETR, 150 RETR, send NOOP, 500 ends NOOP, 226 ends RETR"},
		{"NOOP is not allowed in the middle of a transfer", "send RETR, 150 RETR, send NOOP, 502 ends NOOP, 226 ends RETR"},
		{"every way to end a transfer is known",
			"send RETR, 150 RETR, send NOOP, 250 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 425 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 451 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 452 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 551 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 552 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 522 ends RETR, 200 ends NOOP, " +
				"send RETR, 150 RETR, send NOOP, 553 ends RETR, 200 ends NOOP, owed 0"},
		{"a lost login is no end of a transfer", "send RETR, 150 RETR, send STAT, 530 ends STAT, 226 ends RETR, owed 0"},
		{"codes that nobody knows count by their first digit", "send PWD, 299 ends PWD, send RETR, 199 RETR, 599 ends RETR, owed 0"},
		{"a transfer may have many preliminary replies, in its middle too",
			"send RETR, 150 RETR, 110 RETR, send NOOP, 150 RETR, 200 ends NOOP, 226 ends RETR, owed 0"},
		{"ABOR is answered behind the transfer that it breaks off", "send RETR, 150 RETR, send ABOR, 426 ends RETR, 226 ends ABOR, owed 0"},
		{"ABOR is answered behind the transfer that it does not break off any more", "send RETR, 150 RETR, send ABOR, 226 ends RETR, 225 ends ABOR, owed 0"},
		{"one reply for ABOR and the transfer leaves one owed", "send STOR, 150 STOR, send ABOR, 225 ends STOR, owed 1"},
		{"ABOR is not known", "send RETR, 150 RETR, send ABOR, 500 ends ABOR, 226 ends RETR, owed 0"},
		{"ABOR is not done", "send RETR, 150 RETR, send ABOR, 502 ends ABOR, 226 ends RETR, owed 0"},
		{"ABOR and STAT wait for the transfer", "send RETR, 150 RETR, send STAT, send ABOR, 426 ends RETR, 211 ends STAT, 226 ends ABOR"},
		{"one reply for ABOR and the transfer is told by the marker behind it",
			"send STOR, 150 STOR, send ABOR, send NOOP, 225 ends STOR, 200 ends NOOP without ABOR, owed 0"},
		{"ABOR and the transfer have a reply each before the marker",
			"send RETR, 150 RETR, send ABOR, send NOOP, 426 ends RETR, 226 ends ABOR, 200 ends NOOP, owed 0"},
		{"a transfer that was over keeps its reply from ABOR",
			"send RETR, 150 RETR, 226 ends RETR, send ABOR, send NOOP, 225 ends ABOR, 200 ends NOOP, owed 0"},
		{"a transfer that had not begun is answered before ABOR",
			"send RETR, send ABOR, send NOOP, 425 ends RETR, 226 ends ABOR, 200 ends NOOP, owed 0"},
		{"a transfer that had not begun may have one reply with ABOR",
			"send STOR, send ABOR, send NOOP, 150 STOR, 426 ends STOR, 200 ends NOOP without ABOR, owed 0"},
		{"a second 150 in place of the end is made good by the reply to ABOR",
			"send RETR, 150 RETR, 150 RETR, send ABOR, send NOOP, 226 ends RETR, 200 ends NOOP without ABOR, owed 0"},
		{"an ABOR that is thrown away leaves the transfer owed",
			"send RETR, 150 RETR, send ABOR, send NOOP, 200 ends NOOP without ABOR, owed 1, 426 ends RETR, owed 0"},
		{"200 for ABOR is told by its text",
			"send RETR, 150 RETR, send ABOR, send NOOP, 426 ends RETR, 200/Abort_ok ends ABOR, 200 ends NOOP, owed 0"},
		{"ABOR is not known, and the marker waits",
			"send RETR, 150 RETR, send ABOR, send NOOP, 500 ends ABOR, 200 ends NOOP, 226 ends RETR, owed 0"},
		{"ABOR without a transfer is a command like others", "send ABOR, 225 ends ABOR, owed 0"},
		{"421 is for everybody", "send RETR, 150 RETR, send NOOP, 421 closing"},
		{"421 may come when nothing is asked", "421 closing"},
		{"a reply that nobody asked for is out of step", "200 desync"},
		{"a second end is out of step", "send RETR, 150 RETR, 226 ends RETR, 226 desync"},
		{"a beginning that nobody asked for is out of step", "150 desync"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var m Matcher
			verbs := map[uint64]string{}
			for step := range strings.SplitSeq(test.line, ", ") {
				words := strings.Fields(step)
				var code int
				number, text, _ := strings.Cut(words[0], "/")
				fmt.Sscan(number, &code)
				got := words[0]
				switch {
				case words[0] == "send":
					verbs[uint64(len(verbs))] = words[1]
					m.Push(uint64(len(verbs)-1), testCommand(t, words[1]))
					continue
				case words[0] == "owed":
					got = fmt.Sprintf("owed %d", m.Owed())
				default:
					d, err := m.Deliver(Reply{Code: code, Lines: []string{text}})
					switch {
					case errors.Is(err, ErrClosing):
						got += " closing"
					case errors.Is(err, ErrDesync):
						got += " desync"
					case d.Final:
						got += " ends " + verbs[d.Command]
					default:
						got += " " + verbs[d.Command]
					}
					if d.Unanswered {
						got += " without " + verbs[d.Without]
					}
				}
				if got != step {
					t.Fatalf("got %q, want %q of %q", got, step, test.line)
				}
			}
		})
	}
}

// FuzzMatcher sends commands and delivers replies at random: even bytes send, odd ones reply.
func FuzzMatcher(f *testing.F) {
	f.Add([]byte{0, 1, 4, 3, 5, 2, 7, 9})
	f.Add([]byte{2, 3, 4, 6, 19, 5, 7})
	f.Add([]byte{2, 1, 8, 6, 9, 3}) // one reply for ABOR and the transfer
	verbs := []string{"PWD", "STOR", "STAT", "NOOP", "ABOR"}
	codes := []int{150, 200, 226, 426, 225, 211, 500, 550, 331, 421, 120}
	f.Fuzz(func(t *testing.T, line []byte) {
		var m Matcher
		waiting := map[uint64]bool{}
		for i, b := range line {
			if b%2 == 0 {
				m.Push(uint64(i), testCommand(t, verbs[int(b/2)%len(verbs)]))
				waiting[uint64(i)] = true
				continue
			}
			code := codes[int(b/2)%len(codes)]
			d, err := m.Deliver(Reply{Code: code})
			switch {
			case errors.Is(err, ErrClosing):
				if code != 421 {
					t.Fatalf("%d closes", code)
				}
				return
			case errors.Is(err, ErrDesync):
				if len(waiting) != 0 {
					t.Fatalf("%d is out of step with %d commands waiting", code, len(waiting))
				}
			case err != nil:
				t.Fatal(err)
			case !waiting[d.Command]:
				t.Fatalf("%d went to %d, which does not wait", code, d.Command)
			case d.Final != (code >= 200):
				t.Fatalf("%d is final: %v", code, d.Final)
			}
			if d.Unanswered {
				if !waiting[d.Without] || d.Without == d.Command || code != 200 {
					t.Fatalf("%d leaves %d unanswered, which does not wait", code, d.Without)
				}
				delete(waiting, d.Without)
			}
			if err == nil && d.Final {
				delete(waiting, d.Command)
			}
			if m.Owed() != len(waiting) {
				t.Fatalf("owed %d, %d wait", m.Owed(), len(waiting))
			}
		}
		for range len(waiting) { // final replies serve everybody
			if _, err := m.Deliver(Reply{Code: 226}); err != nil {
				t.Fatal(err)
			}
		}
		if m.Owed() != 0 {
			t.Fatalf("%d left", m.Owed())
		}
	})
}
