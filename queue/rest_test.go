package queue

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

func TestHastenEndsWaitsThatAreTooLong(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		for path, wait := range map[string]time.Duration{"soon": time.Minute, "late": time.Hour, "later": 24 * 365 * time.Hour} {
			if _, err := Enqueue(tx, start, New{Kind: "up", Sync: "web", Server: "acme", Path: path, RunAt: start.Add(wait)}); err != nil {
				return err
			}
		}
		n, err := Hasten(tx, start, func(job Job) time.Duration {
			if job.Path == "late" {
				return 0
			}
			return 10 * time.Minute
		})
		if err != nil || n != 2 {
			t.Errorf("hastened %d, %v", n, err)
		}
		for path, want := range map[string]time.Time{"soon": start.Add(time.Minute), "late": start, "later": start.Add(10 * time.Minute)} {
			job, _, err := Lookup(tx, "up", "web", path)
			if err != nil || !job.RunAt.Equal(want) || (job.State == Due) != (path == "late") {
				t.Errorf("%s: %s at %s, %v", path, job.State, job.RunAt, err)
			}
		}
		return Check(tx)
	})
}

func TestOnlyDeadJobsAreWantedInVain(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		if _, err := Enqueue(tx, start, New{Kind: "up", Sync: "web", Server: "acme", Path: "a"}); err != nil {
			return err
		}
		if err := Want(tx, start, 1); !errors.Is(err, ErrState) {
			t.Errorf("due: %v", err)
		}
		if _, err := Claim(tx, start, Request{Server: "acme", Limit: 1}); err != nil {
			return err
		}
		if _, err := Fail(tx, start, 1, Failure{Reason: "no", Dead: true, Refused: true}); err != nil {
			return err
		}
		if err := Want(tx, start.Add(time.Hour), 1); err != nil {
			return err
		}
		if job, _, err := Get(tx, 1); err != nil || !job.Wanted.Equal(start.Add(time.Hour)) || job.State != Dead || job.Refusals != 1 {
			t.Errorf("dead: %+v, %v", job, err)
		}
		if err := Retry(tx, start, 1); err != nil {
			return err
		}
		if job, _, err := Get(tx, 1); err != nil || !job.Wanted.IsZero() || job.Refusals != 0 {
			t.Errorf("revived: %+v, %v", job, err)
		}
		return Check(tx)
	})
}

func TestHeldTransfersLetOthersPass(t *testing.T) {
	for _, row := range []struct {
		name string
		held Band
		want []uint8
	}{
		{"priorities below and above go, in turns", Band{50, 60}, []uint8{20, 40, 70, 80, 200}},
		{"the highest included", Band{50, 255}, []uint8{20, 40}},
		{"the lowest included", Band{0, 69}, []uint8{70, 80, 200}},
		{"no band holds all that is not serial", Band{}, nil},
	} {
		db := openNew(t)
		update(t, db, func(tx *state.Tx) error {
			for _, priority := range []uint8{20, 40, 50, 55, 60, 70, 80, 200} {
				if _, err := Enqueue(tx, start, New{Kind: "up", Sync: "web", Server: "acme", Path: fmt.Sprint(priority), Priority: priority}); err != nil {
					return err
				}
			}
			var got []uint8
			for {
				jobs, err := Claim(tx, start, Request{Server: "acme", Limit: 9, Transfers: row.held, Hold: func(string) Held { return HeldTransfers }})
				if err != nil || len(jobs) == 0 {
					if !slices.Equal(got, row.want) {
						t.Errorf("%s: got %v, want %v", row.name, got, row.want)
					}
					return err
				}
				for _, job := range jobs {
					got = append(got, job.Priority)
				}
			}
		})
	}
}

// TestHeldSerialJobsLeaveTheRest: they come when they are held no more.
func TestHeldSerialJobsLeaveTheRest(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		for _, priority := range []uint8{1, 50, 190, 200} {
			job := New{Kind: "up", Sync: "web", Server: "acme", Path: fmt.Sprint(priority), Priority: priority, Serial: priority >= 190}
			if _, err := Enqueue(tx, start, job); err != nil {
				return err
			}
		}
		var got []string
		for _, held := range []Held{HeldSerial, HeldSerial, HeldSerial, HeldNone, HeldNone} {
			jobs, err := Claim(tx, start, Request{Server: "acme", Limit: 1, Hold: func(string) Held { return held }})
			if err != nil {
				return err
			}
			for _, job := range jobs {
				got = append(got, job.Path)
				if _, err := Complete(tx, start, job.ID); err != nil {
					return err
				}
			}
			got = append(got, "/")
		}
		if got := fmt.Sprint(got); got != "[1 / 50 / / 190 / 200 /]" {
			t.Errorf("got %s", got)
		}
		return nil
	})
}

