package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// farTree is a server in memory. Each listing takes a while, and each connection lists one folder at a time.
type farTree struct {
	takes time.Duration
	login time.Duration // what a connection that is lent takes before that
	files []string      // folders end in a slash
	wants int           // connections for the transfers that were found
	fails func(folder string, helper bool) error

	mu      sync.Mutex // guards following
	asked   map[string]int
	helps   int // listings on lent connections
	lent    int
	learned int
	looked  int // for a folder that is listed next
	most    int // lent at a time
	spare   int // how many may be
	waits   bool
}

func (f *farTree) Spare(context.Context) (Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lent >= f.spare {
		return nil, nil
	}
	f.lent++
	f.most = max(f.most, f.lent)
	f.mu.Unlock()
	defer f.mu.Lock()
	time.Sleep(f.login)
	return &farConn{tree: f, helper: true}, nil
}

func (f *farTree) Login() time.Duration { return f.login }

func (f *farTree) Awaited() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits
}

func (f *farTree) Put(Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lent--
}

func (f *farTree) Learned(Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.learned++
}

// Wanted is one for each transfer, up to wants.
func (f *farTree) Wanted(transfers int) int { return min(transfers, f.wants) }

func (f *farTree) Most() int { return 3 }

// farConn is a connection to a farTree.
type farConn struct {
	Conn
	tree   *farTree
	helper bool
	dead   bool
	facts  ftpclient.Facts
}

func (c *farConn) Usable() bool           { return !c.dead }
func (c *farConn) Facts() ftpclient.Facts { return c.facts }
func (c *farConn) Listed(name string) string {
	return name
}

func (c *farConn) Stat(_ context.Context, p string) (list.Entry, error) {
	for _, name := range c.tree.files {
		if strings.HasPrefix("/site/"+name, p+"/") || p == "/site" {
			return list.Entry{Type: list.Dir}, nil
		}
	}
	return list.Entry{}, fs.ErrNotExist
}

func (c *farConn) StatAhead(ctx context.Context, p string) (list.Entry, error) {
	c.tree.mu.Lock()
	c.tree.looked++
	c.tree.mu.Unlock()
	return c.Stat(ctx, p)
}

func (c *farConn) ModTimes(_ context.Context, paths []string) ([]ftpclient.FileTime, error) {
	return make([]ftpclient.FileTime, len(paths)), nil
}

func (c *farConn) List(ctx context.Context, p string) (ftpclient.Listing, error) {
	select {
	case <-time.After(c.tree.takes):
	case <-ctx.Done():
		c.dead = true
		return ftpclient.Listing{}, ctx.Err()
	}
	folder := strings.TrimPrefix(strings.TrimPrefix(p, "/site"), "/")
	c.tree.mu.Lock()
	c.tree.asked[folder]++
	if c.helper {
		c.tree.helps++
	}
	c.tree.mu.Unlock()
	if c.tree.fails != nil {
		if err := c.tree.fails(folder, c.helper); err != nil {
			c.dead = errors.Is(err, errGone)
			return ftpclient.Listing{}, err
		}
	}
	found := map[string]list.Entry{}
	for _, name := range c.tree.files {
		below, ok := strings.CutPrefix(name, folder+"/")
		if folder == "" {
			below, ok = name, true
		}
		if !ok || below == "" {
			continue
		}
		first, _, isDir := strings.Cut(below, "/")
		if isDir {
			found[first] = list.Entry{Name: first, Type: list.Dir}
		} else {
			found[first] = list.Entry{Name: first, Type: list.File, Size: int64(len(name)), ModTime: longAgo, Precision: time.Second}
		}
	}
	return ftpclient.Listing{Listing: list.Listing{Entries: slices.Collect(maps.Values(found)), Format: "mlsd"}, Hidden: true}, nil
}

var errGone = errors.New("the connection is gone")

