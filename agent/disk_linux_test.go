package agent_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// smallDisk is the size of a disk on which there is soon no room.
const smallDisk = 1 << 20

// mustFindNoRoom makes a pass that ends, with what there is no room for left to be tried later, and the reason at
// each of it; told as an alert the first time.
func (r *rig) mustFindNoRoom(first bool, reasons ...string) {
	r.t.Helper()
	began := time.Now()
	seen := &diary{}
	var report control.Report
	r.with(agent.Options{Observe: seen.add}, func(a *agent.Agent) {
		var err error
		if report, err = a.Pass(r.t.Context(), nil); err != nil {
			r.t.Fatal(err)
		}
	})
	if code := report.ExitCode(); code != control.ExitUnfinished || len(report.Syncs[0].Waiting) == 0 {
		r.t.Fatalf("exit code %d: %+v", code, report)
	}
	for _, left := range report.Syncs[0].Waiting {
		if !slices.ContainsFunc(reasons, func(reason string) bool { return strings.Contains(strings.ToLower(left.Reason), reason) }) {
			r.t.Errorf("%s waits without the reason: %s", left.Path, left.Reason)
		}
	}
	r.t.Logf("%s: %s", r.server.Name, report.Syncs[0].Waiting[0].Reason)
	if took := time.Since(began); took > patience { // it does not wait for room
		r.t.Errorf("took %s", took)
	}
	alerts := 0
	seen.has(func(a agent.Activity) bool {
		if a.Kind == agent.ActivityAlert {
			alerts++
		}
		return false
	})
	if want := map[bool]int{true: 1}[first]; alerts != want {
		r.t.Errorf("%d alerts", alerts)
	}
}

var (
	large    = strings.Repeat("0123456789abcdef", 700<<10/16)
	tooMuch  = map[string]string{"b.bin": large, "c.bin": large, "d/e.bin": large}
	muchLess = []string{"c.bin", "d"}
)

// TestAServerWithAFullDisk: what was deleted here makes room there, in the very pass that finds none.
func TestAServerWithAFullDisk(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	reasons := []string{"no space", "552", "452", "451 failure writing to local file", "451 error during write to file", "451 transfer aborted. input/output error"}
	// pyftpdlib says "426 None; transfer aborted.", of which nobody can make anything.
	for _, name := range []string{"vsftpd", "proftpd", "pure-ftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{Root: ftptest.Tmpfs(t, smallDisk, false)}), "up", "max_delete = 10")
			fill(t, r.local, map[string]string{"a.bin": large})
			r.mustBeInStep("as long as there is room")
			fill(t, r.local, tooMuch)
			r.mustFindNoRoom(true, reasons...)
			remove(t, r.local, append(muchLess, "a.bin")...)
			r.mustFindNoRoom(false, reasons...)
			if got := slices.Collect(maps.Keys(tree(t, r.remote))); slices.Contains(got, "a.bin") {
				t.Errorf("nothing was deleted: %q", got)
			}
			r.mustBeInStep("when there is room again")
		})
	}
}

// TestAServerWithAQuota of bytes.
func TestAServerWithAQuota(t *testing.T) {
	for _, name := range ftptest.RealServers {
		if !ftptest.Offers(name, "QuotaBytes") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{QuotaBytes: smallDisk}), "up", "max_delete = 10")
			fill(t, r.local, tooMuch)
			// Of two uploads that end at a time ProFTPD may confirm one that it then removes; the next try is refused.
			r.mustFindNoRoom(true, "quota", "552", "size on the server differs")
		})
	}
}

// TestAFullDiskHere: downloads wait, and what was deleted there makes room.
func TestAFullDiskHere(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "down", "max_delete = 10")
	disk := ftptest.Tmpfs(t, smallDisk, false)
	setOption(t, r, r.local, disk)
	r.local = disk
	fill(t, r.remote, map[string]string{"a.bin": large})
	r.mustBeInStep("as long as there is room")
	fill(t, r.remote, tooMuch)
	r.mustFindNoRoom(true, "no space left")
	remove(t, r.remote, append(muchLess, "a.bin")...)
	r.mustFindNoRoom(false, "no space left")
	r.mustBeInStep("when there is room again")
}
