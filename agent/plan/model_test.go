package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// node is what truly is at a path. What looks the same has the same content, unless the baseline says otherwise.
type node struct {
	entry.Entry
	content string // "" for folders
}

// tree is one side.
type tree map[string]node

func (t tree) children(of string) []string {
	var names []string
	for p := range t {
		if parent(p) == of {
			names = append(names, p)
		}
	}
	return names
}

func (t tree) put(p string, n node) {
	if n.Kind != entry.Absent && (parent(p) == "" || t[parent(p)].Kind == entry.Dir) {
		t[p] = n
	}
}

func (t tree) holds(content string) bool {
	for _, n := range t {
		if n.content == content {
			return true
		}
	}
	return false
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// model is two sides, what is remembered of them, and who can see what.
type model struct {
	rules         Rules
	local, remote tree
	base          map[string]Base
	recognized    map[string]Base
	// unread are folders that would not list, by side. blind: nobody looks at the far side.
	unreadLocal, unreadRemote map[string]bool
	blind                     bool
	keepsTimes                bool            // files keep their times when they are sent
	forgetsAside              bool            // what is set aside loses its baseline
	hashes                    bool            // the server tells what files hold
	different                 map[string]bool // what was compared in vain
	clock                     time.Time
	removed                   []string // what is not at its path any more, of which side
}

var modelPaths = []string{"a", "a/x", "a/x/1", "a/x/2", "a/y", "b", "b/x", "c", "d", "d/x"}

var modelKinds = []entry.Entry{{}, file(1, 0), file(1, time.Hour), file(2, 0), dir, dir, linkTo("t"), file(2, time.Minute),
	linkTo("u"), other, linkTo(""), {Kind: entry.File, Size: 2}, {}, dir, file(3, 0), file(3, 2*time.Hour)}

// newModel makes a model of bytes: three for the rules and four for each path.
func newModel(data []byte) *model {
	next := func() byte {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return b
	}
	flags, policy, links := next(), next(), next()
	m := &model{
		rules: Rules{
			Direction: []Direction{Up, Down, Both, Both}[flags>>1&3], Delete: flags&1 != 0,
			Foreign:  []Foreign{ForeignRestore, ForeignKeep, ForeignConflict, ""}[policy&3],
			Conflict: []Resolution{ResolveCopy, ResolveNewer, ResolveLocal, ResolveRemote, ResolveAsk, "", "", ""}[policy>>2&7],
			Links:    []Links{LinksSkip, LinksPreserve}[links&1],
			Host:     "box", Now: noon,
		},
		local: tree{}, remote: tree{}, base: map[string]Base{}, recognized: map[string]Base{},
		unreadLocal: map[string]bool{}, unreadRemote: map[string]bool{},
		keepsTimes: flags&8 != 0, blind: flags&0x70 == 0x70, forgetsAside: flags&128 != 0, clock: noon,
		hashes: links&4 != 0, different: map[string]bool{},
	}
	m.rules.Consume = links&2 != 0 && !m.rules.Delete && m.rules.Direction != Both
	for _, p := range modelPaths {
		sides, known, unread, more := next(), next(), next(), next()
		local, remote := modelKinds[sides&15], modelKinds[sides>>4]
		was, wasRemote := modelKinds[known&15], modelKinds[known>>4]
		switch { // changes are the exception
		case more&3 == 1:
			was, wasRemote = local, remote
		case more&3 == 2:
			was = local
		case more&3 == 3:
			wasRemote = remote
		}
		m.remember(p, was, wasRemote, more)
		m.local.put(p, m.node(p, local, func(b Base) entry.Entry { return b.Local }))
		m.remote.put(p, m.node(p, remote, func(b Base) entry.Entry { return b.Remote }))
		if n, twin := m.remote[p], m.local[p]; n.content != "" && (equal(n.Entry, twin.Entry) || unread&12 == 8 && m.mayBeTwins(p)) {
			n.content = twin.content
			m.remote[p] = n
		}
		m.unreadLocal[p] = unread&15 == 1 && m.local[p].Kind == entry.Dir
		m.unreadRemote[p] = unread>>4 == 1 && m.remote[p].Kind == entry.Dir
		m.recognize(p, more)
	}
	if !m.allSeen() { // only what is seen is recognised
		clear(m.recognized)
	}
	return m
}

// remember makes a baseline of two looks that can be one: of the same kind, and takes part.
func (m *model) remember(p string, local, remote entry.Entry, more byte) {
	switch {
	case more&0xf0 == 0xf0:
		m.base[p] = Base{Unreadable: true}
	case local.Kind == remote.Kind && local.Kind != entry.Absent && local.Size == remote.Size && m.rules.skips(local) == "":
		m.base[p] = Base{Local: local, Remote: remote}
	}
}

func (m *model) node(p string, e entry.Entry, side func(Base) entry.Entry) node {
	n := node{Entry: e}
	switch base, known := m.base[p]; {
	case e.Kind == entry.Absent || e.Kind == entry.Dir:
	case known && !base.Unreadable && (same(e, side(base)) || equal(e, base.Local) || equal(e, base.Remote)):
		n.content = "agreed " + p
	case e.Kind == entry.File:
		n.content = fmt.Sprintf("file of %d at %s", e.Size, e.ModTime)
	default:
		n.content = fmt.Sprintf("%s to %s", e.Kind, e.Target)
	}
	return n
}

// mayBeTwins reports two files of one size, neither of which is what both sides agreed on.
func (m *model) mayBeTwins(p string) bool {
	here, there := m.local[p], m.remote[p]
	return here.Kind == entry.File && there.Kind == entry.File && here.Size == there.Size && here.content != "agreed "+p && there.content != "agreed "+p
}

// recognize has the target hold what a transfer of ours has put there unreported.
func (m *model) recognize(p string, more byte) {
	source, target := m.sides()
	if m.rules.Direction == Both && more&16 != 0 {
		source, target = target, source
	}
	known := target[p]
	if more&12 != 12 || known.Kind != entry.File || known.ModTime.IsZero() || known.content == "agreed "+p {
		return
	}
	m.recognized[p] = Base{Local: known.Entry, Remote: known.Entry}
	if n := source[p]; n.Kind == entry.File && same(n.Entry, known.Entry) {
		n.content = known.content
		source[p] = n
	}
}

func (m *model) sides() (source, target tree) {
	if m.rules.Direction == Down {
		return m.remote, m.local
	}
	return m.local, m.remote
}

// atLocal reports whether an action changes the local side.
func atLocal(a Action) bool {
	return slices.Contains([]Action{Download, MakeLocalDir, DeleteLocal, LinkLocal, SetAsideLocal}, a)
}

// ends are the tree that an operation goes by and the one it changes.
func (m *model) ends(a Action) (from, to tree) {
	if atLocal(a) {
		return m.remote, m.local
	}
	return m.local, m.remote
}

// looks are those of an operation at the same.
func looks(op Op) (from, to Side) {
	if atLocal(op.Action) {
		return op.Remote, op.Local
	}
	return op.Local, op.Remote
}

// agreedOn is the baseline of the same.
func agreedOn(a Action, base Base) (from, to entry.Entry) {
	if atLocal(a) {
		return base.Remote, base.Local
	}
	return base.Local, base.Remote
}

func (m *model) clone() *model {
	c := *m
	c.local, c.remote, c.base, c.recognized = maps.Clone(m.local), maps.Clone(m.remote), maps.Clone(m.base), maps.Clone(m.recognized)
	c.different = maps.Clone(m.different)
	return &c
}

func (m *model) String() string {
	text := fmt.Sprintf("%+v, keeps times %v, blind %v, forgets aside %v, hashes %v\n", m.rules, m.keepsTimes, m.blind, m.forgetsAside, m.hashes)
	show := func(e entry.Entry) string {
		if e.Kind == entry.File {
			return fmt.Sprintf("file of %d at %s", e.Size, e.ModTime.Format(time.DateTime))
		}
		return fmt.Sprintf("%s %s", e.Kind, e.Target)
	}
	for _, p := range modelPaths {
		text += fmt.Sprintf("%s: local %s (unread %v), remote %s (unread %v)", p, show(m.local[p].Entry), m.unreadLocal[p], show(m.remote[p].Entry), m.unreadRemote[p])
		if here, there := m.local[p].content, m.remote[p].content; here != "" && here == there {
			text += ", which hold the same"
		}
		if base := m.effective(p); base != nil {
			text += fmt.Sprintf(", base %s and %s, unreadable %v", show(base.Local), show(base.Remote), base.Unreadable)
		}
		text += "\n"
	}
	return text
}

func (m *model) allSeen() bool {
	if m.blind {
		return false
	}
	for _, p := range modelPaths {
		if m.unreadLocal[p] || m.unreadRemote[p] {
			return false
		}
	}
	return true
}

func (m *model) item(p string, canSeeLocal, canSeeRemote bool) Item {
	item := Item{Path: p}
	if base, known := m.base[p]; known {
		item.Base = &base
	}
	if canSeeLocal {
		item.Local = seen(m.local[p].Entry)
	}
	switch {
	case m.blind:
		item.Remote.Knowledge = Assumed
		if item.Base != nil {
			item.Remote.Entry = item.Base.Remote
		}
	case canSeeRemote:
		item.Remote = seen(m.remote[p].Entry)
	}
	if base, known := m.recognized[p]; known {
		item.Recognized = &base
	}
	switch {
	case m.different[p]:
		item.Contents = Different
	case m.hashes:
		item.Contents = Comparable
	}
	return item
}

// reconcile decides about everything below folder, as a scan does: children before the
// deletion of their folder, and no deletion of a folder in which something stays.
func (m *model) reconcile(folder string, canSeeLocal, canSeeRemote bool, p *Plan, totals *Totals) (keeps bool) {
	names := slices.Concat(m.local.children(folder), m.remote.children(folder))
	for known := range m.base {
		if parent(known) == folder {
			names = append(names, known)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		item := m.item(name, canSeeLocal, canSeeRemote)
		d := Decide(m.rules, item)
		deletes := d.Op != nil && d.Op.Action.Deletes()
		if d.Op != nil && !deletes {
			p.Ops = append(p.Ops, *d.Op)
		}
		stays := d.Keeps
		if d.Descend {
			stays = m.reconcile(name, item.Local.Knowledge != Unknown && !m.unreadLocal[name],
				item.Remote.Knowledge != Unknown && !m.unreadRemote[name], p, totals) || stays
		}
		keeps = keeps || stays
		switch {
		case deletes && stays && d.Descend:
			p.Notes = append(p.Notes, Note{Path: name, Text: "something in it stays"})
			continue
		case deletes:
			p.Ops = append(p.Ops, *d.Op)
		}
		totals.Count(item, d)
		if d.Agree != nil {
			p.Agree = append(p.Agree, *d.Agree)
		}
		if d.Forget {
			p.Forget = append(p.Forget, name)
		}
		if d.Note != nil {
			p.Notes = append(p.Notes, *d.Note)
		}
	}
	targetUnread := !canSeeRemote
	switch m.rules.Direction {
	case Down:
		targetUnread = !canSeeLocal
	case Both:
		targetUnread = !canSeeLocal || !canSeeRemote
	}
	return keeps || targetUnread && !(m.blind && m.rules.Direction == Up)
}

func (m *model) plan() (*Plan, Totals) {
	p, totals := &Plan{}, Totals{Direction: m.rules.Direction, Known: len(m.base), Local: RootFilled, Remote: RootFilled}
	m.reconcile("", true, true, p, &totals)
	return p, totals
}

// apply carries a plan out as the workers do, deletes last. It reports whether every
// operation found what the plan saw.
func (m *model) apply(t *testing.T, p *Plan) (clean bool) {
	clean = true
	for _, a := range p.Agree {
		m.base[a.Path] = a.Base
		delete(m.recognized, a.Path)
	}
	for _, forgotten := range p.Forget {
		delete(m.base, forgotten)
	}
	for _, deletes := range []bool{false, true} {
		for _, op := range p.Ops {
			if op.Action.Deletes() == deletes {
				m.check(t, op)
				clean = m.carryOut(t, op) && clean
			}
		}
	}
	return clean
}

// checkMirror: in the end every file and folder of the source is at the target, unless
// something there is in the way, which delete = false and links may be.
func (m *model) checkMirror(t *testing.T) {
	t.Helper()
	source, target := m.sides()
	for p, e := range source {
		if e.Kind == entry.Link || e.Kind == entry.Other || target[p].Kind == e.Kind {
			continue
		}
		blocked := false
		for at := p; at != "." && !blocked; at = path.Dir(at) {
			kind := target[at].Kind
			blocked = kind == entry.Link || kind == entry.Other || kind != entry.Absent && kind != source[at].Kind
		}
		if !blocked {
			t.Errorf("%s is missing at the target", p)
		}
	}
}

// checkEqual: in the end both sides hold the same, but for what is left alone and said so.
func (m *model) checkEqual(t *testing.T, p *Plan) {
	t.Helper()
	noted := map[string]bool{}
	for _, note := range p.Notes {
		noted[note.Path] = true
		if note.Conflict && (m.rules.Conflict == ResolveCopy || m.rules.Conflict == "") {
			t.Errorf("a conflict though both can be kept: %+v", note)
		}
	}
	both := maps.Clone(m.local)
	maps.Copy(both, m.remote)
	for p := range both {
		if m.hashes && m.mayBeTwins(p) && m.local[p].content == m.remote[p].content && noted[p] {
			t.Errorf("%s is left to a person, and the server can tell that both sides hold the same", p)
		}
		left := false
		for at := p; at != "."; at = path.Dir(at) {
			left = left || noted[at] && !(at != p && m.local[at].Kind == entry.Dir && m.remote[at].Kind == entry.Dir)
		}
		if here, far := m.local[p], m.remote[p]; !left && (here.Kind != far.Kind || here.content != far.content) {
			t.Errorf("%s is not the same on both sides: %+v and %+v", p, here, far)
		}
	}
}
