package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

func fileAt(size int64, seconds int64, id uint64) entry.Entry {
	return entry.Entry{Kind: entry.File, Size: size, ModTime: time.Unix(1_700_000_000+seconds, 5).UTC(), Precision: 1, ID: id}
}

// index has all rows of a sync indexed.
func index(t *testing.T, db *DB, sync string, sides Sides, limit int) (rounds int) {
	t.Helper()
	for done := false; !done; rounds++ {
		update(t, db, func(tx *Tx) (err error) {
			done, err = IndexIdentities(tx, sync, sides, limit)
			return err
		})
	}
	return rounds
}

func identified(t *testing.T, db *DB, side Sides, e entry.Entry, limit int) (paths []string) {
	t.Helper()
	view(t, db, func(tx *Tx) (err error) {
		paths, err = Identified(tx, "s", side, e, limit)
		return err
	})
	return paths
}

func sound(t *testing.T, db *DB) {
	t.Helper()
	check(t, db.Check(func(text string) { t.Error(text) }))
}

func TestIdentifiedFindsWhatHasTheSameIdentity(t *testing.T) {
	long := strings.Repeat("folder/", 200) + "file"
	rows := []Baseline{
		{Path: "a", Local: fileAt(5, 0, 11), Remote: fileAt(5, 100, 0)},
		{Path: "folder/copy of a", Local: fileAt(5, 0, 12), Remote: fileAt(5, 101, 0)},
		{Path: "b", Local: fileAt(6, 0, 13), Remote: entry.Entry{Kind: entry.File, Size: 6, ModTime: noon, Precision: time.Minute}},
		{Path: "folder", Local: entry.Entry{Kind: entry.Dir, ID: 7}, Remote: entry.Entry{Kind: entry.Dir, ID: 8}},
		{Path: "other", Local: entry.Entry{Kind: entry.Dir}, Remote: entry.Entry{Kind: entry.Dir}},
		{Path: "\x00\x01", Local: fileAt(9, 9, 0)},
		{Path: long, Local: fileAt(10, 9, 0)},
		{Path: "huge", Local: fileAt(300, 9, 0)},
	}
	for _, when := range []string{"indexed before", "indexed after", "indexed after, one by one"} {
		t.Run(when, func(t *testing.T) {
			db := openNew(t)
			if when == "indexed before" {
				index(t, db, "s", LocalSide|RemoteSide, 100)
			}
			update(t, db, func(tx *Tx) error {
				for _, row := range rows {
					check(t, PutBaseline(tx, "s", row))
					check(t, PutBaseline(tx, "another sync", row))
				}
				return nil
			})
			if when == "indexed after" {
				index(t, db, "s", LocalSide|RemoteSide, 100)
			} else if rounds := index(t, db, "s", LocalSide|RemoteSide, 1); when != "indexed before" && rounds != len(rows) {
				t.Errorf("%d rounds", rounds)
			}
			for _, test := range []struct {
				name string
				side Sides
				e    entry.Entry
				want []string
			}{
				{"two files with one time and size, whatever their IDs", LocalSide, fileAt(5, 0, 99), []string{"a", "folder/copy of a"}},
				{"a file on the other side", RemoteSide, fileAt(5, 100, 0), []string{"a"}},
				{"a time of the other side", LocalSide, fileAt(5, 100, 0), nil},
				{"another size", LocalSide, fileAt(7, 0, 0), nil},
				{"a size that begins alike", LocalSide, fileAt(300-128, 9, 0), nil},
				{"a size of two bytes", LocalSide, fileAt(300, 9, 0), []string{"huge"}},
				{"a time that is told in minutes", RemoteSide, rows[2].Remote, nil},
				{"no time", LocalSide, entry.Entry{Kind: entry.File, Size: 5}, nil},
				{"a folder by its ID", LocalSide, entry.Entry{Kind: entry.Dir, ID: 7}, []string{"folder"}},
				{"a folder by the ID on the other side", LocalSide, entry.Entry{Kind: entry.Dir, ID: 8}, nil},
				{"a folder there", RemoteSide, entry.Entry{Kind: entry.Dir, ID: 8}, []string{"folder"}},
				{"a folder without ID", LocalSide, entry.Entry{Kind: entry.Dir}, nil},
				{"an odd name", LocalSide, fileAt(9, 9, 0), []string{"\x00\x01"}},
				{"a long path", LocalSide, fileAt(10, 9, 0), []string{long}},
				{"nothing", LocalSide, entry.Entry{}, nil},
			} {
				if diff := cmp.Diff(test.want, identified(t, db, test.side, test.e, 10)); diff != "" {
					t.Errorf("%s:\n%s", test.name, diff)
				}
			}
			if got := identified(t, db, LocalSide, fileAt(5, 0, 0), 1); len(got) != 1 {
				t.Errorf("no more than one: %q", got)
			}
			sound(t, db)
		})
	}
}

