package agent

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// modelLine is a model of a server and the way to it. A transfer first waits, which any number of them do beside each other, and then
// shares the processor, or the bandwidth, with the others that do not wait.
type modelLine struct {
	wait   time.Duration // per file
	costs  time.Duration // what a file takes of what is shared
	rate   float64       // bytes a second that go through what is shared, 0: any
	single float64       // and what one connection carries at most, 0: any
	crowd  float64       // what the others beside it take off its speed, each
	noise  float64       // how much its speed varies from second to second
	sway   float64       // and over minutes
}

// modelLoad is what there is to do.
type modelLoad struct {
	size   func(*rand.Rand) int64               // nil: 4 KiB
	idle   func(at time.Duration) bool          // whether nothing comes in; nil: never
	most   func(at time.Duration) int           // how many transfers there may be at a time; nil: 4
	turn   time.Duration                        // a round trip, as it was measured
	change func(at time.Duration, l *modelLine) // what happens to the line; nil: nothing
}

// moved is what a simulation has led to.
type moved struct {
	files, bytes float64
	tries, flaps int     // trials, and changes of what is held to be worth it
	fewer        int     // in the end; 0: all
	limited      float64 // the part of the time for which fewer were enough
}

// modelSeat is a connection of a simulation.
type modelSeat struct {
	left        int           // files of the stream, that at hand included
	wait, share time.Duration // what is left of the one at hand
	alone       time.Duration // that it takes at least for its bytes
	size        int64
}

// begin takes the next file.
func (s *modelSeat) begin(l modelLine, w modelLoad, random *rand.Rand) {
	s.size = 4 << 10
	if w.size != nil {
		s.size = w.size(random)
	}
	s.wait, s.share, s.alone = l.wait, l.costs, 0
	if l.rate > 0 {
		s.share += time.Duration(float64(s.size) / l.rate * float64(time.Second))
	}
	if l.single > 0 {
		s.alone = time.Duration(float64(s.size) / l.single * float64(time.Second))
	}
}

// needs is how long it takes until it waits no more, or its file is done, at a speed.
func (s *modelSeat) needs(speed float64) time.Duration {
	if s.wait > 0 {
		return s.wait
	}
	return max(time.Duration(float64(s.share)/speed), s.alone, 1)
}

// passes lets time pass, and reports whether its file is done.
func (s *modelSeat) passes(step time.Duration, speed float64) bool {
	if s.wait > 0 {
		s.wait -= step
		return false
	}
	done := s.needs(speed) <= step
	s.share, s.alone = s.share-time.Duration(float64(step)*speed), s.alone-step
	return done
}

// next is how long it takes until something happens to a connection, at most what is given, and how fast each transfer is until then.
func (l modelLine) next(seats []modelSeat, noise float64, most time.Duration) (step time.Duration, speed float64) {
	sharing := 0
	for _, s := range seats {
		if s.left > 0 && s.wait <= 0 {
			sharing++
		}
	}
	speed = noise / (1 + l.crowd*float64(max(sharing-1, 0))) / float64(max(sharing, 1))
	for _, s := range seats {
		if s.left > 0 {
			most = min(most, s.needs(speed))
		}
	}
	return most, speed
}

// simulate lets transfers go on for so long, as many as are worth it or, unless it adapts, as many as may be.
func simulate(t *testing.T, l modelLine, w modelLoad, last time.Duration, adapts bool, seed uint64) (m moved) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var seats [4]modelSeat
	var c concurrency
	var done moment
	noise, stream := 1.0, 64
	if w.size != nil {
		stream = 16
	}
	for at, tick := time.Duration(0), time.Duration(0); at < last; {
		if at == tick { // the dispatcher looks; it also does when a stream ends
			tick += gatherTime
			if at%time.Second == 0 {
				noise = 1 + l.noise*(2*random.Float64()-1) + l.sway*math.Sin(at.Minutes())
			}
			if w.change != nil {
				w.change(at, &l)
			}
		}
		most, busy := len(seats), 0
		if w.most != nil {
			most = w.most(at)
		}
		worth := most
		if adapts {
			if worth = c.worth(began.Add(at), most); worth < 1 || worth > most {
				t.Fatalf("after %s %d of %d are worth it", at, worth, most)
			}
		}
		for i := range seats {
			if seats[i].left > 0 {
				busy++
			}
		}
		for i := range seats {
			if seats[i].left == 0 && busy < worth && (w.idle == nil || !w.idle(at)) {
				seats[i].left = stream
				seats[i].begin(l, w, random)
				busy++
			}
		}
		done.now, done.busy, done.most, done.turn = began.Add(at), busy, most, w.turn
		before := c
		c, _ = c.after(done)
		done = moment{}
		if c.trial.step != 0 && before.trial.step == 0 {
			m.tries++
		}
		if c.fewer != before.fewer {
			m.flaps++
		}
		for from, ended := at, false; at < tick && !ended; {
			step, speed := l.next(seats[:], noise, tick-at)
			for i := range seats {
				seat := &seats[i]
				if seat.left == 0 || !seat.passes(step, speed) {
					continue
				}
				done.files, done.bytes = done.files+1, done.bytes+seat.size
				m.files, m.bytes = m.files+1, m.bytes+float64(seat.size)
				if seat.left--; seat.left > 0 {
					seat.begin(l, w, random)
				} else {
					ended = true
				}
			}
			at += step
			if (at == tick || ended) && c.fewer != 0 {
				m.limited += float64(at-from) / float64(last)
			}
		}
	}
	m.fewer = c.fewer
	return m
}

