package alert

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Rules say what a channel tells, and how often.
type Rules struct {
	Name           string
	On             []Kind
	Syncs, Servers []string // none: all
	// Down is how long a server has to be down, or nobody able to look at a path, and Certificate how long before its end one is told of.
	Down, Certificate time.Duration
	// Gather is how long is waited for more that goes into the same message.
	Gather time.Duration
	// Remind is after how long what lasts is told again; 0: never.
	Remind time.Duration
	// PerHour is how many messages go in an hour. What is too much waits, and goes together.
	PerHour int
}

const (
	// mostItems are in one message, and mostNotices wait for one.
	mostItems   = 50
	mostNotices = 100
	// The delays after attempts to send a message that failed.
	firstDelay   = 10 * time.Second
	longestDelay = 15 * time.Minute
)

// Told is a problem of which people know.
type Told struct {
	Problem
	At time.Time `json:"at"` // when they were told last
}

// Channel decides what is told by one channel, and when. It is not for concurrent use.
//
// A problem that comes and goes while more is waited for is never told. What is told counts as told when it was sent: until then it
// is told again, as it stands by then. So no message is lost, none is told again after a restart with the same memory, and what
// was sent without an answer may be told twice.
type Channel struct {
	rules   Rules
	host    string
	told    map[string]Told
	notices []Item
	dropped int // notices that were too many

	gather   time.Time // until when more is waited for; zero: there is nothing to tell
	sent     []time.Time
	failures int
	next     time.Time // not before that, after failures
	sending  *Message
	nextID   uint64
}

// NewChannel returns a channel that has told so much before.
func NewChannel(rules Rules, host string, told map[string]Told, now time.Time) *Channel {
	c := &Channel{host: host, told: map[string]Told{}, nextID: uint64(max(now.UnixMicro(), 1))}
	maps.Copy(c.told, told)
	c.Follow(rules)
	return c
}

// Follow has it go by other rules from now on. What is told by them no more is not told to be over either. What could not be sent is tried
// again at once.
func (c *Channel) Follow(rules Rules) {
	c.rules, c.failures, c.next = rules, 0, time.Time{}
	maps.DeleteFunc(c.told, func(_ string, t Told) bool { return !slices.Contains(rules.On, t.Kind) })
	if c.sending == nil { // else Done counts them
		c.notices = slices.DeleteFunc(c.notices, func(i Item) bool { return !c.wants(i.Problem) })
	}
}

// Told is what people know of.
func (c *Channel) Told() map[string]Told { return maps.Clone(c.told) }

// Notice has something told that does not last.
func (c *Channel) Notice(p Problem) {
	switch {
	case !c.wants(p):
	case len(c.notices) == mostNotices:
		c.dropped++
	default:
		c.notices = append(c.notices, Item{Event: EventNotice, Problem: p})
	}
}

// wants reports whether the channel is for such a problem.
func (c *Channel) wants(p Problem) bool {
	any := func(wanted []string, of ...string) bool {
		return len(wanted) == 0 || slices.ContainsFunc(of, func(name string) bool { return slices.Contains(wanted, name) })
	}
	if p.Kind == Stopped {
		return true
	}
	return slices.Contains(c.rules.On, p.Kind) && any(c.rules.Syncs, append([]string{p.Sync}, p.Users...)...) && any(c.rules.Servers, p.Server)
}

// isRipe reports whether a problem has lasted long enough, or is near enough.
func (c *Channel) isRipe(p Problem, now time.Time) bool {
	switch p.Kind {
	case ServerDown, Unknown: // both may be a moment's trouble
		return now.Sub(p.Since) >= c.rules.Down
	case Certificate:
		return p.Ends.Sub(now) <= c.rules.Certificate
	}
	return true
}

