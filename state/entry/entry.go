// Package entry describes what a file looked like on one side, and says when two such
// looks are the same in spite of clocks and listings of different precision.
package entry

import (
	"fmt"
	"time"
)

// Kind says what is at a path.
type Kind uint8

const (
	// Absent is the zero Kind: somebody looked and nothing is there.
	Absent Kind = iota
	// File is a regular file.
	File
	// Dir is a folder.
	Dir
	// Link is a symbolic link. Links are reported and never followed.
	Link
	// Other is anything that cannot be transferred: sockets, devices, pipes.
	Other
)

var kindNames = [...]string{"absent", "file", "dir", "link", "other"}

// String returns the name that is also used in JSON.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText writes the name of k.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name written by MarshalText.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("unknown kind of entry %q", text)
}

// Entry is one look at one path on one side.
type Entry struct {
	Kind Kind `json:"kind"`
	// Size is in bytes and matters for files only; -1 means that the side would not say.
	Size int64 `json:"size,omitempty"`
	// ModTime is in UTC; the zero time means that the side would not say.
	ModTime time.Time `json:"mtime,omitzero"`
	// Precision is the granularity of ModTime: a nanosecond on most disks, a second in
	// MLSD and MDTM, a minute or a day in a LIST line.
	Precision time.Duration `json:"precision,omitempty"`
	// ID tells this file or folder from all others of its side, whatever its name: the inode on disk, a hash of the fact
	// "unique" on a server; 0 means that the side would not say. A file that was written anew may have another ID and be the
	// same, so it has no part in Same and Equal.
	ID uint64 `json:"id,omitempty"`
	// Target is what a Link points at, as it is written in the link; "" means that the side would not say.
	Target string `json:"target,omitempty"`
}

// Same reports whether two looks at the same side show no change. What one of the looks
// could not tell (size or time) is no evidence of a change. Folders are the same whatever
// their times: the time of a folder changes with its contents.
func Same(a, b Entry) bool {
	if a.Kind != b.Kind {
		return false
	}
	if a.Kind != File {
		return true
	}
	if a.Size >= 0 && b.Size >= 0 && a.Size != b.Size {
		return false
	}
	return a.ModTime.IsZero() || b.ModTime.IsZero() || sameTime(a, b)
}

// Equal reports whether looks at two different sides prove the same content as far as size
// and time can: both must be known. Folders are equal to folders.
func Equal(a, b Entry) bool {
	if a.Kind != b.Kind {
		return false
	}
	if a.Kind != File {
		return a.Kind == Dir || a.Kind == Absent
	}
	return a.Size >= 0 && a.Size == b.Size && !a.ModTime.IsZero() && !b.ModTime.IsZero() && sameTime(a, b)
}

// sameTime compares under the coarser precision. A side may round or cut, so any distance
// below one unit of the coarser side counts as the same time.
func sameTime(a, b Entry) bool {
	unit := max(a.Precision, b.Precision, time.Nanosecond)
	return a.ModTime.Sub(b.ModTime).Abs() < unit
}
