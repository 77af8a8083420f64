package alert

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
)

const (
	// lookEvery is how often things are looked at anyway, and leastLook how often at most.
	lookEvery = 15 * time.Second
	leastLook = time.Second
	// lastWords is how long a message may take that is under way when the agent stops.
	lastWords = 5 * time.Second
)

// Teller tells what it sees by all channels of a configuration.
type Teller struct {
	lines  []*line
	seen   map[string]time.Time
	host   string
	logger *slog.Logger
	blind  bool // it could not be seen how things stand, and that was logged
	// unsaved says that the memory is another one than was saved last, and forgetful that this was logged.
	unsaved, forgetful bool
}

// line is a channel with its way.
type line struct {
	*Channel
	sender  Sender
	timeout time.Duration
	failing bool // that was logged
}

// Memory is what a Teller has to know after a restart.
type Memory struct {
	// Told is by channel and by key, Seen by key: when a problem was first seen.
	Told map[string]map[string]Told `json:"told,omitempty"`
	Seen map[string]time.Time       `json:"seen,omitempty"`
}

// NewTeller returns one for the channels of a configuration, all of which have to have their secrets.
func NewTeller(channels map[string]*config.Alert, memory Memory, now time.Time, logger *slog.Logger) *Teller {
	t := &Teller{seen: maps.Clone(memory.Seen), host: hostName(), logger: logger}
	if t.seen == nil {
		t.seen = map[string]time.Time{}
	}
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		t.lines = append(t.lines, t.newLine(channels[name], memory.Told[name], now))
	}
	return t
}

func (t *Teller) newLine(a *config.Alert, told map[string]Told, now time.Time) *line {
	return &line{Channel: NewChannel(rulesOf(a), t.host, told, now), sender: newSender(a), timeout: a.Timeout}
}

// Take has it tell by the channels of another configuration from now on. One of the same name goes on, whatever else is different: with
// what it has told, what waits, and how many messages it has sent. One that is new has told nothing. It must not be called while Run
// works, except by look.
func (t *Teller) Take(channels map[string]*config.Alert) {
	was := map[string]*line{}
	for _, l := range t.lines {
		was[l.rules.Name] = l
	}
	t.lines = nil
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		a, l := channels[name], was[name]
		if l == nil {
			l = t.newLine(a, nil, time.Now())
		} else {
			l.Follow(rulesOf(a))
			l.sender, l.timeout, l.failing = newSender(a), a.Timeout, false
		}
		t.lines = append(t.lines, l)
	}
	t.unsaved = true
}

// Memory is what the next Teller has to be given.
func (t *Teller) Memory() Memory {
	m := Memory{Told: map[string]map[string]Told{}, Seen: maps.Clone(t.seen)}
	for _, l := range t.lines {
		if told := l.Told(); len(told) > 0 {
			m.Told[l.rules.Name] = told
		}
	}
	return m
}

// sent is what came of a message.
type sent struct {
	line   *line
	answer string
	err    error
}

