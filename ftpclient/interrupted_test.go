package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// enough is why a context ends in these tests: somebody does not want what is under way any more.
type enough struct{}

func (enough) Error() string { return "enough of it" }
func (enough) Unwrap() error { return ftpclient.ErrInterrupted }

// TestAnInterruptedTransferLeavesTheConnectionInStep, in whatever way the server ends it, and a server that does not answer loses the
// connection.
func TestAnInterruptedTransferLeavesTheConnectionInStep(t *testing.T) {
	t.Parallel()
	abort := ftptest.Step{Expect: "ABOR", Data: &ftptest.Data{Receive: ftptest.All, End: ftptest.Close}}
	marker := ftptest.Step{Expect: "NOOP", Send: "200 here"}
	directions := map[string]struct {
		begun ftptest.Step
		do    func(ctx context.Context, conn *ftpclient.Conn, moved func()) error
	}{
		"download": {ftptest.Step{Expect: "RETR /f", Send: "150 go", Data: &ftptest.Data{Send: "part"}}, func(ctx context.Context, conn *ftpclient.Conn, moved func()) error {
			transfer, err := conn.Retrieve(ctx, "/f", 0)
			if err != nil {
				return err
			}
			if _, err := io.ReadFull(transfer, make([]byte, 4)); err != nil {
				return err
			}
			moved()
			io.Copy(io.Discard, transfer) // its error is that of Finish
			_, err = transfer.Finish(ctx)
			return err
		}},
		"upload": {ftptest.Step{Expect: "STOR /f", Send: "150 go", Data: &ftptest.Data{Receive: 4}}, func(ctx context.Context, conn *ftpclient.Conn, moved func()) error {
			transfer, err := conn.Store(ctx, "/f", 0)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(transfer, "part"); err != nil {
				return err
			}
			moved()
			<-ctx.Done()
			for err == nil {
				_, err = io.WriteString(transfer, strings.Repeat("more", 1000))
			}
			_, err = transfer.Finish(ctx)
			return err
		}},
	}
	whole := directions["upload"]
	whole.do = func(ctx context.Context, conn *ftpclient.Conn, moved func()) error {
		transfer, err := conn.Store(ctx, "/f", 0)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(transfer, "part"); err != nil {
			return err
		}
		moved()
		_, err = transfer.Finish(ctx)
		return err
	}
	directions["upload of which all is sent"] = whole
	orders := map[string]struct {
		script steps
		lost   bool
	}{
		"226, then 225 for ABOR":              {script: steps{abort, {Send: "226 done\n225 nothing to abort"}, marker}},
		"426, then 226 for ABOR":              {script: steps{abort, {Send: "426 cut\n226 aborted"}, marker}},
		"225 alone":                           {script: steps{abort, {Send: "225 aborted"}, marker}},
		"no answer, and then the marker none": {script: steps{abort, {Expect: "NOOP"}}, lost: true},
	}
	for direction, transfer := range directions {
		for name, order := range orders {
			t.Run(direction+", "+name, func(t *testing.T) {
				t.Parallel()
				script := steps{passive, transfer.begun}.then(order.script...)
				if order.lost {
					script = open("", script)
				} else {
					script = session("", script.then(talk("SIZE /g", "213 7")...))
				}
				conn, _ := connect(t, script)
				ctx, cancel := context.WithCancelCause(t.Context())
				err := transfer.do(ctx, conn, func() { time.AfterFunc(time.Millisecond, func() { cancel(enough{}) }) })
				if !errors.Is(err, enough{}) || ftpclient.Classify(err) != ftpclient.ClassCancelled {
					t.Errorf("the transfer ended with %v", err)
				}
				if conn.Usable() == order.lost {
					t.Fatalf("usable afterwards: %v", !order.lost)
				}
				if size, err := conn.Size(t.Context(), "/g"); !order.lost && (err != nil || size != 7) {
					t.Errorf("out of step: %d, %v", size, err)
				}
			})
		}
	}
}

// TestATransferThatIsInterruptedBeforeItBegins leaves the connection in step as well.
func TestATransferThatIsInterruptedBeforeItBegins(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	conn, _ := connect(t, session("", steps{
		passive, {Expect: "RETR /f"}, {Call: func() { cancel(enough{}) }}, {Expect: "ABOR", Send: "426 cut\n226 aborted"}, {Expect: "NOOP", Send: "200 here"},
	}.then(talk("SIZE /g", "213 7")...)))
	if _, err := conn.Retrieve(ctx, "/f", 0); !errors.Is(err, enough{}) || ftpclient.Classify(err) != ftpclient.ClassCancelled {
		t.Errorf("%v", err)
	}
	if size, err := conn.Size(t.Context(), "/g"); err != nil || size != 7 {
		t.Errorf("out of step: %d, %v", size, err)
	}
}

// TestAnInterruptedCommandIsAnswered: one that was sent has two seconds for its reply, which counts then, and no other one is sent. A
// command that is cancelled for another reason costs the connection at once.
func TestAnInterruptedCommandIsAnswered(t *testing.T) {
	t.Parallel()
	cancelled := fmt.Errorf("the end: %w", context.Canceled)
	for sentence, row := range map[string]struct {
		cause error
		reply time.Duration // after the end of the context
		lost  time.Duration // when the connection is, 0 for never
	}{
		"it is answered soon":                                 {enough{}, 1900 * time.Millisecond, 0},
		"it is answered too late":                             {enough{}, 3 * time.Second, 2 * time.Second},
		"who does not need the connection any more waits not": {cancelled, time.Second, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				answer := steps{{Expect: "SIZE /f"}, {Call: func() { cancel(row.cause) }, Delay: row.reply, Send: "213 5"}}
				if row.lost > 0 {
					answer = open("", answer[:1].then(ftptest.Step{Call: answer[1].Call, Delay: row.reply, End: ftptest.Close}))
				} else {
					answer = session("", answer.then(talk("SIZE /h", "213 6")...))
				}
				server := ftptest.NewPipeScript(t, answer...)
				o := testOptions()
				o.DialContext = server.Dial
				conn := dial(t, t.Context(), server.Addr, o)
				defer server.Wait()
				defer conn.Close()
				began := time.Now()
				size, err := conn.Size(ctx, "/f")
				if took := time.Since(began); row.lost > 0 {
					if !errors.Is(err, row.cause) || conn.Usable() || took > row.lost {
						t.Errorf("after %s: %v, usable: %v", took, err, conn.Usable())
					}
					return
				}
				if err != nil || size != 5 {
					t.Errorf("%d, %v", size, err)
				}
				if _, err := conn.Size(ctx, "/g"); !errors.Is(err, row.cause) {
					t.Errorf("another one: %v", err)
				}
				if size, err := conn.Size(t.Context(), "/h"); err != nil || size != 6 {
					t.Errorf("out of step: %d, %v", size, err)
				}
			})
		})
	}
}
