package config

import "time"

// Timetable says how many bytes per second may go at which time of day.
type Timetable []Rate

// Rate is what holds from a time of day on, until that of the next one.
type Rate struct {
	From           time.Duration // since midnight
	BytesPerSecond int64         // 0: no limit
}

// At returns the rate at a time, and when it changes next; zero: never.
func (t Timetable) At(now time.Time) (bytesPerSecond int64, until time.Time) { panic("skeleton") }

// Window is a time of day in which something may be done. One that ends before it begins goes on past midnight.
type Window struct {
	From, To time.Duration // since midnight
	Zone     *time.Location
}

// Allowed reports whether a time is in one of the windows, or there are none, and when that changes next; zero: never.
func Allowed(windows []Window, now time.Time) (yes bool, until time.Time) { panic("skeleton") }
