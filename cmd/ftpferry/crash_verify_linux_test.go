package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestAKilledComparisonGoesOn kills the program while it compares contents. The next start goes on with that, without anybody asking
// again, and what differs is told once.
func TestAKilledComparisonGoesOn(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	const slow = "bandwidth = \"256KiB\"\n" // seconds to be killed in
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	g := newPair(t, server, plot{direction: "up", rules: "schedule = { cron = \"0 3 29 2 *\", do = \"verify\" }\n"})
	for _, name := range []string{"a", "b", "c"} {
		number(t, filepath.Join(g.local, name), size)
	}
	g.mustRun(0, []string{"in step"}, "once")
	there := filepath.Join(g.remote, "a")
	info, err := os.Stat(there)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(there, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte("!"), size/2)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(there, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	db, err := state.Open(g.stateFile(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *state.Tx) error { // the last time was missed
		return state.PutSchedule(tx, "s", "verify 0 3 29 2 *", state.Schedule{Upto: time.Now().AddDate(-9, 0, 0)})
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, g.config, strings.Replace(string(config), "[sync.s]\n", slow+"[sync.s]\n", 1))
	p := g.start("run")
	g.until(p, "it compares", func() bool { s, ok := g.status(); return ok && s.Jobs.Running > 0 })
	p.kill()
	g.look(func(tx *state.Tx) error {
		row, err := state.GetSchedule(tx, "s", "verify 0 3 29 2 *")
		if row.Begun.IsZero() {
			t.Errorf("it was over by then: %+v", row)
		}
		return err
	})
	write(t, g.config, string(config))
	p = g.start("run")
	defer p.kill()
	result := ""
	g.until(p, "it is over", func() bool {
		s, ok := g.status()
		if ok && len(s.Schedules) == 1 && !s.Schedules[0].Finished.IsZero() {
			result = s.Schedules[0].Result
		}
		return result != ""
	})
	p.kill()
	if !strings.Contains(result, "3 files compared: 0 by hash, 3 by reading them back; 1 differ") || !strings.Contains(result, "started anew in the middle") {
		t.Errorf("it says %q", result)
	}
	g.look(func(tx *state.Tx) error {
		rows, _, err := state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
		told := 0
		for _, h := range rows {
			if h.Op == "verify" {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times: %+v", told, rows)
		}
		return err
	})
}
