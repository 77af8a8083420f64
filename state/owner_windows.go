package state

import "os"

// sameOwner has nothing to do: files take what their folder says.
func sameOwner(_, _ *os.File) error { return nil }

// ownerOfFolder has nothing to do either.
func ownerOfFolder(*os.File, string) {}
