package state

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

// The file was left by a service that was killed in the middle of an upload and a download to a real server, with one that was
// down, and one that refused uploads. Its intents and its history are JSON.
func TestFileOfSchema3(t *testing.T) {
	db := openFile(t, unpack(t, "schema-3.db.gz"))
	read := func() (rows []History) {
		t.Helper()
		view(t, db, func(tx *Tx) (err error) {
			rows, _, err = ReadHistory(tx, HistoryFilter{}, "", 0)
			return err
		})
		return rows
	}
	old := read()
	results := map[string]int{}
	for _, h := range old {
		results[h.Op+" "+h.Result]++
	}
	if diff := cmp.Diff(map[string]int{
		"connect paused": 1, "download done": 2, "upload failed": 4, "make_remote_dir done": 2, "upload done": 6, "upload dead": 3,
	}, results); diff != "" {
		t.Errorf("history:\n%s", diff)
	}
	view(t, db, func(tx *Tx) error {
		for sync, want := range map[string][]Intent{
			"site": {{Source: entry.Entry{Kind: entry.File, Size: 30_000_000}}},
			"down": {{Source: entry.Entry{Kind: entry.File, Size: 30_000_000}, Down: true}},
		} {
			path := map[string]string{"site": "big.bin", "down": "bigd"}[sync]
			got := Intents(tx, sync, path)
			if len(got) != len(want) || got[0].Down != want[0].Down || got[0].Source.Size != want[0].Source.Size || got[0].Source.ModTime.IsZero() {
				t.Errorf("intents of %s: %+v, want like %+v", path, got, want)
			}
		}
		return nil
	})
	// Written once more, in the form of today, it is the same.
	update(t, db, func(tx *Tx) error {
		for _, h := range old {
			check(t, AppendHistory(tx, h))
		}
		for _, i := range Intents(tx, "site", "big.bin") {
			i.Source.ModTime = i.Source.ModTime.Add(time.Hour)
			check(t, AddIntent(tx, "site", "big.bin", i))
		}
		if got := Intents(tx, "site", "big.bin"); len(got) != 2 || got[1].Source.ModTime.Sub(got[0].Source.ModTime) != time.Hour || got[0].Source.ID != got[1].Source.ID {
			t.Errorf("intents: %+v", got)
		}
		return nil
	})
	var twice []History
	for _, h := range old {
		twice = append(twice, h, h)
	}
	if diff := cmp.Diff(twice, read()); diff != "" {
		t.Errorf("old and new rows of the history:\n%s", diff)
	}
	check(t, db.Check(func(text string) { t.Error(text) }))
	// Rows of one sync are found in both forms.
	view(t, db, func(tx *Tx) error {
		rows, _, err := ReadHistory(tx, HistoryFilter{Syncs: []string{"refused"}}, "", 0)
		if len(rows) != 2*6 || err != nil {
			t.Errorf("of one sync: %d rows, %v", len(rows), err)
		}
		return nil
	})
}
