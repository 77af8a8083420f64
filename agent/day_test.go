package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// day is a whole agent in the time of a bubble, with all channels by which it says how it stands. Its server is in memory, its alerts go to a
// real webhook, during which the time of the bubble stands still.
type day struct {
	t      *testing.T
	folder string
	disk   string // of downloads, a small one
	server *ftptest.Memory
	hook   *httptest.Server
	agent  *Agent
	db     *state.DB
	stop   context.CancelFunc
	ended  chan error

	password string

	mu     sync.Mutex // guards following
	refuse map[string]string
	items  []alert.Item
	beats  int
	log    bytes.Buffer
	rows   int    // of the history that were read
	event  uint64 // the last one that was read
}

const dayConfiguration = `
[agent]
state_dir = %q
heartbeat = { url = "%s/beat", every = "5m" }
[server.acme]
address = %q
user = "u"
password = %q
proxy = %q
tls = "none"
data = { mode = "passive" }
[sync.site]
server = "acme"
local = %q
remote = "/site"
direction = "up"
delete = true
max_delete = 1
settle = "0s"
schedule = ["*/10 * * * *"]
time_zone = "UTC"
[sync.orders]
server = "acme"
local = %q
remote = "/orders"
direction = "down"
schedule = ["*/10 * * * *"]
time_zone = "UTC"
expect = { by = "06:00", pattern = "*.csv" }
[sync.shared]
server = "acme"
local = %q
remote = "/shared"
direction = "both"
conflict = "ask"
settle = "0s"
schedule = ["*/10 * * * *", { cron = "30 12 * * *", do = "verify" }]
time_zone = "UTC"
[alert.ops]
webhook = { url = "%s/hook" }
limit = 1000
`

