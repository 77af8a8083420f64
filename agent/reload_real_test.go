package agent_test

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// change has an agent take the configuration of the rig with a change.
func (r *rig) change(a *agent.Agent, change func(*config.Config)) error {
	cfg := r.load()
	change(cfg)
	_, err := a.Reconfigure(r.t.Context(), cfg)
	return err
}

// listens is where an agent tells how it stands.
func listens(t *testing.T, a *agent.Agent) (at string) {
	t.Helper()
	eventually(t, "an address", func() bool {
		o, err := a.Current().Status(t.Context(), control.StatusFilter{})
		if err != nil {
			t.Fatal(err)
		}
		at = o.Listen
		return at != ""
	})
	return at
}

// TestListenFollowsTheConfiguration while the agent runs: no address is given up before the next one is had, and whoever knew the token
// of before has to know the new one.
func TestListenFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	const first, second = "only-for-this-test-0123", "another-one-for-this-test"
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up")
	box := newMailbox(t)
	r.alertsTo(box, `on = ["configuration"]`)
	at := func(listen, token string) func(*config.Config) {
		return func(cfg *config.Config) { cfg.Agent.Listen, cfg.Agent.ListenToken = listen, config.NewSecret(token) }
	}
	r.adjust = at("127.0.0.1:0", first)
	r.with(agent.Options{Listen: true, Alerts: true}, func(a *agent.Agent) {
		was := listens(t, a)
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		metrics := func() int {
			answer, err := browser.Get("http://" + was + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			return answer.StatusCode
		}
		if answer, err := browser.PostForm("http://"+was+"/login", url.Values{"token": {first}}); err != nil {
			t.Fatal(err)
		} else {
			answer.Body.Close()
		}
		if status := metrics(); status != http.StatusOK {
			t.Fatalf("with a cookie: %d", status)
		}
		take := func(what string, change func(*config.Config)) {
			t.Helper()
			if err := r.change(a, change); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		take("nothing", func(*config.Config) {})
		if status := metrics(); status != http.StatusOK {
			t.Errorf("nothing has changed, and the cookie is not taken: %d", status)
		}
		take("another token", at("127.0.0.1:0", second))
		if is := listens(t, a); is != was {
			t.Errorf("listens at %s, not at %s any more", is, was)
		}
		old, _ := page(t, "http://"+was+"/metrics", first)
		now, _ := page(t, "http://"+was+"/metrics", second)
		if status := metrics(); status != http.StatusUnauthorized || old != http.StatusUnauthorized || now != http.StatusOK {
			t.Errorf("after another token: cookie %d, old %d, new %d", status, old, now)
		}

		err = r.change(a, at(server.Addr, second))
		if err == nil || !strings.Contains(err.Error(), "agent.listen: ") || !strings.Contains(err.Error(), server.Addr) {
			t.Errorf("an address that somebody has: %v", err)
		}
		if status, _ := page(t, "http://"+was+"/metrics", second); status != http.StatusOK {
			t.Errorf("the one before: %d", status)
		}
		o, err := a.Current().Status(t.Context(), control.StatusFilter{})
		if err != nil || len(o.Problems) != 1 || !strings.Contains(o.Problems[0].Text, "agent.listen: ") || o.Problems[0].Since.IsZero() || o.ExitCode() != control.ExitNeedsPerson {
			t.Errorf("status: %+v, %v", o.Problems, err)
		}
		if _, text := page(t, "http://"+was+"/metrics", second); value(t, text, "ftpferry_config_last_reload_successful") != 0 {
			t.Error("no metric says that the configuration was refused")
		}
		box.waitFor(t, alert.Configuration, "problem")

		_, port, err := net.SplitHostPort(was)
		if err != nil {
			t.Fatal(err)
		}
		take("the same port for others, too", at("0.0.0.0:"+port, second))
		if is := listens(t, a); is == was || !strings.HasSuffix(is, ":"+port) {
			t.Errorf("listens at %s", is)
		}
		box.waitFor(t, alert.Configuration, "problem", "recovered")
		status, text := page(t, "http://"+was+"/metrics", second)
		if status != http.StatusOK || value(t, text, "ftpferry_config_last_reload_successful") != 1 || value(t, text, "ftpferry_config_last_reload_success_timestamp_seconds") < 1e9 {
			t.Errorf("%d %s", status, text)
		}
		take("nowhere", at("", ""))
		if conn, err := net.DialTimeout("tcp", was, time.Minute); err == nil {
			conn.Close()
			t.Error("it still listens")
		}
		take("somewhere again", at("127.0.0.1:0", ""))
		if status, _ := page(t, "http://"+listens(t, a)+"/metrics", ""); status != http.StatusOK {
			t.Errorf("somewhere again: %d", status)
		}
	})
}

// TestAlertsFollowTheConfiguration while the agent runs: who was told is told nothing twice, who is new is told of what is wrong.
func TestAlertsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	first, second := newMailbox(t), newMailbox(t)
	r.alertsTo(first, "")
	fill(t, r.local, map[string]string{"a": "1", "b": "2"})
	r.once()
	for _, name := range []string{"a", "b"} {
		if err := os.Remove(filepath.Join(r.local, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.impatient = true
	r.with(withAlerts, func(a *agent.Agent) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go a.Pass(ctx, nil)
		first.waitFor(t, alert.Halted, "problem")
		both := func(cfg *config.Config) {
			more := *cfg.Alerts["box"]
			more.Name, more.Webhook = "more", &config.Webhook{URL: config.NewSecret(second.URL)}
			cfg.Alerts["more"] = &more
			cfg.Alerts["box"].Timeout = time.Minute
			cfg.Agent.Heartbeat = config.Heartbeat{URL: config.NewSecret(second.URL), Every: time.Second}
		}
		if err := r.change(a, both); err != nil {
			t.Fatal(err)
		}
		second.waitFor(t, alert.Halted, "problem")
		if err := a.Current().Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		second.waitFor(t, alert.Halted, "problem", "recovered")
		first.waitFor(t, alert.Halted, "problem", "recovered")
		eventually(t, "a heartbeat", func() bool { return slices.Contains(second.all(""), "beat") }) // which a halt keeps back
		// Nobody is left, and nobody is told.
		if err := r.change(a, func(cfg *config.Config) { cfg.Alerts, cfg.Agent.Heartbeat = nil, config.Heartbeat{} }); err != nil {
			t.Fatal(err)
		}
	})
}
