package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// lookout finds what is wrong, for alerts, for the status, for the log and for monitors: so that all of them say the same. What it remembers only
// saves work. Anybody may use it at any time.
type lookout struct {
	mu       sync.Mutex          // guards absences
	absences map[string]*absence // by key
	notes    noteSummaries
}

func newLookout() *lookout {
	return &lookout{absences: map[string]*absence{}, notes: noteSummaries{bySync: map[string]*noteSummary{}}}
}

// forgetAbsences has what was found out about expected files be found out anew.
func (l *lookout) forgetAbsences() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.absences)
}

// problems are those of the agent, of all syncs that are enabled and of their servers, at this moment. Since is left out where nobody but who has seen the
// beginning can tell.
func (a *Agent) problems(now time.Time) (alert.Sight, error) {
	a.lookout.mu.Lock()
	defer a.lookout.mu.Unlock()
	sight := alert.Sight{Unsure: map[string]bool{}}
	memory, err := loadAlertMemory(a.db)
	if err != nil {
		return sight, err
	}
	a.problemsOfAgent(&sight)
	users := map[string][]string{} // of servers
	for _, name := range slices.Sorted(maps.Keys(a.syncs)) {
		server := a.cfg.Syncs[name].Server
		users[server] = append(users[server], name)
		problems, err := a.problemsOfSync(name, memory.Expected, now)
		if err != nil {
			return sight, fmt.Errorf("look at sync %s: %w", name, err)
		}
		sight.Problems = append(sight.Problems, problems...)
		a.problemsOfWatch(name, &sight)
	}
	for _, name := range slices.Sorted(maps.Keys(users)) {
		if err := a.problemsOfServer(name, users[name], &sight, now); err != nil {
			return sight, fmt.Errorf("look at server %s: %w", name, err)
		}
	}
	return sight, nil
}

// problemsOfAgent finds what is wrong with the agent itself.
func (a *Agent) problemsOfAgent(sight *alert.Sight) {
	if err := a.stuck(); err != nil && !errors.Is(err, control.ErrNotRunning) {
		sight.Problems = append(sight.Problems, alert.Problem{Key: "stuck", Kind: alert.Stopped, Text: err.Error()})
	}
	if is := a.onDisk.Load(); is != nil && is.err != nil {
		sight.Problems = append(sight.Problems, alert.Problem{
			Key: string(alert.Configuration), Kind: alert.Configuration, Since: is.since, Grade: is.times,
			Text: "the configuration on disk is not in force, the agent goes on with the one before: " + inBrief(is.err),
		})
	}
	if deaf := a.deaf.Load(); deaf != nil {
		sight.Problems = append(sight.Problems, alert.Problem{
			Key: string(alert.Configuration) + "/listen", Kind: alert.Configuration, Since: deaf.since, Text: deaf.text + "; the work goes on, and so do the tries",
		})
	}
}