func newDay(t *testing.T) *day {
	t.Helper()
	d := &day{t: t, folder: t.TempDir(), disk: ftptest.Tmpfs(t, 1<<20, false), password: "right", refuse: map[string]string{}}
	d.hook = httptest.NewServer(http.HandlerFunc(d.receive))
	t.Cleanup(d.hook.Close)
	for _, name := range []string{"site", "shared", "state"} {
		if err := os.MkdirAll(filepath.Join(d.folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// receive is the webhook.
func (d *day) receive(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodGet {
		d.beats++
		return
	}
	var m alert.Message
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil {
		d.t.Error(err)
	}
	d.items = append(d.items, m.Items...)
}

func (d *day) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

// refusal is what the server says in place of what it would say.
func (d *day) refusal(line string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for what, reply := range d.refuse {
		if strings.Contains(line, what) {
			return reply
		}
	}
	return ""
}

func (d *day) refuses(begin, reply string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse[begin] = reply; reply == "" {
		delete(d.refuse, begin)
	}
}

func (d *day) load() *config.Config {
	d.t.Helper()
	local := func(name string) string { return filepath.Join(d.folder, name) }
	text := fmt.Sprintf(dayConfiguration, local("state"), d.hook.URL, d.server.Addr, d.password, ftptest.Proxy, local("site"), d.disk, local("shared"), d.hook.URL)
	path := local("agent.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	cfg, err := config.Load(path, os.Getenv)
	if err != nil {
		d.t.Fatal(err)
	}
	return cfg
}

func (d *day) start() {
	d.t.Helper()
	cfg := d.load()
	var err error
	if d.db, err = state.Open(filepath.Join(cfg.Agent.StateDir, "agent.db"), state.Options{}); err != nil {
		d.t.Fatal(err)
	}
	d.agent = New(cfg, d.db, Options{Logger: slog.New(slog.NewJSONHandler(d, nil)), Triggers: true, Alerts: true})
	d.agent.dial = d.server.Dial
	var ctx context.Context
	ctx, d.stop = context.WithCancel(d.t.Context())
	d.ended = make(chan error, 1)
	go func() { d.ended <- d.agent.Run(ctx) }()
}

func (d *day) end() error {
	d.t.Helper()
	d.stop()
	err := <-d.ended
	d.db.Close()
	return err
}

// words are what the channels say, line by line.
type words struct{ status, metrics, log, alerts, history, events []string }

// say reads the channels: how things stand now, and what was told since the last time.
func (d *day) say() (w words) {
	d.t.Helper()
	synctest.Wait()
	service := d.agent.Current()
	overview, err := service.Status(d.t.Context(), control.StatusFilter{})
	if err != nil {
		d.t.Fatal(err)
	}
	w.status = statusLines(overview)
	r := httptest.NewRecorder()
	d.agent.metrics.handler(slog.New(slog.DiscardHandler)).ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	w.metrics = strings.Split(r.Body.String(), "\n")
	skip := d.rows
	err = service.History(d.t.Context(), control.HistoryFilter{}, func(row control.HistoryRow) error {
		if skip--; skip < 0 {
			d.rows++
			w.history = append(w.history, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", row.Result, row.Op, row.Sync, row.Path, row.Error)))
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	found, last, _, _ := d.agent.feed.take(d.event)
	for ; len(found) > 0; found, last, _, _ = d.agent.feed.take(last) {
		for _, e := range found {
			w.events = append(w.events, fmt.Sprintf("%s %s %s %s", e.Kind, e.Sync, e.Path, e.Text))
		}
	}
	d.event = last
	d.mu.Lock()
	defer d.mu.Unlock()
	w.log = strings.Split(d.log.String(), "\n")
	d.log.Reset()
	for _, item := range d.items {
		w.alerts = append(w.alerts, fmt.Sprintf("%s %s: %s", item.Event, item.Key, item))
	}
	d.items = nil
	return w
}

// statusLines is what an overview says, in a form for the table below.
func statusLines(o control.Overview) (lines []string) {
	for _, s := range o.Syncs {
		line := "sync " + s.Sync + ": " + s.State
		if s.Jobs.Stop != nil {
			line += ": " + s.Jobs.Stop.Reason
		}
		lines = append(lines, line)
		for _, n := range s.Notes {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s", n.Kind, s.Sync, n.Path, n.Reason))
		}
		for _, schedule := range s.Schedules {
			lines = append(lines, fmt.Sprintf("schedule %s %s: %d left out", s.Sync, schedule.Spec, schedule.Missed))
		}
	}
	for _, s := range o.Servers {
		lines = append(lines, "server "+s.Server+": "+s.State+": "+s.Reason)
	}
	for _, p := range o.Problems {
		lines = append(lines, fmt.Sprintf("problem %s %s %s: %s; %s", p.Kind, p.Sync, p.Server, p.Text, p.Cure))
		if p.Since.IsZero() && p.Kind != string(alert.Dead) {
			lines = append(lines, "nobody knows since when")
		}
	}
	return append(lines, fmt.Sprintf("exit code %d", o.ExitCode()))
}

// holds checks that lines hold each of these: one line all words of an expectation, which are separated by "...".
func (d *day) holds(what string, lines, want []string) {
	d.t.Helper()
	for _, expected := range want {
		parts := strings.Split(expected, "...")
		if !slices.ContainsFunc(lines, func(line string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
		}) {
			d.t.Errorf("%s does not say %q:\n%s", what, expected, strings.Join(lines, "\n"))
		}
	}
}

// check looks for words in all channels. Alerts are just those.
func (d *day) check(what string, want words) (got words) {
	d.t.Helper()
	got = d.say()
	d.t.Logf("%s, %s\n%s\n%s\n%s\n%s", time.Now().Format("15:04"), what, strings.Join(got.status, "\n"), strings.Join(got.log, "\n"), strings.Join(got.alerts, "\n"), strings.Join(got.history, "\n"))
	d.holds(what+": status", got.status, want.status)
	d.holds(what+": metrics", got.metrics, want.metrics)
	d.holds(what+": log", got.log, want.log)
	d.holds(what+": history", got.history, want.history)
	d.holds(what+": events", got.events, want.events)
	d.holds(what+": alerts", got.alerts, want.alerts)
	if len(got.alerts) != len(want.alerts) {
		d.t.Errorf("%s: %d alerts instead of %d:\n%s", what, len(got.alerts), len(want.alerts), strings.Join(got.alerts, "\n"))
	}
	for _, line := range got.status {
		if line == "nobody knows since when" {
			d.t.Errorf("%s: of a problem nobody knows since when:\n%s", what, strings.Join(got.status, "\n"))
		}
	}
	return got
}

// calm checks that all is well again: nothing is told any more, and what has shown the trouble shows it no more.
func (d *day) calm(what string, got words, shown []string) {
	d.t.Helper()
	for _, line := range got.status {
		if strings.HasPrefix(line, "problem") || strings.HasPrefix(line, "sync") && !strings.HasSuffix(line, ": "+control.StateInStep) || strings.HasPrefix(line, "exit code") && line != "exit code 0" {
			d.t.Errorf("%s: it is over, and the status says %q", what, line)
		}
	}
	for _, line := range got.metrics {
		if !strings.Contains(line, "_total") && slices.Contains(shown, line) {
			d.t.Errorf("%s: it is over, and the metrics say %q", what, line)
		}
	}
}

// beat returns how many heartbeats have come since the last time.
func (d *day) beat() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, d.beats = d.beats, 0
	return n
}

func (d *day) put(name, content string) {
	d.t.Helper()
	path := filepath.Join(d.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		d.t.Fatal(err)
	}
}

func (d *day) remove(names ...string) {
	d.t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(d.folder, name)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// until sleeps to a time of the day.
func until(hour, minute int) {
	time.Sleep(time.Until(time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC)))
}

// TestADay has one thing after the other go wrong in a day, and looks what each channel says of it, and that it says that it is over.
func TestADay(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	t.Parallel()
	d := newDay(t)
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.server = ftptest.NewMemory(t, ftptest.Abilities{MLSD: true, MDTM: true, MFMT: true, Restart: true})
		d.server.Refuse, d.server.Latency = d.refusal, time.Millisecond
		for _, name := range []string{"/site", "/orders", "/shared"} {
			d.server.MakeDir(name)
		}
		for i := range 30 {
			d.put(fmt.Sprint("site/", i), "1")
		}
		d.put("shared/a", "1")
		d.start()
		time.Sleep(15 * time.Minute)
		d.calm("the morning", d.check("the morning", words{status: []string{"server acme: idle"}}), nil)
		for _, trouble := range troubles {
			d.beat()
			trouble.begin(d)
			time.Sleep(trouble.lasts)
			during := d.check(trouble.name, trouble.during)
			if beats := d.beat(); trouble.silent && beats > 2 {
				t.Errorf("%s: %d heartbeats", trouble.name, beats)
			}
			trouble.cure(d)
			time.Sleep(20 * time.Minute)
			d.calm(trouble.name, d.check(trouble.name+", over", trouble.after), slices.DeleteFunc(during.metrics, func(line string) bool {
				return !slices.ContainsFunc(trouble.during.metrics, func(want string) bool { return strings.Contains(line, want) })
			}))
			if d.beat() == 0 {
				t.Errorf("%s: no heartbeat when it is over", trouble.name)
			}
		}
		if err := d.end(); err != nil {
			t.Error(err)
		}
	})
}
