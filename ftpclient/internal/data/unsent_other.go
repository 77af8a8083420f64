//go:build !linux

package data

// Unsent would tell how many bytes have not reached the peer's system yet; here nobody knows.
func (g *Guarded) Unsent() (count int, known bool) { return 0, false }
