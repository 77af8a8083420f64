package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// resident returns how many bytes of files the process holds in memory, and how many in all.
func resident(t testing.TB) (files, all int64) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		target := map[string]*int64{"RssFile": &files, "RssShmem": &files, "VmRSS": &all}[name]
		if target == nil {
			continue
		}
		var kilobytes int64
		if _, err := fmt.Sscan(value, &kilobytes); err != nil {
			t.Fatal(err)
		}
		*target += kilobytes << 10
	}
	return files, all
}

// rowAt is what the tests of the memory map expect at a key.
func rowAt(i, version uint64, length int) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, i<<20|version), length/8)
}

func TestReadingALargeFileTakesLittleMemory(t *testing.T) {
	db := openNew(t)
	_, db.mostResident = resident(t)
	const rows, length = 16 << 10, 8 << 10 // 128 MiB
	const bound = 4 * lookAfter            // a quarter of it
	for from := uint64(0); from < rows; from += 1 << 10 {
		update(t, db, func(tx *Tx) error {
			for i := from; i < from+1<<10; i++ {
				check(t, tx.Table("t").Put(Key(i), rowAt(i, 0, length)))
			}
			return nil
		})
	}
	scan := func(name string) {
		before, _ := resident(t)
		read := uint64(0)
		most := int64(0)
		view(t, db, func(tx *Tx) error {
			return tx.Table("t").Scan(nil, nil, func(key, value []byte) (bool, error) {
				if !bytes.Equal(key, Key(read)) || !bytes.Equal(value, rowAt(read, 0, length)) {
					t.Fatalf("row %d reads otherwise", read)
				}
				if read++; read%1024 == 0 {
					now, _ := resident(t)
					most = max(most, now-before)
				}
				return true, nil
			})
		})
		if read != rows {
			t.Errorf("%s: %d rows, want %d", name, read, rows)
		}
		if most > bound {
			t.Errorf("%s: %d MiB of the file came to be in memory, the bound is %d", name, most>>20, bound>>20)
		}
	}
	scan("one transaction")
	before, _ := resident(t)
	for i := range uint64(rows) {
		view(t, db, func(tx *Tx) error {
			if value := tx.Table("t").Get(Key(i)); !bytes.Equal(value, rowAt(i, 0, length)) {
				t.Fatalf("row %d reads otherwise", i)
			}
			return nil
		})
	}
	if after, _ := resident(t); after-before > bound {
		t.Errorf("one row for each transaction: %d MiB of the file came to be in memory", (after-before)>>20)
	}
}

// Places that are needed over and over are no reason to give the map back while the process is small, unless that costs next to nothing.
func TestASmallProcessKeepsTheMap(t *testing.T) {
	const length = 8 << 10
	t.Run("of a large file", func(t *testing.T) { keepsTheMap(t, 5<<10, length, true) })      // 40 MiB
	t.Run("not of a small file", func(t *testing.T) { keepsTheMap(t, 2<<10, length, false) }) // 16 MiB
}

func keepsTheMap(t *testing.T, rows uint64, length int, keeps bool) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		for i := range rows {
			check(t, tx.Table("t").Put(Key(i), rowAt(i, 0, length)))
		}
		return nil
	})
	readAll := func() (grown int64) {
		before, _ := resident(t)
		view(t, db, func(tx *Tx) error { forgetPages(db.engine.Info().Data, uintptr(tx.engine.Size())); return nil })
		for i := range rows {
			view(t, db, func(tx *Tx) error { tx.Table("t").Get(Key(i * 2741 % rows)); return nil })
		}
		db.touched.Store(lookAfter)
		view(t, db, func(tx *Tx) error { tx.Table("t").Get(Key(uint64(0))); return nil })
		after, _ := resident(t)
		return after - before
	}
	db.mostResident = 0
	readAll() // from here on none of the file is in memory
	if grown := readAll(); grown > int64(rows)*int64(length)/4 {
		t.Errorf("a large process: %d MiB of the file stayed in memory", grown>>20)
	}
	db.mostResident = 1 << 40
	if grown := readAll(); (grown > int64(rows)*int64(length)/2) != keeps {
		t.Errorf("a small process: %d MiB of the file stayed in memory", grown>>20)
	}
}

// Readers hold slices of the map while others give all of it back and a writer makes it grow.
func TestMemoryGivenBackUnderReadersAndAWriter(t *testing.T) {
	db := openNew(t)
	db.mostResident = 0
	const rows, length, rounds = 256, 1 << 10, 12
	write := func(version uint64) {
		update(t, db, func(tx *Tx) error {
			for i := range uint64(rows) {
				check(t, tx.Table("t").Put(Key(i), rowAt(i, version, length)))
			}
			// The file grows, so that the map must move at times.
			return tx.Table("grow").Put(Key(version), make([]byte, 256<<10))
		})
	}
	write(0)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := db.View(func(tx *Tx) error {
					version := binary.BigEndian.Uint64(tx.Table("t").Get(Key(uint64(0))))
					held := tx.Table("t").Get(Key(uint64(rows - 1)))
					err := tx.Table("t").Scan(nil, nil, func(key, value []byte) (bool, error) {
						i := binary.BigEndian.Uint64(key)
						if i%16 == 0 {
							db.giveBack(tx.engine, lookAfter)
						}
						if !bytes.Equal(value, rowAt(i, version, length)) {
							return false, fmt.Errorf("row %d is not of version %d", i, version)
						}
						return true, nil
					})
					if !bytes.Equal(held, rowAt(rows-1, version, length)) {
						return fmt.Errorf("the row that was held is not of version %d", version)
					}
					return err
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for version := range uint64(rounds) {
		write(version + 1)
	}
	close(stop)
	readers.Wait()
}

// BenchmarkReadBaseline reads 1,000,000 rows folder by folder, as a full scan does.
func BenchmarkReadBaseline(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "agent.db"), Options{AllowNetworkFilesystem: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const folders, files = 10_000, 100
	at := time.Unix(1_700_000_000, 123456789)
	for from := 0; from < folders; from += 100 {
		if err := db.Update(func(tx *Tx) error {
			for f := from; f < from+100; f++ {
				for i := range files {
					look := entry.Entry{Kind: entry.File, Size: int64(f * i), ModTime: at, Precision: 1}
					row := Baseline{Path: fmt.Sprintf("folder %05d/a file with a usual name %03d.html", f, i), Local: look, Remote: look, When: at, Job: uint64(f)}
					if err := PutBaseline(tx, "website", row); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	info, err := os.Stat(db.path)
	if err != nil {
		b.Fatal(err)
	}
	filesBefore, allBefore := resident(b)
	most := int64(0)
	for b.Loop() {
		for f := range folders {
			if err := db.View(func(tx *Tx) error {
				rows, err := BaselineChildren(tx, "website", fmt.Sprintf("folder %05d", f))
				if len(rows) != files {
					b.Fatalf("%d rows in folder %d", len(rows), f)
				}
				return err
			}); err != nil {
				b.Fatal(err)
			}
			if f%100 == 0 {
				now, _ := resident(b)
				most = max(most, now-filesBefore)
			}
		}
	}
	filesAfter, allAfter := resident(b)
	b.ReportMetric(float64(info.Size())/(1<<20), "file-MiB")
	b.ReportMetric(float64(most)/(1<<20), "most-rssfile-MiB")
	b.ReportMetric(float64(filesAfter-filesBefore)/(1<<20), "more-rssfile-MiB")
	b.ReportMetric(float64(allAfter-allBefore)/(1<<20), "more-rss-MiB")
}
