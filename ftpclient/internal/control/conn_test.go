package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// peer is the server's end of a control connection.
type peer struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

// pair runs test in a bubble with both ends of a connection, and closes them.
func pair(t *testing.T, test func(t *testing.T, c *Conn, server *peer)) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		c := New(client, bufio.NewReader(client), slog.New(slog.DiscardHandler))
		defer func() {
			c.Close()
			server.Close()
		}()
		test(t, c, &peer{t, server, bufio.NewReader(server)})
	})
}

func (p *peer) expect(want string) {
	p.t.Helper()
	if line, err := p.lines.ReadString('\n'); err != nil || line != want+"\r\n" {
		p.t.Errorf("server got %q, %v; want %q", line, err, want)
	}
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Error(err)
	}
}

// send sends a command that the server awaits.
func send(t *testing.T, c *Conn, server *peer, verb string) *Call {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.expect(verb)
	}()
	call, err := c.Send(t.Context(), testCommand(t, verb))
	if err != nil {
		t.Fatal(err)
	}
	<-done
	return call
}

func wantReply(t *testing.T, call *Call, code int) {
	t.Helper()
	if reply, err := call.Wait(t.Context()); err != nil || reply.Code != code {
		t.Errorf("%v, %v; want %d", reply, err, code)
	}
}

func wantError(t *testing.T, call *Call, want error) {
	t.Helper()
	if reply, err := call.Wait(t.Context()); !errors.Is(err, want) {
		t.Errorf("%v, %v; want %v", reply, err, want)
	}
}

// ask sends a command and waits for its final reply.
func ask(ctx context.Context, c *Conn, command Command) (Reply, error) {
	call, err := c.Send(ctx, command)
	if err != nil {
		return Reply{}, err
	}
	return call.Wait(ctx)
}

func TestAReplyIsWaitedFor(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		go func() {
			server.expect("PWD")
			time.Sleep(time.Hour)
			server.say("257 \"/\"\r\n")
		}()
		reply, err := ask(t.Context(), c, testCommand(t, "PWD"))
		if err != nil || reply.Code != 257 || !c.Idle() {
			t.Errorf("%v, %v, idle: %v", reply, err, c.Idle())
		}
	})
}

func TestAReplyIsWaitedForAsLongAsPatience(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		late := errors.New("too late")
		call := send(t, c, server, "PWD")
		began := time.Now()
		if _, err := call.WaitFor(t.Context(), time.Minute, late); err != late || time.Since(began) != time.Minute {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := call.WaitFor(ctx, time.Minute, late); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			server.say("257 \"/\"\r\n")
		}()
		for range 2 { // also with the reply there
			if reply, err := call.WaitFor(t.Context(), time.Minute, late); err != nil || reply.Code != 257 {
				t.Errorf("%v, %v", reply, err)
			}
		}
	})
}

// TestTheCostOfAGroup is about what each small file pays for its commands.
func TestTheCostOfAGroup(t *testing.T) {
	client, server := net.Pipe()
	c := New(client, bufio.NewReader(client), slog.New(slog.DiscardHandler))
	defer c.Close()
	go io.Copy(io.Discard, server)
	group := commands(t, "MFMT", "RNFR", "RNTO", "SIZE", "STOR", "SIZE", "EPSV")
	group[4] = group[4].As(Transfer)
	const most = 20
	if cost := testing.AllocsPerRun(100, func() {
		if _, err := c.SendGroup(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}); cost > most {
		t.Errorf("%v allocations for %d commands, want at most %d", cost, len(group), most)
	} else {
		t.Logf("%v allocations", cost)
	}
}

func TestTwoCommandsOnTheirWayGetTheirOwnReplies(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		first, second := send(t, c, server, "PWD"), send(t, c, server, "NOOP")
		if c.Idle() {
			t.Error("idle with two replies owed")
		}
		server.say("257 \"/\"\r\n200 ok\r\n")
		wantReply(t, second, 200)
		wantReply(t, first, 257)
		wantReply(t, first, 257) // the same again
		if !c.Idle() {
			t.Error("not idle with all replies in")
		}
	})
}

