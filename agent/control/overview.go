package control

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Overview is how everything stands at one moment.
type Overview struct {
	// Version, PID and Started are those of the running agent; PID is 0 if none runs, and the rest is how things stood when one
	// last did.
	Version string    `json:"version,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Listen is where the agent tells by HTTP how it stands, HOST:PORT; "" for nowhere.
	Listen string `json:"listen,omitempty"`
	// Stopped says why the last service could not go on; nil if one runs, or if it has stopped because somebody wanted that.
	Stopped *Stopped `json:"stopped,omitempty"`
	// StateBytes is the size of the state file, 0 if there is none.
	StateBytes int64 `json:"state_bytes"`
	// Syncs, Servers and Transfers are sorted by name; the last by when they began.
	Syncs     []SyncStatus   `json:"syncs"`
	Servers   []ServerStatus `json:"servers"`
	Transfers []Transfer     `json:"transfers"`
	// Problems is what is wrong now, those of syncs first.
	Problems []Problem `json:"problems"`
}

// Stopped is the end of an agent that could not go on.
type Stopped struct {
	When   time.Time `json:"when"`
	Reason string    `json:"reason"`
}

// Problem is something that is wrong, of which alerts tell, too.
type Problem struct {
	// Kind is a word as alerts have it, such as "halted"; docs/ALERTS.md names them.
	Kind string `json:"kind"`
	// Sync and Server are what it is about.
	Sync   string `json:"sync,omitempty"`
	Server string `json:"server,omitempty"`
	// Text says what is wrong, and Cure what can be done about it, for people, in one line each.
	Text string `json:"text"`
	Cure string `json:"cure,omitempty"`
	// Since is when it began; zero if nobody can tell. Ends is, of a certificate, when it expires.
	Since time.Time `json:"since,omitzero"`
	Ends  time.Time `json:"ends,omitzero"`
	// NeedsPerson: it stays until somebody does something.
	NeedsPerson bool `json:"needs_person"`
}

// ExitCode is that of a program that printed the overview.
func (o Overview) ExitCode() int {
	if o.Stopped != nil {
		return ExitNeedsPerson
	}
	for _, p := range o.Problems {
		if p.NeedsPerson {
			return ExitNeedsPerson
		}
	}
	return StatusExitCode(o.Syncs)
}

// ServerStatus is how one server stands.
type ServerStatus struct {
	Server string `json:"server"`
	// Address is the one in use, the first one that is configured if none is.
	Address string `json:"address"`
	// State is one of the words below, Reason says why where it is not being used, and Until when it is tried again by itself;
	// zero if a person has to act, or if nothing keeps it.
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Connections is how many are open, Busy how many of them a worker has, and Limit how many there may be: as configured, or
	// fewer if the server takes no more.
	Connections int `json:"connections"`
	Busy        int `json:"busy"`
	Limit       int `json:"limit"`
	// Enough, if not 0, is how many transfers at a time were found to move as much as all that there may be.
	Enough int `json:"enough,omitempty"`
	// Data is the way by which data connections worked last, such as "passive EPSV"; "" if none was needed yet.
	Data string `json:"data,omitempty"`
	// LastUsed is when a connection was last lent or given back by this process; zero if none was.
	LastUsed time.Time `json:"last_used,omitzero"`
	// Paused says that a person has paused the server, with all syncs that use it; nil if nobody has.
	Paused *Pause `json:"paused,omitempty"`
	// Syncs are those that use the server.
	Syncs []string `json:"syncs,omitempty"`
}

// The states of a server.
const (
	ServerUp      = "up"      // there are connections
	ServerIdle    = "idle"    // there are none, and nothing keeps the agent from making one
	ServerPaused  = "paused"  // it could not be used, or takes no more connections
	ServerBlocked = "blocked" // it refused the login; a person has to act
	ServerFull    = "full"    // it has no room for what is sent
	ServerWindow  = "window"  // it is not the time for changes, for any of its syncs
	// ServerSuspended: a person has paused it.
	ServerSuspended = "suspended"
)

// Transfer is a file that is on its way.
type Transfer struct {
	Job       uint64     `json:"job"`
	Sync      string     `json:"sync"`
	Server    string     `json:"server"`
	Path      state.Text `json:"path"`
	Direction string     `json:"direction"` // up or down
	// Size is that of the file in bytes, -1 if nobody knows. Done is how many of them are there, Resumed those among them that an
	// earlier attempt had moved.
	Size    int64 `json:"size"`
	Done    int64 `json:"done"`
	Resumed int64 `json:"resumed,omitempty"`
	// Rate is how fast they move, in bytes a second over the last seconds, and ETA how many seconds the rest takes at that rate; 0
	// if nobody can tell.
	Rate    int64     `json:"bytes_per_second"`
	ETA     int64     `json:"eta_seconds,omitempty"`
	Started time.Time `json:"started"`
	// Method is the command for the data connection, such as EPSV.
	Method string `json:"data,omitempty"`
}

// Status implements Service.
func (c *Client) Status(ctx context.Context, filter StatusFilter) (overview Overview, err error) {
	err = c.post(ctx, "/v1/status", filter, &overview)
	return overview, err
}
