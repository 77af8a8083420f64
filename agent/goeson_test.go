package agent

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// handOut is a dispatcher with jobs of one sync, whose workers do nothing by themselves.
type handOut struct {
	*testing.T
	d    *dispatcher
	acme *server
	got  map[*seat][]queue.Job // what was handed out and not reported
}

func newHandOut(t *testing.T, uploads int) *handOut {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d, err := newDispatcher(New(breakerConfig(), db, Options{Logger: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.closePools)
	h := &handOut{t, d, d.servers["acme"], map[*seat][]queue.Job{}}
	err = db.Update(func(tx *state.Tx) error {
		return enqueueUploads(&commit{transition: newTransition(), d: d, tx: tx, now: time.Now()}, 0, uploads)
	})
	if err != nil {
		t.Fatal(err)
	}
	h.turn(nil)
	return h
}

// turn commits reports and takes what is handed out then: how many jobs to each seat.
func (h *handOut) turn(reports []report) (handed []int) {
	h.Helper()
	batch := batch{now: time.Now(), reports: reports, claim: true}
	t, err := h.d.commit(batch)
	if err != nil {
		h.Fatal(err)
	}
	if err := h.d.apply(h.Context(), batch, t); err != nil {
		h.Fatal(err)
	}
	for _, seat := range h.acme.seats {
		handed = append(handed, 0)
		for a, ok := following(seat.jobs); ok; a, ok = following(seat.jobs) {
			handed[len(handed)-1] += len(a.jobs)
			h.got[seat] = append(h.got[seat], a.jobs...)
		}
	}
	return handed
}

// report has a worker be done with all but left of its jobs.
func (h *handOut) report(seat *seat, left int) (reports []report) {
	jobs := h.got[seat]
	for _, job := range jobs[:len(jobs)-left] {
		reports = append(reports, uploaded(h, job))
	}
	h.got[seat] = slices.Clone(jobs[len(jobs)-left:])
	return reports
}

// TestAWorkerGoesOn: it gets its next jobs while it is at its last ones, and nobody else's turn is taken for that.
func TestAWorkerGoesOn(t *testing.T) {
	t.Parallel()
	none := []int{0, 0, 0, 0}
	t.Run("early, and once", func(t *testing.T) {
		h := newHandOut(t, 400)
		one := h.acme.seats[0]
		if got := h.turn(h.report(one, endsSoon+1)); !slices.Equal(got, none) {
			t.Errorf("far from the end: %v", got)
		}
		if got := h.turn(h.report(one, endsSoon)); got[0] < 10 || got[1]+got[2]+got[3] != 0 {
			t.Errorf("at its last jobs: %v", got)
		}
		if got := h.turn(h.report(one, len(h.got[one])-1)); !slices.Equal(got, none) {
			t.Errorf("with enough to do: %v", got)
		}
		if len(h.acme.idle) != 0 {
			t.Error("one that is at work is taken for idle")
		}
	})
	t.Run("until nothing is left", func(t *testing.T) {
		h := newHandOut(t, 60)
		for range 100 {
			var reports []report
			for _, seat := range h.acme.seats {
				if n := len(h.got[seat]); n > 0 {
					reports = append(reports, h.report(seat, n-1)...)
				}
			}
			h.turn(reports)
			fewest, most := 60, 0
			for _, seat := range h.acme.seats {
				fewest, most = min(fewest, len(h.got[seat])), max(most, len(h.got[seat]))
			}
			if fewest == 0 && most > endsSoon+1 {
				t.Fatalf("one has nothing to do, another one %d jobs", most)
			}
		}
		if len(h.d.outstanding) > 0 || len(h.acme.idle) != len(h.acme.seats) {
			t.Errorf("%d jobs outstanding, %d workers idle", len(h.d.outstanding), len(h.acme.idle))
		}
	})
	t.Run("not on a server that fails", func(t *testing.T) {
		h := newHandOut(t, 400)
		h.acme.row.Failures = 1
		reports := h.report(h.acme.seats[0], endsSoon)
		for _, seat := range h.acme.seats[1:] {
			reports = append(reports, h.report(seat, 0)...)
		}
		for i := range reports {
			reports[i].reached = false
		}
		if got := h.turn(reports); !slices.Equal(got, none) {
			t.Errorf("handed out: %v", got)
		}
	})
	t.Run("not where the server takes fewer now", func(t *testing.T) {
		h := newHandOut(t, 400)
		h.acme.config.Connections--
		if got := h.turn(h.report(h.acme.seats[0], endsSoon)); !slices.Equal(got, none) {
			t.Errorf("handed out: %v", got)
		}
	})
	t.Run("not behind what goes alone", func(t *testing.T) {
		if !(&seat{more: true}).goesOn(1) || (&seat{more: true, alone: true}).goesOn(1) || (&seat{}).goesOn(1) {
			t.Error("it does")
		}
	})
}

// TestAStreamGoesOnWithWhatIsThere: a job that waits for others goes together with those of the next assignment.
func TestAStreamGoesOnWithWhatIsThere(t *testing.T) {
	t.Parallel()
	address := verbServer(t, map[string]string{"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "MKD": "257 made", "QUIT": "221 bye"})
	pool := newPool(plainServer(address, 1), nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer pool.Close()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reports := make(chan report, 2)
	w := &worker{pool: pool, db: db, logger: slog.New(slog.DiscardHandler)}
	w.dropped = func(id queue.ID) bool {
		if len(reports) > 0 {
			t.Errorf("job %d begins when the stream before has ended", id)
		}
		return false
	}
	made := func(id queue.ID) queue.Job {
		op := plan.Op{Action: plan.MakeRemoteDir, Path: "folder", Reason: "only here"}
		payload, err := op.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return queue.Job{ID: id, New: queue.New{Kind: string(plan.MakeRemoteDir), Sync: "s", Path: "folder", Payload: payload}}
	}
	local := t.TempDir()
	if err := os.Mkdir(filepath.Join(local, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	syncs := map[string]work.Sync{"s": {Name: "s", Local: local, Remote: "/d"}}
	jobs := make(chan assignment, 1)
	jobs <- assignment{jobs: []queue.Job{made(2)}, behind: &seat{}}
	w.do(t.Context(), t.Context(), assignment{jobs: []queue.Job{made(1)}, syncs: syncs}, jobs, reports)
	if len(reports) != 2 {
		t.Errorf("%d reported", len(reports))
	}
}

// TestAServerThatIsGoneIsAskedOnceByAStream, also about what was handed out behind.
func TestAServerThatIsGoneIsAskedOnceByAStream(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			guest, err := listener.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			guest.Close()
		}
	}()
	defer func() { listener.Close(); <-ended }()
	pool := newPool(plainServer(listener.Addr().String(), 1), nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer pool.Close()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := &worker{pool: pool, db: db, logger: slog.New(slog.DiscardHandler)}
	job := func(id queue.ID) []queue.Job {
		return []queue.Job{{ID: id, New: queue.New{Kind: work.KindSweepRemote, Path: "a"}}}
	}
	for _, row := range []struct {
		behind *seat
		same   bool
	}{{&seat{}, true}, {nil, false}} {
		calls.Store(0)
		reports, jobs := make(chan report, 2), make(chan assignment, 1)
		jobs <- assignment{jobs: job(2), behind: row.behind}
		w.do(t.Context(), t.Context(), assignment{jobs: job(1)}, jobs, reports)
		for range 2 {
			if r := <-reports; classify(r.Err) != ftpclient.ClassUnavailable {
				t.Errorf("job %d: %v", r.Job.ID, r.Err)
			}
		}
		once := calls.Load()
		if row.same != (once == 1) {
			t.Errorf("behind %v: %d calls", row.behind != nil, once)
		}
	}
}
