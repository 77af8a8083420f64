package agent_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// spoiler stands between agent and server on control and data connections and, while it is on, spoils listings.
type spoiler struct {
	t     *testing.T
	spoil func(listing []byte) []byte
	// final is the end of a spoiled listing in place of the server's, "" for that.
	final string

	mu sync.Mutex
	on bool
	// spoiled counts the listings that were not passed on as they were.
	spoiled int
	data    sync.WaitGroup
}

func (s *spoiler) set(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
}

var passivePort = regexp.MustCompile(`\(\|\|\|(\d+)\|\)`)

// before puts s between the agent of a rig and its server.
func (s *spoiler) before(r *rig) {
	s.t.Cleanup(s.data.Wait)
	address := ftptest.Relay(s.t, r.server.Addr, func() ftptest.Ears {
		var mu sync.Mutex // commands and replies come from two goroutines
		verb, ended := "", false
		listing := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return verb == "MLSD" || verb == "LIST"
		}
		return ftptest.Ears{
			Command: func(line string) (string, bool) {
				word, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
				if word == "PASV" || word == "EPRT" || word == "PORT" {
					return "502 Not here.", true
				}
				mu.Lock()
				defer mu.Unlock()
				switch word {
				case "MLSD", "LIST", "NLST", "RETR", "STOR": // others may stand around it
					verb, ended = word, false
				}
				return "", true
			},
			Reply: func(string) bool { return true },
			Rewrite: func(line string) string {
				if found := passivePort.FindStringSubmatch(line); strings.HasPrefix(line, "229") && found != nil {
					return strings.Replace(line, found[1], s.relayData(found[1], listing), 1)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.on && s.final != "" && strings.HasPrefix(line, "226") && listing() && !ended {
					ended = true
					return s.final + "\r\n"
				}
				return line
			},
		}
	})
	setOption(s.t, r, r.server.Addr, address)
}

// relayData relays one data connection to the server's port and returns its own.
func (s *spoiler) relayData(port string, listing func() bool) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Error(err)
		return port
	}
	s.t.Cleanup(func() { listener.Close() })
	s.data.Go(func() {
		defer listener.Close()
		client, err := listener.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return
		}
		var up sync.WaitGroup
		up.Go(func() {
			io.Copy(server, client)
			server.(*net.TCPConn).CloseWrite()
		})
		content, _ := io.ReadAll(server) // of an upload there is nothing to read
		if s.mu.Lock(); s.on && listing() && len(content) > 0 {
			if spoiled := s.spoil(content); !bytes.Equal(spoiled, content) {
				content = spoiled
				s.spoiled++
			}
		}
		s.mu.Unlock()
		client.Write(content)
		client.Close()
		server.Close()
		up.Wait()
	})
	_, own, _ := net.SplitHostPort(listener.Addr().String())
	return own
}

// firstLines keeps so many lines of a listing.
func firstLines(n int) func([]byte) []byte {
	return func(listing []byte) []byte {
		lines := bytes.SplitAfter(listing, []byte("\n"))
		return bytes.Join(lines[:min(n, len(lines))], nil)
	}
}

// TestListingsThatAreNotWhole: what a listing does not show is not deleted on the other side, whether the listing looks cut
// short or not, and even if a person lets all pass.
func TestListingsThatAreNotWhole(t *testing.T) {
	// ProFTPD and vsftpd list the folder itself and its parent too.
	for i, test := range []struct {
		name  string
		spoil func([]byte) []byte
		final string
		// unknown is why the folder is unknown; "" if nothing shows that the listing is not whole.
		unknown string
	}{
		{"half of it comes, and the server says that something went wrong", func(b []byte) []byte { return b[:len(b)/2] }, "426 Failure writing network stream.", "426"},
		{"a part of it comes, and the server says that this is not all", firstLines(4), "226 Output truncated to 4 matches", "truncated to 4 matches"},
		{"the connection ends within a line, and the server says that all is well", func(b []byte) []byte { return b[:len(b)-len("\r\n")-1] }, "", "in the middle of a line"},
		{"lines that nobody can read", func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			for i := range lines[:len(lines)-1] {
				if i%2 == 1 {
					lines[i] = []byte("Zugriff verweigert (0x80070005)\r\n")
				}
			}
			return bytes.Join(lines, nil)
		}, "", "cannot be read"},
		{"a part of it comes, and the server says that all is well", firstLines(4), "", ""},
		{"but for one line all of it comes, and the server says that all is well", func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			return bytes.Join(append(lines[:len(lines)-2], lines[len(lines)-1]), nil)
		}, "", ""},
	} {
		for j, direction := range []string{"up", "down", "both"} {
			if test.unknown != "" && j != i%3 {
				continue // what is unknown is left alone in any direction
			}
			name := ftptest.RealServers[(i+j)%len(ftptest.RealServers)]
			t.Run(fmt.Sprintf("%s/%s/%s", test.name, direction, name), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction)
				s := &spoiler{t: t, spoil: test.spoil, final: test.final}
				s.before(r)
				from := r.local
				if direction == "down" {
					from = r.remote
				}
				fill(t, from, drillTree)
				r.mustBeInStep("at first")
				whole := r.sides()
				kept := func(what string) {
					t.Helper()
					if diff := cmp.Diff(whole, r.sides()); diff != "" {
						t.Fatalf("%s: something has changed:\n%s", what, diff)
					}
				}

				s.set(true)
				report := r.once()
				if kept("the first pass"); report.Deleted > 0 || s.spoiled == 0 {
					t.Errorf("%d spoiled, %+v", s.spoiled, report)
				}
				if test.unknown != "" {
					if report.Halt != "" || exit(report) != control.ExitNeedsPerson || !strings.Contains(fmt.Sprint(report.Unknown), test.unknown) {
						t.Errorf("exit code %d: %+v", exit(report), report)
					}
					r.stopped(func(a *agent.Agent, _ *state.DB) {
						overview, err := a.Status(t.Context(), control.StatusFilter{})
						list := overview.Syncs
						if err != nil || list[0].State != control.StatePerson || list[0].Unknown == 0 {
							t.Errorf("status: %+v, %v", list, err)
						}
					})
				}
				r.approve()
				r.once()
				kept("approved, and it still is not whole")

				s.set(false)
				r.once() // some look once more, since what they planned was not so
				if report := r.mustBeInStep("whole again"); report.Deleted+report.Transferred+report.Unfinished > 0 {
					t.Errorf("whole again: %+v", report)
				}
				kept("whole again")
			})
		}
	}
}