// items are what there is to tell: what is over, what is new, and what lasts.
func (c *Channel) items(s Sight, now time.Time) (items []Item) {
	present := map[string]bool{}
	for _, p := range s.Problems {
		present[p.Key] = p.Kind != Certificate || c.isRipe(p, now) // a new certificate is one that lasts longer
		if !c.wants(p) || !present[p.Key] {
			continue
		}
		p.Text, p.Cure = oneLine(p.Text, longestText), oneLine(p.Cure, longestText)
		t, known := c.told[p.Key]
		if known && p.Grade < t.Grade { // so that it is told when it becomes worse again
			t.Grade = p.Grade
			c.told[p.Key] = t
		}
		switch {
		case !known && c.isRipe(p, now):
			items = append(items, Item{Event: EventProblem, Problem: p})
		case !known:
		case p.Grade > t.Grade:
			items = append(items, Item{Event: EventWorse, Problem: p})
		case c.rules.Remind > 0 && now.Sub(t.At) >= c.rules.Remind:
			p.Since, p.Grade = t.Since, t.Grade
			items = append(items, Item{Event: EventReminder, Problem: p})
		}
	}
	for key, t := range c.told {
		if !present[key] && !s.Unsure[key] {
			items = append(items, Item{Event: EventRecovered, Problem: t.Problem, Until: now})
		}
	}
	items = append(items, c.notices...)
	rank := func(i Item) int {
		return slices.Index([]Event{EventProblem, EventWorse, EventNotice, EventRecovered, EventReminder}, i.Event)
	}
	slices.SortStableFunc(items, func(a, b Item) int {
		if a.Event == EventNotice && b.Event == EventNotice { // those stay in their order
			return 0
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Key, b.Key))
	})
	return items
}

// Step returns the message to be sent now, if it is time for one. Then Done has to be called with what came of it, and until then
// there is no other message. It may be called at any time, and has to be at the time of Due at the latest.
func (c *Channel) Step(now time.Time, s Sight) (Message, bool) {
	if c.sending != nil {
		return Message{}, false
	}
	c.mindClock(now)
	items := c.items(s, now)
	if len(items) == 0 && c.dropped == 0 {
		c.gather, c.failures, c.next = time.Time{}, 0, time.Time{}
		return Message{}, false
	}
	if c.gather.IsZero() {
		c.gather = now.Add(c.rules.Gather)
	}
	if now.Before(c.gather) || now.Before(c.next) || len(c.sent) >= c.rules.PerHour {
		return Message{}, false
	}
	m := compose(c.rules.Name, c.host, c.nextID, now, items, c.dropped)
	m.Open = len(c.told)
	for _, item := range m.Items {
		switch item.Event {
		case EventProblem:
			m.Open++
		case EventRecovered:
			m.Open--
		}
	}
	c.nextID++
	c.sending = &m
	return m, true
}

// compose makes a message of items, or of as many as go into one.
func compose(channel, host string, id uint64, now time.Time, items []Item, more int) Message {
	if over := len(items) - mostItems; over > 0 {
		items, more = items[:mostItems], more+over
	}
	m := Message{Format: FormatVersion, ID: strconv.FormatUint(id, 36), When: now, Host: host, Channel: channel, Items: items, More: more}
	m.Summary = summaryOf(items, more)
	return m
}

// mindClock forgets times in a future that a wrong clock has shown, and messages that are older than an hour.
func (c *Channel) mindClock(now time.Time) {
	if c.gather.After(now.Add(c.rules.Gather)) {
		c.gather = now.Add(c.rules.Gather)
	}
	if c.next.After(now.Add(longestDelay)) {
		c.next = now
	}
	c.sent = slices.DeleteFunc(c.sent, func(at time.Time) bool { return now.Sub(at) >= time.Hour || at.After(now) })
	for key, t := range c.told {
		if t.At.After(now) {
			t.At = now
			c.told[key] = t
		}
	}
}

// Done takes what came of sending the message of Step, and reports whether Told has changed.
func (c *Channel) Done(now time.Time, err error) (changed bool) {
	m := c.sending
	c.sending = nil
	if err != nil {
		c.next = now.Add(min(firstDelay<<min(c.failures, 10), longestDelay))
		c.failures++
		return false
	}
	c.sent = append(c.sent, now)
	c.gather, c.failures, c.next, c.dropped = time.Time{}, 0, time.Time{}, 0
	for _, item := range m.Items {
		switch item.Event {
		case EventNotice:
			c.notices = c.notices[1:] // they are told in their order, and new ones come behind
			continue
		case EventRecovered:
			delete(c.told, item.Key)
		default:
			c.told[item.Key] = Told{item.Problem, now}
		}
		changed = true
	}
	return changed
}

// Due is when Step has something to do again though nothing changes; zero: not before something does, or within Gather of a
// reminder.
func (c *Channel) Due() time.Time {
	if c.gather.IsZero() || c.sending != nil {
		return time.Time{}
	}
	due := c.gather
	if c.next.After(due) {
		due = c.next
	}
	if n := len(c.sent); n >= c.rules.PerHour {
		if free := c.sent[n-c.rules.PerHour].Add(time.Hour); free.After(due) {
			due = free
		}
	}
	return due
}