// Whatever is written and forgotten, and however far the index was built meanwhile, it says what the baseline says.
func TestIndexStaysInStep(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		db := openNew(t)
		sides := Sides(3)
		for range 60 {
			update(t, db, func(tx *Tx) error {
				for range random.IntN(8) {
					path := fmt.Sprintf("%d/%d", random.IntN(3), random.IntN(8))
					switch random.IntN(9) {
					case 0:
						check(t, DeleteBaseline(tx, "s", path))
					case 1:
						_, err := IndexIdentities(tx, "s", sides, 1+random.IntN(5))
						check(t, err)
					case 2:
						if random.IntN(8) == 0 {
							sides = Sides(random.IntN(4))
						}
					case 3:
						if random.IntN(8) == 0 {
							check(t, DropBaseline(tx, "s"))
						}
					default:
						row := Baseline{Path: path, Local: fileAt(int64(random.IntN(3)), int64(random.IntN(3)), 0), Remote: fileAt(1, 2, 0)}
						if random.IntN(3) == 0 {
							row.Local = entry.Entry{Kind: entry.Dir, ID: uint64(random.IntN(3))}
						}
						check(t, PutBaseline(tx, "s", row))
					}
				}
				return nil
			})
			sound(t, db)
		}
		index(t, db, "s", LocalSide, 3)
		sound(t, db)
		view(t, db, func(tx *Tx) error {
			for folder := range 3 {
				rows, err := BaselineChildren(tx, "s", fmt.Sprint(folder))
				check(t, err)
				for _, row := range rows {
					found, err := Identified(tx, "s", LocalSide, row.Local, 100)
					check(t, err)
					if known := row.Local.Kind == entry.File || row.Local.ID != 0; known != slices.Contains(found, row.Path) {
						t.Fatalf("seed %d: %+v is not in %q", seed, row, found)
					}
				}
			}
			return nil
		})
		index(t, db, "s", 0, 3)
		view(t, db, func(tx *Tx) error {
			if key, _ := tx.Table(tableIdentities).Last(nil); key != nil {
				t.Errorf("seed %d: %q is left", seed, key)
			}
			return nil
		})
	}
}

func TestIndexAfterARowThatNobodyCanRead(t *testing.T) {
	db := openNew(t)
	index(t, db, "s", LocalSide, 10)
	row := Baseline{Path: "a", Local: fileAt(1, 1, 1), Remote: fileAt(1, 1, 1)}
	update(t, db, func(tx *Tx) error {
		check(t, PutBaseline(tx, "s", Baseline{Path: "b", Local: fileAt(2, 1, 1)}))
		check(t, PutBaseline(tx, "s", row))
		return tx.Table(tableBaseline).Put(baselineKey("s", "a"), []byte("{"))
	})
	update(t, db, func(tx *Tx) error { row.Local = fileAt(1, 2, 1); return PutBaseline(tx, "s", row) })
	sound(t, db)
	index(t, db, "s", LocalSide, 1)
	sound(t, db)
	if got := identified(t, db, LocalSide, fileAt(1, 1, 1), 9); got != nil {
		t.Errorf("%q is found by what it was", got)
	}
	if got := identified(t, db, LocalSide, row.Local, 9); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestCheckComparesTheIndexWithTheBaseline(t *testing.T) {
	row := Baseline{Path: "a", Local: fileAt(1, 1, 1), Remote: fileAt(1, 1, 1)}
	of := func(sync string, path string, e entry.Entry) []byte {
		return Baseline{Path: path, Local: e}.identities(sync, LocalSide)[0]
	}
	for name, test := range map[string]struct {
		wrong func(t Table) error
		want  string
	}{
		"missing":            {func(t Table) error { return t.Delete(of("s", "a", row.Local)) }, `it is missing, the baseline has "a"`},
		"of another time":    {func(t Table) error { return t.Put(of("s", "a", fileAt(1, 2, 1)), nil) }, "the baseline does not say so"},
		"of no path":         {func(t Table) error { return t.Put(of("s", "b", row.Local), nil) }, "the baseline does not say so"},
		"of no index":        {func(t Table) error { return t.Put(of("other", "b", row.Local), nil) }, "the sync has no index"},
		"no identity":        {func(t Table) error { return t.Put(Key("s", "x"), nil) }, "not one of an identity"},
		"of an unknown side": {func(t Table) error { return t.Put(Key("s", ""), []byte{9, 1}) }, "does not say what is indexed"},
	} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			index(t, db, "s", LocalSide, 10)
			update(t, db, func(tx *Tx) error { return PutBaseline(tx, "s", row) })
			sound(t, db)
			update(t, db, func(tx *Tx) error { return test.wrong(tx.Table(tableIdentities)) })
			var texts []string
			check(t, db.Check(func(text string) { texts = append(texts, text) }))
			if len(texts) != 1 || !strings.Contains(texts[0], test.want) || !strings.Contains(texts[0], tableIdentities) {
				t.Errorf("%q", texts)
			}
		})
	}
}

// BenchmarkPutBaseline shows what the index costs in a commit: on a file with 100,000 rows, for new rows and for changed ones.
func BenchmarkPutBaseline(b *testing.B) {
	for _, sides := range []Sides{0, LocalSide, LocalSide | RemoteSide} {
		for _, rows := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("sides=%d/rows=%d", sides, rows), func(b *testing.B) {
				db, err := Open(b.TempDir()+"/agent.db", Options{AllowNetworkFilesystem: true})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = db.Close() }()
				random := rand.New(rand.NewPCG(1, 1))
				put := func(number, from int) {
					err := db.Update(func(tx *Tx) error {
						if _, err := IndexIdentities(tx, "website", sides, 10); err != nil {
							return err
						}
						for i := range number {
							e := fileAt(random.Int64N(1<<24), random.Int64N(1<<28), uint64(i)+7_000_000)
							row := Baseline{Path: fmt.Sprintf("folder %05d/a file with a usual name %03d.html", (from+i)/100, (from+i)%100), Local: e, Remote: e, When: e.ModTime, Job: 5}
							if err := PutBaseline(tx, "website", row); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				for i := range 10 {
					put(10_000, i*10_000)
				}
				b.ResetTimer()
				for i := range b.N {
					put(rows, (i*rows*7)%100_000)
				}
				b.StopTimer()
				info, err := os.Stat(db.path)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(info.Size())/100_000, "fileB/row")
			})
		}
	}
}
