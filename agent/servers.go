package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
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
func (c *commit) pause(name string, cause error, v verdict) {
	row := c.server(name)
	if row.NotBefore.After(c.now) && (!v.blocked || row.BlockedBy != "") {
		return // another worker has reported the same already
	}
	row.Failures++
	row.NotBefore = c.now.Add(v.pause)
	row.LastError = reasonOf(cause)
	if row.NoData = v.noData; v.noData {
		row.LastError += "\n  for a closer look: ftpferry doctor " + name
	}
	if v.blocked {
		row.BlockedBy = row.LastError
	}
	c.servers[name] = row
	text := fmt.Sprintf("%s; next try in %s", summaryOf(cause), v.pause.Round(100*time.Millisecond))
	c.happened(Activity{Kind: ActivityPaused, Server: name, Text: text, Cause: cause})
}

// tryAtOnce ends the pause of a server, and any block: a person asks, and may have mended
// something.
func (c *commit) tryAtOnce(name string) {
	row := c.server(name)
	if row.Failures > 0 || row.BlockedBy != "" || !row.NotBefore.IsZero() {
		row.Failures, row.NotBefore, row.LastError, row.BlockedBy, row.NoData = 0, time.Time{}, "", "", false
		c.servers[name] = row
	}
}

// reachable ends a pause: a job has used a connection, and the connection still works. If data connections were what
// failed, only one of these ends it: commands alone get through as before, and would have all ways tried over and over.
func (c *commit) reachable(r report) {
	usedData := r.Method != "" || r.Job.Kind == work.KindScan && r.Err == nil
	if !r.reached || c.server(r.Job.Server).NoData && !usedData {
		return
	}
	if r.Err == nil || judge(r.Err, r.Job, 0, c.now, 0).pause == 0 {
		c.tryAtOnce(r.Job.Server)
	}
}

// learn keeps what the connections to a server have found out, those included that died of it:
// that a server cannot stand a command is learned exactly then.
func (c *commit) learn(name string) {
	if s := c.d.servers[name]; s.pool.Facts() != s.facts {
		c.facts[name] = s.pool.Facts()
	}
}

func (c *commit) saveServers() error {
	for name, facts := range c.facts {
		data, err := json.Marshal(knownServer{c.d.servers[name].config.Address, facts})
		if err != nil {
			return err
		}
		row := c.server(name)
		row.Facts = data
		c.servers[name] = row
	}
	for name, row := range c.servers {
		if err := state.PutServer(c.tx, name, row); err != nil {
			return err
		}
	}
	return nil
}

// knownServer is how facts are written down: what is known of one address is not true of another.
type knownServer struct {
	Address string `json:"address,omitempty"`
	ftpclient.Facts
}

// loadServer reads what is known about a server. Facts that cannot be read are learned anew, and
// so are those of another address. A pause ends with the start, which is what an operator does after
// mending something.
func loadServer(tx *state.Tx, name, address string) (state.Server, ftpclient.Facts, error) {
	row, err := state.GetServer(tx, name)
	if errors.Is(err, state.ErrBadRow) {
		row, err = state.Server{}, nil
	}
	if err != nil {
		return row, ftpclient.Facts{}, fmt.Errorf("read server %s: %w", name, err)
	}
	var known knownServer
	if len(row.Facts) > 0 && json.Unmarshal(row.Facts, &known) != nil || known.Address != "" && known.Address != address {
		known.Facts = ftpclient.Facts{}
	}
	return state.Server{Facts: row.Facts}, known.Facts, nil
}

func (d *dispatcher) serverNames() []string { return slices.Sorted(maps.Keys(d.servers)) }
