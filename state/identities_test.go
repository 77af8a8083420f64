package state

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/state/entry"
)

func fileAt(size int64, seconds int64, id uint64) entry.Entry {
	return entry.Entry{Kind: entry.File, Size: size, ModTime: time.Unix(1_700_000_000+seconds, 5).UTC(), Precision: 1, ID: id}
}

func identified(t *testing.T, db *DB, side Side, e entry.Entry, limit int) []string {
	t.Helper()
	paths, err := db.Identified("s", side, e, limit)
	check(t, err)
	return paths
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
	for _, when := range []string{"indexed before", "indexed after"} {
		t.Run(when, func(t *testing.T) {
			db := openNew(t)
			if when == "indexed before" {
				identified(t, db, LocalSide, fileAt(1, 1, 1), 1)
				identified(t, db, RemoteSide, fileAt(1, 1, 1), 1)
			}
			update(t, db, func(tx *Tx) error {
				for _, row := range rows {
					check(t, PutBaseline(tx, "s", row))
					check(t, PutBaseline(tx, "another sync", row))
				}
				return nil
			})
			for _, test := range []struct {
				name string
				side Side
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
		})
	}
}

// Whatever is written and forgotten, and whenever the index was made, it says what the baseline says.
func TestIndexStaysInStep(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		db := openNew(t)
		for range 60 {
			update(t, db, func(tx *Tx) error {
				for range random.IntN(8) {
					path := fmt.Sprintf("%d/%d", random.IntN(3), random.IntN(8))
					switch random.IntN(9) {
					case 0:
						check(t, DeleteBaseline(tx, "s", path))
					case 1:
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
			var rows []Baseline
			view(t, db, func(tx *Tx) error {
				for folder := range 3 {
					found, err := BaselineChildren(tx, "s", fmt.Sprint(folder))
					check(t, err)
					rows = append(rows, found...)
				}
				return nil
			})
			for _, e := range []entry.Entry{fileAt(int64(random.IntN(3)), int64(random.IntN(3)), 0), {Kind: entry.Dir, ID: 1 + random.Uint64N(2)}} {
				var want []string
				for _, row := range rows {
					if row.Local.Kind == e.Kind && row.Local.Size == e.Size && row.Local.ModTime.Equal(e.ModTime) && (e.Kind == entry.File || row.Local.ID == e.ID) {
						want = append(want, row.Path)
					}
				}
				if diff := cmp.Diff(want, slices.Sorted(slices.Values(identified(t, db, LocalSide, e, 100))), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("seed %d, %+v:\n%s", seed, e, diff)
				}
			}
		}
	}
}

// putFiles writes rows with times of their own.
func putFiles(t *testing.T, db *DB, folder string, files int) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		for i := range files {
			e := fileAt(int64(i), int64(i), 0)
			if err := PutBaseline(tx, "s", Baseline{Path: fmt.Sprintf("%s/%06d", folder, i), Local: e}); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestIndexOfManyRows(t *testing.T) {
	db := openNew(t)
	const files = readRows + 2*blockRows + 7
	putFiles(t, db, "b", files)
	view(t, db, func(tx *Tx) error {
		if rows, err := BaselineChildren(tx, "s", "b"); err != nil || len(rows) != files || cap(rows) > files+files/16 {
			t.Errorf("%d rows of %d, in a slice for %d, %v", len(rows), files, cap(rows), err)
		}
		return nil
	})
	for _, when := range []string{"made in several transactions", "with rows added before and behind", "made anew"} {
		switch when {
		case "with rows added before and behind":
			putFiles(t, db, "a", 10)
			putFiles(t, db, "c", 10)
		case "made anew":
			before := db.identities.index(sideOf{"s", LocalSide})
			putFiles(t, db, "d", fewAdded+files/shareAdded)
			if after := db.identities.index(sideOf{"s", LocalSide}); after == before {
				t.Error("it is the old one")
			}
		}
		for i := range files {
			if i%50 > 0 && i%blockRows > 1 && i < files-1 {
				continue
			}
			var want []string
			for _, folder := range []struct {
				name string
				here bool
			}{{"a", when[0] != 'm' && i < 10}, {"b", true}, {"c", when[0] != 'm' && i < 10}} {
				if folder.here || when == "made anew" && i < 10 {
					want = append(want, fmt.Sprintf("%s/%06d", folder.name, i))
				}
			}
			if when == "made anew" && i < fewAdded+files/shareAdded {
				want = append(want, fmt.Sprintf("d/%06d", i))
			}
			found := slices.Sorted(slices.Values(identified(t, db, LocalSide, fileAt(int64(i), int64(i), 0), 9)))
			if diff := cmp.Diff(want, found); diff != "" {
				t.Fatalf("%s, file %d:\n%s", when, i, diff)
			}
		}
	}
}

// TestTheSameIDComesFirst among many files of one size and time, as programs make that set times: renamed is one of them.
func TestTheSameIDComesFirst(t *testing.T) {
	const files, limit = 2000, 64
	for _, when := range []string{"indexed before", "indexed after"} {
		db := openNew(t)
		if when == "indexed before" {
			identified(t, db, LocalSide, fileAt(1, 1, 1), 1)
		}
		update(t, db, func(tx *Tx) error {
			for i := range files {
				if err := PutBaseline(tx, "s", Baseline{Path: fmt.Sprintf("%06d", i), Local: fileAt(5, 0, uint64(100+i)), Remote: fileAt(5, 0, 0)}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, i := range []int{0, limit - 1, limit, 1234, files - 1} {
			paths := identified(t, db, LocalSide, fileAt(5, 0, uint64(100+i)), limit)
			if want := fmt.Sprintf("%06d", i); len(paths) != limit || paths[0] != want {
				t.Errorf("%s: %d paths, the first is %q, want %q", when, len(paths), paths[0], want)
			}
		}
		for name, paths := range map[string][]string{
			"another ID":             identified(t, db, LocalSide, fileAt(5, 0, 99), limit),
			"no ID":                  identified(t, db, LocalSide, fileAt(5, 0, 0), limit),
			"a side that has no IDs": identified(t, db, RemoteSide, fileAt(5, 0, 100), limit),
		} {
			if len(paths) != limit {
				t.Errorf("%s, %s: %d paths", when, name, len(paths))
			}
		}
	}
}

// Who writes while an index is being made does not write past it.
func TestIndexMadeWhileOthersWrite(t *testing.T) {
	db := openNew(t)
	putFiles(t, db, "a", readRows+5)
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := range 50 {
			err := db.Update(func(tx *Tx) error {
				return PutBaseline(tx, "s", Baseline{Path: fmt.Sprintf("%c/new %d", 'Z'+i%3, i), Local: fileAt(7, int64(1_000_000+i), 0)})
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	identified(t, db, LocalSide, fileAt(1, 1, 1), 1)
	writer.Wait()
	for i := range 50 {
		if found := identified(t, db, LocalSide, fileAt(7, int64(1_000_000+i), 0), 2); len(found) != 1 {
			t.Errorf("new %d: %q", i, found)
		}
	}
}

func TestRowsThatNobodyCanReadHaveNoIdentity(t *testing.T) {
	db := openNew(t)
	row := Baseline{Path: "a", Local: fileAt(1, 1, 1), Remote: fileAt(1, 1, 1)}
	update(t, db, func(tx *Tx) error {
		check(t, PutBaseline(tx, "s", row))
		return tx.Table(tableBaseline).Put(baselineKey("s", "a"), []byte("{"))
	})
	if got := identified(t, db, LocalSide, row.Local, 9); got != nil {
		t.Errorf("%q is found by what it was", got)
	}
	row.Local = fileAt(1, 2, 1)
	update(t, db, func(tx *Tx) error { return PutBaseline(tx, "s", row) })
	if got := identified(t, db, LocalSide, row.Local, 9); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// BenchmarkPutBaseline shows what the indexes cost in a commit: on a file with 100,000 rows, for changed ones.
func BenchmarkPutBaseline(b *testing.B) {
	for _, indexed := range []bool{false, true} {
		for _, rows := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("indexed=%v/rows=%d", indexed, rows), func(b *testing.B) {
				db, err := Open(b.TempDir()+"/agent.db", Options{AllowNetworkFilesystem: true})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = db.Close() }()
				random := rand.New(rand.NewPCG(1, 1))
				put := func(number, from int) {
					err := db.Update(func(tx *Tx) error {
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
					if indexed {
						_, err = db.Identified("website", LocalSide, fileAt(1, 1, 1), 1)
						if err != nil {
							b.Fatal(err)
						}
					}
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

// BenchmarkIdentified shows what it costs to make the index of 1,000,000 rows, and to ask it for what is there and what is not.
func BenchmarkIdentified(b *testing.B) {
	db, err := Open(b.TempDir()+"/agent.db", Options{AllowNetworkFilesystem: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const rows = 1_000_000
	for from := 0; from < rows; from += 10_000 {
		err := db.Update(func(tx *Tx) error {
			for i := from; i < from+10_000; i++ {
				e := fileAt(int64(i), int64(i)*7919%rows, uint64(i)+7_000_000)
				row := Baseline{Path: fmt.Sprintf("folder %05d/a file with a usual name %03d.html", i/100, i%100), Local: e, Remote: e, When: e.ModTime, Job: 5}
				if err := PutBaseline(tx, "s", row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	ask := func(b *testing.B, e entry.Entry, want int) {
		found, err := db.Identified("s", LocalSide, e, 64)
		if err != nil || len(found) != want {
			b.Fatal(found, err)
		}
	}
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			db.identities = newIdentities()
			ask(b, fileAt(1, 0, 0), 0)
		}
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		b.ReportMetric(float64(memory.HeapAlloc)/rows, "heapB/row")
	})
	b.Run("found", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			ask(b, fileAt(int64(i%rows), int64(i%rows)*7919%rows, 0), 1)
		}
	})
	b.Run("not found", func(b *testing.B) {
		for b.Loop() {
			ask(b, fileAt(1, 0, 0), 0)
		}
	})
}
