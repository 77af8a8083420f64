package agent

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

var (
	simulations = flag.Int("simulations", 60, "how many seeds TestSimulation tries")
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
	random  *rand.Rand // of the test's goroutine
	sync    *config.Sync
	cfg     *config.Config
	server  *ftptest.Memory
	folder  string // of state files
	local   string
	db      *state.DB
	files   int // number of state files so far
	log     bytes.Buffer
	logLock sync.Mutex

	trouble float64    // share of commands with a fault
	luck    *rand.Rand // of the server's goroutines, which have a lock

	lock     sync.Mutex
	versions map[string]int  // every content ever written, and which it was
	wasted   map[string]bool // contents that a person has replaced or deleted
	torn     []string

	conflicts map[string]bool // paths that are left to a person
}

func newSimulation(t *testing.T, seed uint64, folder string) *simulation {
	s := &simulation{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), luck: rand.New(rand.NewPCG(seed, 2)),
		folder: folder, local: filepath.Join(folder, "local"), versions: map[string]int{}, wasted: map[string]bool{},
	}
	pick := func(n int) int { return s.random.IntN(n) }
	can := ftptest.Abilities{MLSD: pick(3) > 0, MDTM: true, MFMT: pick(3) > 0, Restart: pick(4) > 0}
	if !can.MLSD {
		can.Zone = []*time.Location{time.UTC, time.FixedZone("far", 5*3600+1800)}[pick(2)]
	}
	s.server = ftptest.NewMemory(t, can)
	s.server.Latency = time.Duration(1+pick(20)) * time.Millisecond
	s.server.Fault = s.fault
	s.server.Changed = s.changed
	conflict := []string{"copy", "copy", "copy", "newer", "local", "remote"}[pick(6)]
	s.sync = &config.Sync{
		Name: "s", Server: "acme", Local: s.local, Remote: "/site", Enabled: true,
		Direction: []config.Direction{config.Up, config.Down, config.Both, config.Both}[pick(4)],
		Delete:    pick(3) > 0, MaxDelete: config.MaxDelete{Percent: 100, IsPercent: true},
		Include: []string{"**"}, Conflict: conflict, OnForeignChange: "restore", Atomic: true, TempPrefix: ".", Moves: pick(4) > 0,
	}
	server := plainServer(s.server.Addr, 1+pick(4))
	server.Addresses = []string{server.Address}
	server.Proxy = config.NewSecret(ftptest.Proxy)
	s.cfg = &config.Config{Servers: map[string]*config.Server{"acme": server}, Syncs: map[string]*config.Sync{"s": s.sync}}
	s.cfg.Agent.History = config.History{Keep: 1000 * time.Hour, Rows: 100_000}
	s.cfg.Agent.StateDir = folder
	return s
}

// fault is asked by the server before each command.
func (s *simulation) fault(line string) ftptest.Fault {
	if s.luck.Float64() >= s.trouble {
		return ftptest.NoFault
	}
	return []ftptest.Fault{ftptest.CutBefore, ftptest.CutAfter, ftptest.CutData, ftptest.CutBoth}[s.luck.IntN(4)]
}

// changed sees what the server has at a name: if that is no temporary one, it is something that somebody has written.
func (s *simulation) changed(name, content string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if _, known := s.versions[content]; !known && !scan.IsTemp(name) {
		s.torn = append(s.torn, fmt.Sprintf("%d bytes at %s on the server", len(content), name))
	}
}

func (s *simulation) run() {
	defer func() {
		if s.t.Failed() {
			s.t.Logf("seed %d: %s, delete %v, moves %v, conflict %s, server %+v\n%s", s.seed, s.sync.Direction, s.sync.Delete, s.sync.Moves, s.sync.Conflict, s.server.Abilities, s.log.String())
		}
	}()
	if err := os.Mkdir(s.local, 0o700); err != nil {
		s.t.Fatal(err)
	}
	s.server.MakeDir("/site")
	s.openState(filepath.Join(s.folder, "0.db"))
	defer func() { s.db.Close() }()
	s.edit(4+s.random.IntN(5), s.sync.Direction != config.Down, s.sync.Direction != config.Up)
	s.pass(3) // in step before the trouble begins
	for range 2 + s.random.IntN(3) {
		s.trouble = []float64{0, 0.02, 0.1}[s.random.IntN(3)]
		s.round()
	}
	s.trouble = 0
	time.Sleep(time.Hour)
	s.pass(20)
	s.pass(1) // sweeps what jobs have left that were not over when the last one began
	s.inStep()
}

