package agent

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

var (
	simulations = flag.Int("simulations", 8, "how many seeds TestSimulation tries")
	firstSeed   = flag.Uint64("simulation-seed", 1, "the first seed of TestSimulation")
)

// TestSimulation has people edit both sides at random while connections break and the agent is killed, and looks whether, once
// all is quiet, both sides are in step and nothing was lost that nobody has thrown away.
func TestSimulation(t *testing.T) {
	var next sync.Mutex
	seed, last := *firstSeed, *firstSeed+uint64(*simulations)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				next.Lock()
				mine := seed
				seed++
				next.Unlock()
				if mine >= last {
					return
				}
				t.Run(fmt.Sprintf("seed %d", mine), func(t *testing.T) {
					folder := t.TempDir()
					synctest.Test(t, func(t *testing.T) { newSimulation(t, mine, folder).run() })
				})
			}
		})
	}
	workers.Wait()
}

// simulation is one run. All of it follows from the seed, but for the order in which goroutines take their turns.
type simulation struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand   // of the test's goroutine
	*site                // the one that it is about at the moment
	sites   []*site      // in the order of their syncs' names
	sync    *config.Sync // what all of their syncs have in common
	cfg     *config.Config
	servers map[string]*ftptest.Memory // by the names in the configuration
	folder  string                     // of state files
	local   string
	db      *state.DB
	files   int // number of state files so far
	spared  uint64
	log     bytes.Buffer
	logLock sync.Mutex

	bound    int // of open jobs; 0: the usual one
	watched  bool
	listings float64                    // share of listings that are cut short
	flips    bool                       // bytes of uploads
	ignores  bool                       // people write .ferryignore
	shifts   bool                       // the clock of the server jumps
	links    bool                       // people make symbolic links
	live     atomic.Pointer[dispatcher] // of the agent that runs
	clock    time.Duration              // by which the agent's is wrong
	sent     atomic.Int64               // bytes of uploads

	lock     sync.Mutex
	trouble  float64        // share of commands with a fault
	luck     *rand.Rand     // of the server's goroutines
	versions map[string]int // every content ever written, and which it was
	facts    map[string]*version
	wasted   map[string]bool // contents that a person has replaced or deleted
	brought  map[string]bool // contents that a person has brought over
	wrong    []string
	commands int
	killAt   int // command
	frozen   chan struct{}
	thaw     chan struct{}
	dead     bool // what happens now is taken back
}

// site is one of the servers that the files are on, and the sync to it.
type site struct {
	server    *ftptest.Memory
	member    string          // name of the sync
	down      bool            // in this round
	conflicts map[string]bool // paths that are left to a person
}

// turn is about any one of the sites from now on.
func (s *simulation) turn() { s.site = pick(s.random, s.sites...) }

func (s *simulation) run() {
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s\n%s", s.kind(), s.log.String())
		} else {
			s.t.Log(s.kind(), ", listings spared: ", s.spared)
		}
	}()
	if err := os.Mkdir(s.local, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, s.site = range s.sites {
		s.server.MakeDir("/site")
	}
	s.openState(filepath.Join(s.folder, "0.db"))
	defer func() { s.db.Close() }()
	s.edit(4+s.random.IntN(5), s.sync.Direction != config.Down, s.sync.Direction != config.Up)
	s.pass(3) // in step before the trouble begins
	s.trustTimes()
	s.rootAway()
	for range 2 + s.random.IntN(3) {
		s.setTrouble([]float64{0, 0.02, 0.1}[s.random.IntN(3)])
		s.round()
		s.polls()
	}
	s.setTrouble(0)
	time.Sleep(time.Hour)
	s.pass(20)
	s.pass(1) // sweeps what jobs have left that were not over when the last one began
	s.inStep()
	s.growOne()
	s.deleteOne()
}

// round has people and the agent work at the same time, and may end with the death of the agent, once or several times.
func (s *simulation) round() {
	if s.shifts && s.random.IntN(3) == 0 {
		s.shift()
	}
	s.edit(1+s.random.IntN(6), true, true)
	s.turn()
	if s.random.IntN(3) == 0 {
		s.setDown(true)
		defer s.site.setDown(false)
	}
	// Twice in a row, but what is under way in three deaths of the agent waits for a person.
	if s.random.IntN(4) == 0 {
		s.life(true)
	}
	s.life(s.random.IntN(2) == 0)
}

