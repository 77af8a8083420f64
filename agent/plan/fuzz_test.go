package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

const randomWorlds = 3000

// check holds an operation against the rules and against what truly is there.
func (m *model) check(t *testing.T, op Op) {
	t.Helper()
	allowed := map[Direction][]Action{Up: {Upload, MakeRemoteDir, DeleteRemote, LinkRemote, Compare}, Down: {Download, MakeLocalDir, DeleteLocal, LinkLocal, Compare}}
	if m.rules.Direction != Both && !slices.Contains(allowed[m.rules.Direction], op.Action) {
		t.Errorf("%s %s changes the source", op.Action, op.Path)
	}
	from, _ := m.ends(op.Action)
	fromSide, toSide := looks(op)
	base := m.effective(op.Path)
	var was entry.Entry
	if base != nil {
		_, was = agreedOn(op.Action, *base)
	}
	if fromSide.Knowledge == Unknown {
		t.Errorf("%s %s: nobody could look at where it comes from", op.Action, op.Path)
	}
	switch op.Action {
	case SetAsideLocal, SetAsideRemote:
		if op.Local.Knowledge != Seen || op.Remote.Knowledge != Seen {
			t.Errorf("%s %s: nobody saw both", op.Action, op.Path)
		}
		return
	case Compare:
		m.checkCompares(t, op)
		return
	case DeleteLocal, DeleteRemote:
	default:
		if op.Local.Knowledge == Seen && op.Remote.Knowledge == Seen && equal(op.Local.Entry, op.Remote.Entry) && !m.rules.Consume {
			if base == nil || !same(toSide.Entry, was) {
				t.Errorf("%s %s: both sides are equal", op.Action, op.Path)
			}
		}
		return
	}
	if !m.rules.Delete {
		t.Errorf("%s %s: delete is off", op.Action, op.Path)
	}
	if toSide.Knowledge == Unknown || m.rules.Direction == Both && (toSide.Knowledge != Seen || fromSide.Knowledge != Seen) {
		t.Errorf("%s %s: nobody looked", op.Action, op.Path)
	}
	if truth := from[op.Path]; fromSide.Knowledge == Seen && truth.Kind != entry.Absent && (!op.Replan || truth.Kind == toSide.Entry.Kind) {
		t.Errorf("%s %s: it is there on the other side", op.Action, op.Path)
	}
	if op.Extra != (base == nil) || op.Extra && m.rules.Direction == Both {
		t.Errorf("%s %s: extra is %v, the baseline %v", op.Action, op.Path, op.Extra, base)
	}
	if base != nil && (base.Unreadable || !(op.Replan && toSide.Entry.Kind == entry.Dir) && !same(was, toSide.Entry)) {
		t.Errorf("%s %s: it is not what both sides agreed on", op.Action, op.Path)
	}
}

// checkCompares: only what would be left to a person is compared, and only where that can tell something.
func (m *model) checkCompares(t *testing.T, op Op) {
	t.Helper()
	item := m.item(op.Path, true, true)
	here, there := op.Local, op.Remote
	if !m.hashes || m.different[op.Path] || here.Knowledge != Seen || there.Knowledge != Seen || here.Entry.Kind != entry.File || there.Entry.Kind != entry.File ||
		here.Entry.Size < 0 || here.Entry.Size != there.Entry.Size {
		t.Errorf("compare %s: that tells nothing", op.Path)
	}
	item.Contents = Untold
	if d := Decide(m.rules, item); d.Note == nil || !d.Note.Conflict {
		t.Errorf("compare %s: it would not be left to a person, but %+v", op.Path, d)
	}
}

// effective is what counts as the baseline of a path.
func (m *model) effective(p string) *Base {
	if base, known := m.recognized[p]; known {
		return &base
	}
	if base, known := m.base[p]; known {
		return &base
	}
	return nil
}

