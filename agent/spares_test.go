package agent

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestNobodyLogsInForTransfersThatDoNotFollow: a scan has connections opened for what it finds unless that is only looked at, or has to wait
// for its window.
func TestNobodyLogsInForTransfersThatDoNotFollow(t *testing.T) {
	pool := newPool(plainServer("127.0.0.1:1", 4), nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer pool.Close()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	job := queue.Job{New: queue.New{Kind: work.KindScan, Sync: "s"}}
	survey := job
	survey.Payload = []byte(surveyPayload)
	closed := map[string]queue.Held{"s": queue.HeldChanges}
	for name, row := range map[string]struct {
		job     queue.Job
		stopped map[string]queue.Held
		want    int
	}{
		"what is found is done":                {job, nil, 2},
		"what another sync finds has to wait":  {job, map[string]queue.Held{"other": queue.HeldChanges}, 2},
		"what is found is told":                {survey, nil, 0},
		"what is found waits for its window":   {job, closed, 0},
		"what is found waits for a resumption": {job, map[string]queue.Held{"s": queue.HeldAll}, 0},
	} {
		a := &Agent{lasting: new(lasting)}
		a.stopped.Store(&row.stopped)
		w := &worker{pool: pool, db: db, stopped: a.isStopped}
		if got := w.env(t.Context(), row.job).Lender.Wanted(3); got != row.want {
			t.Errorf("%s: %d connections are wanted for three files, want %d", name, got, row.want)
		}
	}
	if w := (&worker{pool: pool, db: db}).env(t.Context(), queue.Job{New: queue.New{Kind: string(plan.Upload)}}); w.Lender != nil {
		t.Error("a transfer lists nothing ahead")
	}
}