// aheadRig scans a farTree, of which the local folder holds nothing.
func aheadRig(t *testing.T, tree *farTree, direction plan.Direction, change func(*Request)) (words []string, took time.Duration) {
	t.Helper()
	tree.asked = map[string]int{}
	r := newRig(t, direction)
	r.remote = &Remote{Conn: &farConn{tree: tree}, Root: "/site"}
	r.change = func(request *Request) {
		if tree.spare > 0 {
			request.Lender = tree
		}
		if change != nil {
			change(request)
		}
	}
	began := time.Now()
	words = said(r.scan())
	if tree.lent != 0 {
		t.Errorf("%d connections were not given back", tree.lent)
	}
	return words, time.Since(began)
}

// evenFolders are folders of so many files.
func evenFolders(folders, files int) (names []string) {
	for i := range folders {
		for j := range files {
			names = append(names, fmt.Sprintf("folder-%03d/file-%03d", i, j))
		}
	}
	return names
}

// TestFoldersAreListedSideBySide: with three connections to spare, it takes a quarter of the turns.
func TestFoldersAreListedSideBySide(t *testing.T) {
	deep := func() (names []string) { // each folder holds one, which holds two
		for i := range 20 {
			for j := range 2 {
				names = append(names, fmt.Sprintf("%02d/in/%d/file", i, j))
			}
		}
		return names
	}
	for sentence, row := range map[string]struct {
		files []string
		spare int
		turns int // of listings, one after the other
	}{
		"alone":                            {evenFolders(50, 3), 0, 51},
		"one to spare":                     {evenFolders(50, 3), 1, 27},
		"three to spare":                   {evenFolders(50, 3), 3, 14},
		"more than there may be":           {evenFolders(50, 3), 9, 14},
		"a deep tree alone":                {deep(), 0, 81},
		"a deep tree, three to spare":      {deep(), 3, 22},
		"few of them":                      {evenFolders(2, 3), 3, 3},
		"a folder with a dot behind it":    {[]string{"a/x", "a.b/x", "a b/x", "a/b/x", "a/b.c/x"}, 3, 4},
		"nothing there at all but a file":  {[]string{"file"}, 3, 1},
		"a folder that holds more of them": {append(evenFolders(20, 1), "folder-010/sub/file"), 3, 7},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alone := &farTree{takes: 200 * time.Millisecond, files: row.files}
				want, _ := aheadRig(t, alone, plan.Down, nil)
				tree := &farTree{takes: 200 * time.Millisecond, files: row.files, spare: row.spare}
				got, took := aheadRig(t, tree, plan.Down, nil)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("alone (-) and with help (+):\n%s", diff)
				}
				if turns := int((took + tree.takes - 1) / tree.takes); turns > row.turns {
					t.Errorf("it took %d turns, want %d at most", turns, row.turns)
				}
				if tree.most > 3 {
					t.Errorf("%d connections were lent", tree.most)
				}
				for folder, n := range tree.asked {
					if n != 1 {
						t.Errorf("%q was listed %d times", folder, n)
					}
				}
			})
		})
	}
}

// TestWhoHelpsHasToSaveMoreThanALogin: nobody logs in for what is done sooner alone, and there are fewer helpers where that is dear.
func TestWhoHelpsHasToSaveMoreThanALogin(t *testing.T) {
	const short, long = 12 * time.Millisecond, 200 * time.Millisecond // of folders, at hand and far away
	for sentence, row := range map[string]struct {
		folders      int
		takes, login time.Duration
		wants        int           // for the transfers
		halts        bool          // the guard is going to have the last word
		most         int           // connections lent
		took         time.Duration // at most
	}{
		"a server at hand":                       {50, short, 3 * time.Millisecond, 0, false, 3, 220 * time.Millisecond},
		"at hand, with dear logins":              {50, short, time.Second, 0, false, 0, 612 * time.Millisecond},
		"at hand, logins that pay once":          {50, short, 150 * time.Millisecond, 0, false, 1, 400 * time.Millisecond},
		"at hand, next to nothing":               {4, short, 3 * time.Millisecond, 0, false, 0, 60 * time.Millisecond},
		"far away":                               {50, long, 400 * time.Millisecond, 0, false, 3, 3200 * time.Millisecond},
		"far away, and less time is left":        {6, long, 400 * time.Millisecond, 0, false, 1, 1200 * time.Millisecond},
		"the same, and what was found needs two": {6, long, 400 * time.Millisecond, 2, false, 2, 1200 * time.Millisecond},
		"the same, of a plan that is halted":     {6, long, 400 * time.Millisecond, 2, true, 1, 1200 * time.Millisecond},
		"far away, next to nothing":              {3, long, 400 * time.Millisecond, 0, false, 0, 800 * time.Millisecond},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tree := &farTree{takes: row.takes, login: row.login, files: evenFolders(row.folders, 3), spare: 3, wants: row.wants}
				_, took := aheadRig(t, tree, plan.Down, func(r *Request) {
					if row.halts {
						r.Known = 100 // of which nothing is here
					}
				})
				if tree.learned == 0 || tree.looked != 1 {
					t.Errorf("what the connection of the walk has learned was told %d times, and it looked ahead of %d listings", tree.learned, tree.looked)
				}
				if tree.most != row.most || took > row.took {
					t.Errorf("%d connections were lent, and it took %v; want %d and %v at most", tree.most, took, row.most, row.took)
				}
			})
		})
	}
}