// TestHeldChangesLeaveLooks: what changes something stays, of the serial jobs all.
func TestHeldChangesLeaveLooks(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		for _, priority := range []uint8{1, 20, 30, 50, 80, 190, 200} {
			job := New{Kind: "up", Sync: "web", Server: "acme", Path: fmt.Sprint(priority), Priority: priority, Serial: priority >= 190}
			if _, err := Enqueue(tx, start, job); err != nil {
				return err
			}
		}
		held, got := HeldChanges, []uint8(nil)
		for range 10 {
			jobs, err := Claim(tx, start, Request{Server: "acme", Limit: 9, Changes: Band{30, 79}, Hold: func(string) Held { return held }})
			if err != nil {
				return err
			}
			for _, job := range jobs {
				got = append(got, job.Priority)
				if _, err := Complete(tx, start, job.ID); err != nil {
					return err
				}
			}
			if len(jobs) == 0 && held == HeldChanges {
				if want := []uint8{1, 20, 80}; !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				held = HeldNone
			}
		}
		if want := []uint8{1, 20, 80, 30, 50, 190, 200}; !slices.Equal(got, want) {
			t.Errorf("afterwards %v, want %v", got, want)
		}
		return nil
	})
}

// TestAJobThatWasParkedForCrashesIsTriedOnce, as what it was asked to be meanwhile: one more crash parks it again, and a step further
// clears its account.
func TestAJobThatWasParkedForCrashesIsTriedOnce(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		scan := New{Kind: "scan", Sync: "web", Server: "acme", Priority: 80, Why: "first"}
		if _, err := Enqueue(tx, start, scan); err != nil {
			return err
		}
		crash := func(want State) {
			t.Helper()
			if _, err := Claim(tx, start, Request{Server: "acme", Limit: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err := Recover(tx, start); err != nil {
				t.Fatal(err)
			}
			if job, _, err := Get(tx, 1); err != nil || job.State != want || job.Crashed() != (want == Dead) {
				t.Fatalf("%+v, %v, want it %s", job, err, want)
			}
		}
		crash(Due)
		if err := TryOnce(tx, start, 1); !errors.Is(err, ErrState) {
			t.Errorf("due: %v", err)
		}
		crash(Due)
		crash(Dead)
		later := scan
		later.Why, later.Server, later.RunAt = "later", "other", start.Add(time.Hour)
		for _, other := range []New{{Kind: "look", Sync: "web"}, {Kind: "scan", Sync: "docs"}, {Kind: "scan", Sync: "web", Path: "a"}} {
			if err := WantAs(tx, start, 1, other); !errors.Is(err, ErrNew) {
				t.Errorf("wanted as another job: %v", err)
			}
		}
		if err := errors.Join(WantAs(tx, start, 1, later), Check(tx)); err != nil {
			return err
		}
		if job, _, err := Get(tx, 1); err != nil || job.State != Dead || job.Why != "later" || job.LastError == "" || job.Wanted.IsZero() {
			t.Errorf("wanted: %+v, %v", job, err)
		}
		if err := errors.Join(WantAs(tx, start, 1, scan), TryOnce(tx, start, 1), Check(tx)); err != nil {
			return err
		}
		if job, _, err := Get(tx, 1); err != nil || job.State != Due || !job.Wanted.IsZero() || job.LastError != "" {
			t.Errorf("tried: %+v, %v", job, err)
		}
		if err := WantAs(tx, start, 1, scan); !errors.Is(err, ErrState) {
			t.Errorf("due: %v", err)
		}
		crash(Dead)
		if job, _, err := Get(tx, 1); err != nil || job.LastError != "was running in 4 crashes of the agent" {
			t.Errorf("dead again: %+v, %v", job, err)
		}
		if err := TryOnce(tx, start, 1); err != nil {
			return err
		}
		if _, err := Claim(tx, start, Request{Server: "acme", Limit: 1}); err != nil {
			return err
		}
		if err := Save(tx, start, 1, []byte("[1]")); err != nil {
			return err
		}
		if _, err := Recover(tx, start); err != nil {
			return err
		}
		crash(Due)
		crash(Dead)
		return Check(tx)
	})
}
