package trigger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

// files returns n paths in folder; a folder of "" is the root.
func files(folder string, n int) []string {
	var paths []string
	for i := range n {
		paths = append(paths, strings.TrimPrefix(fmt.Sprintf("%s/f%03d", folder, i), "/"))
	}
	return paths
}

func removed(paths []string) []string {
	for i := range paths {
		paths[i] = "-" + paths[i]
	}
	return paths
}

func TestCoalescer(t *testing.T) {
	const ms = time.Millisecond
	type add struct {
		at    time.Duration
		paths []string // what begins with "-" is gone
	}
	type take struct {
		at   time.Duration
		want []string // "everything" for no paths, nil for nothing due
	}
	everything := []string{"everything"}
	var fourByHundred, fiveByHundred []add
	for i := range 5 {
		fiveByHundred = append(fiveByHundred, add{0, files(fmt.Sprintf("d%d", i), 103)})
	}
	fourByHundred = fiveByHundred[:4]
	var flat []string
	for _, a := range fourByHundred {
		flat = append(flat, a.paths...)
	}
	var steady []add
	for i := range 100 {
		steady = append(steady, add{time.Duration(i) * 100 * ms, []string{"log"}})
	}

	tests := []struct {
		name  string
		adds  []add
		takes []take
	}{
		{"nothing was added", nil, []take{{time.Hour, nil}}},
		{"a path is given once it was quiet", []add{{0, []string{"a"}}}, []take{{199 * ms, nil}, {200 * ms, []string{"a"}}, {time.Hour, nil}}},
		{"each change starts the quiet time anew", []add{{0, []string{"a"}}, {150 * ms, []string{"a"}}}, []take{{349 * ms, nil}, {350 * ms, []string{"a"}}}},
		{"a path that never gets quiet is given at the limit", steady, []take{{4999 * ms, nil}, {5 * time.Second, []string{"log"}}}},
		{"a noisy path does not hold back a quiet one", append(steady, add{0, []string{"b"}}), []take{{200 * ms, []string{"b"}}}},
		{"paths come sorted", []add{{0, []string{"c", "a/b", "b", "a-b"}}}, []take{{time.Second, []string{"a-b", "a/b", "b", "c"}}}},
		{"a folder swallows what is below it", []add{{0, []string{"a/b/c", "a/b/d/e", "a/bc"}}, {0, []string{"a/b"}}}, []take{{time.Second, []string{"a/b", "a/bc"}}}},
		{"what is below a held folder is swallowed", []add{{0, []string{"a"}}, {0, []string{"a/b/c"}}}, []take{{time.Second, []string{"a"}}}},
		{"a change below a held folder starts its quiet time anew", []add{{0, []string{"a"}}, {100 * ms, []string{"a/b"}}}, []take{{250 * ms, nil}, {300 * ms, []string{"a"}}}},
		{"a folder inherits the age of what it swallows", append([]add{{0, []string{"a/b"}}}, add{4900 * ms, []string{"a"}}), []take{{4999 * ms, nil}, {5 * time.Second, []string{"a"}}}},
		{"the empty path is everything", []add{{0, []string{"a", ""}}, {0, []string{"b"}}}, []take{{time.Second, everything}, {time.Hour, nil}}},
		{"128 paths in a folder stay paths", []add{{0, files("d", 128)}}, []take{{time.Second, files("d", 128)}}},
		{"129 paths in a folder are the folder", []add{{0, files("x/d", 129)}}, []take{{time.Second, []string{"x/d"}}}},
		{"129 paths in the root are everything", []add{{0, files("", 129)}}, []take{{time.Second, everything}}},
		{"412 paths in four folders stay paths", fourByHundred, []take{{time.Second, flat}}},
		{"a path that is gone has a longer quiet time", []add{{0, []string{"-a"}}}, []take{{999 * ms, nil}, {time.Second, []string{"a"}}}},
		{"each other deletion has its own", []add{{0, []string{"-a"}}, {500 * ms, []string{"-b"}}}, []take{{time.Second, []string{"a"}}, {1499 * ms, nil}, {1500 * ms, []string{"b"}}}},
		{"an old name goes with the new one", []add{{0, []string{"-a"}}, {100 * ms, []string{"b"}}}, []take{{299 * ms, nil}, {300 * ms, []string{"a", "b"}}}},
		{"at the same moment too", []add{{0, []string{"-a", "b"}}}, []take{{200 * ms, []string{"a", "b"}}}},
		{"what changed before a deletion does not take it along", []add{{0, []string{"b", "-a"}}}, []take{{200 * ms, []string{"b"}}, {999 * ms, nil}, {time.Second, []string{"a"}}}},
		{"a deletion waits for the last change that came after it", []add{{0, []string{"-a"}}, {0, []string{"b"}}, {200 * ms, []string{"c"}}}, []take{{200 * ms, []string{"b"}}, {399 * ms, nil}, {400 * ms, []string{"a", "c"}}}},
		{"but not longer than the limit", append([]add{{0, []string{"-a"}}}, steady...), []take{{4999 * ms, nil}, {5 * time.Second, []string{"a", "log"}}}},
		{"what is there again is not gone", []add{{0, []string{"-a"}}, {10 * ms, []string{"a"}}}, []take{{210 * ms, []string{"a"}}}},
		{"what was written and then removed is gone", []add{{0, []string{"a"}}, {10 * ms, []string{"-a"}}}, []take{{1009 * ms, nil}, {1010 * ms, []string{"a"}}}},
		{"a folder is gone with what was written in it", []add{{0, []string{"d/a"}}, {10 * ms, []string{"-d"}}}, []take{{1009 * ms, nil}, {1010 * ms, []string{"d"}}}},
		{"a folder in which something appears is not gone", []add{{0, []string{"-d"}}, {10 * ms, []string{"d/a"}}}, []take{{210 * ms, []string{"d"}}}},
		{"a file that is gone does not take the folder with it", []add{{0, []string{"d"}}, {10 * ms, []string{"-d/a"}}}, []take{{210 * ms, []string{"d"}}}},
		{"a folder that stands for 129 deletions waits", []add{{0, removed(files("d", 129))}}, []take{{999 * ms, nil}, {time.Second, []string{"d"}}}},
		{"a folder that stands for 128 deletions and a new file does not", []add{{0, append(removed(files("d", 128)), "d/new")}}, []take{{200 * ms, []string{"d"}}}},
		{"515 paths in five folders are everything", fiveByHundred, []take{{time.Second, everything}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c Coalescer
			adds := slices.Clone(test.adds)
			for _, take := range test.takes {
				adds = slices.DeleteFunc(adds, func(a add) bool {
					if a.at > take.at {
						return false
					}
					for _, p := range a.paths {
						c.Add(at(a.at), strings.TrimPrefix(p, "-"), strings.HasPrefix(p, "-"))
					}
					return true
				})
				next, held := c.Next()
				got, ok := c.Take(at(take.at))
				if ok && len(got) == 0 {
					got = everything
				}
				if diff := cmp.Diff(take.want, got); diff != "" {
					t.Errorf("at %v (-want +got):\n%s", take.at, diff)
				}
				if due := held && !next.After(at(take.at)); due != ok {
					t.Errorf("at %v: Next says %v, %v but Take gave %v", take.at, next, held, got)
				}
			}
		})
	}
}

