package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// moment is one at which the client waits for the server.
type moment struct {
	name     string
	session  wholeSession
	before   steps // what the server does until then
	loggedIn bool
}

func moments(t *testing.T) []moment {
	var all []moment
	for _, w := range wholeSessions(t) {
		loggedIn := false
		for i, step := range w.script {
			if step.Expect == "QUIT" {
				continue
			}
			add := func(what string, last ftptest.Step) {
				all = append(all, moment{
					name:     fmt.Sprintf("%s, step %d, %s, %s", w.name, i, step.Expect, what),
					session:  w,
					before:   append(slices.Clip(w.script[:i]), last),
					loggedIn: loggedIn,
				})
			}
			add("before the reply", ftptest.Step{Expect: step.Expect})
			if step.Data != nil {
				add("before the data", ftptest.Step{Expect: step.Expect, Send: step.Send})
				some := &ftptest.Data{TLS: step.Data.TLS, Send: step.Data.Send[:len(step.Data.Send)/2], Receive: min(1, -step.Data.Receive)}
				add("in the middle of the data", ftptest.Step{Expect: step.Expect, Send: step.Send, Data: some})
			}
			loggedIn = loggedIn || step.Expect == "TYPE I"
		}
	}
	return all
}

// silence runs a test at each moment, all of them at a time, on servers that fall silent then
// and until the test is through. reached is closed when the moment has come.
func silence(t *testing.T, moments []moment, check func(m moment, address string, reached <-chan struct{}) error) {
	t.Helper()
	var group sync.WaitGroup
	for _, m := range moments {
		group.Go(func() {
			reached, over := make(chan struct{}), make(chan struct{})
			// With the end, what the client begins in vain (a handshake, ABOR) is no word too many.
			script := append(m.before, ftptest.Step{Call: func() { close(reached) }, Hold: over, End: ftptest.Close})
			server := ftptest.NewScript(t, script...)
			if err := check(m, server.Addr, reached); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
			close(over)
			server.Wait()
		})
	}
	group.Wait()
}

func TestEachWaitHasItsEnd(t *testing.T) {
	ftptest.Leaks(t)
	const limit = 8 * time.Second // what comes before the wait has to come in it, at all moments at once
	limited := func(o *ftpclient.Options) {
		o.ReplyTimeout, o.ConnectTimeout, o.FinalReplyTimeout, o.StallTimeout = limit, limit, limit, limit
	}
	silence(t, moments(t), func(m moment, address string, _ <-chan struct{}) error {
		_, usable, err := m.session.run(t.Context(), address, limited)
		if !errors.Is(err, ftpclient.ErrTimeout) && !errors.Is(err, ftpclient.ErrStalled) {
			return fmt.Errorf("%v, want a time-out", err)
		}
		if usable {
			return errors.New("the connection is used on")
		}
		return nil
	})
}

func TestTheEndOfTheContextEndsEachWait(t *testing.T) {
	ftptest.Leaks(t)
	why := errors.New("enough")
	silence(t, moments(t), func(m moment, address string, reached <-chan struct{}) error {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		cancelled := make(chan time.Time, 1)
		go func() {
			<-reached
			cancelled <- time.Now()
			cancel(why)
		}()
		_, usable, err := m.session.run(ctx, address, func(*ftpclient.Options) {})
		if took := time.Since(<-cancelled); took > atOnce {
			return fmt.Errorf("it took %s", took)
		}
		if !errors.Is(err, why) || ftpclient.Classify(err) != ftpclient.ClassCancelled {
			return fmt.Errorf("%v (%s), want %v", err, ftpclient.Classify(err), why)
		}
		if usable {
			return errors.New("the connection is used on")
		}
		return nil
	})
}

func TestCloseEndsEachWait(t *testing.T) {
	ftptest.Leaks(t)
	loggedIn := slices.DeleteFunc(moments(t), func(m moment) bool { return !m.loggedIn })
	silence(t, loggedIn, func(m moment, address string, reached <-chan struct{}) error {
		o := testOptions()
		m.session.change(&o)
		conn, err := ftpclient.Dial(t.Context(), address, o)
		if err != nil {
			return err
		}
		closed := make(chan time.Time)
		go func() {
			<-reached
			start := time.Now()
			conn.Close()
			closed <- start
		}()
		err = m.session.do(t.Context(), conn)
		if took := time.Since(<-closed); took > atOnce {
			return fmt.Errorf("it took %s", took)
		}
		if ftpclient.Classify(err) != ftpclient.ClassConnection {
			return fmt.Errorf("%v (%s), want an error of the connection", err, ftpclient.Classify(err))
		}
		return nil
	})
}
