package agent

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// pick returns one of some values.
func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

func newSimulation(t *testing.T, seed uint64, folder string) *simulation {
	random := rand.New(rand.NewPCG(seed, 1))
	s := &simulation{
		t: t, seed: seed, random: random, luck: rand.New(rand.NewPCG(seed, 2)),
		folder: folder, local: filepath.Join(folder, "local"), versions: map[string]int{}, facts: map[string]*version{}, wasted: map[string]bool{}, brought: map[string]bool{},
		servers: map[string]*ftptest.Memory{},
	}
	s.sync = &config.Sync{
		Name: "s", Local: s.local, Remote: "/site", Enabled: true, Family: "s",
		Direction: pick(random, config.Up, config.Down, config.Both, config.Both),
		Delete:    random.IntN(3) > 0, MaxDelete: config.MaxDelete{Percent: 100, IsPercent: true},
		Include: []string{"**"}, Conflict: config.ConflictCopy, OnForeignChange: config.ForeignRestore, Links: config.LinksSkip, Verify: config.VerifySize,
		Atomic: true, TempPrefix: ".", Moves: random.IntN(4) > 0,
	}
	s.sites = []*site{{server: s.drawServer(t), member: "s"}}
	if s.sync.Direction == config.Up && random.IntN(3) == 0 {
		s.sites[0].member = "s@acme"
		s.sites = append(s.sites, &site{server: s.drawServer(t), member: "s@other"})
	}
	s.drawSync()
	s.drawPolls()
	s.cfg = &config.Config{Servers: map[string]*config.Server{}, Syncs: map[string]*config.Sync{}}
	s.cfg.Agent.History = config.History{Keep: 1000 * time.Hour, Rows: 100_000}
	s.cfg.Agent.StateDir = folder
	for i, site := range s.sites {
		server, member := plainServer(site.server.Addr, 1+random.IntN(4)), *s.sync
		server.Name = []string{"acme", "other"}[i]
		server.Addresses = []string{server.Address}
		server.Proxy = config.NewSecret(ftptest.Proxy)
		member.Name, member.Server = site.member, server.Name
		s.servers[server.Name], s.cfg.Servers[server.Name], s.cfg.Syncs[site.member] = site.server, server, &member
	}
	return s
}

func (s *simulation) drawServer(t *testing.T) *ftptest.Memory {
	random := s.random
	can := ftptest.Abilities{
		MLSD: random.IntN(3) > 0, MDTM: true, MFMT: random.IntN(3) > 0, Restart: random.IntN(4) > 0,
		NoReplace: random.IntN(6) == 0, HideDots: random.IntN(6) == 0, NoUnique: random.IntN(3) == 0, IgnoreCase: random.IntN(8) == 0, Chmod: random.IntN(2) == 0,
		Hashes: random.IntN(2) == 0,
	}
	if !can.MLSD {
		can.Zone = pick(random, time.UTC, time.FixedZone("far", 5*3600+1800))
		can.MDTM = random.IntN(4) > 0
	}
	server := ftptest.NewMemory(t, can)
	server.Latency = time.Duration(1+random.IntN(20)) * time.Millisecond
	if random.IntN(10) == 0 {
		server.Latency = time.Second
	}
	server.Fault, server.Before, server.Changed = s.fault, s.before, s.changed
	server.Lost = func(verb, name, content string) { s.lost(server, verb, name, content) }
	if random.IntN(6) == 0 {
		s.listings = 0.05
	}
	s.shifts = random.IntN(8) == 0
	return server
}

// restrict takes abilities from all servers.
func (s *simulation) restrict(take func(can *ftptest.Abilities)) {
	for _, site := range s.sites {
		take(&site.server.Abilities)
	}
}

