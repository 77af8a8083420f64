package entry

import (
	"testing"
	"time"
)

func TestSameAndEqual(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	file := func(size int64, after, precision time.Duration) Entry {
		return Entry{Kind: File, Size: size, ModTime: noon.Add(after), Precision: precision}
	}
	sizeOnly := func(size int64) Entry { return Entry{Kind: File, Size: size} }
	for _, test := range []struct {
		name        string
		a, b        Entry
		same, equal bool
	}{
		{"nothing on either side", Entry{}, Entry{}, true, true},
		{"nothing and an empty file", Entry{}, sizeOnly(0), false, false},
		{"a file and a folder", file(0, 0, 1), Entry{Kind: Dir}, false, false},
		{"size and time agree", file(5, 0, time.Second), file(5, 0, time.Second), true, true},
		{"another size", file(5, 0, time.Second), file(6, 0, time.Second), false, false},
		{"a size that is unknown is no change and no proof", file(5, 0, time.Second), file(-1, 0, time.Second), true, false},
		{"both sizes unknown prove nothing", file(-1, 0, time.Second), file(-1, 0, time.Second), true, false},
		{"a time that is unknown is no change and no proof", file(5, 0, time.Second), sizeOnly(5), true, false},
		{"both times unknown prove nothing", sizeOnly(5), sizeOnly(5), true, false},
		{"an unknown time does not excuse another size", file(5, 0, time.Second), sizeOnly(6), false, false},
		{"a nanosecond apart at full precision", file(5, 0, 1), file(5, 1, 1), false, false},
		{"precision that was never set is a nanosecond", file(5, 0, 0), file(5, 1, 0), false, false},
		{"cut to the second", file(5, 999*time.Millisecond, 1), file(5, 0, time.Second), true, true},
		{"rounded up to the second", file(5, 600*time.Millisecond, 1), file(5, time.Second, time.Second), true, true},
		{"a whole second apart", file(5, 0, 1), file(5, time.Second, time.Second), false, false},
		{"the coarser side counts, whichever it is", file(5, 0, time.Minute), file(5, 59*time.Second, 1), true, true},
		{"beyond the minute of a listing", file(5, 0, time.Minute), file(5, time.Minute, 1), false, false},
		{"within the day of an old listing line", file(5, 0, 24*time.Hour), file(5, 23*time.Hour, time.Second), true, true},
		{"folders, whatever their times", Entry{Kind: Dir, ModTime: noon}, Entry{Kind: Dir, ModTime: noon.Add(time.Hour)}, true, true},
		{"links are not followed, so they prove nothing", Entry{Kind: Link}, Entry{Kind: Link}, true, false},
		{"sockets prove nothing", Entry{Kind: Other}, Entry{Kind: Other}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				if got := Same(test.a, test.b); got != test.same {
					t.Errorf("Same(%v, %v) = %v, want %v", test.a, test.b, got, test.same)
				}
				if got := Equal(test.a, test.b); got != test.equal {
					t.Errorf("Equal(%v, %v) = %v, want %v", test.a, test.b, got, test.equal)
				}
				test.a, test.b = test.b, test.a // both are symmetric
			}
		})
	}
}