func TestCoalescerGivesAtMostOncePerQuietTime(t *testing.T) {
	c := Coalescer{Quiet: time.Second, Limit: time.Minute}
	c.Add(at(0), "a", false)
	c.Add(at(10*time.Millisecond), "b", false)
	if next, _ := c.Next(); !next.Equal(at(time.Second)) {
		t.Fatalf("first: %v", next)
	}
	c.Take(at(time.Second))
	if next, _ := c.Next(); !next.Equal(at(2 * time.Second)) {
		t.Errorf("second: %v", next)
	}
}

func TestCoalescerKeepsWhatIsGoneUntilAllIsRead(t *testing.T) {
	c := Coalescer{Unread: true}
	c.Add(at(0), "a", true)
	c.Add(at(0), "b", false)
	if paths, _ := c.Take(at(4 * time.Second)); !slices.Equal(paths, []string{"b"}) {
		t.Errorf("meanwhile: %q", paths)
	}
	if next, _ := c.Next(); !next.Equal(at(DefaultLimit)) {
		t.Errorf("may wait until %v", next)
	}
	c.Add(at(4*time.Second), "c", false)
	c.Unread = false
	if paths, _ := c.Take(at(4200 * time.Millisecond)); !slices.Equal(paths, []string{"a", "c"}) {
		t.Errorf("when all is read: %q", paths)
	}
	c.Unread = true
	c.Add(at(5*time.Second), "d", true)
	if paths, _ := c.Take(at(10 * time.Second)); !slices.Equal(paths, []string{"d"}) {
		t.Errorf("at the limit: %q", paths)
	}
}

func FuzzCoalescer(f *testing.F) {
	f.Add([]byte("a\x00a/b\x00c/d/e\x00\x00x"), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, repeat uint8) {
		var c Coalescer
		var added, given []string
		now := noon
		take := func() {
			paths, ok := c.Take(now)
			if ok && len(paths) == 0 {
				paths = []string{""}
			}
			if !slices.IsSorted(paths) {
				t.Fatalf("not sorted: %q", paths)
			}
			for i, p := range paths {
				for j, q := range paths {
					if i != j && below(p, q) {
						t.Fatalf("%q and %q given together", p, q)
					}
				}
			}
			given = append(given, paths...)
		}
		for _, p := range strings.Split(string(data), "\x00") {
			for i := range int(repeat) + 1 {
				path := strings.Trim(p, "/")
				if i > 0 {
					path = strings.Trim(fmt.Sprintf("%s/%d", path, i), "/")
				}
				added = append(added, path)
				c.Add(now, path, i%3 == 2)
				c.Unread = i%2 == 1
				now = now.Add(time.Millisecond)
			}
			if len(c.held) > maxPaths {
				t.Fatalf("holds %d paths", len(c.held))
			}
			take()
		}
		now = now.Add(DefaultLimit)
		if next, held := c.Next(); held && next.After(now) {
			t.Fatalf("holds something until %v, longer than the limit", next)
		}
		take()
		for _, p := range added {
			if !slices.ContainsFunc(given, func(g string) bool { return p == g || below(p, g) }) {
				t.Fatalf("%q was never given, only %q", p, given)
			}
		}
	})
}