// TestWhatFailsAheadIsAskedAgain by the walk: a help that fails changes nothing.
func TestWhatFailsAheadIsAskedAgain(t *testing.T) {
	files := evenFolders(30, 2)
	busy := &ftpclient.Error{Op: "list", Code: 421, Text: "Too many connections (4) from this IP"}
	for sentence, fails := range map[string]func(folder string, helper bool) error{
		"every folder": func(_ string, helper bool) error {
			if helper {
				return fs.ErrPermission
			}
			return nil
		},
		"some folders": func(folder string, helper bool) error {
			if helper && strings.HasSuffix(folder, "3") {
				return fs.ErrNotExist
			}
			return nil
		},
		"the connections die": func(_ string, helper bool) error {
			if helper {
				return errGone
			}
			return nil
		},
		"too many": func(_ string, helper bool) error {
			if helper {
				return busy
			}
			return nil
		},
		"no data channel": func(_ string, helper bool) error {
			if helper {
				return &ftpclient.DataError{}
			}
			return nil
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want, _ := aheadRig(t, &farTree{takes: time.Second, files: files}, plan.Down, nil)
				tree := &farTree{takes: time.Second, files: files, spare: 3, fails: fails}
				got, _ := aheadRig(t, tree, plan.Down, nil)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("alone (-) and with help (+):\n%s", diff)
				}
				if tree.helps == 0 {
					t.Error("nobody has helped")
				}
				if stops := sentence == "the connections die" || sentence == "too many" || sentence == "no data channel"; stops && tree.helps > 3 {
					t.Errorf("they have tried %d times", tree.helps)
				}
			})
		})
	}
}

// TestWhatIsLeftOutIsNotListedAhead: the rules count, as far as the configuration has them, and the folder of temporary files.
func TestWhatIsLeftOutIsNotListedAhead(t *testing.T) {
	files := append(evenFolders(20, 1), "cache/a/b/c", "folder-003/cache/a", "incoming/x")
	synctest.Test(t, func(t *testing.T) {
		tree := &farTree{takes: time.Second, files: files, spare: 3}
		aheadRig(t, tree, plan.Down, func(r *Request) {
			r.Filter, r.TempFolder = NewFilter(FilterOptions{Exclude: []string{"cache/"}}), "incoming"
		})
		for folder := range tree.asked {
			if strings.Contains(folder, "cache") {
				t.Errorf("%q was listed", folder)
			}
		}
		if tree.helps == 0 || tree.asked["incoming"] > 1 {
			t.Errorf("%d times ahead, and the folder of temporary files %d times", tree.helps, tree.asked["incoming"])
		}
	})
}

