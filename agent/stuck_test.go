package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/state"
)

// TestAStuckAgentIsTold by the channels that there are, though nobody writes down any more what was told; and that it works again.
func TestAStuckAgentIsTold(t *testing.T) {
	t.Parallel()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	var mu sync.Mutex // guards
	var told []string
	box := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m alert.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, item := range m.Items {
			told = append(told, string(item.Event)+" "+item.Key)
		}
	}))
	t.Cleanup(box.Close)
	synctest.Test(t, func(t *testing.T) {
		cfg := breakerConfig()
		cfg.Alerts = map[string]*config.Alert{"ops": {
			Name: "ops", Webhook: &config.Webhook{URL: config.NewSecret(box.URL)}, On: config.AlertWords, Group: 30 * time.Second, Limit: 10, Timeout: time.Minute,
		}}
		a := New(cfg, db, Options{Logger: slog.New(slog.DiscardHandler), Alerts: true})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		stuck, answered := make(chan struct{}), make(chan error, 1)
		go func() {
			answered <- a.ask(ctx, request{change: func(*state.Tx, time.Time) ([]string, error) {
				<-stuck
				return nil, nil
			}})
		}()
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, want) {
				t.Errorf("%s: %q, want %q", when, told, want)
			}
		}
		time.Sleep(stuckAfter - time.Minute)
		expect("it may be a slow disk")
		time.Sleep(3 * time.Minute)
		expect("stuck", "problem stuck")
		close(stuck)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Minute)
		expect("going on", "problem stuck", "recovered stuck")
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
