//go:build !windows

package service

// isManaged reports false: other service managers want a plain process that takes signals.
func isManaged() bool { return false }
