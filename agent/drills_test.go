package agent_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// drillTree is what is in step before something goes wrong: more than may be deleted without a question.
var drillTree = map[string]string{
	"a/1": "a1", "a/2": "a2", "a/3": "a3", "a/4": "a4", "a/5": "a5", "b/1": "b1", "b/2": "b2", "b/3": "b3", "b/4": "b4", "b/c/1": "c1", "b/c/2": "c2",
	"index.html": "index", "x": "x", "y": "y", "empty folder/": "",
}

// strangers are files of somebody else, one of them with a name that is taken.
var strangers = map[string]string{"wp-config": "another", "mail/inbox": "letters", "index.html": "of somebody else"}

// side is one side of the sync of a rig: "local" or "remote".
func (r *rig) side(side string) *string {
	if side == "local" {
		return &r.local
	}
	return &r.remote
}

// in gives a rig a folder of its own on a server that it shares with others.
func (r *rig) in(name string) *rig {
	r.t.Helper()
	r.set("site\"", name+"\"")
	r.remote = filepath.Join(r.server.Root, name)
	if err := os.MkdirAll(r.remote, 0o777); err != nil {
		r.t.Fatal(err)
	}
	os.Chmod(r.remote, 0o777)
	return r
}

// sides is what is on both sides; a folder that is missing has "missing" in it.
func (r *rig) sides() map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, side := range []string{"local", "remote"} {
		root := *r.side(side)
		if _, err := os.Lstat(root); errors.Is(err, fs.ErrNotExist) {
			found[side] = map[string]string{"missing": "yes"}
		} else {
			found[side] = tree(r.t, root)
		}
	}
	return found
}

// mustHalt makes a pass that is halted for this reason and changes nothing anywhere.
func (r *rig) mustHalt(what, code, reason string) {
	r.t.Helper()
	before := r.sides()
	report := r.once()
	if !strings.Contains(report.Halt, reason) || report.Deleted+report.Transferred > 0 || exit(report) != control.ExitNeedsPerson {
		r.t.Fatalf("%s: want a halt with %q, exit code %d: %+v", what, reason, exit(report), report)
	}
	if diff := cmp.Diff(before, r.sides()); diff != "" {
		r.t.Fatalf("%s: the pass has changed something:\n%s", what, diff)
	}
	r.stopped(func(a *agent.Agent, db *state.DB) {
		err := db.View(func(tx *state.Tx) error {
			row, err := state.GetSync(tx, "s")
			if row.HaltCode != code {
				r.t.Errorf("%s: halted with code %q, want %q: %s", what, row.HaltCode, code, row.Halt)
			}
			return err
		})
		overview, statusErr := a.Status(r.t.Context(), control.StatusFilter{})
		list := overview.Syncs
		if err != nil || statusErr != nil || list[0].State != control.StopHalt || list[0].Jobs.Stop.Reason != report.Halt {
			r.t.Errorf("%s: status %+v, %v, %v", what, list, err, statusErr)
		}
	})
}

// mustStayHalted has an agent that watches meet a change, which must not take anything else with it.
func (r *rig) mustStayHalted(what string) {
	r.t.Helper()
	seen := &diary{}
	fill(r.t, r.local, map[string]string{"event": "1"})
	before := r.sides()
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(a *agent.Agent) {
		eventually(r.t, "the watch stands", func() bool {
			return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityTriggered })
		})
		fill(r.t, r.local, map[string]string{"event": "22"})
		before["local"]["event"] = "22"
		if report, err := a.Pass(r.t.Context(), nil); err != nil || report.Syncs[0].Halt == "" {
			r.t.Errorf("%s: %+v, %v", what, report, err)
		}
	})
	if diff := cmp.Diff(before, r.sides()); diff != "" {
		r.t.Errorf("%s: an event has changed something:\n%s", what, diff)
	}
	remove(r.t, r.local, "event")
}

func (r *rig) approve() {
	r.t.Helper()
	r.stopped(func(a *agent.Agent, _ *state.DB) {
		if err := a.ApproveStopped("s"); err != nil {
			r.t.Fatal(err)
		}
	})
}

// drill is something that goes wrong with one side of a sync as a whole.
type drill struct {
	name   string
	happen func(r *rig, side string)
	repair func(r *rig, side string)
	// source, target and both are the codes of the halt where that side is the source, where it is the target, and in both
	// directions; "" for none, then all is put right again without a person; skip for no such drill.
	source, target, both string
	reason               string // for people; SIDE stands for the side
	stays                bool   // an approval alone does not help
	trash                bool
	more                 []string
}

func emptied(r *rig, side string) {
	for name := range drillTree {
		name, _, _ = strings.Cut(name, "/")
		remove(r.t, *r.side(side), name)
	}
}

