//go:build !windows

package work

// canUnlinkOpen: a file that has no name any more goes with the last who has it open.
const canUnlinkOpen = true