func TestConcurrencyWorth(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	two := concurrency{fewer: 2, of: 4, proven: now}
	trial := concurrency{of: 4, trial: trial{step: -1, from: 3}, proven: now}
	for _, row := range []struct {
		name string
		is   concurrency
		now  time.Time
		most int
		want int
	}{
		{"all that there may be, while nobody knows better", concurrency{}, now, 4, 4},
		{"fewer that were proven to do", two, now, 4, 2},
		{"but not more than there may be", two, now, 1, 1},
		{"and never none", two, now, 0, 1},
		{"what has to be proven is tried", trial, now, 4, 2},
		{"what is old is forgotten", two, now.Add(proofLasts), 4, 4},
		{"a trial too", trial, now.Add(proofLasts), 4, 4},
		{"what was proven beside others says nothing of more", two, now, 5, 5},
		{"nor does a trial", trial, now, 5, 5},
		{"a clock that was set back proves nothing", two, now.Add(-time.Hour), 4, 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := row.is.worth(row.now, row.most); got != row.want {
				t.Errorf("%d, want %d", got, row.want)
			}
			if got := row.is.isFree(row.now); got != (row.want == row.most && row.most > 1 && row.most <= row.is.of || row.is.of == 0) {
				t.Errorf("free: %t", got)
			}
		})
	}
}

