package work

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

// TestALocalFolderNeedsNoLogin: it would be one connection more, for nothing.
func TestALocalFolderNeedsNoLogin(t *testing.T) {
	local := t.TempDir()
	payload, err := json.Marshal(plan.Op{Action: plan.MakeLocalDir, Path: "a/b"})
	if err != nil {
		t.Fatal(err)
	}
	o := Do(t.Context(), Env{
		Sync: Sync{Name: "s", Local: local, Rules: plan.Rules{Direction: plan.Down}}, State: noState{}, Logger: slog.New(slog.DiscardHandler),
		Connect: func(context.Context) (*ftpclient.Conn, error) { return nil, errors.New("a login") },
	}, queue.Job{ID: 1, New: queue.New{Kind: string(plan.MakeLocalDir), Sync: "s", Path: "a/b", Payload: payload}, Claims: 2})
	if o.Result != Done || o.Final != filepath.Join(local, "a", "b") {
		t.Errorf("%v %v %q", o.Result, o.Err, o.Final)
	}
	if info, err := os.Stat(filepath.Join(local, "a", "b")); err != nil || !info.IsDir() {
		t.Error(err)
	}
}
