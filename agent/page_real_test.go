package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Names that want to be something else on a page than a name.
const (
	scriptName = "<img src=x onerror=alert(1)>.txt"
	turnedName = "in\u202evoice\x07.txt"
)

// newPageRig is a sync that is halted, one whose jobs have failed for good, one that takes long, and one with a server that is away.
func newPageRig(t *testing.T) *rig {
	t.Helper()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up", "max_delete = 2")
	fill(t, r.local, many(6))
	if report := r.once(); report.Transferred != 6 {
		t.Fatalf("%+v", report)
	}
	remove(t, r.local, "f000", "f001", "f002")
	if report := r.once(); report.Halt == "" {
		t.Fatalf("%+v", report)
	}
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	names, slow := filepath.Join(filepath.Dir(r.local), "names"), filepath.Join(filepath.Dir(r.local), "slow")
	fill(t, names, map[string]string{scriptName: "1", turnedName: "12"})
	fill(t, slow, map[string]string{"large.bin": strings.Repeat("x", 8<<20)})
	for _, name := range []string{"names", "slow"} {
		path := filepath.Join(server.Root, name)
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, 0o777)
	}
	common := fmt.Sprintf("user = %q\npassword = %q\ntls = \"none\"\nconnect_timeout = \"5m\"\nreply_timeout = \"5m\"\nstall_timeout = \"5m\"\n", server.User, server.Password)
	text = fmt.Appendf(text, `
[server.narrow]
address = %q
bandwidth = "8KiB"
%s
[server.away]
address = %q
%s
[sync.names]
server = "real"
local = %q
remote = %q
direction = "up"
settle = "0s"
[sync.slow]
server = "narrow"
local = %q
remote = %q
direction = "up"
settle = "0s"
[sync.lost]
server = "away"
local = %q
remote = "/lost"
direction = "up"
`, server.Addr, common, ftptest.RefusedAddress(t), common, names, server.RemoteRoot+"/names", slow, server.RemoteRoot+"/slow", slow)
	if err := os.WriteFile(r.config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.adjust = func(cfg *config.Config) { cfg.Agent.Listen, cfg.Agent.ShutdownGrace = "127.0.0.1:0", time.Millisecond }
	r.giveUp("names", scriptName, turnedName)
	return r
}

