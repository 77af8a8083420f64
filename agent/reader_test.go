package agent

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhoseTemporaryFilesAreSwept: those of attempts that are over, and all of a job that was parked because it was
// running in three crashes: a scan drops it, and later ones know nothing of its file.
func TestWhoseTemporaryFilesAreSwept(t *testing.T) {
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	update := func(do func(tx *state.Tx) error) {
		t.Helper()
		if err := db.Update(do); err != nil {
			t.Fatal(err)
		}
	}
	r, now := reader{db, "s"}, time.Now()
	var id uint64
	update(func(tx *state.Tx) error {
		done, err := queue.Enqueue(tx, now, queue.New{Kind: "upload", Sync: "s", Server: "acme", Path: "a"})
		id = uint64(done.Added[0])
		return err
	})
	for crash := 1; crash <= 3; crash++ {
		update(func(tx *state.Tx) error {
			jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 1})
			if len(jobs) != 1 {
				t.Fatalf("claimed %v", jobs)
			}
			return err
		})
		if !r.Live(id, crash) || r.Live(id, crash-1) {
			t.Errorf("claim %d: live %v, the one before %v", crash, r.Live(id, crash), r.Live(id, crash-1))
		}
		update(func(tx *state.Tx) error { _, err := queue.Recover(tx, now); return err })
	}
	if r.Live(id, 3) {
		t.Error("the file of a parked job would stay for ever")
	}
	if r.Live(id+1, 1) {
		t.Error("the file of nobody would stay for ever")
	}
}