func (s *site) setDown(down bool) {
	s.down = down
	s.server.SetDown(down)
}

// life is the life of one agent.
func (s *simulation) life(killed bool) {
	var restore func()
	if s.random.IntN(8) == 0 {
		s.clock = pick(s.random, 3*time.Hour, -3*time.Hour)
		defer func() { s.clock = 0 }()
	}
	s.agent(func(a *Agent) {
		ctx, cancel := context.WithCancel(s.t.Context())
		defer cancel()
		frozen, alone := s.freezeAt(killed), s.watched && s.random.IntN(3) == 0
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if alone {
				<-ctx.Done() // events alone
				return
			}
			a.Pass(ctx, nil) // what it reports is of no interest in trouble
		}()
		// A server that is stopped for longer than the agent has patience would do belated what that has given up.
		for range s.random.IntN(4) {
			if s.killAt > 0 {
				break
			}
			time.Sleep(time.Duration(s.random.IntN(3000)) * time.Millisecond)
			s.edit(1, true, true)
		}
		select {
		case <-frozen:
		case <-time.After(time.Duration(s.random.IntN(2000)) * time.Millisecond):
			if !killed {
				select {
				case <-ended:
				case <-time.After(2 * time.Minute):
				}
			}
		}
		if killed {
			restore = s.kill()
		}
		cancel()
		<-ended
	})
	if killed {
		s.db.Close()
		restore()
	}
}

// freezeAt has the server stop before one of the next commands, until kill; the channel tells that it has.
func (s *simulation) freezeAt(some bool) <-chan struct{} {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.killAt, s.dead = 0, false
	s.frozen, s.thaw = make(chan struct{}), make(chan struct{})
	if some && s.random.IntN(4) > 0 {
		s.killAt = s.commands + 1 + s.random.IntN(80)
	}
	return s.frozen
}

// kill keeps everything as it is at this moment, and lets the agent go on for it to end. What it still does is taken back by
// restore. Late is a death between what is done here and its commit: the server is out of reach then, and what the agent does
// here stays.
func (s *simulation) kill() (restore func()) {
	synctest.Wait() // nobody is in the middle of anything but waiting
	copied := s.nextState()
	if err := s.db.Backup(copied); err != nil {
		s.t.Error(err)
	}
	late := s.random.IntN(4) == 0
	aside := filepath.Join(s.folder, fmt.Sprint("local", s.files))
	var restoreServers []func()
	for _, site := range s.sites {
		restoreServers = append(restoreServers, site.server.Save())
	}
	if !late {
		linkTree(s.t, s.local, aside)
	}
	s.lock.Lock()
	s.dead, s.killAt = !late, 0
	s.lock.Unlock()
	for _, site := range s.sites {
		if late {
			site.server.SetDown(true)
		}
	}
	close(s.thaw)
	fmt.Fprintf(s, "%s KILLED, late %v\n", time.Now().Format("15:04:05.000"), late)
	if late {
		time.Sleep(time.Duration(s.random.IntN(100)) * time.Millisecond)
	}
	return func() {
		s.openState(copied)
		if late {
			for _, site := range s.sites {
				site.server.SetDown(site.down)
			}
			return
		}
		for _, restoreServer := range restoreServers {
			restoreServer()
		}
		if err := os.RemoveAll(s.local); err != nil {
			s.t.Fatal(err)
		}
		if err := os.Rename(aside, s.local); err != nil {
			s.t.Fatal(err)
		}
		s.lock.Lock()
		s.dead = false
		s.lock.Unlock()
	}
}