// round has people and the agent work at the same time, and may end with the death of the agent.
func (s *simulation) round() {
	s.edit(1+s.random.IntN(6), true, true)
	if s.random.IntN(3) == 0 {
		s.server.SetDown(true)
		defer s.server.SetDown(false)
	}
	killed := s.random.IntN(2) == 0
	copied := ""
	s.agent(func(a *Agent) {
		ctx, cancel := context.WithCancel(s.t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			a.Pass(ctx, nil) // what it reports is of no interest in trouble
		}()
		for range s.random.IntN(4) {
			time.Sleep(time.Duration(s.random.IntN(3000)) * time.Millisecond)
			s.edit(1, true, true)
		}
		time.Sleep(time.Duration(s.random.IntN(2000)) * time.Millisecond)
		if killed {
			// What the agent commits after the copy is what a killed one could not any more.
			copied = s.nextState()
			if err := s.db.Backup(copied); err != nil {
				s.t.Error(err)
			}
			time.Sleep(time.Duration(s.random.IntN(500)) * time.Millisecond)
		} else {
			<-ended
		}
		cancel()
		<-ended
	})
	if killed {
		s.db.Close()
		s.openState(copied)
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
		fmt.Fprintf(s, "%s %s %s %s %s\n", time.Now().Format("15:04:05.000"), activity.Kind, activity.Action, activity.Path, activity.Text)
	}})
	d, err := newDispatcher(a)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, server := range d.servers {
		server.pool.Close()
		o := clientOptions(server.config, server.facts, slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})))
		o.DialContext = s.server.Dial
		server.pool = ftpclient.NewPool(server.config.Address, o, ftpclient.PoolOptions{Max: server.config.Connections, RaiseAfter: limitRaise, RefusedOnce: true})
	}
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan error)
	go func() {
		defer close(a.ended)
		ended <- a.run(ctx, d)
	}()
	use(a)
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
	var report control.Report
	s.agent(func(a *Agent) {
		for range most {
			var err error
			if report, err = a.Pass(s.t.Context(), nil); err != nil {
				s.t.Fatalf("seed %d: pass: %v", s.seed, err)
			}
			if report.Syncs[0].Halt != "" {
				if err := a.Approve(s.t.Context(), "s"); err != nil {
					s.t.Fatal(err)
				}
			}
			// For a person is what somebody has changed at a target and deleted at the source, and, unless both are kept, a
			// file in the place of a folder.
			told := report.Syncs[0]
			s.conflicts = map[string]bool{}
			for _, conflict := range told.Conflicts {
				s.conflicts[conflict.Path] = true
			}
			if s.sync.Direction != config.Both || s.sync.Conflict != "copy" {
				told.Conflicts = nil
			}
			if (control.Report{Syncs: []control.SyncReport{told}}).ExitCode() == control.ExitDone {
				return
			}
			time.Sleep(20 * time.Minute)
		}
		s.t.Errorf("seed %d: not in step after %d passes: %+v", s.seed, most, report)
	})
}

