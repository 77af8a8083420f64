package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestASyncGoesOnAtAnotherAddress: while the first server is away its twin with the same files stands in, and nothing starts
// anew; when it is back it is used again.
func TestASyncGoesOnAtAnotherAddress(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	twin := ftptest.Real(t, "proftpd", ftptest.RealOptions{Root: server.Root})
	r := newRig(t, server, "up")
	r.adjust = func(cfg *config.Config) {
		cfg.Servers["real"].Addresses = []string{server.Addr, twin.Addr}
	}
	var mutex sync.Mutex
	var told []string
	r.observe = func(a agent.Activity) {
		mutex.Lock()
		defer mutex.Unlock()
		if a.Kind == agent.ActivityAddress {
			told = append(told, a.Text)
		}
	}
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(r.local, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	r.mustBeInStep("at the first address")
	server.Stop()
	write("two")
	if s := r.mustBeInStep("at the second address"); s.Transferred != 1 || s.Adopted != 0 {
		t.Errorf("%+v", s)
	}
	server.Start()
	write("three")
	if s := r.mustBeInStep("at the first address again"); s.Transferred != 1 || s.Adopted != 0 {
		t.Errorf("%+v", s)
	}
	mutex.Lock()
	defer mutex.Unlock()
	// The second pass that finds nothing to do is a new start, which begins at the first address.
	if len(told) == 0 || !strings.HasPrefix(told[0], twin.Addr+" is in use now in place of "+server.Addr) {
		t.Errorf("told: %q", told)
	}
}

// TestBandwidthOfAServer: transfers on all connections together are never faster than the limit.
func TestBandwidthOfAServer(t *testing.T) {
	const perSecond, files, size = 2 << 20, 6, 1 << 20
	for _, row := range [][2]string{{"vsftpd", "up"}, {"pure-ftpd", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row[0], ftptest.RealOptions{}), row[1])
			r.adjust = func(cfg *config.Config) {
				cfg.Servers["real"].Bandwidth = config.Timetable{{BytesPerSecond: perSecond}}
			}
			content := map[string]string{}
			for i := range files {
				content[fmt.Sprint("file ", i)] = strings.Repeat("x", size)
			}
			source := r.local
			if row[1] == "down" {
				source = r.remote
			}
			fill(t, source, content)
			began := time.Now()
			s := r.once()
			took := time.Since(began)
			least := time.Duration(float64(files*size) / perSecond * float64(time.Second))
			if s.Transferred != files || took < least*9/10 {
				t.Errorf("%d files in %s, want no less than %s", s.Transferred, took, least)
			}
			t.Logf("%.2f MiB a second", float64(files*size)/took.Seconds()/(1<<20))
		})
	}
}

// TestAPassBeforeTheWindow looks and changes nothing; in the window it does the same work once.
func TestAPassBeforeTheWindow(t *testing.T) {
	for _, row := range [][2]string{{"vsftpd", "up"}, {"proftpd", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row[0], ftptest.RealOptions{}), row[1])
			source, target := r.local, r.remote
			if row[1] == "down" {
				source, target = target, source
			}
			fill(t, source, map[string]string{"gone": "1", "stays": "1"})
			r.mustBeInStep("without a window")
			remove(t, source, "gone")
			fill(t, source, map[string]string{"stays": "22", "d/new": "22"})
			before := tree(t, target)
			windows := func(from, to time.Duration) {
				now := time.Now().UTC()
				text := now.Add(from).Format("15:04") + "-" + now.Add(to).Format("15:04")
				window, err := config.ParseWindow(text, time.UTC)
				if err != nil {
					t.Fatal(err)
				}
				r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Allowed = []config.Window{window} }
			}
			windows(10*time.Hour, 11*time.Hour)
			for pass := range 2 {
				report := r.once()
				if report.Transferred+report.Deleted+report.Folders > 0 || exit(report) != 75 || !cmp.Equal(before, tree(t, target)) {
					t.Errorf("pass %d before the window: %+v", pass, report)
				}
				for _, w := range report.Waiting {
					if !strings.Contains(w.Reason, "outside of the allowed times") {
						t.Errorf("%s waits: %s", w.Path, w.Reason)
					}
				}
				if waiting := pathsOf(report.Waiting); !slices.Equal(waiting, []string{"d", "d/new", "gone", "stays"}) {
					t.Errorf("pass %d: waiting: %q", pass, waiting)
				}
			}
			windows(-time.Hour, 10*time.Hour)
			if report := r.mustBeInStep("in the window"); report.Transferred != 2 || report.Deleted != 1 {
				t.Errorf("in the window: %+v", report)
			}
		})
	}
}

