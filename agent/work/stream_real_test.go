package work

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// pass uploads files, each by itself or in a stream, and returns what came of them, by path.
func (b *bench) pass(files map[string]string, bases map[string]*state.Baseline, streamed bool) map[string]Outcome {
	b.t.Helper()
	s := &stream{t: b.t, local: b.local, sync: b.sync, bases: bases, dropped: map[string]bool{}, ids: map[string]queue.ID{}}
	for _, name := range []string{"a-first", "b", "c", "d/e", "empty", "z"} {
		s.write(name, files[name])
		if base := bases[name]; base != nil {
			last := &s.ops[len(s.ops)-1]
			last.Base = &plan.Base{Local: base.Local, Remote: base.Remote}
			last.Remote.Entry = base.Remote
		}
	}
	s.dial = b.connect
	b.mu.Lock()
	b.commands = nil
	b.mu.Unlock()
	if streamed {
		return s.streamed(1)
	}
	return s.ordinarily(1)
}

// TestAStreamOnRealServers ends as each job by itself: with files that are new, and with newer versions of them.
func TestAStreamOnRealServers(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, one *bench) {
		other := one.again(t)
		files := map[string]string{"a-first": "1", "b": "22", "c": noise(100_000, 1), "d/e": "4444", "empty": "", "z": "666666"}
		basesOfOne, basesOfOther := map[string]*state.Baseline{}, map[string]*state.Baseline{}
		var sent map[string]string
		for version := range 2 {
			want, got := one.pass(files, basesOfOne, false), other.pass(files, basesOfOther, true)
			if version == 0 {
				other.asksAhead()
			}
			for path, o := range got {
				if o.Result != Done || want[path].Result != Done {
					t.Fatalf("version %d of %s: %s %v, in a stream %s %v", version, path, want[path].Result, want[path].Err, o.Result, o.Err)
				}
			}
			// Some servers number what they tell, or say how long it took.
			for _, outcomes := range []map[string]Outcome{want, got} {
				for path, o := range outcomes {
					o.Reply, o.Temp = "", ""
					outcomes[path] = o
				}
			}
			if diff := cmp.Diff(want, got, ofNoImportance); diff != "" {
				t.Errorf("version %d, each by itself (-), in a stream (+):\n%s", version, diff)
			}
			holds(t, one.remote, files)
			holds(t, other.remote, files)
			for bases, outcomes := range map[*map[string]*state.Baseline]map[string]Outcome{&basesOfOne: want, &basesOfOther: got} {
				for path, o := range outcomes {
					(*bases)[path] = &state.Baseline{Path: path, Local: o.Base.Local, Remote: o.Base.Remote}
				}
			}
			sent, files = files, maps.Clone(files)
			for path := range files {
				files[path] += fmt.Sprint(" and more ", version)
			}
		}
		for _, streamed := range []bool{false, true} {
			back := other.fetch(basesOfOther, streamed)
			for path, o := range back {
				if o.Result != Done || o.Bytes != int64(len(sent[path])) || o.Verified != "size" {
					t.Errorf("in a stream: %v, download of %s: %s, %d bytes, verified by %q: %v", streamed, path, o.Result, o.Bytes, o.Verified, o.Err)
				}
			}
			holds(t, other.local, sent)
		}
	})
}

// asksAhead fails if the first file of a stream went by itself: then the data connection of the second one is asked for behind its end. On pyftpdlib
// it always is.
func (b *bench) asksAhead() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := 0
	for _, command := range b.commands {
		switch verb, _, _ := strings.Cut(command, " "); verb {
		case "EPSV":
			asked++
		case "RNFR":
			if asked < 2 && b.conn.Facts().Server != "pyftpdlib" {
				b.t.Errorf("the first file went by itself:\n%s", strings.Join(b.commands, "\n"))
			}
			return
		}
	}
}

// fetch downloads files, as they are in step, into another local folder.
func (b *bench) fetch(bases map[string]*state.Baseline, streamed bool) map[string]Outcome {
	b.t.Helper()
	b.local = b.t.TempDir()
	b.sync.Local, b.sync.Rules.Direction, b.sync.Upload = b.local, plan.Down, Upload{}
	if err := os.Mkdir(filepath.Join(b.local, "d"), 0o777); err != nil {
		b.t.Fatal(err)
	}
	s := &stream{t: b.t, local: b.local, sync: b.sync, dial: b.connect, dropped: map[string]bool{}, ids: map[string]queue.ID{}}
	for path, base := range bases {
		s.plan(plan.Op{Action: plan.Download, Path: path, Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: base.Remote}})
	}
	if streamed {
		return s.streamed(1)
	}
	return s.ordinarily(1)
}
