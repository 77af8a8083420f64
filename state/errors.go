package state

import (
	"errors"
	"fmt"
)

// Sentinels to be tested with errors.Is. Their texts say what a person can do.
var (
	// ErrLocked says that another process, or another DB of this one, has the file open.
	ErrLocked = errors.New("another agent is running with this file; let it do the work (`ftpferry once` goes through the running agent) or stop it first")
	// ErrNetworkFilesystem says that the file would be on a file system where neither its
	// lock nor its memory map can be trusted.
	ErrNetworkFilesystem = errors.New("locks and memory maps cannot be trusted on a network file system; put state_dir on a local disk, or set `allow_network_state_dir = true`")
	// ErrTooNew says that a newer version of the program has written the file.
	ErrTooNew = errors.New("the file was written by a newer version of ftpferry; run that version, or move the file away and let a full scan rebuild it")
	// ErrTooOld says that a read-only open met a file that must be migrated first.
	ErrTooOld = errors.New("the file was written by an older version of ftpferry; start the agent once to bring it up to date")
	// ErrCorrupt says that the file is damaged or no state file at all.
	ErrCorrupt = errors.New("the file is damaged or is not a state file; move it away and start again: the next full scan rebuilds the state and deletes nothing")
	// ErrBadRow says that one row could not be read; the rest of the file is sound.
	ErrBadRow = errors.New("the row cannot be read")
	// ErrFull says that the file cannot grow: the disk is full, a quota is used up, or Options.MaxSize is reached.
	ErrFull = errors.New("there is no room for the state file to grow; make room on the disk of state_dir or raise max_state_size, and start again: nothing is lost")
	// ErrDenied says that this user may not read and write the file or its folder, or that the file system is mounted
	// read-only.
	ErrDenied = errors.New("the state file cannot be written here; let the user that ftpferry runs as read and write the file and its folder, on a file system that is not mounted read-only, or set another state_dir")
	// ErrReadOnly says that a write was asked of a View or of a file opened read-only.
	ErrReadOnly = errors.New("the transaction is read-only")
)

// Error is the error of every operation of this package.
type Error struct {
	// Op is what was tried, for example "open" or `read row "a" of table "servers"`.
	Op string
	// Path is the state file.
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("state: %s: %s: %v", e.Path, e.Op, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// CommitError says that a transaction may or may not be in the file. There is no way to go on
// from here but to stop the process and start again from what the file holds: when the last
// flush fails, the engine reports an error and shows the new values all the same.
type CommitError struct {
	Path string
	Err  error
}

func (e *CommitError) Error() string {
	if errors.Is(e.Err, ErrFull) { // which says what to do
		return fmt.Sprintf("state: %s: commit: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("state: %s: commit: %v; it is unknown what reached the disk, so the process must stop and start again from the file", e.Path, e.Err)
}

func (e *CommitError) Unwrap() error { return e.Err }
