package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func dialed(t *testing.T, by way) *Client {
	t.Helper()
	dir := t.TempDir()
	serve(t, by, dir, fake{})
	client, err := dial(t.Context(), by, dir)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestJobsComeInAStream(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		client := dialed(t, by)
		n := 0
		syncs, err := client.Jobs(t.Context(), JobFilter{Sync: "s", Path: "caf\xe9", Limit: 5000}, func(job Job) error {
			if job.ID != uint64(n) || job.Path != "caf\xe9" {
				t.Fatalf("job %d: %+v", n, job)
			}
			n++
			return nil
		})
		if diff := cmp.Diff([]SyncJobs{{Sync: "s", Dead: 5000}}, syncs); err != nil || n != 5000 || diff != "" {
			t.Errorf("%d jobs, %v, %s", n, err, diff)
		}
		enough := errors.New("enough")
		if _, err := client.Jobs(t.Context(), JobFilter{Limit: 1e6}, func(Job) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("%v, want the error of the caller", err)
		}
		if syncs, err := client.Jobs(t.Context(), JobFilter{}, nil); err != nil || len(syncs) != 1 {
			t.Errorf("an empty list: %v, %v", syncs, err)
		}
	})
}

func TestAnErrorInTheMiddleOfAStream(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		n := 0
		_, err := dialed(t, by).Jobs(t.Context(), JobFilter{Kind: "late", Limit: 2000}, func(Job) error { n++; return nil })
		if n != 1000 || err == nil || !strings.Contains(err.Error(), "the disk is on fire") {
			t.Errorf("%d jobs, %v", n, err)
		}
	})
}

func TestRefusalsKeepTheirMeaning(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		client := dialed(t, by)
		if _, err := client.Jobs(t.Context(), JobFilter{State: "odd"}, nil); !errors.Is(err, ErrInvalid) || strings.Count(err.Error(), "wrong request") != 1 {
			t.Errorf("%v, want ErrInvalid", err)
		}
		if err := client.post(t.Context(), "/v1/jobs/drop", "no filter", nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("a request that is no filter: %v", err)
		}
		if err := client.post(t.Context(), "/v1/history", strings.Repeat("x", maxBody+1), nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("a request that is too large: %v", err)
		}
		if err := client.post(t.Context(), "/v9/new", struct{}{}, nil); err == nil || !strings.Contains(err.Error(), "another version") {
			t.Errorf("a request that the agent does not know: %v", err)
		}
	})
}

func TestChangesAndHistory(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		client := dialed(t, by)
		changed, err := client.RetryJobs(t.Context(), JobFilter{IDs: []uint64{1, 2}, Path: "x"})
		if diff := cmp.Diff(Changed{Jobs: 2, Left: []Left{{7, "x"}}}, changed); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
		changed, err = client.DropJobs(t.Context(), JobFilter{IDs: []uint64{1 << 63}})
		if diff := cmp.Diff(Changed{Unknown: []uint64{1 << 63}}, changed); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
		since, n := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), 0
		err = client.History(t.Context(), HistoryFilter{Since: since, Path: "\xff", Limit: 3}, func(row HistoryRow) error {
			if n++; !row.When.Equal(since) || row.Path != "\xff" {
				t.Errorf("%+v", row)
			}
			return nil
		})
		if err != nil || n != 3 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func TestSnapshot(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		file, size, err := dialed(t, by).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if all, err := io.ReadAll(file); string(all) != "snapshot" || size != 8 || err != nil {
			t.Errorf("%q, %d, %v", all, size, err)
		}
	})
}

// TestASnapshotThatIsCutShort is no snapshot: the agent ends in the middle.
func TestASnapshotThatIsCutShort(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		dir := t.TempDir()
		listener, err := by.listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		f := fake{hang: make(chan struct{})}
		go func() { ended <- Serve(ctx, listener, f, slog.New(slog.DiscardHandler)) }()
		client, err := dial(t.Context(), by, dir)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-f.hang
			stop()
		}()
		file, _, err := client.Snapshot(t.Context())
		if err == nil {
			defer file.Close()
			_, err = io.ReadAll(file)
		}
		if !errors.Is(err, ErrGone) {
			t.Errorf("%v, want ErrGone", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// TestAStreamWithoutAnEnd was cut short, however whole its lines are.
func TestAStreamWithoutAnEnd(t *testing.T) {
	for answer, gone := range map[string]bool{
		"":                               true,
		`{"row":{"id":1}}` + "\n":        true,
		`{"row":{"id":1}}` + "\n" + `{"`: true,
		`<html>`:                         false,
	} {
		client := &Client{&http.Client{Transport: fixed(answer)}}
		_, err := client.Jobs(t.Context(), JobFilter{}, func(Job) error { return nil })
		if err == nil || errors.Is(err, ErrGone) != gone {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

// fixed answers everything with the same text.
type fixed string

func (f fixed) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(f)))}, nil
}
