package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

const tableHistory = "history"

// History is one thing that was done or failed, kept for people and for `ftpferry explain`.
type History struct {
	When time.Time `json:"when"`
	Sync string    `json:"sync,omitempty"`
	// Server is the name of the server of the sync.
	Server string `json:"server,omitempty"`
	Path   string `json:"path,omitempty"`
	// Op is the kind of the job, Direction "up" or "down".
	Op        string `json:"op,omitempty"`
	Direction string `json:"direction,omitempty"`
	// Result says how it ended: "done", "failed" (it is tried again), "dead", "conflict"; without a path "paused", "blocked", "full",
	// "working again"; and what else there may be one day.
	Result string `json:"result,omitempty"`
	Job    uint64 `json:"job,omitempty"`
	// Tries are the failures of the job that count, this one included.
	Tries    int           `json:"tries,omitempty"`
	Bytes    int64         `json:"bytes,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
	// Method is the data channel that was used, Verified how the result was checked, Reply
	// the server's last word.
	Method   string `json:"method,omitempty"`
	Verified string `json:"verified,omitempty"`
	Reply    string `json:"reply,omitempty"`
	// Temp is the temporary name, Final the name that took its place: whole names on their side, as far as they are known.
	Temp  string `json:"temp,omitempty"`
	Final string `json:"final,omitempty"`
	Error string `json:"error,omitempty"`
}

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

// HistoryFilter says which rows are wanted. What is zero asks for nothing.
type HistoryFilter struct {
	// Since and Until bound the time; a row at Since is wanted, one at Until is not.
	Since, Until time.Time
	// Syncs are names; none: of all.
	Syncs []string
	// Path is asked about each path.
	Path func(path string) bool
	// Newest rows come first if set, oldest first otherwise.
	Newest bool
}

func (f HistoryFilter) wants(h History) bool {
	return (len(f.Syncs) == 0 || slices.Contains(f.Syncs, h.Sync)) && (f.Path == nil || f.Path(h.Path))
}

// HistoryPosition is a place between two rows of the history; "" is the place before the first that is wanted. It holds
// across transactions, whatever is added or trimmed meanwhile.
type HistoryPosition string

// ReadHistory looks at no more than limit rows (0 or less: all) from a position on, and returns those that the filter wants, which
// may be none. next is where to go on, "" when there are no more. A reader of many rows calls it in one short transaction
// after the other. Rows that cannot be read are left out.
func ReadHistory(tx *Tx, f HistoryFilter, from HistoryPosition, limit int) (rows []History, next HistoryPosition, err error) {
	t := tx.Table(tableHistory)
	looked := 0
	last := from
	// A text that all rows of the sync have saves decoding those of others, which is most of the time. Names need no escapes.
	ofSyncs := make([][]byte, len(f.Syncs))
	for i, name := range f.Syncs {
		text, err := json.Marshal(name)
		if err != nil {
			return nil, "", err
		}
		ofSyncs[i] = append([]byte(`"sync":`), text...)
	}
	collect := func(key, value []byte) (bool, error) {
		if !f.Newest && !f.Until.IsZero() && bytes.Compare(key, Key(f.Until)) >= 0 || f.Newest && bytes.Compare(key, Key(f.Since)) < 0 {
			return false, nil
		}
		if limit > 0 && looked == limit {
			next = last
			return false, nil
		}
		looked++
		last = HistoryPosition(key)
		if len(ofSyncs) > 0 && !slices.ContainsFunc(ofSyncs, func(text []byte) bool { return bytes.Contains(value, text) }) {
			return true, nil
		}
		row, err := DecodeRow[historyRow](t, key, value)
		if errors.Is(err, ErrBadRow) {
			return true, nil
		}
		if h := row.history(); err == nil && f.wants(h) {
			rows = append(rows, h)
		}
		return true, err
	}
	if f.Newest {
		before := []byte(from)
		if from == "" {
			before = nil
			if !f.Until.IsZero() {
				before = Key(f.Until)
			}
		}
		err = t.scanBefore(before, collect)
	} else {
		after := Key(f.Since)
		if from != "" {
			after = append([]byte(from), 0)
		}
		err = t.Scan(nil, after, collect)
	}
	if err != nil {
		return nil, "", err
	}
	return rows, next, nil
}