// drawSync draws options, none of which contradicts another one.
func (s *simulation) drawSync() {
	random, o := s.random, s.sync
	some := func(n int) bool { return random.IntN(n) == 0 }
	switch {
	case o.Direction == config.Both:
		o.Conflict = pick(random, config.ConflictCopy, config.ConflictCopy, config.ConflictCopy, config.ConflictNewer, config.ConflictLocal, config.ConflictRemote, config.ConflictAsk)
	default:
		o.OnForeignChange = pick(random, config.ForeignRestore, config.ForeignRestore, config.ForeignKeep, config.ForeignConflict)
	}
	if o.Delete && some(3) {
		o.Trash, o.TrashKeep = ".ferry-trash", 1000*time.Hour
	}
	o.Hidden = []string{".ferry-trash", "done"}
	if some(5) {
		o.MaxDelete = config.MaxDelete{Count: random.IntN(3)}
	}
	if some(4) {
		o.Settle = pick(random, 2*time.Second, 20*time.Second)
	}
	if some(4) {
		s.bound = pick(random, 10, 20, 40)
	}
	o.Transfers = pick(random, 0, 0, 0, 1)
	if some(6) {
		for hour := range time.Duration(24) {
			o.Allowed = append(o.Allowed, config.Window{From: hour * time.Hour, To: hour*time.Hour + 25*time.Minute, Zone: time.UTC})
		}
	}
	s.watched = some(2)
	if s.ignores = some(4); s.ignores {
		o.IgnoreFile = ".ferryignore"
	}
	s.links = o.Direction != config.Down && some(5)
	if s.links && o.Direction == config.Up && some(2) {
		o.Links = config.LinksFollow
	}
	if o.Direction == config.Up && some(2) {
		o.Append = []string{pick(random, "*.log", "*.log*")}
	}
	if o.Direction != config.Down {
		s.drawUploads()
	}
	if o.Delete || s.links {
		return
	}
	consumed := pick(random, config.After{Delete: true}, config.After{Move: mustTemplate("done/{date}/")})
	switch {
	case o.Direction == config.Up && some(3):
		o.RemoteName = mustTemplate("{stem}-sent{ext}")
		if len(o.Append) == 0 && some(2) {
			o.RemoteName = mustTemplate("{mtime:20060102150405}-{name}")
		}
		o.Moves = false
		s.restrict(func(can *ftptest.Abilities) { can.IgnoreCase = false }) // what clashes there is looked for among names that are not mapped
	case o.Direction == config.Up && len(s.sites) == 1 && len(o.Append) == 0 && some(2):
		o.AfterUpload, o.Moves = consumed, false
	case o.Direction == config.Down && some(3):
		o.AfterDownload, o.Moves = consumed, false
	}
	o.Claim = o.Direction == config.Down && some(3)
}

func (s *simulation) drawUploads() {
	random, o := s.random, s.sync
	some := func(n int) bool { return random.IntN(n) == 0 }
	switch {
	case some(8) && o.Direction == config.Up: // in both directions what a cut-off upload has left passes for a version of its own
		o.Atomic = false
		// Without renaming nothing is put into the trash.
		s.restrict(func(can *ftptest.Abilities) { can.NoRename = some(2) && o.Trash == "" })
	case some(4):
		o.TempFolder = ".incoming"
	case some(4):
		o.TempPrefix, o.TempSuffix = pick(random, ".", "", "in."), pick(random, "", ".part")
	}
	if some(5) {
		o.Mode = 0o640
	}
	if some(5) {
		o.Verify = pick(random, config.VerifyHash, config.VerifyReread)
		s.flips = o.Verify == config.VerifyReread && o.Atomic
	}
}

func mustTemplate(text string) config.NameTemplate {
	template, err := config.ParseNameTemplate(text, time.UTC)
	if err != nil {
		panic(err)
	}
	return template
}