// problemsOfSync finds what is wrong with a sync; expected is since when each of its expects is known.
func (a *Agent) problemsOfSync(name string, expected map[string]time.Time, now time.Time) (problems []alert.Problem, err error) {
	configured := a.cfg.Syncs[name]
	add := func(key string, p alert.Problem) {
		p.Key, p.Sync, p.Server = string(p.Kind)+"/"+key, name, configured.Server
		problems = append(problems, p)
	}
	err = a.db.View(func(tx *state.Tx) error {
		problems = nil
		row, err := state.GetSync(tx, name)
		if err != nil {
			return err
		}
		if row.Halt != "" {
			cure := fmt.Sprintf(`"ftpferry plan %s" shows what it would do, "ftpferry approve %s" lets it`, name, name)
			add(name, alert.Problem{Kind: alert.Halted, Text: "halted: " + row.Halt, Cure: cure, Since: row.HaltedAt})
		}
		if row.Hold.Reason != "" {
			add("sync/"+name, alert.Problem{Kind: alert.Full, Text: "no room for what is fetched: " + row.Hold.Reason, Cure: goesOn, Since: row.Hold.Since})
		}
		if text, jobs, err := deadJobs(tx, name); err != nil {
			return err
		} else if jobs > 0 {
			add(name, alert.Problem{Kind: alert.Dead, Text: text, Cure: fmt.Sprintf(`"ftpferry queue --sync %s --state dead" lists what has failed for good, "ftpferry queue retry --sync %s --state dead" tries it again`, name, name), Grade: jobs})
		}
		notes, err := a.lookout.notes.of(tx, name, keptNotes, now)
		if err != nil {
			return err
		}
		for _, n := range notes.kinds {
			add(name, alert.Problem{Kind: n.kind, Text: n.text(), Cure: n.cure(name), Since: n.since, Grade: n.count})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, expect := range configured.Expects {
		text, since, err := a.absent(name, expect, expected[name+"/"+expect.Name], now)
		if err != nil {
			return nil, err
		}
		if text != "" {
			cure := fmt.Sprintf(`"ftpferry history --sync %s" has what did arrive`, name)
			add(name+"/"+expect.Name, alert.Problem{Kind: alert.Absence, Text: text, Cure: cure, Since: since})
		}
	}
	return problems, nil
}

// goesOn is what a person wants to know of a place without room.
const goesOn = "transfers wait, and go on by themselves when there is room"

// deadJobs says what the jobs are that wait for a person, and how many there are.
func deadJobs(tx *state.Tx, sync string) (text string, n int, err error) {
	jobs, err := queue.Summary(tx, sync)
	if err != nil || jobs.Dead == 0 {
		return "", 0, err
	}
	dead, err := queue.List(tx, queue.Filter{Sync: sync, State: queue.Dead, Limit: 1})
	if err != nil || len(dead) == 0 {
		return "", 0, err
	}
	text = fmt.Sprintf("%s %s: %s", strings.ReplaceAll(dead[0].Kind, "_", " "), dead[0].Path, dead[0].LastError)
	if jobs.Dead > 1 {
		text = fmt.Sprintf("%d jobs wait for a person, such as %s", jobs.Dead, text)
	} else {
		text = "a job waits for a person: " + text
	}
	return text, jobs.Dead, nil
}

// problemsOfWatch finds out whether a sync notices all changes when they happen.
func (a *Agent) problemsOfWatch(name string, sight *alert.Sight) {
	configured := a.cfg.Syncs[name]
	p := alert.Problem{Key: string(alert.Watch) + "/" + name, Kind: alert.Watch, Sync: name, Server: configured.Server}
	watch := a.watching.status(name)
	switch {
	case !configured.Watch || !a.options.Triggers:
	case watch == nil || watch.State == control.WatchStarting:
		sight.Unsure[p.Key] = true
	case watch.State != control.WatchWorks:
		p.Text, p.Cure, p.Since = "not every change is noticed when it happens: "+watch.Reason, watch.Cure, watch.Since
		sight.Problems = append(sight.Problems, p)
	}
}

// problemsOfServer finds what is wrong with a server. The end of a pause proves nothing; what the history says does.
func (a *Agent) problemsOfServer(name string, users []string, sight *alert.Sight, now time.Time) error {
	var row state.Server
	err := a.db.View(func(tx *state.Tx) (err error) {
		row, err = state.GetServer(tx, name)
		return err
	})
	if err != nil && !errors.Is(err, state.ErrBadRow) { // which is learned anew
		return err
	}
	key := func(kind alert.Kind) string { return string(kind) + "/" + name }
	add := func(p alert.Problem) {
		p.Key, p.Server, p.Users = key(p.Kind), name, users
		sight.Problems = append(sight.Problems, p)
	}
	reason, _, _ := strings.Cut(row.LastError, "\n")
	isDown := row.Failures > 0 || row.Told.Result == resultPaused || row.Told.Result == resultBlocked
	switch {
	case row.BlockedBy != "":
		reason, _, _ = strings.Cut(row.BlockedBy, "\n")
		cure := fmt.Sprintf(`it is tried again by itself; "ftpferry doctor %s" looks closer`, name)
		if row.Blocked() {
			cure = fmt.Sprintf(`it is not tried again until its configuration changes, or until "ftpferry queue retry --sync %s"`, users[0])
		}
		add(alert.Problem{Kind: alert.Blocked, Text: "needs a person: " + reason, Cure: cure})
	case row.Failures > 0:
		add(alert.Problem{Kind: alert.ServerDown, Text: "cannot be used: " + reason, Cure: fmt.Sprintf(`it is tried again by itself; "ftpferry doctor %s" looks closer`, name)})
	}
	sight.Unsure[key(alert.Blocked)], sight.Unsure[key(alert.ServerDown)] = isDown, isDown
	if row.Hold.Reason != "" {
		add(alert.Problem{Kind: alert.Full, Text: "no room for what is sent: " + row.Hold.Reason, Cure: goesOn, Since: row.Hold.Since})
	}
	if address, ends := a.certificateEnds(name, row); !ends.IsZero() {
		add(certificateProblem(address, ends, now))
	}
	return nil
}

// certificateEnds is when the certificate of a server ends that ends first, and of which address it is; zero if nobody minds.
func (a *Agent) certificateEnds(name string, row state.Server) (address string, ends time.Time) {
	configured := a.cfg.Servers[name]
	if !configured.TLSVerify || len(configured.TLSPins) > 0 {
		return "", time.Time{}
	}
	var facts map[string]ftpclient.Facts
	if d := a.running.Load(); d != nil && d.servers[name] != nil {
		facts = d.servers[name].pool.AllFacts()
	} else {
		var known knownServer
		if len(row.Facts) > 0 && json.Unmarshal(row.Facts, &known) == nil {
			facts = known.of(addressesOf(configured))
		}
	}
	for at, f := range facts {
		until := time.Unix(f.CertificateEnds, 0)
		if f.CertificateEnds != 0 && (ends.IsZero() || until.Before(ends)) {
			address, ends = at, until
		}
	}
	return address, ends
}

func certificateProblem(address string, ends, now time.Time) alert.Problem {
	p := alert.Problem{
		Kind: alert.Certificate, Ends: ends, Text: fmt.Sprintf("the certificate of %s expires on %s", address, ends.UTC().Format(time.DateTime+" UTC")),
		Cure: "then the server is not trusted any more, and nothing is transferred until whoever runs it has renewed it",
	}
	const day = 24 * time.Hour
	for _, left := range []time.Duration{7 * day, 3 * day, day, 0} { // each is told of
		if ends.Sub(now) <= left {
			p.Grade++
		}
	}
	if p.Grade == 4 {
		p.Text = strings.Replace(p.Text, "expires on", "has expired on", 1)
		p.Cure = "the server is not trusted any more, and nothing is transferred until whoever runs it has renewed it"
	}
	return p
}

// certificateSoon is how long before its end a certificate is a problem for all but alerts, which have an option for that.
const certificateSoon = 14 * 24 * time.Hour

// shownProblems are the problems for people who ask how things stand, of some syncs and of their servers.
func (a *Agent) shownProblems(syncs []string, now time.Time) ([]control.Problem, error) {
	list := []control.Problem{}
	if a.db == nil {
		return list, nil
	}
	sight, err := a.problems(now)
	for _, p := range sight.Problems {
		isWanted := p.Sync == "" && p.Server == "" || slices.Contains(syncs, p.Sync) || p.Sync == "" && slices.ContainsFunc(p.Users, func(user string) bool { return slices.Contains(syncs, user) })
		if isWanted && isNear(p, now) {
			if p.Since.IsZero() && p.Sync == "" {
				p.Since = a.downSince(p.Server)
			}
			list = append(list, control.Problem{Kind: string(p.Kind), Sync: p.Sync, Server: p.Server, Text: p.Text, Cure: p.Cure, Since: p.Since, Ends: p.Ends, NeedsPerson: needsPerson(p)})
		}
	}
	return list, err
}

// downSince is since when a server cannot be used, as far as the history says; zero if it does not.
func (a *Agent) downSince(name string) (since time.Time) {
	_ = a.db.View(func(tx *state.Tx) error {
		if row, err := state.GetServer(tx, name); err == nil && row.Told.Result != resultWorks {
			since = row.Told.Since
		}
		return nil
	})
	return since
}

// isNear leaves out certificates that are good for long.
func isNear(p alert.Problem, now time.Time) bool {
	return p.Kind != alert.Certificate || p.Ends.Sub(now) <= certificateSoon
}

// needsPerson reports whether a problem stays until somebody does something.
func needsPerson(p alert.Problem) bool {
	switch p.Kind {
	case alert.Halted, alert.Dead, alert.Blocked, alert.Absence, alert.Conflict, alert.Differs, alert.Unknown, alert.Configuration, alert.Stopped:
		return true
	}
	return false
}

// look is what alerts look at. What no activity tells of is told to the log and the feed here, when it comes and when it goes.
func (s *alerts) look(ctx context.Context, now time.Time) (alert.Sight, error) {
	s.take(now)
	a := s.agent
	sight, err := a.problems(now)
	if err != nil {
		return sight, err
	}
	present := map[string]alert.Problem{}
	for _, p := range sight.Problems {
		if (p.Kind == alert.Absence || p.Kind == alert.Certificate) && isNear(p, now) {
			present[p.Key] = p
		}
	}
	tell := func(kind ActivityKind, p alert.Problem) {
		activity := Activity{Kind: kind, Sync: p.Sync, Server: p.Server, Text: p.WithCure()}
		activity.log(ctx, a.logger)
		a.feed.add(activity.event(now))
	}
	for _, key := range slices.Sorted(maps.Keys(present)) {
		if was, known := s.seen[key]; !known || was.Grade < present[key].Grade {
			tell(ActivityAlert, present[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.seen)) {
		if _, stays := present[key]; !stays && !sight.Unsure[key] {
			p := s.seen[key]
			p.Text, p.Cure = "over: "+p.Text, ""
			tell(ActivityCleared, p)
		}
	}
	s.seen = present
	return sight, nil
}
