package state

import (
	"errors"
	"time"
)

const tableSyncs = "syncs"

// SyncState is what outlives a restart about a sync as a whole.
type SyncState struct {
	// Identity says what the baseline is about: server, folders, direction.
	Identity string `json:"identity,omitempty"`
	// Rules is a digest of the rules that the sync had when the agent was started last; "" in rows of older versions.
	Rules string `json:"rules,omitempty"`
	// Server is the name of the server that the jobs of the sync are for.
	Server string `json:"server,omitempty"`
	// Halt is the reason, for people, why the sync stands still; "" if it does not.
	Halt     string    `json:"halt,omitempty"`
	HaltedAt time.Time `json:"halted_at,omitzero"`
	// HaltCode is the reason for programs.
	HaltCode string `json:"halt_code,omitempty"`
	// HaltDeletes is how many files would have been deleted.
	HaltDeletes int `json:"halt_deletes,omitempty"`
	// Approved is when a person let the next pass do what the guard had stopped.
	Approved time.Time `json:"approved,omitzero"`
	// ApprovedHalts are the codes of the halts that the person has seen, with blanks between them, and ApprovedDeletes is how many
	// deletions there were then.
	ApprovedHalts   string `json:"approved_halts,omitempty"`
	ApprovedDeletes int    `json:"approved_deletes,omitempty"`
	// EmptiedLocal and EmptiedRemote: a person has approved that this folder is empty. It holds
	// until it was seen filled again.
	EmptiedLocal  bool `json:"emptied_local,omitempty"`
	EmptiedRemote bool `json:"emptied_remote,omitempty"`
	// Elsewhere: something was in step when the sync had another server or other folders, and no full scan has passed the guard
	// since.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Device is the filesystem of the local folder, as a full scan has found it.
	Device       Device    `json:"device,omitzero"`
	LastFullScan time.Time `json:"last_full_scan,omitzero"`
	// Checked is the newest full scan, if it has seen all; zero for none, and when something has happened since that makes the server's side
	// doubtful.
	Checked     Checked   `json:"checked,omitzero"`
	Doubts      uint64    `json:"doubts,omitempty"` // how often something has, also in the middle of a scan
	LastSuccess time.Time `json:"last_success,omitzero"`
	// Rescans counts the looks at the whole local folder that were only due, with LastRescan the time of the newest, and OnlyByRescan
	// the changes that they found and no event has told of. RescanTook is how long the newest took, with its pauses.
	Rescans      uint64        `json:"rescans,omitempty"`
	OnlyByRescan uint64        `json:"only_by_rescan,omitempty"`
	LastRescan   time.Time     `json:"last_rescan,omitzero"`
	RescanTook   time.Duration `json:"rescan_took,omitempty"`
	// Unchanged is how many full scans in a row, up to the last, have found nothing new on the server.
	Unchanged int `json:"unchanged,omitempty"`
	// Folders is what was learned about the times of folders on the server.
	Folders FolderTimes `json:"folders,omitzero"`
	// LastPurge is when what has been in the trash for long enough was last looked for.
	LastPurge time.Time `json:"last_purge,omitzero"`
	// Hold is about what goes into the local folder.
	Hold Hold `json:"hold,omitzero"`
	// Paused is a person's word that nothing new is to be begun; zero for none.
	Paused Pause `json:"paused,omitzero"`
}

// Checked is a look at all of both sides.
type Checked struct {
	// Began is when it did: what happened on the server later was not seen.
	Began time.Time `json:"began,omitzero"`
	// Rules is a digest of the configuration that it went by.
	Rules string `json:"rules,omitempty"`
}

// Doubt has the next pass look at both sides of a sync, of which there may be no row.
func Doubt(tx *Tx, sync string) error {
	row, err := GetSync(tx, sync)
	if err != nil || row.Identity == "" {
		return err
	}
	row.Checked, row.Doubts = Checked{}, row.Doubts+1
	return PutSync(tx, sync, row)
}

// doubtAll is Doubt for all syncs.
func doubtAll(tx *Tx) error {
	var doubtful []string
	err := tx.Table(tableSyncs).Scan(nil, nil, func(key, _ []byte) (bool, error) {
		doubtful = append(doubtful, KeyStrings(key)...)
		return true, nil
	})
	for _, sync := range doubtful {
		err = errors.Join(err, Doubt(tx, sync))
	}
	return err
}

// Pause is a person's word that a sync is to begin nothing new.
type Pause struct {
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // zero: until somebody resumes the sync
	By    string    `json:"by,omitempty"`   // who said so, as far as that is known
	// Reason is in that person's words; "" if none were given.
	Reason string `json:"reason,omitempty"`
}

// Holds reports whether the pause is not over.
func (p Pause) Holds(now time.Time) bool {
	return !p.Since.IsZero() && (p.Until.IsZero() || now.Before(p.Until))
}

// HaltUnreadable is the HaltCode of a sync whose row cannot be read.
const HaltUnreadable = "state-unreadable"

// GetSync returns the row of a sync, the zero SyncState if there is none. A sync whose row cannot be read is halted: it may
// have been before.
func GetSync(tx *Tx, name string) (SyncState, error) {
	row, _, err := ReadRow[SyncState](tx.Table(tableSyncs), Key(name))
	if errors.Is(err, ErrBadRow) {
		return SyncState{HaltCode: HaltUnreadable, Halt: "what the state file says about this sync cannot be read, so nobody knows whether it was halted"}, nil
	}
	return row, err
}

// PutSync replaces the row of a sync.
func PutSync(tx *Tx, name string, s SyncState) error {
	return WriteRow(tx.Table(tableSyncs), Key(name), s)
}
