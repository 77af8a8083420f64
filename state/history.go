package state

import (
	"bytes"
	"time"
)

const tableHistory = "history"

// History is one thing that was done or failed, kept for people and for `ftpferry explain`.
type History struct {
	When   time.Time `json:"when"`
	Sync   string    `json:"sync,omitempty"`
	Server string    `json:"server,omitempty"`
	Path   string    `json:"path,omitempty"`
	// Direction is "up" where the server is what was to be changed, or "down".
	Direction string        `json:"direction,omitempty"`
	Op        string        `json:"op,omitempty"`
	Result    string        `json:"result,omitempty"`
	Job       uint64        `json:"job,omitempty"`
	Tries     int           `json:"tries,omitempty"` // the failures of the job that count, this one included
	Bytes     int64         `json:"bytes,omitempty"`
	Duration  time.Duration `json:"duration,omitempty"`
	// Method is the data channel that was used, Verified how the result was checked, Reply
	// the server's last word, Temp the temporary name and Final the name in the end.
	Method   string `json:"method,omitempty"`
	Verified string `json:"verified,omitempty"`
	Reply    string `json:"reply,omitempty"`
	Temp     string `json:"temp,omitempty"`
	Final    string `json:"final,omitempty"`
	Error    string `json:"error,omitempty"`
}

// historyRow is the form on disk, in which names survive that are not UTF-8.
type historyRow struct {
	Path  Text `json:"path,omitempty"`
	Temp  Text `json:"temp,omitempty"`
	Final Text `json:"final,omitempty"`
	History
}

func (r historyRow) history() History {
	r.History.Path, r.History.Temp, r.History.Final = string(r.Path), string(r.Temp), string(r.Final)
	return r.History
}

var historyCount = count{key: Key(tableHistory), table: tableHistory}

// AppendHistory adds a row at h.When.
func AppendHistory(tx *Tx, h History) error {
	t := tx.Table(tableHistory)
	id, err := t.NextID()
	if err != nil {
		return err
	}
	h.When = h.When.UTC()
	row := historyRow{Path: Text(h.Path), Temp: Text(h.Temp), Final: Text(h.Final), History: h}
	if err := WriteRow(t, Key(h.When, id), row); err != nil {
		return err
	}
	return addCount(tx, historyCount, 1)
}

// TrimHistory removes the oldest rows while there are more than maxRows or while they are older
// than olderThan, and returns how many. It removes at most limit rows, so that a caller can
// spread the work over several transactions. 0, the zero time and 0 mean no bound.
func TrimHistory(tx *Tx, maxRows int, olderThan time.Time, limit int) (int, error) {
	count, err := readCount(tx, historyCount)
	if err != nil {
		return 0, err
	}
	t := tx.Table(tableHistory)
	var keys [][]byte
	err = t.Scan(nil, nil, func(key, _ []byte) (bool, error) {
		tooMany := maxRows > 0 && count-len(keys) > maxRows
		tooOld := !olderThan.IsZero() && bytes.Compare(key, Key(olderThan)) < 0
		full := limit > 0 && len(keys) >= limit
		if full || !tooMany && !tooOld {
			return false, nil
		}
		keys = append(keys, bytes.Clone(key))
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err := t.Delete(key); err != nil {
			return 0, err
		}
	}
	return len(keys), addCount(tx, historyCount, -len(keys))
}

// ScanHistory calls fn for the rows from since on, oldest first, until fn returns false or an
// error.
func ScanHistory(tx *Tx, since time.Time, fn func(History) (more bool, err error)) error {
	t := tx.Table(tableHistory)
	return t.Scan(nil, Key(since), historyRows(t, fn))
}

// ScanHistoryBack calls fn for all rows, newest first, until fn returns false or an error.
func ScanHistoryBack(tx *Tx, fn func(History) (more bool, err error)) error {
	t := tx.Table(tableHistory)
	return t.ScanBack(nil, historyRows(t, fn))
}

func historyRows(t Table, fn func(History) (bool, error)) func(key, value []byte) (bool, error) {
	return func(key, value []byte) (bool, error) {
		row, err := DecodeRow[historyRow](t, key, value)
		if err != nil {
			return false, err
		}
		return fn(row.history())
	}
}