// mayLose reports whether the rules let an operation destroy what is at its target, of which there is no other copy.
func (m *model) mayLose(op Op, victim node) bool {
	base, oneWay := m.effective(op.Path), m.rules.Direction != Both
	if base != nil && base.Unreadable {
		return oneWay && !op.Action.Deletes() && !m.rules.keepsForeign()
	}
	if op.Action.Deletes() && base == nil {
		return m.rules.Delete && oneWay
	}
	stayed := false // where it comes from nothing changed, so that it cannot win
	if base != nil {
		from, to := agreedOn(op.Action, *base)
		if same(victim.Entry, to) {
			return true
		}
		winner, _ := m.ends(op.Action)
		stayed = same(winner[op.Path].Entry, from)
	}
	if oneWay {
		return !op.Action.Deletes() && !m.rules.keepsForeign()
	}
	return !op.Action.Deletes() && !stayed && slices.Contains([]Resolution{ResolveNewer, ResolveLocal, ResolveRemote}, m.rules.Conflict)
}

// carryOut does what a worker does. What it destroys must be somewhere else, or the rules want it gone.
func (m *model) carryOut(t *testing.T, op Op) bool {
	from, to := m.ends(op.Action)
	fromSide, _ := looks(op)
	victim := to[op.Path]
	mayLose := m.mayLose(op, victim)
	if !op.MayReplace(m.rules, victim.Entry) || !same(from[op.Path].Entry, fromSide.Entry) {
		return false
	}
	switch op.Action {
	case SetAsideLocal, SetAsideRemote:
		return m.setAside(to, op)
	case Compare:
		m.compare(op.Path)
		return true
	case DeleteLocal, DeleteRemote:
		if len(to.children(op.Path)) > 0 {
			return false
		}
		delete(to, op.Path)
		delete(m.base, op.Path)
		m.removed = append(m.removed, op.Path)
	default:
		if !m.send(from, to, op, victim) {
			return false
		}
	}
	if victim.content != "" && !m.local.holds(victim.content) && !m.remote.holds(victim.content) && !mayLose {
		t.Errorf("%s %s (%s): %q is lost", op.Action, op.Path, op.Reason, victim.content)
	}
	delete(m.recognized, op.Path)
	if m.rules.Consume && from[op.Path].Kind == entry.File {
		if to[op.Path].content != from[op.Path].content {
			t.Errorf("%s: goes away though it did not arrive", op.Path)
		}
		delete(from, op.Path)
		delete(m.base, op.Path)
	}
	return true
}

// compare changes nothing but what is known.
func (m *model) compare(p string) {
	if here, there := m.local[p], m.remote[p]; here.content == there.content {
		m.base[p] = Base{Local: here.Entry, Remote: there.Entry}
		delete(m.recognized, p)
		return
	}
	m.different[p] = true
}

func (m *model) setAside(side tree, op Op) bool {
	name := op.To
	for number := 2; m.local[name].Kind != entry.Absent || m.remote[name].Kind != entry.Absent; number++ {
		name = Numbered(op.To, number)
	}
	if parent(name) != parent(op.Path) {
		return false
	}
	side[name] = side[op.Path]
	delete(side, op.Path)
	delete(m.recognized, op.Path)
	if m.forgetsAside {
		delete(m.base, op.Path)
	}
	return true
}

func (m *model) send(from, to tree, op Op, victim node) bool {
	sent := from[op.Path]
	fits := sent.Kind
	switch op.Action {
	case Upload, Download:
		fits = entry.File
	case MakeLocalDir, MakeRemoteDir:
		fits = entry.Dir
	}
	if sent.Kind != fits || victim.Kind != entry.Absent && victim.Kind != fits {
		return false
	}
	for above := parent(op.Path); above != ""; above = parent(above) {
		switch kind := to[above].Kind; {
		case kind == entry.Absent && (m.rules.Direction == Both || m.rules.keepsForeign()):
			to[above] = node{Entry: dir} // the worker makes what is missing
		case kind != entry.Dir:
			return false // the plan makes folders before what goes into them
		}
	}
	if sent.Kind == entry.File && !m.keepsTimes && !(m.rules.Consume && victim.content == sent.content) {
		m.clock = m.clock.Add(time.Minute)
		sent.ModTime, sent.Precision = m.clock, time.Second
	}
	to[op.Path] = sent
	m.base[op.Path] = Base{Local: m.local[op.Path].Entry, Remote: m.remote[op.Path].Entry}
	return true
}

