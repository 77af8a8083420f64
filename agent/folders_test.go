package agent

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

const (
	polledFolders = 12
	pollEvery     = 5*time.Minute + 7*time.Second // times that move by quarters of an hour prove nothing
)

// polled is a sync with a server in memory whose folders have times that follow every change, at first.
type polled struct {
	t      *testing.T
	server *ftptest.Memory
	cfg    *config.Config
	local  string
	db     *state.DB
	files  int
	agent  *Agent
	log    bytes.Buffer

	lock   sync.Mutex
	within string // the folder that the only connection is in
	listed []string
}

func newPolled(t *testing.T, direction config.Direction, can ftptest.Abilities) *polled {
	p := &polled{t: t, server: ftptest.NewMemory(t, can), local: filepath.Join(t.TempDir(), "local")}
	if err := os.Mkdir(p.local, 0o700); err != nil {
		t.Fatal(err)
	}
	p.server.Before = p.before
	server := plainServer(p.server.Addr, 1)
	server.Name, server.Addresses, server.Proxy = "acme", []string{server.Address}, config.NewSecret(ftptest.Proxy)
	p.cfg = &config.Config{Servers: map[string]*config.Server{"acme": server}, Syncs: map[string]*config.Sync{"s": {
		Name: "s", Server: "acme", Local: p.local, Remote: "/site", Direction: direction, Delete: true, Enabled: true, Include: []string{"**"},
		Conflict: config.ConflictCopy, OnForeignChange: config.ForeignRestore, Links: config.LinksSkip, Verify: config.VerifySize,
		Atomic: true, TempPrefix: ".", Moves: true, MaxDelete: config.MaxDelete{Count: 100}, Poll: pollEvery,
	}}}
	p.cfg.Agent.History = config.History{Keep: 1000 * time.Hour, Rows: 100_000}
	p.cfg.Agent.StateDir = filepath.Dir(p.local)
	for i := range polledFolders {
		for _, name := range []string{"a", "b", "c"} {
			p.server.Put(folderNo(i)+"/"+name, "first", time.Now())
		}
	}
	p.server.Put("/site/top", "first", time.Now())
	p.open(filepath.Join(t.TempDir(), "0.db"))
	t.Cleanup(func() {
		p.db.Close()
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

func folderNo(i int) string { return fmt.Sprintf("/site/folder%02d", i) }

func (p *polled) before(line string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	switch verb, argument, _ := strings.Cut(line, " "); verb {
	case "USER":
		p.within = "/"
	case "CWD":
		p.within = path.Join("/", argument)
		if !path.IsAbs(argument) {
			p.within = path.Join(p.within, argument)
		}
	case "MLSD", "LIST":
		p.listed = append(p.listed, p.within)
	}
}

func (p *polled) open(name string) {
	var err error
	if p.db, err = state.Open(name, state.Options{}); err != nil {
		p.t.Fatal(err)
	}
}

// runs runs an agent while use does. It is killed then: what goes on is the state as it was at that moment.
func (p *polled) runs(use func()) {
	p.agent = New(p.cfg, p.db, Options{Logger: slog.New(slog.NewTextHandler(&p.log, nil))})
	d, err := newDispatcher(p.agent)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, server := range d.servers {
		server.pool.Close()
		o := clientOptions(server.config, ftpclient.Facts{}, slog.New(slog.DiscardHandler))
		o.DialContext = p.server.Dial
		server.pool = ftpclient.NewAddresses(addressesOf(server.config), o, server.facts, ftpclient.PoolOptions{Max: 1, RaiseAfter: limitRaise, RefusedOnce: true})
	}
	ctx, stop := context.WithCancel(p.t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer close(p.agent.ended)
		ended <- p.agent.run(ctx, d)
	}()
	synctest.Wait() // it runs
	use()
	p.files++
	copied := filepath.Join(p.t.TempDir(), fmt.Sprint(p.files, ".db"))
	if err := p.db.Backup(copied); err != nil {
		p.t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		p.t.Fatal(err)
	}
	<-p.agent.ended
	p.db.Close()
	p.open(copied)
}

// look hands over an event, and returns the folders that were listed, each once.
func (p *polled) look(e trigger.Event) []string {
	p.t.Helper()
	p.lock.Lock()
	p.listed = nil
	p.lock.Unlock()
	e.Sync = "s"
	if err := p.agent.running.Load().emit(p.t.Context(), e); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(pollEvery)
	synctest.Wait()
	p.lock.Lock()
	defer p.lock.Unlock()
	slices.Sort(p.listed)
	return slices.Compact(p.listed)
}

func (p *polled) poll() []string {
	p.t.Helper()
	return p.look(trigger.Event{Why: "poll", Regular: true, Poll: true})
}

// learn has the agent learn that the times of folders follow.
func (p *polled) learn() {
	p.t.Helper()
	p.look(trigger.Event{Why: "start"})
	p.poll()
	for i := range 3 {
		if got := p.times(); got.State != "learning" {
			p.t.Fatalf("after %d changes: %+v", i, got)
		}
		p.server.Edit(folderNo(i)+"/a", fmt.Sprint("edited ", i))
		if got := p.poll(); len(got) != polledFolders+1 {
			p.t.Fatalf("%d folders listed while that is learned: %s", len(got), got)
		}
		p.mustBeEqual("while that is learned")
	}
	if got := p.times(); got.State != "trusted" || got.Spared != 0 {
		p.t.Fatalf("after three changes: %+v", got)
	}
}

func (p *polled) times() control.FolderTimes {
	p.t.Helper()
	list, err := p.agent.Status(p.t.Context(), control.StatusFilter{})
	if err != nil || len(list.Syncs) != 1 || list.Syncs[0].FolderTimes == nil {
		p.t.Fatalf("%+v, %v", list, err)
	}
	return *list.Syncs[0].FolderTimes
}

func (p *polled) here() map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(p.local, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(p.local, name)
		content, err := os.ReadFile(name)
		files["/site/"+filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

func (p *polled) equal() bool { return maps.Equal(p.here(), p.server.Files()) }

func (p *polled) mustBeEqual(when string) {
	p.t.Helper()
	if diff := cmp.Diff(p.server.Files(), p.here()); diff != "" {
		p.t.Fatalf("%s (-server +here):\n%s", when, diff)
	}
}

// TestAPollListsOnlyTheFoldersThatChanged, once it has learned that their times tell, over restarts, and finds every kind of change.
func TestAPollListsOnlyTheFoldersThatChanged(t *testing.T) {
	for _, direction := range []config.Direction{config.Down, config.Both} {
		t.Run(string(direction), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPolled(t, direction, ftptest.Abilities{MLSD: true, MDTM: true, MFMT: true, FolderTimes: true})
				p.runs(p.learn)
				for sentence, row := range map[string]struct {
					change func()
					folder int
				}{
					"a file is overwritten in place": {func() { p.server.Edit(folderNo(7)+"/b", "in place") }, 7},
					"a file is new":                  {func() { p.server.Put(folderNo(8)+"/new", "new", time.Now()) }, 8},
					"a file is gone":                 {func() { p.server.Remove(folderNo(9) + "/c") }, 9},
					"a file is replaced":             {func() { p.server.Put(folderNo(10)+"/c", "other", time.Now()) }, 10},
				} {
					p.runs(func() {
						p.look(trigger.Event{Why: "request"}) // everything
						p.poll()                              // what has changed long enough ago is spared from here on
						row.change()
						if diff := cmp.Diff([]string{"/site", folderNo(row.folder)}, p.poll()); diff != "" {
							t.Errorf("%s: listed (-want +got):\n%s", sentence, diff)
						}
						p.mustBeEqual(sentence)
					})
				}
				p.runs(func() { p.bounded() })
			})
		})
	}
}

// bounded: whatever the times say, every eighth poll lists everything, and so does whatever else asks for a look.
func (p *polled) bounded() {
	p.look(trigger.Event{Why: "request"})
	whole := 0
	for i := range 18 {
		switch got := p.poll(); {
		case len(got) == polledFolders+1:
			whole++
		case len(got) > 2: // what changed last may have been listed too early
			p.t.Errorf("poll %d listed %s", i, got)
		}
	}
	if whole != 2 {
		p.t.Errorf("%d of 18 polls listed everything", whole)
	}
	for _, why := range []string{"request", "schedule", "start"} {
		if got := p.look(trigger.Event{Why: why}); len(got) != polledFolders+1 {
			p.t.Errorf("%s: listed %s", why, got)
		}
	}
	time.Sleep(2 * time.Hour)
	if got := p.poll(); len(got) != polledFolders+1 {
		p.t.Errorf("after two hours: listed %s", got)
	}
}

// TestAServerThatBeginsToLieIsFoundOut by the eighth poll, and is never trusted again.
func TestAServerThatBeginsToLieIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPolled(t, config.Down, ftptest.Abilities{MLSD: true, MDTM: true, FolderTimes: true})
		p.runs(p.learn)
		p.runs(func() {
			p.poll()
			p.server.Lie()
			p.server.Edit(folderNo(7)+"/b", "unseen")
			polls := 1
			for ; polls < 8 && (len(p.poll()) <= polledFolders || !p.equal()); polls++ {
			}
			t.Logf("found by poll %d", polls)
			p.mustBeEqual("after eight polls")
		})
		p.runs(func() {
			if got := p.times(); got.State != "not trusted" || !strings.Contains(got.Reason, "folder07") {
				t.Errorf("%+v", got)
			}
			for i := range 5 {
				p.server.Edit(folderNo(i)+"/c", fmt.Sprint("later ", i))
				if got := p.poll(); len(got) != polledFolders+1 {
					t.Errorf("listed %s", got)
				}
				p.mustBeEqual("by the next poll")
			}
			if got := p.times(); got.State != "not trusted" {
				t.Errorf("%+v", got)
			}
		})
		if told := strings.Count(p.log.String(), "cannot be trusted, each"); told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

// TestTimesOfFoldersThatProveNothing: whatever a server does that does not prove it right, every poll lists everything, and finds what
// has changed.
func TestTimesOfFoldersThatProveNothing(t *testing.T) {
	for sentence, row := range map[string]struct {
		can     ftptest.Abilities
		lies    bool
		change  func(p *polled, name, content string)
		trusted string
	}{
		"files have no identity":              {ftptest.Abilities{MLSD: true, NoUnique: true, FolderTimes: true}, false, (*polled).edit, "learning"},
		"there is no MLSD":                    {ftptest.Abilities{MDTM: true, FolderTimes: true}, false, (*polled).edit, "learning"},
		"times stay when files are edited":    {ftptest.Abilities{MLSD: true, FolderTimes: true}, true, (*polled).edit, "not trusted"},
		"times of folders never move":         {ftptest.Abilities{MLSD: true}, false, (*polled).edit, "not trusted"},
		"files are only replaced, not edited": {ftptest.Abilities{MLSD: true, FolderTimes: true}, true, (*polled).replace, "learning"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPolled(t, config.Down, row.can)
				if row.lies {
					p.server.Lie()
				}
				p.runs(func() {
					p.look(trigger.Event{Why: "start"})
					p.poll()
					for i := range 6 {
						row.change(p, folderNo(i)+"/a", fmt.Sprint("changed ", i))
						if got := p.poll(); len(got) != polledFolders+1 {
							t.Errorf("listed %s", got)
						}
						p.mustBeEqual("by the next poll")
					}
					if got := p.times(); got.State != row.trusted || got.Spared != 0 {
						t.Errorf("%+v", got)
					}
				})
			})
		})
	}
}

func (p *polled) edit(name, content string)    { p.server.Edit(name, content) }
func (p *polled) replace(name, content string) { p.server.Put(name, content, time.Now()) }
