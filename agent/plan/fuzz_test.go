package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// tree is one side: what truly is there.
type tree map[string]entry.Entry

func (t tree) children(of string) []string {
	var names []string
	for p := range t {
		if parent(p) == of {
			names = append(names, p)
		}
	}
	return names
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
	// unread are folders that would not list, by side. blind: nobody looks at the far side.
	unreadLocal, unreadRemote map[string]bool
	blind                     bool
	keepsTimes                bool // the target keeps the times of the files it is sent
	clock                     time.Time
}

var modelPaths = []string{"a", "a/x", "a/x/1", "a/x/2", "a/y", "b", "b/x", "c", "d", "d/x"}

// newModel makes a model of bytes: one for the rules and three for each path.
func newModel(data []byte) *model {
	next := func() byte {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return b
	}
	rules := next()
	m := &model{
		rules: Rules{Direction: Up, Delete: rules&1 != 0},
		local: tree{}, remote: tree{}, base: map[string]Base{},
		unreadLocal: map[string]bool{}, unreadRemote: map[string]bool{},
		keepsTimes: rules&4 != 0, blind: rules&8 != 0, clock: noon,
	}
	if rules&2 != 0 {
		m.rules.Direction = Down
	}
	kinds := []entry.Entry{{}, file(1, 0), file(1, time.Hour), file(2, 0), dir, dir, link, file(2, time.Minute)}
	for _, p := range modelPaths {
		sides, known, unread := next(), next(), next()
		m.put(m.local, p, kinds[sides&7])
		m.put(m.remote, p, kinds[sides>>3&7])
		// The baseline holds files and folders only, the same on both sides.
		switch local, remote := kinds[known&7], kinds[known>>3&7]; {
		case local.Kind == entry.File && remote.Kind == entry.File, local.Kind == entry.Dir && remote.Kind == entry.Dir:
			m.base[p] = Base{Local: local, Remote: remote}
		}
		m.unreadLocal[p] = unread&15 == 1 && m.local[p].Kind == entry.Dir
		m.unreadRemote[p] = unread>>4 == 1 && m.remote[p].Kind == entry.Dir
	}
	return m
}

// put puts an entry where its folder is one.
func (m *model) put(t tree, p string, e entry.Entry) {
	if e.Kind != entry.Absent && (parent(p) == "" || t[parent(p)].Kind == entry.Dir) {
		t[p] = e
	}
}

