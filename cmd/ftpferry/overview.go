package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/control"
)

// shownTransfers is how many transfers per sync are named for people.
const shownTransfers = 20

// printOverview tells people how everything stands.
func printOverview(l *jobList, o control.Overview) {
	if l.alone {
		l.out.WriteString("no agent is running; this is how things stood when one last did\n")
		if o.Stopped != nil {
			const word = "it could not go on"
			l.headline(fmt.Sprintf("%s, %s ago: %s", word, ago(l.now.Sub(o.Stopped.When)), oneLine(o.Stopped.Reason)), "", word, red)
		}
		if l.stateDir != "" { // another user may have another one
			fmt.Fprintf(l.out, "  by the state in %s\n", pathText(l.stateDir))
		}
	} else {
		l.out.WriteString(wrap(fmt.Sprintf("ftpferry %s, process %d, running for %s; state file %s",
			oneLine(o.Version), o.PID, ago(l.now.Sub(o.Started)), bytesText(o.StateBytes)), "", 0))
	}
	for _, p := range o.Problems {
		if p.Sync == "" && p.Server == "" { // of the agent itself
			text := strings.TrimRight(oneLine(p.Text), " .")
			if !p.Since.IsZero() {
				text += ", since " + ago(l.now.Sub(p.Since))
			}
			l.headline(p.Kind+": "+text, "", p.Kind, red)
		}
	}
	told := map[string]bool{} // reasons
	for _, s := range o.Syncs {
		printStatus(l, s)
		printProblems(l, o.Problems, func(p control.Problem) bool { return p.Sync == s.Sync && p.Kind == string(alert.Absence) })
		printTransfers(l, s.Sync, o.Transfers)
		if s.Jobs.Stop != nil {
			told[s.Jobs.Stop.Reason] = true
		}
	}
	for _, s := range o.Servers {
		printServer(l, s, told[s.Reason])
		printProblems(l, o.Problems, func(p control.Problem) bool {
			isPerson := p.Kind == string(alert.Blocked) && s.State != control.ServerBlocked
			return p.Sync == "" && p.Server == s.Server && (isPerson || p.Kind == string(alert.Certificate))
		})
	}
}

// printProblems tells of those that nothing else in the overview tells of.
func printProblems(l *jobList, problems []control.Problem, wanted func(control.Problem) bool) {
	for _, p := range problems {
		if wanted(p) {
			text := p.Kind + ": " + strings.TrimRight(oneLine(p.Text), " .")
			if p.Cure != "" {
				text += "; " + oneLine(p.Cure)
			}
			l.out.WriteString(wrap(text, "  ", 0))
		}
	}
}

// printTransfers lists those of a sync.
func printTransfers(l *jobList, sync string, all []control.Transfer) {
	shown, more := 0, 0
	for _, t := range all {
		switch {
		case t.Sync != sync:
		case shown == shownTransfers:
			more++
		default:
			shown++
			line, path := "  "+transferText(t)+"  ", pathText(string(t.Path))
			if columnsOf(line)+columnsOf(path) > screen {
				// A name is not cut: somebody may want to copy it.
				line, path = strings.TrimRight(line, " ")+"\n", "         "+path
			}
			l.out.WriteString(line + path + "\n")
		}
	}
	if more > 0 {
		fmt.Fprintf(l.out, "  ... and %d more transfers; --json names them\n", more)
	}
}

// transferText says how far a transfer has come, in columns.
func transferText(t control.Transfer) string {
	share, size := "", "?"
	if t.Size >= 0 {
		size = bytesText(t.Size)
	}
	if t.Size > 0 {
		share = fmt.Sprintf("%d%%", t.Done*100/t.Size)
	}
	left := "-"
	switch {
	case t.Size >= 0 && t.Done >= t.Size:
		left = "ends"
	case t.ETA > 0:
		left = spanText(time.Duration(t.ETA)*time.Second) + " left"
	}
	return fmt.Sprintf("%-8s %4s %10s of %-10s %10s/s %12s", t.Direction, share, bytesText(t.Done), size, bytesText(t.Rate), left)
}

// spanText writes a time in its two largest units.
func spanText(d time.Duration) string {
	switch s := int64(d / time.Second); {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 60*60:
		return fmt.Sprintf("%dm %ds", s/60, s%60)
	case s < 24*60*60:
		return fmt.Sprintf("%dh %dm", s/60/60, s/60%60)
	default:
		return fmt.Sprintf("%dd %dh", s/60/60/24, s/60/60%24)
	}
}

// printServer says how a server stands; told: the reason was told of one of its syncs.
func printServer(l *jobList, s control.ServerStatus, told bool) {
	name, word := "server "+oneLine(s.Server)+": ", control.StateWord(s.State)
	if l.alone && s.State == control.ServerIdle {
		word = "not in use" // nobody knows what it is like now
	}
	text := name + word + "; " + oneLine(s.Address)
	if !l.alone {
		text += fmt.Sprintf("; connections %d of %d, %d busy", s.Connections, s.Limit, s.Busy)
		if s.Enough > 0 {
			text += fmt.Sprintf(", %d are enough", s.Enough)
		}
	}
	if s.Data != "" {
		text += "; data by " + oneLine(s.Data)
	}
	l.headline(text, name, word, colorOfServer(s.State))
	var why []string
	if reason, _, _ := strings.Cut(s.Reason, "\n"); reason != "" && !told {
		why = append(why, strings.TrimRight(oneLine(reason), " ."))
	}
	if !s.Until.IsZero() {
		what := "next try in "
		if s.State == control.ServerWindow || s.State == control.ServerSuspended {
			what = "until "
		}
		why = append(why, what+ago(s.Until.Sub(l.now)))
	}
	l.out.WriteString(wrap(strings.Join(why, "; "), "  ", 0))
}

// headline writes a text that begins with a name and a word, and has the word in a color.
func (l *jobList) headline(text, name, word string, c color) {
	lines := strings.TrimPrefix(wrap(text, "  ", 0), "  ")
	if rest, ok := strings.CutPrefix(lines, name+word); ok { // else it is broken
		lines = name + l.paint.in(c, word) + rest
	}
	l.out.WriteString(lines)
}

func colorOfSync(state string) color {
	switch state {
	case control.StateInStep:
		return green
	case control.StateWorking:
		return cyan
	case control.StatePerson, control.StopHalt, control.StopBlock:
		return red
	case control.StopOff:
		return plain
	}
	return yellow
}

func colorOfServer(state string) color {
	switch state {
	case control.ServerUp:
		return green
	case control.ServerIdle:
		return plain
	case control.ServerBlocked:
		return red
	}
	return yellow
}