// linkTree gives every file of a tree a second name in another one.
func linkTree(t *testing.T, from, to string) {
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, name)
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, rel), 0o700)
		}
		return os.Link(name, filepath.Join(to, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *simulation) nextState() string {
	s.files++
	return filepath.Join(s.folder, fmt.Sprint(s.files, ".db"))
}

func (s *simulation) openState(name string) {
	var err error
	if s.db, err = state.Open(name, state.Options{}); err != nil {
		s.t.Fatal(err)
	}
}

// agent runs one while use does.
func (s *simulation) agent(use func(a *Agent)) {
	a := New(s.cfg, s.db, Options{Logger: slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelInfo})), Observe: func(activity Activity) {
		if activity.Kind == ActivityDone && activity.Action == string(plan.Upload) {
			s.sent.Add(activity.Bytes)
		}
		fmt.Fprintf(s, "%s %s %s %s %s\n", time.Now().Format("15:04:05.000"), activity.Kind, activity.Action, activity.Path, activity.Text)
	}})
	if s.bound > 0 {
		a.Bound(s.bound)
	}
	d, err := newDispatcher(a)
	if err != nil {
		s.t.Fatal(err)
	}
	if clock := s.clock; clock != 0 {
		d.now = func() time.Time { return time.Now().Add(clock) }
	}
	for _, server := range d.servers {
		server.pool.Close()
		o := clientOptions(server.config, ftpclient.Facts{}, slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})))
		o.DialContext = s.servers[server.config.Name].Dial
		server.pool = ftpclient.NewAddresses(addressesOf(server.config), o, server.facts, ftpclient.PoolOptions{Max: server.config.Connections, RaiseAfter: limitRaise, RefusedOnce: true})
	}
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan error)
	go func() {
		defer close(a.ended)
		ended <- a.run(ctx, d)
	}()
	s.live.Store(d)
	use(a)
	s.live.Store(nil)
	stop()
	if err := <-ended; err != nil {
		s.t.Errorf("seed %d: the agent ended: %v", s.seed, err)
	}
	<-a.ended
}

// Write takes what the agent logs.
func (s *simulation) Write(p []byte) (int, error) {
	s.logLock.Lock()
	defer s.logLock.Unlock()
	return s.log.Write(p)
}

// pass makes passes until both sides are in step.
func (s *simulation) pass(most int) {
	defer func(at *site) { s.site = at }(s.site)
	s.agent(func(a *Agent) {
		var report control.Report
		for tries, halts := 0, 0; tries < most; tries++ {
			quiet, before := !s.deletionsWait(), s.everywhere()
			var err error
			if report, err = a.Pass(s.t.Context(), nil); err != nil {
				s.t.Fatalf("seed %d: pass: %v", s.seed, err)
			}
			halted, done := false, true
			for i, told := range report.Syncs {
				s.site = s.sites[i]
				if told.Halt != "" {
					halted = true
					fmt.Fprintf(s, "%s HALT %s %s\n", time.Now().Format("15:04:05.000"), told.Sync, told.Halt)
					if quiet {
						s.nothingDeleted(before, told.Halt)
					}
					if err := a.Approve(s.t.Context(), control.ApproveRequest{Syncs: []string{told.Sync}}); err != nil {
						s.t.Fatal(err)
					}
				}
				done = s.isDone(a, told) && done
			}
			if done {
				return
			}
			if halted { // an approval is for one reason, and there may be another one behind it
				if halts++; halts <= 5*len(s.sites) {
					tries--
				}
			}
			time.Sleep(20 * time.Minute)
		}
		s.t.Errorf("seed %d: not in step after %d passes: %+v", s.seed, most, report)
	})
}

// isDone reports whether nothing is left to do for the agent, and does what is left for a person.
func (s *simulation) isDone(a *Agent, told control.SyncReport) bool {
	// For a person is what somebody has changed at a target and deleted at the source, unless both are kept a file in
	// the place of a folder, and names that are one name on the server.
	s.conflicts = map[string]bool{}
	for _, conflict := range told.Conflicts {
		s.conflicts[string(conflict.Path)] = true
	}
	told.Conflicts = slices.DeleteFunc(told.Conflicts, func(conflict control.PathReason) bool {
		return s.sync.Direction != config.Both || s.sync.Conflict != config.ConflictCopy || strings.Contains(conflict.Reason, "in case only")
	})
	if slices.ContainsFunc(told.Dead, func(dead control.PathReason) bool { return strings.Contains(dead.Reason, "crashes of the agent") }) {
		if _, err := a.RetryJobs(s.t.Context(), control.JobFilter{State: "dead"}); err != nil {
			s.t.Fatal(err)
		}
	}
	return (control.Report{Syncs: []control.SyncReport{told}}).ExitCode() == control.ExitDone
}

// deletionsWait reports whether there is a job that deletes something.
func (s *simulation) deletionsWait() (waits bool) {
	err := s.db.View(func(tx *state.Tx) error {
		waits = false
		return queue.Each(tx, queue.Filter{}, func(job queue.Job) (bool, error) {
			waits = waits || plan.Action(job.Kind).Deletes() || job.Kind == work.KindLook || len(job.Progress) > 0
			return !waits, nil
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return waits
}
