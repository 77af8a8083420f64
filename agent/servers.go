package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// server returns the row of a server as this transaction leaves it.
func (c *commit) server(name string) state.Server {
	if row, changed := c.servers[name]; changed {
		return row
	}
	if s, ok := c.d.servers[name]; ok {
		return s.row
	}
	return state.Server{}
}

// pause leaves a server alone for a while: one server that is down is one fact, not a failure
// of each of its jobs.
func (c *commit) pause(name string, cause error, v verdict) error {
	row := c.server(name)
	if row.Blocked() || waits(row.NotBefore, c.now, queue.MostDelay) {
		return nil // another worker has reported the same already
	}
	row.Failures++
	row.NotBefore = c.now.Add(v.pause)
	row.LastError = reasonOf(cause)
	if row.NoData = v.noData; v.noData {
		row.LastError += "\n  for a closer look: ftpferry doctor " + name
	}
	a := Activity{
		Kind: ActivityPaused, Server: name, Cause: cause,
		Text: fmt.Sprintf("%s; next try in %s", summaryOf(cause), v.pause.Round(100*time.Millisecond)),
	}
	if v.person {
		if row.BlockedBy == "" {
			a.Kind = ActivityAlert
		}
		row.BlockedBy = row.LastError
	}
	c.servers[name] = row
	c.happened(a)
	return c.serverHistory(name, resultPaused, cause)
}

// block leaves a server alone until its configuration changes or a person asks.
func (c *commit) block(name string, cause error) error {
	row := c.server(name)
	if row.Blocked() {
		return nil // another worker has reported the same already
	}
	mark, err := newFingerprint(c.d.servers[name].config, c.d.rounds)
	if err != nil {
		return fmt.Errorf("remember the configuration of server %s: %w", name, err)
	}
	row.Failures++
	row.NotBefore, row.NoData = time.Time{}, false
	row.LastError = reasonOf(cause)
	row.BlockedBy, row.BlockedConfig = row.LastError, mark
	c.servers[name] = row
	text := summaryOf(cause) + "; not tried again until the configuration of the server changes or a person asks"
	c.happened(Activity{Kind: ActivityAlert, Server: name, Text: text, Cause: cause})
	return c.serverHistory(name, resultBlocked, cause)
}

// tryAtOnce ends the pause of a server and any block, and tries again whether there is room by now: a person asks, and
// may have mended something.
func (c *commit) tryAtOnce(name string) error {
	if c.asked[name] {
		return nil
	}
	c.asked[name] = true
	c.open(name)
	for _, at := range c.placesOf(name) {
		if hold := c.hold(at); waits(hold.Until, c.now, laterDelay) {
			hold.Until = c.now
			c.setHold(at, hold)
		}
	}
	return hastenFailed(c.tx, name, c.now)
}

// hastenFailed makes the jobs of a server due that wait because they failed.
func hastenFailed(tx *state.Tx, server string, now time.Time) error {
	_, err := queue.Hasten(tx, now, func(job queue.Job) time.Duration {
		if job.Server == server && job.LastError != "" {
			return 0
		}
		return math.MaxInt64
	})
	return err
}

// open ends the pause of a server and any block.
func (c *commit) open(name string) {
	row := c.server(name)
	if row.Failures > 0 || row.BlockedBy != "" || !row.NotBefore.IsZero() {
		c.servers[name] = row.Unpaused()
	}
}

// reachable ends a pause: a job has used a connection, and the connection still works. If data connections were what
// failed, only one of these ends it: commands alone get through as before, and would have all ways tried over and over.
// A connection that was there before the login was refused proves nothing about the next login.
func (c *commit) reachable(r report) error {
	if err := c.foundRoom(r); err != nil {
		return err
	}
	row := c.server(r.Job.Server)
	usedData := r.Method != "" || r.Job.Kind == work.KindScan && r.Err == nil
	if !r.reached || row.Blocked() || row.NoData && !usedData {
		return nil
	}
	if r.Err != nil {
		if v := judge(r.Err, r.Job, 0, c.now, 0); v.pause > 0 || v.blocked {
			return nil
		}
	}
	return c.worksAgain(r.Job.Server)
}