// Run tells until ctx ends. look says how things stand, and save keeps the memory; nothing is told while one of them waits, so neither may
// wait for long. What comes from in has Run look at once; with a Kind it is a notice. A failing look, save or channel is logged, and no
// reason to end; what was not saved is saved with the next look.
func (t *Teller) Run(ctx context.Context, in <-chan Problem, look func(now time.Time) (Sight, error), save func(Memory) error) {
	results := make(chan sent)
	sending, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	underway := 0
	for ctx.Err() == nil {
		now := time.Now()
		changed, begun := t.step(sending, now, look, results)
		underway += begun
		t.save(changed, save)
		timer := time.NewTimer(t.sleep(time.Now()))
		select {
		case p := <-in:
			t.notice(p, now)
			t.rest(ctx, in)
		case r := <-results:
			underway--
			t.save(t.done(r), save)
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	if underway == 0 {
		return
	}
	late := time.AfterFunc(lastWords, func() { cut(fmt.Errorf("the agent stops: %w", context.Canceled)) })
	defer late.Stop()
	changed := false
	for ; underway > 0; underway-- {
		changed = t.done(<-results) || changed
	}
	t.save(changed, save)
}

// rest waits before the next look, and takes what comes meanwhile.
func (t *Teller) rest(ctx context.Context, in <-chan Problem) {
	timer := time.NewTimer(leastLook)
	defer timer.Stop()
	for {
		select {
		case p := <-in:
			t.notice(p, time.Now())
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (t *Teller) notice(p Problem, now time.Time) {
	if p.Kind == "" {
		return
	}
	if p.Since.IsZero() {
		p.Since = now
	}
	for _, l := range t.lines {
		l.Notice(p)
	}
}

// sleep is how long there is nothing to do, as far as is known.
func (t *Teller) sleep(now time.Time) time.Duration {
	sleep := lookEvery
	for _, l := range t.lines {
		if due := l.Due(); !due.IsZero() {
			sleep = min(sleep, max(due.Sub(now), 10*time.Millisecond))
		}
	}
	return sleep
}

func (t *Teller) step(ctx context.Context, now time.Time, look func(time.Time) (Sight, error), results chan<- sent) (changed bool, begun int) {
	sight, err := look(now)
	if err != nil {
		if !t.blind {
			t.logger.Warn("nobody can tell what to alert about", "error", err)
		}
		t.blind = true
		return false, 0
	}
	t.blind = false
	changed = t.date(&sight, now)
	for _, l := range t.lines {
		m, ok := l.Step(now, sight)
		if !ok {
			continue
		}
		begun++
		send := l.way()
		go func() {
			answer, err := send(ctx, m)
			results <- sent{l, answer, err}
		}()
	}
	return changed, begun
}

// way is how messages go now: a change is for those that come behind.
func (l *line) way() func(ctx context.Context, m Message) (string, error) {
	sender, timeout := l.sender, l.timeout
	return func(ctx context.Context, m Message) (string, error) {
		limited, cancel := context.WithTimeoutCause(ctx, timeout, errLate)
		defer cancel()
		return sender.Send(limited, m)
	}
}

// date fills in since when problems last of which nobody else knows that, and reports whether there are others than before.
func (t *Teller) date(s *Sight, now time.Time) (changed bool) {
	present := map[string]bool{}
	for i, p := range s.Problems {
		if !p.Since.IsZero() {
			continue
		}
		present[p.Key] = true
		if since, known := t.seen[p.Key]; !known || since.After(now) {
			t.seen[p.Key], changed = now, true
		}
		s.Problems[i].Since = t.seen[p.Key]
	}
	for key := range t.seen {
		if !present[key] && !s.Unsure[key] {
			delete(t.seen, key)
			changed = true
		}
	}
	return changed
}

// done takes what came of a message.
func (t *Teller) done(r sent) (changed bool) {
	name := r.line.rules.Name
	switch {
	case r.err == nil:
		t.logger.Info("alert sent", "alert", name, "reply", r.answer)
		r.line.failing = false
	case !r.line.failing:
		t.logger.Error("alert not sent, it is tried again", "alert", name, "error", r.err)
		r.line.failing = true
	default:
		t.logger.Debug("alert not sent again", "alert", name, "error", r.err)
	}
	return r.line.Done(time.Now(), r.err)
}

func (t *Teller) save(changed bool, save func(Memory) error) {
	if t.unsaved = t.unsaved || changed; !t.unsaved {
		return
	}
	err := save(t.Memory())
	if err != nil && !t.forgetful {
		t.logger.Warn("what was told is not remembered: it may be told again", "error", err)
	}
	t.unsaved, t.forgetful = err != nil, err != nil
}

// Result is what came of a message that was sent at once.
type Result struct {
	Channel string        `json:"channel"`
	Answer  string        `json:"answer,omitempty"`
	Error   string        `json:"error,omitempty"` // "" if it was sent
	Took    time.Duration `json:"took_ns"`
}

// Tell sends a problem by all channels at once, whatever they are for, and returns what came of it, in the order of their names. It
// must not be called while Run works.
func (t *Teller) Tell(ctx context.Context, event Event, p Problem) []Result {
	results := make([]Result, len(t.lines))
	var senders sync.WaitGroup
	for i, l := range t.lines {
		senders.Go(func() {
			began := time.Now()
			item := p
			item.Text = oneLine(p.Text, longestText)
			if item.Since.IsZero() {
				item.Since = began
			}
			m := compose(l.rules.Name, t.host, l.nextID, began, []Item{{Event: event, Problem: item}}, 0)
			l.nextID++
			m.Open = len(l.told)
			answer, err := l.way()(ctx, m)
			results[i] = Result{Channel: l.rules.Name, Answer: answer, Took: time.Since(began)}
			if err != nil {
				results[i].Error = err.Error()
			}
		})
	}
	senders.Wait()
	return results
}
