package state

import (
	"errors"
	"time"
)

const tableSchedules = "schedules"

// Schedule is what happened to one line of a sync's schedule, so that what was missed while the
// agent was down can be made up for.
type Schedule struct {
	// Upto is the time up to which all is dealt with: fired, or left out. See Passed.
	Upto time.Time `json:"upto,omitzero"`
	// LastFired is the time for which the line was last carried out; the run itself may have begun later.
	LastFired time.Time `json:"last_fired,omitzero"`
	// Begun is when the run began that is not over; zero: none is under way.
	Begun time.Time `json:"begun,omitzero"`
	// Waiting are the times of the runs that follow, one after the other.
	Waiting []time.Time `json:"waiting,omitempty"`
	// Missed is how many times were left out.
	Missed uint64 `json:"missed,omitempty"`
	// LastFinished is when the last run was over, and Result what came of it, for people.
	LastFinished time.Time `json:"last_finished,omitzero"`
	Result       string    `json:"result,omitempty"`
}

// Passed returns the time from which the line counts: rows of before Upto have only LastFired. Zero: it was never seen.
func (s Schedule) Passed() time.Time {
	if s.Upto.IsZero() {
		return s.LastFired
	}
	return s.Upto
}

type scheduleRow struct {
	Spec string `json:"spec"`
	Schedule
}

// GetSchedule returns the row of a schedule, the zero Schedule if there is none or it cannot be read.
func GetSchedule(tx *Tx, sync, spec string) (Schedule, error) {
	row, _, err := ReadRow[scheduleRow](tx.Table(tableSchedules), Key(sync, Shorten(spec)))
	if errors.Is(err, ErrBadRow) {
		return Schedule{}, nil
	}
	return row.Schedule, err
}

// PutSchedule replaces the row of a schedule.
func PutSchedule(tx *Tx, sync, spec string, s Schedule) error {
	return WriteRow(tx.Table(tableSchedules), Key(sync, Shorten(spec)), scheduleRow{Spec: spec, Schedule: s})
}

// DeleteSchedule forgets a schedule that is no longer configured.
func DeleteSchedule(tx *Tx, sync, spec string) error {
	return tx.Table(tableSchedules).Delete(Key(sync, Shorten(spec)))
}

// Schedules returns all rows of a sync by their spec. Those that cannot be read are left out, as if they had never fired.
func Schedules(tx *Tx, sync string) (map[string]Schedule, error) {
	rows := make(map[string]Schedule)
	t := tx.Table(tableSchedules)
	err := t.Scan(Key(sync, ""), nil, func(key, value []byte) (bool, error) {
		row, err := DecodeRow[scheduleRow](t, key, value)
		if errors.Is(err, ErrBadRow) {
			return true, nil
		}
		rows[row.Spec] = row.Schedule
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