func TestATransferStartsAndEnds(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		call := send(t, c, server, "STOR")
		server.say("150 go\r\n")
		if reply, err := call.Started(t.Context()); err != nil || reply.Code != 150 {
			t.Errorf("%v, %v", reply, err)
		}
		select {
		case <-call.Finished():
			t.Error("finished")
		default:
		}
		server.say("226 done\r\n")
		wantReply(t, call, 226)
		if reply, err := call.Started(t.Context()); err != nil || reply.Code != 150 {
			t.Errorf("afterwards: %v, %v", reply, err)
		}
	})
}

func TestTheEndOfTheConnectionReachesAllWhoWait(t *testing.T) {
	tests := []struct {
		name string
		end  func(*Conn, *peer)
		want error
	}{
		{"421", func(_ *Conn, p *peer) { p.say("421 bye\r\n") }, ErrClosing},
		{"EOF", func(_ *Conn, p *peer) { p.conn.Close() }, io.EOF},
		{"EOF within a reply", func(_ *Conn, p *peer) {
			p.say("226-x\r\n")
			p.conn.Close()
		}, io.ErrUnexpectedEOF},
		{"garbage", func(_ *Conn, p *peer) { p.say("what?\r\n") }, ErrProtocol},
		{"Close", func(c *Conn, _ *peer) { c.Close() }, net.ErrClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pair(t, func(t *testing.T, c *Conn, server *peer) {
				transfer := send(t, c, server, "STOR")
				server.say("150 go\r\n")
				if _, err := transfer.Started(t.Context()); err != nil {
					t.Fatal(err)
				}
				second := send(t, c, server, "NOOP")
				test.end(c, server)
				wantError(t, transfer, test.want)
				wantError(t, second, test.want)
				if _, err := second.Started(t.Context()); !errors.Is(err, test.want) {
					t.Errorf("started: %v", err)
				}
				synctest.Wait()
				if _, err := c.Send(t.Context(), testCommand(t, "NOOP")); !errors.Is(err, test.want) {
					t.Errorf("send afterwards: %v", err)
				}
				if err := c.Err(); !errors.Is(err, test.want) || c.Idle() {
					t.Errorf("afterwards: %v, idle: %v", err, c.Idle())
				}
			})
		})
	}
}

func Test421KeepsItsText(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		server.say("421 Too many connections\r\n")
		synctest.Wait()
		var closing *ClosingError
		if err := c.Err(); !errors.As(err, &closing) || closing.Reply.Text() != "Too many connections" {
			t.Errorf("%v", err)
		}
	})
}

func TestAReplyThatNobodyAskedForEndsTheConnection(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		server.say("226 again\r\n")
		synctest.Wait()
		if err := c.Err(); !errors.Is(err, ErrDesync) || c.Idle() {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAbandonedCommandIsStillOwedItsReply(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		why := errors.New("no patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
		defer cancel()
		first := send(t, c, server, "PWD")
		if _, err := first.Wait(ctx); err != why {
			t.Errorf("wait: %v", err)
		}
		if _, err := first.Started(ctx); err != why {
			t.Errorf("started: %v", err)
		}
		if c.Idle() {
			t.Error("idle with a reply owed")
		}
		second := send(t, c, server, "NOOP")
		server.say("257 late\r\n200 ok\r\n")
		wantReply(t, second, 200)
		wantReply(t, first, 257)
	})
}

func TestACancelledWaitTellsCancellationAndItsReason(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		why := errors.New("shut down")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := send(t, c, server, "PWD").Wait(ctx)
		if !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestAServerThatDoesNotReadEndsTheConnection(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, _ *peer) {
		began := time.Now()
		if _, err := c.Send(t.Context(), testCommand(t, "NOOP")); err == nil {
			t.Error("sent")
		}
		if took := time.Since(began); took != sendPatience || c.Err() == nil {
			t.Errorf("after %s: %v", took, c.Err())
		}
	})
}