// hooked makes a sync whose hooks write down what they are about.
func hooked(t *testing.T, server, direction string, more ...string) (r *rig, log func() []string) {
	file := filepath.Join(t.TempDir(), "log")
	line := func(hook string) string {
		return fmt.Sprintf("echo \"%s $FTPFERRY_RESULT $FTPFERRY_PATH $FTPFERRY_BYTES $FTPFERRY_REMOTE\" >> %s", hook, file)
	}
	r = newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), direction, append(more,
		fmt.Sprintf("hooks = { before = [%q], after = [%q], on_error = [%q], shell = true }", line("before")+"; test ! -e veto", line("after"), line("on_error")))...)
	return r, func() []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		os.Remove(file)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

// TestHooksOfASync, written down in a configuration: around a transfer, around one that the server refuses, and when the first
// one says no.
func TestHooksOfASync(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, log := hooked(t, name, "up", `exclude = ["veto"]`)
			fill(t, r.local, map[string]string{"one": "hello"})
			r.mustBeInStep("first pass")
			if want, got := []string{"before  one  /site/one", "after done one 5 /site/one"}, log(); !slices.Equal(got, want) {
				t.Errorf("the hooks have written %q, want %q", got, want)
			}

			fill(t, r.local, map[string]string{"locked/": ""})
			r.mustBeInStep("a folder")
			if err := os.Chmod(filepath.Join(r.remote, "locked"), 0o555); err != nil {
				t.Fatal(err)
			}
			fill(t, r.local, map[string]string{"locked/x": "x"})
			if report := r.once(); exit(report) == 0 || report.Transferred > 0 {
				t.Errorf("the server refuses: %+v", report)
			}
			got := log()
			if want := []string{"before  locked/x  /site/locked/x", "on_error failed locked/x 0 /site/locked/x"}; len(got) < 2 || !slices.Equal(got[:2], want) {
				t.Errorf("the server refuses: the hooks have written %q, want %q", got, want)
			}
			if err := os.Chmod(filepath.Join(r.remote, "locked"), 0o777); err != nil {
				t.Fatal(err)
			}
			remove(t, r.local, "locked")

			fill(t, r.local, map[string]string{"two": "2", "veto": ""})
			if report := r.once(); report.Unfinished != 1 || report.Transferred > 0 || exit(report) != 75 {
				t.Errorf("the hook says no: %+v", report)
			}
			if got := log(); slices.ContainsFunc(got, func(line string) bool { return line != "before  two  /site/two" }) {
				t.Errorf("the hook says no: the hooks have written %q", got)
			}
		})
	}
}

// TestOneTransferAtATime: no hook of one comes between those of another.
func TestOneTransferAtATime(t *testing.T) {
	for _, row := range [][2]string{{"vsftpd", "up"}, {"pure-ftpd", "up"}, {"proftpd", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			r, log := hooked(t, row[0], row[1], "transfers = 1")
			source := r.local
			if row[1] == "down" {
				source = r.remote
			}
			fill(t, source, many(24))
			r.mustBeInStep("first pass")
			lines := log()
			if len(lines) != 2*24 {
				t.Fatalf("%d lines: %q", len(lines), lines)
			}
			for i := 0; i < len(lines); i += 2 {
				began, ended := strings.Fields(lines[i]), strings.Fields(lines[i+1])
				if began[0] != "before" || ended[0] != "after" || began[1] != ended[2] {
					t.Fatalf("two at a time: %q and %q", lines[i], lines[i+1])
				}
			}
		})
	}
}
