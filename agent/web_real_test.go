package agent_test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// page asks for a page with a token, if there is one.
func page(t *testing.T, at, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// value is that of one line of the metrics; -1 if there is none.
func value(t *testing.T, metrics, series string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(metrics)
	if found == nil {
		return -1
	}
	number, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// TestMetricsOfARealTransfer are read by HTTP before and after it.
func TestMetricsOfARealTransfer(t *testing.T) {
	t.Parallel()
	const token = "only-for-this-test-0123"
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	r.adjust = func(cfg *config.Config) {
		cfg.Agent.Listen, cfg.Agent.ListenToken = "127.0.0.1:0", config.NewSecret(token)
	}
	r.with(agent.Options{Listen: true, Version: "1.2.3"}, func(a *agent.Agent) {
		var at string
		eventually(t, "an address", func() bool {
			o, err := a.Status(t.Context(), control.StatusFilter{})
			if err != nil {
				t.Fatal(err)
			}
			at = "http://" + o.Listen
			return o.Listen != ""
		})
		for _, path := range []string{"/healthz", "/readyz"} {
			eventually(t, path, func() bool {
				status, body := page(t, at+path, "")
				return status == http.StatusOK && body == "ok\n"
			})
		}
		if status, body := page(t, at+"/metrics", ""); status != http.StatusUnauthorized || strings.Contains(body, "ftpferry_") {
			t.Errorf("without a token: %d, %q", status, body)
		}
		_, before := page(t, at+"/metrics", token)
		fill(t, r.local, map[string]string{"folder/a": "12345", "b": "1234567"})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := a.Pass(ctx, nil); err != nil {
			t.Fatal(err)
		}
		_, after := page(t, at+"/metrics", token)
		for _, row := range []struct {
			series        string
			before, after float64
		}{
			{`ftpferry_agent_info{go_version="` + runtime.Version() + `",version="1.2.3"}`, 1, 1},
			{`ftpferry_transfers_total{direction="up",result="done",sync="s"}`, 0, 2},
			{`ftpferry_transfers_total{direction="up",result="failed",sync="s"}`, 0, 0},
			{`ftpferry_transfer_bytes_total{direction="up",sync="s"}`, 0, 12},
			{`ftpferry_transfer_duration_seconds_count{direction="up",sync="s"}`, 0, 2},
			{`ftpferry_operations_total{action="make_remote_dir",result="done",sync="s"}`, -1, 1},
			{`ftpferry_sync_known_paths{sync="s"}`, 0, 3},
			{`ftpferry_jobs{state="dead",sync="s"}`, 0, 0},
			{`ftpferry_server_state{server="real",state="idle"}`, 1, 0},
			{`ftpferry_server_state{server="real",state="up"}`, 0, 1},
		} {
			if got := value(t, before, row.series); got != row.before {
				t.Errorf("before: %s is %v, want %v", row.series, got, row.before)
			}
			if got := value(t, after, row.series); got != row.after {
				t.Errorf("after: %s is %v, want %v", row.series, got, row.after)
			}
		}
		if got := value(t, after, `ftpferry_sync_last_success_timestamp_seconds{sync="s"}`); got <= 0 {
			t.Errorf("last success at %v", got)
		}
		if value(t, after, "process_start_time_seconds") == 0 || value(t, after, "go_goroutines") <= 0 {
			t.Error("nothing is told of the process")
		}
	})
}

// TestTheWorkGoesOnWithoutAnAddress that somebody else has.
func TestTheWorkGoesOnWithoutAnAddress(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up")
	r.adjust = func(cfg *config.Config) { cfg.Agent.Listen = server.Addr }
	fill(t, r.local, map[string]string{"a": "1"})
	r.with(agent.Options{Listen: true}, func(a *agent.Agent) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if report, err := a.Pass(ctx, nil); err != nil || report.ExitCode() != control.ExitDone {
			t.Errorf("%+v, %v", report, err)
		}
		if o, err := a.Status(t.Context(), control.StatusFilter{}); err != nil || o.Listen != "" {
			t.Errorf("%q, %v", o.Listen, err)
		}
	})
}
