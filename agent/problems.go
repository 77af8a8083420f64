package agent

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// look finds what is wrong now.
func (s *alerts) look(now time.Time) (alert.Sight, error) {
	s.take(now)
	sight := alert.Sight{Unsure: map[string]bool{}}
	if len(s.agent.cfg.Alerts) == 0 {
		return sight, nil
	}
	s.ofAgent(&sight)
	users := map[string][]string{} // of servers
	for _, name := range slices.Sorted(maps.Keys(s.agent.syncs)) {
		server := s.agent.cfg.Syncs[name].Server
		users[server] = append(users[server], name)
		problems, err := s.ofSync(name, now)
		if err != nil {
			return sight, fmt.Errorf("look at sync %s: %w", name, err)
		}
		sight.Problems = append(sight.Problems, problems...)
		s.ofWatch(name, &sight)
	}
	for _, name := range slices.Sorted(maps.Keys(users)) {
		if err := s.ofServer(name, users[name], &sight, now); err != nil {
			return sight, fmt.Errorf("look at server %s: %w", name, err)
		}
	}
	return sight, nil
}

// ofAgent finds what is wrong with the agent itself.
func (s *alerts) ofAgent(sight *alert.Sight) {
	if err := s.agent.stuck(); err != nil && !errors.Is(err, control.ErrNotRunning) {
		sight.Problems = append(sight.Problems, alert.Problem{Key: "stuck", Kind: alert.Stopped, Text: err.Error()})
	}
	if is := s.agent.onDisk.Load(); is != nil && is.err != nil {
		sight.Problems = append(sight.Problems, alert.Problem{
			Key: string(alert.Configuration), Kind: alert.Configuration, Since: is.since, Grade: is.times,
			Text: "the configuration on disk is not in force, the agent goes on with the one before: " + inBrief(is.err),
		})
	}
	if deaf := s.agent.deaf.Load(); deaf != nil {
		sight.Problems = append(sight.Problems, alert.Problem{
			Key: string(alert.Configuration) + "/listen", Kind: alert.Configuration, Since: deaf.since, Text: deaf.text + "; the work goes on, and so do the tries",
		})
	}
}

// ofSync finds what is wrong with a sync.
func (s *alerts) ofSync(name string, now time.Time) (problems []alert.Problem, err error) {
	configured := s.agent.cfg.Syncs[name]
	add := func(kind alert.Kind, key, text string, since time.Time, grade int) {
		problems = append(problems, alert.Problem{
			Key: string(kind) + "/" + key, Kind: kind, Sync: name, Server: configured.Server, Text: text, Since: since, Grade: grade,
		})
	}
	err = s.agent.db.View(func(tx *state.Tx) error {
		problems = nil
		row, err := state.GetSync(tx, name)
		if err != nil {
			return err
		}
		if row.Halt != "" {
			add(alert.Halted, name, fmt.Sprintf("halted: %s; \"ftpferry plan %s\" shows what it would do, \"ftpferry approve %s\" lets it", row.Halt, name, name), row.HaltedAt, 0)
		}
		if row.Hold.Reason != "" {
			add(alert.Full, "sync/"+name, "no room for what is fetched: "+row.Hold.Reason, row.Hold.Since, 0)
		}
		jobs, err := queue.Summary(tx, name)
		if err != nil || jobs.Dead == 0 {
			return err
		}
		dead, err := queue.List(tx, queue.Filter{Sync: name, State: queue.Dead, Limit: 1})
		if err != nil || len(dead) == 0 {
			return err
		}
		example := fmt.Sprintf("%s %s: %s", strings.ReplaceAll(dead[0].Kind, "_", " "), dead[0].Path, dead[0].LastError)
		if jobs.Dead > 1 {
			example = fmt.Sprintf("%d jobs wait for a person, such as %s", jobs.Dead, example)
		} else {
			example = "a job waits for a person: " + example
		}
		add(alert.Dead, name, example+"; see \"ftpferry queue --state dead\"", time.Time{}, jobs.Dead)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, expect := range configured.Expects {
		text, since, err := s.absent(name, expect, now)
		if err != nil {
			return nil, err
		}
		if text != "" {
			add(alert.Absence, name+"/"+expect.Name, text, since, 0)
		}
	}
	return problems, nil
}

// ofWatch finds out whether a sync notices all changes when they happen.
func (s *alerts) ofWatch(name string, sight *alert.Sight) {
	configured := s.agent.cfg.Syncs[name]
	p := alert.Problem{Key: string(alert.Watch) + "/" + name, Kind: alert.Watch, Sync: name, Server: configured.Server}
	watch := s.agent.watching.status(name)
	switch {
	case !configured.Watch || !s.agent.options.Triggers:
	case watch == nil || watch.State == control.WatchStarting:
		sight.Unsure[p.Key] = true
	case watch.State != control.WatchWorks:
		p.Text, p.Since = "not every change is noticed when it happens: "+watch.Reason, watch.Since
		if watch.Cure != "" {
			p.Text += "; " + watch.Cure
		}
		sight.Problems = append(sight.Problems, p)
	}
}

// ofServer finds what is wrong with a server. The end of a pause proves nothing; what the history says does.
func (s *alerts) ofServer(name string, users []string, sight *alert.Sight, now time.Time) error {
	var row state.Server
	err := s.agent.db.View(func(tx *state.Tx) (err error) {
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
		add(alert.Problem{Kind: alert.Blocked, Text: "needs a person: " + reason})
	case row.Failures > 0:
		add(alert.Problem{Kind: alert.ServerDown, Text: fmt.Sprintf("cannot be used: %s", reason)})
	}
	sight.Unsure[key(alert.Blocked)], sight.Unsure[key(alert.ServerDown)] = isDown, isDown
	if row.Hold.Reason != "" {
		add(alert.Problem{Kind: alert.Full, Text: "no room for what is sent: " + row.Hold.Reason, Since: row.Hold.Since})
	}
	if configured := s.agent.cfg.Servers[name]; configured.TLSVerify && len(configured.TLSPins) == 0 { // else nobody minds when it ends
		s.ofCertificate(name, add, sight.Unsure, now)
	}
	return nil
}

// ofCertificate tells of the certificate that ends first.
func (s *alerts) ofCertificate(name string, add func(alert.Problem), unsure map[string]bool, now time.Time) {
	var first time.Time
	at := ""
	d := s.agent.running.Load()
	if d == nil || d.servers[name] == nil { // there is none yet, or another configuration comes into force just now
		unsure[string(alert.Certificate)+"/"+name] = true
		return
	}
	for address, facts := range d.servers[name].pool.AllFacts() {
		ends := time.Unix(facts.CertificateEnds, 0)
		if facts.CertificateEnds != 0 && (first.IsZero() || ends.Before(first)) {
			first, at = ends, address
		}
	}
	if first.IsZero() {
		return
	}
	p := alert.Problem{Kind: alert.Certificate, Ends: first, Text: fmt.Sprintf("the certificate of %s expires on %s", at, first.UTC().Format(time.DateTime+" UTC"))}
	const day = 24 * time.Hour
	for _, left := range []time.Duration{7 * day, 3 * day, day, 0} { // each is told of
		if first.Sub(now) <= left {
			p.Grade++
		}
	}
	if p.Grade == 4 {
		p.Text = strings.Replace(p.Text, "expires on", "has expired on", 1)
	}
	add(p)
}
