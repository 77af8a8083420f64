package agent

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// TestOnlyWhatAPersonHasSeenIsApproved, though the reason changes behind the back of whoever asks.
func TestOnlyWhatAPersonHasSeenIsApproved(t *testing.T) {
	t.Parallel()
	for sentence, row := range map[string]struct {
		seen     string
		is       map[string]string // the reasons when the dispatcher takes the word, by sync; before it was "5 deletions" for both
		approved bool
		says     string
	}{
		"the reason is the same":            {"5 deletions", map[string]string{}, true, ""},
		"one has changed":                   {"5 deletions", map[string]string{"up2": "500 deletions"}, false, "because of this: 500 deletions"},
		"one is not halted any more":        {"5 deletions", map[string]string{"up": ""}, false, "up is not halted"},
		"who says nothing means what is so": {"", map[string]string{"up2": "500 deletions"}, true, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, nil)
			a := New(breakerConfig(), b.db, Options{Logger: slog.New(slog.DiscardHandler)})
			d, err := newDispatcher(a)
			if err != nil {
				t.Fatal(err)
			}
			defer d.closePools()
			both := []string{"up", "up2"}
			halts := func(reasons map[string]string) (left int) {
				err := b.db.Update(func(tx *state.Tx) error {
					return a.eachRow(tx, both, func(sync string, row *state.SyncState) {
						if reason, ok := reasons[sync]; ok {
							row.Halt, row.HaltCode, row.HaltedAt = reason, "max_delete", time.Now()
						}
						if row.Halt != "" {
							left++
						}
					})
				})
				if err != nil {
					t.Fatal(err)
				}
				return left
			}
			halts(map[string]string{"up": "5 deletions", "up2": "5 deletions"})
			answer := make(chan error, 1)
			go func() { answer <- a.Approve(t.Context(), control.ApproveRequest{Syncs: both, Reason: row.seen}) }()
			synctest.Wait() // whatever is read before the dispatcher is asked has been read
			halted := halts(row.is)
			r := <-a.requests
			if _, err := d.commit(batch{now: time.Now(), requests: []request{r}}); err != nil {
				t.Fatal(err)
			}
			r.answer <- nil
			err = <-answer
			if errors.Is(err, control.ErrOtherReason) == row.approved || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("%s: %v", sentence, err)
			}
			if left := halts(nil); row.approved != (left == 0) || !row.approved && left != halted {
				t.Errorf("%s: %d of %d stay halted", sentence, left, halted)
			}
		})
	}
	a := New(breakerConfig(), nil, Options{Logger: slog.New(slog.DiscardHandler)})
	if err := a.Approve(t.Context(), control.ApproveRequest{}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("without a sync: %v", err)
	}
}