// worksAgain ends what keeps a server from being used, and tells those who were told of it.
func (c *commit) worksAgain(name string) error {
	row := c.server(name)
	wasTold := row.Told.Result == resultPaused || row.Told.Result == resultBlocked
	if row.BlockedBy != "" || row.Failures > 0 || wasTold {
		text := "the server can be used again"
		if wasTold {
			text += ", after " + max(c.now.Sub(row.Told.Since), 0).Round(time.Second).String()
		}
		c.happened(Activity{Kind: ActivityCleared, Server: name, Text: text})
	}
	c.open(name)
	return c.serverHistory(name, resultWorks, nil)
}

// learn keeps what the connections to a server have found out, those included that died of it:
// that a server cannot stand a command is learned exactly then.
func (c *commit) learn(name string) {
	s := c.d.servers[name]
	if facts := s.pool.AllFacts(); !maps.Equal(facts, s.facts) {
		c.facts[name] = facts
	}
	c.noteAddress(name, s)
}

func (c *commit) saveServers() error {
	for name, facts := range c.facts {
		data, err := json.Marshal(newKnownServer(c.d.servers[name].config.Address, facts))
		if err != nil {
			return err
		}
		row := c.server(name)
		row.Facts = data
		c.servers[name] = row
	}
	for sync, hold := range c.holds {
		row, err := state.GetSync(c.tx, sync)
		if err != nil {
			return err
		}
		row.Hold = hold
		if err := state.PutSync(c.tx, sync, row); err != nil {
			return err
		}
	}
	for name, row := range c.servers {
		if err := state.PutServer(c.tx, name, row); err != nil {
			return err
		}
	}
	return nil
}

// knownServer is how facts are written down: what is known of one address is not true of another. The first one stands for
// itself, as it has since before there were others.
type knownServer struct {
	Address string `json:"address,omitempty"`
	ftpclient.Facts
	Others map[string]ftpclient.Facts `json:"others,omitempty"`
}

func newKnownServer(first string, facts map[string]ftpclient.Facts) knownServer {
	known := knownServer{Address: first, Facts: facts[first], Others: maps.Clone(facts)}
	delete(known.Others, first)
	return known
}

// of are the facts by address, of those alone that are in use.
func (k knownServer) of(addresses []string) map[string]ftpclient.Facts {
	facts := map[string]ftpclient.Facts{}
	for _, address := range addresses {
		if address == k.Address || k.Address == "" && address == addresses[0] {
			facts[address] = k.Facts
		} else {
			facts[address] = k.Others[address]
		}
	}
	return facts
}

// loadServer reads what is known about a server, by address. Facts that cannot be read are learned anew, and
// so are those of other addresses.
func loadServer(tx *state.Tx, name string, addresses []string) (state.Server, map[string]ftpclient.Facts, error) {
	row, err := state.GetServer(tx, name)
	if errors.Is(err, state.ErrBadRow) {
		row, err = state.Server{}, nil
	}
	if err != nil {
		return row, nil, fmt.Errorf("read server %s: %w", name, err)
	}
	var known knownServer
	if len(row.Facts) > 0 && json.Unmarshal(row.Facts, &known) != nil {
		known = knownServer{}
	}
	return row, known.of(addresses), nil
}

// loadServers reads what is known about the servers. Pauses end with the start, which is what an operator does after
// mending something; so do the waits for room. A server that has refused the login stays blocked until its
// configuration is another one.
func (d *dispatcher) loadServers(tx *state.Tx, servers map[string]*server) error {
	for name, s := range servers {
		was, facts, err := loadServer(tx, name, addressesOf(s.config))
		if err != nil {
			return err
		}
		row := was.Unpaused()
		row.Hold.Until = time.Time{}
		if was.Blocked() && sameConfig(was.BlockedConfig, s.config) {
			row.Failures, row.LastError, row.BlockedBy, row.BlockedConfig = was.Failures, was.LastError, was.BlockedBy, was.BlockedConfig
			d.later(d.agent.logger.Warn, "server stays blocked: its configuration is the one whose login was refused", "server", name, "reason", was.BlockedBy)
		}
		if !reflect.DeepEqual(row, was) {
			if err := state.PutServer(tx, name, row); err != nil {
				return err
			}
		}
		s.row, s.facts = row, facts
	}
	return nil
}

func (d *dispatcher) serverNames() []string { return slices.Sorted(maps.Keys(d.servers)) }
