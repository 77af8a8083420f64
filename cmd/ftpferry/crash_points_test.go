package main

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// point is a step at which the program is killed.
type point struct {
	name string
	// at says, of what went over the control connection, that this is the step: the last line was not passed on yet. nil is
	// in the middle of the data.
	at func(seen []line) bool
	// transfers is how often the file is to be transferred, over both starts.
	transfers int
}

// The file that a point is about: an old version is in step already, so that the target has something to lose.
const (
	pointFile      = "folder/file"
	oldTimes       = 3
	newTimes       = 20_000
	newTimesSlowly = 200_000
)

// asked holds at a command, replied at its reply.
func asked(verb string) func(seen []line) bool {
	return func(seen []line) bool { return isAsked(seen[len(seen)-1], verb) }
}

func replied(verb string) func(seen []line) bool {
	return func(seen []line) bool { return isReplied(seen[len(seen)-1], verb) }
}

func isAsked(l line, verb string) bool   { return l.isOfPoint() && l.verb() == verb && l.reply == "" }
func isReplied(l line, verb string) bool { return l.isOfPoint() && l.verb() == verb && l.reply != "" }

// isOfPoint: it is not about one of the files around the one that a point is about.
func (l line) isOfPoint() bool {
	return !strings.Contains(l.command, "/") || strings.Contains(l.command, path.Dir(pointFile)+"/")
}

// after holds at what comes behind another step.
func after(first func(seen []line) bool, then func(seen []line) bool) func(seen []line) bool {
	return func(seen []line) bool {
		for i := range len(seen) - 1 {
			if first(seen[:i+1]) {
				return then(seen[i+1:])
			}
		}
		return false
	}
}

func anyAsked(seen []line) bool   { return seen[len(seen)-1].reply == "" }
func anyReplied(seen []line) bool { return seen[len(seen)-1].reply != "" }

// timeSet is the reply to MFMT or to what stands in for it.
func timeSet(seen []line) bool {
	l := seen[len(seen)-1]
	words := strings.Fields(l.command)
	return isReplied(l, "MFMT") || isReplied(l, "SITE") || isReplied(l, "MDTM") && len(words) > 2 && len(words[1]) == 14
}

var uploadPoints = []point{
	{"before STOR", asked("STOR"), 1},
	{"mid data", nil, 2},
	{"after 226", replied("STOR"), 2},
	{"after SIZE", after(replied("STOR"), replied("SIZE")), 2},
	{"after MFMT", after(replied("STOR"), timeSet), 1}, // the rest of the write is with the server already
	{"after RNFR", asked("RNTO"), 2},                   // the server has renamed nothing yet
	{"after RNTO", replied("RNTO"), 1},
	{"before commit", after(replied("RNTO"), anyReplied), 1},
	{"after commit", after(replied("RNTO"), asked("QUIT")), 1},
}

var downloadPoints = []point{
	{"before RETR", asked("RETR"), 1},
	{"mid data", nil, 2},
	{"after 226", replied("RETR"), 2},
	{"after the size check", after(replied("RETR"), after(replied("SIZE"), anyAsked)), 2},
	{"before the rename", after(replied("RETR"), after(replied("SIZE"), anyReplied)), 2},
	{"after commit", after(replied("RETR"), asked("QUIT")), 1},
}

// TestCrashPoints kills the program at each step of a transfer: the file must be whole at its target before and after the
// next start, and must have been transferred no more often than needed.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			slow := ftptest.Real(t, name, ftptest.RealOptions{Throttle: 1 << 20})
			for direction, points := range map[string][]point{"up": uploadPoints, "down": downloadPoints} {
				t.Run(direction, func(t *testing.T) { crashAtEach(t, server, slow, direction, points) })
			}
		})
	}
}

// crashAtEach goes through the points with one pair, a new version of the file for each.
func crashAtEach(t *testing.T, server, slow *ftptest.RealServer, direction string, points []point) {
	taps := map[*ftptest.RealServer]*tap{server: newTap(t, server.Addr), slow: newTap(t, slow.Addr)}
	pairs := map[*ftptest.RealServer]*pair{}
	for at, tap := range taps {
		g := newPair(t, at, plot{direction: direction, address: tap.address, folder: direction, settings: "connections = 1"})
		fill(t, g.source(), map[string]int{pointFile: oldTimes, "other": 1})
		g.mustRun(0, []string{"in step"}, "once")
		pairs[at] = g
	}
	was := map[*pair]int{pairs[server]: oldTimes, pairs[slow]: oldTimes}
	for i, p := range points {
		at, times := server, newTimes+i
		if p.at == nil {
			at, times = slow, newTimesSlowly+i
		}
		g := pairs[at]
		t.Run(p.name, func(t *testing.T) {
			g := *g
			g.t = t
			g.crashAt(taps[at], p, was[pairs[at]], times)
		})
		was[g] = times
	}
	for _, g := range pairs {
		g.mustBeSound()
	}
}

// crashAt has the file that is there so many times its name be replaced by another one, in a stream with those before and behind
// it if it is small, and kills the program meanwhile.
func (g *pair) crashAt(tap *tap, p point, was, times int) {
	t := g.t
	changed := map[string]int{pointFile: times}
	if p.at != nil {
		changed["a new one/"+strings.ReplaceAll(p.name, " ", "-")], changed["before"], changed["later"] = 5, times, times
	}
	fill(t, g.source(), changed)
	// Part of what an upload has left is read back to prove it, which is no transfer.
	transfers := func() int {
		if g.direction == "up" {
			return tap.countAbout("STOR", path.Dir(pointFile)) + tap.countAbout("APPE", path.Dir(pointFile))
		}
		return tap.countAbout("RETR", path.Dir(pointFile))
	}
	before := transfers()

	stopped := tap.stopAt(func(seen []line) bool { return p.at != nil && p.at(seen) })
	program := g.start("once", "-v")
	if p.at == nil {
		waitFor(t, "some data under the temporary name", func() bool {
			for _, size := range temporary(g.target()) {
				return size > 0
			}
			return false
		})
	} else {
		wait(t, p.name, stopped)
	}
	program.kill()
	tap.goOn()

	content, err := os.ReadFile(filepath.Join(g.target(), pointFile))
	if whole := []string{strings.Repeat(pointFile, was), strings.Repeat(pointFile, times)}; err != nil || !slices.Contains(whole, string(content)) {
		t.Errorf("after the kill: %d bytes at the final name (%v), neither the old content nor the new one", len(content), err)
	}
	if known, want := g.knows(pointFile, int64(times*len(pointFile))), p.name == "after commit"; known != want {
		t.Errorf("after the kill: baseline of the new content: %v, want %v", known, want)
	}
	g.mustRun(0, []string{"s: in step"}, "once")
	g.mustBeEqual("after the next start")
	g.mustRun(0, []string{"nothing done"}, "once")
	if got := transfers() - before; got != p.transfers {
		t.Errorf("transferred %d times, want %d", got, p.transfers)
	}
}
