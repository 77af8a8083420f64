package config

import "time"

const (
	defaultRescan = duration(time.Hour)
	leastRescan   = time.Minute
	leastPoll     = 10 * time.Second
	// recheckUp is for a target that nobody but the agent is to change. What is a source is looked at in every pass.
	// To look at a small tree costs next to nothing, and finds at once what somebody has changed there all the same.
	recheckUp    = day
	recheckAbove = 1000
)

// looks is about the looks that nothing has to happen for.
func (l *loader) looks(at key, sync *Sync, file *rawSync) {
	if sync.Watch && sync.Direction == Down {
		l.fail(at.child("watch"), `an FTP server does not announce changes: with direction = "down" use poll = "5m", or schedule, such as "@every 10m"`)
	}
	sync.Rescan = l.duration(at.child("rescan"), file.Rescan, 0)
	switch {
	case sync.Rescan > 0 && sync.Rescan < leastRescan:
		l.fail(at.child("rescan"), `%s is too often for a look at the whole folder: write "1m" or more, such as "1h", or "0s" for never`, sync.Rescan)
	case !sync.Watch && file.Rescan != defaultRescan:
		l.warn(at.child("rescan"), "has no effect without watch = true: schedule says when to look then")
	}
	switch {
	case file.Recheck != byDirection:
		sync.Recheck = l.duration(at.child("recheck"), duration(file.Recheck), 0)
	case sync.Direction == Up:
		sync.Recheck, sync.RecheckAbove = recheckUp, recheckAbove
	}
	sync.Poll = l.duration(at.child("poll"), duration(file.Poll), 0)
	switch {
	case sync.Poll > 0 && sync.Direction == Up:
		l.faulty(at.child("poll"), `is for direction = "down" and "both": with "up" nothing comes from the server. Remove the line`)
	case sync.Poll > 0 && sync.Poll < leastPoll:
		l.fail(at.child("poll"), `%s is too often for a server to be asked: write "10s" or more, such as "5m", or "" for never`, sync.Poll)
	}
}
