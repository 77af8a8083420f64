package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
)

// pen is a way that writes down what goes by it; the first few attempts fail.
type pen struct {
	began   time.Time
	fail    int
	takes   time.Duration
	written []string
}

func (p *pen) Send(ctx context.Context, m Message) (string, error) {
	p.written = append(p.written, fmt.Sprintf("%s %s", time.Since(p.began), eventsOf(m)))
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if p.fail > 0 {
		p.fail--
		return "", errors.New("nobody there")
	}
	return "taken", nil
}

// telling runs a Teller with one channel in a bubble, in which problems are as they say of each moment, until a time.
func telling(t *testing.T, way *pen, memory Memory, until time.Duration, problems func(after time.Duration) []Problem) (saved Memory) {
	t.Helper()
	way.began = time.Now()
	a := &config.Alert{Name: "ops", On: config.AlertWords, After: 15 * time.Minute, Group: 30 * time.Second, Remind: 24 * time.Hour, Limit: 10, Timeout: time.Minute, Command: []string{"x"}}
	teller := NewTeller(map[string]*config.Alert{"ops": a}, memory, way.began, slog.New(slog.DiscardHandler))
	teller.lines[0].sender = way
	ctx, stop := context.WithTimeout(t.Context(), until)
	defer stop()
	saved = memory
	in := make(chan Problem)
	teller.Run(ctx, in, func(now time.Time) (Sight, error) {
		return Sight{Problems: problems(now.Sub(way.began))}, nil
	}, func(m Memory) error {
		saved = m
		return nil
	})
	return saved
}

func TestAServerIsDownForHalfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &pen{fail: 1}
		telling(t, way, Memory{}, time.Hour, func(after time.Duration) []Problem {
			if after > 30*time.Minute {
				return nil
			}
			return []Problem{down(time.Time{})}
		})
		want := []string{"15m30s problem server-down/acme", "15m40s problem server-down/acme", "30m40s recovered server-down/acme"}
		if diff := cmp.Diff(want, way.written); diff != "" {
			t.Error(diff)
		}
	})
}

// TestARestartWhileAServerIsDown neither begins to wait anew nor tells what was told.
func TestARestartWhileAServerIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		isDown := func(time.Duration) []Problem { return []Problem{down(time.Time{})} }
		first, second, third := &pen{}, &pen{}, &pen{}
		memory := telling(t, first, Memory{}, 10*time.Minute, isDown)
		memory = telling(t, second, memory, 10*time.Minute, isDown)
		telling(t, third, memory, 10*time.Minute, isDown)
		if first.written != nil || len(second.written) != 1 || third.written != nil {
			t.Errorf("%q, %q, %q", first.written, second.written, third.written)
		}
	})
}

// TestAMessageThatIsUnderWayAtTheEnd is cut after a few seconds, and told by the next one.
func TestAMessageThatIsUnderWayAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		halted := func(time.Duration) []Problem { return []Problem{halt("web")} }
		slow, next := &pen{takes: 55 * time.Second}, &pen{}
		began := time.Now()
		memory := telling(t, slow, Memory{}, 40*time.Second, halted)
		if took := time.Since(began); took != 45*time.Second {
			t.Errorf("the end took until %s", took)
		}
		telling(t, next, memory, time.Minute, halted)
		if len(slow.written) != 1 || len(next.written) != 1 {
			t.Errorf("%q, %q", slow.written, next.written)
		}
	})
}

// TestMessagesAtOnceHaveIDsOfTheirOwn, too: others by the same Teller come after them.
func TestMessagesAtOnceHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		teller := NewTeller(map[string]*config.Alert{"ops": {Name: "ops", On: config.AlertWords, Limit: 10, Timeout: time.Minute, Command: []string{"x"}}}, Memory{}, time.Now(), slog.New(slog.DiscardHandler))
		teller.lines[0].sender = way(func(m Message) { ids = append(ids, m.ID) })
		for range 2 {
			teller.Tell(t.Context(), EventNotice, Problem{Key: "cut", Kind: Stopped})
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		teller.Run(ctx, nil, func(time.Time) (Sight, error) {
			return Sight{Problems: []Problem{halt("web")}}, nil
		}, func(Memory) error { return nil })
		if len(ids) != 3 || ids[0] == ids[1] || ids[0] == ids[2] || ids[1] == ids[2] {
			t.Errorf("the messages are %q", ids)
		}
	})
}

// way is a way by which everything gets through.
type way func(m Message)

func (w way) Send(_ context.Context, m Message) (string, error) {
	w(m)
	return "taken", nil
}

// TestWhatCouldNotBeSavedIsSavedLater, though nothing has changed since.
func TestWhatCouldNotBeSavedIsSavedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &config.Alert{Name: "ops", On: config.AlertWords, Limit: 10, Timeout: time.Minute, Command: []string{"x"}}
		teller := NewTeller(map[string]*config.Alert{"ops": a}, Memory{}, time.Now(), slog.New(slog.DiscardHandler))
		teller.lines[0].sender = way(func(Message) {})
		began := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		var saved Memory
		times := 0
		teller.Run(ctx, nil, func(time.Time) (Sight, error) {
			return Sight{Problems: []Problem{halt("web")}}, nil
		}, func(m Memory) error {
			if time.Since(began) < 5*time.Minute {
				return errors.New("nobody writes")
			}
			saved = m
			times++
			return nil
		})
		if len(saved.Told["ops"]) != 1 || times != 1 {
			t.Errorf("saved %d times, and then %v", times, saved)
		}
	})
}
