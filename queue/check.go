package queue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/state"
)

// mostDifferences bounds the text of an error of Check.
const mostDifferences = 20

// Check works out all indexes from the rows of queue/jobs and compares them with what is there.
// Its error is ErrIndex and lists the differences. It holds all indexes in memory.
func Check(tx *state.Tx) error {
	var differences []string
	differ := func(format string, args ...any) {
		differences = append(differences, fmt.Sprintf(format, args...))
	}
	want := make(map[string]map[string]string, len(indexTables))
	for _, table := range indexTables {
		want[table] = make(map[string]string)
	}
	tallies := make(map[string]tally)
	jobs := tx.Table(tableJobs)
	err := jobs.Scan(nil, nil, func(key, value []byte) (bool, error) {
		job, err := decodeJob(jobs, key, value)
		if err != nil {
			differ("%v", err)
			return true, nil
		}
		for _, row := range indexRows(&job) {
			if other, ok := want[row.table][string(row.key)]; ok {
				differ("%s: jobs %d and %d both belong at %q", row.table, idOf([]byte(other)), job.ID, row.key)
			}
			want[row.table][string(row.key)] = string(row.value)
		}
		tally := tallies[job.Sync]
		tally.add(job, +1)
		tallies[job.Sync] = tally
		return true, nil
	})
	if err != nil {
		return err
	}
	for sync, tally := range tallies {
		want[tableCounts][string(state.Key(sync, ""))] = string(tally.encode())
	}
	for _, table := range indexTables {
		err := tx.Table(table).Scan(nil, nil, func(key, value []byte) (bool, error) {
			wanted, ok := want[table][string(key)]
			delete(want[table], string(key))
			if !ok {
				differ("%s: %q should not be there", table, key)
			} else if wanted != string(value) {
				differ("%s: %q is %q, should be %q", table, key, value, wanted)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		for key := range want[table] {
			differ("%s: %q is missing", table, key)
		}
	}
	if len(differences) == 0 {
		return nil
	}
	slices.Sort(differences)
	shown := differences[:min(len(differences), mostDifferences)]
	return &Error{Op: "check", Err: fmt.Errorf("%w (%d differences):\n%s", ErrIndex, len(differences), strings.Join(shown, "\n"))}
}