// kind is what was drawn.
func (s *simulation) kind() string {
	o := s.sync
	remove := fmt.Sprint(o.Delete)
	if o.Trash != "" {
		remove = "trash"
	}
	text := fmt.Sprintf("seed %d: %s, delete %s (at most %+v), foreign %s, conflict %s, moves %v, settle %s, links %s %v, verify %s, atomic %v, temporary %q %q %q, mode %s, "+
		"grow %q, remote name %q, after %v %v, claim %v, bound %d, watched %v, ignores %v, cut listings %v, shifts %v, allowed times %v",
		s.seed, o.Direction, remove, o.MaxDelete, o.OnForeignChange, o.Conflict, o.Moves, o.Settle, o.Links, s.links, o.Verify, o.Atomic, o.TempFolder, o.TempPrefix, o.TempSuffix, o.Mode,
		o.Append, o.RemoteName, o.AfterUpload, o.AfterDownload, o.Claim, s.bound, s.watched, s.ignores, s.listings, s.shifts, len(o.Allowed) > 0)
	for name, server := range s.servers {
		text += fmt.Sprintf("; server %s: connections %d, latency %s, %+v", name, s.cfg.Servers[name].Connections, server.Latency, server.Abilities)
	}
	return text
}

// setTrouble sets how often things go wrong.
func (s *simulation) setTrouble(share float64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.trouble = share
}

// fault is asked by the server before each command.
func (s *simulation) fault(line string) ftptest.Fault {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.trouble > 0 && (strings.HasPrefix(line, "LIST") || strings.HasPrefix(line, "MLSD")) && s.luck.Float64() < s.listings {
		return ftptest.CutListing
	}
	if s.luck.Float64() >= s.trouble {
		return ftptest.NoFault
	}
	faults := []ftptest.Fault{ftptest.CutBefore, ftptest.CutAfter, ftptest.CutData, ftptest.CutBoth}
	if s.flips {
		faults = append(faults, ftptest.FlipByte)
	}
	return pick(s.luck, faults...)
}

// before stops the server where the agent is to be killed.
func (s *simulation) before(string) {
	s.lock.Lock()
	s.commands++
	hit, thaw := s.killAt > 0 && s.commands == s.killAt, s.thaw
	if hit {
		close(s.frozen)
	}
	s.lock.Unlock()
	if hit {
		<-thaw
	}
}

// changed sees what the server has at a name: if that is no temporary one, it is something that somebody has written.
func (s *simulation) changed(name, content string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.dead || scan.IsTemp(name) {
		return
	}
	s.allowed("written", name)
	v := s.facts[content]
	if v == nil {
		if s.sync.Atomic && !s.grows(name) {
			s.wrong = append(s.wrong, fmt.Sprintf("%d bytes that nobody has written at %s on the server", len(content), name))
		}
		return
	}
	v.arrived[name]++
}

// allowed notes what the agent does to a name on the server long after the time in which it may begin with that.
func (s *simulation) allowed(what, name string) {
	now := time.Now()
	yes, _ := config.Allowed(s.sync.Allowed, now)
	if before, _ := config.Allowed(s.sync.Allowed, now.Add(-5*time.Minute)); !yes && !before {
		s.wrong = append(s.wrong, fmt.Sprintf("%s at %s, outside of the allowed times: %s", what, now.Format("15:04"), name))
	}
}

// lost sees what the agent makes an end to on the server.
func (s *simulation) lost(server *ftptest.Memory, verb, name, content string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !s.dead && !scan.IsTemp(name) {
		s.allowed(verb, name)
	}
	if s.dead || scan.IsTemp(name) || !s.sync.Atomic || server.Abilities.NoReplace || s.facts[content] == nil {
		return
	}
	// FTP has no rename that spares what is there: what a person puts at the name of a claimed file between the last look at
	// that name and the RNTO that gives it back, two commands later, is replaced.
	if verb == "RNTO" && s.sync.Claim && time.Since(s.facts[content].placed) <= 2*server.Latency {
		s.wasted[content] = true
	}
	if verb == "DELE" && (!s.sync.Delete || s.sync.Trash != "") && !s.sync.AfterDownload.Delete {
		s.wrong = append(s.wrong, fmt.Sprintf("version %d was deleted at %s on the server", s.versions[content], name))
	}
}