func (m *model) sides() (source, target tree) {
	if m.rules.Direction == Down {
		return m.remote, m.local
	}
	return m.local, m.remote
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

// reconcile decides about everything below folder, as a scan does: children before the
// deletion of their folder, and no deletion of a folder in which something stays.
func (m *model) reconcile(folder string, canSeeLocal, canSeeRemote bool, p *Plan) (keeps bool) {
	names := slices.Concat(m.local.children(folder), m.remote.children(folder))
	for known := range m.base {
		if parent(known) == folder {
			names = append(names, known)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		item := Item{Path: name}
		if base, known := m.base[name]; known {
			item.Base = &base
		}
		if canSeeLocal {
			item.Local = seen(m.local[name])
		}
		switch {
		case m.blind:
			item.Remote.Knowledge = Assumed
			if item.Base != nil {
				item.Remote.Entry = item.Base.Remote
			}
		case canSeeRemote:
			item.Remote = seen(m.remote[name])
		}
		d := Decide(m.rules, item)
		deletes := d.Op != nil && d.Op.Action.Deletes()
		if d.Op != nil && !deletes {
			p.Ops = append(p.Ops, *d.Op)
		}
		stays := d.Keeps
		if d.Descend {
			stays = m.reconcile(name, item.Local.Knowledge != Unknown && !m.unreadLocal[name],
				item.Remote.Knowledge != Unknown && !m.unreadRemote[name], p) || stays
		}
		keeps = keeps || stays
		if deletes && !stays {
			p.Ops = append(p.Ops, *d.Op)
		}
		if d.Agree != nil {
			p.Agree = append(p.Agree, *d.Agree)
		}
		if d.Forget {
			p.Forget = append(p.Forget, name)
		}
	}
	targetUnread := !canSeeRemote
	if m.rules.Direction == Down {
		targetUnread = !canSeeLocal
	}
	return keeps || targetUnread && !(m.blind && m.rules.Direction == Up)
}

func (m *model) plan() *Plan {
	p := &Plan{}
	m.reconcile("", true, true, p)
	return p
}

// apply carries a plan out as the workers do, deletes last. It reports whether every
// operation found what the plan saw.
func (m *model) apply(t *testing.T, p *Plan) (clean bool) {
	clean = true
	for _, a := range p.Agree {
		m.base[a.Path] = a.Base
	}
	for _, forgotten := range p.Forget {
		delete(m.base, forgotten)
	}
	for _, deletes := range []bool{false, true} {
		for _, op := range p.Ops {
			if op.Action.Deletes() == deletes {
				m.check(t, op)
				clean = m.carryOut(op) && clean
			}
		}
	}
	return clean
}

// check holds an operation against the rules and against what truly is there.
func (m *model) check(t *testing.T, op Op) {
	t.Helper()
	source, _ := m.sides()
	allowed := map[Direction][]Action{Up: {Upload, MakeRemoteDir, DeleteRemote}, Down: {Download, MakeLocalDir, DeleteLocal}}
	if !slices.Contains(allowed[m.rules.Direction], op.Action) {
		t.Errorf("%s %s changes the source", op.Action, op.Path)
	}
	sourceSide, targetSide := op.Local, op.Remote
	if m.rules.Direction == Down {
		sourceSide, targetSide = targetSide, sourceSide
	}
	if sourceSide.Knowledge == Unknown {
		t.Errorf("%s %s: nobody could look at the source", op.Action, op.Path)
	}
	if !op.Action.Deletes() {
		if op.Local.Knowledge == Seen && op.Remote.Knowledge == Seen && entry.Equal(op.Local.Entry, op.Remote.Entry) {
			t.Errorf("%s %s: both sides are equal", op.Action, op.Path)
		}
		return
	}
	if !m.rules.Delete {
		t.Errorf("%s %s: delete is off", op.Action, op.Path)
	}
	if targetSide.Knowledge == Unknown {
		t.Errorf("%s %s: nobody could look at the target", op.Action, op.Path)
	}
	if truth := source[op.Path]; truth.Kind != entry.Absent && !op.Replan && truth.Kind == targetSide.Entry.Kind {
		t.Errorf("%s %s: it is there at the source", op.Action, op.Path)
	}
	if op.Extra != (op.Base == nil) {
		t.Errorf("%s %s: extra is %v, the baseline %v", op.Action, op.Path, op.Extra, op.Base)
	}
	if op.Base != nil && !op.Replan {
		was := op.Base.Remote
		if m.rules.Direction == Down {
			was = op.Base.Local
		}
		if !entry.Same(was, targetSide.Entry) {
			t.Errorf("%s %s: the target changed since both sides agreed", op.Action, op.Path)
		}
	}
}

func (m *model) carryOut(op Op) bool {
	source, target := m.sides()
	sourceSide, targetSide := op.Local, op.Remote
	if m.rules.Direction == Down {
		sourceSide, targetSide = targetSide, sourceSide
	}
	now := target[op.Path]
	looked := targetSide.Knowledge == Seen || targetSide.Knowledge == Assumed && op.Base != nil
	if !entry.Same(source[op.Path], sourceSide.Entry) || looked && !entry.Same(now, targetSide.Entry) {
		return false
	}
	if above := parent(op.Path); above != "" && target[above].Kind != entry.Dir {
		return false // the plan makes folders before what goes into them
	}
	sent := source[op.Path]
	switch op.Action {
	case DeleteLocal, DeleteRemote:
		if len(target.children(op.Path)) > 0 {
			return false
		}
		delete(target, op.Path)
		delete(m.base, op.Path)
		return true
	case Upload, Download:
		if now.Kind != entry.Absent && now.Kind != entry.File {
			return false
		}
		if !m.keepsTimes {
			m.clock = m.clock.Add(time.Minute)
			sent.ModTime, sent.Precision = m.clock, time.Second
		}
	default:
		if now.Kind != entry.Absent && now.Kind != entry.Dir {
			return false
		}
	}
	target[op.Path] = sent
	m.base[op.Path] = Base{Local: m.local[op.Path], Remote: m.remote[op.Path]}
	return true
}

// FuzzReconcile plans and carries out until nothing is left to do, in worlds made of bytes.
func FuzzReconcile(f *testing.F) {
	for rules := range 16 {
		seed := []byte{byte(rules)}
		for i := range modelPaths {
			seed = append(seed, byte(i*37+rules*11), byte(i*53+7), byte(i*17+rules))
		}
		f.Add(seed)
		f.Add(slices.Concat([]byte{byte(rules)}, slices.Repeat([]byte{0b100_100, 0b100_100, 0}, len(modelPaths))))
		f.Add(slices.Concat([]byte{byte(rules)}, slices.Repeat([]byte{0b001_100, 0b100_100, 0}, len(modelPaths))))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newModel(data)
		source, target := m.sides()
		sourceBefore := fmt.Sprint(source)
		first := m.plan()
		targetBefore := len(target)
		clean := m.apply(t, first)
		if fmt.Sprint(source) != sourceBefore {
			t.Fatal("the source changed")
		}
		if !m.rules.Delete && len(target) < targetBefore {
			t.Error("something is gone at the target, and delete is off")
		}
		if m.allSeen() && !clean {
			t.Errorf("operations fail though everything was seen:\n%+v", first.Ops)
		}
		if !clean {
			return
		}
		if slices.ContainsFunc(first.Ops, func(op Op) bool { return op.Replan }) {
			if !m.apply(t, m.plan()) {
				return
			}
		}
		last := m.plan()
		if len(last.Ops)+len(last.Agree)+len(last.Forget) > 0 {
			t.Errorf("not in step after the plan was carried out:\n%+v\nthen\n%+v", first, last)
		}
		if m.allSeen() {
			m.checkMirror(t)
		}
	})
}

// checkMirror: in the end every file and folder of the source is at the target, unless
// something there is in the way, which delete = false and links may be.
func (m *model) checkMirror(t *testing.T) {
	t.Helper()
	source, target := m.sides()
	for p, e := range source {
		if e.Kind == entry.Link || target[p].Kind == e.Kind {
			continue
		}
		blocked := false
		for at := p; at != "." && !blocked; at = path.Dir(at) {
			kind := target[at].Kind
			blocked = kind == entry.Link || kind != entry.Absent && kind != source[at].Kind
		}
		if !blocked {
			t.Errorf("%s is missing at the target", p)
		}
	}
}