// giveUp has uploads of a sync with the server real failed for good.
func (r *rig) giveUp(sync string, paths ...string) {
	r.t.Helper()
	db, err := state.Open(filepath.Join(r.load().Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	for _, path := range paths {
		info, err := os.Stat(filepath.Join(filepath.Dir(r.local), sync, path))
		if err != nil {
			r.t.Fatal(err)
		}
		here := entry.Entry{Kind: entry.File, Size: info.Size(), ModTime: info.ModTime(), Precision: time.Nanosecond}
		planned, err := json.Marshal(plan.Op{
			Action: plan.Upload, Path: path, Reason: "new here", Local: plan.Side{Knowledge: plan.Seen, Entry: here}, Remote: plan.Side{Knowledge: plan.Seen},
		})
		if err != nil {
			r.t.Fatal(err)
		}
		err = db.Update(func(tx *state.Tx) error {
			now := time.Now()
			wanted := queue.New{Kind: string(plan.Upload), Sync: sync, Server: "real", Path: path, Why: "new here", Payload: planned}
			if _, err := queue.Enqueue(tx, now, wanted); err != nil {
				return err
			}
			jobs, err := queue.Claim(tx, now, queue.Request{Server: "real", Limit: 1})
			if err != nil || len(jobs) != 1 {
				return fmt.Errorf("%d jobs, %w", len(jobs), err)
			}
			_, err = queue.Fail(tx, now, jobs[0].ID, queue.Failure{Reason: "it does not like the name", Reply: "553 <b>No</b>", Dead: true})
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestThePageInABrowser: a person without a mouse finds what is wrong, approves, has jobs tried again, searches the history, on a large
// screen and on a phone, and sees that the agent is gone.
func TestThePageInABrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newPageRig(t)
	var at string
	r.with(agent.Options{Listen: true, Version: "1.2.3"}, func(a *agent.Agent) {
		ctx, stop := context.WithCancel(t.Context())
		passed := make(chan struct{})
		go func() {
			defer close(passed)
			a.Pass(ctx, []string{"slow", "lost"})
		}()
		defer func() { stop(); <-passed }()
		eventually(t, "an address", func() bool {
			o, err := a.Status(t.Context(), control.StatusFilter{})
			at = "http://" + o.Listen + "/"
			return err == nil && o.Listen != ""
		})
		b.looks(1280, "light")
		b.do("the page", chromedp.Navigate(at))
		b.showsWhatIsWrong()
		b.fitsEverywhere()
		b.approvesByKeys(r)
		b.retriesByKeys(r)
		b.searchesByKeys()
		b.pausesAServerByKeys()
		b.dropsByKeys(r)
		b.tellsOfEveryProblem()
		a.Refused(errors.New("agent.toml:1: the new one is broken"))
		b.until(`document.querySelector('#needs').innerText.includes('The agent does not do all that its configuration says') && document.querySelector('#needs').innerText.includes('the new one is broken')`)
		b.shot("refused")
		b.knowsItsWords()
		b.mustHaveAskedOnly(at)
		// From here on the browser has something to say: it was refused.
		b.do("an impossible pattern", chromedp.SetValue(`#search [name=path]`, "["), chromedp.Focus(`#search [name=path]`))
		b.press(kb.Enter)
		b.until(`document.querySelector('#history-count').innerText.includes('needs its "]"')`)
	})
	b.until(`!document.querySelector('#away').hidden`)
	if got := b.says(`document.querySelector('#away').innerText`); !strings.HasPrefix(got, "No answer since ") {
		t.Errorf("without an agent it says %q", got)
	}
	b.shot("away")
}

// gaveUp is true in a page that shows so many jobs that have failed for good. Others may have failed and be tried again.
func gaveUp(jobs int) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#failures tbody tr')].filter((e) => e.innerText.includes('gave up')).length === %d`, jobs)
}

func (b *browser) showsWhatIsWrong() {
	b.until(`document.querySelector('#verdict-title').innerText.includes('need a person')`)
	b.until(`document.querySelector('#needs').innerText.includes('s is halted')`)
	b.until(`document.querySelector('#needs').innerText.includes('names has given up on 2 jobs')`)
	b.until(`document.querySelector('#servers').innerText.includes('refused')`)
	b.until(`document.querySelector('#transfers tbody').innerText.includes('large.bin')`)
	b.until(`document.querySelector('#transfers progress').value > 0`)
	b.until(`document.querySelector('#plot .line.up').getAttribute('d').length > 100`)
	b.until(gaveUp(2))
	for what, want := range map[string]string{
		`document.querySelector('#failures tbody').innerText.includes('<img src=x onerror=alert(1)>.txt')`:                                        "true",
		`document.querySelector('#failures tbody').innerText.includes('in\\u{202e}voice\\u{7}.txt')`:                                              "true",
		`document.querySelector('#failures tbody').innerText.includes('The server said: 553 <b>No</b>')`:                                          "true",
		`document.querySelectorAll('main img, #failures b').length`:                                                                               "0",
		`document.querySelector('#logout').hidden`:                                                                                                "true",
		`[...document.querySelectorAll('button')].every((e) => !e.checkVisibility() || (e.getAttribute('aria-label') ?? e.innerText).length > 0)`: "true",
		`[...document.querySelectorAll('th')].every((e) => e.scope)`:                                                                              "true",
		`new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size === document.querySelectorAll('[id]').length`:                      "true",
	} {
		if got := b.says(what); got != want {
			b.t.Errorf("%s is %s", what, got)
		}
	}
}

func (b *browser) fitsEverywhere() {
	paper := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 700, 900, 1280} {
			b.looks(width, scheme)
			b.mustFit(fmt.Sprintf("%d pixels, %s", width, scheme))
			b.shot(fmt.Sprintf("%s-%d", scheme, width))
		}
		paper[scheme] = b.says(`getComputedStyle(document.body).backgroundColor`)
	}
	if paper["light"] == paper["dark"] {
		b.t.Errorf("the same paper by day and night: %s", paper["dark"])
	}
	b.looks(1280, "light")
}

func (b *browser) approvesByKeys(r *rig) {
	b.tabTo(`e.textContent === 'Approve…'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#ask').open && document.querySelector('#ask').innerText.includes('3 files will be deleted')`)
	b.shot("approve")
	if got := b.says(`document.activeElement.value`); got != "no" {
		b.t.Errorf("what is pressed by mistake is %q", got)
	}
	b.press(kb.Escape)
	b.until(`!document.querySelector('#ask').open && document.activeElement.textContent === 'Approve…'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#ask').open`)
	// Cancelled and asked again before the browser says that it was closed: the next answer is to the second question alone.
	b.says(`(document.querySelector('#ask').close('no'), [...document.querySelectorAll('button')].find((e) => e.textContent === 'Approve…').click())`)
	b.tabTo(`e.id === 'ask-yes'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#said').innerText.includes('s is approved')`)
	eventually(b.t, "the approved deletions", r.equal)
	b.until(`!document.querySelector('#needs').innerText.includes('is halted')`)
}

func (b *browser) retriesByKeys(r *rig) {
	arrived := func(name string) bool {
		_, err := os.Stat(filepath.Join(r.server.Root, "names", name))
		return err == nil
	}
	b.tabTo(`e.getAttribute('aria-label') === 'Retry upload of ` + scriptName + `'`)
	b.press(kb.Enter)
	eventually(b.t, "the first file", func() bool { return arrived(scriptName) })
	b.until(gaveUp(1))
	b.tabTo(`e.id === 'retry-all'`)
	b.press(" ")
	eventually(b.t, "the second file", func() bool { return arrived(turnedName) })
	b.until(gaveUp(0))
	b.until(`document.querySelector('#events tbody').innerText.includes('done')`)
}

func (b *browser) searchesByKeys() {
	b.tabTo(`e.name === 'path'`)
	b.press("f*" + kb.Enter)
	b.until(`document.querySelectorAll('#history tbody tr').length >= 9 && [...document.querySelectorAll('#history tbody tr')].every((e) => e.innerText.includes('f00'))`)
}

func (b *browser) pausesAServerByKeys() {
	b.tabTo(`e.getAttribute('aria-label') === 'Pause narrow'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#ask').open`)
	b.tabTo(`e.name === 'why'`)
	b.press("its disk")
	b.tabTo(`e.id === 'ask-yes'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#said').innerText.includes('Server narrow is paused, with 1 sync; 1 job was under way')`)
	const row = `[...document.querySelectorAll('#servers tbody tr')].find((e) => e.innerText.includes('narrow')).innerText`
	b.until(row + `.match(/suspended[^]*paused by status page at [^]*its disk/)`)
	b.until(`document.querySelector('[aria-label="Resume slow"]') && document.querySelector('[aria-label="Resume narrow"]')`)
	b.shot("suspended")
	b.tabTo(`e.getAttribute('aria-label') === 'Resume slow'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#said').innerText.includes('slow is still paused, as all of server narrow is: resume that.')`)
	b.tabTo(`e.getAttribute('aria-label') === 'Resume narrow'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#said').innerText.includes('server narrow goes on.')`)
	b.until(`!` + row + `.includes('suspended')`)
}

// dropsByKeys drops what is on its way.
func (b *browser) dropsByKeys(r *rig) {
	b.until(`document.querySelector('[aria-label="Drop upload of large.bin"]')`)
	b.tabTo(`e.getAttribute('aria-label') === 'Drop upload of large.bin'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#ask').open && document.querySelector('#ask').innerText.includes('large.bin')`)
	b.shot("drop")
	b.tabTo(`e.id === 'ask-yes'`)
	b.press(kb.Enter)
	b.until(`document.querySelector('#said').innerText.includes('1 job dropped; 1 broken off.')`)
	b.until(`!document.querySelector('#transfers tbody').innerText.includes('large.bin')`)
	if left, err := os.ReadDir(filepath.Join(r.server.Root, "slow")); err != nil || len(left) > 0 {
		b.t.Errorf("on the server there is left: %v, %v", left, err)
	}
}

// tellsOfEveryProblem checks what the page makes of each kind of problem that the agent can tell of.
func (b *browser) tellsOfEveryProblem() {
	overview := control.Overview{
		Syncs:   []control.SyncStatus{{Sync: "s", Server: "real", Jobs: control.SyncJobs{Dead: 2, Stop: &control.Stop{By: control.StopHalt, Reason: "too many", Deletes: 3}}}},
		Servers: []control.ServerStatus{{Server: "real", State: control.ServerPaused, Syncs: []string{"s"}}},
	}
	problem := func(kind alert.Kind, about string) control.Problem {
		p := control.Problem{Kind: string(kind), Text: "why", Cure: "cure", NeedsPerson: kind != alert.Certificate && kind != alert.ServerDown}
		if about == "s" {
			p.Sync = about
		}
		if about != "" {
			p.Server = "real"
		}
		return p
	}
	for _, test := range []struct{ kind, about, want string }{
		{string(alert.Stopped), "", "The agent is stuck: why; cure"},
		{string(alert.Configuration), "", "The agent does not do all that its configuration says: why; cure"},
		{string(alert.Halted), "s", "s is halted: too many; 3 files would be deleted [Approve…]"},
		{string(alert.Blocked), "real", "real cannot be used: why; Waiting for it: s [Try again]"},
		{string(alert.Absence), "s", "s has not got what it expects: why; cure"},
		{string(alert.Dead), "s", "s has given up on 2 jobs: why; The other reasons are below, at Failures. [Retry all]"},
		{string(alert.Conflict), "s", "s has conflicts: why; cure [Details]"},
		{string(alert.Differs), "s", "s has files that differ: why; cure [Details]"},
		{string(alert.Unknown), "s", "s has paths that cannot be looked at: why; cure [Details]"},
		{string(alert.Certificate), "real", "real has a certificate that ends: why; cure, not counted"},
		{"new", "s", "s has a problem (new): why; cure"},
		{string(alert.ServerDown), "real", ""},
	} {
		overview.Problems = append(overview.Problems, problem(alert.Kind(test.kind), test.about))
		one := overview
		one.Problems = overview.Problems[len(overview.Problems)-1:]
		text, err := json.Marshal(one)
		if err != nil {
			b.t.Fatal(err)
		}
		call := fmt.Sprintf(`(async () => (await import('./page/lists.js')).needsOf(%s, []).map((n) =>
			n.title.join(' ') + ': ' + n.text + '; ' + n.more + (n.button ? ' [' + n.button + ']' : '') + (n.counts ? '' : ', not counted')).join())()`, text)
		got, err := chromedp.Run(b.tab, chromedp.Evaluate[string](call, chromedp.EvalAwaitPromise))
		if err != nil || got != test.want {
			b.t.Errorf("a problem of the kind %s is told as %q, want %q (%v)", test.kind, got, test.want, err)
		}
	}
}

// whyServer asks the page why a server is not used for two days and a half.
func whyServer(state, paused string) string {
	return fmt.Sprintf(`l.whyServer({state: '%s', paused: '%s', reason: 'why', until: new Date(Date.now() + 60 * 3600e3).toISOString()})`, state, paused)
}

// knowsItsWords checks the functions that make words of what the agent says.
func (b *browser) knowsItsWords() {
	states := []string{
		control.StopOff, control.StopHalt, control.StopPerson, control.StopBlock, control.StopPause, control.StopFull, control.StopWindow, control.StopWait,
		control.StateNew, control.StatePerson, control.StateWorking, control.StateWaiting, control.StateInStep, control.StateDegraded,
		control.ServerUp, control.ServerIdle, control.ServerPaused, control.ServerBlocked, control.ServerFull, control.ServerWindow, control.ServerSuspended,
	}
	words, said := "'"+strings.Join(states, "|")+"'.split('|').map(w.stateWord).join('|')", "" // as the command line has them
	for k, state := range states {
		if k > 0 {
			said += "|"
		}
		said += control.StateWord(state)
	}
	for expression, want := range map[string]string{
		`w.bytes(0)`: "0 B", `w.bytes(1023)`: "1023 B", `w.bytes(1024)`: "1.0 KiB", `w.bytes(1048575)`: "1.0 MiB", `w.bytes(5e14)`: "455 TiB", `w.bytes(-1)`: "unknown",
		`w.span(59.6)`: "1 min", `w.span(61)`: "1 min 1 s", `w.span(3599.6)`: "1 h", `w.span(90000)`: "25 h", `w.span(86400*3)`: "3 days", `w.brief(12.3)`: "12 ms",
		`w.count(10000)`: "10,000", `w.plural(1, 'try', 'tries')`: "1 try",
		`w.clear('a\u202eb\u0000\u2028 ')`: `a\u{202e}b\u{0}\u{2028}␣`, `w.clear('häß/ж 中')`: "häß/ж 中",
		`w.pathParts({base64: btoa('a\xff b')}).map((p) => p.text).join('|')`: `a|\xff|␣|b`,
		`p.nice(0)`: "1024", `p.nice(1025)`: "2048", `p.nice(9 * 1024 * 1024)`: "10485760",
		words: said,
		// That somebody has wanted it to wait is no failure, after which it is tried.
		whyServer("window", ""): "why; it goes on in 2 days", whyServer("suspended", "{}"): "why; it goes on in 2 days", whyServer("paused", ""): "why; next try in 2 days",
		// A transfer of 1,000 bytes, looked at half way, told of when it is over, and told of again by an answer that was late.
		`(() => { const m = new p.Meter(), t = {job: 1, direction: 'up', started: new Date(1000e3).toISOString(), done: 500};
			m.look([t], 1005); m.over(1, 'up', 1000, 10, 1010); m.look([t], 1011); return Math.round(m.rates('up', 1030).reduce((a, b) => a + b * p.step, 0)); })()`: "1000",
	} {
		call := fmt.Sprintf(`(async () => { const w = await import('./page/words.js'), p = await import('./page/plot.js'), l = await import('./page/lists.js'); return String(%s); })()`, expression)
		got, err := chromedp.Run(b.tab, chromedp.Evaluate[string](call, chromedp.EvalAwaitPromise))
		if err != nil || got != want {
			b.t.Errorf("%s is %q, want %q (%v)", expression, got, want, err)
		}
	}
}
