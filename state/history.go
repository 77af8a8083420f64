package state

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/state/fields"
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

// The fields of a row. A number never gets another meaning. The sync comes first: see whichSync.
const (
	historySync = iota + 1
	historyWhen
	historyServer
	historyPath
	historyOp
	historyDirection
	historyResult
	historyJob
	historyTries
	historyBytes
	historyDuration
	historyMethod
	historyVerified
	historyReply
	historyTemp
	historyFinal
	historyError
)

func (h *History) append(to []byte) []byte {
	to = fields.Text(to, historySync, h.Sync)
	to = fields.Time(to, historyWhen, h.When)
	to = fields.Text(to, historyServer, h.Server)
	to = fields.Text(to, historyPath, h.Path)
	to = fields.Text(to, historyOp, h.Op)
	to = fields.Text(to, historyDirection, h.Direction)
	to = fields.Text(to, historyResult, h.Result)
	to = fields.Uint(to, historyJob, h.Job)
	to = fields.Uint(to, historyTries, uint64(h.Tries))
	to = fields.Int(to, historyBytes, h.Bytes)
	to = fields.Int(to, historyDuration, int64(h.Duration))
	to = fields.Text(to, historyMethod, h.Method)
	to = fields.Text(to, historyVerified, h.Verified)
	to = fields.Text(to, historyReply, h.Reply)
	to = fields.Text(to, historyTemp, h.Temp)
	to = fields.Text(to, historyFinal, h.Final)
	return fields.Text(to, historyError, h.Error)
}

// decodeHistory has no other errors than ErrBadRow.
func decodeHistory(key, value []byte) (h History, err error) {
	if !IsSealed(value) {
		row, err := decodeJSON[historyJSON](value)
		row.History.Path, row.History.Temp, row.History.Final = string(row.Path), string(row.Temp), string(row.Final)
		return row.History, err
	}
	record, err := openSealed(key, value)
	if err != nil {
		return History{}, err
	}
	r := fields.Read(record)
	texts := [...]*string{
		historySync: &h.Sync, historyServer: &h.Server, historyPath: &h.Path, historyOp: &h.Op, historyDirection: &h.Direction, historyResult: &h.Result,
		historyMethod: &h.Method, historyVerified: &h.Verified, historyReply: &h.Reply, historyTemp: &h.Temp, historyFinal: &h.Final, historyError: &h.Error,
	}
	for r.Next() {
		switch r.Field {
		case historyWhen:
			h.When = r.Time()
		case historyJob:
			h.Job = r.Uint(math.MaxUint64)
		case historyTries:
			h.Tries = int(r.Uint(math.MaxInt))
		case historyBytes:
			h.Bytes = r.Int()
		case historyDuration:
			h.Duration = time.Duration(r.Int())
		default:
			if int(r.Field) >= len(texts) || texts[r.Field] == nil {
				r.Bad()
				continue
			}
			*texts[r.Field] = r.Text()
		}
	}
	if r.Err() != nil {
		return History{}, badSealed(r.Err())
	}
	return h, nil
}

// historyJSON is the form of older versions, in which names may be bytes that are not UTF-8.
type historyJSON struct {
	Path  Text `json:"path,omitempty"`
	Temp  Text `json:"temp,omitempty"`
	Final Text `json:"final,omitempty"`
	History
}

// whichSync tells rows of other syncs without decoding them, which most are where few syncs are asked for.
type whichSync struct{ sealed, json []byte }

func newWhichSync(name string) (whichSync, error) {
	text, err := json.Marshal(name)
	return whichSync{fields.Text(NewRow(), historySync, name), append([]byte(`"sync":`), text...)}, err // names need no escapes
}

// mayBe reports whether a row may be one of the sync.
func (w whichSync) mayBe(row []byte) bool {
	if IsSealed(row) {
		return bytes.HasPrefix(row, w.sealed)
	}
	return bytes.Contains(row, w.json)
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
	if err := t.PutSealed(Key(h.When, id), h.append(NewRow())); err != nil {
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
	ofSyncs := make([]whichSync, len(f.Syncs))
	for i, name := range f.Syncs {
		if ofSyncs[i], err = newWhichSync(name); err != nil {
			return nil, "", err
		}
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
		if len(ofSyncs) > 0 && !slices.ContainsFunc(ofSyncs, func(of whichSync) bool { return of.mayBe(value) }) {
			return true, nil
		}
		if h, err := decodeHistory(key, value); err == nil && f.wants(h) {
			rows = append(rows, h)
		}
		return true, nil
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
