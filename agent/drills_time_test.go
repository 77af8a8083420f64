package agent_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// shift moves the times of the files of drillTree on one side, at most so many of them.
func (r *rig) shift(side string, by time.Duration, most int) {
	r.t.Helper()
	root := *r.side(side)
	for name := range drillTree {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			r.t.Fatal(err)
		}
		if !info.IsDir() && most > 0 {
			setTime(r.t, root, name, info.ModTime().Add(by))
			most--
		}
	}
}

// TestAllTimesMove by an hour, on either side, forwards or back: that is no edit of all files. A few files that move are sent
// again, since that may be one.
func TestAllTimesMove(t *testing.T) {
	n := 0
	for _, side := range []string{"local", "remote"} {
		for _, direction := range []string{"up", "down", "both"} {
			n++
			by := time.Hour
			if n%2 == 0 {
				by = -by
			}
			name := ftptest.RealServers[n%len(ftptest.RealServers)]
			t.Run(fmt.Sprintf("%s/%s/%s/%s", by, side, direction, name), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction)
				from := r.local
				if direction == "down" {
					from = r.remote
				}
				fill(t, from, drillTree)
				r.mustBeInStep("at first")
				whole := r.sides()
				r.shift(side, by, 14)
				reason := fmt.Sprintf("the times of 14 files all moved by %s and nothing else did", by)
				r.mustHalt("all times moved", plan.HaltTimeShift, reason)
				r.mustHalt("all times moved, after a restart", plan.HaltTimeShift, reason)
				r.approve()
				if report := r.mustBeInStep("approved"); report.Deleted > 0 {
					t.Errorf("approved: %+v", report)
				}
				r.shift(side, by, 5)
				if report := r.mustBeInStep("five times moved"); report.Deleted > 0 || report.Transferred > 5 {
					t.Errorf("five times moved: %+v", report)
				}
				if diff := cmp.Diff(whole, r.sides()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestAServerThatTellsAnotherTimeZone than before: nothing is deleted, and at most a person is asked.
func TestAServerThatTellsAnotherTimeZone(t *testing.T) {
	for i, direction := range []string{"up", "down", "both"} {
		name := []string{"vsftpd", "pyftpdlib", "vsftpd"}[i]
		t.Run(direction+"/"+name, func(t *testing.T) {
			t.Parallel()
			options := ftptest.RealOptions{TimeZone: "EST5", LocalTime: true, Root: t.TempDir()}
			server := ftptest.Real(t, name, options)
			r := newRig(t, server, direction)
			from := r.local
			if direction == "down" {
				from = r.remote
			}
			fill(t, from, drillTree)
			r.mustBeInStep("at first")
			whole := r.sides()
			server.Stop()
			_, port, err := net.SplitHostPort(server.Addr)
			if err != nil {
				t.Fatal(err)
			}
			if options.Port, err = strconv.Atoi(port); err != nil {
				t.Fatal(err)
			}
			options.TimeZone = "UTC-3"
			ftptest.Real(t, name, options)
			report := r.once()
			if report.Deleted > 0 || report.Halt != "" && !strings.Contains(report.Halt, "a clock or time zone changed") {
				t.Errorf("%+v", report)
			}
			if diff := cmp.Diff(whole, r.sides()); diff != "" {
				t.Error(diff)
			}
			r.approve()
			if report := r.mustBeInStep("approved"); report.Deleted > 0 {
				t.Errorf("approved: %+v", report)
			}
		})
	}
}

// TestAMissingMarker stops all, wherever the files are, and no approval makes up for it.
func TestAMissingMarker(t *testing.T) {
	for i, direction := range []string{"up", "down", "both"} {
		for j, emptied := range []bool{false, true} {
			name := ftptest.RealServers[(i+2*j)%len(ftptest.RealServers)]
			t.Run(fmt.Sprintf("%s/all gone %v/%s", direction, emptied, name), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction, `marker = ".mounted"`)
				const reason = `the marker file ".mounted" is missing in the local folder`
				now := time.Now().Truncate(time.Second)
				for _, root := range []string{r.local, r.remote} {
					fill(t, root, drillTree)
					for name := range drillTree {
						setTime(t, root, name, now) // or else it may be another version, a second later
					}
				}
				r.mustHalt("at first", plan.HaltMarker, reason)
				// On the server it may be too, or not.
				for _, root := range []string{r.local, r.remote} {
					fill(t, root, map[string]string{".mounted": ""})
				}
				r.approve()
				r.once()
				whole := r.sides()
				gone := []string{".mounted"}
				code, says := plan.HaltMarker, reason
				if emptied {
					gone = append(gone, "a", "b", "index.html", "x", "y", "empty folder")
					code, says = plan.HaltRootEmpty, "the local folder is empty"
				}
				remove(t, r.local, gone...)
				r.mustHalt("without it", code, says)
				r.approve()
				r.mustHalt("approved, which does not help", plan.HaltMarker, reason)
				for name, content := range whole["local"] {
					if name == ".mounted" || slices.Contains(gone, strings.Split(name, "/")[0]) {
						fill(t, r.local, map[string]string{name: content})
					}
				}
				r.approve()
				if report := r.once(); report.Deleted > 0 || report.Halt != "" {
					t.Errorf("with it again: %+v", report)
				}
				if diff := cmp.Diff(whole, r.sides()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