func TestTheEndOfTheContextEndsTheWritingOfACommand(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, _ *peer) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		time.AfterFunc(time.Second, cancel)
		_, err := ask(ctx, c, testCommand(t, "NOOP"))
		if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSent) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != time.Second || c.Err() == nil {
			t.Errorf("after %s: %v", took, c.Err())
		}
	})
}

func TestAContextThatEndsAfterTheWritingLeavesTheNextCommandAlone(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		go server.expect("PWD")
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := c.Send(ctx, testCommand(t, "PWD")); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		go func() {
			time.Sleep(time.Second)
			server.expect("NOOP")
		}()
		if _, err := c.Send(t.Context(), testCommand(t, "NOOP")); err != nil {
			t.Error(err)
		}
	})
}

func TestQuitTakesNoLongerThanItsPatience(t *testing.T) {
	tests := []struct {
		name  string
		serve func(*peer)
		took  time.Duration
	}{
		{"the server answers", func(p *peer) {
			p.expect("QUIT")
			p.say("221-so\r\n221 long\r\n")
		}, 0},
		{"the server goes", func(p *peer) {
			p.expect("QUIT")
			p.conn.Close()
		}, 0},
		{"the server says nothing", func(p *peer) { p.expect("QUIT") }, time.Second},
		{"the server takes no bytes", func(*peer) {}, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pair(t, func(t *testing.T, c *Conn, server *peer) {
				began := time.Now()
				go test.serve(server)
				c.Quit(time.Second)
				if took := time.Since(began); took != test.took || c.Err() == nil {
					t.Errorf("after %s: %v", took, c.Err())
				}
			})
		})
	}
}

func TestAnEchoOfThePasswordIsInNoError(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		command, err := NewCommand("PASS", "hu\"sh")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			server.expect("PASS hu\"sh")
			server.say("PASS hu\"sh\r\n")
		}()
		_, err = ask(t.Context(), c, command.Secret())
		if !errors.Is(err, ErrProtocol) || strings.Contains(err.Error(), "sh\"") || strings.Contains(err.Error(), "hu") {
			t.Errorf("%v", err)
		}
	})
}

func commands(t *testing.T, verbs ...string) []Command {
	t.Helper()
	var list []Command
	for _, verb := range verbs {
		list = append(list, testCommand(t, verb))
	}
	return list
}

func TestAGroupIsOneWriteAndHasManyReplies(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		go func() {
			segment := make([]byte, 100)
			n, err := server.conn.Read(segment) // a pipe keeps writes apart
			if got := string(segment[:n]); err != nil || got != "PWD\r\nSIZE\r\nNOOP\r\n" {
				t.Errorf("%q, %v", got, err)
			}
			server.say("257 \"/\"\r\n550 no\r\n200 ok\r\n")
		}()
		calls, err := c.SendGroup(t.Context(), commands(t, "PWD", "SIZE", "NOOP"))
		if err != nil || len(calls) != 3 {
			t.Fatalf("%d calls, %v", len(calls), err)
		}
		for i, code := range []int{257, 550, 200} {
			wantReply(t, calls[i], code)
		}
		if !c.Idle() {
			t.Error("not idle with all replies in")
		}
	})
}

func TestErrorsTellWhetherTheCommandWasSent(t *testing.T) {
	tests := []struct {
		name string
		read int // bytes that the server takes of "PWD\r\nNOOP\r\n"
		sent bool
	}{
		{"nothing was written", 0, false},
		{"the line end is missing", 4, false},
		{"the first of two was written", 5, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pair(t, func(t *testing.T, c *Conn, server *peer) {
				go func() {
					io.ReadFull(server.conn, make([]byte, test.read))
					server.conn.Close()
				}()
				_, err := c.SendGroup(t.Context(), commands(t, "PWD", "NOOP"))
				if err == nil || errors.Is(err, ErrNotSent) == test.sent {
					t.Errorf("%v", err)
				}
				if _, err := c.Send(t.Context(), testCommand(t, "NOOP")); !errors.Is(err, ErrNotSent) {
					t.Errorf("on a dead connection: %v", err)
				}
			})
		})
	}
	t.Run("it was, and there is no reply", func(t *testing.T) {
		pair(t, func(t *testing.T, c *Conn, server *peer) {
			call := send(t, c, server, "DELE")
			server.conn.Close()
			if _, err := call.Wait(t.Context()); !errors.Is(err, io.EOF) || errors.Is(err, ErrNotSent) {
				t.Errorf("%v", err)
			}
		})
	})
}