// inStep checks what must hold once all is quiet.
func (s *simulation) inStep() {
	s.lock.Lock()
	torn := s.torn
	s.lock.Unlock()
	for _, what := range torn {
		s.t.Errorf("seed %d: nobody has written that: %s", s.seed, what)
	}
	here, far := s.localFiles(), map[string]string{}
	for name, content := range s.server.Files() {
		far[strings.TrimPrefix(name, "/site/")] = content
	}
	for _, side := range []map[string]string{here, far} {
		for name, content := range side {
			if _, known := s.versions[content]; !known || scan.IsTemp(name) {
				s.t.Errorf("seed %d: %s holds %d bytes that nobody has written", s.seed, name, len(content))
			}
		}
	}
	source, target := here, far
	if s.sync.Direction == config.Down {
		source, target = far, here
	}
	for name, content := range source {
		if s.inConflict(name) {
			continue
		}
		if other, ok := target[name]; !ok || other != content {
			s.t.Errorf("seed %d: %s is not in step: %s here, %s there", s.seed, name, s.nameOf(here, name), s.nameOf(far, name))
		}
	}
	for name := range target {
		if _, ok := source[name]; !ok && !s.inConflict(name) && (s.sync.Delete || s.sync.Direction == config.Both) {
			s.t.Errorf("seed %d: %s is at the target only: %s", s.seed, name, s.nameOf(target, name))
		}
	}
	for content, number := range s.versions {
		if s.sync.Direction == config.Both && s.sync.Conflict == "copy" && !s.wasted[content] && !holds(here, content) {
			s.t.Errorf("seed %d: version %d is lost", s.seed, number)
		}
	}
	s.agent(func(a *Agent) {
		if _, err := a.Pass(s.t.Context(), nil); err != nil { // that it runs, too
			s.t.Error(err)
		}
		plans, err := a.Plan(s.t.Context(), nil)
		if err != nil || len(plans[0].Ops) > 0 || plans[0].Failure != "" {
			s.t.Logf("seed %d: a further plan: %v %+v", s.seed, err, plans)
			s.t.Errorf("seed %d: a further plan is not empty", s.seed)
		}
	})
}

// inConflict reports whether a path, or one above it, is left to a person.
func (s *simulation) inConflict(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if s.conflicts[name] {
			return true
		}
	}
	return false
}

func holds(side map[string]string, content string) bool {
	return slices.Contains(slices.Collect(maps.Values(side)), content)
}

func (s *simulation) nameOf(side map[string]string, name string) string {
	content, ok := side[name]
	if !ok {
		return "nothing"
	}
	return fmt.Sprintf("version %d", s.versions[content])
}