func renamed(r *rig, side string) {
	if err := os.Rename(*r.side(side), *r.side(side)+".away"); err != nil {
		r.t.Fatal(err)
	}
}

func renamedBack(r *rig, side string) {
	if err := os.Rename(*r.side(side)+".away", *r.side(side)); err != nil {
		r.t.Fatal(err)
	}
}

// replaced puts a folder with other files in place of one.
func replaced(r *rig, side string) {
	renamed(r, side)
	fill(r.t, *r.side(side), strangers)
}

func putBack(r *rig, side string) {
	remove(r.t, *r.side(side), ".")
	renamedBack(r, side)
}

func saved(r *rig, side string) {
	root, other := *r.side(side), r.remote
	if side == "remote" {
		other = r.local
	}
	emptied(r, side)
	if err := os.CopyFS(root, os.DirFS(other)); err != nil {
		r.t.Fatal(err)
	}
	fill(r.t, root, nil)
	for name := range drillTree {
		if info, err := os.Stat(filepath.Join(other, name)); err == nil && !info.IsDir() {
			setTime(r.t, root, name, info.ModTime())
		}
	}
}

const skip = "-"

var drills = []drill{
	{
		name: "everything is deleted", happen: emptied, repair: saved,
		source: plan.HaltRootEmpty, target: plan.HaltRootEmpty, both: plan.HaltRootEmpty, reason: "the SIDE folder is empty, but 18 paths were in step before",
	},
	{
		name: "everything is deleted that would go to the trash", happen: emptied, repair: saved, trash: true,
		source: skip, target: skip, both: plan.HaltRootEmpty, reason: "the SIDE folder is empty, but 18 paths were in step before",
	},
	{
		name: "everything but one file is deleted", repair: saved,
		happen: func(r *rig, side string) {
			emptied(r, side)
			saved(r, side)
			for name := range drillTree {
				if name != "x" {
					name, _, _ = strings.Cut(name, "/")
					remove(r.t, *r.side(side), name)
				}
			}
		},
		source: plan.HaltMaxDelete, both: plan.HaltMaxDelete, reason: "13 files of 18 known paths would be deleted, more than max_delete allows",
	},
	{
		name: "the folder is renamed", happen: renamed, repair: renamedBack, stays: true,
		source: plan.HaltRootMissing, target: plan.HaltRootMissing, both: plan.HaltRootMissing, reason: "the SIDE folder is gone, but 18 paths were in step before",
	},
	{
		name: "another folder takes its place", happen: replaced, repair: putBack,
		target: plan.HaltOtherContent, source: skip, both: skip,
		reason: "the SIDE folder holds none of the 14 files that were in step before, but 2 others",
	},
	{
		name: "another folder takes the place of the source", happen: replaced, repair: putBack,
		source: plan.HaltMaxDelete, target: skip, both: skip,
		reason: "13 files of 18 known paths would be deleted, more than max_delete allows",
	},
	{
		name: "another folder takes its place, and any number may be deleted", happen: replaced, repair: putBack, more: []string{`max_delete = "100%"`},
		both: plan.HaltOtherContent, source: skip, target: skip,
		reason: "the SIDE folder holds none of the 14 files that were in step before, but 2 others",
	},
}

// TestDrills: whatever happens to a side as a whole, nothing is deleted for it and nothing else is done, until a person says so.
func TestDrills(t *testing.T) {
	servers := map[string]*ftptest.RealServer{}
	for _, name := range ftptest.RealServers {
		servers[name] = ftptest.Real(t, name, ftptest.RealOptions{})
	}
	t.Run("each", func(t *testing.T) {
		n := 0
		for _, d := range drills {
			for _, side := range []string{"local", "remote"} {
				for _, direction := range []string{"up", "down", "both"} {
					if d.code(direction, side) == skip {
						continue
					}
					n++
					// Each drill meets all servers.
					name := ftptest.RealServers[n%len(ftptest.RealServers)]
					folder := fmt.Sprintf("drill%d", n)
					t.Run(fmt.Sprintf("%s/%s side of %s/%s", d.name, side, direction, name), func(t *testing.T) {
						t.Parallel()
						d.run(newRig(t, servers[name], direction, append(d.more, triggers[direction])...).in(folder), direction, side)
					})
				}
			}
		}
	})
}

// triggers are for each direction what may have a pass come by itself.
var triggers = map[string]string{"up": "watch = true", "both": "watch = true", "down": `schedule = ["@yearly"]`}

// code is that of the halt which is to come.
func (d drill) code(direction, side string) string {
	switch {
	case direction == "both":
		return d.both
	case (direction == "up") == (side == "local"):
		return d.source
	}
	return d.target
}

