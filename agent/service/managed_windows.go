package service

import manager "github.com/kardianos/service"

// isManaged reports whether the service control manager has started this process.
func isManaged() bool { return !manager.Interactive() }
