package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
)

// kindsOfActivity are all that there are.
var kindsOfActivity = []ActivityKind{
	ActivityTriggered, ActivityScanned, ActivityQueued, ActivityDone, ActivityStale, ActivityRetry, ActivityDead, ActivitySkipped, ActivityHeld,
	ActivityHalted, ActivityPutOff, ActivityAverted, ActivityPaused, ActivityAlert, ActivityCleared, ActivityAddress, ActivityRan, ActivityMissed, ActivityWindow,
	ActivityConflict, ActivityUnknown, ActivityApproved, ActivitySuspended, ActivityResumed,
}

// planted is what is in paths, reasons and passwords.
const planted = "pl4nted"

// measured is an agent of which everything can be measured, as if it ran.
func measured(t *testing.T) *Agent {
	t.Helper()
	folder := t.TempDir()
	local, file := filepath.Join(folder, planted), filepath.Join(folder, "agent.toml")
	if err := os.Mkdir(local, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`[agent]
state_dir = %q
max_state_size = "64MiB"
listen = "127.0.0.1:8021"
listen_token = "%s-0123456789"
[server.acme]
address = "%s.example"
user = "%s"
password = "%s"
[sync.web]
server = "acme"
local = %q
remote = "/%s"
direction = "both"
watch = true
schedule = ["0 3 * * *"]
`, folder, planted, planted, planted, planted, local, planted)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	db, err := state.Open(filepath.Join(folder, "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	address := cfg.Servers["acme"].Address
	facts, err := json.Marshal(newKnownServer(address, map[string]ftpclient.Facts{address: {CertificateEnds: 2_000_000_000}}))
	if err == nil {
		err = db.Update(func(tx *state.Tx) error { return state.PutServer(tx, "acme", state.Server{Facts: facts}) })
	}
	if err != nil {
		t.Fatal(err)
	}
	a := New(cfg, db, Options{Logger: slog.New(slog.DiscardHandler), Version: "1.2.3"})
	d, err := newDispatcher(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.closePools)
	now := time.Now()
	err = db.Update(func(tx *state.Tx) error {
		line := state.Schedule{LastFired: now, LastFinished: now, Upto: now, Missed: 2}
		if err := state.PutSchedule(tx, "web", cfg.Syncs["web"].Schedules[0].Name, line); err != nil {
			return err
		}
		return state.PutSync(tx, "web", state.SyncState{LastSuccess: now, LastFullScan: now, Rescans: 5, OnlyByRescan: 3, Halt: planted, HaltCode: "gone"})
	})
	if err != nil {
		t.Fatal(err)
	}
	a.watching.set("web", trigger.Health{State: trigger.HealthDegraded, Reason: planted, Folders: 7})
	a.started = now
	d.beat()
	a.running.Store(d)
	return a
}

// everything is one activity of each kind with each kind of job, and failures of each class.
func everything() (all []Activity) {
	for _, kind := range kindsOfActivity {
		for _, action := range append(work.FileKinds(), append(work.Scans(), planted)...) {
			all = append(all, Activity{
				Kind: kind, Sync: "web", Server: "acme", Path: planted, Job: 1, Action: action, Text: planted, Bytes: 1000, Took: time.Second,
				Verified: planted, Method: planted, Cause: errors.New(planted), Line: "0 3 * * *",
			})
		}
		all = append(all, Activity{Kind: kind, Sync: planted, Server: planted, Action: string(plan.Upload), Job: 1, Cause: errors.New(planted)})
	}
	return all
}

// sample is a line of what Prometheus reads.
type sample struct {
	name   string
	labels map[string]string
	value  string
}

var (
	sampleLine  = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	sampleLabel = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

// scrape reads what the agent tells, in the form of which Prometheus reads it.
func scrape(t *testing.T, a *Agent) (samples []sample) {
	t.Helper()
	w := httptest.NewRecorder()
	a.metrics.handler(slog.New(slog.NewTextHandler(t.Output(), nil))).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	for _, match := range sampleLine.FindAllStringSubmatch(w.Body.String(), -1) {
		s := sample{match[1], map[string]string{}, match[3]}
		for _, label := range sampleLabel.FindAllStringSubmatch(match[2], -1) {
			s.labels[label[1]] = label[2]
		}
		samples = append(samples, s)
	}
	return samples
}

// find returns the value of the sample with this name and, among others, these labels; "" for none.
func find(samples []sample, name string, labels ...string) string {
	for _, s := range samples {
		fits := s.name == name
		for i := 0; i < len(labels); i += 2 {
			fits = fits && s.labels[labels[i]] == labels[i+1]
		}
		if fits {
			return s.value
		}
	}
	return ""
}

func TestMetricsFollowTheConventions(t *testing.T) {
	t.Parallel()
	a := measured(t)
	for _, activity := range everything() {
		a.metrics.observe(activity)
	}
	problems, err := testutil.GatherAndLint(a.metrics.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	for _, s := range scrape(t, a) {
		if !strings.HasPrefix(s.name, "ftpferry_") && !strings.HasPrefix(s.name, "go_") && !strings.HasPrefix(s.name, "process_") && !strings.HasPrefix(s.name, "promhttp_") {
			t.Errorf("%s does not say whose it is", s.name)
		}
	}
}

// TestLabelsHoldWordsOfTheConfigurationAlone: no path, no reason, no secret, and nothing that a server or a queue of another version
// makes up.
func TestLabelsHoldWordsOfTheConfigurationAlone(t *testing.T) {
	t.Parallel()
	a := measured(t)
	before := len(scrape(t, a))
	for range 2 {
		for _, activity := range everything() {
			a.metrics.observe(activity)
		}
	}
	samples := scrape(t, a)
	for _, s := range samples {
		for label, value := range s.labels {
			if strings.Contains(value, planted) {
				t.Errorf("%s has the label %s=%q", s.name, label, value)
			}
		}
		if sync := s.labels["sync"]; sync != "" && sync != "web" { // "": of a server
			t.Errorf("%s is about the sync %q", s.name, sync)
		}
	}
	// Each kind of job that is no transfer with each result, three kinds of looks, a class of errors, and a schedule.
	if most := len(work.FileKinds())*len(outcomes) + 3*(len(scanSeconds)+3) + 1 + 1; len(samples)-before > most {
		t.Errorf("%d series have come, want at most %d", len(samples)-before, most)
	}
}

func TestWhatHappensIsCounted(t *testing.T) {
	t.Parallel()
	a := measured(t)
	refused := &ftpclient.Error{Code: 530, Op: "login", Text: planted}
	for _, row := range []struct {
		sentence string
		activity Activity
		want     []string // name, value, labels
	}{
		{"an upload", Activity{Kind: ActivityDone, Sync: "web", Job: 1, Action: "upload", Bytes: 5, Took: 2 * time.Second},
			[]string{"ftpferry_transfers_total", "1", "sync", "web", "direction", "up", "result", "done"}},
		{"its bytes", Activity{Kind: ActivityDone, Sync: "web", Job: 1, Action: "upload", Bytes: 5},
			[]string{"ftpferry_transfer_bytes_total", "5", "direction", "up"}},
		{"how long it took", Activity{Kind: ActivityDone, Sync: "web", Job: 1, Action: "download", Took: 2 * time.Second},
			[]string{"ftpferry_transfer_duration_seconds_sum", "2", "direction", "down"}},
		{"a download that failed", Activity{Kind: ActivityRetry, Sync: "web", Job: 1, Action: "download", Bytes: 5},
			[]string{"ftpferry_transfers_total", "1", "direction", "down", "result", "failed"}},
		{"the bytes of which are not there", Activity{Kind: ActivityRetry, Sync: "web", Job: 1, Action: "download", Bytes: 5},
			[]string{"ftpferry_transfer_bytes_total", "0", "direction", "down"}},
		{"a deletion", Activity{Kind: ActivityDone, Sync: "web", Job: 1, Action: "delete_remote"},
			[]string{"ftpferry_operations_total", "1", "action", "delete_remote", "result", "done"}},
		{"the class of an error", Activity{Kind: ActivityAlert, Server: "acme", Cause: refused},
			[]string{"ftpferry_errors_total", "1", "server", "acme", "class", "authentication"}},
		{"a halt", Activity{Kind: ActivityHalted, Sync: "web"}, []string{"ftpferry_halts_total", "1", "sync", "web"}},
		{"a look", Activity{Kind: ActivityScanned, Sync: "web", Action: "rescan", Took: time.Minute},
			[]string{"ftpferry_scan_duration_seconds_sum", "60", "kind", "rescan"}},
		{"a part of one is none", Activity{Kind: ActivityScanned, Sync: "web", Action: "rescan"},
			[]string{"ftpferry_scan_duration_seconds_sum", "", "kind", "rescan"}},
		{"how late a schedule was", Activity{Kind: ActivityTriggered, Sync: "web", Action: "sync", Line: "0 3 * * *", Late: 90 * time.Second},
			[]string{"ftpferry_schedule_lateness_seconds", "90", "schedule", "0 3 * * *"}},
		{"before the first error there is a zero, which the rate begins with", Activity{Kind: ActivityAlert, Server: "acme"},
			[]string{"ftpferry_errors_total", "0", "server", "acme", "class", "connection"}},
		{"what was planned is not done", Activity{Kind: ActivityQueued, Sync: "web", Job: 1, Action: "upload"},
			[]string{"ftpferry_transfers_total", "0", "direction", "up", "result", "done"}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			a.metrics = newMetrics(a)
			a.metrics.observe(row.activity)
			if got := find(scrape(t, a), row.want[0], row.want[2:]...); got != row.want[1] {
				t.Errorf("%v is %q", row.want, got)
			}
		})
	}
}

func TestHowEverythingStandsIsMeasured(t *testing.T) {
	t.Parallel()
	a := measured(t)
	samples := scrape(t, a)
	for _, want := range [][]string{
		{"ftpferry_agent_info", "1", "version", "1.2.3"},
		{"ftpferry_state_limit_bytes", "6.7108864e+07"},
		{"ftpferry_jobs", "0", "state", "dead"},
		{"ftpferry_sync_stopped", "1", "by", "halt"},
		{"ftpferry_sync_stopped", "0", "by", "pause"},
		{"ftpferry_rescans_total", "5"},
		{"ftpferry_rescan_only_changes_total", "3"},
		{"ftpferry_watch_state", "1", "state", "degraded"},
		{"ftpferry_watch_state", "0", "state", "watching"},
		{"ftpferry_watch_folders", "7"},
		{"ftpferry_schedule_missed_total", "2", "schedule", "0 3 * * *"},
		{"ftpferry_server_state", "1", "state", "idle"},
		{"ftpferry_server_state", "0", "state", "up"},
		{"ftpferry_server_connection_limit", "4"},
		{"ftpferry_server_certificate_expiry_timestamp_seconds", "2e+09"},
		{"ftpferry_transfers_underway", "0", "direction", "up"},
	} {
		if got := find(samples, want[0], want[2:]...); got != want[1] {
			t.Errorf("%v is %q", want, got)
		}
	}
	for _, name := range []string{"ftpferry_sync_last_success_timestamp_seconds", "ftpferry_sync_last_full_scan_timestamp_seconds",
		"ftpferry_schedule_last_run_timestamp_seconds", "ftpferry_schedule_last_finished_timestamp_seconds", "ftpferry_agent_alive_timestamp_seconds", "ftpferry_state_bytes"} {
		if value := find(samples, name); value == "" || value == "0" {
			t.Errorf("%s is %q", name, value)
		}
	}
	a.running.Store(nil)
	if got := find(scrape(t, a), "ftpferry_agent_info"); got != "" {
		t.Errorf("an agent that has ended says that it runs: %s", got)
	}
}

// TestAPauseIsMeasured: what a person has stopped does not look as if it went on.
func TestAPauseIsMeasured(t *testing.T) {
	t.Parallel()
	a := measured(t)
	err := a.db.Update(func(tx *state.Tx) error {
		return state.PutSync(tx, "web", state.SyncState{Paused: state.Pause{Since: time.Now()}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := find(scrape(t, a), "ftpferry_sync_stopped", "by", "paused"); got != "1" {
		t.Errorf(`by "paused" is %q`, got)
	}
}

// TestProblemsOfTheAgentAreMeasured apart from those of syncs and servers, and are zero before and after.
func TestProblemsOfTheAgentAreMeasured(t *testing.T) {
	t.Parallel()
	a := measured(t)
	now, long := time.Now(), time.Now().Add(-2*stuckAfter)
	expect := func(when, stopped, configuration string) {
		t.Helper()
		samples := scrape(t, a)
		for kind, want := range map[string]string{"stopped": stopped, "configuration": configuration} {
			if got := find(samples, "ftpferry_agent_problems", "kind", kind); got != want {
				t.Errorf("%s: %s is %q, want %q", when, kind, got, want)
			}
		}
		for _, s := range samples {
			if server, ok := s.labels["server"]; ok && server == "" {
				t.Errorf("%s: %s%v is of no server", when, s.name, s.labels)
			}
		}
	}
	expect("all is well", "0", "0")
	a.alive.Store(&long)
	a.deaf.Store(&webTrouble{now, "cannot listen"})
	a.Refused(errors.New("the file is broken"))
	expect("stuck, refused and deaf", "1", "2")
	a.alive.Store(&now)
	a.deaf.Store(nil)
	a.onDisk.Store(nil)
	expect("it is over", "0", "0")
}

// TestLatenessOfAScheduleThatIsGone is nobody's.
func TestLatenessOfAScheduleThatIsGone(t *testing.T) {
	t.Parallel()
	a := measured(t)
	name := a.cfg.Syncs["web"].Schedules[0].Name
	a.metrics.observe(Activity{Kind: ActivityTriggered, Sync: "web", Action: "sync", Line: name, Late: time.Minute})
	for _, row := range []struct {
		schedules []config.Schedule
		want      string
	}{{a.cfg.Syncs["web"].Schedules, "60"}, {nil, ""}} {
		next, cfg, web := *a, *a.cfg, *a.cfg.Syncs["web"]
		web.Schedules = row.schedules
		cfg.Syncs = map[string]*config.Sync{"web": &web}
		next.configure(&cfg)
		a.metrics.configure(&next)
		if got := find(scrape(t, a), "ftpferry_schedule_lateness_seconds", "schedule", name); got != row.want {
			t.Errorf("with %d schedules it is %q, want %q", len(row.schedules), got, row.want)
		}
	}
}

// selector is a metric of ours in an expression, with what it says about labels.
var (
	selector = regexp.MustCompile(`\b(ftpferry_[a-z_]+)(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|on|group_left) \(([^)]*)\)`)
)

// TestDashboardAndAlertRulesGoByWhatIsMeasured: each metric, label and state that they name is there.
func TestDashboardAndAlertRulesGoByWhatIsMeasured(t *testing.T) {
	t.Parallel()
	a := measured(t)
	for _, activity := range everything() {
		a.metrics.observe(activity)
	}
	labels := map[string]map[string][]string{} // by metric and label
	for _, s := range scrape(t, a) {
		if labels[s.name] == nil {
			labels[s.name] = map[string][]string{"job": {"ftpferry"}, "instance": nil} // from Prometheus
		}
		for label, value := range s.labels {
			labels[s.name][label] = append(labels[s.name][label], value)
		}
	}
	for _, file := range []string{"../docs/grafana-dashboard.json", "../docs/prometheus-alerts.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(content), `\"`, `"`)
		used := 0
		for _, found := range selector.FindAllStringSubmatch(text, -1) {
			used++
			known, ok := labels[found[1]]
			if !ok {
				t.Errorf("%s: there is no metric %s", file, found[1])
				continue
			}
			for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
				values, ok := known[m[1]]
				if !ok {
					t.Errorf("%s: %s has no label %s", file, found[1], m[1])
				}
				for value := range strings.SplitSeq(m[3], "|") {
					if !strings.HasPrefix(value, "$") && !slices.Contains(values, value) {
						t.Errorf("%s: the label %s of %s is never %q", file, m[1], found[1], value)
					}
				}
			}
		}
		if used < 10 {
			t.Errorf("%s names %d metrics", file, used)
		}
		for _, found := range grouping.FindAllStringSubmatch(text, -1) {
			for label := range strings.SplitSeq(found[1], ",") {
				label = strings.TrimSpace(label)
				isKnown := label == "" || label == "le"
				for _, known := range labels {
					_, ok := known[label]
					isKnown = isKnown || ok
				}
				if !isKnown {
					t.Errorf("%s groups by %q, which no metric has", file, label)
				}
			}
		}
	}
}

// TestEveryMeasureIsTold, so that a new one is not forgotten in the list.
func TestEveryMeasureIsTold(t *testing.T) {
	t.Parallel()
	samples := scrape(t, measured(t))
	for _, m := range measures {
		name := regexp.MustCompile(`fqName: "([a-z_]+)"`).FindStringSubmatch(m.description.String())
		if name == nil || find(samples, name[1]) == "" {
			t.Errorf("%s is not told", m.description)
		}
	}
}

// TestTheDashboardShowsEveryMeasure: an operator who has it does not have to know what else there is.
func TestTheDashboardShowsEveryMeasure(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range measures {
		name := regexp.MustCompile(`fqName: "([a-z_]+)"`).FindStringSubmatch(m.description.String())[1]
		if !regexp.MustCompile(name + `\b`).Match(text) {
			t.Errorf("%s has no panel", name)
		}
	}
}

// TestMetricsOfAnotherConfiguration: what it names is counted from then on, and what it does not name is gone.
func TestMetricsOfAnotherConfiguration(t *testing.T) {
	a := New(breakerConfig(), nil, Options{Logger: slog.New(slog.DiscardHandler)})
	of := func(sync string) (count int) {
		families, err := a.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, metric := range family.Metric {
				for _, label := range metric.Label {
					if label.GetName() == "sync" && label.GetValue() == sync && family.GetName() == "ftpferry_transfers_total" {
						count++
					}
				}
			}
		}
		return count
	}
	next := *a
	cfg := breakerConfig()
	cfg.Syncs["news"] = cfg.Syncs["far"]
	delete(cfg.Syncs, "far")
	next.configure(cfg)
	next.metrics.configure(&next)
	a.metrics.observe(Activity{Kind: ActivityDone, Sync: "far", Job: 1, Action: string(plan.Upload)})
	if of("far") > 0 || of("news") == 0 || of("up") == 0 {
		t.Errorf("series: %d of a sync that is gone, %d of a new one, %d of one that stays", of("far"), of("news"), of("up"))
	}
}
