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
	"regexp"
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
	server *ftptest.Memory
	hook   *httptest.Server
	agent  *Agent
	db     *state.DB
	stop   context.CancelFunc
	ended  chan error

	mu       sync.Mutex // guards following
	refuse   map[string]string
	messages []alert.Message
	log      bytes.Buffer
}

const dayConfiguration = `
[agent]
state_dir = %q
heartbeat = { url = "%s/beat", every = "5m" }
[server.acme]
address = %q
user = "u"
password = "right"
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

func newDay(t *testing.T, folder, disk string) *day {
	d := &day{t: t, folder: folder, refuse: map[string]string{}}
	d.hook = httptest.NewServer(http.HandlerFunc(d.receive))
	t.Cleanup(d.hook.Close)
	for _, name := range []string{"site", "orders", "shared", "state"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
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
		return
	}
	var m alert.Message
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil {
		d.t.Error(err)
	}
	d.messages = append(d.messages, m)
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
	for begin, reply := range d.refuse {
		if strings.HasPrefix(line, begin) {
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
	text := fmt.Sprintf(dayConfiguration, local("state"), d.hook.URL, d.server.Addr, ftptest.Proxy, local("site"), local("orders"), local("shared"), d.hook.URL)
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

// words are what each channel says.
type words struct{ status, metrics, log, alerts, history string }

var commentLine = regexp.MustCompile(`(?m)^#.*\n`)

// say reads the channels: how things stand now, and what was told since the last time.
func (d *day) say() (w words) {
	d.t.Helper()
	overview, err := d.agent.Current().Status(d.t.Context(), control.StatusFilter{})
	if err != nil {
		d.t.Fatal(err)
	}
	text, err := json.Marshal(overview)
	if err != nil {
		d.t.Fatal(err)
	}
	w.status = string(text)
	r := httptest.NewRecorder()
	d.agent.metrics.handler(slog.New(slog.DiscardHandler)).ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	w.metrics = commentLine.ReplaceAllString(r.Body.String(), "")
	d.mu.Lock()
	defer d.mu.Unlock()
	w.log = d.log.String()
	d.log.Reset()
	for _, m := range d.messages {
		for _, item := range m.Items {
			w.alerts += fmt.Sprintf("%s %s: %s\n", item.Event, item.Kind, item)
		}
	}
	d.messages = nil
	err = d.agent.Current().History(d.t.Context(), control.HistoryFilter{}, func(row control.HistoryRow) error {
		text, err := json.Marshal(row)
		w.history += string(text) + "\n"
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return w
}

func (d *day) look(what string) {
	synctest.Wait()
	w := d.say()
	var keep []string
	for _, line := range strings.Split(w.metrics, "\n") {
		if strings.HasPrefix(line, "ftpferry_") && !strings.HasSuffix(line, " 0") && !strings.Contains(line, "bucket") && !strings.Contains(line, "duration") {
			keep = append(keep, line)
		}
	}
	d.t.Logf("=========== %s at %s\nSTATUS %s\nMETRICS %s\nLOG %s\nALERTS %s\nHISTORY %s", what, time.Now().Format("15:04:05"), w.status, strings.Join(keep, "\n"), w.log, w.alerts, w.history)
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

func TestADay(t *testing.T) {
	folder := t.TempDir()
	d := newDay(t, folder, "")
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.server = ftptest.NewMemory(t, ftptest.Abilities{MLSD: true, MDTM: true, MFMT: true, Restart: true})
		d.server.Refuse = d.refusal
		d.server.Latency = time.Millisecond
		for _, name := range []string{"/site", "/orders", "/shared"} {
			d.server.MakeDir(name)
		}
		d.put("site/index", "1")
		for i := range 5 {
			d.put(fmt.Sprint("site/", i), "1")
		}
		d.put("shared/a", "1")
		d.start()
		time.Sleep(15 * time.Minute)
		d.look("in step")
		d.server.SetDown(true)
		time.Sleep(40 * time.Minute)
		d.look("down")
		d.server.SetDown(false)
		time.Sleep(20 * time.Minute)
		d.look("up again")
		if err := d.end(); err != nil {
			t.Error(err)
		}
	})
}
