package agent_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestWhatComesBackBeforeItsDeletion stays: a file that is made anew when its deletion is planned already, on the side where it
// was missing.
func TestWhatComesBackBeforeItsDeletion(t *testing.T) {
	for i, test := range []struct{ direction, side string }{{"up", "local"}, {"down", "remote"}, {"both", "local"}, {"both", "remote"}} {
		name := ftptest.RealServers[i]
		t.Run(fmt.Sprintf("%s/%s of %s", name, test.side, test.direction), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), test.direction)
			relay := r.behind()
			root := *r.side(test.side)
			fill(t, root, drillTree)
			r.mustBeInStep("at first")
			remove(t, root, "x")
			var happened atomic.Bool
			// When the server has listed the top folder, both sides of it are read.
			relay.cut = func(reply string) bool {
				if strings.HasPrefix(reply, "226") && happened.CompareAndSwap(false, true) {
					fill(t, root, map[string]string{"x": "back again"})
				}
				return false
			}
			if report := r.once(); report.Deleted > 0 || !happened.Load() {
				t.Errorf("%+v", report)
			}
			r.mustBeInStep("afterwards")
			for _, side := range r.sides() {
				if side["x"] != "back again" {
					t.Errorf("the file has %q", side["x"])
				}
			}
		})
	}
}

// TestAFolderThatGetsAFileWhileItIsDeleted keeps it, and comes back with it.
func TestAFolderThatGetsAFileWhileItIsDeleted(t *testing.T) {
	for i, name := range ftptest.RealServers {
		side := []string{"local", "remote"}[i%2]
		t.Run(name+"/"+side, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "both")
			fill(t, r.local, drillTree)
			r.mustBeInStep("at first")
			other := map[string]string{"local": "remote", "remote": "local"}[side]
			remove(t, *r.side(side), "a")
			var happened atomic.Bool
			r.observe = func(a agent.Activity) {
				if a.Kind == agent.ActivityQueued && a.Path == "a" && happened.CompareAndSwap(false, true) {
					fill(t, *r.side(other), map[string]string{"a/new": "just in time"})
				}
			}
			r.once()
			r.observe = nil
			r.mustBeInStep("afterwards")
			if got := r.sides()[side]; !happened.Load() || got["a/new"] != "just in time" {
				t.Errorf("happened %v, there is %v", happened.Load(), got)
			}
		})
	}
}

// TestDeletionsThatTrickle: what is deleted bit by bit counts together for as long as it waits to be passed on, which is for
// the settle time. Slower than that, each bit passes that max_delete allows: nobody can tell it from a person at work.
func TestDeletionsThatTrickle(t *testing.T) {
	for _, test := range []struct {
		direction, server, settle string
		bits                      int
		halts                     bool
	}{
		{"up", "vsftpd", "1m", 5, true},
		{"both", "pure-ftpd", "1m", 5, true},
		{"up", "proftpd", "3s", 60, true}, // all at once
		{"both", "pyftpdlib", "3s", 60, true},
		{"up", "pyftpdlib", "0s", 5, false},
	} {
		t.Run(fmt.Sprintf("%d at a time/settle %s/%s/%s", test.bits, test.settle, test.direction, test.server), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, test.server, ftptest.RealOptions{}), test.direction, "watch = true")
			r.impatient = true
			files := many(60)
			fill(t, r.local, files)
			r.mustBeInStep("at first")
			r.set(`settle = "0s"`, `settle = "`+test.settle+`"`)
			seen := &diary{}
			halted := func() bool {
				return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityHalted })
			}
			r.with(agent.Options{Triggers: true, Observe: seen.add}, func(*agent.Agent) {
				eventually(t, "the watch stands", func() bool {
					return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityScanned })
				})
				for first := 0; first < 60 && !halted(); first += test.bits {
					for i := range test.bits {
						remove(t, r.local, fmt.Sprintf("f%03d", first+i))
					}
					last := fmt.Sprintf("f%03d", first+test.bits-1)
					eventually(t, "they are seen", func() bool {
						return halted() || seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityQueued && a.Path == last })
					})
					if !test.halts {
						eventually(t, "they are passed on", r.equal)
						if first >= 10 {
							return
						}
					}
				}
			})
			if halted() != test.halts {
				t.Errorf("halted is %v", halted())
			}
			if test.halts {
				if diff := cmp.Diff(files, tree(t, r.remote)); diff != "" {
					t.Errorf("on the server:\n%s", diff)
				}
			}
		})
	}
}