func TestABORWithoutAReplyOfItsOwnIsOver(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, server *peer) {
		transfer := send(t, c, server, "STOR")
		server.say("150 go\r\n")
		abort, marker := send(t, c, server, "ABOR"), send(t, c, server, "NOOP")
		server.say("225 ABOR command successful\r\n200 ok\r\n")
		wantReply(t, transfer, 225)
		wantReply(t, marker, 200)
		wantError(t, abort, ErrUnanswered)
		if !c.Idle() {
			t.Error("not idle with all replies in")
		}
	})
}

func TestCloseWaitsForTheReader(t *testing.T) {
	pair(t, func(t *testing.T, c *Conn, _ *peer) {
		c.Close()
		select {
		case <-c.done:
		default:
			t.Error("the reader runs on")
		}
		c.Close() // is harmless
	})
}

func TestSecretsAreNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		client, server := net.Pipe()
		c := New(client, bufio.NewReader(client), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		command, err := NewCommand("PASS", "hush")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			bufio.NewReader(server).ReadString('\n')
			io.WriteString(server, "230 in\r\n")
		}()
		if _, err := ask(t.Context(), c, command.Secret()); err != nil {
			t.Error(err)
		}
		c.Close()
		server.Close()
		if text := log.String(); strings.Contains(text, "hush") || !strings.Contains(text, "PASS ***") || !strings.Contains(text, "230") {
			t.Error(text)
		}
	})
}

// deaf is a connection that takes everything written to it.
type deaf struct {
	net.Conn
	reader *io.PipeReader
}

func (d deaf) Read(p []byte) (int, error)     { return d.reader.Read(p) }
func (deaf) Write(p []byte) (int, error)      { return len(p), nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }
func (d deaf) Close() error                   { return d.reader.Close() }

// FuzzConn sends commands and delivers replies at random: whatever comes, nobody waits
// after Close.
func FuzzConn(f *testing.F) {
	f.Add([]byte{1, 3, 0, 2}, "150 go\r\n225 aborted\r\n200 ok\r\n")
	f.Add([]byte{1, 1, 1}, "421 bye\r\n")
	f.Add([]byte{0, 0}, "226 x\r\n226 x\r\n226 x\r\n")
	verbs := []string{"NOOP", "STOR", "PWD", "ABOR"}
	f.Fuzz(func(t *testing.T, sent []byte, replies string) {
		reader, writer := io.Pipe()
		connection := deaf{reader: reader}
		c := New(connection, bufio.NewReader(connection), slog.New(slog.DiscardHandler))
		var calls []*Call
		for _, b := range sent {
			if call, err := c.Send(t.Context(), testCommand(t, verbs[int(b)%len(verbs)])); err == nil {
				calls = append(calls, call)
			}
			half := len(replies) / 2
			io.WriteString(writer, replies[:half]) // an error says that the connection is dead
			replies = replies[half:]
		}
		c.Close()
		writer.Close()
		for i, call := range calls {
			select {
			case <-call.Finished():
			default:
				t.Fatalf("command %d still waits", i)
			}
			if call.err == nil && call.final.Code < 200 {
				t.Fatalf("command %d ended with %v and no error", i, call.final)
			}
		}
		if len(c.calls) != 0 || c.Idle() {
			t.Fatalf("%d calls are left", len(c.calls))
		}
	})
}
