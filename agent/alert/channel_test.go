package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func rules(change func(*Rules)) Rules {
	r := Rules{
		Name: "ops", On: []Kind{Halted, Dead, ServerDown, Certificate, Missed}, Down: 15 * time.Minute, Certificate: 14 * 24 * time.Hour,
		Gather: 30 * time.Second, Remind: 24 * time.Hour, PerHour: 10,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func halt(sync string) Problem {
	return Problem{Key: "halted/" + sync, Kind: Halted, Sync: sync, Server: "acme", Text: "halted", Since: noon}
}

func down(since time.Time) Problem {
	return Problem{Key: "server-down/acme", Kind: ServerDown, Server: "acme", Users: []string{"web"}, Text: "down", Since: since}
}

// moment is a look at how things stand, so long after noon.
type moment struct {
	after    time.Duration
	problems []Problem
	unsure   string
	notice   *Problem
	fails    bool
	restart  bool
}

// TestWhatIsToldWhen has a row for each rule: how things stand at some moments, and the messages, as "MINUTES:SECONDS event key, ...".
func TestWhatIsToldWhen(t *testing.T) {
	s, m, h := time.Second, time.Minute, time.Hour
	p := func(problems ...Problem) []Problem { return problems }
	dead := func(n int) Problem {
		return Problem{Key: "dead/web", Kind: Dead, Sync: "web", Text: "dead", Since: noon, Grade: n}
	}
	missed := &Problem{Key: "missed/web", Kind: Missed, Sync: "web", Text: "1 left out"}
	ends := func(in time.Duration, grade int) Problem {
		return Problem{Key: "certificate/acme", Kind: Certificate, Server: "acme", Text: "expires", Since: noon, Ends: noon.Add(in), Grade: grade}
	}
	web, shop := halt("web"), halt("shop")
	for sentence, row := range map[string]struct {
		rules   func(*Rules)
		moments []moment
		want    []string
	}{
		"what comes within a short time goes into one message": {nil,
			[]moment{{0, p(web), "", nil, false, false}, {after: 20 * s, problems: p(web, shop)}, {after: 30 * s, problems: p(web, shop)}, {after: m, problems: p(web, shop)}},
			[]string{"0:30 problem halted/shop, problem halted/web"}},
		"what is over is told, once": {nil,
			[]moment{{after: 0, problems: p(web)}, {after: 30 * s, problems: p(web)}, {after: m}, {after: 90 * s}, {after: 2 * m}},
			[]string{"0:30 problem halted/web", "1:30 recovered halted/web"}},
		"what comes and goes while more is waited for is not told": {nil,
			[]moment{{after: 0, problems: p(web)}, {after: 20 * s}, {after: 40 * s}, {after: h}}, nil},
		"what goes and comes back while its end would be told is not told either": {nil,
			[]moment{{after: 0, problems: p(web)}, {after: 30 * s, problems: p(web)}, {after: m}, {after: 80 * s, problems: p(web)}, {after: h, problems: p(web)}},
			[]string{"0:30 problem halted/web"}},
		"what nobody can judge is neither over nor told again": {nil,
			[]moment{{after: 0, problems: p(web)}, {after: 30 * s, problems: p(web)}, {after: m, unsure: "halted/web"}, {after: h, unsure: "halted/web"}, {after: 2 * h, problems: p(web)}},
			[]string{"0:30 problem halted/web"}},
		"a server is told of when it has been down for so long": {nil,
			[]moment{{after: 0, problems: p(down(noon))}, {after: 14 * m, problems: p(down(noon))}, {after: 15 * m, problems: p(down(noon))}, {after: 16 * m, problems: p(down(noon))}},
			[]string{"16:00 problem server-down/acme"}},
		"a server that is back before is not told of": {nil,
			[]moment{{after: 0, problems: p(down(noon))}, {after: 10 * m}, {after: 20 * m}}, nil},
		"a certificate is told of when it ends in less than so long": {nil,
			[]moment{{after: 0, problems: p(ends(15*24*h, 0))}, {after: m, problems: p(ends(15*24*h, 0))}, {after: 25 * h, problems: p(ends(15*24*h, 0))}, {after: 26 * h, problems: p(ends(15*24*h, 0))}},
			[]string{"1560:00 problem certificate/acme"}},
		"a certificate that was renewed is over, though it ends some day": {nil,
			[]moment{{after: 0, problems: p(ends(24*h, 2))}, {after: m, problems: p(ends(24*h, 2))}, {after: h, problems: p(ends(90*24*h, 0))}, {after: 2 * h, problems: p(ends(90*24*h, 0))}},
			[]string{"1:00 problem certificate/acme", "120:00 recovered certificate/acme"}},
		"what becomes worse is told again": {nil,
			[]moment{{after: 0, problems: p(dead(1))}, {after: m, problems: p(dead(1))}, {after: 2 * m, problems: p(dead(3))}, {after: 3 * m, problems: p(dead(3))}, {after: 4 * m, problems: p(dead(2))}, {after: 5 * m, problems: p(dead(3))}, {after: 6 * m, problems: p(dead(3))}},
			[]string{"1:00 problem dead/web", "3:00 worse dead/web", "6:00 worse dead/web"}},
		"what lasts is told again after a day": {nil,
			[]moment{{after: 0, problems: p(web)}, {after: m, problems: p(web)}, {after: 24 * h, problems: p(web)}, {after: 24*h + m, problems: p(web)}, {after: 25 * h, problems: p(web)}, {after: 26 * h, problems: p(web)}},
			[]string{"1:00 problem halted/web", "1500:00 reminder halted/web"}},
		"without reminders it is not": {func(r *Rules) { r.Remind = 0 },
			[]moment{{after: 0, problems: p(web)}, {after: m, problems: p(web)}, {after: 240 * h, problems: p(web)}, {after: 241 * h, problems: p(web)}},
			[]string{"1:00 problem halted/web"}},
		"more messages than go in an hour wait, and go together": {func(r *Rules) { r.PerHour, r.Gather = 1, 0 },
			[]moment{{after: 0, problems: p(web)}, {after: m}, {after: 2 * m, problems: p(web)}, {after: 3 * m, problems: p(web, shop)}, {after: 59 * m, problems: p(web, shop)}, {after: h, problems: p(web, shop)}, {after: 61 * m}, {after: 3 * h}},
			[]string{"0:00 problem halted/web", "60:00 problem halted/shop", "180:00 recovered halted/shop, recovered halted/web"}},
		"a message that did not go is made again, later and later": {func(r *Rules) { r.Gather = 0 },
			[]moment{{after: 0, problems: p(web), fails: true}, {after: 9 * s, problems: p(web), fails: true}, {after: 10 * s, problems: p(web), fails: true}, {after: 20 * s, problems: p(web)}, {after: 30 * s, problems: p(web, shop)}},
			[]string{"0:00 FAILS problem halted/web", "0:10 FAILS problem halted/web", "0:30 problem halted/shop, problem halted/web"}},
		"what was told is not told again after a restart": {func(r *Rules) { r.Gather = 0 },
			[]moment{{after: 0, problems: p(web)}, {after: m, problems: p(web, shop), restart: true}, {after: 2 * m, problems: p(shop), restart: true}},
			[]string{"0:00 problem halted/web", "1:00 problem halted/shop", "2:00 recovered halted/web"}},
		"what does not last is told as well, and not as over": {nil,
			[]moment{{after: 0, notice: missed}, {after: 10 * s, notice: missed}, {after: 30 * s}, {after: h}},
			[]string{"0:30 notice missed/web, notice missed/web"}},
		"other kinds are not told": {func(r *Rules) { r.On = []Kind{Dead} }, []moment{{after: 0, problems: p(web)}, {after: m, problems: p(web), notice: missed}, {after: h}}, nil},
		"other syncs are not told of": {func(r *Rules) { r.Syncs, r.Gather = []string{"shop"}, 0 },
			[]moment{{after: 0, problems: p(web, shop), notice: missed}}, []string{"0:00 problem halted/shop"}},
		"a server is told of to those of a sync that uses it": {func(r *Rules) { r.Syncs, r.Gather, r.Down = []string{"web"}, 0, 0 },
			[]moment{{after: 0, problems: p(down(noon))}}, []string{"0:00 problem server-down/acme"}},
		"and not to those of others": {func(r *Rules) { r.Syncs, r.Gather, r.Down = []string{"shop"}, 0, 0 }, []moment{{after: 0, problems: p(down(noon))}}, nil},
		"other servers are not told of": {func(r *Rules) { r.Servers, r.Gather, r.Down = []string{"other"}, 0, 0 },
			[]moment{{after: 0, problems: p(down(noon), web)}}, nil},
		"a clock that is put back delays nothing": {nil,
			[]moment{{after: 10 * h, problems: p(web)}, {after: 0, problems: p(web)}, {after: 30 * s, problems: p(web)}}, []string{"0:30 problem halted/web"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := NewChannel(rules(row.rules), "host", nil, noon)
			var got []string
			for _, at := range row.moments {
				now := noon.Add(at.after)
				if at.restart {
					text, err := json.Marshal(c.Told())
					if err != nil {
						t.Fatal(err)
					}
					var told map[string]Told
					if err := json.Unmarshal(text, &told); err != nil {
						t.Fatal(err)
					}
					c = NewChannel(rules(row.rules), "host", told, now)
				}
				if at.notice != nil {
					c.Notice(*at.notice)
				}
				message, ok := c.Step(now, Sight{at.problems, map[string]bool{at.unsure: true}})
				if !ok {
					continue
				}
				line := fmt.Sprintf("%d:%02d ", at.after/time.Minute, at.after%time.Minute/time.Second)
				var err error
				if at.fails {
					line += "FAILS "
					err = errors.New("nobody there")
				}
				if _, again := c.Step(now, Sight{at.problems, nil}); again {
					t.Error("a second message while one is under way")
				}
				c.Done(now, err)
				got = append(got, line+eventsOf(message))
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func eventsOf(m Message) string {
	var events []string
	for _, item := range m.Items {
		events = append(events, string(item.Event)+" "+item.Key)
	}
	return strings.Join(events, ", ")
}

// TestTooMuchForOneMessage goes in several, with nothing lost.
func TestTooMuchForOneMessage(t *testing.T) {
	c := NewChannel(rules(func(r *Rules) { r.Gather = 0 }), "host", nil, noon)
	var all []Problem
	for i := range mostItems + 7 {
		all = append(all, halt(fmt.Sprintf("s%02d", i)))
	}
	told := map[string]bool{}
	for i, want := range []int{mostItems, 7} {
		m, ok := c.Step(noon, Sight{Problems: all})
		if !ok || len(m.Items) != want || m.More != (1-i)*7 || m.Open != mostItems+i*7 {
			t.Fatalf("message %d: %v, %d items, %d more, %d open", i, ok, len(m.Items), m.More, m.Open)
		}
		for _, item := range m.Items {
			told[item.Key] = true
		}
		c.Done(noon, nil)
	}
	if _, again := c.Step(noon, Sight{Problems: all}); again || len(told) != len(all) {
		t.Errorf("%d told, and a third message: %v", len(told), again)
	}
}

// TestHostileText makes no line of its own.
func TestHostileText(t *testing.T) {
	c := NewChannel(rules(func(r *Rules) { r.Gather = 0 }), "host", nil, noon)
	p := halt("web")
	p.Text = "530 no\r\nBcc: all@example.com\x1b[2J\u2028" + strings.Repeat("ü", 2000) + "\xff"
	m, _ := c.Step(noon, Sight{Problems: []Problem{p}})
	text := m.Text()
	if strings.ContainsAny(m.Summary, "\r\n\x1b\u2028") || strings.ContainsAny(text, "\r\x1b") || strings.Count(text, "\n") != 4 || len(m.Summary) > longestSummary+3 || len(text) > 1500 {
		t.Errorf("%q\n%q", m.Summary, text)
	}
}

// TestWordsOfTheConfiguration are the kinds that can be chosen.
func TestWordsOfTheConfiguration(t *testing.T) {
	for _, kind := range []Kind{Halted, Dead, ServerDown, Blocked, Full, Certificate, Missed, Watch, Absence, Conflict, Differs, Unknown, Configuration} {
		if !slices.Contains(config.AlertWords, string(kind)) {
			t.Errorf("%s cannot be chosen", kind)
		}
	}
	if len(config.AlertWords) != 13 {
		t.Error("a word without a kind")
	}
}