// TestWhoWaitsForAConnectionGoesFirst: it is given back after the listing that is under way.
func TestWhoWaitsForAConnectionGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := &farTree{takes: time.Second, files: evenFolders(40, 1), spare: 3}
		go func() {
			time.Sleep(5500 * time.Millisecond)
			tree.mu.Lock()
			tree.waits, tree.spare = true, 1
			tree.mu.Unlock()
			time.Sleep(time.Second)
			synctest.Wait()
			tree.mu.Lock()
			defer tree.mu.Unlock()
			if tree.lent > 1 {
				t.Errorf("%d connections are still lent", tree.lent)
			}
		}()
		aheadRig(t, tree, plan.Down, nil)
	})
}

// TestAFolderThatAJobHasChangedIsListedAgain: what was listed before that may not be what both sides have agreed on.
func TestAFolderThatAJobHasChangedIsListedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := evenFolders(20, 1)
		tree := &farTree{takes: time.Second, files: files, spare: 3}
		began := time.Now()
		aheadRig(t, tree, plan.Down, func(r *Request) {
			r.Children = func(dir string) ([]state.Baseline, error) {
				if dir != "folder-007" {
					return nil, nil
				}
				row := state.Baseline{Path: dir + "/file-000", When: time.Now()}
				row.Remote = entry.Entry{Kind: entry.File, Size: 1}
				row.Local = row.Remote
				return []state.Baseline{row}, nil
			}
		})
		if time.Since(began) == 0 || tree.asked["folder-007"] != 2 || tree.asked["folder-008"] != 1 {
			t.Errorf("listed %d and %d times", tree.asked["folder-007"], tree.asked["folder-008"])
		}
	})
}

// TestNamesInAnotherEncodingAreNotTakenOver: what a connection has found out alone does not count.
func TestNamesInAnotherEncodingAreNotTakenOver(t *testing.T) {
	ahead := &listedAhead{done: make(chan struct{}), encoding: "windows-1252"}
	close(ahead.done)
	for encoding, taken := range map[string]bool{"": false, "utf-8": false, "windows-1252": true} {
		r := newReadAhead(t.Context(), &farTree{}, nil, isFine)
		r.ahead["a"] = ahead
		conn := &farConn{facts: ftpclient.Facts{Encoding: encoding}}
		if got := r.get(t.Context(), conn, "a"); (got != nil) != taken {
			t.Errorf("the walk has %q, and the listing is taken: %v", encoding, got != nil)
		}
		r.close()
	}
}

// TestWhatIsAheadIsBounded, in folders and in entries, and a folder that is too large is left to the walk.
func TestWhatIsAheadIsBounded(t *testing.T) {
	r := newReadAhead(t.Context(), &farTree{}, func(rel string) string { return "/site/" + rel }, isFine)
	defer r.close()
	var names []string
	for i := range 2 * mostFoldersAhead {
		names = append(names, fmt.Sprintf("%05d", i))
	}
	r.offer("", names, 0)
	r.mu.Lock()
	for range names {
		r.begin()
	}
	if len(r.ahead) != mostFoldersAhead {
		t.Errorf("%d folders are ahead", len(r.ahead))
	}
	r.pass("00100")
	if len(r.ahead) != mostFoldersAhead-100 || r.ahead["00100"] == nil {
		t.Errorf("%d folders are ahead of the walk", len(r.ahead))
	}
	r.held = mostAhead
	if _, l := r.begin(); l != nil {
		t.Error("more is listed than there is room for")
	}
	r.held = 0
	rel, l := r.begin()
	r.mu.Unlock()
	large := &farTree{asked: map[string]int{}}
	for i := range mostInOne + 1 {
		large.files = append(large.files, fmt.Sprintf("%s/%d", rel, i))
	}
	r.list(t.Context(), &farConn{tree: large}, rel, l)
	if l.err == nil || len(l.listing.Entries) > 0 || r.held != 0 || !r.off {
		t.Errorf("%d entries are kept, %v", len(l.listing.Entries), l.err)
	}
}

// TestTheOrderOfAWalk: a folder, what is in it, then its next sibling.
func TestTheOrderOfAWalk(t *testing.T) {
	want := []string{"", "a", "a/b", "a/b/c", "a/b.d", "a ", "a-b", "a.b", "a.b/c", "a0", "b"}
	got := slices.Clone(want)
	for range 100 {
		rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, compareWalk)
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

func isFine(string) bool { return true }