func (s *simulation) localFiles() map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(s.local, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		rel, _ := filepath.Rel(s.local, name)
		files[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// edit does what people do: n times, on the sides that are said. Every content is unlike all others, in its length too: what
// has the same length and the same second cannot be told from what was there.
func (s *simulation) edit(n int, local, remote bool) {
	for range n {
		time.Sleep(time.Duration(1+s.random.IntN(90)) * time.Second)
		switch here := s.random.IntN(2) == 0; {
		case local && remote && s.random.IntN(8) == 0:
			s.editFolder(here)
		case here && local || !remote:
			s.editLocal()
		default:
			s.editRemote()
		}
	}
}

// simulatedNames has a name that is a file for one and a folder for another.
var simulatedNames = []string{"a", "b", "c.txt", "x/a", "x/b", "x/y/c", "z", "z/d"}

// simulatedFolders are renamed and deleted as a whole.
var simulatedFolders = []string{"x", "x/y", "z", "w"}

// in returns the files that are at a path or below it.
func in(files map[string]string, top string) map[string]string {
	found := map[string]string{}
	for name, content := range files {
		if name == top || strings.HasPrefix(name, top+"/") {
			found[name] = content
		}
	}
	return found
}

// editFolder renames or deletes a folder here or there.
func (s *simulation) editFolder(here bool) {
	from, to := simulatedFolders[s.random.IntN(len(simulatedFolders))], simulatedFolders[s.random.IntN(len(simulatedFolders))]
	remove := s.random.IntN(2) == 0
	if here {
		if info, err := os.Lstat(filepath.Join(s.local, from)); err != nil || !info.IsDir() {
			return
		}
		what := "deletes"
		if remove {
			for _, content := range in(s.localFiles(), from) {
				s.waste(content)
			}
			if err := os.RemoveAll(filepath.Join(s.local, from)); err != nil {
				s.t.Fatal(err)
			}
		} else if _, err := os.Lstat(filepath.Join(s.local, to)); err == nil || os.Rename(filepath.Join(s.local, from), filepath.Join(s.local, to)) != nil {
			return
		} else {
			what = "renames to " + to
		}
		fmt.Fprintf(s, "%s PERSON %s folder %s here\n", time.Now().Format("15:04:05.000"), what, from)
		return
	}
	folders, files := s.server.Folders(), s.server.Files()
	source, target := "/site/"+from, "/site/"+to
	if !slices.Contains(folders, source) {
		return
	}
	if remove {
		for _, content := range in(files, source) {
			s.waste(content)
		}
		s.server.Remove(source)
		fmt.Fprintf(s, "%s PERSON deletes folder %s there\n", time.Now().Format("15:04:05.000"), from)
		return
	}
	if _, taken := files[target]; taken || slices.Contains(folders, target) || strings.HasPrefix(target, source+"/") || !slices.Contains(folders, path.Dir(target)) {
		return
	}
	s.server.Rename(source, target)
	fmt.Fprintf(s, "%s PERSON renames folder %s to %s there\n", time.Now().Format("15:04:05.000"), from, to)
}

func (s *simulation) content() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	number := len(s.versions) + 1
	content := strings.Repeat(fmt.Sprintf("version %d of seed %d\n", number, s.seed), 1+s.random.IntN(60))
	content += strings.Repeat(".", number)
	for _, taken := s.versions[content]; taken; _, taken = s.versions[content] {
		content += "."
	}
	for other := range s.versions {
		if len(other) == len(content) {
			content += strings.Repeat("+", 5000+number)
			break
		}
	}
	s.versions[content] = number
	return content
}

func (s *simulation) waste(content string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.wasted[content] = true
}

func (s *simulation) editLocal() {
	name := simulatedNames[s.random.IntN(len(simulatedNames))]
	files := s.localFiles()
	full := filepath.Join(s.local, filepath.FromSlash(name))
	old, exists := files[name]
	switch act := s.random.IntN(10); {
	case act < 6 || !exists:
		if os.MkdirAll(filepath.Dir(full), 0o700) != nil {
			return // a file is in the way
		}
		content := s.content()
		// Written aside: a person's editor does not leave half of a file to be found.
		aside := filepath.Join(s.folder, "aside")
		if err := os.WriteFile(aside, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
		now := time.Now()
		if err := os.Chtimes(aside, now, now); err != nil {
			s.t.Fatal(err)
		}
		if now, ok := s.localFiles()[name]; ok {
			s.waste(now)
		}
		if err := os.Rename(aside, full); err != nil {
			s.waste(content) // a folder has the name
			return
		}
		fmt.Fprintf(s, "%s PERSON writes version %d to %s here\n", now.Format("15:04:05.000"), s.versions[content], name)
	case act < 8:
		s.waste(old)
		if err := os.Remove(full); err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(s, "%s PERSON deletes %s here\n", time.Now().Format("15:04:05.000"), name)
	default:
		to := simulatedNames[s.random.IntN(len(simulatedNames))]
		target := filepath.Join(s.local, filepath.FromSlash(to))
		if to == name || os.MkdirAll(filepath.Dir(target), 0o700) != nil {
			return
		}
		replaced, over := files[to]
		if os.Rename(full, target) == nil {
			if over {
				s.waste(replaced)
			}
			fmt.Fprintf(s, "%s PERSON renames %s to %s here\n", time.Now().Format("15:04:05.000"), name, to)
		}
	}
}

func (s *simulation) editRemote() {
	name := "/site/" + simulatedNames[s.random.IntN(len(simulatedNames))]
	files := s.server.Files()
	old, exists := files[name]
	for _, folder := range s.server.Folders() {
		if folder == name {
			return
		}
	}
	for above := path.Dir(name); above != "/"; above = path.Dir(above) {
		if _, isFile := files[above]; isFile {
			return
		}
	}
	switch act := s.random.IntN(10); {
	case act < 6 || !exists:
		content := s.content()
		if exists {
			s.waste(old)
		}
		s.server.Put(name, content, time.Now())
		fmt.Fprintf(s, "%s PERSON writes version %d to %s there\n", time.Now().Format("15:04:05.000"), s.versions[content], name)
	case act < 8:
		s.waste(old)
		s.server.Remove(name)
		fmt.Fprintf(s, "%s PERSON deletes %s there\n", time.Now().Format("15:04:05.000"), name)
	default:
		to := "/site/" + simulatedNames[s.random.IntN(len(simulatedNames))]
		if _, taken := files[to]; taken || to == name || slices.Contains(s.server.Folders(), to) || !slices.Contains(s.server.Folders(), path.Dir(to)) {
			return
		}
		s.server.Rename(name, to)
		fmt.Fprintf(s, "%s PERSON renames %s to %s there\n", time.Now().Format("15:04:05.000"), name, to)
	}
}
