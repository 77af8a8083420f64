package state

import (
	"fmt"
	"strings"
)

// Device tells one filesystem from others. What the system does not say is zero.
type Device struct {
	// Number is the device number, or the serial number of a volume. Many systems give it out anew with each start.
	Number uint64 `json:"number,omitempty"`
	// ID is what the filesystem calls itself.
	ID string `json:"id,omitempty"`
	// Mount is what is mounted and its type, such as "/dev/sda1 ext4". The same disk may be another device tomorrow.
	Mount string `json:"mount,omitempty"`
}

// Known reports whether anything is known of d.
func (d Device) Known() bool { return d != Device{} }

// Other reports whether d is for sure another filesystem than was: nothing that is known of both is the same.
func (d Device) Other(was Device) bool {
	differs := false
	for _, part := range []struct{ known, same bool }{
		{d.Number != 0 && was.Number != 0, d.Number == was.Number},
		{d.ID != "" && was.ID != "", d.ID == was.ID},
		{d.Mount != "" && was.Mount != "", d.Mount == was.Mount},
	} {
		if part.known && part.same {
			return false
		}
		differs = differs || part.known
	}
	return differs
}

// String is for people.
func (d Device) String() string {
	var parts []string
	if d.Mount != "" {
		parts = append(parts, d.Mount)
	}
	if d.Number != 0 {
		parts = append(parts, fmt.Sprintf("device %x", d.Number))
	}
	if d.ID != "" {
		parts = append(parts, "id "+d.ID)
	}
	return strings.Join(parts, ", ")
}