// checkHalted: what goes out before a guard has spoken destroys nothing, and where it is first contact with a target in which
// things would be deleted, nothing goes out.
func (m *model) checkHalted(t *testing.T, p *Plan, totals Totals) {
	t.Helper()
	halt := Guard(totals, Limits{AllowsDeletes: func(deletes, _ int) bool { return deletes == 0 }})
	if halt == nil {
		return
	}
	early, before := m.clone(), fmt.Sprint(m.local, m.remote)
	early.apply(t, &Plan{Ops: slices.DeleteFunc(slices.Clone(p.Ops), func(op Op) bool { return Guarded(m.rules, op, totals.Known, totals.Elsewhere) })})
	if len(early.removed) > 0 {
		t.Errorf("%s, and %q are gone", halt.Code, early.removed)
	}
	if halt.Code == HaltFirstContact && fmt.Sprint(early.local, early.remote) != before {
		t.Errorf("%s, and something was done", halt.Code)
	}
}

// FuzzReconcile plans and carries out until nothing is left to do, in worlds made of bytes.
func FuzzReconcile(f *testing.F) {
	for rules := range 64 {
		seed := []byte{byte(rules * 4), byte(rules * 5), byte(rules)}
		for i := range modelPaths {
			seed = append(seed, byte(i*37+rules*11), byte(i*53+7), byte(i*17+rules), byte(i*rules+1))
		}
		f.Add(seed)
		for _, world := range [][]byte{{0x44, 0x44, 0, 0}, {0x14, 0x44, 0, 0}, {0x01, 0x11, 0, 1}, {0x73, 0x11, 0, 0}, {0x44, 0x44, 1, 0}} {
			f.Add(slices.Concat([]byte{byte(rules), byte(rules), byte(rules >> 2)}, slices.Repeat(world, len(modelPaths))))
		}
	}
	f.Fuzz(reconcileAll)
}

// TestReconcileRandomWorlds does the same in worlds that fuzzing need not find.
func TestReconcileRandomWorlds(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 2026))
	data := make([]byte, 3+4*len(modelPaths))
	for range randomWorlds {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		if reconcileAll(t, data); t.Failed() {
			return
		}
	}
}

// reconcileAll plans and carries out until nothing is left to do, in a world made of bytes.
func reconcileAll(t *testing.T, data []byte) {
	m := newModel(data)
	defer func() {
		if t.Failed() {
			t.Log(newModel(data))
		}
	}()
	source, target := m.sides()
	sourceBefore, targetBefore := fmt.Sprint(source), len(target)
	first, totals := m.plan()
	m.checkHalted(t, first, totals)
	clean := m.apply(t, first)
	if m.rules.Direction != Both && !m.rules.Consume && fmt.Sprint(source) != sourceBefore {
		t.Fatal("the source changed")
	}
	if !m.rules.Delete && (len(target) < targetBefore || len(m.removed) > 0) {
		t.Error("something is gone at the target, and delete is off")
	}
	if m.allSeen() && !clean {
		t.Errorf("operations fail though everything was seen:\n%+v", first.Ops)
	}
	if !clean {
		return
	}
	twice := func(op Op) bool { return op.Replan || op.To != "" }
	if slices.ContainsFunc(first.Ops, twice) {
		second, _ := m.plan()
		if !m.apply(t, second) {
			if m.allSeen() {
				t.Errorf("operations fail the second time though everything was seen:\n%+v", second.Ops)
			}
			return
		}
	}
	last, _ := m.plan()
	if len(last.Ops)+len(last.Agree)+len(last.Forget) > 0 {
		t.Errorf("not in step after the plan was carried out:\n%+v\nthen\n%+v", first, last)
	}
	switch {
	case !m.allSeen():
	case m.rules.Direction == Both:
		m.checkEqual(t, last)
	case !m.rules.keepsForeign() && !m.rules.Consume:
		m.checkMirror(t)
	}
}