func TestConcurrencyOnLines(t *testing.T) {
	const ms, mega = time.Millisecond, 1 << 20
	upTo := func(most int64) func(*rand.Rand) int64 { return func(r *rand.Rand) int64 { return r.Int64N(most) } }
	someLarge := func(r *rand.Rand) int64 { return int64(40_000 * math.Exp(2*r.NormFloat64())) }
	turns, busy := modelLine{wait: 210 * ms}, modelLine{costs: 10 * ms} // those of 100 ms
	becomes := func(other modelLine) func(time.Duration, *modelLine) {
		return func(at time.Duration, l *modelLine) {
			if at == time.Hour {
				*l = other
			}
		}
	}
	every := func(period, busy time.Duration) func(time.Duration) bool {
		return func(at time.Duration) bool { return at%period >= busy }
	}
	for _, row := range []struct {
		name         string
		line         modelLine
		load         modelLoad
		takes        time.Duration
		least        float64 // of what all connections move
		fewer        [2]int  // what is held to be enough in the end: from, to
		limited      [2]float64
		tries, flaps int // at most
	}{
		{name: "round trips: n do n times as much, and nothing is tried", line: turns, load: modelLoad{turn: 100 * ms}, takes: time.Hour, least: 1},
		{name: "a thousand files on such a line, if nobody knows that it is one", line: turns, takes: 52 * time.Second, least: .97, tries: 1},
		{name: "a server that makes everybody wait", line: modelLine{wait: 50 * ms}, takes: time.Hour, least: .995, tries: 5},
		{name: "a minute of it", line: modelLine{wait: 50 * ms}, takes: time.Minute, least: .97, tries: 1},
		{name: "half a minute of it meets no trial", line: modelLine{wait: 50 * ms}, takes: 30 * time.Second, least: 1},
		{name: "a noisy one", line: modelLine{wait: 20 * ms, costs: 5 * ms, noise: .9}, takes: time.Hour, least: .95, fewer: [2]int{0, 3}, limited: [2]float64{0, .3}, tries: 15, flaps: 2},
		{name: "connections that are slow one by one", line: modelLine{wait: 200 * ms, single: 1e6}, load: modelLoad{size: upTo(2 * mega), turn: 100 * ms}, takes: time.Hour, least: .985, tries: 6},
		{name: "with some large files", line: modelLine{wait: 200 * ms, single: 1e6}, load: modelLoad{size: someLarge, turn: 100 * ms}, takes: time.Hour, least: .96, tries: 6},
		{name: "a busy processor: one is enough", line: busy, takes: time.Hour, least: .99, fewer: [2]int{1, 1}, limited: [2]float64{.9, 1}, tries: 9, flaps: 3},
		{name: "a busy processor near by, whose connection took some time", line: busy, load: modelLoad{turn: 10 * ms}, takes: time.Hour, least: .99, fewer: [2]int{1, 1}, limited: [2]float64{.9, 1}, tries: 9, flaps: 3},
		{name: "a busy processor that loses by crowds", line: modelLine{costs: 10 * ms, crowd: .1}, takes: time.Hour, least: 1.2, fewer: [2]int{1, 1}, limited: [2]float64{.9, 1}, tries: 9, flaps: 3},
		{name: "with others who load it", line: modelLine{costs: 10 * ms, noise: .3, sway: .3}, takes: time.Hour, least: .98, fewer: [2]int{1, 3}, limited: [2]float64{.8, 1}, tries: 20, flaps: 8},
		{name: "two fill it", line: modelLine{wait: 15 * ms, rate: 6.5e6}, load: modelLoad{size: upTo(mega)}, takes: 4 * time.Hour, least: .97, fewer: [2]int{2, 3}, limited: [2]float64{.8, 1}, tries: 40, flaps: 10},
		{name: "bandwidth: two are enough", line: modelLine{wait: 20 * ms, rate: 1.2e6}, load: modelLoad{size: upTo(mega)}, takes: 4 * time.Hour, least: .98, fewer: [2]int{1, 3}, limited: [2]float64{.8, 1}, tries: 24, flaps: 6},
		{name: "bandwidth and some large files: no harm", line: modelLine{wait: 20 * ms, rate: 1.2e6}, load: modelLoad{size: someLarge}, takes: time.Hour, least: .95, fewer: [2]int{0, 3}, limited: [2]float64{0, 1}, tries: 12, flaps: 4},
		{name: "short bursts meet no trial", line: busy, load: modelLoad{idle: every(time.Hour, 20*time.Second)}, takes: 6 * time.Hour, least: 1},
		{name: "many bursts add up", line: busy, load: modelLoad{idle: every(time.Minute, 20*time.Second)}, takes: 4 * time.Hour, least: .99, fewer: [2]int{1, 1}, limited: [2]float64{.8, 1}, tries: 30, flaps: 4},
		{name: "many bursts on a line of round trips", line: turns, load: modelLoad{idle: every(time.Minute, 20*time.Second)}, takes: 4 * time.Hour, least: .99, tries: 7},
		{name: "what was found out is forgotten over an idle hour", line: busy, load: modelLoad{idle: func(at time.Duration) bool { return at >= time.Hour && at < 2*time.Hour }}, takes: 2*time.Hour + 10*time.Second, least: .99, limited: [2]float64{.4, .6}, tries: 9, flaps: 4},
		{name: "a busy line becomes a long one: more again, one after the other", line: busy, load: modelLoad{change: becomes(modelLine{wait: 50 * ms})}, takes: 3 * time.Hour, least: .93, limited: [2]float64{.3, .45}, tries: 25, flaps: 6},
		{name: "what was found out with small files does not hold for ones that take long each", line: busy, load: modelLoad{change: becomes(modelLine{wait: 4 * time.Second})}, takes: 3 * time.Hour, least: .98, limited: [2]float64{.3, .4}, tries: 16, flaps: 4},
		{name: "what was found out beside two large files is forgotten when those are over", line: busy, load: modelLoad{most: func(at time.Duration) int {
			if at < time.Hour {
				return 2
			}
			return 4
		}}, takes: time.Hour + 20*time.Second, least: .98, limited: [2]float64{.5, 1}, tries: 8, flaps: 2},
		{name: "a server that takes fewer connections for a while", line: turns, load: modelLoad{most: func(at time.Duration) int {
			if at%time.Hour < 20*time.Minute {
				return 2
			}
			return 4
		}}, takes: 4 * time.Hour, least: .98, tries: 10},
		{name: "only one there may be", line: busy, load: modelLoad{most: func(time.Duration) int { return 1 }}, takes: time.Hour, least: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(5) {
				all := simulate(t, row.line, row.load, row.takes, false, seed)
				got := simulate(t, row.line, row.load, row.takes, true, seed)
				t.Logf(row.name+": files %.3f bytes %.3f tries %d flaps %d fewer %d limited %.2f", got.files/all.files, got.bytes/all.bytes, got.tries, got.flaps, got.fewer, got.limited)
				if files, bytes := got.files/all.files, got.bytes/all.bytes; min(files, bytes) < row.least {
					t.Errorf("seed %d: %.3f of the files and %.3f of the bytes that all connections move, want %.3f", seed, files, bytes, row.least)
				}
				if got.fewer < row.fewer[0] || got.fewer > row.fewer[1] || got.limited < row.limited[0] || got.limited > row.limited[1] {
					t.Errorf("seed %d: %d are enough in the end, and fewer were for %.2f of the time", seed, got.fewer, got.limited)
				}
				if got.tries > row.tries || got.flaps > row.flaps {
					t.Errorf("seed %d: %d trials and %d changes", seed, got.tries, got.flaps)
				}
			}
		})
	}
}
