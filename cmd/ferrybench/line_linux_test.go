package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// needLine asks for what a line is made of.
func needLine(t *testing.T) {
	t.Helper()
	for _, need := range []string{"root", "netns", "ip", "nft"} {
		ftptest.Need(t, need)
	}
}

// onLine runs f with a line of its own.
func onLine(t *testing.T, milliseconds int, f func(*scope, *line)) {
	t.Helper()
	needLine(t)
	err := within(t.Context(), t.TempDir(), func(s *scope) error { f(s, newLine(s, milliseconds)); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

// leaksBesidePipes is [ftptest.Leaks] for what splices: the runtime keeps the pipes for that until it collects garbage.
func leaksBesidePipes(t *testing.T) {
	t.Helper()
	ftptest.Leaks(t)
	t.Cleanup(func() {
		for range 3 { // they survive one
			runtime.GC()
		}
	})
}

// connect makes a connection over the line, to a port of the server.
func connect(s *scope, l *line, port int) (client, server net.Conn) {
	var listener net.Listener
	err := l.server.Do(func() (err error) {
		listener, err = net.Listen("tcp", fmt.Sprintf("%s:%d", serverAddress, port))
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	defer listener.Close()
	err = l.client.Do(func() (err error) { client, err = net.Dial("tcp", listener.Addr().String()); return err })
	if err == nil {
		server, err = listener.Accept()
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// TestDelayedLineDelaysEveryConnection: only a lower bound can be asked for; machines are busy.
func TestDelayedLineDelaysEveryConnection(t *testing.T) {
	ftptest.Leaks(t)
	const milliseconds, turns = 30, 5
	onLine(t, milliseconds, func(s *scope, l *line) {
		for _, port := range []int{controlPort, 0} {
			began := time.Now()
			client, server := connect(s, l, port)
			s.Cleanup(func() { server.Close() })
			if took := time.Since(began); took < milliseconds*time.Millisecond {
				t.Errorf("port %d: connected after %s", port, took)
			}
			go io.Copy(server, struct{ io.Reader }{server}) // until it is closed; without pipes that the runtime would keep
			buffer := make([]byte, 1)
			for range turns {
				began := time.Now()
				if _, err := client.Write(buffer); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(client, buffer); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < milliseconds*time.Millisecond {
					t.Errorf("port %d: there and back in %s", port, took)
				}
			}
		}
	})
}

// TestBareCopyArrives: in clear and by TLS, both ways, over a line that hands on large pieces.
func TestBareCopyArrives(t *testing.T) {
	leaksBesidePipes(t)
	onLine(t, 2, func(s *scope, l *line) {
		files := evenTree("copied", 2, 3, 1<<20)
		source := s.TempDir()
		if err := files.write(source); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, file := range files.files {
			content, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(file.Path)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, content...)
		}
		for _, secured := range []bool{false, true} {
			for _, down := range []bool{false, true} {
				target := s.TempDir()
				took, err := newYardstick(s, l, secured).copy(t.Context(), source, target, files, down)
				if err != nil || took < 2*time.Millisecond {
					t.Errorf("TLS %v, down %v: %s, %v", secured, down, took, err)
				}
				if got, err := os.ReadFile(filepath.Join(target, "copy")); err != nil || !bytes.Equal(got, all) {
					t.Errorf("TLS %v, down %v: something else arrived: %v", secured, down, err)
				}
			}
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := newYardstick(s, l, false).copy(canceled, source, s.TempDir(), files, false); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
	})
}

// TestCaptureCounts: on both kinds of line.
func TestCaptureCounts(t *testing.T) {
	ftptest.Leaks(t)
	for _, milliseconds := range []int{0, 2} {
		onLine(t, milliseconds, func(s *scope, l *line) {
			packets, err := startCapture(l)
			if err != nil {
				t.Fatal(err)
			}
			client, server := connect(s, l, controlPort)
			data, _ := connect(s, l, 0)
			greeted, replies := bufio.NewReader(client), textproto.NewReader(bufio.NewReader(server))
			say := func(conn net.Conn, text string) {
				if _, err := io.WriteString(conn, text); err != nil {
					t.Fatal(err)
				}
			}
			hear := func() {
				if _, err := greeted.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			say(data, "what is on a data connection is none of its business")
			say(server, "220 hello\r\n")
			hear()
			for range 3 { // turns, each with two commands in two writes
				for _, command := range []string{"NOOP\r\n", "NOOP\r\n"} {
					say(client, command)
				}
				for range 2 {
					if _, err := replies.ReadLine(); err != nil {
						t.Fatal(err)
					}
				}
				say(server, "200 one\r\n200 two\r\n")
				hear()
				hear()
			}
			got, err := packets.finish()
			if want := (counts{Turns: 3, Logins: 1, Data: 1}); err != nil || got != want {
				t.Errorf("%d ms: %+v %v, want %+v", milliseconds, got, err, want)
			}
		})
	}
}