func (d drill) run(r *rig, direction, side string) {
	if d.trash {
		r.set("delete = true", `delete = "trash"`)
	}
	from := r.local
	if direction == "down" {
		from = r.remote
	}
	fill(r.t, from, drillTree)
	r.mustBeInStep("at first")
	whole := r.sides()
	code, reason := d.code(direction, side), strings.ReplaceAll(d.reason, "SIDE", side)
	stays := d.stays && (direction != "up" || side != "remote") // there anybody may make a folder anew

	d.happen(r, side)
	if code == "" {
		if report := r.mustBeInStep("put right"); report.Deleted > 0 {
			r.t.Errorf("%+v", report)
		}
		if diff := cmp.Diff(whole, r.sides()); diff != "" {
			r.t.Error(diff)
		}
		return
	}
	r.mustHalt("the drill", code, reason)
	if r.mustHalt("the drill, after a restart", code, reason); direction != "down" && r.sides()["local"]["missing"] == "" {
		r.mustStayHalted("the drill")
	}

	d.repair(r, side)
	r.mustHalt("repaired, and nobody has said so", code, reason)
	r.approve()
	if report := r.mustBeInStep("repaired and approved"); report.Deleted > 0 {
		r.t.Errorf("%+v", report)
	}
	if diff := cmp.Diff(whole, r.sides()); diff != "" {
		r.t.Errorf("repaired and approved:\n%s", diff)
	}

	if d.happen(r, side); stays {
		r.approve()
		r.mustHalt("approved, which does not help", code, reason)
		d.repair(r, side)
	} else {
		r.mustHalt("the drill, once more", code, reason)
	}
	r.approve()
	if !d.trash {
		r.mustBeInStep("approved")
		return
	}
	r.once()
	trash, rest := 0, 0
	for _, content := range r.sides() {
		for name := range content {
			if strings.HasPrefix(name, ".ferry-trash/") {
				trash++
			} else if name != ".ferry-trash/" {
				rest++
			}
		}
	}
	if trash < 14 || rest > 0 {
		r.t.Errorf("%d in the trash, %d elsewhere: %v", trash, rest, r.sides())
	}
}

// TestAMistypedFolder: a sync whose configuration names another folder than before, which holds something else, asks first. With
// the slip of the pen put right it goes on as if nothing had been.
func TestAMistypedFolder(t *testing.T) {
	servers := map[string]*ftptest.RealServer{}
	for _, name := range ftptest.RealServers {
		servers[name] = ftptest.Real(t, name, ftptest.RealOptions{})
	}
	t.Run("each", func(t *testing.T) {
		n := 0
		for _, deletes := range []string{"true", "false"} {
			for _, side := range []string{"local", "remote"} {
				for _, direction := range []string{"up", "down", "both"} {
					if deletes == "false" && (direction == "both") != (side == "local") {
						continue // differs from the other side in nothing that matters here
					}
					n++
					server := servers[ftptest.RealServers[n%len(ftptest.RealServers)]]
					folder := fmt.Sprintf("typed%d", n)
					t.Run(fmt.Sprintf("%s/%s/delete %s/%s", side, direction, deletes, server.Name), func(t *testing.T) {
						t.Parallel()
						r := newRig(t, server, direction).in(folder)
						r.set("delete = true", "delete = "+deletes)
						from := r.local
						if direction == "down" {
							from = r.remote
						}
						fill(t, from, drillTree)
						r.mustBeInStep("at first")
						whole, right := r.sides(), *r.side(side)

						wrong := right + "-old"
						fill(t, wrong, strangers)
						r.edit(filepath.Base(right)+"\"", filepath.Base(wrong)+"\"")
						*r.side(side) = wrong
						const reason = "the sync has other folders than before, and there only 0 files are the same on both sides"
						r.mustHalt("mistyped", plan.HaltFirstContact, reason)
						r.mustHalt("mistyped, after a restart", plan.HaltFirstContact, reason)

						r.edit(filepath.Base(wrong)+"\"", filepath.Base(right)+"\"")
						*r.side(side) = right
						if report := r.mustBeInStep("put right"); report.Deleted+report.Transferred > 0 {
							t.Errorf("put right: %+v", report)
						}
						if diff := cmp.Diff(whole, r.sides()); diff != "" {
							t.Errorf("put right:\n%s", diff)
						}
						if deletes == "false" && direction != "both" {
							return // what is too much at the target stays, so that they are not in step
						}
						r.edit(filepath.Base(right)+"\"", filepath.Base(wrong)+"\"")
						*r.side(side) = wrong
						r.mustHalt("meant so", plan.HaltFirstContact, reason)
						r.approve()
						r.mustBeInStep("approved")
					})
				}
			}
		}
	})
}
