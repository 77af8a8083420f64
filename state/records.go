package state

import (
	"encoding/json"
	"time"
)

const (
	tableServers   = "servers"
	tableSyncs     = "syncs"
	tableSchedules = "schedules"
)

// Server is what was learned about a server, by its name in the configuration.
type Server struct {
	// Facts belong to the client: capabilities, quirks, data channels that worked.
	Facts json.RawMessage `json:"facts,omitempty"`
	// NotBefore is the next time to try a server that is paused; zero if it is not.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Failures counts the failed attempts to reach the server since the last success.
	Failures  int    `json:"failures,omitempty"`
	LastError string `json:"last_error,omitempty"`
	// BlockedBy names what keeps the server paused until a person acts; "" if nothing does.
	BlockedBy string `json:"blocked_by,omitempty"`
}

// GetServer returns the row of a server, the zero Server if there is none.
func GetServer(tx *Tx, name string) (Server, error) {
	row, _, err := ReadRow[Server](tx.Table(tableServers), Key(name))
	return row, err
}

// PutServer replaces the row of a server.
func PutServer(tx *Tx, name string, s Server) error {
	return WriteRow(tx.Table(tableServers), Key(name), s)
}

// SyncState is what outlives a restart about a sync as a whole.
type SyncState struct {
	// Identity says what the baseline is about: server, folders, direction.
	Identity string `json:"identity,omitempty"`
	// Halt is the reason, for people, why the sync stands still; "" if it does not.
	Halt     string    `json:"halt,omitempty"`
	HaltedAt time.Time `json:"halted_at,omitzero"`
	// HaltCode is the reason for programs.
	HaltCode string `json:"halt_code,omitempty"`
	// Approved is when a person let the next pass do what the guard had stopped.
	Approved     time.Time `json:"approved,omitzero"`
	LastFullScan time.Time `json:"last_full_scan,omitzero"`
	LastSuccess  time.Time `json:"last_success,omitzero"`
}

// GetSync returns the row of a sync, the zero SyncState if there is none.
func GetSync(tx *Tx, name string) (SyncState, error) {
	row, _, err := ReadRow[SyncState](tx.Table(tableSyncs), Key(name))
	return row, err
}

// PutSync replaces the row of a sync.
func PutSync(tx *Tx, name string, s SyncState) error {
	return WriteRow(tx.Table(tableSyncs), Key(name), s)
}

// Schedule is what happened to one line of a sync's schedule, so that what was missed while the
// agent was down can be made up for.
type Schedule struct {
	LastFired    time.Time `json:"last_fired,omitzero"`
	LastFinished time.Time `json:"last_finished,omitzero"`
	Result       string    `json:"result,omitempty"`
}

type scheduleRow struct {
	Spec string `json:"spec"`
	Schedule
}

// GetSchedule returns the row of a schedule, the zero Schedule if there is none.
func GetSchedule(tx *Tx, sync, spec string) (Schedule, error) {
	row, _, err := ReadRow[scheduleRow](tx.Table(tableSchedules), Key(sync, Shorten(spec)))
	return row.Schedule, err
}

// PutSchedule replaces the row of a schedule.
func PutSchedule(tx *Tx, sync, spec string, s Schedule) error {
	return WriteRow(tx.Table(tableSchedules), Key(sync, Shorten(spec)), scheduleRow{Spec: spec, Schedule: s})
}

// DeleteSchedule forgets a schedule that is no longer configured.
func DeleteSchedule(tx *Tx, sync, spec string) error {
	return tx.Table(tableSchedules).Delete(Key(sync, Shorten(spec)))
}

// Schedules returns all rows of a sync by their spec.
func Schedules(tx *Tx, sync string) (map[string]Schedule, error) {
	rows := make(map[string]Schedule)
	t := tx.Table(tableSchedules)
	err := t.Scan(Key(sync, ""), nil, func(key, value []byte) (bool, error) {
		row, err := DecodeRow[scheduleRow](t, key, value)
		rows[row.Spec] = row.Schedule
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
